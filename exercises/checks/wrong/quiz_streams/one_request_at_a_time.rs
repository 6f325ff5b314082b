//! Fails: ten_requests_are_pending_at_once: have ten requests pending

use std::error::Error;

use bytes::Bytes;
use futures::{Future, Stream};
use kvs::client::anon::KvsClient;
use kvs::protocol::FrameCodec;
use tokio::codec::Decoder;
use tokio::io::{AsyncRead, AsyncWrite};

fn main() {}

/// Errors of both kinds, `KvsError` and `ConnectionError`, convert into it.
type Failure = Box<dyn Error + Send + Sync>;

fn frame((key, value): (String, String)) -> Bytes {
    format!("{key}={value}").into()
}

fn pair(frame: &[u8]) -> Result<(String, String), Failure> {
    let text = str::from_utf8(frame)?;
    let (key, value) = text.split_once('=').ok_or("a frame without `=`")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Writes all pairs of a store into the pipe, and closes it. While the pipe is full, it asks the
/// server for no further page.
fn dump<P: AsyncRead + AsyncWrite>(
    client: &mut KvsClient,
    pipe: P,
) -> impl Future<Item = (), Error = Failure> + use<P> {
    let pairs = client.scan(String::new()).from_err::<Failure>();
    pairs.map(frame).forward(FrameCodec.framed(pipe)).map(drop)
}

/// Stores all pairs from the pipe, and resolves to their number. Has ten requests pending at once,
/// and not more: while they are, it does not read from the pipe.
fn load<P: AsyncRead + AsyncWrite>(
    mut client: KvsClient,
    pipe: P,
) -> impl Future<Item = u64, Error = Failure> {
    let frames = FrameCodec.framed(pipe).from_err::<Failure>();
    let pairs = frames.and_then(|frame| pair(&frame));
    let sets = pairs.map(move |(key, value)| client.set(key, value).from_err());
    sets.and_then(|set| set)
        .fold(0, |count, ()| Ok::<_, Failure>(count + 1))
}
