//! Fails: each_part_works_without_the_other: only the second part was polled

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
    let (sender, receiver) = futures::sync::oneshot::channel();
    let color = load().then(move |result| {
        let _ = sender.send(result.clone());
        result.map(|config| word(&config, 0))
    });
    let size = receiver.then(|result| result.unwrap().map(|config| word(&config, 1)));
    (color, size)
}

fn word(text: &str, n: usize) -> String {
    let word = text.split_whitespace().nth(n);
    word.unwrap_or_default().to_owned()
}
