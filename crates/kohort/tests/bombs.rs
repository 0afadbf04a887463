//! Answers that are to take much memory: decompression bombs, very many tagged fields or elements, frames that are announced. One
//! test at a time, because the allocator counts for the whole process.

#![allow(clippy::print_stdout, reason = "a measurement prints its figures")]

#[allow(dead_code, reason = "this test needs some of its lies")]
#[path = "hostile/liar.rs"]
mod liar;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kohort::config::AutoOffsetReset;
use kohort::consumer::{PollError, ReadError};
use kohort::transport::Transport;
use kohort::{Consumer, Producer, ProducerRecord, TopicPartition};
use kohort_broker::{ApiKey, Broker};
use kohort_protocol::ResponseBody;
use kohort_protocol::frame::MOST_ELEMENTS_OF_RESPONSE;
use kohort_records::{BatchBuilder, BatchError, Compression};
use peak_alloc::PeakAlloc;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::Mutex;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Held by the test that measures.
static ALONE: Mutex<()> = Mutex::const_new(());

const SOON: Duration = Duration::from_secs(10);
/// The most that one batch may decompress to. A buffer that grows holds its old block until the new one is filled.
const BOUND: usize = 2 * (256 << 20);
/// What the broker and the answers themselves take.
const BESIDE: usize = 64 << 20;

/// A batch of one record of 257 MiB at offset 3.
fn bomb(codec: Compression) -> Bytes {
    let mut builder = BatchBuilder::new(codec, None).expect("the default level is valid");
    let value = vec![0; 257 << 20];
    builder.append(0, None, Some(&value), &[]).expect("it fits");
    builder.build(3).expect("there is a record")
}

async fn fill(broker: &Broker) {
    let producer: Producer<(), String> = Producer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .transport(Transport::new(broker.connector().into_fn()))
        .build()
        .expect("valid settings");
    for partition in 0..2 {
        for value in 0..6 {
            let record = ProducerRecord::new("t", (), value.to_string()).partition(partition);
            // One batch each, so that a bomb can take the place of one.
            producer.send(record).await.expect("it is written");
        }
    }
    producer.close(SOON).await.expect("it closes");
}

#[tokio::test]
async fn a_bomb_is_an_error_that_names_its_place_within_a_bound_and_the_consumer_goes_on() {
    let _alone = ALONE.lock().await;
    for codec in Compression::ALL
        .into_iter()
        .filter(|codec| *codec != Compression::None)
    {
        let broker = Broker::builder().topic("t", 2).start().await.expect("it starts");
        fill(&broker).await;
        let bomb = bomb(codec);
        let is_lying = Arc::new(AtomicBool::new(true));
        let transport = {
            let is_lying = Arc::clone(&is_lying);
            // Partition 0 explodes at offset 3, whatever is asked for.
            liar::transport(&broker, move |answer| {
                let ResponseBody::Fetch(response) = &mut answer.body else {
                    return;
                };
                let partitions = response
                    .responses
                    .iter_mut()
                    .flat_map(|topic| &mut topic.partitions);
                for partition in partitions.filter(|partition| partition.partition_index == 0) {
                    let has_records = partition
                        .records
                        .as_ref()
                        .is_some_and(|records| !records.is_empty());
                    if has_records && is_lying.load(Ordering::Relaxed) {
                        partition.records = Some(bomb.clone());
                    }
                }
            })
        };
        let mut reader: Consumer<(), String> = Consumer::builder()
            .bootstrap_servers(broker.bootstrap_servers())
            .auto_offset_reset(AutoOffsetReset::Earliest)
            .transport(transport)
            .build()
            .expect("valid settings");
        let [bad, good] = [0, 1].map(|partition| TopicPartition::new("t", partition));
        reader.assign([bad.clone(), good.clone()]).expect("partitions");
        reader.seek(&bad, 3).expect("it is assigned");
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();

        let (mut values, mut errors) = (Vec::new(), 0);
        while values.len() < 6 || errors < 2 {
            match reader.poll(SOON).await {
                Ok(records) => values.extend(records.into_iter().map(|record| {
                    assert_eq!(record.partition(), 1, "{codec}: nothing comes out of the bomb");
                    record.value
                })),
                Err(PollError::Read(ReadError::UnreadableBatch {
                    partition,
                    offset,
                    next_offset,
                    error,
                })) => {
                    errors += 1;
                    assert_eq!(
                        (partition, offset, next_offset),
                        (bad.clone(), 3, Some(4)),
                        "{codec}"
                    );
                    assert!(matches!(error, BatchError::TooLarge { .. }), "{codec}: {error}");
                    // The other partition goes on while this one is paused.
                    reader.pause([&bad]).expect("it is assigned");
                    if values.len() == 6 || errors == 1 {
                        let position = reader.position(&bad).await.expect("it has one");
                        assert_eq!(position, 3, "{codec}: the position stays");
                    }
                    while values.len() < 6 {
                        let records = reader.poll(SOON).await.expect("the other one has no bomb");
                        values.extend(records.into_iter().map(|record| record.value));
                    }
                    reader.resume([&bad]).expect("it is assigned");
                }
                Err(error) => panic!("{codec}: {error}"),
            }
        }
        let grew = MEMORY.peak_usage().saturating_sub(before);
        println!("{codec}: {grew} bytes at most");
        assert!(grew < BOUND + BESIDE, "{codec}: {grew}");
        assert_eq!(values, ["0", "1", "2", "3", "4", "5"], "{codec}");

        // Past the bomb it goes on.
        is_lying.store(false, Ordering::Relaxed);
        reader.seek(&bad, 4).expect("it is assigned");
        let mut rest = Vec::new();
        while rest.len() < 2 {
            let records = reader.poll(SOON).await.expect("the truth can be read");
            rest.extend(records.into_iter().map(|record| (record.offset, record.value)));
        }
        assert_eq!(rest, [(4, "4".to_owned()), (5, "5".to_owned())], "{codec}");
        reader.close(SOON).await.expect("it closes");
    }
}

/// A number in seven bits a byte, as the lengths of the newer encodings.
fn varint(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.extend((number as u8 | 0x80).to_le_bytes());
        number >>= 7;
    }
    bytes.extend((number as u8).to_le_bytes());
}

#[tokio::test]
async fn very_many_tagged_fields_take_no_more_memory_than_their_bytes() {
    let _alone = ALONE.lock().await;
    let broker = Broker::builder().topic("t", 2).start().await.expect("it starts");
    fill(&broker).await;
    let mut fields = Vec::new();
    let count = 4_000_000;
    varint(&mut fields, count);
    for tag in 0..count {
        varint(&mut fields, tag + 1_000);
        fields.push(0);
    }
    let told = fields.len();
    let is_said = Arc::new(AtomicBool::new(false));
    let transport = {
        let is_said = Arc::clone(&is_said);
        liar::transport(&broker, move |answer| {
            if answer.api == ApiKey::Metadata && !is_said.swap(true, Ordering::Relaxed) {
                let whole = answer.encoded(0);
                // The last byte says that there are none.
                let mut bytes = whole[8..whole.len() - 1].to_vec();
                bytes.extend_from_slice(&fields);
                answer.wire = liar::Wire::Bytes(bytes.into());
            }
        })
    };
    let mut reader: Consumer<(), String> = Consumer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .auto_offset_reset(AutoOffsetReset::Earliest)
        .transport(transport)
        .build()
        .expect("valid settings");
    reader.assign([TopicPartition::new("t", 0)]).expect("a partition");
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let mut values = Vec::new();
    while values.len() < 6 {
        let records = reader.poll(SOON).await.expect("what is not known is skipped");
        values.extend(records.into_iter().map(|record| record.value));
    }
    let grew = MEMORY.peak_usage().saturating_sub(before);
    println!("{count} tagged fields of {told} bytes: {grew} bytes at most");
    assert!(is_said.load(Ordering::Relaxed));
    // The liar has made two copies of the frame, and the receive buffer grows by doubling.
    assert!(grew < 5 * told, "{grew}");
    reader.close(SOON).await.expect("it closes");
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_announced_and_does_not_come_takes_no_memory() {
    let _alone = ALONE.lock().await;
    let slowly = |mut stream: DuplexStream| async move {
        // 200 MB, of which 160 bytes come in a second.
        let _ = stream.write_all(&200_000_000u32.to_be_bytes()).await;
        while stream.write_all(&[7; 16]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let transport = Transport::new(move |_host: String, _port| async move {
        let (near, far) = tokio::io::duplex(1 << 16);
        tokio::spawn(slowly(far));
        Ok(near)
    });
    let mut reader: Consumer<(), String> = Consumer::builder()
        .bootstrap_servers("liar:9092")
        .transport(transport)
        .build()
        .expect("valid settings");
    reader.assign([TopicPartition::new("t", 0)]).expect("a partition");
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    for _ in 0..20 {
        let records = reader.poll(Duration::from_secs(1)).await;
        assert!(records.expect("nothing came yet").is_empty());
    }
    let grew = MEMORY.peak_usage().saturating_sub(before);
    println!("a frame that does not come: {grew} bytes at most");
    assert!(grew < 4 << 20, "{grew}");
}

#[tokio::test]
async fn an_answer_of_very_many_elements_ends_its_connection_within_a_bound_and_the_member_joins_again() {
    let _alone = ALONE.lock().await;
    // As many as are read, and more, which are not.
    for count in [8_000_000, 12_000_000] {
        let broker = Broker::builder().topic("t", 2).start().await.expect("it starts");
        fill(&broker).await;
        let is_said = Arc::new(AtomicBool::new(false));
        let transport = {
            let is_said = Arc::clone(&is_said);
            liar::transport(&broker, move |answer| {
                if answer.api == ApiKey::JoinGroup && !is_said.swap(true, Ordering::Relaxed) {
                    // No tagged fields of the header, no throttling, no error, generation 0, no protocol, leader "x", an empty id.
                    let mut bytes = vec![0; 13];
                    bytes.extend([2, b'x', 0, 1]);
                    varint(&mut bytes, count + 1);
                    // Members without id, instance id, metadata and tagged fields.
                    bytes.extend([1, 0, 1, 0].repeat(count as usize));
                    bytes.push(0);
                    answer.wire = liar::Wire::Bytes(bytes.into());
                }
            })
        };
        let mut reader: Consumer<(), String> = Consumer::builder()
            .bootstrap_servers(broker.bootstrap_servers())
            .auto_offset_reset(AutoOffsetReset::Earliest)
            .group_id("g")
            .transport(transport)
            .build()
            .expect("valid settings");
        reader.subscribe(["t"]).expect("a group");
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        let mut values = Vec::new();
        while values.len() < 12 {
            // The one that fails says why, if it says anything.
            if let Ok(records) = reader.poll(SOON).await {
                values.extend(records.into_iter().map(|record| record.value));
            }
        }
        let grew = MEMORY.peak_usage().saturating_sub(before);
        println!("{count} members in {} MB: {grew} bytes at most", count / 250_000);
        assert!(is_said.load(Ordering::Relaxed));
        // A member takes 80 bytes; a vector that grows is twice as large at most, and holds its old block. Beside it are the frame
        // and the liar's copies.
        let most = MOST_ELEMENTS_OF_RESPONSE * 80 * 3 + 5 * 4 * count as usize;
        assert!(grew < most, "{grew}, more than {most}");
        reader.close(SOON).await.expect("it closes");
    }
}
