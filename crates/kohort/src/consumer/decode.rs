//! Records on their way from the batches to the user: key and value are decoded where they lie.

use core::ops::ControlFlow;
use std::sync::Arc;

use kohort_engine::delivery::{Portion, Sink};
use kohort_groups::TopicPartition;
use kohort_records::{Header, RecordView};

use super::records::{Run, Runs};
use super::{ConsumerRecord, ConsumerRecords, PollError};
use crate::deserialize::{BoxError, Context, Deserializer, Origin, Payload, RecordDeserializationError};

/// Takes records up to the first that cannot be decoded; that one and those after it stay where they are.
pub(super) struct Decoding<'a, K, V> {
    key: &'a dyn Deserializer<K>,
    value: &'a dyn Deserializer<V>,
    records: Vec<ConsumerRecord<K, V>>,
    runs: Runs,
    failure: Option<Box<RecordDeserializationError>>,
    /// How many records to make room for at first.
    likely: usize,
}

impl<'a, K, V> Decoding<'a, K, V> {
    pub(super) fn new(key: &'a dyn Deserializer<K>, value: &'a dyn Deserializer<V>, likely: usize) -> Self {
        Self {
            key,
            value,
            records: Vec::new(),
            runs: Runs::default(),
            failure: None,
            likely,
        }
    }

    /// What was decoded, if anything was; else the failure, if there was one.
    pub(super) fn into_records(self) -> Result<Option<ConsumerRecords<K, V>>, PollError> {
        let Self {
            mut records,
            runs,
            failure,
            ..
        } = self;
        match failure {
            _ if !records.is_empty() => {
                // Fewer came than were likely: whoever keeps them should not keep the room.
                if records.len() < records.capacity() / 2 {
                    records.shrink_to_fit();
                }
                Ok(Some(ConsumerRecords { records, runs }))
            }
            Some(error) => Err(PollError::Deserialization(error)),
            None => Ok(None),
        }
    }
}

impl<K, V> Sink for Decoding<'_, K, V> {
    fn take(&mut self, portion: &mut Portion<'_>) -> ControlFlow<()> {
        let begin = self.records.len();
        let likely = if begin == 0 { self.likely } else { 0 };
        self.records.reserve(portion.left().max(likely));
        let partition = portion.partition();
        let leader_epoch = portion.leader_epoch();
        let decoded = portion.try_for_each(|view| {
            let record = decode(self.key, self.value, partition, leader_epoch, view)?;
            self.records.push(record);
            Ok(())
        });
        if let Some(next_offset) = portion.next_offset() {
            self.runs.push(Run {
                range: begin..self.records.len(),
                next_offset,
            });
        }
        match decoded {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failure = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

fn decode<K, V>(
    key: &dyn Deserializer<K>,
    value: &dyn Deserializer<V>,
    partition: &Arc<TopicPartition>,
    leader_epoch: Option<i32>,
    view: &RecordView<'_>,
) -> Result<ConsumerRecord<K, V>, Box<RecordDeserializationError>> {
    let mut context = Context {
        topic: &partition.topic,
        headers: view.headers.clone(),
        origin: Origin::Key,
    };
    let failed = |origin, source: BoxError| {
        Box::new(RecordDeserializationError {
            partition: (**partition).clone(),
            origin,
            record: view.to_copy(),
            source,
        })
    };
    let key = key.deserialize(&context, Payload::of(view.key, view));
    let key = key.map_err(|source| failed(Origin::Key, source))?;
    context.origin = Origin::Value;
    let value = value.deserialize(&context, Payload::of(view.value, view));
    let value = value.map_err(|source| failed(Origin::Value, source))?;
    let headers = match view.headers.is_empty() {
        true => Vec::new(),
        false => shared_headers(view),
    };
    Ok(ConsumerRecord {
        offset: view.offset,
        timestamp: view.timestamp,
        timestamp_type: view.timestamp_type,
        key,
        value,
        headers,
        leader_epoch,
        serialized_key_size: view.key.map(<[u8]>::len),
        serialized_value_size: view.value.map(<[u8]>::len),
        partition: Arc::clone(partition),
    })
}

#[inline(never)]
fn shared_headers(view: &RecordView<'_>) -> Vec<Header> {
    let headers = view.headers.clone().map(|header| Header {
        key: view.share(header.key),
        value: header.value.map(|value| view.share(value)),
    });
    headers.collect()
}
