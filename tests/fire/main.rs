//! The server with peers that are slow, broken, hostile or many.

mod ahead;
#[path = "../common/mod.rs"]
mod common;
mod limits;
mod load;
mod slow_engine;
mod slow_peers;
#[cfg(target_os = "linux")]
mod stopped;
mod tokens;

use common::{Store, TestServer, wait_for_stats};
use kvs::client::blocking::KvsClient;
use kvs::server::Limits;
use kvs::{KvsError, KvsServer};
use tempfile::TempDir;

const GET_K: &str = r#"{"Get":{"key":"k"}}"#;

fn serve(limits: Limits) -> (TempDir, TestServer) {
    let dir = tempfile::tempdir().unwrap();
    let server = KvsServer::new(Store::open(dir.path(), 2).unwrap()).limits(limits);
    (dir, TestServer::serve(server))
}

fn has_code(result: kvs::Result<()>, expected: &str) -> bool {
    matches!(result, Err(KvsError::Server { code, .. }) if code.as_str() == expected)
}

/// Waits until the server has exactly `expected` connections.
fn wait_for_connections(client: &mut KvsClient, expected: u64) {
    wait_for_stats(client, |stats| stats.connections == expected);
}
