//! Nodes that outlive their process: a disk in memory carries what they leave over to the next one.

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
    IncrementalAlterConfigsRequest, OffsetCommitRequest, OffsetFetchRequest, ProduceRequest,
};
use kohort_records::batches;

use super::{Bench, WALL_MS, batch, cluster, config, produce_request, reply};
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
const SYSTEM: &[(&str, &str)] = &[("group.initial.rebalance.delay.ms", "0")];

fn open(disk: &MemoryDisk, settings: &[(&str, &str)]) -> Result<Node, StorageError> {
    let storage = SegmentStorage::new(disk.share())?;
    Node::open(config(settings), cluster(1), Box::new(storage), 7, WALL_MS)
}

/// A node over a disk, whose driver carries out what it is asked at once.
struct Machine {
    bench: Bench,
    disk: MemoryDisk,
    settings: &'static [(&'static str, &'static str)],
    /// Whether the driver leaves syncs for later.
    is_lazy: bool,
    asked: Vec<(Token, DiskTask)>,
}

impl Machine {
    fn new(settings: &'static [(&'static str, &'static str)]) -> Self {
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
    fn crash(self) -> Self {
        Self::start(self.disk, self.settings)
    }

    /// The machine loses power and starts again.
    fn lose_power(self, seed: u64) -> Self {
        self.disk.lose_power(seed);
        self.crash()
    }

    /// Carries out what is asked until nothing is; gives everything else that came out.
    fn drive(&mut self, actions: Vec<Action>) -> Vec<Action> {
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

    fn ask<R: kohort_protocol::Request + Into<kohort_protocol::RequestBody>>(
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
fn with_a_sync_for_each_record_the_acknowledgement_and_the_readers_wait_for_it() {
    let mut machine = Machine::new(EACH);
    machine.is_lazy = true;
    let (conn, response) = machine.send(12, produce_request("t", 0, batch(&["a"])));
    assert!(response.is_none());
    assert_eq!(machine.read(), (Vec::new(), 0));
    let actions = machine.catch_up();
    assert!(reply::<ProduceRequest>(&actions, conn, 12).is_some());
    assert_eq!(machine.read(), ([(0, "a".to_string())].into(), 1));
    assert_eq!(machine.bench.harness.machine().waiting_for_sync(), 0);
}

#[test]
fn producers_that_come_during_a_sync_share_the_next_one() {
    let mut machine = Machine::new(EACH);
    machine.is_lazy = true;
    for value in ["a", "b", "c", "d"] {
        machine.send(12, produce_request("t", 0, batch(&[value])));
    }
    assert_eq!(machine.asked.len(), 1);
    let (token, task) = machine.asked.remove(0);
    let actions = machine.done(token, &task);
    let others = machine.drive(actions);
    assert_eq!(others.len(), 1, "the first is acknowledged: {others:?}");
    assert_eq!(machine.asked.len(), 1);
    assert_eq!(machine.catch_up().len(), 3, "the others are, together");
}

#[test]
fn a_commit_waits_for_its_sync() {
    let mut machine = Machine::new(EACH);
    assert_eq!(machine.commit(1), Some(ErrorCode::None));
    machine.is_lazy = true;
    assert_eq!(machine.commit(2), None);
    let mut machine = machine.lose_power(1);
    let committed = machine.committed();
    assert!((1..=2).contains(&committed), "{committed}");
}

#[test]
fn a_sync_that_fails_is_an_error_to_the_producer_and_ends_appending() {
    let mut machine = Machine::new(EACH);
    assert_eq!(machine.produce("a"), Ok(0));
    machine.disk.set_fails_sync(true);
    assert_eq!(machine.produce("b"), Err(ErrorCode::KafkaStorageError));
    machine.disk.set_fails_sync(false);
    // A sync would succeed now, and prove nothing about what was to be synced before.
    assert_eq!(machine.produce("c"), Err(ErrorCode::KafkaStorageError));
    assert_eq!(machine.read(), ([(0, "a".to_string())].into(), 1));
    let mut machine = machine.lose_power(3);
    assert_eq!(machine.read().0.first(), Some(&(0, "a".to_string())));
    assert!(machine.produce("d").is_ok());
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
fn after_a_flush_interval_the_log_is_synced() {
    let mut machine = Machine::new(&[("log.flush.interval.ms", "1000")]);
    machine.produce("a").expect("room");
    let actions = machine.bench.advance(999);
    assert_eq!(machine.drive(actions), []);
    assert!(machine.asked.is_empty());
    let actions = machine.bench.advance(1);
    machine.drive(actions);
    for seed in 0..20 {
        let copy = Machine::start(
            {
                let disk = machine.disk.copy();
                disk.lose_power(seed);
                disk
            },
            machine.settings,
        );
        let mut copy = copy;
        assert_eq!(copy.read().0, [(0, "a".to_string())], "seed {seed}");
    }
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
fn a_node_that_was_closed_finds_nothing_to_put_right() {
    let mut machine = Machine::new(SYSTEM);
    machine.produce("a").expect("room");
    let mut node = open(&machine.disk.copy(), SYSTEM).expect("the disk is in order");
    node.close().expect("the disk is in order");
    let disk = machine.disk.copy();
    let mut node = open(&disk, SYSTEM).expect("the disk is in order");
    node.close().expect("the disk is in order");
    drop(node);
    assert!(disk.paths().contains(&".kafka_cleanshutdown".to_string()));
    // Not even a loss of power takes anything of it.
    disk.lose_power(5);
    let storage = SegmentStorage::new(disk.share()).expect("the disk is in order");
    assert!(storage.is_clean());
    drop(storage);
    let mut machine = Machine::start(disk, SYSTEM);
    assert_eq!(machine.read().0, [(0, "a".to_string())]);
}

#[test]
fn logs_that_no_topic_has_are_put_aside() {
    let machine = Machine::new(SYSTEM);
    let mut disk = machine.disk.clone();
    disk.create_directory("stranger-0").expect("room");
    disk.write("stranger-0/00000000000000000000.log", 0, b"")
        .expect("room");
    let machine = machine.crash();
    let paths = machine.disk.paths();
    assert!(!paths.contains(&"stranger-0".to_string()));
    assert!(
        paths
            .iter()
            .any(|path| path.starts_with("stranger-0.") && path.ends_with("-stray")),
        "{paths:?}"
    );
}

#[test]
fn a_topic_with_the_name_of_the_journal_is_refused_and_takes_nothing_away() {
    let mut machine = Machine::new(SYSTEM);
    machine.produce("a").expect("room");
    let topic = CreatableTopic {
        name: "__kohort_metadata".into(),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic],
        ..Default::default()
    };
    assert_ne!(machine.ask(5, request).topics[0].error_code, 0);
    let mut machine = machine.crash();
    assert_eq!(machine.read().0, [(0, "a".to_string())]);
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

#[test]
fn nothing_is_removed_of_logs_that_are_taken_without_their_settings() {
    let mut machine = Machine::new(SYSTEM);
    machine.create("u", 1);
    machine.produce("a").expect("room");
    assert_eq!(machine.commit(1), Some(ErrorCode::None));
    // As Kafka leaves a directory: no journal; before it kept ids, no ids.
    let mut disk = machine.disk.clone();
    for path in [
        "__kohort_metadata-0",
        "t-0/partition.metadata",
        "u-0/partition.metadata",
    ] {
        disk.remove(path).expect("the disk is in order");
    }
    let mut machine = Machine::start(disk, &[("log.retention.bytes", "0")]);
    assert_eq!(machine.read().0, [(0, "a".to_string())]);
    let node = machine.bench.harness.machine();
    let offsets = node.topics.get("__consumer_offsets").expect("it was there");
    assert!(!offsets.log_config.is_deleted);
    let (t, u) = (node.topic_id("t"), node.topic_id("u"));
    assert_ne!(t, u);
    assert!(t.is_some_and(|id| id.0 != [0; 16]));
}

#[test]
fn a_fetch_at_damage_is_answered_with_an_error() {
    let mut machine = Machine::new(SYSTEM);
    machine.produce("a").expect("room");
    machine.disk.damage("t-0/00000000000000000000.log", 8);
    let code = ErrorCode::from_code(machine.fetch().error_code);
    assert_eq!(code, ErrorCode::KafkaStorageError);
}

#[test]
fn a_record_that_waits_for_its_sync_waits_for_that_of_its_topic() {
    let mut machine = Machine::start(MemoryDisk::default(), SYSTEM);
    machine.is_lazy = true;
    let topic = CreatableTopic {
        name: "t".into(),
        num_partitions: 1,
        replication_factor: 1,
        configs: vec![CreatableTopicConfig {
            name: "flush.messages".into(),
            value: Some("1".into()),
        }],
        ..Default::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic],
        ..Default::default()
    };
    assert_eq!(machine.ask(5, request).topics[0].error_code, 0);
    let journal = core::mem::take(&mut machine.asked);
    let (_, response) = machine.send(12, produce_request("t", 0, batch(&["a"])));
    assert_eq!(response, None);
    let is_reply = |action: &Action| matches!(action, Action::Write { .. });
    for (token, task) in core::mem::take(&mut machine.asked) {
        assert!(!machine.done(token, &task).iter().any(is_reply));
    }
    let mut replies = 0;
    for (token, task) in journal {
        replies += machine
            .done(token, &task)
            .iter()
            .filter(|action| is_reply(action))
            .count();
    }
    assert_eq!(replies, 1);
}

#[test]
fn records_of_a_coordinator_that_was_stopped_are_not_waited_for() {
    let mut machine = Machine::new(EACH);
    assert_eq!(machine.commit(1), Some(ErrorCode::None));
    machine.is_lazy = true;
    assert_eq!(machine.commit(2), None);
    assert_eq!(machine.bench.harness.machine().waiting_for_sync(), 1);
    machine.bench.control(Control::Stop { broker: 0 });
    assert_eq!(machine.bench.harness.machine().waiting_for_sync(), 0);
}
