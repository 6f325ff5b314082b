//! Any bytes as the files of a store.

mod format;
mod model;
mod repair;

use std::collections::BTreeMap;

use kvs::engine::files::Directory;
use kvs::engine::{self, KvStoreOptions, SyncLevel};
use kvs::{KvStore, KvsEngine, KvsError, Result};

use self::model::{
    all_records, has_checkpoint, has_nearly_counted_to_the_end, have_false_hints, replay,
};
use self::repair::repair;
use crate::fuzz::disk::Disk;
use crate::fuzz::later::{Later, done, run_job};

/// The files that an input can hold.
const NAMES: [&str; 9] = [
    "0000000001.segment",
    "0000000001.hints",
    "0000000002.segment",
    "0000000002.hints",
    "0000000003.segment",
    "0000000003.segment.unfinished",
    "0000000004.segment",
    "kvs-synced",
    "kvs-checkpoint",
];

/// The separator before each file of an input. The next byte chooses the name of the file, and its
/// bytes follow.
const SEPARATOR: &[u8] = b"\n--\n";

type Files = BTreeMap<String, Vec<u8>>;
type Contents = BTreeMap<String, String>;

/// Opens a store on any files. The first byte of the input chooses the options, and the rest holds
/// the files.
///
/// Either the store refuses to open and changes nothing, or every value that it returns is from a
/// sound record, and jobs in the background do not change it.
pub fn segment(input: &[u8]) {
    let Some((flags, rest)) = input.split_first() else {
        return;
    };
    let flag = |n: u8| flags & (1 << n) != 0;
    let mut files = split(rest);
    if flag(0) {
        repair(&mut files, flag(1), flag(2).then(|| Disk::default().boot()));
    }
    let options = KvStore::<Later>::options()
        .sync(if flag(3) {
            SyncLevel::Always
        } else {
            SyncLevel::Never
        })
        .segment_bytes([60, 200, 1000, 1 << 20][usize::from(flags >> 4 & 3)])
        .dead_bytes([1, 50, 300, u64::MAX][usize::from(flags >> 6)]);
    check(&files, &options);
}

fn check(files: &Files, options: &KvStoreOptions) {
    let disk = Disk::with(files.iter().map(|(name, bytes)| (&**name, &**bytes)));
    let report = engine::verify(&disk, &mut |_, _| {});
    assert_eq!(disk.files(), *files);
    match open(&disk, options) {
        Ok(store) => check_store(store, &disk, files, options),
        Err(error) => {
            if let Ok(report) = report {
                assert!(!report.is_sound(), "{error}");
                check_repair(&disk, options);
            }
            assert!(matches!(
                error,
                KvsError::Damaged { .. } | KvsError::UnknownVersion { .. }
            ));
            assert_eq!(disk.files(), *files, "{error}");
            let again = open(&disk, options).unwrap_err();
            assert_eq!(again.to_string(), error.to_string());
        }
    }
}

fn check_repair(disk: &Disk, options: &KvStoreOptions) {
    let repaired = disk.copy();
    engine::repair(&repaired, &mut |_, _| {}).unwrap();
    close(open(&repaired, options).unwrap());
    let report = engine::verify(&repaired, &mut |_, _| {}).unwrap();
    assert!(report.is_sound(), "{report}");
}

fn check_store(store: KvStore<Later>, disk: &Disk, files: &Files, options: &KvStoreOptions) {
    let all = all_records(files);
    for (key, values) in &all {
        if let Ok(Some(value)) = done(store.get(key.clone())) {
            assert!(values.contains(&value), "{key:?} has never had {value:?}");
        }
    }

    // False hints or a false checkpoint hide records, and the store cannot notice without reading
    // the segments, which they exist to avoid. So the contents after another write are unknown.
    if have_false_hints(files) || has_nearly_counted_to_the_end(files) {
        return;
    }
    if has_checkpoint(disk) {
        let _ = done(store.set("new".to_owned(), "fuzzed".to_owned()));
        close(store);
        return;
    }
    let mut contents = replay(files);
    let check = |store: &KvStore<Later>, contents: &Contents| {
        for key in all.keys().chain(contents.keys()) {
            assert_eq!(
                done(store.get(key.clone())).unwrap().as_ref(),
                contents.get(key)
            );
        }
    };
    check(&store, &contents);
    done(store.set("new".to_owned(), "fuzzed".to_owned())).unwrap();
    contents.insert("new".to_owned(), "fuzzed".to_owned());
    check(&store, &contents);
    finish();
    check(&store, &contents);
    close(store);

    let without_hints = disk
        .files()
        .into_iter()
        .filter(|(name, _)| !name.ends_with(".hints"))
        .collect::<Files>();
    assert_eq!(replay(&without_hints), contents);
    let store = open(disk, options).unwrap();
    check(&store, &contents);
    finish();
    check(&store, &contents);
    close(store);
}

fn open(disk: &Disk, options: &KvStoreOptions) -> Result<KvStore<Later>> {
    options.open_in(disk.clone(), 1)
}

/// Runs all jobs in the background. Panics if they do not come to an end.
fn finish() {
    for _ in 0..100_000 {
        if !run_job() {
            return;
        }
    }
    panic!("the jobs do not end");
}

fn close(store: KvStore<Later>) {
    finish();
    drop(store);
}

fn split(mut input: &[u8]) -> Files {
    let mut files = Files::new();
    while let Some((choice, rest)) = input.split_first() {
        let end = rest.windows(SEPARATOR.len()).position(|at| at == SEPARATOR);
        let bytes = &rest[..end.unwrap_or(rest.len())];
        files.insert(
            NAMES[usize::from(*choice) % NAMES.len()].to_owned(),
            bytes.to_vec(),
        );
        input = end.map_or(&[], |end| &rest[end + SEPARATOR.len()..]);
    }
    files
}
