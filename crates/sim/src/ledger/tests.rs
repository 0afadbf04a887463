//! Each invariant is seen to break.

use core::time::Duration;
use std::collections::BTreeSet;

use kohort_groups::coordinator::{CoordinatorRecord, StoredGroup, StoredMember, StoredOffset};
use kohort_groups::wire::consumer_protocol::encode_assignment;
use kohort_groups::{Assignment, OffsetAndMetadata, TopicPartition};
use kohort_machine::Instant;

use super::{CommitRequest, Ledger, Living};
use crate::plan::GROUP;

fn of_t(number: i32) -> TopicPartition {
    TopicPartition::new("t", number)
}

fn group(generation: i32, shares: &[(&str, &[i32])]) -> CoordinatorRecord {
    let members = shares.iter().map(|(member_id, numbers)| {
        let assignment = Assignment {
            partitions: numbers.iter().map(|number| of_t(*number)).collect(),
            ..Assignment::default()
        };
        StoredMember {
            member_id: (*member_id).into(),
            group_instance_id: None,
            client_id: (*member_id).into(),
            client_host: "".into(),
            rebalance_timeout_ms: 0,
            session_timeout_ms: 0,
            subscription: bytes::Bytes::new(),
            assignment: encode_assignment(&assignment).expect("short names"),
        }
    });
    CoordinatorRecord::Group {
        group_id: GROUP.into(),
        value: Some(StoredGroup {
            protocol_type: "consumer".into(),
            generation,
            protocol: Some("range".into()),
            leader: None,
            state_timestamp_ms: None,
            members: members.collect(),
        }),
    }
}

fn committed(offset: i64) -> CoordinatorRecord {
    CoordinatorRecord::Offset {
        group_id: GROUP.into(),
        topic: "t".into(),
        partition: 0,
        value: Some(StoredOffset {
            offset: OffsetAndMetadata::new(offset),
            commit_timestamp_ms: 0,
            expire_timestamp_ms: None,
            topic_id: None,
        }),
    }
}

fn ask(ledger: &mut Ledger, member_id: &str, generation: i32, offset: i64) {
    ledger.commit_requested(CommitRequest {
        member_id: member_id.into(),
        generation,
        offsets: vec![(of_t(0), offset)],
    });
}

fn broken(ledger: &Ledger) -> Vec<&'static str> {
    ledger.violations().iter().map(|it| it.invariant).collect()
}

/// Partition 0 has ten records, of which `a` in generation 1 has processed the first five.
fn in_use() -> Ledger {
    let mut ledger = Ledger::default();
    for offset in 0..10 {
        ledger.written(&of_t(0), offset, 100 + offset as u64);
    }
    ledger.coordinator_wrote(&group(1, &[("a", &[0])]));
    ledger.assigned(Instant::ZERO, 1, Some(1), &[of_t(0)]);
    for offset in 0..5 {
        ledger.handed_out(1, &of_t(0), offset, 100 + offset as u64);
    }
    ledger.processed(&of_t(0), 0, 5);
    assert_eq!(ledger.violations(), []);
    ledger
}

#[test]
fn a_commit_of_the_owner_that_covers_what_is_processed_is_in_order() {
    let mut ledger = in_use();
    ask(&mut ledger, "a", 1, 5);
    ledger.coordinator_wrote(&committed(5));
    assert_eq!(ledger.violations(), []);
}

#[test]
fn a_commit_of_another_generation_or_member_is_not() {
    for (member, generation) in [("a", 0), ("b", 1)] {
        let mut ledger = in_use();
        ask(&mut ledger, member, generation, 5);
        ledger.coordinator_wrote(&committed(5));
        assert_eq!(broken(&ledger), ["I3"], "{member} {generation}");
    }
}

#[test]
fn a_commit_of_what_is_not_processed_is_not() {
    let mut ledger = in_use();
    ask(&mut ledger, "a", 1, 6);
    ledger.coordinator_wrote(&committed(6));
    assert_eq!(broken(&ledger), ["I4"]);
}

fn sends(ledger: &mut Ledger, generation: i32, offset: i64) {
    let request = CommitRequest {
        member_id: "a".into(),
        generation,
        offsets: vec![(of_t(0), offset)],
    };
    ledger.commit_sent(1, &request);
}

#[test]
fn a_member_that_takes_back_what_it_has_committed_is_seen_also_when_it_is_gone() {
    let mut ledger = in_use();
    for offset in [3, 3, 5] {
        sends(&mut ledger, 1, offset);
    }
    ledger.gone(1, false);
    assert_eq!(ledger.violations(), []);
    sends(&mut ledger, 1, 4);
    assert_eq!(broken(&ledger), ["I3"]);
}

#[test]
fn a_member_that_commits_less_than_where_it_began_is_seen() {
    let mut ledger = in_use();
    ask(&mut ledger, "a", 1, 5);
    ledger.coordinator_wrote(&committed(5));
    ledger.given_up(Instant::ZERO, 1, &[of_t(0)]);
    ledger.assigned(Instant::ZERO, 1, Some(2), &[of_t(0)]);
    sends(&mut ledger, 2, 4);
    assert_eq!(broken(&ledger), ["I3"]);
}

#[test]
fn who_has_sought_back_or_sends_late_what_is_refused_takes_nothing_back() {
    let mut ledger = in_use();
    sends(&mut ledger, 1, 5);
    ledger.sought(Instant::ZERO, 1, &of_t(0), 2);
    // The first was asked for before the seek.
    for offset in [5, 3, 2] {
        sends(&mut ledger, 1, offset);
    }
    sends(&mut ledger, 0, 1);
    assert_eq!(ledger.violations(), []);
    sends(&mut ledger, 1, 1);
    assert_eq!(broken(&ledger), ["I3"]);
}

#[test]
fn a_record_that_was_not_taken_comes_next_until_it_is_passed_over() {
    for (offset, invariant) in [(5, None), (6, Some("I4")), (4, Some("I5"))] {
        let mut ledger = in_use();
        ledger.refused(1, &of_t(0), 5, 105);
        ledger.refused(1, &of_t(0), 5, 105);
        ledger.handed_out(1, &of_t(0), offset, 100 + offset as u64);
        assert_eq!(
            broken(&ledger),
            invariant.into_iter().collect::<Vec<_>>(),
            "{offset}"
        );
    }
    let mut ledger = in_use();
    ledger.refused(1, &of_t(0), 5, 105);
    ledger.sought(Instant::ZERO, 1, &of_t(0), 6);
    ledger.handed_out(1, &of_t(0), 6, 106);
    assert_eq!(ledger.violations(), []);
}

#[test]
fn an_answer_that_was_never_true_is_seen() {
    let mut ledger = in_use();
    let before = ledger.before_lookup(&of_t(0));
    ask(&mut ledger, "a", 1, 5);
    ledger.coordinator_wrote(&committed(5));
    ledger.written(&of_t(0), 10, 110);
    for committed in [None, Some(5)] {
        ledger.told_committed(&of_t(0), before, committed);
    }
    for end in [10, 11] {
        ledger.told_end(&of_t(0), before, end);
    }
    ledger.told_position(1, &of_t(0), 5);
    ledger.told_beginning(&of_t(0), 0);
    assert_eq!(ledger.violations(), []);
    ledger.told_committed(&of_t(0), before, Some(4));
    ledger.told_end(&of_t(0), before, 9);
    ledger.told_end(&of_t(0), before, 12);
    ledger.told_position(1, &of_t(0), 6);
    ledger.told_beginning(&of_t(0), 1);
    assert_eq!(broken(&ledger), ["I3", "I6", "I6", "I4", "I6"]);
}

#[test]
fn two_owners_are_seen_in_the_assignment_and_at_the_listeners() {
    let mut ledger = Ledger::default();
    ledger.coordinator_wrote(&group(1, &[("a", &[0, 1]), ("b", &[1])]));
    assert_eq!(broken(&ledger), ["I1"]);
    let mut ledger = in_use();
    ledger.assigned(Instant::ZERO, 2, Some(1), &[of_t(0)]);
    assert_eq!(broken(&ledger), ["I1"]);
}

#[test]
fn who_goes_on_in_the_place_of_a_static_member_has_its_share_in_the_same_generation_though_a_close_goes_on() {
    let mut ledger = Ledger::default();
    ledger.assigned(Instant::ZERO, 1, Some(1), &[of_t(0)]);
    ledger.gone(1, true);
    // Its close was dropped, and hears of what it was assigned in the background.
    ledger.assigned(Instant::ZERO, 1, Some(1), &[of_t(0)]);
    ledger.given_up(Instant::ZERO, 1, &[of_t(0)]);
    ledger.assigned(Instant::ZERO, 2, Some(1), &[of_t(0)]);
    assert_eq!(ledger.violations(), []);
    ledger.assigned(Instant::ZERO, 3, Some(1), &[of_t(0)]);
    assert_eq!(broken(&ledger), ["I1"]);
}

#[test]
fn who_has_what_the_leader_gave_to_another_is_seen_also_when_nobody_else_says_so() {
    for (generation, invariant) in [(1, Some("I1")), (2, None)] {
        let mut ledger = Ledger::default();
        ledger.coordinator_wrote(&group(1, &[("m1", &[0])]));
        ledger.assigned(Instant::ZERO, 2, Some(generation), &[of_t(0)]);
        assert_eq!(
            broken(&ledger),
            invariant.into_iter().collect::<Vec<_>>(),
            "{generation}"
        );
    }
}

#[test]
fn a_commit_that_its_application_believes_in_is_stored_and_covers_what_is_processed() {
    let mut ledger = in_use();
    ask(&mut ledger, "a", 1, 5);
    ledger.coordinator_wrote(&committed(5));
    ledger.commit_known(&[(of_t(0), OffsetAndMetadata::new(5))]);
    assert_eq!(ledger.violations(), []);
    ledger.commit_known(&[(of_t(0), OffsetAndMetadata::new(4))]);
    assert_eq!(broken(&ledger), ["I6"]);
    ledger.commit_known(&[(of_t(0), OffsetAndMetadata::new(6))]);
    assert_eq!(broken(&ledger), ["I6", "I6", "I4"]);
}

#[test]
fn a_position_is_not_reset_to_before_what_is_committed() {
    let mut ledger = in_use();
    ask(&mut ledger, "a", 1, 5);
    ledger.coordinator_wrote(&committed(5));
    ledger.given_up(Instant::ZERO, 1, &[of_t(0)]);
    ledger.assigned(Instant::ZERO, 1, Some(2), &[of_t(0)]);
    // It may have been decided when the partition was there for the first time.
    ledger.was_reset(1, &[(of_t(0), 0)]);
    assert_eq!(ledger.violations(), []);
    ledger.was_reset(1, &[(of_t(0), 0)]);
    assert_eq!(broken(&ledger), ["I3"]);
}

#[test]
fn a_gap_a_repetition_and_a_record_after_the_revocation_are_seen() {
    let cases: [(i64, bool, &str); 3] = [(6, false, "I4"), (4, false, "I5"), (5, true, "I5")];
    for (offset, is_revoked, invariant) in cases {
        let mut ledger = in_use();
        if is_revoked {
            ledger.given_up(Instant::ZERO, 1, &[of_t(0)]);
        }
        ledger.handed_out(1, &of_t(0), offset, 100 + offset as u64);
        assert_eq!(broken(&ledger), [invariant], "{offset}");
    }
}

#[test]
fn after_a_seek_the_record_there_comes_next() {
    let mut ledger = in_use();
    ledger.sought(Instant::ZERO, 1, &of_t(0), 2);
    ledger.handed_out(1, &of_t(0), 2, 102);
    assert_eq!(ledger.violations(), []);
    ledger.sought(Instant::ZERO, 1, &of_t(0), 0);
    ledger.handed_out(1, &of_t(0), 3, 103);
    assert_eq!(broken(&ledger), ["I4"]);
}

#[test]
fn an_owner_begins_at_what_is_committed() {
    for (offset, invariant) in [(5, None), (4, Some("I3")), (6, Some("I4"))] {
        let mut ledger = in_use();
        ask(&mut ledger, "a", 1, 5);
        ledger.coordinator_wrote(&committed(5));
        ledger.given_up(Instant::ZERO, 1, &[of_t(0)]);
        ledger.assigned(Instant::ZERO, 2, Some(2), &[of_t(0)]);
        ledger.handed_out(2, &of_t(0), offset, 100 + offset as u64);
        assert_eq!(
            broken(&ledger),
            invariant.into_iter().collect::<Vec<_>>(),
            "{offset}"
        );
    }
}

#[test]
fn what_was_acknowledged_or_read_is_missed_after_a_crash() {
    let mut ledger = in_use();
    ledger.acknowledged(&of_t(0), 9, 109);
    ledger.recovered(&std::collections::BTreeMap::new());
    assert_eq!(broken(&ledger), ["I6", "I6"]);
    let mut ledger = in_use();
    ledger.written(&of_t(0), 3, 7);
    assert_eq!(broken(&ledger), ["I6"]);
}

#[test]
fn at_rest_each_partition_has_one_owner_and_is_read_to_its_end() {
    let topics = BTreeSet::from(["t".into()]);
    let living = [Living { reader: 1, topics }];
    let mut ledger = in_use();
    ledger.check_ownership(&living, &[of_t(0)]);
    ledger.check_stable(Instant::ZERO, 1);
    assert_eq!(ledger.violations(), []);
    ledger.check_ownership(&living, &[of_t(0), of_t(1)]);
    ledger.check_all_read(&living, &[of_t(0)]);
    ledger.check_stable(Instant::ZERO, 0);
    assert_eq!(broken(&ledger), ["I8", "I8", "I7"]);
}

/// `in_use`, measured, with the record that comes next there from the beginning.
fn measured() -> Ledger {
    let mut ledger = in_use();
    ledger.measure_reading(Duration::from_secs(1));
    ledger.readable(Instant::ZERO, &of_t(0), 5);
    ledger.was_busy(Instant::ZERO, 1);
    ledger
}

#[test]
fn what_is_owned_and_there_is_not_waited_for_longer_than_the_bound() {
    for (millis, invariant) in [(1_000, None), (1_001, Some("I2"))] {
        let mut ledger = measured();
        ledger.waited(Instant::from_millis(millis), 1);
        assert_eq!(
            broken(&ledger),
            invariant.into_iter().collect::<Vec<_>>(),
            "{millis}"
        );
    }
}

#[test]
fn what_is_there_when_measuring_begins_is_waited_for_from_then_on() {
    let begin = Instant::from_millis(8_000);
    for (millis, invariant) in [(9_000, None), (9_001, Some("I2"))] {
        let mut ledger = in_use();
        ledger.measure_reading_from(begin, Duration::from_secs(1));
        ledger.was_busy(begin, 1);
        ledger.measure_reading_from(Instant::from_millis(8_500), Duration::ZERO);
        ledger.waited(Instant::from_millis(millis), 1);
        assert_eq!(
            broken(&ledger),
            invariant.into_iter().collect::<Vec<_>>(),
            "{millis}"
        );
    }
    let mut ledger = measured();
    ledger.stop_measuring();
    ledger.waited(Instant::from_millis(9_000), 1);
    assert_eq!(ledger.violations(), []);
}

#[test]
fn a_reader_that_is_busy_or_paused_or_gives_up_does_not_wait() {
    let late = Instant::from_millis(5_000);
    let mut ledger = measured();
    ledger.was_busy(late, 1);
    ledger.waited(late, 1);
    ledger.stops(1, [&of_t(0)]);
    ledger.waited(Instant::from_millis(9_000), 1);
    assert_eq!(ledger.violations(), []);
    ledger.goes_on(Instant::from_millis(9_000), 1, &of_t(0));
    ledger.waited(Instant::from_millis(9_500), 1);
    assert_eq!(ledger.violations(), []);
    ledger.given_up(late, 1, &[of_t(0)]);
    ledger.waited(Instant::from_millis(20_000), 1);
    assert_eq!(ledger.violations(), []);
}

#[test]
fn a_member_that_lives_no_more_is_missed_at_rest() {
    let mut ledger = in_use();
    ledger.check_members(&BTreeSet::from(["a".into()]));
    assert_eq!(ledger.violations(), []);
    ledger.check_member_names(&BTreeSet::from(["a".into()]));
    assert_eq!(ledger.violations(), []);
    ledger.coordinator_wrote(&group(2, &[("a", &[0]), ("b", &[])]));
    ledger.check_members(&BTreeSet::from(["a".into()]));
    ledger.check_member_names(&BTreeSet::from(["a".into()]));
    assert_eq!(broken(&ledger), ["I8", "I8"]);
}
