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
use kohort_protocol::{RequestBody, frame};

use super::{Bench, batch, produce_request};

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
            let at = prng.below(bytes.len() as u64) as usize;
            bytes[at] = match prng.below(3) {
                0 => 0xff,
                1 => 0x7f,
                _ => prng.next_u64() as u8,
            };
        }
        if prng.chance(1, 4) {
            bytes.truncate(prng.below(bytes.len() as u64) as usize);
        }
        let conn = bench.connect();
        bench.send_bytes(conn, bytes.freeze());
        bench.harness.step(crate::Event::Disconnected { conn });
    }
    assert_eq!(bench.harness.machine().waiting_fetches(), 0);
    assert_eq!(bench.produce("u", &["a"]).error_code, 0);
}
