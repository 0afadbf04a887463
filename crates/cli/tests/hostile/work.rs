//! Requests that cost the broker much work for their bytes: what they may cost is bounded, and others wait no longer than that.

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::ListOffsetsRequest;
use kohort_protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use kohort_records::{BatchBuilder, Compression};

use crate::broker::Broker;
use crate::client::{Client, produce};
use crate::memory::{AT_ONCE, BESIDE, CODECS, MIB, ONE_REQUEST, QUEUED, at_once, create_with, within};

/// A batch of one tiny record.
fn tiny(codec: Compression) -> bytes::Bytes {
    let mut builder = BatchBuilder::new(codec, None).expect("no level");
    builder.append(0, None, None, &[]).expect("it fits");
    builder.build(0).expect("a record")
}

#[test]
fn requests_of_very_many_tiny_batches_are_written_within_bounded_memory() {
    const BATCHES: usize = 100_000;
    let broker = Broker::start("tiny", &[]);
    let requests = CODECS.map(|codec| vec![tiny(codec); BATCHES]);
    // They stay, too: the logs are in memory, and have no more than 16 MiB of each.
    let most = QUEUED + ONE_REQUEST + CODECS.len() as u64 * 16 * MIB + BESIDE;
    within(most, &broker, || {
        at_once(requests.to_vec(), |batches| {
            let mut client = Client::connect(&broker.address);
            let answer = client.ask(9, produce("t", batches));
            let answers = &answer.responses[0].partition_responses;
            assert!(answers.iter().all(|answer| answer.error_code == 0));
            assert_eq!(answers.len(), BATCHES);
        })
    });
}

#[test]
fn requests_of_very_many_tiny_batches_that_are_written_anew_are_carried_out_in_part() {
    const BATCHES: usize = 100_000;
    let broker = Broker::start("anew", &[]);
    let mut client = Client::connect(&broker.address);
    for codec in CODECS {
        create_with(
            &mut client,
            codec.name(),
            1,
            &[("compression.type", codec.name())],
        );
    }
    let requests = CODECS.map(|codec| produce(codec.name(), vec![tiny(Compression::None); BATCHES]));
    let most = QUEUED + ONE_REQUEST + CODECS.len() as u64 * 16 * MIB + BESIDE;
    within(most, &broker, || {
        at_once(requests.to_vec(), |request| {
            let answer = Client::connect(&broker.address).ask(9, request);
            let codes = answer.responses[0].partition_responses.iter();
            let codes: Vec<_> = codes
                .map(|answer| ErrorCode::from_code(answer.error_code))
                .collect();
            let written = codes.iter().filter(|code| **code == ErrorCode::None).count();
            let (first, others) = codes.split_at(written);
            // Each takes 4 KiB of 200 MiB, and 7 bytes for its record.
            assert!((50_000..51_200).contains(&written), "{written}");
            assert!(first.iter().all(|code| *code == ErrorCode::None));
            assert!(others.iter().all(|code| *code == ErrorCode::MessageTooLarge));
        })
    });
}

#[test]
fn searches_by_timestamp_in_bombs_are_answered_in_part_and_others_served() {
    const PARTITIONS: i32 = 100;
    let broker = Broker::start("searches", &[]);
    let mut client = Client::connect(&broker.address);
    create_with(&mut client, "many", PARTITIONS, &[]);
    // As large as a batch may be by default, in 6 KB.
    let mut builder = BatchBuilder::new(Compression::Zstd, None).expect("no level");
    let value = vec![0; 60 << 20];
    builder.append(0, None, Some(&value), &[]).expect("it fits");
    let bomb = builder.build(0).expect("a record");
    for index in 0..PARTITIONS {
        let mut request = produce("many", vec![bomb.clone()]);
        request.topic_data[0].partition_data[0].index = index;
        let answer = client.ask(9, request);
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    }
    let partitions = (0..PARTITIONS).map(|partition_index| ListOffsetsPartition {
        partition_index,
        current_leader_epoch: -1,
        ..Default::default()
    });
    let search = ListOffsetsRequest {
        topics: vec![ListOffsetsTopic {
            name: "many".into(),
            partitions: partitions.collect(),
        }],
        ..Default::default()
    };
    // A batch is open at a time, and its buffer may hold its old block while it grows.
    within(2 * 64 * MIB + BESIDE, &broker, || {
        at_once(vec![search; 2 * AT_ONCE], |search| {
            let mut client = Client::connect(&broker.address);
            let answer = client.ask(7, search);
            let codes = answer.topics[0].partitions.iter();
            let codes = codes.map(|partition| ErrorCode::from_code(partition.error_code));
            let found = codes.clone().filter(|code| *code == ErrorCode::None).count();
            let later = codes.filter(|code| *code == ErrorCode::OffsetNotAvailable);
            assert_eq!((found, later.count()), (5, PARTITIONS as usize - 5));
        })
    });
}
