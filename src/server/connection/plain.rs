//! Plain requests that need no [`Request`](crate::protocol::Request): the engine takes the strings
//! of a set from the input, and lends the value of a get to the reply.

use super::Connection;
use crate::engine::KvsEngine;
use crate::protocol::{self, Kind};
use crate::server::pipeline::{Pending, guarded};
use crate::server::stage::Stage;

impl<E: KvsEngine> Connection<E> {
    /// Answers the next request if it is a get of a value in memory, or starts it if it is a plain
    /// set. Returns whether it did.
    pub(super) fn start_plain(&mut self) -> bool {
        if !self.has_token || self.waiting.is_some() {
            return false;
        }
        self.peer.ahead.look(&self.peer.input, &self.engine);
        self.answer_get() || self.start_get() || self.start_set()
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

    /// Starts the next request if it is a get of a value in memory behind other requests. Makes the
    /// reply at once, which then waits for theirs.
    fn start_get(&mut self) -> bool {
        if self.pipeline.is_empty() || !self.may_start(Kind::Get) {
            return false;
        }
        let Some(frame) = self.peer.input.peek(self.max_frame()) else {
            return false;
        };
        let Some(key) = protocol::key_of_get(frame) else {
            return false;
        };
        let (engine, early, size) = (&self.engine, self.pipeline.early(), frame.len());
        let before = early.len();
        let read = |value: &str| early.push_plain_value(value);
        let pushed = guarded(|| engine.with_value_in_order(key, read));
        let Ok(Some(Some(len))) = pushed else {
            // An engine that has panicked may have pushed the value before.
            early.truncate(before);
            return false;
        };
        self.take_peeked(Kind::Get);
        self.push_started(Kind::Get, Pending::Early(len), size);
        true
    }

    /// Sends the reply to the oldest request, which is [`Pending::Early`] and has `len` bytes.
    pub(super) fn send_early(&mut self, len: usize) {
        let output = &mut self.peer.output;
        let before = output.len();
        let is_broken = self.stage == Stage::Broken;
        self.pipeline.take_early(len, |reply| {
            if !is_broken {
                output.push_frame(reply);
            }
        });
        if !is_broken {
            self.reserve_reply(before);
        }
    }

    /// Starts the next request if it is a plain set that may start now.
    fn start_set(&mut self) -> bool {
        if !self.may_start(Kind::Set) {
            return false;
        }
        let Some(frame) = self.peer.input.peek(self.max_frame()) else {
            return false;
        };
        let Some((key, value)) = protocol::pair_of_set(frame) else {
            return false;
        };
        let size = frame.len();
        let pending = Pending::write(Kind::Set, || self.engine.set_str(key, value));
        self.take_peeked(Kind::Set);
        self.push_started(Kind::Set, pending, size);
        true
    }

    /// Takes the frame that `peek` has returned out of the input, and counts its request.
    fn take_peeked(&mut self, kind: Kind) {
        // The frame was found before, so this finds it, too.
        let _ = self.peer.input.next_frame(self.max_frame());
        self.release_frame();
        self.count_request(kind);
    }
}
