//! `load`: stores the pairs of a dump, many at a time.
//!
//! A thread reads lines into batches. The connection takes the batches one after the other, so the
//! pairs are stored in the order of the lines, and the last line of a key wins. The replies of some
//! batches may be pending. Everything on the way is bounded: batches in their number, and a batch
//! in its bytes.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::thread;

use failure::{Error, ResultExt, format_err};
use futures::future::{self, Either};
use futures::sync::mpsc;
use futures::{Future, Sink, Stream, stream};
use indicatif::{ProgressBar, ProgressStyle};
use kvs::client::connection::{Connection, Receiving};
use kvs::protocol::{Kind, MAX_FRAME_LEN, Request};

use crate::cli::{self, Result};
use crate::session::Session;
use crate::target::Limit;

/// The most lines of a batch.
const BATCH_LINES: usize = 256;

/// The number of bytes after which a batch ends.
const BATCH_BYTES: usize = 64 * 1024;

/// How many batches may wait for their replies.
const BATCHES: usize = 4;

/// The longest line, in bytes. JSON may write a byte in six, as in `\u0041`.
const MAX_LINE: u64 = 6 * MAX_FRAME_LEN as u64;

/// A line of the input.
struct Line {
    /// Counted from 1.
    number: u64,
    pair: Result<(String, String)>,
}

/// Some lines, and the number of bytes up to their end.
struct Batch<T> {
    lines: Vec<T>,
    end: u64,
}

/// A line whose request is sent, or the error instead.
type Sent = (u64, Result<Receiving>);

/// Stores the pairs of `file`, or of stdin, and prints how many there were.
pub fn load(session: &Session, file: Option<&Path>, from_line: u64) -> Result<()> {
    let file = match file.filter(|path| *path != Path::new("-")) {
        Some(path) => File::open(path).context(format!("cannot open {path:?}"))?,
        None => {
            let stdin = io::stdin().as_fd().try_clone_to_owned();
            File::from(stdin.context("cannot read stdin")?)
        }
    };
    let bar = progress_bar(&file);
    // The sender has room for one batch itself.
    let (sender, batches) = mpsc::channel(0);
    thread::spawn(move || Reader::new(file).send_batches(from_line, sender));
    let of_load = bar.clone();
    let stored = session.spawn(|connection, limit| store(connection, limit, batches, of_load));
    let stored = stored.wait();
    bar.finish_and_clear();
    cli::print(format_args!("pairs stored: {}", stored?))
}

/// Returns the progress of reading `file` on a terminal.
fn progress_bar(file: &File) -> ProgressBar {
    let len = file.metadata().ok().filter(Metadata::is_file);
    let (bar, template) = match len {
        Some(file) => (
            ProgressBar::new(file.len()),
            "{bytes} of {total_bytes} {wide_bar} {bytes_per_sec} {eta}",
        ),
        None => (ProgressBar::no_length(), "{bytes} {bytes_per_sec}"),
    };
    let style = ProgressStyle::with_template(template);
    bar.with_style(style.unwrap_or(ProgressStyle::default_bar()))
}

/// Reads a dump.
struct Reader {
    input: BufReader<File>,
    /// The number of lines that were read.
    line: u64,
    /// The number of bytes that were read.
    end: u64,
}

impl Reader {
    fn new(file: File) -> Reader {
        Reader {
            input: BufReader::with_capacity(BATCH_BYTES, file),
            line: 0,
            end: 0,
        }
    }

    /// Sends the batches until the end of the input, or until the first line that is not a pair.
    fn send_batches(mut self, from_line: u64, mut sender: mpsc::Sender<Batch<Line>>) {
        loop {
            let mut lines = Vec::new();
            let start = self.end;
            let mut is_over = false;
            while !is_over && lines.len() < BATCH_LINES && self.end - start < BATCH_BYTES as u64 {
                let pair = self.next_pair(from_line);
                is_over = !matches!(pair, Some(Ok(_)));
                lines.extend(pair.map(|pair| Line {
                    number: self.line,
                    pair,
                }));
                // The next read may wait for more input, which should not hold up these lines.
                if self.input.buffer().is_empty() {
                    break;
                }
            }
            let end = self.end;
            match sender.send(Batch { lines, end }).wait() {
                Ok(again) if !is_over => sender = again,
                // Otherwise an error has ended the load, unless the input is over.
                _ => return,
            }
        }
    }

    /// Returns the next pair, or `None` at the end.
    fn next_pair(&mut self, from_line: u64) -> Option<Result<(String, String)>> {
        let mut line = Vec::new();
        loop {
            line.clear();
            self.line += 1;
            let read = (&mut self.input)
                .take(MAX_LINE)
                .read_until(b'\n', &mut line);
            match read.context("cannot read the input") {
                Ok(0) => return None,
                Ok(len) => self.end += len as u64,
                Err(error) => return Some(Err(error.into())),
            }
            if line.len() as u64 == MAX_LINE {
                return Some(Err(format_err!("longer than {MAX_LINE} bytes")));
            }
            let line = line.trim_ascii();
            if self.line >= from_line && !line.is_empty() {
                return Some(serde_json::from_slice(line).map_err(|error| not_a_pair(&error)));
            }
        }
    }
}

fn not_a_pair(error: &serde_json::Error) -> Error {
    let text = error.to_string();
    // serde_json counts lines as well, and knows only this one.
    let cause = text.split(" at line ").next().unwrap_or(&text);
    let column = error.column();
    format_err!(r#"not a pair like ["key","value"]: {cause} at column {column}"#)
}

/// Stores the pairs of all batches, and returns their number.
fn store(
    connection: Connection,
    limit: Limit,
    batches: mpsc::Receiver<Batch<Line>>,
    bar: ProgressBar,
) -> impl Future<Item = u64, Error = Error> + Send {
    let of_replies = limit.clone();
    batches
        .map_err(|()| format_err!("the input ended too early"))
        .and_then(move |batch| send(&connection, &limit, batch))
        .map(move |batch| receive(of_replies.clone(), batch))
        .buffered(BATCHES)
        .fold(0, move |stored, received| {
            let Batch { lines, end } = received?;
            bar.set_position(end);
            Ok::<_, Error>(stored + lines.len() as u64)
        })
}

/// Sends the requests of a batch. A request that cannot be sent is an error of its line, because
/// the replies to earlier lines come first.
fn send(
    connection: &Connection,
    limit: &Limit,
    batch: Batch<Line>,
) -> impl Future<Item = Batch<Sent>, Error = Error> + Send + use<> {
    let (connection, limit, end) = (connection.clone(), limit.clone(), batch.end);
    let lines = stream::iter_ok(batch.lines).and_then(move |Line { number, pair }| match pair {
        Ok((key, value)) => {
            let (sending, receiving) = connection.request(&Request::Set { key, value });
            let sent = limit.reply(Kind::Set, sending.map(|()| receiving));
            Either::A(sent.then(move |sent| Ok((number, sent))))
        }
        Err(error) => Either::B(future::ok((number, Err(error)))),
    });
    lines.collect().map(move |lines| Batch { lines, end })
}

/// Waits for the replies of a batch. The error names the first line that is not stored. It is an
/// item, because a stream passes an error on before the items that are not ready.
fn receive(
    limit: Limit,
    batch: Batch<Sent>,
) -> impl Future<Item = Result<Batch<()>>, Error = Error> + Send {
    let end = batch.end;
    let lines = stream::iter_ok(batch.lines).and_then(move |(number, sent)| {
        let limit = limit.clone();
        let reply = future::result(sent).and_then(move |reply| limit.reply(Kind::Set, reply));
        let stored = reply.and_then(|reply| Ok(reply.into_done()?));
        stored.map_err(move |error| at_line(number, &error))
    });
    let lines = lines.collect().map(move |lines| Batch { lines, end });
    lines.then(Ok)
}

fn at_line(number: u64, error: &Error) -> Error {
    format_err!(
        "line {number}: {}; the lines before it are stored, and --from-line {number} continues \
         there",
        cli::with_contexts(error)
    )
}
