//! `--timeout`.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use predicates::prelude::*;
use predicates::str::contains;
use socket2::{Domain, Socket, Type};

use super::{VARIANTS, client, refused};

/// The clients that are compiled in.
fn variants() -> impl Iterator<Item = &'static str> {
    let there = VARIANTS.iter().filter(|(_, is_there)| *is_there);
    there.map(|(name, _)| *name)
}

#[test]
fn a_server_that_does_not_answer_is_given_up_and_the_error_names_the_request() {
    // The system accepts the connection, and nothing reads from it.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = silent.local_addr().unwrap();
    let mut commands = vec![
        ("stats".to_owned(), "Stats"),
        ("keys".to_owned(), "Scan"),
        ("dump".to_owned(), "Scan"),
    ];
    for variant in variants() {
        commands.push((format!("get k --variant {variant}"), "Get"));
        commands.push((format!("set k v --variant {variant}"), "Set"));
        commands.push((format!("rm k --variant {variant}"), "Remove"));
    }
    for (command, request) in commands {
        let start = Instant::now();
        refused(client(&format!("{command} --addr {addr} --timeout 200ms")))
            .code(1)
            .stderr(
                contains(request)
                    .and(contains(addr.to_string()))
                    .and(contains("within 200ms"))
                    .and(contains("--timeout")),
            );
        assert!(start.elapsed() < Duration::from_secs(4), "{command}");
    }
}

#[test]
fn a_host_that_does_not_accept_is_given_up() {
    // The queue of this listener is full, so the system drops the next attempt to connect.
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    full.bind(&any_port.into()).unwrap();
    full.listen(0).unwrap();
    let addr = full.local_addr().unwrap().as_socket().unwrap();
    let _first = TcpStream::connect(addr).unwrap();
    let mut commands = vec!["stats".to_owned(), "dump".to_owned()];
    commands.extend(variants().map(|variant| format!("get k --variant {variant}")));
    for command in commands {
        refused(client(&format!("{command} --addr {addr} --timeout 200ms"))).stderr(
            contains("connect")
                .and(contains(addr.to_string()))
                .and(contains("within 200ms"))
                .and(contains("--timeout")),
        );
    }
}
