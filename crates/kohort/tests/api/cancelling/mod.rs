//! What is dropped halfway: nothing is lost, and what was set in motion goes on.

mod administering;
mod commits;
mod complete;
mod diary;
mod halfway;
mod leaving;
mod polls;
mod producing;
mod questions;
mod rebalances;
mod streams;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use kohort::Consumer;
use kohort::consumer::{ConsumerRecords, RawRecords};
use kohort_broker::Broker;
use tokio::time::Instant;

use crate::support::{SOON, broker, consumer, fill};

type Reader = Consumer<Option<String>, String>;

/// An eager assignor and the cooperative one.
const STRATEGIES: [&str; 2] = ["range", "cooperative-sticky"];

fn member(broker: &Broker) -> Reader {
    let builder = consumer(broker)
        .group_id("g")
        .enable_auto_commit(false)
        .max_poll_records(2);
    let mut member = builder.build().expect("valid settings");
    member.subscribe(["t"]).expect("a group and a topic");
    member
}

/// Where a future is dropped: after so many polls that found it waiting, either at once, or when it was woken and has not looked.
#[derive(Debug, Clone, Copy)]
struct Cut {
    polls: u32,
    is_woken: bool,
}

impl Cut {
    /// What the future gives if it is done before it is to be dropped.
    async fn run<F: Future>(self, future: F) -> Option<F::Output> {
        self.of_a_row().run(future).await
    }

    /// As a cut of futures that follow each other, whose polls count together.
    const fn of_a_row(self) -> Row {
        Row {
            left: self.polls,
            is_woken: self.is_woken,
            is_cut: false,
        }
    }
}

/// Futures that follow each other. One of them is dropped; those after it are not.
#[derive(Debug)]
struct Row {
    left: u32,
    is_woken: bool,
    is_cut: bool,
}

impl Row {
    /// What the future gives, unless it is the one that is dropped.
    async fn run<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if self.is_cut {
                return future.as_mut().poll(cx).map(Some);
            }
            if self.left == 0 {
                self.is_cut = true;
                return Poll::Ready(None);
            }
            self.left -= 1;
            match future.as_mut().poll(cx) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if self.left == 0 && !self.is_woken => {
                    self.is_cut = true;
                    Poll::Ready(None)
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Whether all were done before one was to be dropped.
    const fn is_done(&self) -> bool {
        !self.is_cut
    }
}

/// Plays a scenario once for each point at which its future can be dropped, until that is done before it is dropped. The clock
/// is paused and the broker is in the same thread, so each play is the same up to there.
async fn everywhere<F: Future<Output = bool>>(scenario: impl Fn(Cut) -> F) {
    for is_woken in [false, true] {
        let mut polls = 0;
        while !scenario(Cut { polls, is_woken }).await {
            polls += 1;
            assert!(polls < 1_000, "it is never done");
        }
        assert!(polls > 0, "a future that is never polled cannot be done");
    }
}

/// The values that were returned, as numbers.
#[derive(Default)]
struct Read(Vec<i32>);

impl Read {
    fn add(&mut self, records: ConsumerRecords<Option<String>, String>) {
        let values = records.into_iter().map(|it| it.value.parse::<i32>());
        self.0.extend(values.map(|value| value.expect("a number")));
    }

    fn add_raw(&mut self, records: &RawRecords) {
        let values = records.iter().map(|(_, it)| it.value.expect("a value").to_vec());
        let values = values.map(|value| String::from_utf8(value).expect("text").parse::<i32>());
        self.0.extend(values.map(|value| value.expect("a number")));
    }

    /// Polls until there are so many.
    async fn until(&mut self, count: usize, member: &mut Reader) {
        let start = Instant::now();
        while self.0.len() < count {
            assert!(
                start.elapsed() < Duration::from_secs(300),
                "no more than {:?}",
                self.0
            );
            let records = member.poll(SOON).await.expect("no error");
            self.add(records);
        }
    }

    fn has_all(&self, count: i32) -> bool {
        (0..count).all(|value| self.0.contains(&value))
    }

    fn sorted(&self) -> Vec<i32> {
        let mut values = self.0.clone();
        values.sort_unstable();
        values
    }
}

/// Whether a member has so many partitions, and its last rebalance is over.
fn has(member: &Reader, count: usize) -> bool {
    member.assignment().len() == count && member.rebalance_journal().under_way().is_none()
}

async fn filled(partitions: i32, count: i32) -> Broker {
    let broker = broker("t", partitions).await;
    fill(&broker, "t", partitions, 0, count).await;
    broker
}
