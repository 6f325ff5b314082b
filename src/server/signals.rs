//! The signals of a server, from the beginning of its process to the end.
//!
//! All threads block the signals, and one thread waits for them. So no signal interrupts a system
//! call or ends the process by itself. And none is lost: the system discards signals to process 1
//! of a container if it neither blocks nor handles them.

use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, thread};

use log::{debug, info, warn};
use nix::sys::signal::{SigSet, Signal};
use parking_lot::Mutex;

use super::ShutdownHandle;
use crate::error::{KvsError, Result};
use crate::stderr;

/// The exit code of a program that was interrupted, as a shell shows it.
const INTERRUPTED: i32 = 130;

/// The number that a shell adds to the number of the signal that ended a program.
const ENDED_BY_SIGNAL: i32 = 128;

/// Signals that arrive this soon after the first one count as the same request. `timeout` and
/// terminals send a signal to a process and once more to its group.
const SAME_WISH: Duration = Duration::from_secs(1);

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
/// of them. The first signal [shuts the server down](Signals::shut_down), and one that comes more than
/// a second later ends the process at once.
///
/// ```no_run
/// use kvs::KvsServer;
/// use kvs::server::Signals;
/// # fn engine() -> kvs::SledKvsEngine<kvs::thread_pool::SharedQueueThreadPool> { unimplemented!() }
///
/// fn main() -> kvs::Result<()> {
///     let signals = Signals::block()?;
///     signals.obey()?;
///     let server = KvsServer::new(engine()).bind(([127, 0, 0, 1], 4000).into())?;
///     signals.shut_down(server.shutdown_handle());
///     server.run()
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Signals {
    stop: SigSet,
    stage: Arc<Mutex<Stage>>,
}

/// The stage of the process, which decides what a signal does.
#[derive(Debug)]
enum Stage {
    /// The server is starting, which may be interrupted at any moment, as by a kill.
    Starting,
    /// Work other than serving, which a shutdown would not end.
    Working,
    Serving(ShutdownHandle),
    /// The server has been shutting down since that moment.
    Stopping(Instant),
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
        *self.stage.lock() = Stage::Serving(server);
    }

    /// Makes a signal end the process at once, with the exit code that a shell shows for a program
    /// that this signal has ended. This is for work for which the exit code 0 means success.
    pub fn interrupt(&self) {
        *self.stage.lock() = Stage::Working;
    }
}

fn obey(stage: &Mutex<Stage>, signal: Signal) {
    let mut stage = stage.lock();
    match &*stage {
        // The stage stays locked, so that the server does not begin to serve meanwhile.
        Stage::Starting => {
            stderr::exit(0, || {
                info!("stopped by {signal} before the server had started");
            });
        }
        Stage::Working => stderr::exit(ENDED_BY_SIGNAL + signal as i32, || ()),
        Stage::Serving(server) => {
            let server = server.clone();
            *stage = Stage::Stopping(Instant::now());
            drop(stage);
            info!(
                "stopping because of {signal}; another signal, a second later or more, stops at once"
            );
            server.shutdown();
        }
        Stage::Stopping(since) => {
            let is_same_wish = since.elapsed() < SAME_WISH || signal == Signal::SIGXCPU;
            drop(stage);
            if is_same_wish {
                debug!("{signal} changes nothing: the server is stopping");
                return;
            }
            stderr::exit(INTERRUPTED, || {
                warn!("stopped at once by {signal}: requests in flight are cut off");
            });
        }
    }
}

/// Returns whether this process was started with the signal ignored.
fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 << (signal as i32 - 1) != 0)
}
