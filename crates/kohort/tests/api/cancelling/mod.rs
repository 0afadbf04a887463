//! What is dropped halfway: nothing is lost, and what was set in motion goes on.

mod commits;
mod diary;
mod halfway;
mod leaving;
mod polls;
mod questions;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use kohort::Consumer;
use kohort::consumer::ConsumerRecords;
use kohort_broker::Broker;

use crate::support::{SOON, broker, consumer, fill};

type Reader = Consumer<Option<String>, String>;

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
        let mut future = pin!(future);
        let mut left = self.polls;
        poll_fn(|cx| {
            if left == 0 {
                return Poll::Ready(None);
            }
            left -= 1;
            match future.as_mut().poll(cx) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if left == 0 && !self.is_woken => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
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

    /// Polls until there are so many.
    async fn until(&mut self, count: usize, member: &mut Reader) {
        while self.0.len() < count {
            let records = member.poll(SOON).await.expect("no error");
            self.add(records);
        }
    }

    fn sorted(&self) -> Vec<i32> {
        let mut values = self.0.clone();
        values.sort_unstable();
        values
    }
}

async fn filled(partitions: i32, count: i32) -> Broker {
    let broker = broker("t", partitions).await;
    fill(&broker, "t", partitions, 0, count).await;
    broker
}
