//! When an acknowledgement is told: what waits for the medium, and what a sync that fails does.

use super::*;

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

#[test]
fn a_request_that_deletes_records_of_many_partitions_is_one_sync_of_where_they_begin() {
    let mut machine = Machine::new(SYSTEM);
    machine.create("u", 3);
    for partition in 0..3 {
        let request = produce_request("u", partition, batch(&["a", "b", "c"]));
        machine.ask(12, request);
    }
    let topic = DeleteRecordsTopic {
        name: "u".into(),
        partitions: (0..3)
            .map(|partition_index| DeleteRecordsPartition {
                partition_index,
                offset: 2,
            })
            .collect(),
    };
    let request = DeleteRecordsRequest {
        topics: vec![topic],
        ..Default::default()
    };
    machine.is_lazy = true;
    let before = machine.disk.syncs();
    let answer = machine.ask(2, request);
    let partitions = answer.topics[0].partitions.iter();
    let begins: Vec<i64> = partitions.map(|partition| partition.low_watermark).collect();
    assert_eq!(begins, [2, 2, 2]);
    assert_eq!(machine.disk.syncs() - before, 1);
    assert_eq!(machine.asked.len(), 1, "the directory, which nobody waits for");
    let machine = machine.crash();
    let topics = &machine.bench.harness.machine().topics;
    let u = topics.get("u").expect("it was created");
    let begins: Vec<i64> = (0..3)
        .filter_map(|number| u.partition(number))
        .map(|partition| partition.log.start_offset())
        .collect();
    assert_eq!(begins, [2, 2, 2]);
}
