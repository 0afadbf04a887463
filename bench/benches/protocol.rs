//! Requests and responses: Fetch of 6 and of 1,000 partitions, Metadata of a topic of 1,000 partitions.

use bytes::{Bytes, BytesMut};
use divan::{Bencher, black_box};
use kohort_protocol::messages::fetch::{FetchPartition, FetchTopic, FetchableTopicResponse, PartitionData};
use kohort_protocol::messages::metadata::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kohort_protocol::messages::{FetchRequest, FetchResponse, MetadataResponse};
use kohort_protocol::{Message, Reader, Uuid};

const PARTITIONS: [i32; 2] = [6, 1_000];
const FETCH: i16 = 17;
const METADATA: i16 = 13;
const TOPIC: Uuid = Uuid([7; 16]);

fn main() {
    divan::main();
}

fn fetch_request(partitions: i32) -> FetchRequest {
    let partition = |partition| FetchPartition {
        partition,
        current_leader_epoch: 3,
        fetch_offset: 1_000_000,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 50 << 20,
        topics: vec![FetchTopic {
            topic_id: TOPIC,
            partitions: (0..partitions).map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Together about 6 MB of records, as `fetch.max.bytes` and `max.partition.fetch.bytes` allow of 6 partitions.
fn fetch_response(partitions: i32) -> FetchResponse {
    let records = Bytes::from(vec![
        7;
        (6 << 20) / usize::try_from(partitions).expect("positive")
    ]);
    let partition = |partition_index| PartitionData {
        partition_index,
        high_watermark: 2_000_000,
        last_stable_offset: 2_000_000,
        records: Some(records.clone()),
        ..Default::default()
    };
    FetchResponse {
        responses: vec![FetchableTopicResponse {
            topic_id: TOPIC,
            partitions: (0..partitions).map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn metadata_response() -> MetadataResponse {
    let broker = |node_id| MetadataResponseBroker {
        node_id,
        host: format!("kafka-{node_id}.example.org"),
        port: 9092,
        rack: None,
    };
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_id: partition_index % 3,
        leader_epoch: 3,
        replica_nodes: vec![0, 1, 2],
        isr_nodes: vec![0, 1, 2],
        ..Default::default()
    };
    MetadataResponse {
        brokers: (0..3).map(broker).collect(),
        topics: vec![MetadataResponseTopic {
            name: Some("orders".to_owned()),
            topic_id: TOPIC,
            partitions: (0..1_000).map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn encoded(message: &impl Message, version: i16) -> Bytes {
    let mut out = BytesMut::new();
    message
        .encode(version, &mut out)
        .expect("the version has all fields");
    out.freeze()
}

fn decode<M: Message>(bencher: Bencher<'_, '_>, message: &M, version: i16) {
    let bytes = encoded(message, version);
    bencher
        .bench_local(|| M::decode(&mut Reader::new(black_box(bytes.clone())), version).expect("well formed"));
}

fn encode(bencher: Bencher<'_, '_>, message: &impl Message, version: i16) {
    let mut out = BytesMut::new();
    bencher.bench_local(|| {
        out.clear();
        black_box(message).encode(version, &mut out)
    });
}

#[divan::bench(args = PARTITIONS)]
fn encode_fetch_request(bencher: Bencher<'_, '_>, partitions: i32) {
    encode(bencher, &fetch_request(partitions), FETCH);
}

#[divan::bench(args = PARTITIONS)]
fn decode_fetch_request(bencher: Bencher<'_, '_>, partitions: i32) {
    decode(bencher, &fetch_request(partitions), FETCH);
}

#[divan::bench(args = PARTITIONS)]
fn decode_fetch_response(bencher: Bencher<'_, '_>, partitions: i32) {
    decode(bencher, &fetch_response(partitions), FETCH);
}

#[divan::bench]
fn encode_metadata_response(bencher: Bencher<'_, '_>) {
    encode(bencher, &metadata_response(), METADATA);
}

#[divan::bench]
fn decode_metadata_response(bencher: Bencher<'_, '_>) {
    decode(bencher, &metadata_response(), METADATA);
}
