//! Futures with a time limit: by `Timeout` of tokio 0.1, and by `timeout` of tokio 1.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use futures::Future;
use futures03::compat::Future01CompatExt;
use kvs::KvsError;
use kvs::client::{Client, blocking};
use socket2::{Domain, Socket, Type};
use tokio::timer::Timeout;

use super::{GET_K, Script, Task, connect, get_k, patience, wait};
use crate::common::{ANY_PORT, Wire, serve, wait_until};

/// A limit that ends in every test. Nothing depends on its length, because the other side answers
/// only after it.
const LIMIT: Duration = Duration::from_millis(20);

/// A runtime with a timer.
enum Timer {
    Tokio01(tokio::runtime::current_thread::Runtime),
    Tokio1(tokio1::runtime::Runtime),
}

impl Timer {
    fn all() -> [Timer; 2] {
        let old = tokio::runtime::current_thread::Runtime::new();
        let mut new = tokio1::runtime::Builder::new_current_thread();
        let new = new.enable_time().build();
        [Timer::Tokio01(old.unwrap()), Timer::Tokio1(new.unwrap())]
    }

    /// Runs `future` until it completes, or returns `None` if `limit` is over first.
    fn run<F: Future<Error = KvsError>>(
        &mut self,
        limit: Duration,
        future: F,
    ) -> Option<Result<F::Item, KvsError>> {
        match self {
            Timer::Tokio01(runtime) => match runtime.block_on(Timeout::new(future, limit)) {
                Ok(item) => Some(Ok(item)),
                Err(error) if error.is_elapsed() => None,
                Err(error) => Some(Err(error.into_inner().expect("the runtime has a timer"))),
            },
            Timer::Tokio1(runtime) => {
                let future = async { tokio1::time::timeout(limit, future.compat()).await };
                runtime.block_on(future).ok()
            }
        }
    }

    /// Runs `future` and checks that it is pending until its limit is over.
    fn run_out<F: Future<Error = KvsError>>(&mut self, future: F) {
        let result = self.run(LIMIT, future);
        assert!(result.is_none(), "the future completed before its limit");
    }
}

pub fn a_timed_out_request_may_still_take_effect<C: Client>() {
    for mut timer in Timer::all() {
        let (_dir, server) = serve();
        let addr = server.addr;
        let (permit, permitted) = mpsc::channel();
        let script = Script::start(move |mut peer| {
            let mut server = Wire::connect(addr);
            while let Ok(request) = peer.try_receive() {
                permitted.recv().unwrap();
                server.send(&request);
                peer.send(&server.receive());
            }
        });
        let mut client = connect::<C>(script.addr);
        timer.run_out(client.set("k".to_owned(), "v".to_owned()));
        let mut other = blocking::KvsClient::connect(addr).unwrap();
        assert_eq!(other.get("k".to_owned()).unwrap(), None);

        permit.send(()).unwrap();
        permit.send(()).unwrap();
        let value = wait(get_k(&mut client)).unwrap();
        assert_eq!(value.as_deref(), Some("v"), "the set has had no effect");
        drop(client);
        script.finish();
    }
}

pub fn after_a_time_limit_the_connection_is_in_step<C: Client>() {
    for mut timer in Timer::all() {
        let (ask, asked) = mpsc::channel();
        let script = Script::start(move |mut peer| {
            for n in 0..10 {
                let late = format!(r#"{{"Get":{{"key":"late{n}"}}}}"#);
                assert_eq!(peer.receive(), late);
                asked.recv().unwrap();
                // The late reply arrives before the next request is sent, or after it.
                if n % 2 == 0 {
                    peer.send(r#"{"Get":"late"}"#);
                    assert_eq!(peer.receive(), GET_K);
                } else {
                    assert_eq!(peer.receive(), GET_K);
                    peer.send(r#"{"Get":"late"}"#);
                }
                peer.send(&format!(r#"{{"Get":"{n}"}}"#));
            }
        });
        let mut client = connect::<C>(script.addr);
        for n in 0..10 {
            timer.run_out(client.get(format!("late{n}")));
            ask.send(()).unwrap();
            assert_eq!(wait(get_k(&mut client)).unwrap(), Some(n.to_string()));
        }
        script.finish();
    }
}

pub fn a_connect_has_a_time_limit_too<C: Client>() {
    // Other systems have no such list of connections, and fill a listener in other ways.
    if !cfg!(target_os = "linux") {
        return;
    }
    for mut timer in Timer::all() {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&ANY_PORT.into()).unwrap();
        listener.listen(1).unwrap();
        let addr = listener.local_addr().unwrap().as_socket().unwrap();
        // Linux accepts one connection more than the listener has room for, and then answers no
        // more.
        let connected = [(); 2].map(|()| TcpStream::connect(addr).unwrap());
        wait_until("the listener has room", || waiting_at(addr) == 2);
        timer.run_out(C::connect(addr));

        let _accepted = connected.map(|_| listener.accept().unwrap());
        let client = timer.run(patience(), C::connect(addr));
        client.expect("the listener has room again").unwrap();
    }
}

/// Returns how many connections wait to be accepted at `addr`, an address of IPv4 (Linux only). The
/// system may leave a socket out of its list while others change. Then returns 0.
fn waiting_at(addr: SocketAddr) -> u32 {
    let port = format!(":{:04X}", addr.port());
    let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
    let waiting = sockets.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        // 0A is the state of a listener.
        let is_it = fields[1].ends_with(&port) && fields[3] == "0A";
        let (_, waiting) = fields[4].split_once(':').filter(|_| is_it)?;
        Some(u32::from_str_radix(waiting, 16).unwrap())
    });
    waiting.unwrap_or(0)
}
