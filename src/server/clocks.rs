//! The clocks of a connection, which limit how long its peer may take.

use std::time::{Duration, Instant};

use futures::Future;
use tokio::timer::Delay;

use super::limits::Limits;
use super::progress::Progress;

/// A timer that fires this much later than it should shows that the process was stopped or busy.
const LATE: Duration = Duration::from_millis(100);

/// The time in which a peer has to notice that the connection was closed.
const LINGER: Duration = Duration::from_secs(1);

/// The clocks of a connection. The field of a clock that does not run is `None`.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// Runs while a frame arrives, or from the beginning while the connection has no token.
    pub(super) frame: Option<Clock>,
    /// Runs while replies wait for the peer to take them.
    pub(super) output: Option<Clock>,
    /// Runs after the last reply, until the peer closes its end.
    pub(super) linger: Option<Clock>,
    timer: Option<Delay>,
}

/// The time that the peer has taken for one thing.
#[derive(Debug)]
pub(super) struct Clock {
    since: Instant,
    /// Whether the peer was given more time, because this side was late.
    had_grace: bool,
}

impl Clock {
    pub(super) fn start() -> Clock {
        Clock {
            since: Instant::now(),
            had_grace: false,
        }
    }
}

impl Clocks {
    /// Returns whether the peer has missed a deadline. If not, registers the current task to be
    /// woken at the next one.
    ///
    /// The peer does not pay for delays of this side. The connection reads the bytes that have
    /// arrived before it checks the clocks, and if it has made progress, it checks again in its
    /// next turn. If the process was stopped meanwhile, the clock starts again. Both happen only
    /// once for each frame, and for each time that the output waits. Otherwise a peer that keeps
    /// the server busy would have no limit.
    pub(super) fn is_overdue(&mut self, limits: &Limits, progress: Progress) -> bool {
        // A clock that starts again leaves the next deadline to another clock, which may be
        // overdue, too. No clock starts again twice.
        loop {
            let is_lingering = self.linger.is_some();
            let clocks = [
                (&mut self.linger, LINGER),
                (&mut self.frame, limits.frame_time),
                (&mut self.output, limits.reply_time),
            ];
            let deadlines = clocks.into_iter().filter_map(|(clock, time)| {
                let clock = clock.as_mut()?;
                // A deadline beyond the end of time is none.
                Some((clock.since.checked_add(time)?, clock))
            });
            let Some((deadline, clock)) = deadlines.min_by_key(|(deadline, _)| *deadline) else {
                self.timer = None;
                return false;
            };
            if !has_passed(&mut self.timer, deadline) {
                return false;
            }
            let now = Instant::now();
            let is_late = now.duration_since(deadline) >= LATE;
            let is_excused = if is_late {
                !clock.had_grace
            } else {
                progress == Progress::Made && !is_lingering
            };
            if !is_excused {
                return true;
            }
            clock.had_grace = true;
            if !is_late {
                return false;
            }
            clock.since = now;
        }
    }
}

/// Returns whether `deadline` has passed. If not, registers the current task to be woken then.
fn has_passed(timer: &mut Option<Delay>, deadline: Instant) -> bool {
    let delay = timer.get_or_insert_with(|| Delay::new(deadline));
    if delay.deadline() != deadline {
        delay.reset(deadline);
    }
    // The timer fails if the deadline is years away, or if its runtime shuts down.
    delay.poll().is_ok_and(|delay| delay.is_ready())
}
