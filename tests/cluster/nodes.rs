//! A Redis Cluster on this machine.
#![allow(dead_code, reason = "the benchmark uses a part of this")]

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use redis::{Connection, FromRedisValue, Value};
use tempfile::TempDir;

/// The masters. As many replicas follow.
pub const MASTERS: usize = 3;

/// The time in which a cluster has to reach the state that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Three masters and a replica of each. Node `n + 3` begins as the replica of node `n`.
pub struct Cluster {
    dir: TempDir,
    nodes: Vec<Node>,
}

struct Node {
    port: u16,
    /// `None` after a kill.
    process: Option<Child>,
}

impl Cluster {
    pub fn start() -> Cluster {
        let dir = tempfile::tempdir().unwrap();
        let mut cluster = Cluster {
            dir,
            nodes: Vec::new(),
        };
        for _ in 0..2 * MASTERS {
            let node = cluster.start_node();
            cluster.nodes.push(node);
        }
        let ids: Vec<String> = (0..MASTERS)
            .map(|n| cluster.ask(n, "CLUSTER MYID"))
            .collect();
        for n in 0..MASTERS {
            let first = 16_384 * n / MASTERS;
            let last = 16_384 * (n + 1) / MASTERS - 1;
            cluster.tell(n, &format!("CLUSTER ADDSLOTSRANGE {first} {last}"));
        }
        // Nodes with the same epoch would have to settle that first.
        for n in 0..2 * MASTERS {
            cluster.tell(n, &format!("CLUSTER SET-CONFIG-EPOCH {}", n + 1));
        }
        for n in 1..2 * MASTERS {
            let port = cluster.nodes[n].port;
            cluster.tell(0, &format!("CLUSTER MEET 127.0.0.1 {port} {}", bus(port)));
        }
        let knows_all = |cluster: &Cluster, n: usize| {
            cluster.ask::<String>(n, "CLUSTER NODES").lines().count() == 2 * MASTERS
        };
        cluster.wait(|cluster| (0..2 * MASTERS).all(|n| knows_all(cluster, n)));
        for (n, id) in ids.iter().enumerate() {
            cluster.tell(n + MASTERS, &format!("CLUSTER REPLICATE {id}"));
        }
        cluster.wait_until_sound();
        cluster
    }

    fn start_node(&self) -> Node {
        // Another process may take the port first. Then the next attempt has another one.
        loop {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let mut node = Node {
                port,
                process: None,
            };
            if self.run(&mut node) {
                return node;
            }
        }
    }

    /// Starts a node. Returns whether it answers.
    fn run(&self, node: &mut Node) -> bool {
        let dir = self.dir.path().join(node.port.to_string());
        std::fs::create_dir_all(&dir).unwrap();
        let port = node.port.to_string();
        let mut process = Command::new("redis-server")
            .args([
                "--port",
                &port,
                "--cluster-port",
                &bus(node.port).to_string(),
            ])
            .args(["--bind", "127.0.0.1", "--dir"])
            .arg(dir)
            .args(["--cluster-enabled", "yes", "--cluster-node-timeout", "1500"])
            .args(["--cluster-require-full-coverage", "no"])
            .args([
                "--repl-diskless-sync-delay",
                "0",
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while process.try_wait().unwrap().is_none() {
            if connect(node.port).is_some() {
                node.process = Some(process);
                return true;
            }
            assert!(start.elapsed() < PATIENCE, "redis-server does not answer");
            thread::sleep(Duration::from_millis(10));
        }
        false
    }

    pub fn addr(&self, n: usize) -> String {
        format!("127.0.0.1:{}", self.nodes[n].port)
    }

    pub fn addrs(&self) -> Vec<String> {
        (0..self.nodes.len()).map(|n| self.addr(n)).collect()
    }

    /// Sends a command to node `n`, and returns its reply.
    pub fn ask<T: FromRedisValue>(&self, n: usize, command: &str) -> T {
        let mut connection = connect(self.nodes[n].port).expect("the node answers");
        let mut words = command.split(' ');
        let mut query = redis::cmd(words.next().unwrap());
        query.arg(words.collect::<Vec<_>>());
        query.query(&mut connection).unwrap()
    }

    pub fn tell(&self, n: usize, command: &str) {
        self.ask::<Value>(n, command);
    }

    fn info(&self, n: usize, section: &str, field: &str) -> String {
        let info: String = self.ask(n, section);
        let mut fields = info.lines().filter_map(|line| line.split_once(':'));
        fields
            .find(|(name, _)| *name == field)
            .map_or(String::new(), |(_, it)| it.to_owned())
    }

    /// Waits until all nodes that run find the cluster sound, and each replica follows its master.
    pub fn wait_until_sound(&self) {
        self.wait(|cluster| {
            let mut running =
                (0..cluster.nodes.len()).filter(|n| cluster.nodes[*n].process.is_some());
            running.all(|n| {
                let is_replica = cluster.info(n, "INFO", "role") == "slave";
                cluster.info(n, "CLUSTER INFO", "cluster_state") == "ok"
                    && cluster.info(n, "CLUSTER INFO", "cluster_slots_ok") == "16384"
                    && (!is_replica || cluster.info(n, "INFO", "master_link_status") == "up")
                    && (is_replica || cluster.info(n, "INFO", "connected_slaves") != "0")
            })
        });
    }

    fn wait(&self, mut is_so: impl FnMut(&Cluster) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            assert!(
                start.elapsed() < PATIENCE,
                "the cluster does not become sound"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn is_master(&self, n: usize) -> bool {
        self.info(n, "INFO", "role") == "master"
    }

    /// Sends a signal to node `n`, such as `STOP`.
    pub fn signal(&self, n: usize, name: &str) {
        if let Some(process) = &self.nodes[n].process {
            super::common::send_signal(process.id(), name);
        }
    }

    pub fn kill(&mut self, n: usize) {
        if let Some(mut process) = self.nodes[n].process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts a node again that was killed. It knows the cluster from its file.
    pub fn start_again(&mut self, n: usize) {
        let mut node = Node {
            port: self.nodes[n].port,
            process: None,
        };
        assert!(self.run(&mut node), "the port is taken");
        self.nodes[n] = node;
    }

    /// Moves a slot with its keys from one master to another, as `redis-cli --cluster reshard`
    /// does.
    pub fn move_slot(&self, slot: u16, from: usize, to: usize) {
        let (from_id, to_id): (String, String) =
            (self.ask(from, "CLUSTER MYID"), self.ask(to, "CLUSTER MYID"));
        self.tell(to, &format!("CLUSTER SETSLOT {slot} IMPORTING {from_id}"));
        self.tell(from, &format!("CLUSTER SETSLOT {slot} MIGRATING {to_id}"));
        loop {
            let keys: Vec<String> = self.ask(from, &format!("CLUSTER GETKEYSINSLOT {slot} 10"));
            if keys.is_empty() {
                break;
            }
            let port = self.nodes[to].port;
            for key in keys {
                self.tell(from, &format!("MIGRATE 127.0.0.1 {port} {key} 0 5000"));
            }
        }
        // The new owner comes first, so that there is always one.
        for n in [to, from] {
            self.tell(n, &format!("CLUSTER SETSLOT {slot} NODE {to_id}"));
        }
        // If the slot moved on before all nodes agree, two of them could take it for their own.
        self.wait(|cluster| (0..MASTERS).all(|n| cluster.owner(n, slot) == to_id));
    }

    /// Returns the id of the node that has `slot`, as node `n` knows it.
    fn owner(&self, n: usize, slot: u16) -> String {
        let ranges: Vec<Vec<Value>> = self.ask(n, "CLUSTER SLOTS");
        let owner = ranges.into_iter().find_map(|range| {
            let number = |at: usize| u16::from_redis_value(range[at].clone()).unwrap();
            let (_, _, id): (String, u16, String) =
                FromRedisValue::from_redis_value(take(&range[2], 3)).unwrap();
            (number(0)..=number(1)).contains(&slot).then_some(id)
        });
        owner.unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for n in 0..self.nodes.len() {
            self.kill(n);
        }
    }
}

fn connect(port: u16) -> Option<Connection> {
    let client = redis::Client::open(("127.0.0.1", port)).unwrap();
    client
        .get_connection_with_timeout(Duration::from_secs(5))
        .ok()
}

/// Returns the first items of an array.
fn take(array: &Value, n: usize) -> Value {
    let Value::Array(items) = array else {
        panic!("{array:?} is no array");
    };
    Value::Array(items[..n].to_vec())
}

/// Returns the port of the bus of a node.
fn bus(port: u16) -> u16 {
    // The usual distance of 10,000 may lead past the last port.
    if port > 40_000 {
        port - 20_000
    } else {
        port + 20_000
    }
}
