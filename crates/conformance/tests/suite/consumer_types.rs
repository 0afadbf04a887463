//! From bytes to types: deserializers, and records that they refuse.

use std::collections::BTreeMap;
use std::time::Duration;

use kohort::consumer::{ConsumerBuilder, PollError};
use kohort::deserialize::{Decode, Json, Origin, from_fn};
use kohort::serialize::Encode;
use kohort::{Consumer, Header, Producer, ProducerRecord};
use kohort_conformance::cluster;

use crate::consumer_setup::{new_topic, partitions, producer, soon, write};

fn typed<K, V>() -> ConsumerBuilder<K, V> {
    Consumer::builder()
        .bootstrap_servers(&*cluster().bootstrap)
        .set("auto.offset.reset", "earliest")
}

async fn there_and_back<K, V>(pairs: Vec<(K, V)>)
where
    K: Encode + Decode + Clone + PartialEq + std::fmt::Debug + 'static,
    V: Encode + Decode + Clone + PartialEq + std::fmt::Debug + 'static,
{
    let topic = new_topic(1).await;
    let writer: Producer<K, V> = Producer::builder()
        .bootstrap_servers(&*cluster().bootstrap)
        .build()
        .expect("valid settings");
    for (key, value) in pairs.clone() {
        let record = ProducerRecord::new(&*topic, key, value).partition(0);
        writer.send(record).await.expect("it is written");
    }
    let mut reader: Consumer<K, V> = typed().build().expect("valid settings");
    reader.assign(partitions(&topic, 0..1)).expect("a partition");
    let mut got = Vec::new();
    let reading = async {
        while got.len() < pairs.len() {
            let records = reader.poll(Duration::from_secs(5)).await.expect("no error");
            got.extend(records.into_iter().map(|record| (record.key, record.value)));
        }
    };
    soon("the records", reading).await;
    assert_eq!(got, pairs);
}

// Kafka: org.apache.kafka.common.serialization: StringDeserializer, LongDeserializer, IntegerDeserializer, DoubleDeserializer
#[tokio::test]
async fn strings_and_numbers_are_read_as_they_were_written() {
    there_and_back(vec![("k".to_owned(), -1_i64), ("ключ".to_owned(), i64::MAX)]).await;
    there_and_back(vec![(Some(7_i32), 0.5_f64), (None, f64::MAX)]).await;
    there_and_back(vec![((), vec![0_u8, 255]), ((), Vec::new())]).await;
}

// Kafka: Deserializer.deserialize: any type
#[tokio::test]
async fn json_is_read_as_it_was_written() {
    let purchase = |pieces| Json(BTreeMap::from([("pieces".to_owned(), pieces)]));
    there_and_back(vec![("a".to_owned(), purchase(3)), ("b".to_owned(), purchase(0))]).await;
}

// KIP-334: RecordDeserializationException
#[tokio::test]
async fn a_record_that_cannot_be_read_is_named_again_and_again_until_a_seek_goes_past_it() {
    let topic = new_topic(1).await;
    let writer = producer().linger_ms(20).build().expect("valid settings");
    let mut sending = Vec::new();
    for value in ["1", "2", "three", "4"] {
        let record = ProducerRecord::new(&*topic, None, value.to_owned()).partition(0);
        sending.push(writer.send_soon(record).await.expect("there is room"));
    }
    for each in sending {
        each.await.expect("it is written");
    }
    let number = from_fn(|_, payload| {
        let text = std::str::from_utf8(payload.as_slice().ok_or("null")?)?;
        Ok(text.parse::<i64>()?)
    });
    let builder: ConsumerBuilder<Option<String>, i64> = typed();
    let mut reader = builder
        .value_deserializer(number)
        .build()
        .expect("valid settings");
    reader.assign(partitions(&topic, 0..1)).expect("a partition");
    let mut good = Vec::new();
    let mut failures = 0;
    let reading = async {
        while good.len() < 3 {
            match reader.poll(Duration::from_secs(5)).await {
                Ok(records) => good.extend(records.into_iter().map(|record| record.value)),
                Err(PollError::Deserialization(error)) => {
                    assert_eq!(good, [1, 2], "the good ones before it come first");
                    assert_eq!((error.offset(), error.origin), (2, Origin::Value));
                    assert_eq!(error.record.value.as_deref(), Some(&b"three"[..]));
                    failures += 1;
                    if failures == 3 {
                        reader
                            .seek(&error.partition, error.offset() + 1)
                            .expect("assigned");
                    }
                }
                Err(other) => panic!("{other}"),
            }
        }
    };
    soon("the records", reading).await;
    assert_eq!((good, failures), (vec![1, 2, 4], 3));
}

// Kafka: PlaintextConsumerTest.testClassicConsumerHeadersSerializerDeserializer
#[tokio::test]
async fn a_deserializer_sees_topic_and_headers() {
    let topic = new_topic(1).await;
    let mut record = ProducerRecord::new(&*topic, None, "v".to_owned()).partition(0);
    record.headers = vec![Header::new("encoding", "rot13")];
    producer()
        .build()
        .expect("valid settings")
        .send(record)
        .await
        .expect("it is written");
    let expected = topic.clone();
    let told = from_fn(move |context, _| {
        let encoding = context
            .headers
            .last_header("encoding")
            .and_then(|header| header.value);
        Ok(context.topic == expected && encoding == Some(b"rot13"))
    });
    let builder: ConsumerBuilder<Option<String>, bool> = typed();
    let mut reader = builder.value_deserializer(told).build().expect("valid settings");
    reader.assign(partitions(&topic, 0..1)).expect("a partition");
    let records = soon("the record", reader.poll(Duration::from_secs(20)))
        .await
        .expect("no error");
    assert_eq!(
        records.iter().map(|record| record.value).collect::<Vec<_>>(),
        [true]
    );
}

// Kafka: ByteArrayDeserializer; here records borrow their bytes from the batch
#[tokio::test]
async fn raw_records_have_the_bytes_as_they_are() {
    let topic = new_topic(1).await;
    write(&topic, 0, 5..8).await;
    let mut reader: Consumer<(), ()> = typed().build().expect("valid settings");
    reader.assign(partitions(&topic, 0..1)).expect("a partition");
    let mut got = Vec::new();
    let reading = async {
        while got.len() < 3 {
            let records = reader.poll_raw(Duration::from_secs(5)).await.expect("no error");
            got.extend(
                records
                    .iter()
                    .map(|(_, record)| (record.offset, record.value.map(<[u8]>::to_vec))),
            );
        }
    };
    soon("the records", reading).await;
    assert_eq!(
        got,
        [
            (0, Some(b"5".to_vec())),
            (1, Some(b"6".to_vec())),
            (2, Some(b"7".to_vec()))
        ]
    );
}
