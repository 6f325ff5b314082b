//! The signals of a server, from the beginning of its process to the end.
//!
//! All threads block the signals, and one thread waits for them. So no signal interrupts a system
//! call or ends the process by itself. And none is lost: the system discards signals to process 1
//! of a container if it neither blocks nor handles them.

use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, mem, thread};

use log::{debug, info, warn};
use nix::sys::signal::{SigSet, Signal};
use parking_lot::Mutex;

use super::shutdown::ShutdownHandle;
use crate::error::{KvsError, Result};
use crate::stderr;

/// The exit code of a program that was interrupted, as a shell shows it.
const INTERRUPTED: i32 = 130;

/// The number that a shell adds to the number of the signal that ended a program.
const ENDED_BY_SIGNAL: i32 = 128;

/// Signals that arrive this soon after the first one count as the same request. `timeout` and
/// terminals send a signal to a process and once more to its group.
const REPEATED: Duration = Duration::from_secs(1);

/// The signals that ask a server to stop. SIGXCPU says that the server has used up its processor
/// time (`ulimit -t`). A while later, the system would kill it.
const STOP: &[Signal] = &[
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGXCPU,
    // Container runtimes and monitors of power supplies send it to process 1.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Signal::SIGPWR,
];

/// The signals that a server ignores, because by default they would end or stop it.
const IGNORED: &[Signal] = &[
    // A file may not grow further (`ulimit -f`). If the signal is blocked, the write fails instead.
    Signal::SIGXFSZ,
    // The standard library ignores it, too.
    Signal::SIGPIPE,
    // Some programs read their configuration again or open new log files.
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    // Timers survive an exec, so these may come from the parent.
    Signal::SIGALRM,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    // A descriptor that came from the parent is ready.
    Signal::SIGIO,
    // A log line from the background to a terminal that does not allow it (`stty tostop`).
    Signal::SIGTTOU,
];

/// The signals of this process.
///
/// SIGTERM, SIGINT and SIGHUP ask a server to stop, as does SIGXCPU; `docs/command-line.md` has all
/// of them. The first signal [shuts the server down](Signals::shut_down), and one that comes more
/// than a second later ends the process at once.
///
/// ```no_run
/// use kvs::server::Signals;
/// use kvs::thread_pool::SharedQueueThreadPool;
/// use kvs::{KvStore, KvsServer};
///
/// fn main() -> kvs::Result<()> {
///     let signals = Signals::block()?;
///     signals.obey()?;
///     let store = KvStore::<SharedQueueThreadPool>::open("data", 4)?;
///     let server = KvsServer::new(store).bind(([127, 0, 0, 1], 4000).into())?;
///     signals.shut_down(server.shutdown_handle());
///     server.run()
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Signals {
    stop: SigSet,
    stage: Arc<Mutex<Stage>>,
}

/// The stage of the process, which decides the effect of a signal.
#[derive(Debug)]
enum Stage {
    /// The server is starting, which may be interrupted at any moment, as by a kill.
    Starting,
    /// Work other than serving, which a shutdown would not end.
    Working,
    Serving(ShutdownHandle),
    /// The server has been shutting down since that moment.
    Stopping(Instant),
    /// A signal is ending the process, which writes its last log lines.
    Ending,
}

impl Signals {
    /// Blocks the signals. They stay pending until this process [obeys](Signals::obey) them.
    ///
    /// Call this first in `main`. A thread that was started earlier does not block the signals, and
    /// if the system delivers one to that thread, it kills the process.
    ///
    /// If SIGHUP is ignored, as under `nohup`, it stays ignored. (This works on Linux only.)
    ///
    /// # Errors
    ///
    /// [`KvsError::Io`] if the system cannot block them.
    pub fn block() -> Result<Signals> {
        let mut stop: SigSet = STOP.iter().copied().collect();
        if is_ignored(Signal::SIGHUP) {
            stop.remove(Signal::SIGHUP);
        }
        let ignored: SigSet = IGNORED.iter().copied().collect();
        let blocked = (stop | ignored).thread_block();
        blocked.map_err(|error| KvsError::io("block signals")(error.into()))?;
        Ok(Signals {
            stop,
            stage: Arc::new(Mutex::new(Stage::Starting)),
        })
    }

    /// Waits for the signals on a thread of its own. Until a server [can be shut
    /// down](Signals::shut_down), a signal ends the process at once, with exit code 0.
    ///
    /// # Errors
    ///
    /// [`KvsError::Io`] if the thread cannot be started.
    pub fn obey(&self) -> Result<()> {
        let Signals { stop, stage } = self.clone();
        let wait = move || {
            // This fails only if the set contains a signal that does not exist.
            while let Ok(signal) = stop.wait() {
                obey(&stage, signal);
            }
        };
        let thread = thread::Builder::new().name("kvs-signals".to_owned());
        thread
            .spawn(wait)
            .map_err(KvsError::io("wait for signals"))?;
        Ok(())
    }

    /// Makes the next signal shut `server` down, and a later one end the process at once, with exit
    /// code 130.
    pub fn shut_down(&self, server: ShutdownHandle) {
        let mut stage = self.stage.lock();
        if matches!(*stage, Stage::Ending) {
            drop(stage);
            // A signal came first, so this server does not begin to serve.
            server.shutdown();
        } else {
            *stage = Stage::Serving(server);
        }
    }

    /// Makes a signal end the process at once, with the exit code that a shell shows for a program
    /// that this signal has ended. This is for work for which the exit code 0 means success.
    pub fn interrupt(&self) {
        let mut stage = self.stage.lock();
        if !matches!(*stage, Stage::Ending) {
            *stage = Stage::Working;
        }
    }
}

fn obey(stage: &Mutex<Stage>, signal: Signal) {
    let mut stage = stage.lock();
    // No arm logs before it has unlocked the stage, because the logger may use the signals.
    match mem::replace(&mut *stage, Stage::Ending) {
        Stage::Starting => {
            drop(stage);
            stderr::exit(0, || {
                info!("stopped by {signal} before the server had started");
            });
        }
        Stage::Working => {
            drop(stage);
            stderr::exit(ENDED_BY_SIGNAL + signal as i32, || ());
        }
        Stage::Serving(server) => {
            *stage = Stage::Stopping(Instant::now());
            drop(stage);
            info!(
                "stopping because of {signal}; another signal, a second later or more, stops at once"
            );
            server.shutdown();
        }
        Stage::Stopping(since) if since.elapsed() < REPEATED || signal == Signal::SIGXCPU => {
            *stage = Stage::Stopping(since);
            drop(stage);
            debug!("{signal} changes nothing: the server is stopping");
        }
        Stage::Stopping(_) => {
            drop(stage);
            stderr::exit(INTERRUPTED, || {
                warn!("stopped at once by {signal}: requests in flight are cut off");
            });
        }
        Stage::Ending => {}
    }
}

/// Returns whether this process was started with the signal ignored.
fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 << (signal as i32 - 1) != 0)
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::{Command, Stdio};

    use log::{LevelFilter, Log, Metadata, Record};

    use super::super::shutdown;
    use super::*;

    /// A logger that uses the signals. A user of the library may choose such a logger.
    struct UsesSignals(Signals);

    impl Log for UsesSignals {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn log(&self, _: &Record<'_>) {
            println!("logged");
            self.flush();
        }

        fn flush(&self) {
            self.0.interrupt();
            self.0.shut_down(shutdown::pair().0);
            println!("flushed");
        }
    }

    #[test]
    fn a_logger_may_use_the_signals_while_one_ends_the_process() {
        const NAME: &str =
            "server::signals::tests::a_logger_may_use_the_signals_while_one_ends_the_process";
        const STAGE: &str = "KVS_TEST_STAGE";
        if let Ok(stage) = env::var(STAGE) {
            let stage = match stage.as_str() {
                "starting" => Stage::Starting,
                "working" => Stage::Working,
                _ => Stage::Stopping(Instant::now().checked_sub(REPEATED).unwrap()),
            };
            let signals = Signals {
                stop: SigSet::empty(),
                stage: Arc::new(Mutex::new(stage)),
            };
            log::set_boxed_logger(Box::new(UsesSignals(signals.clone()))).unwrap();
            log::set_max_level(LevelFilter::Trace);
            obey(&signals.stage, Signal::SIGTERM);
            panic!("the signal does not end the process");
        }
        // The signal ends a process, so each of these is another one.
        for (stage, code, logs) in [
            ("starting", 0, true),
            ("working", 143, false),
            ("stopping", 130, true),
        ] {
            let mut child = Command::new(env::current_exe().unwrap())
                .args([NAME, "--exact", "--nocapture"])
                .env(STAGE, stage)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let deadline = Instant::now() + Duration::from_secs(20);
            while child.try_wait().unwrap().is_none() {
                if Instant::now() > deadline {
                    child.kill().unwrap();
                    panic!("{stage}: the logger and the signal wait for each other");
                }
                thread::sleep(Duration::from_millis(5));
            }
            let output = child.wait_with_output().unwrap();
            let stdout = String::from_utf8(output.stdout).unwrap();
            assert_eq!(output.status.code(), Some(code), "{stage}: {stdout}");
            assert_eq!(stdout.contains("logged"), logs, "{stage}: {stdout}");
            assert!(stdout.contains("flushed"), "{stage}: {stdout}");
        }
    }
}
