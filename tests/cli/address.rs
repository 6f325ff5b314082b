//! `--addr` and `KVS_ADDR`.

use assert_cmd::assert::Assert;
use assert_cmd::cargo::cargo_bin_cmd;
use predicates::prelude::*;
use predicates::str::contains;

use super::{client, misused, refused};
use crate::common::{NOBODY, ServerProcess};

fn client_with(variable: &str, args: &str) -> Assert {
    let mut command = cargo_bin_cmd!("kvs-client");
    command.env("KVS_ADDR", variable);
    command.args(args.split_whitespace()).assert()
}

#[test]
fn the_address_stands_anywhere_and_the_last_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &[]);
    let (addr, nobody) = (server.addr, NOBODY);
    client(&format!("set k v --addr {addr}")).success();
    for args in [
        format!("--addr {addr} get k"),
        format!("get --addr {addr} k"),
        format!("get k --addr={addr}"),
        format!("--addr {nobody} get k --addr {addr}"),
        format!("get --addr {nobody} k --addr {addr}"),
        format!("--addr {nobody} --addr {addr} get k"),
    ] {
        client(&args).success().stdout("v\n");
    }
    for args in [
        format!("--addr {addr} get k --addr {nobody}"),
        format!("get k --addr {addr} --addr {nobody}"),
    ] {
        refused(client(&args)).stderr(contains(nobody.to_string()));
    }
}

#[test]
fn the_host_may_be_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &[]);
    let port = server.addr.port();
    client(&format!("set k v --addr localhost:{port}")).success();
    client(&format!("get k --addr localhost:{port}"))
        .success()
        .stdout("v\n");
    client(&format!("stats --addr localhost:{port}")).success();
    for command in ["get k", "keys", "stats"] {
        refused(client(&format!("{command} --addr kvs.invalid:4000")))
            .code(1)
            .stderr(contains("kvs.invalid:4000"));
    }
}

#[test]
fn without_an_argument_the_environment_has_the_address() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &[]);
    let (addr, nobody) = (server.addr, NOBODY);
    client_with(&addr.to_string(), "set k v").success();
    client_with(&format!("localhost:{}", addr.port()), "get k")
        .success()
        .stdout("v\n");
    client_with(&nobody.to_string(), &format!("get k --addr {addr}")).success();
    refused(client_with(&nobody.to_string(), "get k")).stderr(contains(nobody.to_string()));
    // An empty variable counts as not set.
    client_with("", &format!("get k --addr {addr}")).success();
    misused(client_with("nowhere", "get k"))
        .stderr(contains("KVS_ADDR").and(contains("localhost:4000")));
}
