//! The cost of the protocol without a network: `cargo bench -p kvs-bench-compare --bench framing`.
//! A set request goes from the client's transport to the server, and a get reply back.

use std::hint::black_box;
use std::io::Cursor;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures::{Async, Sink, Stream};
use kvs::protocol::{self, Request, Response};

fn framing(c: &mut Criterion) {
    for len in [64, 4096] {
        let request = Request::Set {
            key: "key00000000".to_owned(),
            value: "x".repeat(len),
        };
        let reply = Response::Get(Some("x".repeat(len)));

        // Each frame overwrites the previous one, so that the output does not grow.
        let mut client = protocol::transport::<_, Response, _>(Cursor::new(Vec::new()));
        c.bench_function(&format!("client/encode set/{len}"), |b| {
            let send = |request| {
                client.get_mut().get_mut().get_mut().set_position(0);
                assert!(client.start_send(request).unwrap().is_ready());
                assert!(client.poll_complete().unwrap().is_ready());
            };
            b.iter_batched(|| request.clone(), send, BatchSize::SmallInput);
        });
        let sent = client.into_inner().into_inner().into_inner().into_inner();
        let frame = &sent[size_of::<u32>()..];
        assert_eq!(protocol::read_request(frame).unwrap(), request);
        c.bench_function(&format!("server/decode set/{len}"), |b| {
            b.iter(|| protocol::read_request(black_box(frame)));
        });

        let mut output = Vec::new();
        c.bench_function(&format!("server/encode get/{len}"), |b| {
            b.iter(|| {
                output.clear();
                protocol::write_frame(black_box(&reply), &mut output);
            });
        });
        // Each call reads the same frame.
        let socket = Cursor::new(output);
        let mut client = protocol::transport::<_, Response, Request>(socket);
        c.bench_function(&format!("client/decode get/{len}"), |b| {
            b.iter(|| {
                client.get_mut().get_mut().get_mut().set_position(0);
                let Async::Ready(Some(received)) = client.poll().unwrap() else {
                    panic!("the frame is there");
                };
                received
            });
        });
    }
}

criterion_group!(benches, framing);
criterion_main!(benches);
