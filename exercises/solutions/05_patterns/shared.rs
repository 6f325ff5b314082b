// The clones share one request, and the first one that is polled sends it. Each resolves to a
// pointer to the one value. The error is behind such a pointer, too, so we clone the `KvsError` out
// of it.

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
    load: impl FnOnce() -> F,
) -> (
    impl Future<Item = String, Error = KvsError>,
    impl Future<Item = String, Error = KvsError>,
) {
    let config = load().shared();
    let size = config.clone().map(|config| word(&config, 1));
    let color = config.map(|config| word(&config, 0));
    let color = color.map_err(|error| (*error).clone());
    let size = size.map_err(|error| (*error).clone());
    (color, size)
}

fn word(text: &str, n: usize) -> String {
    let word = text.split_whitespace().nth(n);
    word.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use support::{Requests, Task, refused, serve, within_time};

    const CONFIG: &str = "red large";

    #[test]
    fn one_request_is_enough() {
        within_time(|| {
            let server = Requests::new();
            let (color, size) = color_and_size(|| server.make("config"));
            let (mut color, mut size) = (Task::new(color), Task::new(size));
            assert!(server.sent().is_empty(), "requests before the first poll");
            color.expect_not_ready();
            size.expect_not_ready();
            assert_eq!(server.sent().len(), 1, "requests for the configuration");
            server.answer("config", Ok(CONFIG.to_owned()));
            assert_eq!(color.finish().unwrap(), "red", "the first word");
            assert_eq!(size.finish().unwrap(), "large", "the second word");
        });
    }

    #[test]
    fn each_part_works_without_the_other() {
        within_time(|| {
            let server = Requests::new();
            let (color, size) = color_and_size(|| server.make("config"));
            let mut size = Task::new(size);
            size.expect_not_ready();
            assert_eq!(
                server.sent().len(),
                1,
                "requests: only the second part was polled, and it has to send the request, too"
            );
            drop(color);
            server.answer("config", Ok(CONFIG.to_owned()));
            assert!(size.wakes() > 0, "the answer is there, and no wake-up came");
            assert_eq!(size.finish().unwrap(), "large", "the second word");

            let (color, size) = color_and_size(|| server.make("config"));
            let (mut color, mut size) = (Task::new(color), Task::new(size));
            size.expect_not_ready();
            color.expect_not_ready();
            drop(size);
            server.answer("config", Ok(CONFIG.to_owned()));
            assert!(
                color.wakes() > 0,
                "the other part is gone, and no wake-up came"
            );
            assert_eq!(color.finish().unwrap(), "red", "the first word");
        });
    }

    #[test]
    fn both_get_the_error() {
        within_time(|| {
            let server = Requests::new();
            let (color, size) = color_and_size(|| server.make("config"));
            let (mut color, mut size) = (Task::new(color), Task::new(size));
            color.expect_not_ready();
            size.expect_not_ready();
            server.answer("config", Err(refused()));
            for error in [color.finish().unwrap_err(), size.finish().unwrap_err()] {
                assert!(
                    matches!(error, KvsError::Connect { .. }),
                    "each part gets a clone of the request's own error, but this is {error:?}"
                );
            }
        });
    }

    #[test]
    fn it_works_with_a_server() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            client
                .set("config".to_owned(), CONFIG.to_owned())
                .wait()
                .unwrap();
            let load = || client.get("config".to_owned()).map(Option::unwrap);
            let (color, size) = color_and_size(load);
            let both = color.join(size).wait().unwrap();
            assert_eq!(both, ("red".to_owned(), "large".to_owned()), "both words");
        });
    }
}
