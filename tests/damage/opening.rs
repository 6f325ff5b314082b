//! Opening a damaged store.

use kvs::engine::{repair, verify};
use kvs::{KvsError, Result};

use super::{contents, open, read_all, segments, some_store};
use crate::common::disk::Disk;

#[test]
fn a_flipped_byte_is_an_error_and_never_a_wrong_value() {
    let (disk, history) = some_store();
    let expected = history.last().unwrap();
    let newest = segments(&disk).pop().unwrap();
    for (name, bytes) in disk.files() {
        for at in 0..bytes.len() {
            for flip in [1 << (at % 8), 0xff] {
                let disk = disk.copy();
                let mut bytes = bytes.clone();
                bytes[at] ^= flip;
                disk.put(&name, &bytes);
                let before = disk.files();
                let store = match open(&disk) {
                    Ok(store) => store,
                    Err(KvsError::Damaged { .. } | KvsError::UnknownVersion { .. }) => {
                        assert!(name.ends_with(".segment"), "{name} is not needed");
                        assert!(disk.files() == before, "a refused store was changed");
                        continue;
                    }
                    Err(error) => panic!("byte {at} of {name}: {error}"),
                };
                let got = read_all(&store, &history);
                if name == newest && got.values().all(Result::is_ok) {
                    // The last record looks like a write that was cut short.
                    let before = &history[history.len() - 2];
                    assert!(contents(&store, &history) == *before, "byte {at} of {name}");
                    continue;
                }
                for (key, value) in expected {
                    match &got[key] {
                        Ok(got) => assert_eq!(got, value, "byte {at} of {name}"),
                        Err(KvsError::Damaged { file, .. }) => assert!(file.ends_with(&name)),
                        Err(error) => panic!("byte {at} of {name}: {error}"),
                    }
                }
                assert_eq!(got.len(), expected.len(), "byte {at} of {name}");
            }
        }
    }
}

#[test]
fn a_newest_segment_cut_off_anywhere_keeps_the_records_before() {
    let (disk, history) = some_store();
    let newest = segments(&disk).pop().unwrap();
    let bytes = disk.bytes(&newest);
    let mut seen = 0;
    for len in 0..bytes.len() {
        let disk = disk.copy();
        disk.put(&newest, &bytes[..len]);
        match open(&disk) {
            Ok(store) => {
                let got = contents(&store, &history);
                let n = history.iter().position(|contents| *contents == got);
                let n = n.unwrap_or_else(|| panic!("{len} bytes: {got:?} was never there"));
                assert!(n >= seen, "more bytes have fewer records");
                seen = n;
            }
            Err(KvsError::Damaged { .. }) => assert!(len < 56, "the header is not torn"),
            Err(error) => panic!("{len} bytes: {error}"),
        }
    }
    assert_eq!(
        seen,
        history.len() - 2,
        "all but the last record were there"
    );
}

#[test]
fn an_older_segment_cut_off_anywhere_is_refused() {
    let (disk, _) = some_store();
    let mut older = segments(&disk);
    older.pop();
    for name in older {
        let bytes = disk.bytes(&name);
        for len in 0..bytes.len() {
            let disk = disk.copy();
            disk.put(&name, &bytes[..len]);
            let opened = open(&disk).err();
            assert!(
                matches!(opened, Some(KvsError::Damaged { .. })),
                "{len} bytes of {name}: {opened:?}"
            );
            assert!(!verify(&disk, &mut |_, _| {}).unwrap().is_sound());
        }
    }
}

#[test]
fn a_missing_segment_is_refused_and_other_missing_files_are_not_needed() {
    let (disk, history) = some_store();
    for missing in disk.names() {
        let files = disk.files();
        let others = files.iter().filter(|(name, _)| **name != missing);
        let disk = Disk::with(others.map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
        match open(&disk) {
            Ok(store) => {
                assert!(
                    !missing.ends_with(".segment"),
                    "the store does not miss {missing}"
                );
                assert_eq!(&contents(&store, &history), history.last().unwrap());
            }
            Err(KvsError::Damaged { .. }) => {
                assert!(missing.ends_with(".segment"), "{missing} is not needed");
                assert!(!verify(&disk, &mut |_, _| {}).unwrap().is_sound());
                repair(&disk, &mut |_, _| {}).unwrap();
                contents(&open(&disk).unwrap(), &history);
            }
            Err(error) => panic!("without {missing}: {error}"),
        }
    }
}
