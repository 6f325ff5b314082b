//! `keys` and `dump`.

use failure::ResultExt;
use futures::Future;
use kvs::KvsError;
use kvs::protocol::{ErrorCode, Page, Request, Scan};

use crate::cli::{self, Result};
use crate::session::Session;

/// Prints every key that begins with `prefix`, as text or as JSON.
pub fn keys(session: &Session, prefix: Option<String>, json: bool) -> Result<()> {
    let scan = Scan {
        keys_only: true,
        ..Scan::prefix(prefix.unwrap_or_default())
    };
    print_each(session, scan, |line, (key, _)| {
        if json {
            serde_json::to_writer(line, &key)?;
        } else {
            line.extend(key.into_bytes());
        }
        Ok(())
    })
}

/// Prints every pair whose key begins with `prefix`.
pub fn dump(session: &Session, prefix: Option<String>) -> Result<()> {
    let scan = Scan::prefix(prefix.unwrap_or_default());
    print_each(session, scan, |line, pair| {
        Ok(serde_json::to_writer(line, &pair)?)
    })
}

/// Prints each pair of a scan as the line that `write` appends for it. While a page is printed, the
/// next one is on its way, and no other.
fn print_each(
    session: &Session,
    mut scan: Scan,
    write: impl Fn(&mut Vec<u8>, (String, Option<String>)) -> Result<()>,
) -> Result<()> {
    let mut next = Some(session.start(&Request::Scan(scan.clone())));
    while let Some(reply) = next.take() {
        let mut page = match reply.wait()?.into_page() {
            Err(error) if is_too_large(&error) => read_long_pair(session, &scan)?,
            page => page?,
        };
        if let Some(cursor) = page.cursor.take() {
            scan.cursor = Some(cursor);
            next = Some(session.start(&Request::Scan(scan.clone())));
        }
        let mut lines = Vec::new();
        for pair in page.pairs {
            write(&mut lines, pair)?;
            lines.push(b'\n');
        }
        cli::write(&lines)?;
    }
    Ok(())
}

fn is_too_large(error: &KvsError) -> bool {
    matches!(error, KvsError::Server { code, .. } if *code == ErrorCode::TooLarge)
}

/// Returns the page of a pair that fits into the frames of `set` and `get`, but not into that of a
/// page, which is a little longer.
fn read_long_pair(session: &Session, scan: &Scan) -> Result<Page> {
    let key_only = Scan {
        limit: 1,
        keys_only: true,
        ..scan.clone()
    };
    let mut page = session
        .start(&Request::Scan(key_only))
        .wait()?
        .into_page()?;
    let mut pairs = Vec::new();
    for (key, _) in page.pairs {
        let get = Request::Get { key: key.clone() };
        // A key that has been removed meanwhile is not in the dump.
        let value = session.start(&get).wait()?.into_value();
        if let Some(value) = value.with_context(|_| format!("cannot dump {key:?}"))? {
            pairs.push((key, Some(value)));
        }
    }
    page.pairs = pairs;
    Ok(page)
}
