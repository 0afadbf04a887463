//! Damaged requests: a node never panics on them, and what one connection sends does not harm another.

use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};
use kohort_machine::Prng;
use kohort_protocol::messages::fetch::{FetchPartition, FetchTopic};
use kohort_protocol::messages::metadata::MetadataRequestTopic;
use kohort_protocol::messages::{
    CreateTopicsRequest, FetchRequest, ListOffsetsRequest, MetadataRequest, RequestHeader,
    create_topics::CreatableTopic, list_offsets::ListOffsetsPartition, list_offsets::ListOffsetsTopic,
};
use kohort_protocol::{ErrorCode, RequestBody, frame};

use kohort_records::{BatchBuilder, Compression};

use super::{Bench, batch, closed, produce_request, reply};
use crate::Event;

fn samples() -> Vec<Bytes> {
    let fetch = FetchRequest {
        max_wait_ms: 100,
        topics: alloc::vec![FetchTopic {
            topic: "t".into(),
            partitions: alloc::vec![FetchPartition {
                partition_max_bytes: 1 << 20,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let list_offsets = ListOffsetsRequest {
        topics: alloc::vec![ListOffsetsTopic {
            name: "t".into(),
            partitions: alloc::vec![ListOffsetsPartition {
                timestamp: 5,
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    let create = CreateTopicsRequest {
        topics: alloc::vec![CreatableTopic {
            name: "new".into(),
            num_partitions: 2,
            replication_factor: 1,
            ..Default::default()
        }],
        ..Default::default()
    };
    let metadata = MetadataRequest {
        topics: Some(alloc::vec![MetadataRequestTopic {
            name: Some("auto".into()),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let requests: [(i16, RequestBody); 5] = [
        (12, produce_request("t", 0, batch(&["a", "b"])).into()),
        (12, fetch.into()),
        (5, list_offsets.into()),
        (7, create.into()),
        (12, metadata.into()),
    ];
    requests
        .iter()
        .map(|(version, body)| {
            let frame = frame::encode_request(&RequestHeader::default(), *version, body);
            frame.expect("the sample can be encoded").freeze().slice(4..)
        })
        .collect()
}

#[test]
fn damaged_requests_harm_nobody_else() {
    let mut bench = Bench::new();
    let samples = samples();
    let mut prng = Prng::from_seed(11);
    for round in 0..20_000 {
        let sample = &samples[round % samples.len()];
        let mut bytes = BytesMut::from(&sample[..]);
        for _ in 0..=prng.below(3) {
            let at = prng.index(bytes.len());
            bytes[at] = match prng.below(3) {
                0 => 0xff,
                1 => 0x7f,
                _ => prng.next_u64() as u8,
            };
        }
        if prng.chance(1, 4) {
            bytes.truncate(prng.index(bytes.len()));
        }
        let conn = bench.connect();
        bench.send_bytes(conn, bytes.freeze());
        bench.harness.step(crate::Event::Disconnected { conn });
    }
    assert_eq!(bench.harness.machine().waiting_fetches(), 0);
    assert_eq!(bench.produce("u", &["a"]).error_code, 0);
}

/// A fetch that waits, of one empty partition so many times, or of topics without partitions.
fn waiting(partitions: usize, topics: usize) -> FetchRequest {
    let partition = FetchPartition {
        partition_max_bytes: 1,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
        ..Default::default()
    };
    let topic = FetchTopic {
        topic: "t".into(),
        partitions: alloc::vec![partition; partitions],
        ..Default::default()
    };
    let mut all = alloc::vec![FetchTopic { topic: "t".into(), ..Default::default() }; topics];
    all.push(topic);
    FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 1,
        session_epoch: -1,
        topics: all,
        ..Default::default()
    }
}

#[test]
fn fetches_that_wait_share_one_bound_on_what_they_name_however_often() {
    for second in [waiting(600_000, 0), waiting(1, 600_000)] {
        let mut bench = Bench::new();
        let conns = [bench.connect(), bench.connect(), bench.connect()];
        let actions = bench.send(conns[0], 12, waiting(600_000, 0));
        assert!(reply::<FetchRequest>(&actions, conns[0], 12).is_none());
        let actions = bench.send(conns[1], 12, second);
        assert!(
            reply::<FetchRequest>(&actions, conns[1], 12).is_some(),
            "it must not wait"
        );
        let actions = bench.send(conns[2], 12, waiting(1, 0));
        assert!(reply::<FetchRequest>(&actions, conns[2], 12).is_none());
        bench.advance(500);
        // There is room again.
        let actions = bench.send(conns[1], 12, waiting(600_000, 0));
        assert!(reply::<FetchRequest>(&actions, conns[1], 12).is_none());
    }
}

#[test]
fn a_fetch_that_names_a_million_partitions_leaves_the_others_their_waits() {
    let mut bench = Bench::new();
    let large = FetchRequest {
        max_wait_ms: i32::MAX,
        ..waiting((1 << 20) - 2, 0)
    };
    let hog = bench.connect();
    let actions = bench.send(hog, 12, large.clone());
    assert!(
        reply::<FetchRequest>(&actions, hog, 12).is_none(),
        "there is room"
    );
    let others: Vec<_> = (0..100).map(|_| bench.connect()).collect();
    let mut answered = 0;
    for conn in &others {
        let actions = bench.send(*conn, 12, waiting(1, 0));
        assert!(reply::<FetchRequest>(&actions, *conn, 12).is_none(), "it waits");
        answered += usize::from(reply::<FetchRequest>(&actions, hog, 12).is_some());
    }
    assert_eq!(answered, 1);
    // It asks again, and is answered at once as long as others wait.
    let actions = bench.send(hog, 12, large);
    assert!(reply::<FetchRequest>(&actions, hog, 12).is_some());
    assert_eq!(bench.harness.machine().waiting_fetches(), others.len());
    // What they wait for reaches them.
    let conn = bench.connect();
    let actions = bench.send(conn, 12, produce_request("t", 0, batch(&["a"])));
    for conn in &others {
        assert!(reply::<FetchRequest>(&actions, *conn, 12).is_some());
    }
}

#[test]
fn the_names_that_waiting_fetches_have_count_by_their_length() {
    let mut bench = Bench::new();
    let topic = FetchTopic {
        topic: "n".repeat(i16::MAX as usize),
        ..Default::default()
    };
    // 4,000 names of 32 KiB are 125 MiB: one such fetch may wait, a second may not.
    let request = FetchRequest {
        topics: [waiting(1, 0).topics, alloc::vec![topic; 4_000]].concat(),
        ..waiting(1, 0)
    };
    let waits: Vec<bool> = (0..2)
        .map(|_| {
            let conn = bench.connect();
            let actions = bench.send(conn, 12, request.clone());
            reply::<FetchRequest>(&actions, conn, 12).is_none()
        })
        .collect();
    assert_eq!(waits, [true, false]);
}

/// A batch of 4,000 records without a key, which a compacted topic does not take.
fn faulty() -> Bytes {
    let mut builder = BatchBuilder::new(Compression::Gzip, None).expect("no level");
    for _ in 0..4_000 {
        builder.append(0, None, None, &[]).expect("it fits");
    }
    builder.build(0).expect("records")
}

#[test]
fn an_answer_names_ten_thousand_records_at_fault_and_a_line_of_the_log_ten_failures() {
    let mut bench = Bench::new();
    bench.create_topic("c", 1, &[("cleanup.policy", "compact")]);
    let mut request = produce_request("c", 0, faulty());
    let partition = request.topic_data[0].partition_data[0].clone();
    request.topic_data[0].partition_data = alloc::vec![partition; 12];
    let answer = bench.ask(9, request.clone());
    let named = answer.responses[0].partition_responses.iter();
    let named: Vec<usize> = named.map(|partition| partition.record_errors.len()).collect();
    assert_eq!(named, [4_000, 4_000, 2_000, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    request.acks = 0;
    let conn = bench.connect();
    let actions = bench.send(conn, 9, request);
    let reason = closed(&actions, conn).map(|reason| alloc::format!("{reason}"));
    let reason = reason.expect("it is closed");
    assert_eq!(reason.matches("c [0]").count(), 10, "{reason}");
    assert!(reason.ends_with(", and 2 more"), "{reason}");
}

/// A batch of one record of so many mebibytes of zeros.
fn zeros(codec: Compression, mebibytes: usize) -> Bytes {
    let mut builder = BatchBuilder::new(codec, None).expect("no level");
    let value = alloc::vec![0; mebibytes << 20];
    builder.append(0, None, Some(&value), &[]).expect("it fits");
    builder.build(0).expect("a record")
}

/// The errors that a request gets which writes each batch to a partition of its own.
fn written_at_once(batches: &[Bytes]) -> Vec<ErrorCode> {
    let mut bench = Bench::new();
    bench.create_topic("many", batches.len() as i32, &[]);
    let mut request = produce_request("many", 0, Bytes::new());
    let partitions = &mut request.topic_data[0].partition_data;
    *partitions = alloc::vec![partitions[0].clone(); batches.len()];
    for (index, (partition, batch)) in partitions.iter_mut().zip(batches).enumerate() {
        partition.index = index as i32;
        partition.records = Some(batch.clone());
    }
    let answer = bench.ask(9, request);
    let partitions = answer.responses[0].partition_responses.iter();
    partitions
        .map(|partition| ErrorCode::from_code(partition.error_code))
        .collect()
}

#[test]
fn the_batches_of_a_request_hold_no_more_than_a_hundred_mebibytes_decompressed() {
    let (small, large) = (zeros(Compression::Lz4, 1), zeros(Compression::Lz4, 30));
    let plain = batch(&["a"]);
    let codes = written_at_once(&[large.clone(), large.clone(), large.clone(), large, small, plain]);
    let none = ErrorCode::None;
    assert_eq!(codes, [none, none, none, ErrorCode::MessageTooLarge, none, none]);
}

#[test]
fn batches_that_are_too_large_leave_the_others_of_their_request_alone_until_they_took_twice_the_bound() {
    let (small, bomb) = (zeros(Compression::Lz4, 1), zeros(Compression::Lz4, 65));
    let plain = batch(&["a"]);
    // Each may hold 64 MiB, and so takes as many from twice 100.
    let bombs = alloc::vec![bomb; 4];
    let (first, last) = ([small.clone()], [small, plain]);
    let codes = written_at_once(&[&bombs[..3], &first, &bombs[3..], &last].concat());
    let (none, too_large) = (ErrorCode::None, ErrorCode::MessageTooLarge);
    assert_eq!(codes[..3], [too_large; 3]);
    assert_eq!(codes[3..], [none, too_large, too_large, none]);
}

#[test]
fn compressed_batches_for_many_partitions_are_all_written() {
    let codecs = [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];
    // What franz-go sends at most: it counts its batches before they are compressed, and 100 MiB are its bound.
    let batches = codecs.map(|codec| zeros(codec, 1));
    let codes = written_at_once(&alloc::vec![batches; 24].concat());
    assert_eq!(codes, [ErrorCode::None; 96]);
}

/// Asks for the first record of each partition of `many`, and gives the errors.
fn looked_for(bench: &mut Bench, version: i16, partitions: &[i32], timestamp: i64) -> Vec<ErrorCode> {
    let wanted = partitions.iter().map(|partition| ListOffsetsPartition {
        partition_index: *partition,
        current_leader_epoch: -1,
        timestamp,
    });
    let request = ListOffsetsRequest {
        topics: alloc::vec![ListOffsetsTopic {
            name: "many".into(),
            partitions: wanted.collect(),
        }],
        ..Default::default()
    };
    let answer = bench.ask(version, request);
    let partitions = answer.topics[0].partitions.iter();
    partitions
        .map(|partition| ErrorCode::from_code(partition.error_code))
        .collect()
}

#[test]
fn a_search_by_timestamp_opens_no_more_than_256_mebibytes_and_clients_ask_again_for_the_rest() {
    let mut bench = Bench::new();
    bench.create_topic("many", 7, &[]);
    let bomb = zeros(Compression::Zstd, 60);
    for partition in 0..7 {
        bench.produce_batch("many", partition, bomb.clone());
    }
    let all = [0, 1, 2, 3, 4, 5, 6];
    let none = ErrorCode::None;
    for (version, timestamp, later) in [
        (4, 0, ErrorCode::LeaderNotAvailable),
        (5, 0, ErrorCode::OffsetNotAvailable),
        (7, -3, ErrorCode::OffsetNotAvailable),
    ] {
        let codes = looked_for(&mut bench, version, &all, timestamp);
        assert_eq!(codes, [none, none, none, none, none, later, later]);
        assert!(later.is_retriable());
        assert_eq!(looked_for(&mut bench, version, &all[5..], timestamp), [none; 2]);
    }
    // What is known without opening a batch is told.
    assert_eq!(looked_for(&mut bench, 7, &all, -1), [none; 7]);
}

#[test]
fn answers_have_a_mebibyte_of_records_each_while_the_driver_has_no_room_for_more() {
    let mut bench = Bench::new();
    let large = "v".repeat(400 << 10);
    for number in 0..6 {
        bench.produce_batch("u", number % 3, batch(&[&large]));
    }
    let one = batch(&[&large]).len();
    let fetched = |bench: &mut Bench| {
        let partition = |partition| FetchPartition {
            partition,
            partition_max_bytes: 1 << 20,
            current_leader_epoch: -1,
            ..Default::default()
        };
        let topic = FetchTopic {
            topic: "u".into(),
            partitions: (0..3).map(partition).collect(),
            ..Default::default()
        };
        let request = FetchRequest {
            max_wait_ms: 500,
            min_bytes: 1,
            session_epoch: -1,
            topics: [topic].into(),
            ..Default::default()
        };
        let answer = bench.ask(12, request);
        let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
        let records = partitions.filter_map(|partition| partition.records.as_ref());
        records.map(Bytes::len).sum::<usize>() / one
    };
    assert_eq!(fetched(&mut bench), 6, "there is no bound");
    bench.harness.step(Event::RecordsRoom { bytes: 7 * one });
    assert_eq!(fetched(&mut bench), 6);
    assert_eq!(fetched(&mut bench), 2, "there is room for one");
    assert_eq!(fetched(&mut bench), 2, "there is none");
    bench.harness.step(Event::RecordsRoom { bytes: 4 * one });
    assert_eq!(fetched(&mut bench), 4);
    bench.assert_replays();
}
