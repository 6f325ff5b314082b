//! Fails: requests_that_do_not_need_each_other_are_sent_together: `join` both futures of `store`

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
        let stored =
            store(&mut client, &from, less).and_then(move |()| store(&mut client, &to, more));
        Either::B(stored.map(move |_| (less, more)))
    })
}
