//! The request for a page of a scan, and its reply, as JSON.

use kvs::client::PAGE;

use crate::common::Wire;

/// Returns the JSON of the request that a client has to send for a page.
pub fn request(cursor: Option<&str>, prefix: &str) -> String {
    let cursor = cursor.map_or("null".to_owned(), |cursor| format!("{cursor:?}"));
    format!(
        r#"{{"Scan":{{"cursor":{cursor},"limit":{PAGE},"prefix":"{prefix}","keys_only":false}}}}"#
    )
}

/// Returns the JSON of a page.
pub fn page(pairs: &[(&str, &str)], cursor: Option<&str>) -> String {
    let pairs = pairs
        .iter()
        .map(|(key, value)| format!("[{key:?},{value:?}]"));
    let pairs = pairs.collect::<Vec<_>>().join(",");
    let cursor = cursor.map_or("null".to_owned(), |cursor| format!("{cursor:?}"));
    format!(r#"{{"Scan":{{"pairs":[{pairs}],"cursor":{cursor}}}}}"#)
}

/// Receives the request for the page at `cursor`, and answers it.
pub fn answer(peer: &mut Wire, cursor: Option<&str>, reply: &str) {
    assert_eq!(peer.receive(), request(cursor, ""));
    peer.send(reply);
}
