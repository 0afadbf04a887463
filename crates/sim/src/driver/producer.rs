//! Producers on the public one: they write numbered records, and the ledger is told which are acknowledged.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use kohort::{Producer, ProducerRecord, TopicPartition};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::cable::PRODUCERS;
use super::run::Run;
use super::world::{World, millis};
use crate::plan::{DELIVERY_TIMEOUT, REQUEST_TIMEOUT};

impl World {
    pub(super) fn producer(&self, no: usize) -> Producer<Option<Vec<u8>>, Vec<u8>> {
        Producer::builder()
            .bootstrap_servers(self.broker.bootstrap_servers())
            .client_id(format!("p{no}"))
            .request_timeout_ms(millis(REQUEST_TIMEOUT))
            .delivery_timeout_ms(millis(DELIVERY_TIMEOUT))
            .max_block_ms(i64::from(millis(DELIVERY_TIMEOUT)))
            .kohort_seed(i64::try_from(self.seed.wrapping_add(77 + no as u64) >> 1).unwrap_or(0))
            .transport(self.cables.transport(PRODUCERS + no))
            .build()
            .expect("these settings go together")
    }

    /// A producer that writes until all is over.
    pub(super) fn start_writing(&self, no: usize) -> JoinHandle<()> {
        let (producer, run) = (self.producer(no), self.run.clone());
        let topics: Vec<(Arc<str>, i32)> = self.partitions.clone().into_iter().collect();
        // Each has numbers of its own.
        let mut id = (no as u64 + 1) << 32;
        let (is_calm, is_over) = (Arc::clone(&self.is_calm), Arc::clone(&self.is_over));
        tokio::spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                let most = if is_calm.load(Ordering::Relaxed) {
                    2_000
                } else {
                    500
                };
                let pause = Duration::from_millis(60 + run.below(most));
                sleep(pause).await;
                for _ in 0..=run.below(4) {
                    let chosen = usize::try_from(run.below(topics.len() as u64)).unwrap_or(0);
                    let Some((topic, count)) = topics.get(chosen) else {
                        continue;
                    };
                    let number = i32::try_from(run.below(u64::try_from(*count).unwrap_or(1))).unwrap_or(0);
                    id += 1;
                    write(
                        &producer,
                        &run,
                        TopicPartition::new(Arc::clone(topic), number),
                        id,
                    )
                    .await;
                }
            }
        })
    }
}

/// Writes a record, and notes its acknowledgement when that comes.
pub(super) async fn write(
    producer: &Producer<Option<Vec<u8>>, Vec<u8>>,
    run: &Run,
    partition: TopicPartition,
    id: u64,
) {
    let value = id.to_be_bytes().to_vec();
    let record =
        ProducerRecord::new(Arc::clone(&partition.topic), None, value).partition(partition.partition);
    if let Ok(sending) = producer.send_soon(record).await {
        let run = run.clone();
        run.lock().unanswered += 1;
        tokio::spawn(async move {
            let sent = sending.await;
            let mut shared = run.lock();
            shared.unanswered -= 1;
            if let Ok(metadata) = sent
                && let Some(offset) = metadata.offset
            {
                shared.ledger.acknowledged(&partition, offset, id);
            }
        });
    }
}
