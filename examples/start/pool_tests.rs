//! The tests of the course, with the pool in `pool.rs`: `cargo test --test NAME`.

#[path = "../thread_pool/every_pool.rs"]
mod every_pool;
mod pool;

every_pool::pool_keeps_its_promises!(crate::pool::MyThreadPool);
