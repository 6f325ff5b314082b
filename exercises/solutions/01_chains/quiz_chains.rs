// Each function is a chain, and the larger one is made of the smaller ones without a look into
// them. The requests that do not need each other are joined, and `and_then` separates those that
// do. The error of the client is converted in the first chain that meets another error, so
// `transfer` has nothing left to convert.

use std::num::ParseIntError;

use futures::Future;
use futures::future::{self, Either};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

#[derive(Debug)]
enum BankError {
    /// A request failed.
    Store(KvsError),
    /// A balance is no number.
    Number(ParseIntError),
    /// The account has only this balance.
    TooLittle(u64),
}

impl From<KvsError> for BankError {
    fn from(error: KvsError) -> BankError {
        BankError::Store(error)
    }
}

impl From<ParseIntError> for BankError {
    fn from(error: ParseIntError) -> BankError {
        BankError::Number(error)
    }
}

/// Resolves to the balance of an account.
fn balance(
    client: &mut KvsClient,
    account: &str,
) -> impl Future<Item = u64, Error = BankError> + use<> {
    let text = client.get(account.to_owned()).from_err();
    text.and_then(|text| match text {
        Some(text) => Ok(text.parse()?),
        None => Ok(0),
    })
}

/// Stores the balance of an account.
fn store(
    client: &mut KvsClient,
    account: &str,
    balance: u64,
) -> impl Future<Item = (), Error = BankError> + use<> {
    let stored = if balance == 0 {
        let removed = client.remove(account.to_owned());
        // Only this error says that the key is gone. After any other it may still be there.
        Either::A(removed.or_else(|error| match error {
            KvsError::KeyNotFound => Ok(()),
            other => Err(other),
        }))
    } else {
        Either::B(client.set(account.to_owned(), balance.to_string()))
    };
    stored.from_err()
}

/// Transfers `amount` between two accounts, and resolves to their new balances.
fn transfer(
    mut client: KvsClient,
    from: &str,
    to: &str,
    amount: u64,
) -> impl Future<Item = (u64, u64), Error = BankError> + use<> {
    let (from, to) = (from.to_owned(), to.to_owned());
    let balances = balance(&mut client, &from).join(balance(&mut client, &to));
    balances.and_then(move |(left, right)| {
        // Both branches return futures, of two types. A `?` would work in neither, because this
        // closure returns no `Result`.
        let Some(less) = left.checked_sub(amount) else {
            return Either::A(future::err(BankError::TooLittle(left)));
        };
        let more = right + amount;
        let stored = store(&mut client, &from, less).join(store(&mut client, &to, more));
        Either::B(stored.map(move |_| (less, more)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::IntErrorKind;
    use std::time::Duration;
    use support::common::{TestServer, Wire};
    use support::harness::Script;
    use support::{serve, within_time};
    use tokio::runtime::current_thread::Runtime;

    /// Connects a client, and stores these balances.
    fn bank(server: &TestServer, accounts: &[(&str, &str)]) -> KvsClient {
        let mut client = KvsClient::connect(server.addr).wait().unwrap();
        for (account, balance) in accounts {
            let set = client.set(account.to_string(), balance.to_string());
            set.wait().unwrap();
        }
        client
    }

    /// Returns the value on the server.
    fn value(client: &mut KvsClient, account: &str) -> Option<String> {
        client.get(account.to_owned()).wait().unwrap()
    }

    /// Receives two requests, before it replies to the first.
    fn receive_two(peer: &mut Wire, hint: &str) -> [String; 2] {
        let first = peer.receive();
        let patience = Some(Duration::from_secs(4));
        peer.0.set_read_timeout(patience).unwrap();
        let second = peer.try_receive().unwrap_or_else(|_| {
            panic!("{first} waits for its reply before the next request is sent: {hint}")
        });
        [first, second]
    }

    /// A server that does not reply to a request before it has received the next one, too.
    fn replies_to_pairs(mut peer: Wire) {
        for request in receive_two(&mut peer, "`join` both balances") {
            let balance = if request.contains("ann") { 30 } else { 5 };
            peer.send(&format!(r#"{{"Get":"{balance}"}}"#));
        }
        receive_two(&mut peer, "`join` both futures of `store`");
        peer.send(r#""Set""#);
        peer.send(r#""Set""#);
    }

    #[test]
    fn a_balance_is_a_number() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = bank(&server, &[("ann", "30"), ("bob", "much")]);
            let ann = balance(&mut client, "ann").wait();
            assert!(matches!(ann, Ok(30)), "the value is 30: {ann:?}");
            let bob = balance(&mut client, "bob").wait();
            let Err(BankError::Number(error)) = &bob else {
                panic!("the value is \"much\", so the error is Number: {bob:?}");
            };
            assert_eq!(*error.kind(), IntErrorKind::InvalidDigit);
            let eve = balance(&mut client, "eve").wait();
            assert!(
                matches!(eve, Ok(0)),
                "there is no value, so it is 0: {eve:?}"
            );
        });
    }

    #[test]
    fn a_balance_of_zero_is_removed() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = bank(&server, &[("ann", "30")]);
            store(&mut client, "bob", 5).wait().unwrap();
            assert_eq!(value(&mut client, "bob").as_deref(), Some("5"));
            store(&mut client, "ann", 0).wait().unwrap();
            assert_eq!(value(&mut client, "ann"), None, "remove a balance of 0");
            let again = store(&mut client, "ann", 0).wait();
            again.expect("a key that does not exist is removed already: recover from KeyNotFound");
        });
    }

    #[test]
    fn a_remove_that_fails_is_an_error() {
        within_time(|| {
            let script = Script::start(|mut peer| {
                peer.receive();
                peer.send(r#"{"Err":{"code":"storage_full","message":"the disk is full"}}"#);
            });
            let mut client = KvsClient::connect(script.addr).wait().unwrap();
            let stored = store(&mut client, "ann", 0).wait();
            script.finish();
            assert!(
                matches!(stored, Err(BankError::Store(KvsError::Server { .. }))),
                "the disk of the server was full, so the key is still there: recover from \
                 KeyNotFound only: {stored:?}"
            );
        });
    }

    #[test]
    fn a_transfer_changes_both_balances() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = bank(&server, &[("ann", "30")]);
            let (ann, bob) = transfer(client.clone(), "ann", "bob", 10).wait().unwrap();
            assert_eq!((ann, bob), (20, 10), "the new balances");
            let values = (value(&mut client, "ann"), value(&mut client, "bob"));
            let expected = (Some("20".to_owned()), Some("10".to_owned()));
            assert_eq!(
                values, expected,
                "the values on the server: are both futures of `store` steps of your chain?"
            );
            transfer(client.clone(), "ann", "bob", 20).wait().unwrap();
            assert_eq!(value(&mut client, "ann"), None, "ann has nothing left");
        });
    }

    #[test]
    fn a_transfer_that_is_never_polled_changes_nothing() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = bank(&server, &[("ann", "30")]);
            drop(transfer(client.clone(), "ann", "bob", 10));
            let ann = value(&mut client, "ann");
            assert_eq!(ann.as_deref(), Some("30"), "nothing has polled the chain");
        });
    }

    #[test]
    fn a_transfer_of_too_much_changes_nothing() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = bank(&server, &[("ann", "30")]);
            let moved = transfer(client.clone(), "ann", "bob", 31).wait();
            assert!(
                matches!(moved, Err(BankError::TooLittle(30))),
                "ann has only 30: {moved:?}"
            );
            let values = (value(&mut client, "ann"), value(&mut client, "bob"));
            assert_eq!(
                values,
                (Some("30".to_owned()), None),
                "the balances: ann has only 30, and bob still has nothing"
            );
        });
    }

    #[test]
    fn requests_that_do_not_need_each_other_are_sent_together() {
        within_time(|| {
            let script = Script::start(replies_to_pairs);
            // Its one thread reads the replies, too. A `wait` in a step would block it for ever.
            let mut runtime = Runtime::new().unwrap();
            let client = runtime.block_on(KvsClient::connect(script.addr)).unwrap();
            let moved = runtime.block_on(transfer(client, "ann", "bob", 10));
            script.finish();
            assert_eq!(moved.unwrap(), (20, 15), "the new balances");
        });
    }
}
