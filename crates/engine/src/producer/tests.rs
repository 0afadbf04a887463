//! The producer against a scripted cluster on a driven clock.

mod batches;
mod closing;
mod idempotence;
mod limits;
mod metadata;
mod retries;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use kohort_machine::Token;
use kohort_protocol::messages::produce::{PartitionProduceResponse, TopicProduceResponse};
use kohort_protocol::messages::{ProduceRequest, ProduceResponse};
use kohort_protocol::{ErrorCode, RequestBody};
use kohort_records::batches;

use super::{
    ProducerAction, ProducerConfig, ProducerEngine, ProducerEvent, ProducerRecord, RecordAck, SendError,
};
use crate::client::ClientConfig;
use crate::client::testing::{Arrived, Driven, Network};

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn producer_with(network: Network, set: impl FnOnce(&mut ProducerConfig)) -> Driven<ProducerEngine> {
    let mut config = ProducerConfig::new(ClientConfig::new([(String::from("kafka"), 9001)]));
    set(&mut config);
    Driven::new(ProducerEngine::new(config, 7), network)
}

fn producer() -> Driven<ProducerEngine> {
    producer_with(Network::with_cluster(2, &[("t", 4), ("u", 1)]), |_| {})
}

fn send(token: u64, topic: &str, partition: Option<i32>, value: &[u8]) -> ProducerEvent {
    let record = ProducerRecord {
        topic: topic.into(),
        partition,
        timestamp: 1000 + token as i64,
        key: None,
        value: Some(Bytes::copy_from_slice(value)),
        headers: vec![],
    };
    let token = Token(token);
    ProducerEvent::Send {
        token,
        record: Box::new(record),
    }
}

fn flush(token: u64) -> ProducerEvent {
    ProducerEvent::Flush { token: Token(token) }
}

fn request(arrived: &Arrived) -> &ProduceRequest {
    match &arrived.body {
        RequestBody::Produce(request) => request,
        other => panic!("{other:?}"),
    }
}

/// The values in a request, by partition.
fn values(arrived: &Arrived) -> Vec<(i32, Vec<Vec<u8>>)> {
    let mut all = Vec::new();
    for partition in request(arrived)
        .topic_data
        .iter()
        .flat_map(|topic| &topic.partition_data)
    {
        let mut values = Vec::new();
        for batch in batches(partition.records.clone().unwrap()) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            let open = batch.open(1 << 20).unwrap();
            values.extend(
                open.iter()
                    .map(|record| record.value.unwrap_or_default().to_vec()),
            );
        }
        all.push((partition.index, values));
    }
    all
}

/// The same answer for every partition of a request.
fn answer_with(arrived: &Arrived, set: impl Fn(&mut PartitionProduceResponse)) -> ProduceResponse {
    let topics = request(arrived).topic_data.iter().map(|topic| {
        let partitions = topic.partition_data.iter().map(|partition| {
            let mut response = PartitionProduceResponse {
                index: partition.index,
                base_offset: 100,
                ..Default::default()
            };
            set(&mut response);
            response
        });
        TopicProduceResponse {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partition_responses: partitions.collect(),
        }
    });
    ProduceResponse {
        responses: topics.collect(),
        ..Default::default()
    }
}

fn acknowledge(producer: &mut Driven<ProducerEngine>, arrived: &Arrived) -> Vec<ProducerAction> {
    let response = answer_with(arrived, |_| {});
    producer.answer(arrived, response)
}

fn refuse(producer: &mut Driven<ProducerEngine>, arrived: &Arrived, error: ErrorCode) -> Vec<ProducerAction> {
    let response = answer_with(arrived, |partition| {
        partition.error_code = error.code();
        partition.base_offset = -1;
    });
    producer.answer(arrived, response)
}

fn acked(token: u64, partition: i32, offset: i64) -> ProducerAction {
    ProducerAction::Sent {
        token: Token(token),
        result: Ok(RecordAck {
            partition,
            offset: Some(offset),
            timestamp: 1000 + token as i64,
        }),
    }
}

fn errors(actions: Vec<ProducerAction>) -> Vec<(u64, SendError)> {
    let error = |action| match action {
        ProducerAction::Sent {
            token,
            result: Err(error),
        } => (token.0, *error),
        other => panic!("{other:?}"),
    };
    actions.into_iter().map(error).collect()
}

#[test]
fn events_and_actions_are_small() {
    assert!(size_of::<ProducerEvent>() <= 64);
    assert!(size_of::<ProducerAction>() <= 64);
}
