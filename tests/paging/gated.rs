//! An engine whose requests begin with their calls, and end when the test answers them.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

use futures::sync::oneshot;
use kvs::KvsEngine;
use kvs::engine::{EngineFuture, Page, Scan};
use kvs::protocol::Kind;

use crate::common::PATIENCE;

#[derive(Clone)]
pub struct Gated {
    in_flight: Arc<Mutex<Vec<Kind>>>,
    begun: Sender<Begun>,
}

/// A request that has begun.
pub struct Begun {
    pub kind: Kind,
    /// The requests that the test had not answered when this one began.
    pub others: Vec<Kind>,
    in_flight: Arc<Mutex<Vec<Kind>>>,
    answer: Answer,
}

enum Answer {
    Get(oneshot::Sender<EngineFuture<Option<String>>>),
    Write(oneshot::Sender<EngineFuture<()>>),
    Scan(oneshot::Sender<EngineFuture<Page>>),
}

impl Gated {
    pub fn new() -> (Gated, Receiver<Begun>) {
        let (begun, receiver) = mpsc::channel();
        let in_flight = Arc::default();
        (Gated { in_flight, begun }, receiver)
    }

    fn begin<T>(
        &self,
        kind: Kind,
        answer: fn(oneshot::Sender<EngineFuture<T>>) -> Answer,
    ) -> EngineFuture<T> {
        let (sender, future) = EngineFuture::pending();
        let mut in_flight = self.in_flight.lock().unwrap();
        let others = in_flight.clone();
        in_flight.push(kind);
        let begun = Begun {
            kind,
            others,
            in_flight: Arc::clone(&self.in_flight),
            answer: answer(sender),
        };
        self.begun.send(begun).unwrap();
        future
    }
}

impl Begun {
    /// Waits until a request begins.
    pub fn next(begun: &Receiver<Begun>) -> Begun {
        begun.recv_timeout(PATIENCE).unwrap()
    }

    /// Answers the request. A scan gets `page`.
    pub fn answer_with(self, page: Page) {
        let mut in_flight = self.in_flight.lock().unwrap();
        let at = in_flight.iter().position(|kind| *kind == self.kind);
        in_flight.remove(at.unwrap());
        drop(in_flight);
        // The server may have dropped the future.
        match self.answer {
            Answer::Get(sender) => drop(sender.send(EngineFuture::done(Ok(None)))),
            Answer::Write(sender) => drop(sender.send(EngineFuture::done(Ok(())))),
            Answer::Scan(sender) => drop(sender.send(EngineFuture::done(Ok(page)))),
        }
    }

    pub fn answer(self) {
        self.answer_with(Page::default());
    }
}

impl KvsEngine for Gated {
    fn get(&self, _: String) -> EngineFuture<Option<String>> {
        self.begin(Kind::Get, Answer::Get)
    }

    fn set(&self, _: String, _: String) -> EngineFuture<()> {
        self.begin(Kind::Set, Answer::Write)
    }

    fn remove(&self, _: String) -> EngineFuture<()> {
        self.begin(Kind::Remove, Answer::Write)
    }

    fn keeps_order(&self) -> bool {
        true
    }

    fn scan(&self, _: Scan) -> EngineFuture<Page> {
        self.begin(Kind::Scan, Answer::Scan)
    }
}
