//! A connection for the commands that need more than a variant offers.

use failure::Error;
use futures::future::{self, Either};
use futures::sync::oneshot::{self, SpawnHandle};
use futures::{Future, IntoFuture};
use kvs::KvsError;
use kvs::client::connection::Connection;
use kvs::protocol::{Request, Response};
use tokio::runtime::{Builder, Runtime};

use crate::cli::Result;
use crate::target::{Limit, Target};

/// A connection that another thread drives, so that requests are on their way while this thread
/// reads or writes files.
pub struct Session {
    // It drops before the runtime that drives it.
    connection: Connection,
    limit: Limit,
    runtime: Runtime,
}

impl Session {
    /// Connects, and shows the token if there is one.
    pub fn open(target: Target) -> Result<Session> {
        let runtime = Builder::new().core_threads(1).build();
        let runtime = runtime.map_err(KvsError::io("start the runtime"))?;
        let opened = target.connect(Connection::open);
        let Target { token, limit, .. } = target;
        let of_auth = limit.clone();
        let opened = opened.and_then(move |connection| match token {
            Some(token) => {
                let token = token.reveal();
                let auth = reply_to(&Request::Auth { token }, &connection, &of_auth);
                let done = auth.and_then(|reply| Ok(reply.into_done()?));
                Either::A(done.map(|()| connection))
            }
            None => Either::B(future::ok(connection)),
        });
        let connection = oneshot::spawn(opened, &runtime.executor()).wait()?;
        Ok(Session {
            connection,
            limit,
            runtime,
        })
    }

    /// Sends a request, and returns a future of the reply. The request is on its way even if the
    /// future is not polled.
    pub fn start(&self, request: &Request) -> SpawnHandle<Response, Error> {
        self.spawn(|connection, limit| reply_to(request, &connection, &limit))
    }

    /// Spawns a future that uses the connection.
    pub fn spawn<F>(
        &self,
        future: impl FnOnce(Connection, Limit) -> F,
    ) -> SpawnHandle<F::Item, Error>
    where
        F: IntoFuture<Error = Error, Item: Send + 'static, Future: Send + 'static>,
    {
        let future = future(self.connection.clone(), self.limit.clone());
        oneshot::spawn(future.into_future(), &self.runtime.executor())
    }
}

fn reply_to(
    request: &Request,
    connection: &Connection,
    limit: &Limit,
) -> impl Future<Item = Response, Error = Error> + Send + use<> {
    let (sending, receiving) = connection.request(request);
    limit.reply(request.kind(), sending.and_then(|()| receiving))
}
