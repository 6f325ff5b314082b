//! Fails: both_get_the_error: a clone of the request's own error

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
    let config = load().shared();
    let size = config.clone().map(|config| word(&config, 1));
    let color = config.map(|config| word(&config, 0));
    let color = color.map_err(|error| std::io::Error::other(error.to_string()).into());
    let size = size.map_err(|error| std::io::Error::other(error.to_string()).into());
    (color, size)
}

fn word(text: &str, n: usize) -> String {
    let word = text.split_whitespace().nth(n);
    word.unwrap_or_default().to_owned()
}
