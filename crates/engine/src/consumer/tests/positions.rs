//! Where a partition begins, and what follows when its position is not in the log.

use super::rig::*;
use crate::consumer::{Command, CommandError, CommandReply, OffsetReset, PollError, Position, SeekTo};
use kohort_groups::TopicPartition;
use kohort_protocol::{ApiKey, ErrorCode};

fn position(rig: &Rig, partition: i32) -> Option<i64> {
    rig.delivery
        .position(&of_t(partition))
        .unwrap()
        .map(|position| position.offset)
}

#[test]
fn without_a_group_a_partition_begins_where_the_policy_says() {
    for (policy, begins) in [(OffsetReset::Earliest, 0), (OffsetReset::Latest, 10)] {
        let mut rig = Rig::new(|config| config.auto_offset_reset = policy);
        rig.assign(&[0]);
        assert_eq!(position(&rig, 0), Some(begins));
        assert_eq!(rig.poll_all(), records(0, begins, 10));
        assert_eq!(rig.count(ApiKey::OffsetFetch), 0);
    }
}

#[test]
fn in_a_group_a_partition_begins_at_its_committed_offset_and_else_where_the_policy_says() {
    let mut rig = Rig::in_group(|config| config.auto_offset_reset = OffsetReset::Earliest);
    rig.committed.insert(("t".into(), 1), 7);
    rig.assign(&[0, 1]);
    assert_eq!(position(&rig, 0), Some(0));
    assert_eq!(position(&rig, 1), Some(7));
}

#[test]
fn a_reset_by_duration_begins_at_the_first_record_that_is_young_enough() {
    // The wall clock of the rig begins at 1,700,000,000,000 ms; records are of 1970.
    let age = core::time::Duration::from_millis(1_700_000_000_000 - 4);
    let mut rig = Rig::new(|config| config.auto_offset_reset = OffsetReset::ByDuration(age));
    rig.assign(&[0]);
    let at = position(&rig, 0).unwrap();
    assert!((4..=9).contains(&at), "{at}");
}

#[test]
fn a_reset_by_duration_without_a_young_record_begins_at_the_end() {
    let mut rig = Rig::new(|config| config.auto_offset_reset = OffsetReset::ByDuration(SECOND));
    rig.assign(&[0]);
    assert_eq!(position(&rig, 0), Some(10));
}

#[test]
fn without_a_policy_the_poll_fails_each_time_until_the_caller_seeks() {
    let mut rig = Rig::in_group(|config| config.auto_offset_reset = OffsetReset::None);
    rig.assign(&[0]);
    for _ in 0..2 {
        let error = rig.poll().unwrap_err();
        assert_eq!(
            error,
            PollError::NoOffsetForPartition {
                partitions: [of_t(0)].into()
            }
        );
    }
    rig.seek(0, SeekTo::Position(Position::new(8)));
    assert_eq!(rig.poll_all(), records(0, 8, 10));
}

#[test]
fn an_offset_out_of_range_without_a_policy_is_an_error_and_the_consumer_stays_usable() {
    let mut rig = Rig::new(|config| config.auto_offset_reset = OffsetReset::None);
    rig.assign(&[0, 1]);
    rig.seek(0, SeekTo::Position(Position::new(99)));
    rig.seek(1, SeekTo::Position(Position::new(9)));
    rig.expire_fetches();
    let mut seen = alloc::vec::Vec::new();
    let mut errors = 0;
    for _ in 0..4 {
        rig.expire_fetches();
        match rig.poll() {
            Ok(records) => seen.extend(records),
            Err(error) => {
                errors += 1;
                let offset = 99;
                assert_eq!(
                    error,
                    PollError::OffsetOutOfRange {
                        partition: of_t(0),
                        offset
                    }
                );
            }
        }
    }
    assert_eq!(seen, records(1, 9, 10));
    assert!(errors > 1, "it comes again at later polls");
    rig.seek(0, SeekTo::Position(Position::new(9)));
    assert_eq!(rig.poll_all(), records(0, 9, 10));
}

#[test]
fn an_offset_out_of_range_is_reset_by_the_policy() {
    let mut rig = Rig::new(|config| config.auto_offset_reset = OffsetReset::Earliest);
    rig.assign(&[0]);
    rig.poll_all();
    rig.seek(0, SeekTo::Position(Position::new(99)));
    rig.expire_fetches();
    assert_eq!(rig.poll_all(), records(0, 0, 10));
}

#[test]
fn what_was_fetched_before_an_offset_went_out_of_range_is_handed_out_before_the_reset() {
    let mut rig = Rig::new(|config| {
        config.auto_offset_reset = OffsetReset::Earliest;
        config.max_partition_fetch_bytes = 50; // one batch a fetch
    });
    rig.assign(&[0]);
    assert!(!rig.delivery.is_empty());
    assert_eq!(rig.poll_max(5).unwrap(), records(0, 0, 5));
    // Retention takes what is not fetched yet; the log begins anew behind it.
    let log = rig.logs.get_mut(&("t", 0)).unwrap();
    log.batches.clear();
    log.start = 20;
    log.append(2, 10);
    let rest = rig.poll_all();
    assert!(rest.ends_with(&records(0, 20, 22)), "{rest:?}");
    assert!(rest.len() == 2 || rest == [records(0, 5, 10), records(0, 20, 22)].concat());
}

#[test]
fn seeking_to_the_ends_asks_the_broker_for_them() {
    let mut rig = Rig::new(|_| {});
    rig.assign(&[0]);
    rig.seek(0, SeekTo::Beginning);
    assert_eq!(position(&rig, 0), Some(0));
    rig.seek(0, SeekTo::End);
    assert_eq!(position(&rig, 0), Some(10));
}

#[test]
fn a_seek_while_the_position_is_looked_for_wins() {
    let mut rig = Rig::new(|config| config.auto_offset_reset = OffsetReset::Earliest);
    rig.hold.push(ApiKey::ListOffsets);
    rig.assign(&[0]);
    rig.seek(0, SeekTo::Position(Position::new(6)));
    rig.hold.clear();
    rig.serve();
    assert_eq!(rig.poll_all(), records(0, 6, 10));
}

#[test]
fn a_failed_search_for_committed_offsets_is_tried_again() {
    let mut rig = Rig::in_group(|config| config.auto_offset_reset = OffsetReset::Earliest);
    rig.committed.insert(("t".into(), 0), 7);
    rig.refuse(
        ApiKey::OffsetFetch,
        &[ErrorCode::CoordinatorLoadInProgress, ErrorCode::NotCoordinator],
    );
    rig.assign(&[0]);
    assert_eq!(position(&rig, 0), None);
    rig.advance(SECOND);
    assert_eq!(position(&rig, 0), Some(7));
}

#[test]
fn a_failed_reset_is_tried_again() {
    let mut rig = Rig::new(|config| config.auto_offset_reset = OffsetReset::Earliest);
    rig.refuse(ApiKey::ListOffsets, &[ErrorCode::NotLeaderOrFollower]);
    rig.assign(&[0]);
    assert_eq!(position(&rig, 0), None);
    rig.advance(SECOND);
    assert_eq!(position(&rig, 0), Some(0));
}

#[test]
fn position_waits_until_there_is_one() {
    let mut rig = Rig::new(|_| {});
    rig.hold.push(ApiKey::ListOffsets);
    rig.assign(&[0]);
    let slot = rig.delivery.slot(&of_t(0)).unwrap();
    let token = rig.command(Command::Position {
        slot,
        timeout: SECOND,
    });
    assert!(!rig.replies.contains_key(&token));
    rig.hold.clear();
    rig.serve();
    assert_eq!(rig.replies[&token], Ok(CommandReply::Done));
    assert_eq!(position(&rig, 0), Some(10));
}

#[test]
fn position_fails_after_its_time_out() {
    let mut rig = Rig::new(|_| {});
    rig.hold.push(ApiKey::ListOffsets);
    rig.assign(&[0]);
    let slot = rig.delivery.slot(&of_t(0)).unwrap();
    let token = rig.command(Command::Position {
        slot,
        timeout: SECOND,
    });
    rig.advance(SECOND);
    assert!(matches!(rig.replies[&token], Err(CommandError::TimedOut { .. })));
}

#[test]
fn position_tells_why_there_is_none() {
    let mut rig = Rig::in_group(|config| config.auto_offset_reset = OffsetReset::None);
    rig.hold.push(ApiKey::OffsetFetch);
    rig.assign(&[0]);
    let slot = rig.delivery.slot(&of_t(0)).unwrap();
    let token = rig.command(Command::Position {
        slot,
        timeout: SECOND,
    });
    rig.hold.clear();
    rig.serve();
    let Err(CommandError::Poll(PollError::NoOffsetForPartition { partitions })) = &rig.replies[&token] else {
        panic!("{:?}", rig.replies);
    };
    assert_eq!(partitions, &[TopicPartition::new("t", 0)]);
    // And tells it again, whether the caller polls or not.
    let token = rig.command(Command::Position {
        slot,
        timeout: SECOND,
    });
    assert!(matches!(rig.replies[&token], Err(CommandError::Poll(_))));
}

#[test]
fn position_of_a_partition_that_went_is_not_assigned() {
    let mut rig = Rig::new(|_| {});
    rig.assign(&[0]);
    let slot = rig.delivery.slot(&of_t(0)).unwrap();
    rig.assign(&[1]);
    let token = rig.command(Command::Position {
        slot,
        timeout: SECOND,
    });
    assert_eq!(rig.replies[&token], Err(CommandError::NotAssigned));
}

#[test]
fn a_search_that_fails_at_once_is_told_at_once() {
    let mut rig = Rig::in_group(|config| config.auto_offset_reset = OffsetReset::Earliest);
    let none = kohort_protocol::VersionRange { min: 90, max: 90 };
    rig.driven.network.versions.insert(ApiKey::OffsetFetch, none);
    rig.assign(&[0]);
    assert!(matches!(rig.poll(), Err(PollError::Unsupported { .. })));
    rig.seek(0, SeekTo::Position(Position::new(0)));
    assert_eq!(rig.poll_all(), records(0, 0, 10));
    // The coordinator's versions are known by now, and nothing else is about to happen.
    rig.assign(&[0, 1]);
    assert!(matches!(rig.poll(), Err(PollError::Unsupported { .. })));
}

#[test]
fn a_partition_that_is_newer_than_the_metadata_is_found_and_read() {
    let mut rig = Rig::new(|config| config.auto_offset_reset = OffsetReset::Earliest);
    rig.assign(&[0]);
    rig.poll_all();
    rig.assign(&[0, 2]);
    rig.advance(3 * SECOND);
    assert_eq!(position(&rig, 2), None);
    rig.add_partition();
    rig.advance(2 * SECOND);
    assert_eq!(position(&rig, 2), Some(0));
    assert_eq!(rig.poll_all(), records(2, 0, 5));
}
