//! `keys` and `dump`.

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
    for_each_page(session, scan, |page| {
        let mut lines = Vec::new();
        for (key, _) in page.pairs {
            if json {
                serde_json::to_writer(&mut lines, &key)?;
            } else {
                lines.extend(key.into_bytes());
            }
            lines.push(b'\n');
        }
        cli::write(&lines)
    })
}

/// Prints every pair whose key begins with `prefix`.
pub fn dump(session: &Session, prefix: Option<String>) -> Result<()> {
    let scan = Scan::prefix(prefix.unwrap_or_default());
    for_each_page(session, scan, |page| {
        let mut lines = Vec::new();
        for pair in page.pairs {
            serde_json::to_writer(&mut lines, &pair)?;
            lines.push(b'\n');
        }
        cli::write(&lines)
    })
}

/// Passes each page of a scan to `write`. Meanwhile the next page is on its way, and no other.
fn for_each_page(
    session: &Session,
    mut scan: Scan,
    mut write: impl FnMut(Page) -> Result<()>,
) -> Result<()> {
    let mut next = Some(session.start(&Request::Scan(scan.clone())));
    while let Some(reply) = next.take() {
        let mut page = match reply.wait()?.into_page() {
            Err(KvsError::Server {
                code: ErrorCode::TooLarge,
                ..
            }) => read_long_page(session, &scan)?,
            page => page?,
        };
        if let Some(cursor) = page.cursor.take() {
            scan.cursor = Some(cursor);
            next = Some(session.start(&Request::Scan(scan.clone())));
        }
        write(page)?;
    }
    Ok(())
}

/// Returns the next page of a scan with one pair. A page is a little longer than the pair, so a
/// value that a frame can just hold is read by itself.
fn read_long_page(session: &Session, scan: &Scan) -> Result<Page> {
    let scan = Scan {
        limit: 1,
        keys_only: true,
        ..scan.clone()
    };
    let mut page = session.start(&Request::Scan(scan)).wait()?.into_page()?;
    for (key, value) in &mut page.pairs {
        let key = key.clone();
        *value = session.start(&Request::Get { key }).wait()?.into_value()?;
    }
    // Meanwhile the key may have been removed.
    page.pairs.retain(|(_, value)| value.is_some());
    Ok(page)
}
