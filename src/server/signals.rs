//! The signals that a server can get, from the first instruction of its process to the last one.
//!
//! All of them are blocked in all threads, and one thread waits for them. So none interrupts a system
//! call or ends the process by itself, and none is missed, as process 1 of a container would miss
//! those that it neither blocks nor handles.

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

/// What a shell adds to the number of the signal that ended a program.
const ENDED_BY_SIGNAL: i32 = 128;

/// Signals that come this soon after the first one are the same wish. `timeout` and a terminal send
/// theirs to a process and once more to its group.
const SAME_WISH: Duration = Duration::from_secs(1);

/// The signals that ask a server to stop. SIGXCPU says that its time on the processor is used up
/// (`ulimit -t`); a while later the system would kill it.
const STOP: &[Signal] = &[
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGXCPU,
    // Container runtimes and the guards of power supplies send it to process 1.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Signal::SIGPWR,
];

/// The signals that have nothing to say to a server, and would end or stop it.
const IGNORED: &[Signal] = &[
    // A file may not grow further (`ulimit -f`). Blocked, it leaves the write an error.
    Signal::SIGXFSZ,
    // The standard library ignores it, too.
    Signal::SIGPIPE,
    // For programs that read their configuration again or open new log files.
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    // Timers outlive the start of another program: these would be those of its parent.
    Signal::SIGALRM,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    // A descriptor that came from the parent is ready.
    Signal::SIGIO,
    // A log line in the background of a terminal that wants none (`stty tostop`).
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

/// What a signal interrupts.
#[derive(Debug)]
enum Stage {
    /// The server is being started, which may be cut short at any moment, as by a kill.
    Starting,
    /// Nothing that a shutdown would end.
    Working,
    Serving(ShutdownHandle),
    /// The shutdown, since that moment.
    Stopping(Instant),
}

impl Signals {
    /// Blocks the signals, so that they wait until this process [obeys](Signals::obey) them.
    ///
    /// `main` calls this first of all. A thread that was started earlier does not block them, and a
    /// signal that the system delivers to it kills the process.
    ///
    /// If SIGHUP is ignored, as under `nohup`, it remains so. (Only Linux tells us.)
    ///
    /// # Errors
    ///
    /// [`KvsError::Io`] if the system refuses it.
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
            // It fails for a set with a signal that does not exist, and this one has none.
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

    /// From now on a signal shuts `server` down, and a later one ends the process at once, with exit
    /// code 130.
    pub fn shut_down(&self, server: ShutdownHandle) {
        *self.stage.lock() = Stage::Serving(server);
    }

    /// From now on a signal ends the process at once, with the exit code that a shell shows for a
    /// program that this signal has ended: for work whose success is the exit code 0.
    pub fn interrupt(&self) {
        *self.stage.lock() = Stage::Working;
    }
}

fn obey(stage: &Mutex<Stage>, signal: Signal) {
    let mut stage = stage.lock();
    match &*stage {
        // The stage stays locked, so that nobody begins to serve meanwhile.
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
                warn!("stopped at once by {signal}: what was in flight is cut off");
            });
        }
    }
}

/// Tells whether this process was started with the signal ignored.
fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 << (signal as i32 - 1) != 0)
}
