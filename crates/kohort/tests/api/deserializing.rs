//! Records that cannot be decoded: what comes before them, what is said, how to go on.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use kohort::consumer::PollError;
use kohort::deserialize::{Deserializer, Json, Origin, from_fn};
use kohort::{Consumer, Producer, ProducerRecord};
use kohort_broker::Broker;
use serde::{Deserialize, Serialize};

use crate::support::{SOON, broker, fill, partition, transport};

/// Writes each value in a batch of its own.
async fn write(broker: &Broker, values: [&str; 4]) {
    let producer = crate::support::producer(broker).build().expect("valid settings");
    for value in values {
        producer
            .send(ProducerRecord::new("t", None, value.to_owned()))
            .await
            .expect("it is written");
    }
}

/// Reads partition 0 from its beginning.
fn reading(broker: &Broker, number: impl Deserializer<i64> + 'static) -> Consumer<(), i64> {
    let mut reader = Consumer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .transport(transport(broker))
        .set("auto.offset.reset", "earliest")
        .value_deserializer(number)
        .build()
        .expect("valid settings");
    reader.assign([partition(0)]).expect("a partition");
    reader
}

#[tokio::test(start_paused = true)]
async fn good_records_come_before_the_bad_one_and_a_seek_goes_past_it() {
    let broker = broker("t", 1).await;
    write(&broker, ["1", "2", "three", "4"]).await;
    let number = from_fn(|_, payload| {
        let text = std::str::from_utf8(payload.as_slice().ok_or("null")?)?;
        Ok(text.parse::<i64>()?)
    });
    let mut reader = reading(&broker, number);
    let mut read = Vec::new();
    let error = loop {
        match reader.poll(SOON).await {
            Ok(records) => read.extend(records.into_iter().map(|record| record.value)),
            Err(PollError::Deserialization(error)) => break error,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(read, [1, 2]);
    assert_eq!((error.offset(), error.origin), (2, Origin::Value));
    assert_eq!(error.partition, partition(0));
    assert_eq!(error.record.value.as_deref(), Some(&b"three"[..]));
    assert_eq!(reader.position(&partition(0)).await.expect("known"), 2);
    assert!(
        matches!(reader.poll(SOON).await, Err(PollError::Deserialization(_))),
        "it repeats"
    );
    reader.seek(&partition(0), error.offset() + 1).expect("assigned");
    let records = reader.poll(SOON).await.expect("no error");
    assert_eq!(records.iter().map(|record| record.value).collect::<Vec<_>>(), [4]);
}

#[tokio::test(start_paused = true)]
async fn a_bad_record_of_one_partition_loses_nothing_of_another() {
    let broker = broker("t", 2).await;
    fill(&broker, "t", 2, 0, 20).await;
    let picky = from_fn(|_, payload| match payload.as_slice() {
        Some(b"6") => Err("six".into()),
        _ => Ok(()),
    });
    let mut reader: Consumer<Option<String>, ()> = Consumer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .transport(transport(&broker))
        .max_poll_records(50)
        .set("auto.offset.reset", "earliest")
        .value_deserializer(picky)
        .build()
        .expect("valid settings");
    reader.assign([partition(0), partition(1)]).expect("partitions");
    let mut read = Vec::new();
    while read.len() < 19 {
        match reader.poll(SOON).await {
            Ok(records) => read.extend(
                records
                    .into_iter()
                    .map(|record| (record.partition(), record.offset)),
            ),
            Err(PollError::Deserialization(error)) => {
                assert_eq!((error.partition.partition, error.offset()), (0, 3));
                reader.seek(&partition(0), 4).expect("assigned");
            }
            Err(other) => panic!("{other}"),
        }
    }
    read.sort_unstable();
    let mut expected: Vec<_> = (0..2).flat_map(|p| (0..10).map(move |at| (p, at))).collect();
    expected.retain(|record| *record != (0, 3));
    assert_eq!(read, expected);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Purchase {
    article: String,
    pieces: u32,
}

#[tokio::test(start_paused = true)]
async fn json_and_numbers_go_there_and_back_with_headers() {
    let broker = broker("t", 1).await;
    let producer: Producer<i64, Json<Purchase>> = Producer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .transport(transport(&broker))
        .build()
        .expect("valid settings");
    let purchase = || Purchase {
        article: "apple".to_owned(),
        pieces: 3,
    };
    let record = ProducerRecord::new("t", -7, Json(purchase()))
        .header("trace", "abc")
        .timestamp(12);
    producer.send(record).await.expect("it is written");
    let mut reader: Consumer<i64, Json<Purchase>> = Consumer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .transport(transport(&broker))
        .set("auto.offset.reset", "earliest")
        .build()
        .expect("valid settings");
    reader.assign([partition(0)]).expect("a partition");
    let records = reader.poll(SOON).await.expect("no error");
    let record = records.iter().next().expect("one record");
    assert_eq!((record.key, &record.value.0), (-7, &purchase()));
    assert_eq!(record.timestamp, 12);
    assert_eq!(record.serialized_key_size, Some(8));
    let headers: Vec<_> = record
        .headers
        .iter()
        .map(|h| (h.name().into_owned(), h.value.clone()))
        .collect();
    assert_eq!(headers, [("trace".to_owned(), Some("abc".into()))]);
}

#[tokio::test(start_paused = true)]
async fn what_was_decoded_before_a_deserializer_panics_comes_again() {
    let broker = broker("t", 1).await;
    write(&broker, ["0", "1", "2", "3"]).await;
    let panics = Arc::new(AtomicBool::new(true));
    let is_panicking = Arc::clone(&panics);
    let number = from_fn(move |_, payload| {
        let text = std::str::from_utf8(payload.as_slice().ok_or("null")?)?;
        assert!(text != "3" || !is_panicking.load(Ordering::Relaxed), "three");
        Ok(text.parse::<i64>()?)
    });
    let mut reader = reading(&broker, number);
    let polled = {
        let mut poll = pin!(reader.poll(SOON));
        poll_fn(
            |cx| match catch_unwind(AssertUnwindSafe(|| poll.as_mut().poll(cx))) {
                Ok(poll) => poll.map(Some),
                Err(_) => Poll::Ready(None),
            },
        )
        .await
    };
    assert!(polled.is_none(), "{polled:?}");
    assert_eq!(reader.position(&partition(0)).await.expect("known"), 0);
    panics.store(false, Ordering::Relaxed);
    let mut read = Vec::new();
    while read.len() < 4 {
        let records = reader.poll(SOON).await.expect("no error");
        read.extend(records.into_iter().map(|record| record.value));
    }
    assert_eq!(read, [0, 1, 2, 3]);
}
