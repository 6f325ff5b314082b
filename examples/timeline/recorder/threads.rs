//! The threads that wake tasks: the reactor and the timer of tokio 0.1.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio_executor::park::{Park, ParkThread, Unpark, UnparkThread};
use tokio_reactor::Reactor;
use tokio_timer::clock::{Clock, Now};
use tokio_timer::timer::{self, Timer};

use super::executor::lock;

/// The threads, which all recordings share.
pub struct Threads {
    pub reactor: tokio_reactor::Handle,
    pub timer: timer::Handle,
    pub clock: Clock,
    time: Time,
    unpark_timer: UnparkThread,
}

/// A clock that stands still until it is advanced, so that no time limit strikes by itself.
#[derive(Clone)]
struct Time(Arc<Mutex<Instant>>);

impl Now for Time {
    fn now(&self) -> Instant {
        *lock(&self.0)
    }
}

impl Threads {
    /// Starts the threads with the first call.
    ///
    /// # Errors
    ///
    /// The error of the system if it has no room for them.
    pub fn get() -> io::Result<&'static Threads> {
        static THREADS: OnceLock<Threads> = OnceLock::new();
        static STARTING: Mutex<()> = Mutex::new(());
        let _starting = lock(&STARTING);
        if let Some(threads) = THREADS.get() {
            return Ok(threads);
        }
        let started = Threads::start()?;
        Ok(THREADS.get_or_init(|| started))
    }

    fn start() -> io::Result<Threads> {
        let mut reactor = Reactor::new()?;
        let reactor_handle = reactor.handle();
        let turn = move || while reactor.turn(None).is_ok() {};
        thread::Builder::new()
            .name("reactor".to_owned())
            .spawn(turn)?;

        let time = Time(Arc::new(Mutex::new(Instant::now())));
        let clock = Clock::new_with_now(time.clone());
        let (handles, handle) = mpsc::channel();
        let timer_clock = clock.clone();
        let turn = move || {
            let park = ParkThread::new();
            let unpark = park.unpark();
            let mut timer = Timer::new_with_now(park, timer_clock);
            let _ = handles.send((timer.handle(), unpark));
            while timer.turn(None).is_ok() {}
        };
        thread::Builder::new()
            .name("timer".to_owned())
            .spawn(turn)?;
        let (timer, unpark_timer) = handle.recv().map_err(io::Error::other)?;
        Ok(Threads {
            reactor: reactor_handle,
            timer,
            clock,
            time,
            unpark_timer,
        })
    }

    /// Advances the clock, and wakes the timer.
    pub fn advance(&self, by: Duration) {
        *lock(&self.time.0) += by;
        self.unpark_timer.unpark();
    }
}
