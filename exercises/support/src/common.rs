//! Servers and connections. The file is the one that the tests of kvs use.
#![allow(dead_code, missing_docs, reason = "the exercises use a part of it")]

#[path = "../../../tests/common/net.rs"]
mod net;

pub use self::net::*;
