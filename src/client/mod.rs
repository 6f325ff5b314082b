//! Clients of the server.

pub mod blocking;
