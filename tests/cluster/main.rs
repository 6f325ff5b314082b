//! The engine on a Redis Cluster, with a real one: three masters and a replica of each.
//!
//! Without `redis-server`, the tests are ignored.

#[path = "../common/mod.rs"]
mod common;
#[path = "../engine/every_engine.rs"]
mod every_engine;
mod failures;
mod nodes;
mod order;
mod promises;
mod server;

use std::process::Command;

use futures::Future;
use kvs::engine::{ClusterEngine, ClusterOptions, SyncLevel};
use kvs::{KvsEngine, Result};
use libtest_mimic::{Arguments, Trial};

use self::nodes::Cluster;

const TESTS: &[(&str, fn())] = &[
    (
        "it_keeps_the_promises_of_every_engine",
        promises::of_every_engine,
    ),
    (
        "it_keeps_long_values_and_odd_keys",
        promises::long_values_and_odd_keys,
    ),
    (
        "a_scan_returns_each_pair_once",
        promises::scan_returns_each_pair_once,
    ),
    (
        "it_is_linearizable_while_slots_move",
        order::is_linearizable,
    ),
    (
        "requests_of_one_caller_take_effect_in_order_while_slots_move",
        order::keeps_order,
    ),
    (
        "a_killed_server_loses_no_acknowledged_write",
        failures::of_the_server,
    ),
    (
        "a_killed_master_loses_no_write_that_a_replica_has",
        failures::of_a_master,
    ),
    (
        "a_frozen_master_that_comes_back_changes_nothing",
        failures::frozen,
    ),
    (
        "a_cluster_that_is_gone_is_an_error_until_it_is_back",
        failures::of_all_nodes,
    ),
    (
        "a_cluster_that_is_not_there_is_a_clear_error",
        failures::nobody_there,
    ),
    (
        "the_nodes_may_want_a_password_of_a_user_or_of_all",
        server::password,
    ),
    ("a_stop_waits_for_the_requests_under_way", server::stop),
    (
        "requests_over_the_limit_are_refused_and_those_before_are_done",
        server::too_many,
    ),
    (
        "a_node_that_drops_keys_is_refused",
        failures::node_that_drops_keys,
    ),
];

fn main() {
    let version = Command::new("redis-server").arg("--version").output();
    let is_there = version.is_ok();
    if !is_there {
        eprintln!("ignoring the tests of the cluster: there is no redis-server here");
    }
    let tests = TESTS.iter().map(|(name, run)| {
        let run = || {
            run();
            Ok(())
        };
        Trial::test(*name, run).with_ignored_flag(!is_there)
    });
    let mut arguments = Arguments::from_args();
    // Each test has a cluster of its own, which takes its share of the machine.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, tests.collect()).exit();
}

fn open(cluster: &Cluster, sync: SyncLevel) -> ClusterEngine {
    ClusterOptions::new(cluster.addrs())
        .sync(sync)
        .open()
        .unwrap()
}

fn set(store: &ClusterEngine, key: &str, value: &str) -> Result<()> {
    store.set(key.to_owned(), value.to_owned()).wait()
}

fn get(store: &ClusterEngine, key: &str) -> Result<Option<String>> {
    store.get(key.to_owned()).wait()
}
