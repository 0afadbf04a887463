//! A consumer without a group.

use std::time::Duration;

use kohort::TopicPartition;

use crate::support::{SOON, broker, consumer, fill};

#[tokio::test(start_paused = true)]
async fn assigned_partitions_are_read_in_order() {
    let broker = broker("t", 2).await;
    fill(&broker, "t", 2, 0, 10).await;
    let mut consumer = consumer(&broker).build().expect("valid settings");
    let partitions = [TopicPartition::new("t", 0), TopicPartition::new("t", 1)];
    consumer.assign(partitions.clone()).expect("partitions");
    let mut read = Vec::new();
    while read.len() < 10 {
        let records = consumer.poll(SOON).await.expect("no error");
        assert!(!records.is_empty(), "{read:?}");
        read.extend(records.into_iter().map(|r| (r.partition(), r.offset, r.value)));
    }
    for partition in [0, 1] {
        let values: Vec<_> = read.iter().filter(|(p, _, _)| *p == partition).collect();
        let expected: Vec<_> = (0..5)
            .map(|at| (partition, at, (at * 2 + i64::from(partition)).to_string()))
            .collect();
        assert_eq!(values, expected.iter().collect::<Vec<_>>());
    }
    assert!(
        consumer
            .poll(Duration::from_millis(50))
            .await
            .expect("no error")
            .is_empty()
    );
    consumer.close(SOON).await.expect("it closes");
    broker.shutdown().await;
}
