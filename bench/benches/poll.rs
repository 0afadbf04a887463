//! One poll that finds its records buffered, checksums and opening of batches included: what `await` costs the caller's task,
//! with nothing of the network in it, and dropping the records. The argument is `max.poll.records`; records are of 100 bytes.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use divan::Bencher;
use divan::counter::ItemsCount;
use kohort::transport::Transport;
use kohort::{Consumer, Producer, ProducerRecord, TopicPartition};
use kohort_broker::Broker;
use tokio::runtime::Runtime;

/// About 4 MiB in one partition.
const RECORDS: usize = 40_000;
const WAIT: Duration = Duration::from_secs(5);
/// Polls between two fillings of the buffer: of few records, and of many.
const FEW: u32 = 2_000;
const MANY: u32 = 50;

fn main() {
    divan::main();
}

/// A consumer on a broker in memory. The runtime runs only while the buffer is filled.
struct Filled {
    runtime: Runtime,
    consumer: Consumer<(), Bytes>,
    partition: TopicPartition,
    /// Polls between two fillings.
    sample: u32,
    /// Polls until the buffer is filled again.
    left: u32,
    _broker: Broker,
}

impl Filled {
    fn new(max_poll_records: usize, sample: u32) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let partition = TopicPartition::new("t", 0);
        let (broker, consumer) = runtime.block_on(async {
            let broker = Broker::builder().topic("t", 1).start().await.expect("it starts");
            let transport = Transport::new(broker.connector().into_fn());
            let producer: Producer<(), Vec<u8>> = Producer::builder()
                .bootstrap_servers(broker.bootstrap_servers())
                .transport(transport.clone())
                .build()
                .expect("well configured");
            for _ in 0..RECORDS {
                let record = ProducerRecord::new("t", (), vec![7; 100]);
                let _sending = producer.send_soon(record).await.expect("room");
            }
            producer.close(WAIT).await.expect("all is written");
            let mut consumer: Consumer<(), Bytes> = Consumer::builder()
                .bootstrap_servers(broker.bootstrap_servers())
                .transport(transport)
                .set("auto.offset.reset", "earliest")
                .set("max.partition.fetch.bytes", "16777216")
                .set("max.poll.records", &max_poll_records.to_string())
                .build()
                .expect("well configured");
            consumer.assign([partition.clone()]).expect("a partition");
            (broker, consumer)
        });
        Self {
            runtime,
            consumer,
            partition,
            sample,
            left: 0,
            _broker: broker,
        }
    }

    /// Called before each poll of a sample, and before the first of them is measured.
    fn prepare(&mut self) {
        if self.left == 0 {
            self.left = self.sample;
            self.runtime.block_on(async {
                self.consumer
                    .seek_to_beginning([&self.partition])
                    .expect("it is assigned");
                while self.consumer.poll_raw(WAIT).await.expect("no failure").is_empty() {}
                // What is fetched ahead comes in now.
                tokio::time::sleep(Duration::from_millis(5)).await;
                let _mail = self.consumer.poll_raw(WAIT).await.expect("no failure");
            });
        }
        self.left -= 1;
    }
}

/// What a future gives that does not wait.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(ready) => ready,
        Poll::Pending => unreachable!("the buffer is full"),
    }
}

fn raw(bencher: Bencher<'_, '_>, max: usize, sample: u32) {
    let filled = RefCell::new(Filled::new(max, sample));
    bencher
        .counter(ItemsCount::new(max))
        .with_inputs(|| filled.borrow_mut().prepare())
        .bench_local_values(|()| {
            let polled = ready(filled.borrow_mut().consumer.poll_raw(WAIT)).expect("no failure");
            for (_partition, record) in polled.iter() {
                divan::black_box(record.value);
            }
        });
}

fn typed(bencher: Bencher<'_, '_>, max: usize, sample: u32) {
    let filled = RefCell::new(Filled::new(max, sample));
    bencher
        .counter(ItemsCount::new(max))
        .with_inputs(|| filled.borrow_mut().prepare())
        .bench_local_values(|()| {
            let polled = ready(filled.borrow_mut().consumer.poll(WAIT)).expect("no failure");
            for record in &polled {
                divan::black_box(&record.value);
            }
        });
}

#[divan::bench(args = [1, 10], sample_size = FEW, sample_count = 50)]
fn few_raw(bencher: Bencher<'_, '_>, max: usize) {
    raw(bencher, max, FEW);
}

#[divan::bench(args = [1, 10], sample_size = FEW, sample_count = 50)]
fn few_typed(bencher: Bencher<'_, '_>, max: usize) {
    typed(bencher, max, FEW);
}

#[divan::bench(args = [500], sample_size = MANY, sample_count = 100)]
fn many_raw(bencher: Bencher<'_, '_>, max: usize) {
    raw(bencher, max, MANY);
}

#[divan::bench(args = [500], sample_size = MANY, sample_count = 100)]
fn many_typed(bencher: Bencher<'_, '_>, max: usize) {
    typed(bencher, max, MANY);
}
