//! The locks and thread-local variables of the engine.
//!
//! The engine names them only here, so a test can compile it with locks that try every order in
//! which threads may take them.

pub(crate) use std::thread_local;

pub(crate) use parking_lot::{Condvar, Mutex, RwLock};
