//! The clients on executors other than that of tokio 0.1: tokio 1, `async-executor` and
//! `futures::executor::block_on`. The futures of `pinned` and `awaited` are awaited directly, the
//! others through `.compat()`.
#![cfg(all(
    feature = "anon",
    feature = "awaited",
    feature = "boxed",
    feature = "explicit",
    feature = "manual",
    feature = "pinned"
))]

mod common;

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};

use async_executor::Executor;
use common::{ANY_PORT, NOBODY, PATIENCE, Wire, serve};
use futures03::compat::Future01CompatExt;
use futures03::executor::block_on;
use futures03::future::{FutureExt, join_all, try_join_all};
use kvs::client::{QUEUE, anon, awaited, boxed, explicit, manual, pinned};
use kvs::{KvsError, Result};

/// More requests than the queue holds, so that some of them wait for room.
const MANY: usize = 4 * QUEUE;

/// Runs a future on each executor, with a server of its own.
fn on_each_executor<F>(job: impl Fn(SocketAddr) -> F)
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (_dir, server) = serve();
    block_on(job(server.addr)).unwrap();

    let (_dir, server) = serve();
    let mut one_thread = tokio1::runtime::Builder::new_current_thread();
    one_thread
        .build()
        .unwrap()
        .block_on(job(server.addr))
        .unwrap();

    let (_dir, server) = serve();
    let many_threads = tokio1::runtime::Runtime::new().unwrap();
    let task = many_threads.spawn(job(server.addr));
    many_threads.block_on(task).unwrap().unwrap();

    let (_dir, server) = serve();
    let executor = Executor::new();
    let task = executor.spawn(job(server.addr));
    block_on(executor.run(task)).unwrap();
}

/// Awaits each request of a client, through a bridge if the client needs one.
macro_rules! one_request_at_a_time {
    ($client:ident $(, $($bridge:tt)*)?) => {
        $client.set("k".to_owned(), "v".to_owned())$($($bridge)*)?.await?;
        let value = $client.get("k".to_owned())$($($bridge)*)?.await?;
        assert_eq!(value.as_deref(), Some("v"));
        $client.remove("k".to_owned())$($($bridge)*)?.await?;
        assert_eq!($client.get("k".to_owned())$($($bridge)*)?.await?, None);
        let gone = $client.remove("k".to_owned())$($($bridge)*)?.await;
        assert!(matches!(gone, Err(KvsError::KeyNotFound)));
    };
}

#[test]
fn pinned_is_awaited_as_it_is() {
    on_each_executor(|addr| async move {
        let mut client = pinned::KvsClient::connect(addr).await?;
        one_request_at_a_time!(client);
        let values = try_join_all((0..MANY).map(|_| client.get("k".to_owned()))).await?;
        assert_eq!(values, vec![None; MANY]);
        Ok(())
    });
}

#[test]
fn awaited_is_awaited_as_it_is() {
    on_each_executor(|addr| async move {
        let mut client = awaited::KvsClient::connect(addr).await?;
        one_request_at_a_time!(client);
        // The futures borrow their handles, so each future has a handle of its own.
        let mut clients = vec![client; MANY];
        let gets = clients.iter_mut().map(|client| client.get("k".to_owned()));
        assert_eq!(try_join_all(gets).await?, vec![None; MANY]);
        Ok(())
    });
}

macro_rules! awaited_through_compat {
    ($($test:ident: $variant:ident,)*) => {
        $(#[test]
        fn $test() {
            on_each_executor(|addr| async move {
                let mut client = $variant::KvsClient::connect(addr).compat().await?;
                one_request_at_a_time!(client, .compat());
                let gets = (0..MANY).map(|_| client.get("k".to_owned()).compat());
                assert_eq!(try_join_all(gets).await?, vec![None; MANY]);
                Ok(())
            });
        })*
    };
}

awaited_through_compat! {
    anon_is_awaited_through_compat: anon,
    boxed_is_awaited_through_compat: boxed,
    explicit_is_awaited_through_compat: explicit,
    manual_is_awaited_through_compat: manual,
}

#[test]
fn the_clients_of_both_generations_work_in_one_program() {
    on_each_executor(|addr| async move {
        let mut old = anon::KvsClient::connect(addr).compat().await?;
        let mut new = pinned::KvsClient::connect(addr).await?;
        old.set("k".to_owned(), "v".to_owned()).compat().await?;
        assert_eq!(new.get("k".to_owned()).await?.as_deref(), Some("v"));
        Ok(())
    });
}

/// Starts a server for one connection. For each message on the channel, it answers a request with
/// the key of the request.
fn answers_when_told() -> (SocketAddr, mpsc::Sender<()>, JoinHandle<()>) {
    let listener = TcpListener::bind(ANY_PORT).unwrap();
    let addr = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    let thread = thread::spawn(move || {
        let mut peer = Wire::new(listener.accept().unwrap().0, PATIENCE);
        while told.recv().is_ok() {
            let request = peer.receive();
            let key = request.split('"').nth(5).unwrap();
            peer.send(&format!(r#"{{"Get":"{key}"}}"#));
        }
        peer.expect_end();
    });
    (addr, tell, thread)
}

/// A request that is dropped half-way on another executor does not shift the replies of later
/// requests.
macro_rules! dropped_half_way {
    ($($test:ident: $variant:ident,)*) => {
        $(#[test]
        fn $test() {
            let (addr, answer, server) = answers_when_told();
            let runtime = tokio1::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let mut client = $variant::KvsClient::connect(addr).await.unwrap();
                // The future is polled once, and then dropped.
                let polled = client.get("dropped".to_owned()).now_or_never();
                assert!(polled.is_none());
                answer.send(()).unwrap();
                answer.send(()).unwrap();
                let value = client.get("next".to_owned()).await.unwrap();
                assert_eq!(value.as_deref(), Some("next"));
            });
            drop(answer);
            server.join().unwrap();
        })*
    };
}

dropped_half_way! {
    a_future_of_pinned_may_be_dropped_half_way: pinned,
    a_future_of_awaited_may_be_dropped_half_way: awaited,
}

#[test]
fn tasks_of_their_own_share_a_connection() {
    let (_dir, server) = serve();
    let runtime = tokio1::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = awaited::KvsClient::connect(server.addr).await.unwrap();
        let tasks = (0..MANY).map(|n| {
            let mut client = client.clone();
            tokio1::spawn(async move {
                client.set(n.to_string(), format!("value {n}")).await?;
                client.get(n.to_string()).await
            })
        });
        for (n, value) in join_all(tasks).await.into_iter().enumerate() {
            assert_eq!(value.unwrap().unwrap(), Some(format!("value {n}")));
        }
    });
}

/// Returns a future that connects a client, sends a request, and resolves to the answer or an
/// error.
type Question = Box<dyn futures::Future<Item = Option<String>, Error = KvsError> + Send>;

fn question(addr: SocketAddr) -> Question {
    use futures::Future as _;
    let connected = anon::KvsClient::connect(addr);
    Box::new(connected.and_then(|mut client| {
        let set = client.set("k".to_owned(), "v".to_owned());
        set.and_then(move |()| client.get("k".to_owned()))
    }))
}

/// Runs a request on an executor, in a separate thread. Panics if it hangs.
fn ask_on(executor: impl FnOnce(Question) -> Result<Option<String>> + Send + 'static) -> Answer {
    let (_dir, server) = serve();
    let (answer, answered) = mpsc::channel();
    let question = question(server.addr);
    thread::spawn(move || answer.send(executor(question)).unwrap());
    answered.recv_timeout(PATIENCE).expect("the client hangs")
}

type Answer = Result<Option<String>>;

fn is_answered(answer: &Answer) -> bool {
    matches!(answer, Ok(Some(value)) if value == "v")
}

#[test]
fn an_executor_of_futures_0_1_needs_no_reactor() {
    use futures::Future as _;
    use futures::sync::oneshot;
    use tokio::executor::current_thread::block_on_all;
    use tokio_threadpool::ThreadPool;

    let on_this_thread = ask_on(block_on_all);
    assert!(is_answered(&on_this_thread), "{on_this_thread:?}");

    let on_a_pool = ask_on(|question| {
        let pool = ThreadPool::new();
        oneshot::spawn(question, pool.sender()).wait()
    });
    assert!(is_answered(&on_a_pool), "{on_a_pool:?}");

    let entered = ask_on(|question| tokio_executor::enter().unwrap().block_on(question));
    assert!(is_answered(&entered), "{entered:?}");

    let by_hand = ask_on(|question| futures::executor::spawn(question).wait_future());
    assert!(is_answered(&by_hand), "{by_hand:?}");

    let with_threads = ask_on(|question| {
        let mut enter = tokio_executor::enter().unwrap();
        tokio_executor::with_default(&mut Threads, &mut enter, |enter| enter.block_on(question))
    });
    assert!(is_answered(&with_threads), "{with_threads:?}");
}

/// An executor with a thread for each task.
struct Threads;

impl tokio_executor::Executor for Threads {
    fn spawn(&mut self, task: Task) -> std::result::Result<(), tokio_executor::SpawnError> {
        thread::spawn(|| futures::Future::wait(task));
        Ok(())
    }
}

type Task = Box<dyn futures::Future<Item = (), Error = ()> + Send>;

#[test]
fn an_executor_that_takes_no_task_is_an_error_at_once() {
    struct Refuses;

    impl tokio_executor::Executor for Refuses {
        fn spawn(&mut self, _: Task) -> std::result::Result<(), tokio_executor::SpawnError> {
            Err(tokio_executor::SpawnError::at_capacity())
        }
    }

    struct Drops;

    impl tokio_executor::Executor for Drops {
        fn spawn(&mut self, _: Task) -> std::result::Result<(), tokio_executor::SpawnError> {
            Ok(())
        }
    }

    let refused = ask_on(|question| {
        let mut enter = tokio_executor::enter().unwrap();
        tokio_executor::with_default(&mut Refuses, &mut enter, |enter| enter.block_on(question))
    });
    assert!(matches!(refused, Err(KvsError::Io { .. })), "{refused:?}");
    let dropped = ask_on(|question| {
        let mut enter = tokio_executor::enter().unwrap();
        tokio_executor::with_default(&mut Drops, &mut enter, |enter| enter.block_on(question))
    });
    assert!(
        matches!(dropped, Err(KvsError::Connection { .. })),
        "{dropped:?}"
    );
}

/// The thread of the library wakes tasks of every executor.
#[test]
fn an_executor_that_panics_harms_no_other_client() {
    use futures::Future as _;

    struct Panics(Mutex<mpsc::Sender<()>>);

    impl futures::executor::Notify for Panics {
        fn notify(&self, _: usize) {
            self.0.lock().unwrap().send(()).unwrap();
            panic!("on purpose");
        }
    }

    let (addr, answer, server) = answers_when_told();
    let mut client = anon::KvsClient::connect(addr).wait().unwrap();
    let (woken, is_woken) = mpsc::channel();
    let panics = Arc::new(Panics(Mutex::new(woken)));
    let mut get = futures::executor::spawn(client.get("unlucky".to_owned()));
    assert!(get.poll_future_notify(&panics, 0).unwrap().is_not_ready());
    answer.send(()).unwrap();
    is_woken.recv_timeout(PATIENCE).unwrap();
    // The same connection still works, and so does another one.
    answer.send(()).unwrap();
    let next = client.get("next".to_owned()).wait().unwrap();
    assert_eq!(next.as_deref(), Some("next"));
    drop((get, client));
    drop(answer);
    server.join().unwrap();
    assert!(is_answered(&ask_on(futures::Future::wait)));
}

#[test]
fn a_server_that_is_not_there_is_an_error() {
    let refused = |result| matches!(result, Err(KvsError::Connect { addr: NOBODY, .. }));
    let pinned = block_on(pinned::KvsClient::connect(NOBODY)).map(drop);
    assert!(refused(pinned));
    let awaited = block_on(awaited::KvsClient::connect(NOBODY)).map(drop);
    assert!(refused(awaited));
}
