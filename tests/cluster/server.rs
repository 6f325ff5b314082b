//! Access to the nodes, and the end and the bounds of what is under way.

use std::process::Command;
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;
use futures::Future;
use futures::future;
use kvs::client::blocking::KvsClient;
use kvs::engine::{ClusterOptions, SyncLevel};
use kvs::{KvsEngine, KvsError, Token};

use super::common::{ServerProcess, Wire, token_file, wait_for_stats};
use super::nodes::{Cluster, MASTERS};
use super::{get, open, set};

/// A time in which the nodes can refuse a password.
const MOMENT: Duration = Duration::from_millis(500);

pub fn password() {
    let cluster = Cluster::start();
    for n in 0..2 * MASTERS {
        cluster.tell(n, "ACL SETUSER app on >secret ~* +@all");
    }
    let token = |text| Token::new(text).unwrap();
    let options = ClusterOptions::new(cluster.addrs()).user("app");
    let store = options.clone().password(&token("secret")).open().unwrap();
    set(&store, "key", "value").unwrap();
    assert_eq!(get(&store, "key").unwrap().as_deref(), Some("value"));
    let wrong = options.password(&token("guess")).time(MOMENT).open();
    let error = wrong.unwrap_err().to_string();
    assert!(error.contains("authentication failed"), "{error}");

    // Nodes that want a password of the default user, too, from those that replicate as well.
    for n in 0..2 * MASTERS {
        cluster.tell(n, "CONFIG SET masterauth secret requirepass secret");
    }
    let options = ClusterOptions::new(cluster.addrs());
    let store = options.clone().password(&token("secret")).open().unwrap();
    assert_eq!(get(&store, "key").unwrap().as_deref(), Some("value"));
    let error = options.time(MOMENT).open().unwrap_err().to_string();
    assert!(error.contains("NOAUTH"), "{error}");
    assert!(!error.contains("secret"), "{error}");

    // The program takes the password from a file or from the environment.
    let dir = tempfile::tempdir().unwrap();
    let file = token_file(dir.path(), "secret\n");
    let nodes = cluster.addrs().join(",");
    let file = ["--cluster-password-file", file.to_str().unwrap()];
    let of_user = [&["--cluster", &nodes, "--cluster-user", "app"], &file[..]].concat();
    let mut command = Command::new(cargo_bin!("kvs-server"));
    command.env("KVS_CLUSTER_PASSWORD", "secret");
    for server in [
        ServerProcess::start_without_dir(&of_user),
        ServerProcess::spawn(command, &["--cluster", &nodes]),
    ] {
        let mut client = KvsClient::connect(server.addr).unwrap();
        let value = client.get("key".to_owned()).unwrap();
        assert_eq!(value.as_deref(), Some("value"));
    }
}

pub fn stop() {
    const REQUESTS: u64 = 100;
    let cluster = Cluster::start();
    let mut server = ServerProcess::start_without_dir(&["--cluster", &cluster.addrs().join(",")]);
    let mut watcher = KvsClient::connect(server.addr).unwrap();
    (0..MASTERS).for_each(|n| cluster.signal(n, "STOP"));
    let mut client = Wire::connect(server.addr);
    for n in 0..REQUESTS {
        client.send(&format!(r#"{{"Set":{{"key":"{n}","value":"value"}}}}"#));
    }
    wait_for_stats(&mut watcher, |stats| {
        stats.requests.get("Set") == Some(&REQUESTS)
    });
    server.signal("TERM");
    // A server that stops closes the connections that wait for nothing.
    while watcher.stats().is_ok() {}
    (0..MASTERS).for_each(|n| cluster.signal(n, "CONT"));
    for _ in 0..REQUESTS {
        assert_eq!(client.receive(), r#""Set""#);
    }
    client.expect_end();
    assert_eq!(server.wait(), Some(0));
}

pub fn too_many() {
    const MOST: usize = 100_000;
    let cluster = Cluster::start();
    let store = open(&cluster, SyncLevel::EverySec);
    set(&store, "key", "value").unwrap();
    (0..MASTERS).for_each(|n| cluster.signal(n, "STOP"));
    let gets: Vec<_> = (0..MOST).map(|_| store.get("key".to_owned())).collect();
    let error = get(&store, "key").unwrap_err();
    assert!(matches!(error, KvsError::Cluster { .. }), "{error}");
    assert!(error.to_string().contains("100000 requests"), "{error}");
    (0..MASTERS).for_each(|n| cluster.signal(n, "CONT"));
    let found = future::join_all(gets).wait().unwrap();
    assert!(found.iter().all(|it| it.as_deref() == Some("value")));
    assert_eq!(get(&store, "key").unwrap().as_deref(), Some("value"));
}
