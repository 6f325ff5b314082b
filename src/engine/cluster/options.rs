//! How to reach a cluster, and when a write to it completes.

use std::fmt;
use std::time::Duration;

use redis::RedisConnectionInfo;

use crate::engine::SyncLevel;
use crate::token::Token;

/// The settings of a [`ClusterEngine`](super::ClusterEngine).
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    pub(super) login: Login,
    pub(super) sync: SyncLevel,
    /// The time after which a request fails that no node has taken.
    pub(super) limit: Duration,
}

/// The nodes to ask first, and who asks.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) seeds: Vec<String>,
    user: Option<String>,
    password: Option<String>,
}

impl ClusterOptions {
    /// Returns the settings for the cluster of these nodes, each as `HOST:PORT`. One that answers
    /// is enough: it knows the others.
    pub fn new(seeds: impl IntoIterator<Item = impl Into<String>>) -> ClusterOptions {
        ClusterOptions {
            login: Login {
                seeds: seeds.into_iter().map(Into::into).collect(),
                user: None,
                password: None,
            },
            sync: SyncLevel::default(),
            limit: Duration::from_secs(12),
        }
    }

    /// Sets the moment at which a write completes. With [`SyncLevel::Always`], that is when a
    /// replica has it as well, and otherwise when its master has it.
    #[must_use]
    pub fn sync(mut self, sync: SyncLevel) -> ClusterOptions {
        self.sync = sync;
        self
    }

    /// Sets the time after which a request fails that no node has taken. The default is 12 seconds,
    /// so that requests outlast the promotion of a replica.
    #[must_use]
    pub fn time(mut self, limit: Duration) -> ClusterOptions {
        self.limit = limit;
        self
    }

    /// Sets the password that the nodes ask for.
    #[must_use]
    pub fn password(mut self, password: &Token) -> ClusterOptions {
        self.login.password = Some(password.reveal());
        self
    }

    /// Sets the name of the user that the password belongs to, if it is not the default user.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> ClusterOptions {
        self.login.user = Some(user.into());
        self
    }
}

impl Login {
    pub(super) fn redis(&self) -> RedisConnectionInfo {
        let mut info =
            RedisConnectionInfo::default().set_lib_name("kvs", env!("CARGO_PKG_VERSION"));
        if let Some(user) = &self.user {
            info = info.set_username(user);
        }
        if let Some(password) = &self.password {
            info = info.set_password(password);
        }
        info
    }
}

impl fmt::Debug for Login {
    /// Leaves out the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("seeds", &self.seeds)
            .finish_non_exhaustive()
    }
}
