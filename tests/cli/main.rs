//! The two programs, as somebody at a terminal meets them.

#[path = "../common/mod.rs"]
mod common;

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Read;
use std::iter;
use std::net::{TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use assert_cmd::assert::Assert;
use assert_cmd::cargo::{cargo_bin, cargo_bin_cmd};
use common::{NOBODY, ServerProcess, Wire};
use predicates::prelude::*;
use predicates::str::{contains, is_empty, is_match};

/// Runs `kvs-client`, words split at spaces.
fn client(args: &str) -> Assert {
    let mut command = cargo_bin_cmd!("kvs-client");
    command.args(args.split_whitespace()).assert()
}

/// Runs `kvs-server` with arguments that it should refuse.
fn server(args: &str) -> Assert {
    let mut command = cargo_bin_cmd!("kvs-server");
    let assert = command.args(args.split_whitespace()).assert();
    refused(assert)
}

/// An error is one line on stderr and nothing on stdout.
fn refused(assert: Assert) -> Assert {
    let one_line = is_match("^[^\n]+\n$").unwrap();
    assert.failure().stdout(is_empty()).stderr(one_line)
}

fn path(dir: &Path) -> &str {
    dir.to_str().unwrap()
}

/// The clients that these tests were compiled with, and so the programs too.
const VARIANTS: &[(&str, bool)] = &[
    ("anon", cfg!(feature = "anon")),
    ("awaited", cfg!(feature = "awaited")),
    ("boxed", cfg!(feature = "boxed")),
    ("explicit", cfg!(feature = "explicit")),
    ("manual", cfg!(feature = "manual")),
    ("pinned", cfg!(feature = "pinned")),
    ("blocking", true),
];

#[test]
fn every_client_that_is_compiled_in_does_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &[]);
    for (variant, _) in VARIANTS.iter().filter(|(_, is_there)| *is_there) {
        let to = format!("--addr {} --variant {variant}", server.addr);
        client(&format!("get key {to}"))
            .success()
            .stdout("Key not found\n");
        client(&format!("set key {variant} {to}"))
            .success()
            .stdout("")
            .stderr("");
        client(&format!("get key {to}"))
            .success()
            .stdout(format!("{variant}\n"));
        client(&format!("rm key {to}"))
            .success()
            .stdout("")
            .stderr("");
        client(&format!("rm key {to}"))
            .code(1)
            .stdout("")
            .stderr("Key not found\n");
        refused(client(&format!(
            "get key --variant {variant} --addr {NOBODY}"
        )))
        .stderr(contains(NOBODY.to_string()).and(contains("kvs-server")));
    }
}

#[test]
fn a_client_that_is_not_there_is_refused_with_those_that_are() {
    let unknown = refused(client("get key --variant nonsense"));
    let unknown = unknown.stderr(contains("nonsense"));
    VARIANTS
        .iter()
        .filter(|(_, is_there)| *is_there)
        .fold(unknown, |unknown, (there, _)| {
            unknown.stderr(contains(*there))
        });
    for (missing, _) in VARIANTS.iter().filter(|(_, is_there)| !is_there) {
        let refused = refused(client(&format!("get key --variant {missing}")));
        refused.stderr(contains("blocking").and(contains(format!("--features {missing}"))));
    }
}

#[test]
fn both_programs_tell_their_version() {
    let version = contains(env!("CARGO_PKG_VERSION"));
    client("-V").success().stdout(version.clone());
    let mut server = cargo_bin_cmd!("kvs-server");
    server.arg("-V").assert().success().stdout(version);
}

#[test]
fn both_programs_explain_themselves() {
    client("--help")
        .success()
        .stdout(contains("get").and(contains("set")).and(contains("rm")));
    let mut server = cargo_bin_cmd!("kvs-server");
    let flags = [
        "--addr",
        "--engine",
        "--data-dir",
        "--sync",
        "--dead-bytes",
        "--auth-token-file",
        "--max-frame",
        "--max-in-flight",
        "--max-connections",
        "--max-memory",
        "--network-threads",
        "--frame-time",
        "--reply-time",
        "--shutdown-time",
        "--verify",
        "--repair",
        "--all",
        "--json",
    ];
    let mut assert = server.arg("--help").assert().success();
    for flag in flags {
        assert = assert.stdout(contains(flag));
    }
}

#[test]
fn the_client_refuses_what_it_does_not_understand_with_one_line() {
    refused(client("")).stderr(contains("command is missing"));
    for args in [
        "get",
        "get k more",
        "set k",
        "set k v more",
        "rm",
        "rm k more",
        "unknown k",
        "get k --unknown",
        "get k --addr",
    ] {
        refused(client(args)).stderr(contains("--help"));
    }
    for args in [
        "get k --addr nowhere",
        "set k v --addr 127.0.0.1",
        "rm k --addr 1.2.3.4:x",
    ] {
        refused(client(args)).stderr(contains("--addr <IP:PORT>"));
    }
}

#[test]
fn arguments_that_are_not_utf_8_are_refused_with_one_line() {
    let not_utf_8 = OsStr::from_bytes(b"\xff");
    for flag in ["--addr", "--engine", "--sync", "--", "--data"] {
        let mut server = cargo_bin_cmd!("kvs-server");
        refused(server.args([OsStr::new(flag), not_utf_8]).assert());
    }
    let mut client = cargo_bin_cmd!("kvs-client");
    refused(client.args([OsStr::new("get"), not_utf_8]).assert());
}

#[test]
fn a_closed_stdout_is_an_error_and_no_panic() {
    let full = || fs::File::create("/dev/full").unwrap();
    for args in [&["--help"][..], &["-V"]] {
        let mut client = Command::new(cargo_bin!("kvs-client"));
        let output = client.args(args).stdout(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn the_server_refuses_what_it_does_not_understand_with_one_line() {
    server("--unknown").stderr(contains("--unknown"));
    server("more").stderr(contains("more"));
    server("--addr nowhere").stderr(contains("--addr <IP:PORT>"));
    server("--engine redis").stderr(contains("kvs, sled"));
    server("--sync sometimes").stderr(contains("always, everysec, never"));
    server("--max-in-flight 0").stderr(contains("--max-in-flight"));
    server("--frame-time soon").stderr(contains("--frame-time"));
}

#[test]
fn the_server_refuses_an_address_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    server(&format!("--addr {addr} --data-dir {}", path(dir.path())))
        .stderr(contains(&addr).and(contains("in use")));
}

#[test]
fn the_server_refuses_a_data_directory_that_it_cannot_use() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "somebody's text").unwrap();
    for data_dir in [path(&file), "/proc/self", "/proc/nothing"] {
        server(&format!("--addr 127.0.0.1:0 --data-dir {data_dir}")).stderr(contains(data_dir));
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "somebody's text");
}

#[test]
fn the_server_refuses_a_directory_of_the_other_engine() {
    for (first, second) in [("kvs", "sled"), ("sled", "kvs"), ("sled", "tokio-fs")] {
        let dir = tempfile::tempdir().unwrap();
        ServerProcess::start(dir.path(), &["--engine", first]).kill();
        let data_dir = path(dir.path());
        server(&format!(
            "--addr 127.0.0.1:0 --engine {second} --data-dir {data_dir}"
        ))
        .stderr(contains(format!("--engine {first}")));
    }
}

#[test]
fn the_server_refuses_a_directory_in_use() {
    let dir = tempfile::tempdir().unwrap();
    for engine in ["kvs", "sled", "tokio-fs"] {
        let dir = dir.path().join(engine);
        let _first = ServerProcess::start(&dir, &["--engine", engine]);
        server(&format!("--addr 127.0.0.1:0 --data-dir {}", path(&dir))).stderr(contains("in use"));
    }
}

#[test]
fn the_engine_on_tokio_fs_says_its_name_and_leaves_files_for_kvs() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start(dir.path(), &["--engine", "tokio-fs"]);
    let mut client = kvs::client::blocking::KvsClient::connect(server.addr).unwrap();
    client.set("key".to_owned(), "value".to_owned()).unwrap();
    let engine = client.stats().unwrap().engine.engine;
    assert_eq!(engine.as_deref(), Some("tokio-fs"));
    assert!(server.kill().contains("engine tokio-fs"));
    let mut server = ServerProcess::start(dir.path(), &[]);
    let mut client = kvs::client::blocking::KvsClient::connect(server.addr).unwrap();
    assert_eq!(
        client.get("key".to_owned()).unwrap().as_deref(),
        Some("value")
    );
    assert!(server.kill().contains("engine kvs"));
}

#[test]
fn without_an_engine_the_server_uses_the_one_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = ServerProcess::start(dir.path(), &[]);
    assert!(first.kill().contains("engine kvs"));
    let dir = tempfile::tempdir().unwrap();
    ServerProcess::start(dir.path(), &["--engine", "sled"]).kill();
    let mut again = ServerProcess::start(dir.path(), &[]);
    assert!(again.kill().contains("engine sled"));
}

#[test]
fn the_server_logs_its_version_engine_address_and_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start(dir.path(), &["--engine", "sled"]);
    let log = server.kill();
    for part in [
        env!("CARGO_PKG_VERSION"),
        "sled",
        &server.addr.to_string(),
        path(&dir.path().canonicalize().unwrap()),
    ] {
        assert!(log.contains(part), "{part:?} is not in {log:?}");
    }
}

#[test]
fn the_client_says_where_it_cannot_reach_a_server() {
    refused(client(&format!("get k --addr {NOBODY}")))
        .stderr(contains(NOBODY.to_string()).and(contains("kvs-server")));
}

#[test]
fn values_are_set_got_and_removed_and_survive_a_kill() {
    for args in [
        &["--engine", "kvs"][..],
        &["--engine", "sled", "--sync", "always"],
        &["--sync", "always"],
        &["--sync", "never"],
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut server = ServerProcess::start(dir.path(), args);
        let run = |command: &str, addr| client(&format!("{command} --addr {addr}"));

        run("get key1", server.addr)
            .success()
            .stdout("Key not found\n");
        run("set key1 value1", server.addr)
            .success()
            .stdout("")
            .stderr("");
        run("set key2 value2", server.addr)
            .success()
            .stdout("")
            .stderr("");
        run("get key1", server.addr).success().stdout("value1\n");
        run("set key1 value3", server.addr).success();
        run("rm key2", server.addr).success().stdout("").stderr("");
        run("rm key2", server.addr)
            .code(1)
            .stdout("")
            .stderr("Key not found\n");

        server.kill();
        let server = ServerProcess::start(dir.path(), args);
        run("get key1", server.addr).success().stdout("value3\n");
        run("get key2", server.addr)
            .success()
            .stdout("Key not found\n");
        run("set key3 -5", server.addr).success();
        run("get key3", server.addr).success().stdout("-5\n");
        run("get key1 --variant blocking", server.addr)
            .success()
            .stdout("value3\n");
    }
}

fn token_file(dir: &Path, token: &str) -> PathBuf {
    let path = dir.join("token");
    fs::write(&path, token).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

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
            // If there are both, the file counts.
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
    let file = token_file(dir.path(), &format!("{longest}t"));
    let with_file = format!("--addr 127.0.0.1:0 --auth-token-file {}", path(&file));
    server(&with_file).stderr(contains("4097 bytes").and(contains(path(&file))));
}

/// Containers and systemd mount secrets in this way for programs that do not run as root.
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
    // Another process makes the copy: while a thread of this one has a program open for writing,
    // the system does not run it.
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
    // The token is accepted, so the client connects, and finds no server.
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

#[test]
fn stats_tell_how_the_server_is_doing() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &["--sync", "always"]);
    let run = |command: &str| client(&format!("{command} --addr {}", server.addr));
    run("set key value").success();
    run("rm other").failure();
    let text = run("stats").success();
    let expected = [
        "connections: 1 now, 3 in all",
        "requests: Auth 0, Get 0, Remove 1, Set 1, Stats 1",
        "errors: key_not_found 1",
        "engine: kvs, sync always",
        "keys: 1",
        "32 live, 0 dead, in 1 segments",
        "last compaction: none",
    ];
    expected
        .into_iter()
        .fold(text, |text, line| text.stdout(contains(line)));
    let json = run("stats --json").success().get_output().stdout.clone();
    let stats: kvs::protocol::Stats = serde_json::from_slice(&json).unwrap();
    assert_eq!(stats.requests["Stats"], 2);
    assert_eq!(stats.engine.keys, Some(1));
}

#[test]
fn a_second_signal_stops_the_server_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start(dir.path(), &["--shutdown-time", "1000"]);
    // It takes none of its replies, and so is what the first signal waits for.
    let mut deaf = Wire::connect(server.addr);
    let value = "x".repeat(8 * 1024 * 1024);
    deaf.send(&format!(r#"{{"Set":{{"key":"k","value":"{value}"}}}}"#));
    assert_eq!(deaf.receive(), r#""Set""#);
    deaf.send(r#"{"Get":{"key":"k"}}"#);
    deaf.0.read_exact(&mut [0; 4]).unwrap();
    server.signal("TERM");
    while TcpStream::connect(server.addr).is_ok() {}
    // Signals within a second count as the same request.
    let code = iter::from_fn(|| {
        server.signal("INT");
        Some(server.try_wait())
    });
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut code = code.take_while(|_| Instant::now() < deadline);
    assert_eq!(code.find_map(|code| code), Some(130));
}

/// Runs `kvs-server` on a data directory, without serving it.
fn look_over(dir: &Path, how: &str) -> Assert {
    let mut command = cargo_bin_cmd!("kvs-server");
    command.args([how, "--data-dir"]).arg(dir).assert()
}

#[test]
fn verify_and_repair_say_what_is_wrong_and_what_became_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = ServerProcess::start(dir.path(), &[]);
    for key in ["first", "second", "third"] {
        client(&format!("set {key} value --addr {}", process.addr)).success();
    }
    process.kill();
    look_over(dir.path(), "--verify")
        .success()
        .stdout("segments: 1, bytes: 151, sound records: 3, keys: 3\nsound\n")
        .stderr(is_empty());

    let segment = dir.path().join("0000000001.segment");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[48 + 24 + 5] ^= 1; // the first byte of the first value
    fs::write(&segment, &bytes).unwrap();
    let damaged = format!("{segment:?} is damaged at byte 48: ");
    server(&format!(
        "--addr 127.0.0.1:0 --data-dir {}",
        path(dir.path())
    ))
    .stderr(
        contains(&damaged)
            .and(contains("--verify"))
            .and(contains("--repair")),
    );
    look_over(dir.path(), "--verify")
        .failure()
        .stdout(contains(&damaged).and(contains("first")))
        .stderr(contains("damaged in 1 place"));
    assert_eq!(fs::read(&segment).unwrap(), bytes, "verify changes nothing");

    let kept = dir.path().join("0000000001.segment.damaged1");
    look_over(dir.path(), "--repair")
        .success()
        .stdout(contains("first").and(contains(path(&kept))));
    assert_eq!(fs::read(kept).unwrap(), bytes);
    look_over(dir.path(), "--repair")
        .success()
        .stdout(contains("keys: 2"));
    let server = ServerProcess::start(dir.path(), &[]);
    for (key, value) in [("first", "Key not found\n"), ("second", "value\n")] {
        client(&format!("get {key} --addr {}", server.addr))
            .success()
            .stdout(value);
    }
}

#[test]
fn verify_and_repair_leave_a_directory_alone_that_is_none_of_theirs() {
    let dir = tempfile::tempdir().unwrap();
    for how in ["--verify", "--repair"] {
        refused(look_over(dir.path(), how)).stderr(contains("--data-dir"));
        let nowhere = dir.path().join("nowhere");
        refused(look_over(&nowhere, how)).stderr(contains("nowhere"));
        assert!(!nowhere.exists());
    }
    server("--verify --repair").stderr(contains("--repair"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

    let process = ServerProcess::start(dir.path(), &[]);
    refused(look_over(dir.path(), "--repair")).stderr(contains("in use"));
    drop(process);
    let other = tempfile::tempdir().unwrap();
    ServerProcess::start(other.path(), &["--engine", "sled"]).kill();
    refused(look_over(other.path(), "--verify")).stderr(contains("engine kvs"));
}

#[test]
fn verify_and_repair_refuse_the_flags_of_a_serving_server() {
    let dir = tempfile::tempdir().unwrap();
    ServerProcess::start(dir.path(), &[]).kill();
    for how in ["--verify", "--repair"] {
        for flag in [
            "--addr 127.0.0.1:0",
            "--engine kvs",
            "--sync always",
            "--dead-bytes 1",
            "--auth-token-file token",
            "--max-frame 1",
            "--max-in-flight 1",
            "--max-connections 1",
            "--max-memory 1",
            "--network-threads 1",
            "--frame-time 1",
            "--reply-time 1",
            "--shutdown-time 1",
        ] {
            let args = format!("{how} {flag} --data-dir {}", path(dir.path()));
            let (name, _) = flag.split_once(' ').unwrap();
            server(&args).stderr(contains(name).and(contains("cannot be used with")));
        }
        look_over(dir.path(), how).success();
    }
}

#[test]
fn a_damaged_name_of_the_engine_is_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = ServerProcess::start(dir.path(), &[]);
    client(&format!("set key value --addr {}", process.addr)).success();
    process.kill();
    let marker = dir.path().join("kvs-engine");
    fs::write(&marker, "kvt\n").unwrap();
    server(&format!(
        "--addr 127.0.0.1:0 --data-dir {}",
        path(dir.path())
    ))
    .stderr(contains("kvs-engine").and(contains("--repair")));
    refused(look_over(dir.path(), "--verify")).stderr(contains("kvs-engine"));
    look_over(dir.path(), "--repair").success();
    assert_eq!(fs::read_to_string(&marker).unwrap(), "kvs\n");
    let process = ServerProcess::start(dir.path(), &[]);
    client(&format!("get key --addr {}", process.addr))
        .success()
        .stdout("value\n");
}
