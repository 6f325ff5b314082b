//! Gets of values that the engine has in memory. Each is answered without a future, and its value
//! is copied once: from the engine to the reply.

use super::Connection;
use crate::engine::KvsEngine;
use crate::protocol::{self, Kind};
use crate::server::pipeline::guarded;

impl<E: KvsEngine> Connection<E> {
    /// Answers the next request if it is such a get, and if no other reply is due before it.
    /// Returns whether it did.
    pub(super) fn answer_at_once(&mut self) -> bool {
        if !self.has_token || self.waiting.is_some() {
            return false;
        }
        self.peer.ahead.look(&self.peer.input, &self.engine);
        if !self.pipeline.is_empty() {
            return false;
        }
        let max = self.shared.limits.max_frame(self.has_token);
        let Some(key) = self.peer.input.peek(max).and_then(protocol::key_of_get) else {
            return false;
        };
        let (engine, output) = (&self.engine, &mut self.peer.output);
        let len = output.len();
        let pushed = guarded(|| engine.with_value(key, |value| output.push_plain_value(value)));
        if !matches!(pushed, Ok(Some(true))) {
            // An engine that has panicked may have pushed the value before.
            if output.len() > len {
                output.truncate(len);
            }
            return false;
        }
        // The peek has found the frame.
        let _ = self.peer.input.next_frame(max);
        self.peer.input.trim();
        self.peer.clocks.frame = None;
        self.requests += 1;
        self.shared.counters.request(Kind::Get);
        self.pipeline.note_answered(Kind::Get);
        self.reserve_reply(len);
        true
    }
}
