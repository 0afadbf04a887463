//! Positions, seeking, pausing, and questions about offsets and topics.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use kohort::config::AutoOffsetReset;
use kohort::consumer::{CommandError, CommitError, OffsetError, PollError, ReadError, SeekError};
use kohort::{OffsetAndMetadata, TopicPartition};
use tokio::time::Instant;

use crate::support::{SOON, broker, consumer, fill, next_values, partition, producer, reader};

#[tokio::test(start_paused = true)]
async fn seeking_goes_back_and_forth_at_once() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 10).await;
    let mut reader = consumer(&broker)
        .max_poll_records(2)
        .build()
        .expect("valid settings");
    reader.assign([partition(0)]).expect("a partition");
    assert_eq!(next_values(&mut reader).await, ["0", "1"]);
    reader.seek(&partition(0), 8).expect("assigned");
    assert_eq!(next_values(&mut reader).await, ["8", "9"]);
    reader.seek_to_beginning(&[partition(0)]).expect("assigned");
    assert_eq!(next_values(&mut reader).await, ["0", "1"]);
    reader.seek_to_end(&[partition(0)]).expect("assigned");
    assert_eq!(reader.position(&partition(0)).await.expect("a position"), 10);
    assert!(
        reader
            .poll(Duration::from_secs(2))
            .await
            .expect("no error")
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn seeking_where_nothing_is_assigned_is_an_error() {
    let broker = broker("t", 2).await;
    let mut reader = reader(&broker);
    assert!(matches!(
        reader.seek(&partition(1), 0),
        Err(SeekError::NotAssigned(_))
    ));
    assert!(matches!(
        reader.seek(&partition(0), -1),
        Err(SeekError::NegativeOffset { offset: -1, .. })
    ));
    assert!(matches!(
        reader.pause(&[partition(0), partition(1)]),
        Err(SeekError::NotAssigned(_))
    ));
    assert!(reader.paused().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_paused_partition_is_not_read_until_it_is_resumed() {
    let broker = broker("t", 2).await;
    fill(&broker, "t", 2, 0, 4).await;
    let mut reader = consumer(&broker).build().expect("valid settings");
    reader.assign([partition(0), partition(1)]).expect("partitions");
    reader.pause(&[partition(0)]).expect("assigned");
    assert_eq!(reader.paused(), [partition(0)]);
    assert_eq!(next_values(&mut reader).await, ["1", "3"]);
    assert!(
        reader
            .poll(Duration::from_secs(2))
            .await
            .expect("no error")
            .is_empty()
    );
    reader.resume(&[partition(0)]).expect("assigned");
    assert_eq!(next_values(&mut reader).await, ["0", "2"]);
}

#[tokio::test(start_paused = true)]
async fn latest_begins_with_what_is_written_next() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 5).await;
    let mut reader = consumer(&broker)
        .auto_offset_reset(AutoOffsetReset::Latest)
        .build()
        .expect("valid settings");
    reader.assign([partition(0)]).expect("a partition");
    assert_eq!(reader.position(&partition(0)).await.expect("a position"), 5);
    fill(&broker, "t", 1, 5, 1).await;
    assert_eq!(next_values(&mut reader).await, ["5"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_reset_policy_the_partition_is_named_until_a_seek() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 2).await;
    let mut reader = consumer(&broker)
        .auto_offset_reset(AutoOffsetReset::None)
        .build()
        .expect("valid settings");
    reader.assign([partition(0)]).expect("a partition");
    match reader.poll(SOON).await {
        Err(PollError::Read(ReadError::NoOffsetForPartition { partitions })) => {
            assert_eq!(partitions, [partition(0)])
        }
        other => panic!("{other:?}"),
    }
    reader.seek(&partition(0), 1).expect("assigned");
    assert_eq!(next_values(&mut reader).await, ["1"]);
}

#[tokio::test(start_paused = true)]
async fn offsets_are_found_by_end_and_by_time() {
    let broker = broker("t", 1).await;
    let producer = producer(&broker).build().expect("valid settings");
    for time in [1_000, 2_000, 3_000] {
        let record = kohort::ProducerRecord::new("t", None, time.to_string()).timestamp(time);
        producer.send(record).await.expect("it is written");
    }
    let mut reader = reader(&broker);
    let beginning = reader.beginning_offsets([partition(0)]).await.expect("an answer");
    assert_eq!(beginning.get(&partition(0)), Some(&0));
    let end = reader.end_offsets([partition(0)]).await.expect("an answer");
    assert_eq!(end.get(&partition(0)), Some(&3));
    let found = reader
        .offsets_for_times([(partition(0), 1_500)])
        .await
        .expect("an answer");
    let found = found
        .get(&partition(0))
        .copied()
        .flatten()
        .expect("a record is that young");
    assert_eq!((found.offset, found.timestamp), (1, Some(2_000)));
    let none = reader
        .offsets_for_times([(partition(0), 9_000)])
        .await
        .expect("an answer");
    assert_eq!(none.get(&partition(0)), Some(&None));
}

#[tokio::test(start_paused = true)]
async fn a_negative_time_is_refused_before_anything_is_asked() {
    let broker = broker("t", 1).await;
    let asked = reader(&broker).offsets_for_times([(partition(0), -1)]).await;
    let expected = kohort::consumer::OffsetError::NegativeTimestamp {
        partition: partition(0),
        timestamp: -1,
    };
    assert_eq!(asked, Err(expected));
}

#[tokio::test(start_paused = true)]
async fn topics_and_their_partitions_are_listed() {
    let broker = broker("t", 3).await;
    let mut reader = consumer(&broker).build().expect("valid settings");
    let numbers: Vec<_> = reader
        .partitions_for("t")
        .await
        .expect("an answer")
        .iter()
        .map(|p| p.partition)
        .collect();
    assert_eq!(numbers, [0, 1, 2]);
    let topics = reader.list_topics().await.expect("an answer");
    assert_eq!(topics.get("t").map(Vec::len), Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_new_assignment_keeps_the_positions_of_what_stays() {
    let broker = broker("t", 2).await;
    fill(&broker, "t", 2, 0, 6).await;
    let mut reader = reader(&broker);
    assert_eq!(next_values(&mut reader).await, ["0", "2", "4"]);
    reader.assign([partition(0), partition(1)]).expect("partitions");
    assert_eq!(next_values(&mut reader).await, ["1", "3", "5"]);
    assert_eq!(reader.assignment(), [partition(0), partition(1)]);
    reader.assign(Vec::<TopicPartition>::new()).expect("nothing");
    assert!(matches!(reader.poll(SOON).await, Err(PollError::NotSubscribed)));
}

/// The error of a call that nobody answers, which is to have three seconds.
async fn after_three_seconds<T: Debug, E>(call: impl Future<Output = Result<T, E>>) -> E {
    let start = Instant::now();
    let error = call.await.expect_err("nobody answers");
    assert_eq!(start.elapsed().as_secs(), 3);
    error
}

// Kafka: KafkaConsumer's methods that take a Duration
#[tokio::test(start_paused = true)]
async fn each_call_that_has_a_time_of_its_own_ends_when_that_is_over() {
    let broker = broker("t", 1).await;
    let mut reader = consumer(&broker).group_id("g").build().expect("valid settings");
    broker.shutdown().await;
    let in_time = Duration::from_secs(3);
    let at = || [partition(0)];
    let errors = [
        after_three_seconds(reader.committed_timeout(at(), in_time)).await,
        after_three_seconds(reader.beginning_offsets_timeout(at(), in_time)).await,
        after_three_seconds(reader.end_offsets_timeout(at(), in_time)).await,
        after_three_seconds(reader.offsets_for_times_timeout([(partition(0), 0)], in_time)).await,
        after_three_seconds(reader.partitions_for_timeout("t", in_time)).await,
        after_three_seconds(reader.list_topics_timeout(in_time)).await,
    ];
    for error in errors {
        let is_over = matches!(&error, OffsetError::Command(CommandError::TimedOut { timeout, .. }) if *timeout == in_time);
        assert!(is_over && error.is_retriable(), "{error:?}");
    }
    let offsets = [(partition(0), OffsetAndMetadata::new(1))];
    let error = after_three_seconds(reader.commit_sync_offsets_timeout(offsets, in_time)).await;
    let is_over = matches!(&error, CommitError::TimedOut { timeout, .. } if *timeout == in_time);
    assert!(is_over && error.is_retriable(), "{error:?}");
}
