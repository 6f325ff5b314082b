// A directory, which is a kvs server itself, has the addresses of other servers as text. To reach
// one of them, we ask the directory, parse the address, and connect to it. All three steps can
// fail. The program wants to know which of them did, and two fail with the same type.
//
// The `map_err` calls are in the wrong place. Move them, so that each step has its own error.
// `docs/background.md`, "One error type along a chain".

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
    // TODO: where does each `map_err` belong?
    directory
        .get(name)
        .map(Option::unwrap_or_default)
        .and_then(|text| text.parse::<SocketAddr>())
        .and_then(KvsClient::connect)
        .map_err(AppError::Directory)
        .map_err(AppError::Address)
        .map_err(AppError::Server)
}

#[cfg(test)]
mod tests {
    use super::*;
    use support::common::NOBODY;
    use support::harness::Script;
    use support::{serve, within_time};

    /// Returns the result of `connect` if the directory has this text.
    fn connect_to(text: &str) -> Result<KvsClient, AppError> {
        let (_dir, server) = serve();
        let mut directory = KvsClient::connect(server.addr).wait().unwrap();
        let set = directory.set("name".to_owned(), text.to_owned());
        set.wait().unwrap();
        connect(&mut directory, "name".to_owned()).wait()
    }

    #[test]
    fn it_connects_to_the_server() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = connect_to(&server.addr.to_string()).unwrap();
            client.get("key".to_owned()).wait().unwrap();
        });
    }

    #[test]
    fn a_directory_that_fails_is_an_error_of_the_directory() {
        within_time(|| {
            // This server closes the connection in place of a reply.
            let script = Script::start(|mut peer| drop(peer.receive()));
            let mut directory = KvsClient::connect(script.addr).wait().unwrap();
            let connected = connect(&mut directory, "name".to_owned()).wait();
            script.finish();
            assert!(
                matches!(
                    connected,
                    Err(AppError::Directory(KvsError::Connection { .. }))
                ),
                "the directory failed: {connected:?}"
            );
        });
    }

    #[test]
    fn text_that_is_no_address_is_an_error_of_the_address() {
        within_time(|| {
            let connected = connect_to("next door");
            let Err(AppError::Address(error)) = &connected else {
                panic!("the text is no address: {connected:?}");
            };
            assert!(error.to_string().contains("address"), "{error}");
        });
    }

    #[test]
    fn a_server_that_is_not_there_is_an_error_of_the_server() {
        within_time(|| {
            let connected = connect_to(&NOBODY.to_string());
            assert!(
                matches!(connected, Err(AppError::Server(KvsError::Connect { .. }))),
                "the directory has answered, and the server was not there: {connected:?}"
            );
        });
    }
}
