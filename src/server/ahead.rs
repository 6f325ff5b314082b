//! Telling the engine which keys the requests that have arrived ask for.

use super::input::Input;
use super::pipeline::guarded;
use crate::engine::KvsEngine;
use crate::protocol;

/// The number of requests that an engine gets to know at once, at most.
const AT_ONCE: usize = 16;

/// The requests of a connection that have arrived and that the engine knows.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    known: usize,
}

impl Ahead {
    /// Looks at the requests in `input`, of which the first one is taken next. The peer must have
    /// shown its token, because without it no request may reach the engine.
    pub(super) fn look(&mut self, input: &Input, engine: &impl KvsEngine) {
        if self.known > 0 {
            self.known -= 1;
            return;
        }
        let mut gets = input.frames().map_while(protocol::key_of_get);
        // A single one gains nothing.
        let (Some(first), Some(second)) = (gets.next(), gets.next()) else {
            return;
        };
        let mut taken = 0;
        let keys = [first, second].into_iter().chain(gets).take(AT_ONCE);
        let keys = keys.inspect(|_| taken += 1);
        // If the engine panics, the requests themselves report it.
        let _ = guarded(|| engine.look_ahead(keys));
        // If the engine takes no keys, ask it again, but not for each request.
        self.known = if taken > 0 { taken } else { AT_ONCE } - 1;
    }
}
