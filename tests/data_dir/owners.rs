//! Owners and modes of files, and the rights that `--verify` and `--repair` need.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use predicates::str::contains;

use super::{OtherUser, check, damage, files, kvs, newest_segment, write};
use crate::common::{ServerProcess, Wire};

pub fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn verify_needs_no_more_than_to_read_and_changes_nothing() {
    let user = OtherUser::new();
    let data = user.path("data");
    write(&kvs(&data).unwrap(), "it");
    for is_damaged in [false, true] {
        let newest = newest_segment(&data);
        if is_damaged {
            chmod(&newest, 0o644);
            damage(&newest);
        }
        for file in files(&data).keys() {
            chmod(file, 0o444);
        }
        chmod(&data, 0o555);
        let before = files(&data);
        let verified = check(user.server(), &["--verify"], &data);
        if is_damaged {
            let name = newest.to_str().unwrap().to_owned();
            verified.code(1).stdout(contains(name));
        } else {
            verified.success().stdout(contains("sound"));
        }
        assert!(files(&data) == before, "changed by --verify");
        chmod(&data, 0o755);
    }
    // A partial backup may lack the marker.
    fs::remove_file(data.join("kvs-engine")).unwrap();
    check(user.server(), &["--verify"], &data)
        .code(1)
        .stdout(contains("damaged"));
    assert!(!data.join("kvs-engine").exists());
}

#[test]
fn verify_refuses_a_directory_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &[]);
    fs::remove_file(dir.path().join("kvs-engine")).unwrap();
    let mut wire = Wire::connect(server.addr);
    wire.send(r#"{"Set":{"key":"k","value":"v"}}"#);
    assert_eq!(wire.receive(), r#""Set""#);
    let verified = check(
        Command::new(cargo_bin!("kvs-server")),
        &["--verify"],
        dir.path(),
    );
    verified.code(1).stdout("").stderr(contains("in use"));
}

#[test]
fn a_repair_leaves_files_with_the_owner_and_the_mode_of_those_that_they_replace() {
    let user = OtherUser::new();
    let data = user.path("data");
    write(&kvs(&data).unwrap(), "it");
    let damaged = newest_segment(&data);
    damage(&damaged);
    fs::write(data.join("kvs-engine"), "kvt\n").unwrap();
    user.own(&data);
    for file in files(&data).keys() {
        user.own(file);
        chmod(file, 0o640);
    }
    let (owner, before) = (fs::metadata(&data).unwrap().uid(), files(&data));
    let program = || Command::new(cargo_bin!("kvs-server"));
    check(program(), &["--repair"], &data).success();
    let after = files(&data);
    assert!(
        after
            .keys()
            .any(|file| !before.contains_key(file) && *file > damaged)
    );
    assert!(
        after
            .keys()
            .any(|file| file.to_str().unwrap().ends_with(".damaged1"))
    );
    for file in after.keys() {
        let metadata = file.metadata().unwrap();
        assert_eq!(
            (metadata.uid(), metadata.mode() & 0o777),
            (owner, 0o640),
            "{file:?}"
        );
    }
}

#[test]
fn a_server_of_root_leaves_files_to_the_owner_of_the_others() {
    let user = OtherUser::new();
    let data = user.path("data");
    fs::create_dir(&data).unwrap();
    user.own(&data);
    let owner = fs::metadata(&data).unwrap().uid();
    for n in 0..2 {
        // The second server finds a marker, and takes its owner, not that of the directory.
        write(&kvs(&data).unwrap(), "it");
        for file in files(&data).keys() {
            assert_eq!(file.metadata().unwrap().uid(), owner, "{file:?}, {n}");
        }
        if user.id.is_some() {
            chown(&data, Some(0), Some(0)).unwrap();
        }
    }
}
