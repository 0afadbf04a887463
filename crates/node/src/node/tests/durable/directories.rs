//! What a start finds in a directory: what is put right, put aside, refused, or left alone.

use super::*;

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
fn a_write_that_could_not_be_taken_back_is_cut_off_after_an_orderly_end() {
    let mut machine = Machine::new(SYSTEM);
    assert_eq!(machine.produce("a"), Ok(0));
    // The write fails after a part, and so does cutting the part off.
    machine.disk.set_fuel(Some(0));
    assert_eq!(machine.produce("b"), Err(ErrorCode::KafkaStorageError));
    machine.disk.set_fuel(None);
    let Machine {
        bench,
        disk,
        settings,
        ..
    } = machine;
    let mut node = bench.harness.into_machine();
    let error = node.close().expect_err("the end of a log is not known");
    assert!(error.to_string().contains("t-0"), "{error}");
    assert!(!disk.paths().contains(&".kafka_cleanshutdown".to_string()));
    drop(node);
    let mut machine = Machine::start(disk, settings);
    assert_eq!(machine.produce("c"), Ok(1));
    assert_eq!(machine.read().0, [(0, "a".to_string()), (1, "c".to_string())]);
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
fn the_log_of_kafkas_controllers_is_left_alone() {
    const THEIRS: &str = "__cluster_metadata-0/00000000000000000000.log";
    let mut machine = Machine::new(SYSTEM);
    machine.produce("a").expect("room");
    // As Kafka leaves a directory: its controllers' log, which has no topic's id, and not our journal.
    let mut disk = machine.disk.clone();
    disk.remove("__kohort_metadata-0").expect("the disk is in order");
    disk.create_directory("__cluster_metadata-0").expect("room");
    disk.write(THEIRS, 0, b"theirs").expect("room");
    // The first start takes the directory over, the second finds the journal of the first.
    for start in 1..=2 {
        let mut machine = Machine::start(disk.clone(), SYSTEM);
        assert_eq!(machine.read().0, [(0, "a".to_string())], "start {start}");
        let topic = CreatableTopic {
            name: "__cluster_metadata".into(),
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            ..Default::default()
        };
        let answer = machine.ask(5, request).topics.remove(0);
        let code = ErrorCode::from_code(answer.error_code);
        assert_eq!(code, ErrorCode::TopicAuthorizationFailed, "start {start}");
        assert_eq!(
            machine.bench.harness.machine().topic_id("__cluster_metadata"),
            None
        );
        assert_eq!(disk.read(THEIRS, 0, 100), Ok(b"theirs".to_vec()), "start {start}");
    }
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
