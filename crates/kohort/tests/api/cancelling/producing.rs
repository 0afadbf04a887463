//! Calls of the producer that are dropped anywhere.

use std::time::Duration;

use kohort::producer::ProduceError;
use kohort::{Producer, ProducerRecord};
use kohort_broker::Broker;

use super::everywhere;
use crate::support::{SOON, broker, producer, reader};

fn record(value: &str) -> ProducerRecord<Option<String>, String> {
    ProducerRecord::new("t", None, value.to_owned()).partition(0)
}

/// A producer whose buffer holds one record at a time.
fn narrow(broker: &Broker) -> Producer<Option<String>, String> {
    let builder = producer(broker).buffer_memory(100);
    builder.build().expect("valid settings")
}

/// All values in the log, up to one written last.
async fn values(broker: &Broker) -> Vec<String> {
    let last = producer(broker).build().expect("valid settings");
    last.send(record("last")).await.expect("it is written");
    let mut reader = reader(broker);
    let mut values: Vec<String> = Vec::new();
    while values.last().is_none_or(|value| value != "last") {
        let records = reader.poll(SOON).await.expect("no error");
        values.extend(records.into_iter().map(|record| record.value));
    }
    values.pop();
    values
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_send_is_dropped_anywhere_is_written_once_or_not_and_the_next_one_follows() {
    everywhere(|cut| async move {
        let broker = broker("t", 1).await;
        let producer = producer(&broker).build().expect("valid settings");
        let sent = cut.run(producer.send(record("first"))).await;
        let is_done = sent.is_some();
        producer.send(record("second")).await.expect("it is written");
        let written = values(&broker).await;
        assert!(
            written == ["first", "second"] || (!is_done && written == ["second"]),
            "{cut:?}: {written:?}"
        );
        is_done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_record_that_waited_for_room_when_it_was_dropped_is_not_written_and_leaves_the_room_to_others() {
    everywhere(|cut| async move {
        let broker = broker("t", 1).await;
        let producer = narrow(&broker);
        let first = producer.send_soon(record("first")).await.expect("there is room");
        let sending = cut.run(producer.send_soon(record("second"))).await;
        let is_done = sending.is_some();
        first.await.expect("it is written");
        if let Some(sending) = sending {
            sending.expect("there is room").await.expect("it is written");
        }
        producer.send(record("third")).await.expect("it is written");
        let expected: &[&str] = match is_done {
            true => &["first", "second", "third"],
            false => &["first", "third"],
        };
        assert_eq!(values(&broker).await, expected, "{cut:?}");
        is_done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_acknowledgement_is_not_waited_for_is_written() {
    everywhere(|cut| async move {
        let broker = broker("t", 1).await;
        let producer = producer(&broker).build().expect("valid settings");
        let sending = producer.send_soon(record("first")).await.expect("there is room");
        let is_done = cut.run(sending).await.is_some();
        producer.close(SOON).await.expect("it closes");
        assert_eq!(values(&broker).await, ["first"], "{cut:?}");
        is_done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn after_a_flush_dropped_anywhere_the_next_one_waits_for_all_records() {
    everywhere(|cut| async move {
        let broker = broker("t", 1).await;
        // Nothing is sent before a second has passed, but for the flush.
        let producer = producer(&broker)
            .linger_ms(1_000)
            .build()
            .expect("valid settings");
        let mut sending = producer.send_soon(record("first")).await.expect("there is room");
        let is_done = cut.run(producer.flush()).await.is_some();
        producer.flush().await.expect("the task runs");
        let written = tokio::time::timeout(Duration::ZERO, &mut sending).await;
        written.expect("it has its answer").expect("it is written");
        assert_eq!(values(&broker).await, ["first"], "{cut:?}");
        is_done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_close_of_a_producer_dropped_anywhere_sends_what_waits_and_can_be_given_again() {
    everywhere(|cut| async move {
        let broker = broker("t", 1).await;
        let producer = producer(&broker)
            .linger_ms(1_000)
            .build()
            .expect("valid settings");
        let sending = producer.send_soon(record("first")).await.expect("there is room");
        let is_done = cut.run(producer.close(SOON)).await.is_some();
        let again = producer.close(SOON).await;
        assert!(matches!(again, Ok(()) | Err(ProduceError::TaskGone)), "{again:?}");
        sending.await.expect("it is written");
        assert_eq!(values(&broker).await, ["first"], "{cut:?}");
        is_done
    })
    .await;
}
