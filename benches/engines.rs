//! The engines side by side, through their futures: `cargo bench --bench engines`.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures::Future;
use kvs::engine::SyncLevel;
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsEngine, SledKvsEngine};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

const KEYS: u32 = 10_000;

fn key(n: u32) -> String {
    format!("key{n:08}")
}

fn bench_engine(c: &mut Criterion, name: &str, engine: &impl KvsEngine) {
    for n in 0..KEYS {
        engine.set(key(n), "x".repeat(100)).wait().unwrap();
    }
    let mut rng = SmallRng::seed_from_u64(1);
    let mut random_key = move || key(rng.random_range(0..KEYS));
    c.bench_function(&format!("{name}/set"), |b| {
        b.iter_batched(
            || (random_key(), "x".repeat(100)),
            |(key, value)| engine.set(key, value).wait().unwrap(),
            BatchSize::SmallInput,
        );
    });
    c.bench_function(&format!("{name}/get"), |b| {
        b.iter_batched(
            &mut random_key,
            |key| engine.get(key).wait().unwrap().unwrap(),
            BatchSize::SmallInput,
        );
    });
}

fn engines(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let kvs = KvStore::<SharedQueueThreadPool>::open(dir.path(), 4).unwrap();
    bench_engine(c, "kvs", &kvs);
    let dir = tempfile::tempdir().unwrap();
    let level = SyncLevel::EverySec;
    let sled = SledKvsEngine::<SharedQueueThreadPool>::open(dir.path(), level, 4).unwrap();
    bench_engine(c, "sled", &sled);
}

criterion_group!(benches, engines);
criterion_main!(benches);
