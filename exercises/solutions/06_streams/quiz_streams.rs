// No line here is about back-pressure, and yet each step holds up the one before it. `forward`
// takes a pair from the scan only when the sink has taken the one before, and the scan asks for a
// page only when it is polled. `buffer_unordered(10)` does not poll the frames while ten requests
// are pending, so `Framed` does not read, and the pipe fills up.
//
// At the end of the scan, `forward` closes the sink, and so `load` finds the end of the pipe.

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
    sets.buffer_unordered(10)
        .fold(0, |count, ()| Ok::<_, Failure>(count + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::io::{self, ErrorKind, Read, Write};
    use std::sync::mpsc;
    use std::sync::{Arc, Mutex};

    use futures::task::{self, Task as Waiting};
    use futures::{Async, Poll};
    use support::harness::Script;
    use support::{Task, serve, within_time};

    /// An end of a pipe in memory.
    struct Pipe {
        shared: Arc<Mutex<Shared>>,
        is_writer: bool,
    }

    struct Shared {
        bytes: VecDeque<u8>,
        room: usize,
        is_closed: bool,
        /// The task that waits for bytes or for room.
        waiting: Option<Waiting>,
    }

    /// Returns the two ends of a pipe with room for so many bytes: that of the writer, and that of
    /// the reader.
    fn pipe(room: usize) -> (Pipe, Pipe) {
        let shared = Arc::new(Mutex::new(Shared {
            bytes: VecDeque::new(),
            room,
            is_closed: false,
            waiting: None,
        }));
        let ends = [true, false].map(|is_writer| Pipe {
            shared: Arc::clone(&shared),
            is_writer,
        });
        ends.into()
    }

    impl Shared {
        fn wait<T>(&mut self) -> io::Result<T> {
            self.waiting = Some(task::current());
            Err(ErrorKind::WouldBlock.into())
        }
    }

    fn wake(waiting: Option<Waiting>) {
        waiting.into_iter().for_each(|task| task.notify());
    }

    impl Pipe {
        fn close(&mut self) {
            let mut shared = self.shared.lock().unwrap();
            shared.is_closed = true;
            let waiting = shared.waiting.take();
            drop(shared);
            wake(waiting);
        }
    }

    impl Read for Pipe {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let mut shared = self.shared.lock().unwrap();
            if self.is_writer || shared.bytes.is_empty() && shared.is_closed {
                return Ok(0);
            }
            if shared.bytes.is_empty() {
                return shared.wait();
            }
            let len = shared.bytes.read(buffer)?;
            let waiting = shared.waiting.take();
            drop(shared);
            wake(waiting);
            Ok(len)
        }
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut shared = self.shared.lock().unwrap();
            if !self.is_writer || shared.is_closed {
                return Err(ErrorKind::BrokenPipe.into());
            }
            let len = bytes.len().min(shared.room - shared.bytes.len());
            if len == 0 && !bytes.is_empty() {
                return shared.wait();
            }
            shared.bytes.extend(&bytes[..len]);
            let waiting = shared.waiting.take();
            drop(shared);
            wake(waiting);
            Ok(len)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl AsyncRead for Pipe {}

    impl AsyncWrite for Pipe {
        fn shutdown(&mut self) -> Poll<(), io::Error> {
            self.close();
            Ok(Async::Ready(()))
        }
    }

    impl Drop for Pipe {
        fn drop(&mut self) {
            self.close();
        }
    }

    #[test]
    fn a_store_moves_to_another_server() {
        within_time(|| {
            let [(_old_dir, old), (_new_dir, new)] = [(); 2].map(|()| serve());
            let mut old = KvsClient::connect(old.addr).wait().unwrap();
            let mut new = KvsClient::connect(new.addr).wait().unwrap();
            for n in 0..30 {
                old.set(n.to_string(), "v".repeat(n)).wait().unwrap();
            }
            let (writer, reader) = pipe(16);
            let both = dump(&mut old, writer).join(load(new.clone(), reader));
            let ((), count) = Task::new(both).finish().unwrap();
            let [before, after] = [&mut old, &mut new].map(|client| {
                let mut pairs = client.scan(String::new()).collect().wait().unwrap();
                pairs.sort();
                pairs
            });
            assert_eq!(
                after, before,
                "the pairs of the new server, and those of the old one"
            );
            assert_eq!(count, 30, "the number of pairs that `load` has stored");
        });
    }

    #[test]
    fn a_full_pipe_holds_up_the_scan() {
        within_time(|| {
            let script = Script::start(|mut peer| {
                peer.receive();
                let value = "v".repeat(20_000);
                let pairs = [("a", &value), ("b", &value), ("c", &value)];
                let pairs = pairs.map(|(key, value)| format!(r#"["{key}","{value}"]"#));
                let pairs = pairs.join(",");
                peer.send(&format!(
                    r#"{{"Scan":{{"pairs":[{pairs}],"cursor":"next"}}}}"#
                ));
                let next = peer.try_receive().unwrap_or_default();
                assert!(
                    !next.contains("Scan"),
                    "the pipe is full, and yet the server is asked for another page: forward the \
                     pairs as they arrive"
                );
                peer.send(r#"{"Get":null}"#);
            });
            let mut client = KvsClient::connect(script.addr).wait().unwrap();
            let (writer, reader) = pipe(1000);
            let is_full = || {
                let shared = reader.shared.lock().unwrap();
                shared.bytes.len() == shared.room
            };
            let mut dump = Task::new(dump(&mut client, writer));
            let mut is_pending = dump.poll().is_ok_and(|dumped| dumped.is_not_ready());
            while is_pending && !is_full() {
                dump.wait_for_wake();
                is_pending = dump.poll().is_ok_and(|dumped| dumped.is_not_ready());
            }
            for _ in 0..3 {
                is_pending = is_pending && dump.poll().is_ok_and(|dumped| dumped.is_not_ready());
            }
            let get = Task::new(client.get("key".to_owned())).finish();
            script.finish();
            assert!(
                is_pending,
                "the pipe is full, and `dump` does not wait for room"
            );
            get.unwrap();
        });
    }

    #[test]
    fn ten_requests_are_pending_at_once() {
        within_time(|| {
            const FRAME: usize = 4 + 5000;
            let (end, told) = mpsc::channel::<()>();
            let silent = Script::start(move |_peer| {
                let _ = told.recv();
            });
            let client = KvsClient::connect(silent.addr).wait().unwrap();
            let (mut writer, reader) = pipe(100 * FRAME);
            for _ in 0..100 {
                writer.write_all(&5000_u32.to_be_bytes()).unwrap();
                writer.write_all(b"key=").unwrap();
                writer.write_all(&[b'v'; 4996]).unwrap();
            }
            let mut load = Task::new(load(client, reader));
            for _ in 0..3 {
                let is_pending = load.poll().is_ok_and(|loaded| loaded.is_not_ready());
                assert!(
                    is_pending,
                    "the server is silent: `load` has to wait for it"
                );
            }
            let left = writer.shared.lock().unwrap().bytes.len() / FRAME;
            let read = 100 - left;
            assert!(
                read >= 10,
                "{read} frames are read: have ten requests pending"
            );
            assert!(
                read <= 12, // `Framed` reads ahead: 8 KiB, or two frames
                "{read} frames are read: while ten requests are pending, do not read on"
            );
            drop((load, end));
            silent.finish();
        });
    }

    #[test]
    fn a_bad_frame_is_an_error() {
        within_time(|| {
            let (_dir, server) = serve();
            let client = KvsClient::connect(server.addr).wait().unwrap();
            let (mut writer, reader) = pipe(100);
            writer.write_all(b"\0\0\0\x03a=1\0\0\0\x03bad").unwrap();
            drop(writer);
            let loaded = Task::new(load(client, reader)).finish();
            assert!(loaded.is_err(), "a frame without `=` is an error");
        });
    }
}
