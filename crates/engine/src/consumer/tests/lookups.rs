//! Look-ups: committed offsets, offsets by time, and the partitions of a topic.

use super::rig::*;
use crate::consumer::{Command, CommandError, CommandReply, FoundOffset, OffsetSpec};
use alloc::vec;
use kohort_groups::{OffsetAndMetadata, TopicPartition};
use kohort_protocol::{ApiKey, ErrorCode};

#[test]
fn committed_offsets_come_in_the_order_asked_with_none_where_there_is_none() {
    let mut rig = Rig::in_group(|_| {});
    rig.committed.insert(("t".into(), 1), 7);
    rig.assign(&[0, 1]);
    let token = rig.command(Command::Committed {
        partitions: vec![of_t(1), of_t(0)],
        timeout: SECOND,
    });
    let expected = vec![(of_t(1), Some(OffsetAndMetadata::new(7))), (of_t(0), None)];
    assert_eq!(rig.replies[&token], Ok(CommandReply::Committed(expected)));
}

#[test]
fn committed_offsets_need_a_group() {
    let mut rig = Rig::new(|_| {});
    let token = rig.command(Command::Committed {
        partitions: vec![of_t(1)],
        timeout: SECOND,
    });
    assert!(matches!(rig.replies[&token], Err(CommandError::NoGroup { .. })));
}

#[test]
fn a_refused_lookup_of_committed_offsets_is_tried_again_until_its_time_out() {
    let mut rig = Rig::in_group(|_| {});
    rig.refuse(ApiKey::OffsetFetch, &[ErrorCode::NotCoordinator; 50]);
    rig.subscribe();
    let token = rig.command(Command::Committed {
        partitions: vec![of_t(0)],
        timeout: SECOND,
    });
    rig.advance(SECOND);
    let Err(CommandError::TimedOut { last: Some(last), .. }) = &rig.replies[&token] else {
        panic!("{:?}", rig.replies);
    };
    assert!(matches!(
        **last,
        CommandError::Refused {
            code: ErrorCode::NotCoordinator,
            ..
        }
    ));
}

#[test]
fn offsets_of_partitions_that_are_not_assigned_are_found() {
    let mut rig = Rig::with_brokers(2, |_| {});
    let token = rig.command(Command::ListOffsets {
        partitions: vec![(of_t(1), OffsetSpec::Latest), (of_t(0), OffsetSpec::Timestamp(3))],
        timeout: SECOND,
    });
    let found = |offset, timestamp| {
        Some(FoundOffset {
            offset,
            timestamp,
            leader_epoch: None,
        })
    };
    let expected = vec![(of_t(1), found(10, None)), (of_t(0), found(3, Some(3)))];
    assert_eq!(rig.replies[&token], Ok(CommandReply::Offsets(expected)));
}

#[test]
fn a_time_later_than_all_records_has_no_offset() {
    let mut rig = Rig::new(|_| {});
    let token = rig.command(Command::ListOffsets {
        partitions: vec![(of_t(0), OffsetSpec::Timestamp(1000))],
        timeout: SECOND,
    });
    assert_eq!(
        rig.replies[&token],
        Ok(CommandReply::Offsets(vec![(of_t(0), None)]))
    );
}

#[test]
fn offsets_of_a_topic_that_does_not_exist_time_out() {
    let mut rig = Rig::new(|_| {});
    let token = rig.command(Command::ListOffsets {
        partitions: vec![(TopicPartition::new("nowhere", 0), OffsetSpec::Latest)],
        timeout: SECOND,
    });
    rig.advance(SECOND);
    assert!(matches!(rig.replies[&token], Err(CommandError::TimedOut { .. })));
}

#[test]
fn partitions_of_a_topic_name_their_leaders() {
    let mut rig = Rig::with_brokers(2, |_| {});
    let token = rig.command(Command::PartitionsFor {
        topic: "t".into(),
        timeout: SECOND,
    });
    let Ok(CommandReply::Partitions(partitions)) = &rig.replies[&token] else {
        panic!("{:?}", rig.replies);
    };
    let leaders: vec::Vec<_> = partitions
        .iter()
        .map(|it| it.leader.as_ref().unwrap().port)
        .collect();
    assert_eq!(leaders, [9001, 9002]);
}

#[test]
fn a_topic_that_does_not_exist_has_no_partitions() {
    let mut rig = Rig::new(|_| {});
    let token = rig.command(Command::PartitionsFor {
        topic: "nowhere".into(),
        timeout: SECOND,
    });
    assert_eq!(rig.replies[&token], Ok(CommandReply::Partitions(vec![])));
}

#[test]
fn all_topics_are_listed_by_name() {
    let mut rig = Rig::new(|_| {});
    let token = rig.command(Command::ListTopics { timeout: SECOND });
    let Ok(CommandReply::Topics(topics)) = &rig.replies[&token] else {
        panic!("{:?}", rig.replies);
    };
    let names: vec::Vec<_> = topics.iter().map(|(name, of)| (&**name, of.len())).collect();
    assert_eq!(names, [("t", 2), ("u", 1)]);
}

#[test]
fn an_abandoned_command_is_not_answered() {
    let mut rig = Rig::in_group(|_| {});
    rig.hold.push(ApiKey::OffsetFetch);
    let token = rig.command(Command::Committed {
        partitions: vec![of_t(0)],
        timeout: SECOND,
    });
    rig.event(crate::consumer::Event::Abandon { token });
    rig.hold.clear();
    rig.advance(SECOND);
    assert!(rig.replies.is_empty());
    rig.event(crate::consumer::Event::Abandon { token });
}
