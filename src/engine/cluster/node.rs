//! One node of a cluster: its connections, and the slots whose requests wait for them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo, Pipeline,
    RedisConnectionInfo, RedisResult, Value,
};

use super::job::Job;
use super::slots::Slot;

/// The time in which a connection has to be there.
const CONNECT_TIME: Duration = Duration::from_secs(1);

/// The time in which a batch has to be answered.
const BATCH_TIME: Duration = Duration::from_secs(4);

/// The time in which a replica has to have the writes of a batch.
const WAIT_TIME: Duration = Duration::from_secs(2);

/// A connection that was not used for this time may be gone without a word.
const IDLE_TIME: Duration = Duration::from_secs(5);

/// The pause before the next attempt to connect.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection, and the requests for it, a batch at a time.
///
/// A `WAIT` holds all later commands of its connection back. So if writes wait for a replica, reads
/// have a lane of their own. Otherwise all requests of a node share one.
#[derive(Debug)]
pub(super) struct Lane {
    state: State,
    /// The slots whose oldest request is for this lane.
    pub(super) ready: VecDeque<Slot>,
    /// The time of the last reply.
    used: Instant,
    retry_at: Instant,
}

#[derive(Debug)]
enum State {
    Closed,
    Connecting,
    Free(MultiplexedConnection),
    /// A batch has the connection.
    Busy,
}

/// The next step of a lane.
pub(super) enum Next {
    Connect,
    Send(Link),
    Nothing,
}

/// The connection of a lane while a batch has it.
pub(super) struct Link {
    connection: MultiplexedConnection,
    is_idle: bool,
}

/// A batch has no replies.
pub(super) struct Lost {
    /// Whether the node may have done the requests.
    pub(super) was_sent: bool,
    pub(super) reason: String,
}

impl Default for Lane {
    fn default() -> Lane {
        Lane {
            state: State::Closed,
            ready: VecDeque::new(),
            used: Instant::now(),
            retry_at: Instant::now(),
        }
    }
}

impl Lane {
    /// Returns whether nothing is under way and nothing waits.
    pub(super) fn is_unused(&self) -> bool {
        self.ready.is_empty() && self.is_at_rest()
    }

    /// Returns whether there may be something to do.
    pub(super) fn has_next(&self) -> bool {
        !self.ready.is_empty() && self.is_at_rest()
    }

    fn is_at_rest(&self) -> bool {
        matches!(self.state, State::Closed | State::Free(_))
    }

    /// Begins the next step for the slots that are ready.
    pub(super) fn next(&mut self) -> Next {
        if self.ready.is_empty() {
            return Next::Nothing;
        }
        match std::mem::replace(&mut self.state, State::Busy) {
            State::Closed if self.retry_at <= Instant::now() => {
                self.state = State::Connecting;
                Next::Connect
            }
            State::Free(connection) => Next::Send(Link {
                connection,
                is_idle: self.used.elapsed() >= IDLE_TIME,
            }),
            state => {
                self.state = state;
                Next::Nothing
            }
        }
    }

    /// Notes that there is a connection, or again one.
    pub(super) fn open(&mut self, connection: MultiplexedConnection) {
        self.used = Instant::now();
        self.state = State::Free(connection);
    }

    pub(super) fn close(&mut self) {
        self.retry_at = Instant::now() + PAUSE;
        self.state = State::Closed;
    }
}

impl Link {
    pub(super) fn into_connection(self) -> MultiplexedConnection {
        self.connection
    }

    /// Sends the requests and returns their replies. With `waits`, the last reply is the number of
    /// replicas that have the writes.
    pub(super) async fn exchange(
        mut self,
        jobs: &[Job],
        waits: bool,
    ) -> Result<(MultiplexedConnection, Vec<Value>), Lost> {
        // A write that is sent over a dead connection fails, although it is not done. A ping tells
        // before that.
        if self.is_idle {
            let ping = redis::cmd("PING");
            let pong = self.connection.send_packed_command(&ping);
            let is_alive = tokio1::time::timeout(CONNECT_TIME, pong).await;
            if !matches!(is_alive, Ok(Ok(_))) {
                return Err(Lost {
                    was_sent: false,
                    reason: "the connection was gone".to_owned(),
                });
            }
        }
        let mut pipeline = Pipeline::with_capacity(jobs.len() + 1);
        for job in jobs {
            job.add_to(&mut pipeline);
        }
        if waits {
            let millis = WAIT_TIME.as_millis() as u64;
            pipeline.cmd("WAIT").arg(1).arg(millis);
        }
        let count = pipeline.len();
        let replies = self.connection.send_packed_commands(&pipeline, 0, count);
        let reason = match replies.await {
            Ok(replies) if replies.len() == count => return Ok((self.connection, replies)),
            Ok(replies) => format!("{} replies to {count} commands", replies.len()),
            Err(error) => error.to_string(),
        };
        Err(Lost {
            was_sent: true,
            reason,
        })
    }
}

/// Connects to the node at `addr`.
pub(super) async fn connect(
    addr: &str,
    login: &RedisConnectionInfo,
) -> RedisResult<MultiplexedConnection> {
    let Some((host, port)) = split(addr) else {
        return Err((ErrorKind::InvalidClientConfig, "it is not HOST:PORT").into());
    };
    // When the connection is dropped, a node that hangs must not find requests in it later, behind
    // those of the next connection. So it is reset, not closed.
    let tcp = TcpSettings::default()
        .set_nodelay(true)
        .set_linger_time(Duration::ZERO);
    let info = ConnectionAddr::Tcp(host.to_owned(), port)
        .into_connection_info()?
        .set_redis_settings(login.clone())
        .set_tcp_settings(tcp);
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIME))
        .set_response_timeout(Some(BATCH_TIME));
    let client = Client::open(info)?;
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

/// Returns the host and the port of an address, or `None` if it has none of them.
pub(super) fn split(addr: &str) -> Option<(&str, u16)> {
    let (host, port) = addr.rsplit_once(':')?;
    // An IPv6 address in a URL has brackets, and one in a reply of a node has none.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = port.parse().ok()?;
    (!host.is_empty()).then_some((host, port))
}
