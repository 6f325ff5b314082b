//! The ways in which a connection ends.

use std::io;

use super::Connection;
use crate::engine::KvsEngine;
use crate::server::refusal::Refusal;
use crate::server::stage::Stage;

impl<E: KvsEngine> Connection<E> {
    /// Tells the peer why the server ends the connection, after the replies to all requests in
    /// flight.
    pub(super) fn end_with(&mut self, refusal: Refusal) {
        self.end(&refusal);
        self.push_refusal(refusal);
    }

    /// Ends the connection after the replies to all requests in flight.
    pub(super) fn end(&mut self, refusal: &Refusal) {
        self.warn(format_args!("{refusal}"));
        self.stop_reading(Stage::Ending);
    }

    /// Enters a stage in which the connection reads no more requests.
    pub(super) fn stop_reading(&mut self, stage: Stage) {
        self.stage = stage;
        self.waiting = None;
        self.peer.discard_input();
    }

    /// Closes this half of the connection, and waits for the peer to close the other half.
    pub(super) fn linger(&mut self) -> io::Result<()> {
        self.peer.close_half()?;
        self.stage = Stage::Lingering;
        // There is nothing left but the bytes that arrive, and they are discarded.
        self.memory.resize(0);
        Ok(())
    }

    /// Drops everything but the requests in flight.
    pub(super) fn break_off(&mut self) {
        self.stop_reading(Stage::Broken);
        self.peer.discard_all();
    }
}
