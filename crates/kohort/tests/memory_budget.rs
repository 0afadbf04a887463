//! What a consumer takes of memory when its user keeps everything, measured. One test alone, because the allocator counts for the
//! whole process, the broker in memory included: what that holds is there before the consumer is.

#![allow(clippy::print_stdout, reason = "a measurement prints its figures")]

use std::time::Duration;

use bytes::Bytes;
use kohort::config::AutoOffsetReset;
use kohort::consumer::PollError;
use kohort::transport::Transport;
use kohort::{Consumer, Producer, ProducerRecord, TopicPartition};
use kohort_broker::Broker;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const BUDGET: usize = 16 << 20;
/// Beside the budget: spare buffers for decompression, receive buffers that are kept for reuse, and what the broker has of
/// answers and connections.
const BESIDE: usize = 8 << 20;
const PARTITIONS: i32 = 4;
/// 80 MB.
const RECORDS: usize = 80_000;

#[tokio::test(flavor = "current_thread")]
async fn memory_stays_within_the_budget_while_the_user_keeps_everything_and_all_is_read_in_the_end() {
    for compression in ["none", "lz4", "zstd"] {
        let broker = Broker::builder()
            .topic("t", PARTITIONS)
            .start()
            .await
            .expect("it starts");
        let transport = Transport::new(broker.connector().into_fn());
        let producer: Producer<(), Vec<u8>> = Producer::builder()
            .bootstrap_servers(broker.bootstrap_servers())
            .transport(transport.clone())
            .set("compression.type", compression)
            .build()
            .expect("valid settings");
        for n in 0..RECORDS {
            // Half of it is hard to compress.
            let noise =
                (0..500_usize).map(|i| (n.wrapping_mul(2_654_435_761).wrapping_add(i * i * 31) >> 7) as u8);
            let value: Vec<u8> = noise.chain([b'x'; 500]).collect();
            let record = ProducerRecord::new("t", (), value).partition(n as i32 % PARTITIONS);
            let _sending = producer.send_soon(record).await.expect("there is room");
        }
        producer.close(Duration::from_secs(60)).await.expect("it closes");

        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let mut consumer: Consumer<(), Bytes> = Consumer::builder()
            .bootstrap_servers(broker.bootstrap_servers())
            .auto_offset_reset(AutoOffsetReset::Earliest)
            .transport(transport)
            .max_partition_fetch_bytes(256 << 10)
            .set("kohort.memory.budget", &BUDGET.to_string())
            .build()
            .expect("valid settings");
        consumer
            .assign((0..PARTITIONS).map(|n| TopicPartition::new("t", n)))
            .expect("partitions");
        let (mut kept, mut read, mut stops) = (Vec::new(), 0, 0);
        while read < RECORDS {
            match consumer.poll_raw(Duration::from_millis(200)).await {
                Ok(records) => {
                    read += records.count();
                    kept.push(records);
                }
                Err(PollError::MemoryHeld { held, .. }) => {
                    let kept_records: usize = kept.iter().map(|records| records.count()).sum();
                    assert!(
                        held as usize + (1 << 20) > kept_records * 1000,
                        "{held} for {kept_records}"
                    );
                    stops += 1;
                    kept.clear();
                }
                Err(error) => panic!("{error}"),
            }
        }
        let peak = MEMORY.peak_usage().saturating_sub(before);
        println!("{compression}: a budget of {BUDGET}, at most {peak} bytes, stopped {stops} times");
        assert!(peak <= BUDGET + BESIDE, "{compression}: {peak}");
        assert!(stops >= 4, "{compression}: {stops}");
    }
}
