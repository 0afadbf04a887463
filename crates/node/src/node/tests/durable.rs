//! Nodes that outlive their process: a disk in memory carries what they leave over to the next one.

mod directories;
mod syncs;

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use kohort_machine::Token;
use kohort_machine::testing::Harness;
use kohort_protocol::ErrorCode;
use kohort_protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig};
use kohort_protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use kohort_protocol::messages::fetch::{FetchPartition, FetchTopic, PartitionData};
use kohort_protocol::messages::incremental_alter_configs::{AlterConfigsResource, AlterableConfig};
use kohort_protocol::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kohort_protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kohort_protocol::messages::{
    CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest, FetchRequest, FindCoordinatorRequest,
    IncrementalAlterConfigsRequest, InitProducerIdRequest, JoinGroupRequest, JoinGroupResponse,
    OffsetCommitRequest, OffsetFetchRequest, ProduceRequest,
};
use kohort_records::batches;

use super::{Bench, WALL_MS, batch, cluster, config, produce_request, produced_by, reply};
use crate::Node;
use crate::control::Control;
use crate::interface::{Action, ConnId, Event};
use crate::log::testing::MemoryDisk;
use crate::log::{Disk, DiskTask, SegmentStorage, StorageError};

/// Settings under which an acknowledgement means that it is on the medium.
const EACH: &[(&str, &str)] = &[
    ("log.flush.interval.messages", "1"),
    ("group.initial.rebalance.delay.ms", "0"),
];
/// Settings under which the system writes in its own time.
pub(super) const SYSTEM: &[(&str, &str)] = &[("group.initial.rebalance.delay.ms", "0")];

fn open(disk: &MemoryDisk, settings: &[(&str, &str)]) -> Result<Node, StorageError> {
    let storage = SegmentStorage::new(disk.share())?;
    Node::open(config(settings), cluster(1), Box::new(storage), 7, WALL_MS)
}

/// A node over a disk, whose driver carries out what it is asked at once.
pub(super) struct Machine {
    pub(super) bench: Bench,
    disk: MemoryDisk,
    settings: &'static [(&'static str, &'static str)],
    /// Whether the driver leaves syncs for later.
    is_lazy: bool,
    asked: Vec<(Token, DiskTask)>,
}

impl Machine {
    pub(super) fn new(settings: &'static [(&'static str, &'static str)]) -> Self {
        let mut machine = Self::start(MemoryDisk::default(), settings);
        machine.create("t", 1);
        machine
    }

    fn start(disk: MemoryDisk, settings: &'static [(&'static str, &'static str)]) -> Self {
        let node = open(&disk, settings).expect("the disk is in order");
        let mut machine = Self {
            bench: Bench::over(Harness::new(node)),
            disk,
            settings,
            is_lazy: false,
            asked: Vec::new(),
        };
        // An event that changes nothing brings out what the node wants at its start.
        let actions = machine.bench.harness.step(Event::Disconnected {
            conn: ConnId(u64::MAX),
        });
        machine.drive(actions);
        machine
    }

    /// The process dies and starts again.
    pub(super) fn crash(self) -> Self {
        Self::start(self.disk, self.settings)
    }

    /// The machine loses power and starts again.
    fn lose_power(self, seed: u64) -> Self {
        self.disk.lose_power(seed);
        self.crash()
    }

    /// Carries out what is asked until nothing is; gives everything else that came out.
    pub(super) fn drive(&mut self, actions: Vec<Action>) -> Vec<Action> {
        let mut others = Vec::new();
        let mut queue = actions;
        loop {
            for action in queue.drain(..) {
                match action {
                    Action::Disk { token, task } => self.asked.push((token, task)),
                    other => others.push(other),
                }
            }
            if self.is_lazy || self.asked.is_empty() {
                return others;
            }
            for (token, task) in core::mem::take(&mut self.asked) {
                queue.extend(self.done(token, &task));
            }
        }
    }

    fn done(&mut self, token: Token, task: &DiskTask) -> Vec<Action> {
        let result = task.carry_out(&mut self.disk).map_err(Box::new);
        self.bench.harness.step(Event::DiskDone { token, result })
    }

    /// The driver does what it has left.
    fn catch_up(&mut self) -> Vec<Action> {
        self.is_lazy = false;
        self.drive(Vec::new())
    }

    fn send<R: kohort_protocol::Request + Into<kohort_protocol::RequestBody>>(
        &mut self,
        version: i16,
        request: R,
    ) -> (ConnId, Option<R::Response>)
    where
        R::Response: TryFrom<kohort_protocol::ResponseBody>,
    {
        let conn = self.bench.connect();
        let actions = self.bench.send(conn, version, request);
        let actions = self.drive(actions);
        (conn, reply::<R>(&actions, conn, version))
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, millis: u64) -> Vec<Action> {
        let actions = self.bench.advance(millis);
        self.drive(actions)
    }

    /// Joins a group that does not wait for more members.
    pub(super) fn join(&mut self, request: JoinGroupRequest) -> JoinGroupResponse {
        let conn = self.bench.connect();
        let mut actions = self.bench.send(conn, 9, request);
        actions.extend(self.bench.advance(0));
        let actions = self.drive(actions);
        reply::<JoinGroupRequest>(&actions, conn, 9).expect("the join phase has ended")
    }

    pub(super) fn ask<R: kohort_protocol::Request + Into<kohort_protocol::RequestBody>>(
        &mut self,
        version: i16,
        request: R,
    ) -> R::Response
    where
        R::Response: TryFrom<kohort_protocol::ResponseBody>,
    {
        self.send(version, request).1.expect("a reply")
    }

    fn create(&mut self, name: &str, partitions: i32) {
        let topic = CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            ..Default::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            ..Default::default()
        };
        let response = self.ask(5, request);
        assert_eq!(response.topics[0].error_code, 0);
    }

    /// Produces one record to `t` and gives its offset, if it was acknowledged.
    fn produce(&mut self, value: &str) -> Result<i64, ErrorCode> {
        let response = self.ask(12, produce_request("t", 0, batch(&[value])));
        let partition = &response.responses[0].partition_responses[0];
        match ErrorCode::from_code(partition.error_code) {
            ErrorCode::None => Ok(partition.base_offset),
            code => Err(code),
        }
    }

    /// The answer to a fetch of `t` from its first offset.
    fn fetch(&mut self) -> PartitionData {
        let request = FetchRequest {
            max_bytes: i32::MAX,
            session_epoch: -1,
            topics: vec![FetchTopic {
                topic: "t".into(),
                partitions: vec![FetchPartition {
                    partition_max_bytes: i32::MAX,
                    current_leader_epoch: -1,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        self.ask(11, request).responses[0].partitions[0].clone()
    }

    /// What a consumer reads of `t`, and the high watermark.
    fn read(&mut self) -> (Vec<(i64, String)>, i64) {
        let partition = self.fetch();
        assert_eq!(partition.error_code, 0);
        let mut records = Vec::new();
        for batch in batches(partition.records.clone().unwrap_or_default()) {
            for record in batch.expect("sound").open(usize::MAX).expect("sound").iter() {
                let value = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
                records.push((record.offset, value));
            }
        }
        (records, partition.high_watermark)
    }

    fn commit(&mut self, offset: i64) -> Option<ErrorCode> {
        let coordinator = FindCoordinatorRequest {
            coordinator_keys: vec!["g".into()],
            ..Default::default()
        };
        self.ask(4, coordinator);
        let request = OffsetCommitRequest {
            group_id: "g".into(),
            generation_id_or_member_epoch: -1,
            topics: vec![OffsetCommitRequestTopic {
                name: "t".into(),
                partitions: vec![OffsetCommitRequestPartition {
                    committed_offset: offset,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let (_, response) = self.send(8, request);
        response.map(|response| ErrorCode::from_code(response.topics[0].partitions[0].error_code))
    }

    fn committed(&mut self) -> i64 {
        let request = OffsetFetchRequest {
            groups: vec![OffsetFetchRequestGroup {
                group_id: "g".into(),
                topics: Some(vec![OffsetFetchRequestTopics {
                    name: "t".into(),
                    partition_indexes: vec![0],
                    ..Default::default()
                }]),
                ..Default::default()
            }],
            ..Default::default()
        };
        let response = self.ask(8, request);
        response.groups[0].topics[0].partitions[0].committed_offset
    }
}

#[test]
fn topics_records_and_commits_are_there_after_a_crash() {
    let mut machine = Machine::new(SYSTEM);
    machine.create("u", 3);
    let id = machine.bench.harness.machine().topic_id("u");
    for offset in 0..10 {
        assert_eq!(machine.produce(&offset.to_string()), Ok(offset));
    }
    assert_eq!(machine.commit(7), Some(ErrorCode::None));
    let mut machine = machine.crash();
    let expected: Vec<(i64, String)> = (0..10).map(|offset| (offset, offset.to_string())).collect();
    assert_eq!(machine.read(), (expected, 10));
    assert_eq!(machine.committed(), 7);
    assert_eq!(machine.bench.harness.machine().topic_id("u"), id);
    assert_eq!(machine.produce("10"), Ok(10));
}

#[test]
fn commits_are_found_whatever_number_of_partitions_the_offsets_would_be_given_now() {
    let mut machine = Machine::new(SYSTEM);
    assert_eq!(machine.commit(7), Some(ErrorCode::None));
    let mut machine = Machine::start(machine.disk, &[("offsets.topic.num.partitions", "1")]);
    assert_eq!(machine.committed(), 7);
    assert_eq!(machine.commit(8), Some(ErrorCode::None));
    assert_eq!(machine.crash().committed(), 8);
    // Where there is no such topic yet, the setting counts.
    let mut machine = Machine::start(MemoryDisk::default(), &[("offsets.topic.num.partitions", "1")]);
    machine.create("t", 1);
    assert_eq!(machine.commit(1), Some(ErrorCode::None));
    let node = machine.bench.harness.machine();
    let offsets = node.topics.get("__consumer_offsets").expect("it was needed");
    assert_eq!(offsets.partitions.len(), 1);
}

#[test]
fn a_deleted_topic_stays_deleted_and_its_name_is_free() {
    let mut machine = Machine::new(SYSTEM);
    machine.produce("old").expect("room");
    let old = machine.bench.harness.machine().topic_id("t");
    let request = DeleteTopicsRequest {
        topic_names: vec!["t".into()],
        ..Default::default()
    };
    assert_eq!(machine.ask(5, request).responses[0].error_code, 0);
    let mut machine = machine.crash();
    assert_eq!(machine.bench.harness.machine().topic_id("t"), None);
    machine.create("t", 1);
    assert_eq!(machine.produce("new"), Ok(0));
    let mut machine = machine.crash();
    assert_eq!(machine.read().0, [(0, "new".to_string())]);
    assert_ne!(machine.bench.harness.machine().topic_id("t"), old);
}

#[test]
fn settings_of_a_topic_and_deleted_records_are_there_after_a_crash() {
    let mut machine = Machine::new(SYSTEM);
    for offset in 0..4 {
        machine.produce(&offset.to_string()).expect("room");
    }
    let alter = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: 2,
            resource_name: "t".into(),
            configs: vec![AlterableConfig {
                name: "max.message.bytes".into(),
                config_operation: 0,
                value: Some("50".into()),
            }],
        }],
        ..Default::default()
    };
    assert_eq!(machine.ask(1, alter).responses[0].error_code, 0);
    let delete = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: "t".into(),
            partitions: vec![DeleteRecordsPartition {
                partition_index: 0,
                offset: 3,
            }],
        }],
        ..Default::default()
    };
    assert_eq!(machine.ask(2, delete).topics[0].partitions[0].low_watermark, 3);
    let mut machine = machine.crash();
    assert_eq!(machine.produce("4"), Err(ErrorCode::MessageTooLarge));
    let earliest = machine.bench.ask(
        11,
        FetchRequest {
            max_bytes: 1 << 20,
            session_epoch: -1,
            topics: vec![FetchTopic {
                topic: "t".into(),
                partitions: vec![FetchPartition {
                    current_leader_epoch: -1,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        },
    );
    let partition = &earliest.responses[0].partitions[0];
    assert_eq!(
        ErrorCode::from_code(partition.error_code),
        ErrorCode::OffsetOutOfRange
    );
}

#[test]
fn settings_of_more_than_a_line_do_not_keep_the_node_from_starting() {
    let mut machine = Machine::new(SYSTEM);
    let topic = CreatableTopic {
        name: "u".into(),
        num_partitions: 1,
        replication_factor: 1,
        configs: vec![CreatableTopicConfig {
            name: "cleanup.policy".into(),
            value: Some("delete,\ncompact".into()),
        }],
        ..Default::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic],
        ..Default::default()
    };
    assert_eq!(machine.ask(5, request).topics[0].error_code, 0);
    let machine = machine.crash();
    let u = machine
        .bench
        .harness
        .machine()
        .topics
        .get("u")
        .expect("it was created");
    assert_eq!(u.config.overridden("cleanup.policy"), Some("delete,compact"));
}

#[test]
fn a_full_disk_is_an_error_to_the_producer_until_there_is_room() {
    let mut machine = Machine::new(EACH);
    assert_eq!(machine.produce("a"), Ok(0));
    machine.disk.set_room(Some(20));
    assert_eq!(machine.produce("b"), Err(ErrorCode::KafkaStorageError));
    machine.disk.set_room(None);
    assert_eq!(machine.produce("c"), Ok(1));
    let mut machine = machine.crash();
    assert_eq!(machine.read().0, [(0, "a".to_string()), (1, "c".to_string())]);
}

#[test]
fn with_a_sync_for_each_record_a_loss_of_power_loses_nothing_acknowledged_and_no_offset_comes_twice() {
    for seed in 0..60 {
        let mut machine = Machine::new(EACH);
        let mut seen: Vec<(i64, String)> = Vec::new();
        let mut committed = -1;
        for round in 0..4u64 {
            // Some are acknowledged, then the syncs stop, and more are sent that are not.
            for number in 0..(seed + round) % 5 {
                let value = [round.to_string(), number.to_string()].join("/");
                let offset = machine.produce(&value).expect("room");
                assert!(
                    seen.iter().all(|(known, _)| *known != offset),
                    "{offset} comes twice"
                );
                seen.push((offset, value));
                assert_eq!(machine.commit(offset), Some(ErrorCode::None));
                committed = offset;
            }
            machine.is_lazy = true;
            for _ in 0..seed % 3 {
                machine.send(12, produce_request("t", 0, batch(&["unacknowledged"])));
            }
            machine = machine.lose_power(seed * 10 + round);
            let (read, _) = machine.read();
            for record in &seen {
                assert!(read.contains(record), "{record:?} is lost, seed {seed}");
            }
            if committed >= 0 {
                assert_eq!(machine.committed(), committed, "seed {seed}");
            }
            // What is read now was maybe never acknowledged, and stays all the same.
            seen = read;
        }
    }
}

#[test]
fn a_topic_whose_creation_was_acknowledged_outlives_a_loss_of_power() {
    for seed in 0..20 {
        let mut machine = Machine::new(EACH);
        machine.create("u", 2);
        let id = machine.bench.harness.machine().topic_id("u");
        let machine = machine.lose_power(seed);
        assert_eq!(machine.bench.harness.machine().topic_id("u"), id, "seed {seed}");
    }
}

#[test]
fn ids_of_members_and_topics_differ_from_those_before_the_restart() {
    let mut machine = Machine::new(SYSTEM);
    machine.create("a", 1);
    let before = machine.bench.harness.machine().topic_id("a");
    let mut machine = machine.crash();
    machine.create("b", 1);
    assert_ne!(machine.bench.harness.machine().topic_id("b"), before);
    assert!(before.is_some());
}

#[test]
fn ids_of_producers_differ_from_those_in_the_logs_after_a_restart_whatever_a_client_wrote() {
    let mut machine = Machine::new(EACH);
    let mut offset = 0;
    let mut write = |machine: &mut Machine, producer_id| {
        let response = machine.ask(12, produce_request("t", 0, produced_by(producer_id, 0)));
        let stored = &response.responses[0].partition_responses[0];
        assert_eq!((stored.error_code, stored.base_offset), (0, offset));
        offset += 1;
    };
    write(&mut machine, i64::MAX);
    for _ in 0..3 {
        for _ in 0..2 {
            let request = InitProducerIdRequest {
                transactional_id: None,
                ..Default::default()
            };
            let given = machine.ask(4, request).producer_id;
            write(&mut machine, given);
        }
        machine = machine.crash();
    }
}

#[test]
fn records_in_memory_that_are_too_old_are_removed() {
    let mut bench = Bench::with(&[
        ("log.retention.ms", "60000"),
        ("log.retention.check.interval.ms", "10000"),
    ]);
    bench.produce("t", &["a"]);
    bench.advance(60_000);
    let produced = bench.produce("t", &["b"]);
    assert_eq!((produced.base_offset, produced.log_start_offset), (1, 0));
    // All records of the tests have the time of their beginning.
    bench.advance(10_000);
    let produced = bench.produce("t", &["c"]);
    assert_eq!((produced.base_offset, produced.log_start_offset), (2, 2));
    assert_eq!(bench.harness.machine().waiting_fetches(), 0);
}
