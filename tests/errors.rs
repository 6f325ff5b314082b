//! The errors as their reader meets them: in a program's own error type, and one by one.

use kvs::protocol::ErrorCode;

#[test]
fn an_error_code_is_the_same_string_everywhere() {
    let page = include_str!("../docs/protocol.md");
    for code in ErrorCode::KNOWN {
        let text = code.to_string();
        assert_eq!(text, code.as_str());
        assert_eq!(serde_json::to_value(&code).unwrap(), text);
        assert_eq!(text.parse(), Ok(code));
        assert!(page.contains(&format!("| `{text}` | ")), "{text}");
    }
    let other = ErrorCode::Other("teapot".to_owned());
    assert_eq!(serde_json::to_string(&other).unwrap(), r#""teapot""#);
    assert_eq!(
        serde_json::from_str::<ErrorCode>(r#""teapot""#).unwrap(),
        other
    );
    assert!(serde_json::from_str::<ErrorCode>("null").is_err());
    assert!(serde_json::from_str::<ErrorCode>(r#"{"io":null}"#).is_err());
}
