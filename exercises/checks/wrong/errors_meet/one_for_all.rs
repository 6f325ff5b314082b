//! Fails: a_server_that_is_not_there_is_an_error_of_the_server: the directory has answered

use std::net::{AddrParseError, SocketAddr};

use futures::Future;
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

#[derive(Debug)]
enum AppError {
    /// The directory did not answer.
    Directory(KvsError),
    /// The directory has no address under this name.
    Address(AddrParseError),
    /// The server at the address could not be reached.
    Server(KvsError),
}

/// Connects to the server whose address the directory has under `name`.
fn connect(
    directory: &mut KvsClient,
    name: String,
) -> impl Future<Item = KvsClient, Error = AppError> + use<> {
    directory
        .get(name)
        .map_err(AppError::Directory)
        .map(Option::unwrap_or_default)
        .and_then(|text| text.parse::<SocketAddr>().map_err(AppError::Address))
        .and_then(|addr| KvsClient::connect(addr).map_err(AppError::Directory))
}
