//! The caller's side alone, without a consumer around it: taking records of 6 partitions out of a full buffer and looking at
//! each. The items are records; the arguments are codec and `max.poll.records`.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use kohort_engine::client::ClientConfig;
use kohort_engine::consumer::{
    ConsumerConfig, FetchEpoch, FetchedBatches, NewPosition, Position, SlotId, ToCaller,
};
use kohort_engine::delivery::Delivery;
use kohort_groups::TopicPartition;
use kohort_records::{BatchBuilder, Compression, stored};

const PARTITIONS: u64 = 6;
/// Records of one batch: 14 KiB of 100-byte records, as a producer with default settings makes them.
const PER_BATCH: i64 = 140;
/// About a MiB of batches, as one fetch brings for one partition.
const BATCHES: i64 = 72;

fn main() {
    divan::main();
}

fn delivery() -> Delivery {
    let config = ConsumerConfig::new(ClientConfig::new([("localhost".into(), 9092)]));
    let mut delivery = Delivery::new(&config);
    let added = (0..PARTITIONS).map(|n| (SlotId(n * 2), Arc::new(TopicPartition::new("t", n as i32))));
    delivery.accept(ToCaller::Partitions {
        removed: vec![],
        added: added.collect(),
    });
    let at_zero = (0..PARTITIONS).map(|n| NewPosition {
        slot: SlotId(n * 2),
        epoch: FetchEpoch::default(),
        position: Some(Position::new(0)),
        reset: None,
    });
    delivery.accept(ToCaller::Positions(at_zero.collect()));
    delivery
}

/// A batch that any base offset can be written into.
fn template(compression: Compression) -> Bytes {
    let value: Vec<u8> = (0..100).map(|n| b'a' + (n % 23) as u8).collect();
    let mut builder = BatchBuilder::new(compression, None).expect("the codec is built in");
    for n in 0..PER_BATCH {
        builder
            .append(1_700_000_000_000 + n, None, Some(&value), &[])
            .expect("the record fits");
    }
    builder.build(0).expect("the batch is well formed")
}

fn fetched(template: &Bytes) -> Bytes {
    let mut all = BytesMut::with_capacity(template.len() * BATCHES as usize);
    for n in 0..BATCHES {
        let mut batch = BytesMut::from(&template[..]);
        stored::set_base_offset(&mut batch, n * PER_BATCH).expect("it is a batch");
        all.extend_from_slice(&batch);
    }
    all.freeze()
}

fn give(delivery: &mut Delivery, slot: u64, records: Bytes) {
    delivery.accept(ToCaller::Batches(vec![FetchedBatches {
        slot: SlotId(slot),
        epoch: FetchEpoch::default(),
        records,
        high_watermark: i64::MAX,
        last_stable_offset: -1,
        log_start_offset: 0,
        aborted: vec![],
    }]));
}

#[divan::bench(args = [("none", 1), ("none", 500), ("none", 10_000), ("lz4", 500), ("zstd", 500)])]
fn take(bencher: Bencher<'_, '_>, (codec, max): (&str, usize)) {
    let template = template(codec.parse().expect("a codec"));
    bencher
        .counter(ItemsCount::new(PARTITIONS * BATCHES as u64 * PER_BATCH as u64))
        .with_inputs(|| {
            let mut delivery = delivery();
            for slot in 0..PARTITIONS {
                give(&mut delivery, slot * 2, fetched(&template));
            }
            delivery
        })
        .bench_local_values(|mut delivery| {
            loop {
                let taken = delivery.take(max).expect("all batches are well formed");
                if taken.is_empty() {
                    break delivery;
                }
                let records = taken.chunks().flat_map(|chunk| chunk.records());
                black_box(
                    records
                        .map(|record| record.value.map_or(0, <[u8]>::len))
                        .sum::<usize>(),
                );
                black_box(delivery.progress());
            }
        });
}
