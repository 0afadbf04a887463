//! What ListOffsets, Fetch, OffsetForLeaderEpoch and DeleteRecords answer.

use kohort_protocol::Uuid;
use kohort_protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use kohort_protocol::messages::fetch::{FetchPartition, FetchTopic};
use kohort_protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use kohort_protocol::messages::offset_for_leader_epoch::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kohort_protocol::messages::{
    DeleteRecordsRequest, FetchRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest,
};

use crate::{Session, batch, code, now_ms};

fn list(topic: &str, partitions: &[(i32, i64)], epoch: i32) -> ListOffsetsRequest {
    ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: topic.into(),
            partitions: partitions
                .iter()
                .map(|(partition_index, timestamp)| ListOffsetsPartition {
                    partition_index: *partition_index,
                    current_leader_epoch: epoch,
                    timestamp: *timestamp,
                })
                .collect(),
        }],
        ..Default::default()
    }
}

pub(crate) async fn offsets(session: &mut Session) {
    let topic = session.topic("listed", &[]).await;
    let empty = session.topic("empty", &[]).await;
    let absent = session.name("absent");
    let base = now_ms() - 1000;
    for times in [[10, 20], [40, 30]] {
        let records = batch(&times.map(|time| base + time));
        session.produce(12, &topic, -1, Some(records)).await;
    }
    for (case, version, topic, partition, timestamp, epoch) in [
        ("the earliest", 7, &topic, 0, -2, -1),
        ("the latest", 7, &topic, 0, -1, -1),
        ("the newest", 7, &topic, 0, -3, -1),
        ("the newest in version 6", 6, &topic, 0, -3, -1),
        ("the local earliest", 8, &topic, 0, -4, -1),
        ("the local earliest in version 7", 7, &topic, 0, -4, -1),
        ("the latest tiered", 9, &topic, 0, -5, -1),
        ("the pending upload", 11, &topic, 0, -6, -1),
        ("by a time before all", 7, &topic, 0, 0, -1),
        ("by a time between", 7, &topic, 0, base + 15, -1),
        ("by a time within the second batch", 7, &topic, 0, base + 25, -1),
        ("by the newest time", 7, &topic, 0, base + 40, -1),
        ("by a time after all", 7, &topic, 0, base + 41, -1),
        ("the earliest of nothing", 7, &empty, 0, -2, -1),
        ("the latest of nothing", 7, &empty, 0, -1, -1),
        ("the newest of nothing", 7, &empty, 0, -3, -1),
        ("by time of nothing", 7, &empty, 0, 5, -1),
        ("an unknown partition", 7, &topic, 9, -1, -1),
        ("an unknown topic", 7, &absent, 0, -1, -1),
        ("an epoch too new", 7, &topic, 0, -1, 5),
        ("the epoch", 7, &topic, 0, -1, 0),
        ("in version 1", 1, &topic, 0, -1, -1),
    ] {
        let response = session
            .client
            .ask(version, list(topic, &[(partition, timestamp)], epoch))
            .await;
        let found = &response.topics[0].partitions[0];
        let time = if found.timestamp >= 0 {
            found.timestamp - base
        } else {
            found.timestamp
        };
        session.observe(
            &format!("offset {case}"),
            format!(
                "{} offset={} time={time} epoch={}",
                code(found.error_code),
                found.offset,
                found.leader_epoch
            ),
        );
    }
    let twice = session.client.ask(7, list(&topic, &[(0, -1), (0, -2)], -1)).await;
    session.observe(
        "offset of a partition twice",
        code(twice.topics[0].partitions[0].error_code),
    );
    for (case, topic, current, epoch) in [
        ("the current", &topic, -1, 0),
        ("a later", &topic, -1, 1),
        ("no", &topic, -1, -1),
        ("the current with an epoch too new", &topic, 9, 0),
        ("the current of an unknown topic", &absent, -1, 0),
    ] {
        let request = OffsetForLeaderEpochRequest {
            replica_id: -1,
            topics: vec![OffsetForLeaderTopic {
                topic: topic.clone(),
                partitions: vec![OffsetForLeaderPartition {
                    partition: 0,
                    current_leader_epoch: current,
                    leader_epoch: epoch,
                }],
            }],
        };
        let end = session.client.ask(4, request).await.topics[0].partitions[0].clone();
        session.observe(
            &format!("end of {case} epoch"),
            format!(
                "{} epoch={} offset={}",
                code(end.error_code),
                end.leader_epoch,
                end.end_offset
            ),
        );
    }
}

struct Fetch<'a> {
    topic: &'a str,
    topic_id: Uuid,
    partition: i32,
    offset: i64,
    max_bytes: i32,
    session: (i32, i32),
    current_epoch: i32,
    fetched_epoch: i32,
    isolation_level: i8,
}

impl<'a> Fetch<'a> {
    fn at(topic: &'a str, offset: i64) -> Self {
        Self {
            topic,
            topic_id: Uuid::default(),
            partition: 0,
            offset,
            max_bytes: 1 << 20,
            session: (0, -1),
            current_epoch: -1,
            fetched_epoch: -1,
            isolation_level: 0,
        }
    }

    fn request(&self) -> FetchRequest {
        FetchRequest {
            max_wait_ms: 0,
            min_bytes: 1,
            max_bytes: self.max_bytes,
            isolation_level: self.isolation_level,
            session_id: self.session.0,
            session_epoch: self.session.1,
            topics: vec![FetchTopic {
                topic: self.topic.into(),
                topic_id: self.topic_id,
                partitions: vec![FetchPartition {
                    partition: self.partition,
                    current_leader_epoch: self.current_epoch,
                    fetch_offset: self.offset,
                    last_fetched_epoch: self.fetched_epoch,
                    partition_max_bytes: self.max_bytes,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        }
    }
}

pub(crate) async fn fetch(session: &mut Session) {
    let topic = session.topic("fetched", &[]).await;
    let absent = session.name("absent");
    for _ in 0..2 {
        session
            .produce(12, &topic, -1, Some(batch(&[now_ms(), now_ms()])))
            .await;
    }
    let at = |offset| Fetch::at(&topic, offset);
    let cases = [
        ("from the beginning", 12, at(0)),
        ("from the middle of a batch", 12, at(1)),
        ("from the second batch", 12, at(2)),
        ("from the end", 12, at(4)),
        ("behind the end", 12, at(5)),
        ("before the beginning", 12, at(-1)),
        (
            "one byte",
            12,
            Fetch {
                max_bytes: 1,
                ..at(0)
            },
        ),
        (
            "no byte",
            12,
            Fetch {
                max_bytes: 0,
                ..at(0)
            },
        ),
        ("an unknown topic", 12, Fetch::at(&absent, 0)),
        (
            "an unknown partition",
            12,
            Fetch {
                partition: 9,
                ..at(0)
            },
        ),
        (
            "an unknown id",
            13,
            Fetch {
                topic_id: Uuid([9; 16]),
                ..Fetch::at("", 0)
            },
        ),
        (
            "an epoch too new",
            12,
            Fetch {
                current_epoch: 9,
                ..at(0)
            },
        ),
        (
            "the epoch",
            12,
            Fetch {
                current_epoch: 0,
                ..at(0)
            },
        ),
        (
            "from a later epoch",
            12,
            Fetch {
                fetched_epoch: 9,
                ..at(0)
            },
        ),
        (
            "from the epoch",
            12,
            Fetch {
                fetched_epoch: 0,
                ..at(2)
            },
        ),
        (
            "from the epoch behind the end",
            12,
            Fetch {
                fetched_epoch: 0,
                ..at(9)
            },
        ),
        (
            "committed only",
            12,
            Fetch {
                isolation_level: 1,
                ..at(0)
            },
        ),
        (
            "an unknown session",
            12,
            Fetch {
                session: (5, 1),
                ..at(0)
            },
        ),
        (
            "an epoch without a session",
            12,
            Fetch {
                session: (0, 1),
                ..at(0)
            },
        ),
        ("in version 4", 4, at(0)),
    ];
    for (case, version, fetch) in cases {
        let response = session.client.ask(version, fetch.request()).await;
        let parts: Vec<_> = response
            .responses
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|part| {
                let aborted = part.aborted_transactions.as_ref().map(Vec::len);
                format!(
                    "{} bytes={:?} high={} stable={} start={} aborted={aborted:?} diverging=({},{}) leader=({},{})",
                    code(part.error_code),
                    part.records.as_ref().map(bytes::Bytes::len),
                    part.high_watermark,
                    part.last_stable_offset,
                    part.log_start_offset,
                    part.diverging_epoch.epoch,
                    part.diverging_epoch.end_offset,
                    part.current_leader.leader_id,
                    part.current_leader.leader_epoch,
                )
            })
            .collect();
        session.observe(
            &format!("fetch {case}"),
            format!("{} {parts:?}", code(response.error_code)),
        );
    }
}

pub(crate) async fn records(session: &mut Session) {
    let topic = session.topic("shortened", &[]).await;
    let compacted = session.topic("kept", &[("cleanup.policy", "compact")]).await;
    let absent = session.name("absent");
    let times = [now_ms(); 3];
    session.produce(12, &topic, -1, Some(batch(&times))).await;
    session.produce(12, &topic, -1, Some(batch(&times))).await;
    for (case, topic, offset) in [
        ("within a batch", &topic, 2),
        ("back", &topic, 1),
        ("behind the end", &topic, 7),
        ("below zero", &topic, -2),
        ("of a compacted topic", &compacted, 0),
        ("of an unknown topic", &absent, 0),
    ] {
        let request = DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: topic.clone(),
                partitions: vec![DeleteRecordsPartition {
                    partition_index: 0,
                    offset,
                }],
            }],
            timeout_ms: 5000,
        };
        let result = session.client.ask(2, request).await.topics[0].partitions[0].clone();
        session.observe(
            &format!("delete records {case}"),
            format!("{} low={}", code(result.error_code), result.low_watermark),
        );
    }
    for (case, offset) in [("before the new beginning", 1), ("at the new beginning", 2)] {
        let response = session.client.ask(12, Fetch::at(&topic, offset).request()).await;
        let part = &response.responses[0].partitions[0];
        session.observe(
            &format!("fetch {case}"),
            format!(
                "{} bytes={:?} start={}",
                code(part.error_code),
                part.records.as_ref().map(bytes::Bytes::len),
                part.log_start_offset
            ),
        );
    }
    let response = session.client.ask(7, list(&topic, &[(0, 0)], -1)).await;
    let found = &response.topics[0].partitions[0];
    session.observe(
        "offset by time after a deletion",
        format!("{} offset={}", code(found.error_code), found.offset),
    );
    let everything = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: topic.clone(),
            partitions: vec![DeleteRecordsPartition {
                partition_index: 0,
                offset: -1,
            }],
        }],
        timeout_ms: 5000,
    };
    let result = session.client.ask(2, everything).await.topics[0].partitions[0].clone();
    session.observe(
        "delete all records",
        format!("{} low={}", code(result.error_code), result.low_watermark),
    );
}
