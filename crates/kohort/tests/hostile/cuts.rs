//! Answers cut at every byte, of the APIs that are not asked for on the way to the first record (`encodings.rs` has those): a
//! member's heartbeat and its leaving, the producer's, the administrator's. Each costs its connection; what was asked is asked
//! again, or fails with an error that says so.

pub(super) mod admin;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use kohort::Admin;
use kohort_broker::ApiKey;
use tokio::time::timeout;

use super::liar::{self, Answer, Wire};
use super::*;

/// Cuts answers of one API, one at a time.
struct Cutter {
    api: ApiKey,
    next: Mutex<Option<Wire>>,
    /// How many answers of the API there were, and how long the last one was.
    answers: AtomicUsize,
    len: AtomicUsize,
}

impl Cutter {
    fn new(api: ApiKey) -> Arc<Self> {
        Arc::new(Self {
            api,
            next: Mutex::new(None),
            answers: AtomicUsize::new(0),
            len: AtomicUsize::new(0),
        })
    }

    fn transport(self: &Arc<Self>, broker: &Broker) -> Transport {
        let cutter = Arc::clone(self);
        liar::transport(broker, move |answer| cutter.cut(answer))
    }

    fn cut(&self, answer: &mut Answer) {
        if answer.api != self.api {
            return;
        }
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.len.store(answer.encoded(0).len(), Ordering::Relaxed);
        if let Some(wire) = self.next.lock().expect("nobody panics").take() {
            answer.wire = wire;
        }
    }

    /// Every way to cut the last answer: its frame ends early, or the connection does. Of what is long, some.
    fn ways(&self) -> Vec<(String, Wire)> {
        let len = self.len.load(Ordering::Relaxed);
        assert!(len > 8, "{} is answered", self.api);
        let ways = |at| {
            // Four bytes are the length.
            let short = (at >= 4).then(|| (format!("{} says {at} of {len}", self.api), Wire::Short(at - 4)));
            let ends = (format!("{} ends after {at} of {len}", self.api), Wire::Ends(at));
            short.into_iter().chain([ends])
        };
        (0..len.min(300))
            .chain((300..len).step_by(97))
            .flat_map(ways)
            .collect()
    }

    /// The next answer is cut so.
    fn arm(&self, wire: Wire) {
        *self.next.lock().expect("nobody panics") = Some(wire);
        self.answers.store(0, Ordering::Relaxed);
    }

    /// Whether the answer has been cut.
    fn has_cut(&self) -> bool {
        self.next.lock().expect("nobody panics").is_none()
    }

    /// Whether there was another answer after the one that was cut.
    fn was_asked_again(&self) -> bool {
        self.has_cut() && self.answers.load(Ordering::Relaxed) > 1
    }
}

pub(super) fn honest(broker: &Broker) -> Transport {
    Transport::new(broker.connector().into_fn())
}

pub(super) fn admin(broker: &Broker, transport: Transport) -> Admin {
    let builder = Admin::builder().bootstrap_servers(broker.bootstrap_servers());
    builder.transport(transport).build().expect("valid settings")
}

pub(super) fn member(broker: &Broker, transport: Transport) -> Consumer<Option<String>, String> {
    let builder = consumer(broker.bootstrap_servers(), transport);
    let mut member = builder.group_id("g").build().expect("valid settings");
    member.subscribe(["t"]).expect("a group");
    member
}

#[tokio::test(start_paused = true)]
async fn a_heartbeats_answer_cut_at_any_byte_costs_neither_membership_nor_record() {
    let broker = broker().await;
    let cutter = Cutter::new(ApiKey::Heartbeat);
    let joins = Arc::new(AtomicUsize::new(0));
    let (counted, cutting) = (Arc::clone(&joins), Arc::clone(&cutter));
    let transport = liar::transport(&broker, move |answer| {
        counted.fetch_add(usize::from(answer.api == ApiKey::JoinGroup), Ordering::Relaxed);
        cutting.cut(answer);
    });
    let mut reader = member(&broker, transport);
    read_all(&mut reader, "the truth", (2_000, 600 * SECOND)).await;
    while cutter.len.load(Ordering::Relaxed) == 0 {
        assert!(reader.poll(SECOND).await.expect("no error").is_empty());
    }
    let before = joins.load(Ordering::Relaxed);
    for (what, wire) in cutter.ways() {
        cutter.arm(wire);
        let began = Instant::now();
        while !cutter.was_asked_again() {
            assert!(began.elapsed() < 40 * SECOND, "{what}: no heartbeat");
            assert!(reader.poll(SECOND).await.expect(&what).is_empty(), "{what}");
        }
    }
    assert_eq!(joins.load(Ordering::Relaxed), before, "it has joined again");
    fill(&broker).await;
    read_all(&mut reader, "what came later", (2_000, 600 * SECOND)).await;
    reader.commit_sync().await.expect("it is a member");
    reader.close(60 * SECOND).await.expect("it closes");
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_leaving_cut_at_any_byte_does_not_keep_a_member_from_closing() {
    let broker = broker().await;
    let cutter = Cutter::new(ApiKey::LeaveGroup);
    let mut ways: Option<std::vec::IntoIter<(String, Wire)>> = None;
    loop {
        let mut reader = member(&broker, cutter.transport(&broker));
        read_all(&mut reader, "the truth", (2_000, 600 * SECOND)).await;
        let Some((what, wire)) = ways
            .as_mut()
            .map_or(Some((String::new(), Wire::Whole)), Iterator::next)
        else {
            break;
        };
        cutter.arm(wire);
        let closed = timeout(120 * SECOND, reader.close(60 * SECOND)).await;
        if let Err(error) = closed.expect("closing ends") {
            assert!(!error.to_string().is_empty(), "{what}");
        }
        assert!(cutter.has_cut(), "{what}");
        let groups = admin(&broker, honest(&broker))
            .list_groups()
            .await
            .expect("an answer");
        assert_eq!(&*groups[0].state, "Empty", "{what}: the broker was told");
        // The next one reads all of it again.
        forget(&broker).await;
        ways.get_or_insert_with(|| cutter.ways().into_iter());
    }
}

/// Deletes the group and what it has committed.
async fn forget(broker: &Broker) {
    let deleted = admin(broker, honest(broker)).delete_groups(["g"]).await;
    deleted.expect("an answer")["g"].as_ref().expect("it is empty");
}

#[tokio::test(start_paused = true)]
async fn a_producers_answer_cut_at_any_byte_neither_loses_nor_doubles_a_record() {
    for api in [
        ApiKey::ApiVersions,
        ApiKey::Metadata,
        ApiKey::InitProducerId,
        ApiKey::Produce,
    ] {
        let broker = Broker::builder().topic("t", 1).start().await.expect("it starts");
        let cutter = Cutter::new(api);
        let mut expected = vec!["the truth".to_owned()];
        write(&broker, &cutter, "the truth").await;
        for (what, wire) in cutter.ways() {
            cutter.arm(wire);
            write(&broker, &cutter, &what).await;
            assert!(cutter.was_asked_again(), "{what}");
            expected.push(what);
        }
        let mut reader = consumer(broker.bootstrap_servers(), honest(&broker))
            .build()
            .expect("valid settings");
        reader
            .assign([kohort::TopicPartition::new("t", 0)])
            .expect("a partition");
        let mut values = Vec::new();
        loop {
            let records = reader.poll(SECOND).await.expect("no error");
            if records.is_empty() {
                break;
            }
            values.extend(records.into_iter().map(|record| record.value));
        }
        assert_eq!(values, expected, "{api}");
    }
}

/// Writes a record with a producer of its own.
async fn write(broker: &Broker, cutter: &Arc<Cutter>, value: &str) {
    let producer: Producer<Option<String>, String> = Producer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .transport(cutter.transport(broker))
        .build()
        .expect("valid settings");
    let record = ProducerRecord::new("t", None, value.to_owned()).partition(0);
    let written = timeout(300 * SECOND, producer.send(record)).await.expect(value);
    written.unwrap_or_else(|error| panic!("{value}: {error}"));
    producer.close(10 * SECOND).await.expect(value);
}
