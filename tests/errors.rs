//! The errors as a program uses them: converted to its own error type, and one by one.

use std::error::Error;
use std::io;
use std::sync::Arc;

use kvs::engine::{EngineKind, SyncLevel};
use kvs::protocol::ErrorCode;
use kvs::{ConnectionError, KvsError};

/// Checks the bounds that `?` needs to convert an error to `Box<dyn Error + Send + Sync>`, and to
/// the types of `anyhow` and `eyre`.
const fn is_error<E: Error + Send + Sync + 'static>() {}

/// Checks the bounds that `failure` needs.
const fn is_fail<E: failure::Fail>() {}

const _: () = {
    is_error::<KvsError>();
    is_error::<ConnectionError>();
    is_error::<<EngineKind as std::str::FromStr>::Err>();
    is_error::<<SyncLevel as std::str::FromStr>::Err>();
    is_fail::<KvsError>();
    is_fail::<ConnectionError>();
};

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "the system refused")
}

fn of_sled() -> KvsError {
    KvsError::Sled {
        source: Arc::new(sled::Error::ReportableBug("none".to_owned())),
    }
}

fn addr() -> std::net::SocketAddr {
    ([127, 0, 0, 1], 4000).into()
}

#[test]
fn the_operator_converts_an_error_to_those_of_other_crates() {
    fn boxed() -> Result<(), Box<dyn Error + Send + Sync>> {
        Err(KvsError::KeyNotFound)?
    }
    fn failing() -> Result<(), failure::Error> {
        Err(KvsError::KeyNotFound)?
    }
    let is_not_found = |error: Option<&KvsError>| matches!(error, Some(KvsError::KeyNotFound));
    assert!(is_not_found(boxed().unwrap_err().downcast_ref()));
    assert!(is_not_found(failing().unwrap_err().downcast_ref()));
}

#[test]
fn the_operator_makes_an_error_of_a_refusal_by_the_system() {
    fn start() -> kvs::Result<()> {
        Err(refused())?;
        let _runtime = tokio::runtime::Runtime::new()?;
        Ok(())
    }
    assert_eq!(
        start().unwrap_err().to_string(),
        "cannot complete an I/O operation: the system refused"
    );
    let full = KvsError::from(io::Error::from(io::ErrorKind::StorageFull));
    assert!(matches!(full, KvsError::StorageFull { .. }), "{full:?}");
}

#[test]
fn the_source_is_the_error_of_the_system_itself() {
    let broken = ConnectionError::from(refused());
    let source = Arc::new(refused());
    let connection = KvsError::Connection {
        addr: addr(),
        cause: broken.clone(),
    };
    let cause = connection.source().unwrap();
    assert!(cause.is::<ConnectionError>());
    let errors: [&dyn Error; 5] = [
        &KvsError::io("read")(refused()),
        &KvsError::StorageFull {
            action: "write".to_owned(),
            source: Arc::clone(&source),
        },
        &KvsError::Connect {
            addr: addr(),
            source,
        },
        &broken,
        cause,
    ];
    for error in errors {
        let source = error.source().unwrap();
        let source = source.downcast_ref::<io::Error>().unwrap();
        assert_eq!(source.kind(), io::ErrorKind::PermissionDenied);
    }
    assert!(of_sled().source().unwrap().is::<sled::Error>());
    assert!(KvsError::KeyNotFound.source().is_none());
    assert!(ConnectionError::Closed.source().is_none());
}

/// Programs print an error as one line, without the chain of its sources.
#[test]
fn a_message_is_complete_without_its_source() {
    let errors = [
        KvsError::io("read \"file\"")(refused()),
        KvsError::Connect {
            addr: addr(),
            source: Arc::new(refused()),
        },
        KvsError::Connection {
            addr: addr(),
            cause: refused().into(),
        },
        of_sled(),
    ];
    for error in errors {
        let (message, source) = (error.to_string(), error.source().unwrap().to_string());
        assert_eq!(message.matches(&source).count(), 1, "{message}");
        assert_eq!(message.lines().count(), 1);
    }
}

#[test]
fn an_unknown_name_is_an_error_that_lists_the_known_ones() {
    let engine = "rocksdb".parse::<EngineKind>().unwrap_err();
    let names = "kvs, sled, tokio-fs, cluster";
    assert_eq!(
        engine.to_string(),
        format!("\"rocksdb\" is none of the engines: {names}")
    );
    let level = "often".parse::<SyncLevel>().unwrap_err();
    let names = "always, everysec, never";
    assert_eq!(
        level.to_string(),
        format!("\"often\" is none of the levels: {names}")
    );
}

#[test]
fn an_error_code_is_the_same_string_everywhere() {
    let (_, errors) = include_str!("../docs/protocol.md")
        .split_once("## Errors")
        .unwrap();
    let rows = errors
        .split("\n## ")
        .next()
        .unwrap()
        .matches("\n| `")
        .count();
    assert_eq!(rows, ErrorCode::KNOWN.len());
    for code in ErrorCode::KNOWN.iter().cloned() {
        let text = code.to_string();
        assert_eq!(text, code.as_str());
        assert_eq!(serde_json::to_value(&code).unwrap(), text);
        assert_eq!(text.parse(), Ok(code));
        assert!(errors.contains(&format!("\n| `{text}` | ")), "{text}");
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
