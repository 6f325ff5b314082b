//! Tokens from a file and from the environment.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use assert_cmd::cargo::{cargo_bin, cargo_bin_cmd};
use predicates::prelude::*;
use predicates::str::contains;

use super::{VARIANTS, client, path, refused, server};
use crate::common::{NOBODY, ServerProcess, token_file};

#[test]
fn every_client_shows_the_token_from_a_file_or_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let file = token_file(dir.path(), "secret\n");
    let data_dir = dir.path().join("data");
    let server = ServerProcess::start(&data_dir, &["--auth-token-file", path(&file)]);
    for (variant, _) in VARIANTS.iter().filter(|(_, is_there)| *is_there) {
        let set = format!(
            "set key {variant} --addr {} --variant {variant}",
            server.addr
        );
        refused(client(&set)).stderr(contains("--auth-token-file").and(contains("KVS_AUTH_TOKEN")));
        client(&format!("{set} --auth-token-file {}", path(&file))).success();
        let mut command = cargo_bin_cmd!("kvs-client");
        command.env("KVS_AUTH_TOKEN", "secret");
        command.args(format!("get key --addr {}", server.addr).split(' '));
        command.assert().success().stdout(format!("{variant}\n"));
    }
    let mut command = cargo_bin_cmd!("kvs-client");
    command.env("KVS_AUTH_TOKEN", "guess");
    command.args(format!("stats --addr {}", server.addr).split(' '));
    refused(command.assert()).stderr(contains("token"));
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    let get = format!("get key --addr {}", server.addr);
    refused(client(&format!("{get} --auth-token-file {}", path(&file))))
        .stderr(contains("chmod 600"));
}

#[test]
fn a_token_means_the_same_in_a_file_and_in_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let get = |addr: &str, token: &str, args: &[&str]| {
        let mut command = cargo_bin_cmd!("kvs-client");
        command.args(["get", "key", "--addr", addr]).args(args);
        command.env("KVS_AUTH_TOKEN", token).assert()
    };
    let serve = |token: &str| {
        let file = token_file(dir.path(), token);
        ServerProcess::start(
            &dir.path().join("data"),
            &["--auth-token-file", path(&file)],
        )
    };
    {
        let server = serve("secret\n");
        let addr = server.addr.to_string();
        for end in ["", "\n", "\r\n", " \n"] {
            let token = format!("secret{end}");
            get(&addr, &token, &[]).success();
            let file = token_file(dir.path(), &token);
            // If both are set, the file counts.
            get(&addr, "guess", &["--auth-token-file", path(&file)]).success();
        }
        // An empty variable counts as not set.
        for nothing in ["", " \n"] {
            refused(get(&addr, nothing, &[])).stderr(contains("wants a token"));
        }
        refused(get(&addr, &"t".repeat(5000), &[])).stderr(contains("KVS_AUTH_TOKEN is too long"));
    }
    let longest = "t".repeat(4075);
    get(&serve(&longest).addr.to_string(), &longest, &[]).success();
    let file = token_file(dir.path(), format!("{longest}t"));
    let with_file = format!("--addr 127.0.0.1:0 --auth-token-file {}", path(&file));
    server(&with_file).stderr(contains("4097 bytes").and(contains(path(&file))));
}

/// Containers and systemd mount secrets with this owner and mode for programs that do not run as
/// root.
#[test]
fn a_token_that_belongs_to_root_may_be_read_by_a_group() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can make a file of root's, and run a program as another user");
        return;
    }
    const USER: u32 = 65534;
    let dir = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    mode(dir.path(), 0o755);
    let program = dir.path().join("kvs-client");
    // Another process makes the copy. The system does not run a program while a thread of this
    // process has it open for writing.
    let copied = Command::new("cp")
        .arg(cargo_bin!("kvs-client"))
        .arg(&program)
        .status();
    assert!(copied.unwrap().success());
    let file = token_file(dir.path(), "secret");
    let get = |user| {
        let mut command = Command::new(&program);
        command.args(["get", "key", "--auth-token-file", path(&file)]);
        command.args(["--addr", &NOBODY.to_string()]);
        command.uid(user).gid(user);
        assert_cmd::Command::from_std(command).assert()
    };
    chown(&file, Some(0), Some(USER)).unwrap();
    mode(&file, 0o440);
    // The client accepts the token, so it connects, and finds no server.
    refused(get(USER)).stderr(contains("cannot connect"));
    refused(get(0)).stderr(contains("chmod 600"));
    mode(&file, 0o444);
    refused(get(USER)).stderr(contains("chmod 600"));
    chown(&file, Some(USER), Some(USER)).unwrap();
    mode(&file, 0o440);
    refused(get(USER)).stderr(contains("chmod 600"));
}

#[test]
fn the_server_listens_to_others_than_this_machine_only_with_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let everywhere = format!("--addr 0.0.0.0:0 --data-dir {}", path(&data_dir));
    server(&everywhere).stderr(contains("0.0.0.0:0").and(contains("--auth-token-file")));
    assert!(!data_dir.exists());
    let file = token_file(dir.path(), "secret");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    server(&format!("{everywhere} --auth-token-file {}", path(&file)))
        .stderr(contains("chmod 600"));
}
