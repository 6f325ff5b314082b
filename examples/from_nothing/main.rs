//! A timer, an executor and a reactor, without tokio. `docs/from-nothing.md` explains them.
//!
//! ```sh
//! cargo run --example from_nothing
//! ```

mod executor;
mod pause;
mod reactor;

use std::io;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use futures::{Future, future};
use mio::net::TcpListener;

use executor::Executor;
use pause::Pause;
use reactor::{Accept, Reactor};

const LENGTH: Duration = Duration::from_millis(50);

fn main() -> io::Result<()> {
    let mut executor = Executor::new();
    for name in ["a", "b", "c"] {
        let pause = future::lazy(move || {
            println!("{name}: starts to wait");
            Pause::new(LENGTH)
        });
        executor.spawn(pause.then(move |_| {
            println!("{name}: has waited");
            Ok(())
        }));
    }

    let reactor = Reactor::start()?;
    let listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
    let addr = listener.local_addr()?;
    executor.spawn(Accept::new(listener, &reactor)?.then(|accepted| {
        println!("listener: {:?}", accepted.map(|_| "a connection"));
        Ok(())
    }));
    let peer = thread::spawn(move || TcpStream::connect(addr));

    executor.run();
    peer.join().expect("the peer does not panic")?;
    Ok(())
}
