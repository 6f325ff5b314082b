//! The locks that the engine is built on, and its variables of a thread. They are named here alone,
//! so that a test can compile the engine with others that try every order in which threads might
//! come to them.

pub(crate) use std::thread_local;

pub(crate) use parking_lot::{Condvar, Mutex, RwLock};
