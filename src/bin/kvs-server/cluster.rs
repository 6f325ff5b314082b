//! The engine on a cluster.

use std::env;

use kvs::Token;
use kvs::engine::{ClusterEngine, ClusterOptions, SyncLevel};

use crate::cli::{Failure, Result};
use crate::options::{ClusterOpts, Opt};

/// The environment variable with the password of the cluster.
const PASSWORD: &str = "KVS_CLUSTER_PASSWORD";

/// Connects to the cluster that the arguments name.
pub(crate) fn open(opt: &Opt, sync: SyncLevel) -> Result<ClusterEngine> {
    let ClusterOpts {
        nodes,
        time,
        password_file,
        user,
    } = &opt.cluster;
    if nodes.is_empty() {
        return Err(Failure::usage("--engine cluster needs --cluster HOST:PORT"));
    }
    if opt.data_dir.is_some() {
        return Err(Failure::usage(
            "the engine cluster has no --data-dir: the nodes have the data",
        ));
    }
    let mut options = ClusterOptions::new(nodes).sync(sync);
    if let Some(time) = time {
        options = options.time(*time);
    }
    let password = match password_file {
        Some(file) => Some(Token::from_file(file)?),
        None => env::var(PASSWORD).ok().map(Token::new).transpose()?,
    };
    if let Some(password) = password {
        options = options.password(&password);
    }
    if let Some(user) = user {
        options = options.user(user);
    }
    Ok(options.open()?)
}
