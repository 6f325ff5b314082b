//! Fails: one_request_is_enough: requests for the configuration

use futures::Future;
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {
    let addr = ([127, 0, 0, 1], 4000).into();
    let load = || {
        let connect = KvsClient::connect(addr);
        let get = connect.and_then(|mut client| client.get("config".to_owned()));
        get.map(|config| config.unwrap_or("red large".to_owned()))
    };
    let (color, size) = color_and_size(load);
    println!("{:?}", color.join(size).wait());
}

/// Returns a future for the first word of the configuration, and one for the second word. `load`
/// makes the request for the configuration.
fn color_and_size<F: Future<Item = String, Error = KvsError>>(
    mut load: impl FnMut() -> F,
) -> (
    impl Future<Item = String, Error = KvsError>,
    impl Future<Item = String, Error = KvsError>,
) {
    let color = load().shared().map(|config| word(&config, 0));
    let size = load().shared().map(|config| word(&config, 1));
    let color = color.map_err(|error| (*error).clone());
    let size = size.map_err(|error| (*error).clone());
    (color, size)
}

fn word(text: &str, n: usize) -> String {
    let word = text.split_whitespace().nth(n);
    word.unwrap_or_default().to_owned()
}
