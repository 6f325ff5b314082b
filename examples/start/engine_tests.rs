//! The tests of the course, with the engine in `engine.rs`: `cargo test --test NAME`.

mod engine;
#[path = "../engine/every_engine.rs"]
mod every_engine;

use std::path::Path;

use engine::MyEngine;
use kvs::Result;
use kvs::thread_pool::SharedQueueThreadPool;

impl every_engine::Open for MyEngine<SharedQueueThreadPool> {
    fn open(dir: &Path, concurrency: u32) -> Result<Self> {
        MyEngine::open(dir, concurrency)
    }
}

mod tests {
    use kvs::thread_pool::SharedQueueThreadPool;

    crate::every_engine::engine_keeps_its_promises!(crate::MyEngine<SharedQueueThreadPool>);
}
