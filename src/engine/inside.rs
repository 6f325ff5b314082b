//! Marks the threads that are inside a thread pool of an engine.
//!
//! Such a thread runs the user's code when it wakes a task. If that code calls an engine and waits,
//! it may block the only thread that could do the work.

use std::cell::Cell;

use crate::sync::thread_local;

thread_local! {
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Returns whether the current thread is inside a pool: in one of its jobs, or in its own code. An
/// engine that is called there does the work at once, because the pool may have no other thread for
/// it.
pub(super) fn is_inside() -> bool {
    IS_INSIDE.with(Cell::get)
}

/// A guard: the current thread counts as inside a pool until it is dropped.
pub(super) struct Inside {
    was_inside: bool,
}

impl Inside {
    pub(super) fn enter() -> Inside {
        // Guards nest, because a pool may run a job on the thread that spawns it.
        let was_inside = IS_INSIDE.with(|is_inside| is_inside.replace(true));
        Inside { was_inside }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        IS_INSIDE.with(|is_inside| is_inside.set(self.was_inside));
    }
}
