use super::*;

#[test]
fn a_directory_remembers_its_engine() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(DataDir::engine_of(dir.path()).unwrap(), None);
    drop(DataDir::claim(dir.path(), EngineKind::Sled).unwrap());
    let found = DataDir::engine_of(dir.path()).unwrap();
    assert_eq!(found, Some(EngineKind::Sled));
    let claim = DataDir::claim(dir.path(), EngineKind::Kvs);
    assert!(matches!(claim, Err(KvsError::WrongEngine { .. })));
    DataDir::claim(dir.path(), EngineKind::Sled).unwrap();
}

#[test]
fn a_directory_of_kvs_is_one_of_tokio_fs_whichever_name_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["kvs", "tokio-fs"] {
        fs::write(dir.path().join(marker::NAME), name).unwrap();
        let found = DataDir::engine_of(dir.path()).unwrap();
        assert_eq!(found, Some(EngineKind::Kvs));
        drop(DataDir::claim(dir.path(), EngineKind::TokioFs).unwrap());
        drop(DataDir::claim(dir.path(), EngineKind::Kvs).unwrap());
    }
}

#[test]
fn a_claimed_directory_is_refused_until_it_is_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let first = DataDir::claim(dir.path(), EngineKind::Kvs).unwrap();
    let second = DataDir::claim(dir.path(), EngineKind::Kvs);
    assert!(matches!(second, Err(KvsError::Locked { .. })));
    drop(first);
    DataDir::claim(dir.path(), EngineKind::Kvs).unwrap();
}

#[test]
fn an_earlier_version_which_locks_the_marker_alone_is_refused_and_noticed() {
    let path = tempfile::tempdir().unwrap();
    drop(DataDir::claim(path.path(), EngineKind::Kvs).unwrap());
    let marker = fs::File::open(path.path().join(marker::NAME)).unwrap();
    marker.try_lock().unwrap();
    let claim = DataDir::claim(path.path(), EngineKind::Kvs);
    assert!(matches!(claim, Err(KvsError::Locked { .. })));
    let read = ReadOnlyDir::open(path.path());
    assert!(matches!(read, Err(KvsError::Locked { .. })));
    marker.unlock().unwrap();
    let _claim = DataDir::claim(path.path(), EngineKind::Kvs).unwrap();
    assert!(matches!(marker.try_lock(), Err(TryLockError::WouldBlock)));
}

#[test]
#[cfg(target_os = "linux")]
fn a_directory_that_cannot_be_locked_has_the_lock_of_its_marker() {
    let path = tempfile::tempdir().unwrap();
    drop(DataDir::claim(path.path(), EngineKind::Kvs).unwrap());
    let lock = || DataDir::lock_opened(OpenDir::open_unlockable(path.path()).unwrap());
    let first = lock().unwrap();
    assert!(matches!(lock(), Err(KvsError::Locked { .. })));
    drop(first);
    lock().unwrap();
}

/// Until it execs, a child process has such a copy of every descriptor.
#[test]
fn a_lock_ends_with_its_claim_although_others_have_copies_of_its_descriptors() {
    let path = tempfile::tempdir().unwrap();
    let claim = DataDir::claim(path.path(), EngineKind::Kvs).unwrap();
    let dir = claim.dir.handle().try_clone().unwrap();
    let marker = claim.marker.try_clone().unwrap();
    drop(claim);
    drop(DataDir::claim(path.path(), EngineKind::Kvs).unwrap());
    drop((dir, marker));
}

#[test]
fn a_marker_that_names_no_engine_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(marker::NAME), "kv\n").unwrap();
    let claim = DataDir::claim(dir.path(), EngineKind::Kvs);
    assert!(matches!(claim, Err(KvsError::Damaged { .. })));
}

#[test]
fn a_marker_cut_off_before_its_first_byte_claims_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(marker::NAME), "").unwrap();
    DataDir::claim(dir.path(), EngineKind::Sled).unwrap();
}

#[test]
fn a_copy_by_hard_links_has_a_lock_of_its_own() {
    let root = tempfile::tempdir().unwrap();
    let (path, copy) = (root.path().join("data"), root.path().join("copy"));
    let original = DataDir::claim(&path, EngineKind::Kvs).unwrap();
    fs::create_dir(&copy).unwrap();
    let marker = |dir: &Path| dir.join("kvs-engine");
    fs::hard_link(marker(&path), marker(&copy)).unwrap();
    let other = DataDir::claim_anew(&copy, EngineKind::Sled).unwrap();
    assert_eq!(fs::read_to_string(marker(&path)).unwrap(), "kvs\n");
    assert_eq!(fs::read_to_string(marker(&copy)).unwrap(), "sled\n");
    drop((original, other));
}

#[test]
fn a_claimed_directory_gets_no_new_marker() {
    let dir = tempfile::tempdir().unwrap();
    let _claim = DataDir::claim(dir.path(), EngineKind::Kvs).unwrap();
    let other = DataDir::claim_anew(dir.path(), EngineKind::Sled);
    assert!(matches!(other, Err(KvsError::Locked { .. })));
    let found = DataDir::engine_of(dir.path()).unwrap();
    assert_eq!(found, Some(EngineKind::Kvs));
}
