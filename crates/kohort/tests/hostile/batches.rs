//! Record batches that lie, in answers to Fetch: an error of `poll` that names topic, partition and offset; the position
//! stays, the other partition goes on, and `seek` goes past it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Bytes, BytesMut};
use kohort::TopicPartition;
use kohort::consumer::{PollError, ReadError};
use kohort_protocol::ResponseBody;
use kohort_records::{BatchBuilder, Compression};
use tokio::time::Instant;

use super::*;

/// A batch of three records at offset 0 with some bytes changed; its checksum is right afterwards if `sealed`.
fn changed(at: usize, bytes: &[u8], sealed: bool) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None, None).expect("the default level is valid");
    for _ in 0..3 {
        builder
            .append(1_700_000_000_000, Some(b"key"), Some(b"value"), &[])
            .expect("it fits");
    }
    let mut batch = BytesMut::from(&builder.build(0).expect("there are records")[..]);
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    if sealed {
        let crc = crc32c::crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    batch.freeze()
}

fn hostile() -> Vec<(&'static str, Bytes)> {
    let (minus, most) = ((-1_i32).to_be_bytes(), i32::MAX.to_be_bytes());
    vec![
        ("a wrong checksum", changed(17, &[1, 2, 3, 4], false)),
        ("a length of -1", changed(8, &minus, true)),
        ("a length of 0", changed(8, &[0; 4], true)),
        ("a length of 48", changed(8, &48_i32.to_be_bytes(), true)),
        ("magic 3", changed(16, &[3], true)),
        ("magic -1", changed(16, &[0xff], true)),
        ("codec 5", changed(22, &[5], true)),
        ("codec 7", changed(22, &[7], true)),
        ("gzip that is none", changed(22, &[1], true)),
        ("snappy that is none", changed(22, &[2], true)),
        ("lz4 that is none", changed(22, &[3], true)),
        ("zstd that is none", changed(22, &[4], true)),
        ("-1 records", changed(57, &minus, true)),
        ("2^31-1 records", changed(57, &most, true)),
        ("a last offset delta of -1", changed(23, &minus, true)),
        ("a record of length -1", changed(61, &[1], true)),
        ("a record beyond the end", changed(61, &[0xff, 0x7f], true)),
        ("a varint that does not end", changed(61, &[0xff; 12], true)),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_lies_is_an_error_that_names_its_place_and_seek_goes_past_it() {
    for (what, batch) in hostile() {
        let broker = Broker::builder().topic("t", 2).start().await.expect("it starts");
        for partition in 0..2 {
            fill_partition(&broker, partition).await;
        }
        let is_lying = Arc::new(AtomicBool::new(true));
        let transport = {
            let is_lying = Arc::clone(&is_lying);
            liar::transport(&broker, move |answer| {
                let ResponseBody::Fetch(response) = &mut answer.body else {
                    return;
                };
                let partitions = response
                    .responses
                    .iter_mut()
                    .flat_map(|topic| &mut topic.partitions);
                for partition in partitions.filter(|partition| partition.partition_index == 0) {
                    if is_lying.load(Ordering::Relaxed) {
                        partition.records = Some(batch.clone());
                    }
                }
            })
        };
        let mut reader = consumer(broker.bootstrap_servers(), transport)
            .build()
            .expect("valid settings");
        let [bad, good] = [0, 1].map(|partition| TopicPartition::new("t", partition));
        reader.assign([bad.clone(), good]).expect("partitions");
        let (mut values, mut errors, mut polls) = (Vec::new(), 0, 0);
        let began = Instant::now();
        while errors < 3 || values.len() < 20 {
            polls += 1;
            assert!(polls < 1_000, "{what}: {errors} errors, {} values", values.len());
            assert!(began.elapsed() < 300 * SECOND, "{what}");
            match reader.poll(SECOND).await {
                Ok(records) => {
                    for record in records {
                        assert_eq!(record.partition(), 1, "{what}: nothing comes out of it");
                        values.push(record.value);
                    }
                }
                Err(PollError::Read(ReadError::UnreadableBatch {
                    partition, offset, ..
                })) => {
                    assert_eq!((&partition, offset), (&bad, 0), "{what}");
                    assert_eq!(reader.position(&bad).await.expect("it has one"), 0, "{what}");
                    errors += 1;
                    // The same error comes at each poll until the partition is paused or sought.
                    if errors == 2 {
                        reader.pause([&bad]).expect("it is assigned");
                    }
                }
                Err(error) => panic!("{what}: {error}"),
            }
            if values.len() == 20 && errors == 2 {
                reader.resume([&bad]).expect("it is assigned");
            }
        }
        let expected: Vec<String> = (0..20).map(|value| value.to_string()).collect();
        assert_eq!(values, expected, "{what}");
        is_lying.store(false, Ordering::Relaxed);
        reader.seek(&bad, 3).expect("it is assigned");
        let mut rest = Vec::new();
        while rest.len() < 17 {
            let records = reader.poll(10 * SECOND).await.expect(what);
            rest.extend(records.into_iter().map(|record| record.value));
        }
        assert_eq!(rest, expected[3..], "{what}");
        reader.close(10 * SECOND).await.expect(what);
    }
}
