//! SIGTERM and SIGINT: the first one stops the server in good order, the second one at once.

use std::{io, mem, process, thread};

use futures::{Future, Stream};
use log::{info, warn};
use tokio::runtime::current_thread::Runtime;
use tokio_signal::unix::{SIGINT, SIGTERM, Signal};

use super::ShutdownHandle;
use crate::error::{KvsError, Result};

/// The exit code of a program that was interrupted, as a shell shows it.
const INTERRUPTED: i32 = 130;

/// Has the signals of this process stop a server. They are waited for on a thread of their own.
///
/// # Errors
///
/// [`KvsError::Io`] where the system does not let us.
pub fn stop_on_signals(server: ShutdownHandle) -> Result<()> {
    // It returns when the signals are caught: one that comes a moment later is not missed.
    let (ready, is_ready) = std::sync::mpsc::channel();
    let wait = move || match catch() {
        Ok((mut runtime, signals)) => {
            let _ = ready.send(Ok(()));
            let mut is_first = true;
            let stop = signals.for_each(move |_| {
                if !mem::replace(&mut is_first, false) {
                    warn!("stopping at once");
                    process::exit(INTERRUPTED);
                }
                info!("stopping; another signal stops at once");
                server.shutdown();
                Ok(())
            });
            // It never ends.
            let _ = runtime.block_on(stop);
        }
        Err(error) => drop(ready.send(Err(error))),
    };
    let spawned = thread::Builder::new()
        .name("kvs-signals".to_owned())
        .spawn(wait);
    let caught = spawned.and_then(|_| is_ready.recv().map_err(io::Error::other)?);
    caught.map_err(KvsError::io("catch signals"))
}

type Signals = Box<dyn Stream<Item = i32, Error = io::Error>>;

fn catch() -> io::Result<(Runtime, Signals)> {
    let mut runtime = Runtime::new()?;
    let both = Signal::new(SIGTERM).join(Signal::new(SIGINT));
    let (terminate, interrupt) = runtime.block_on(both)?;
    Ok((runtime, Box::new(terminate.select(interrupt))))
}
