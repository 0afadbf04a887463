//! Who writes while the broker is killed: producers of one record at a time and producers of batches, which end with the broker,
//! and a producer that lives on. A value says who sent it and the how manyth of theirs it is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use kohort::ProducerRecord;
use kohort::blocking::Producer;
use kohort::producer::{RecordMetadata, Sending};

use super::next_random;
use crate::data_dir::{PARTITIONS, Records, TOPIC, producer, producer_with};

/// How the names of senders begin whose records may be in the log twice.
const PLAIN: &str = "plain/";
/// The name of the producer that lives on.
pub(super) const LASTING: &str = "lasting";
/// Records that a producer of batches gives before it waits for them.
const BURST: u64 = 100;

/// Producers of batches: codec, `linger.ms`, `batch.size`, and how many bytes their values have besides the name.
const BATCHES: [(&str, &str, &str, usize); 5] = [
    ("none", "5", "65536", 1000),
    ("gzip", "2", "4096", 100),
    ("snappy", "1", "1024", 100),
    ("lz4", "5", "16384", 100),
    ("zstd", "2", "4096", 100),
];

/// Text that no codec makes much of.
static NOISE: LazyLock<String> = LazyLock::new(|| {
    let mut state = 3;
    (0..1000)
        .map(|_| format!("{:08x}", next_random(&mut state)))
        .collect()
});

fn noise(count: u64, length: usize) -> &'static str {
    let begin = count as usize % (NOISE.len() - length);
    &NOISE[begin..begin + length]
}

fn record(sender: &str, count: u64, partition: i32, length: usize) -> ProducerRecord<(), String> {
    let value = format!("{sender}:{count}:{}", noise(count, length));
    ProducerRecord::new(TOPIC, (), value).partition(partition)
}

/// What is noted of a value: all but what makes it long, which must be as it was sent.
pub(super) fn noted(value: &str) -> &str {
    let (name, filler) = value.rsplit_once(':').expect("two colons");
    let (_, count) = sender_and_count(name);
    assert!(
        filler == noise(count, filler.len()),
        "the value of {name} is another one"
    );
    name
}

pub(super) fn sender_and_count(name: &str) -> (&str, u64) {
    let (sender, count) = name.split_once(':').expect("a colon");
    (sender, count.parse().expect("a number"))
}

/// Whether a sender's records are in the log once and in order.
pub(super) fn is_idempotent(sender: &str) -> bool {
    !sender.starts_with(PLAIN)
}

/// The partition that a sender to all of them writes its record to.
fn in_turn(count: u64) -> i32 {
    (count % PARTITIONS as u64) as i32
}

/// Producers of all kinds that send until the broker is gone, and give what was acknowledged.
pub(super) fn until_gone(bootstrap: &str, round: usize) -> Vec<JoinHandle<Records>> {
    let mut all = Vec::new();
    for number in 0..PARTITIONS {
        let producer = producer(bootstrap);
        let sender = format!("{round}/one/{number}");
        all.push(thread::spawn(move || one_by_one(&producer, &sender, number)));
    }
    for (place, (codec, linger, size, length)) in BATCHES.into_iter().enumerate() {
        // Each codec has its turn with either.
        let is_idempotent = (round + place).is_multiple_of(2);
        let producer = producer_with(
            bootstrap,
            &[
                ("delivery.timeout.ms", "1000"),
                ("request.timeout.ms", "900"),
                ("max.block.ms", "1000"),
                ("compression.type", codec),
                ("linger.ms", linger),
                ("batch.size", size),
                ("enable.idempotence", if is_idempotent { "true" } else { "false" }),
            ],
        );
        let sender = format!("{}{round}/{codec}", if is_idempotent { "" } else { PLAIN });
        all.push(thread::spawn(move || in_batches(&producer, &sender, length)));
    }
    all
}

fn one_by_one(producer: &Producer<(), String>, sender: &str, number: i32) -> Records {
    let mut acknowledged = Records::new();
    for count in 0.. {
        match producer.send(record(sender, count, number, 0)) {
            Ok(written) => note(&mut acknowledged, sender, count, &written),
            Err(_) => break,
        }
    }
    acknowledged
}

fn in_batches(producer: &Producer<(), String>, sender: &str, length: usize) -> Records {
    let mut acknowledged = Records::new();
    let mut is_gone = false;
    for first in (0..).step_by(BURST as usize) {
        let burst = first..first + BURST;
        let sendings: Vec<_> = burst
            .map(|count| {
                (
                    count,
                    producer.send_soon(record(sender, count, in_turn(count), length)),
                )
            })
            .collect();
        for (count, sending) in sendings {
            match sending.and_then(|sending| producer.wait(sending)) {
                Ok(written) => note(&mut acknowledged, sender, count, &written),
                Err(_) => is_gone = true,
            }
        }
        if is_gone {
            break;
        }
        // Everything is read again after each kill, so there must not be too much of it.
        thread::sleep(Duration::from_millis(10));
    }
    acknowledged
}

fn note(acknowledged: &mut Records, sender: &str, count: u64, written: &RecordMetadata) {
    // No offset is told of a batch that was sent again, and that the broker no longer knows the offset of.
    if let Some(offset) = written.offset {
        acknowledged.insert((written.partition, offset), format!("{sender}:{count}"));
    }
}

/// An idempotent producer that lives on while its broker is killed and comes back, and sends again what had no answer.
pub(super) struct Lasting {
    is_over: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Records>>,
    /// Gives how many records it sent.
    thread: JoinHandle<u64>,
}

impl Lasting {
    pub(super) fn start(bootstrap: &str) -> Self {
        let settings = [
            ("linger.ms", "5"),
            ("batch.size", "2048"),
            ("compression.type", "lz4"),
        ];
        let producer = producer_with(bootstrap, &settings);
        let is_over = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::default();
        let (until, noted) = (Arc::clone(&is_over), Arc::clone(&acknowledged));
        let thread = thread::spawn(move || send_on(&producer, &until, &noted));
        Self {
            is_over,
            acknowledged,
            thread,
        }
    }

    /// What was acknowledged since this was asked the last time.
    pub(super) fn acknowledged(&self) -> Records {
        core::mem::take(&mut self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until everything is acknowledged; gives the rest of it, and how many records were sent in all.
    pub(super) fn end(self) -> (Records, u64) {
        self.is_over.store(true, Ordering::Relaxed);
        let sent = self.thread.join().expect("every record is written in the end");
        let rest = core::mem::take(&mut *self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner));
        (rest, sent)
    }
}

fn send_on(producer: &Producer<(), String>, is_over: &AtomicBool, acknowledged: &Mutex<Records>) -> u64 {
    let mut sent = 0;
    let mut waiting = VecDeque::new();
    let settle = |(count, sending): (u64, Sending)| {
        let written = producer.wait(sending).expect("the broker comes back");
        let mut acknowledged = acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        note(&mut acknowledged, LASTING, count, &written);
    };
    while !is_over.load(Ordering::Relaxed) {
        for count in sent..sent + BURST / 2 {
            let sending = producer.send_soon(record(LASTING, count, in_turn(count), 100));
            waiting.push_back((count, sending.expect("there is room")));
        }
        sent += BURST / 2;
        while waiting.len() as u64 > BURST {
            waiting.pop_front().map(&settle);
        }
        thread::sleep(Duration::from_millis(20));
    }
    waiting.into_iter().for_each(settle);
    sent
}
