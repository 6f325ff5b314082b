//! Lines for stderr. No thread waits until stderr takes them.
//!
//! If stderr is a pipe without a reader, it blocks the thread that writes to it. So all threads put
//! their lines into a queue, and one separate thread writes them. If stderr does not take the
//! lines, the queue fills up. Further lines are dropped and counted, and as soon as stderr takes
//! lines again, a line reports the count.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};
use std::{mem, panic, process};

use parking_lot::{Condvar, Mutex, MutexGuard};

/// The most bytes that may wait for stderr.
const CAPACITY: usize = 1024 * 1024;

/// How long to wait for stderr before the process ends.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long to wait for stderr after a panic. The thread may have requests to serve.
const PANIC_PATIENCE: Duration = Duration::from_millis(100);

/// How long to wait if stderr is full, and another process has made it non-blocking.
const PAUSE: Duration = Duration::from_millis(10);

static LINES: Lines = Lines {
    queue: Mutex::new(Queue {
        pending: Vec::new(),
        lost: 0,
        has_writer: false,
        writing_since: None,
        last: None,
    }),
    is_changed: Condvar::new(),
};

/// The queue of lines, and the signal between the threads that use it.
struct Lines {
    queue: Mutex<Queue>,
    /// Signals that there is a line to write, or that the writer has written all of them.
    is_changed: Condvar,
}

struct Queue {
    /// Whole lines, in the order in which they were pushed.
    pending: Vec<u8>,
    /// The number of lines that were dropped and have not been reported yet.
    lost: u64,
    /// Whether the writer has started. If its thread could not start, the next line tries again.
    has_writer: bool,
    /// When the writer took the lines that it is now writing.
    writing_since: Option<Instant>,
    /// The thread that ends the process. Lines of other threads are dropped.
    last: Option<ThreadId>,
}

impl Lines {
    fn push(&'static self, line: &[u8]) {
        let mut queue = self.queue.lock();
        if queue
            .last
            .is_some_and(|last| last != thread::current().id())
        {
            return;
        }
        if queue.pending.len() + line.len() <= CAPACITY {
            queue.pending.extend_from_slice(line);
        } else {
            queue.lost += 1;
        }
        if !queue.has_writer {
            let writer = thread::Builder::new().name("kvs-stderr".to_owned());
            queue.has_writer = writer.spawn(|| self.write()).is_ok();
        }
        drop(queue);
        self.is_changed.notify_all();
    }

    /// Writes all lines that are pushed. Never returns.
    fn write(&self) {
        let mut queue = self.queue.lock();
        loop {
            while queue.pending.is_empty() {
                self.is_changed.wait(&mut queue);
            }
            write_pending(&mut queue);
            self.is_changed.notify_all();
        }
    }

    /// Waits until all lines are written, or until stderr has taken none for `patience`.
    fn flush(&self, patience: Duration) {
        let mut queue = self.queue.lock();
        let deadline = queue.writing_since.unwrap_or_else(Instant::now) + patience;
        while !queue.pending.is_empty() || queue.writing_since.is_some() {
            if !queue.has_writer {
                // The system had no thread for the writer, so this thread writes.
                write_pending(&mut queue);
            } else if self.is_changed.wait_until(&mut queue, deadline).timed_out() {
                return;
            }
        }
    }
}

/// Writes the pending lines. Unlocks the queue meanwhile.
fn write_pending(queue: &mut MutexGuard<'_, Queue>) {
    let lines = mem::take(&mut queue.pending);
    // Lines are lost only while the queue is full, so they came after all lines that are in it.
    let lost = mem::take(&mut queue.lost);
    queue.writing_since = Some(Instant::now());
    let lost_again = MutexGuard::unlocked(queue, || {
        let failed = write_lines(&lines);
        if lost == 0 {
            return failed;
        }
        let report = format!("{lost} log lines were lost: stderr did not take them\n");
        match write_lines(report.as_bytes()) {
            0 => failed,
            _ => failed + lost,
        }
    });
    queue.writing_since = None;
    queue.lost += lost_again;
}

/// Writes lines to stderr, and returns the number of those that it refused.
fn write_lines(mut lines: &[u8]) -> u64 {
    let mut stderr = io::stderr();
    while !lines.is_empty() {
        match stderr.write(lines) {
            Ok(0) => break,
            Ok(written) => lines = &lines[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(_) => break,
        }
    }
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Puts one line into the queue for stderr.
pub fn print(line: impl Display) {
    LINES.push(format!("{line}\n").as_bytes());
}

/// Installs a panic hook that reports panics through the queue, so that no thread waits for stderr.
pub fn report_panics() {
    panic::set_hook(Box::new(|panic| {
        let thread = thread::current();
        let name = thread.name().unwrap_or("<unnamed>");
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            print(format_args!("thread '{name}' {panic}\n{backtrace}"));
        } else {
            print(format_args!("thread '{name}' {panic}"));
        }
        // The panic may end the process, so its line has to be written first.
        LINES.flush(PANIC_PATIENCE);
    }));
}

/// Ends the process with this exit code, after `say` has logged the last lines. No line of another
/// thread follows them.
pub fn exit(code: i32, say: impl FnOnce()) -> ! {
    LINES.queue.lock().last = Some(thread::current().id());
    say();
    // The process may have another logger.
    log::logger().flush();
    process::exit(code);
}

/// Waits until all lines are written, or until stderr has taken none for a while.
pub fn flush() {
    LINES.flush(PATIENCE);
}

/// A guard for `main` that waits for the pending lines when it is dropped, also after a panic. If
/// another thread is ending the process, it waits for that end.
#[derive(Debug)]
pub struct FlushOnDrop;

impl Drop for FlushOnDrop {
    fn drop(&mut self) {
        flush();
        // The end of `main` would be the end of the process, perhaps before that thread has said
        // why it ends it, and with another exit code.
        let last = LINES.queue.lock().last;
        while last.is_some_and(|last| last != thread::current().id()) {
            thread::park();
        }
    }
}

/// A writer into the queue, for a logger that writes each record in one piece.
#[derive(Debug)]
pub struct ToQueue;

impl Write for ToQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        LINES.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::Command;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_end_of_main_does_not_cut_off_the_thread_that_ends_the_process() {
        const NAME: &str =
            "stderr::tests::the_end_of_main_does_not_cut_off_the_thread_that_ends_the_process";
        const IS_CHILD: &str = "KVS_TEST_ENDS";
        if env::var(IS_CHILD).is_ok() {
            let (begin, begun) = mpsc::channel();
            let (end, ended) = mpsc::channel();
            let ends = move || {
                begin.send(()).unwrap();
                // If this returns early, the guard has not waited, and the other thread goes first.
                if ended.recv_timeout(Duration::from_millis(100)) == Ok(()) {
                    thread::sleep(PATIENCE);
                }
                print("the last line");
                LINES.flush(PATIENCE);
            };
            thread::spawn(move || exit(7, ends));
            begun.recv().unwrap();
            drop(FlushOnDrop);
            end.send(()).unwrap();
            process::exit(0);
        }
        let mut test = Command::new(env::current_exe().unwrap());
        let child = test.args([NAME, "--exact", "--nocapture"]);
        let output = child.env(IS_CHILD, "yes").output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(7), "{stderr}");
        assert!(stderr.contains("the last line"), "{stderr}");
    }
}
