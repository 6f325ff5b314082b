//! Plain requests that need no copies of their strings: sets, and gets of values that the engine
//! has in memory. Such a get is answered without a future, and its value is copied once: from the
//! engine to the reply. The value of a set is copied once, too: from the input to the engine.

use super::Connection;
use crate::engine::KvsEngine;
use crate::protocol::{self, Kind};
use crate::server::pipeline::{Pending, guarded};

impl<E: KvsEngine> Connection<E> {
    /// Starts the next request if it is plain and may start now. Returns whether it did.
    pub(super) fn start_plain(&mut self) -> bool {
        if !self.has_token || self.waiting.is_some() {
            return false;
        }
        self.peer.ahead.look(&self.peer.input, &self.engine);
        self.answer_get() || self.start_set()
    }

    /// Answers the next request if it is a get of a value in memory, and if no other reply is due
    /// before it.
    fn answer_get(&mut self) -> bool {
        if !self.pipeline.is_empty() {
            return false;
        }
        let frame = self.peer.input.peek(self.max_frame());
        let Some(key) = frame.and_then(protocol::key_of_get) else {
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
        self.take_peeked(Kind::Get);
        self.pipeline.note_answered(Kind::Get);
        self.reserve_reply(len);
        true
    }

    fn start_set(&mut self) -> bool {
        let frame = self.peer.input.peek(self.max_frame());
        let pair = frame.and_then(protocol::pair_of_set);
        let Some((key, value)) = pair.filter(|_| self.may_start(Kind::Set)) else {
            return false;
        };
        let size = frame.map_or(0, <[u8]>::len);
        let pending = Pending::write(Kind::Set, || self.engine.set_str(key, value));
        self.take_peeked(Kind::Set);
        self.push_started(Kind::Set, pending, size);
        true
    }

    /// Takes the request out of the input that was peeked at.
    fn take_peeked(&mut self, kind: Kind) {
        // The peek has found the frame, so this finds it, too.
        let _ = self.peer.input.next_frame(self.max_frame());
        self.frame_is_taken();
        self.count(kind);
    }
}
