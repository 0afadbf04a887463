//! What the caller is told of the positions that `auto.offset.reset` decides; and when it must not decide.

use super::rig::*;
use crate::consumer::{ConsumerConfig, OffsetReset, PollError, Position, PositionReset, ResetCause, SeekTo};
use alloc::vec::Vec;
use core::time::Duration;
use kohort_protocol::{ApiKey, ErrorCode};

fn with(policy: OffsetReset) -> impl FnOnce(&mut ConsumerConfig) {
    move |config| config.auto_offset_reset = policy
}

fn resets(rig: &mut Rig) -> Vec<PositionReset> {
    rig.delivery.take_resets()
}

fn reset(partition: i32, cause: ResetCause, from: Option<i64>, to: i64) -> PositionReset {
    PositionReset {
        partition: of_t(partition),
        cause,
        from,
        to,
    }
}

#[test]
fn without_a_committed_offset_each_policy_is_told_with_where_it_leads_and_what_it_passes_over() {
    let of_offset_8 = Duration::from_millis(1_700_000_000_000 - 8);
    let too_young = Duration::from_millis(1);
    for (policy, to) in [
        (OffsetReset::Earliest, 6),
        (OffsetReset::Latest, 10),
        (OffsetReset::ByDuration(of_offset_8), 8),
        (OffsetReset::ByDuration(too_young), 10),
    ] {
        let mut rig = Rig::in_group(with(policy));
        let log = rig.logs.get_mut(&("t", 0)).unwrap();
        log.batches.clear();
        log.start = 6;
        log.append(4, 10);
        rig.committed.insert(("t".into(), 1), 7);
        rig.assign(&[0, 1]);
        let told = resets(&mut rig);
        let expected = reset(0, ResetCause::NoCommittedOffset, Some(6), to);
        assert_eq!(told, [expected], "the other begins where it was to");
        let skipped = u64::try_from(to - 6).unwrap();
        assert_eq!((told[0].skipped(), told[0].replayed()), (Some(skipped), 0));
        assert!(resets(&mut rig).is_empty(), "each is told once");
    }
}

#[test]
fn without_a_group_each_partition_begins_by_the_policy() {
    let mut rig = Rig::new(with(OffsetReset::Earliest));
    rig.assign(&[0, 1]);
    let cause = ResetCause::NoCommittedOffset;
    assert_eq!(
        resets(&mut rig),
        [reset(0, cause, Some(0), 0), reset(1, cause, Some(0), 0)]
    );
}

#[test]
fn an_offset_after_the_end_comes_again_from_where_each_policy_says() {
    for (policy, to) in [(OffsetReset::Earliest, 0), (OffsetReset::Latest, 10)] {
        let mut rig = Rig::new(with(policy));
        rig.assign(&[0]);
        resets(&mut rig);
        rig.seek(0, SeekTo::Position(Position::new(99)));
        rig.poll_all();
        let told = resets(&mut rig);
        assert_eq!(told, [reset(0, ResetCause::OutOfRange, Some(99), to)]);
        let replayed = u64::try_from(99 - to).unwrap();
        assert_eq!((told[0].skipped(), told[0].replayed()), (Some(0), replayed));
    }
}

#[test]
fn where_the_log_begins_is_asked_only_where_nothing_else_says_from_where_a_reset_goes() {
    for (policy, is_committed, asked) in [
        (OffsetReset::Latest, false, 2),
        (OffsetReset::Earliest, false, 1),
        (OffsetReset::Latest, true, 1),
    ] {
        let mut rig = Rig::in_group(with(policy));
        if is_committed {
            // Out of range.
            rig.committed.insert(("t".into(), 0), 99);
        }
        rig.assign(&[0]);
        rig.poll_all();
        assert_eq!(
            rig.count(ApiKey::ListOffsets),
            asked,
            "{policy:?}, {is_committed}"
        );
        assert_eq!(resets(&mut rig).len(), 1);
    }
}

#[test]
fn a_log_whose_beginning_the_leader_does_not_tell_is_read_all_the_same_and_what_is_passed_over_is_not_known()
{
    let mut rig = Rig::in_group(with(OffsetReset::Latest));
    // The beginning is asked first.
    rig.refuse(ApiKey::ListOffsets, &[ErrorCode::UnknownServerError]);
    rig.assign(&[0]);
    let told = resets(&mut rig);
    assert_eq!(told, [reset(0, ResetCause::NoCommittedOffset, None, 10)]);
    assert_eq!((told[0].skipped(), told[0].replayed()), (None, 0));
}

#[test]
fn a_seek_while_the_beginning_of_the_log_is_asked_wins() {
    let mut rig = Rig::in_group(with(OffsetReset::Latest));
    rig.hold.push(ApiKey::ListOffsets);
    rig.assign(&[0]);
    rig.seek(0, SeekTo::Position(Position::new(3)));
    rig.hold.clear();
    rig.serve();
    assert_eq!(rig.poll_all(), records(0, 3, 10));
    assert!(resets(&mut rig).is_empty());
}

#[test]
fn an_offset_before_the_log_says_how_many_are_passed_over() {
    let of_offset_18 = Duration::from_millis(1_700_000_000_000 - 18);
    for (policy, to) in [
        (OffsetReset::Earliest, 15),
        (OffsetReset::Latest, 20),
        (OffsetReset::ByDuration(of_offset_18), 18),
    ] {
        let mut rig = Rig::new(with(policy));
        let log = rig.logs.get_mut(&("t", 0)).unwrap();
        log.batches.clear();
        log.start = 15;
        log.append(5, 10);
        rig.assign(&[0]);
        resets(&mut rig);
        rig.seek(0, SeekTo::Position(Position::new(4)));
        rig.poll_all();
        let told = resets(&mut rig);
        assert_eq!(told, [reset(0, ResetCause::OutOfRange, Some(4), to)]);
        let skipped = u64::try_from(to - 4).unwrap();
        assert_eq!((told[0].skipped(), told[0].replayed()), (Some(skipped), 0));
    }
}

#[test]
fn without_a_policy_there_is_an_error_and_no_reset() {
    let mut rig = Rig::in_group(with(OffsetReset::None));
    rig.assign(&[0]);
    assert!(matches!(rig.poll(), Err(PollError::NoOffsetForPartition { .. })));
    rig.seek(0, SeekTo::Position(Position::new(99)));
    let error = (0..5).find_map(|_| {
        rig.expire_fetches();
        rig.poll().err()
    });
    assert!(matches!(error, Some(PollError::OffsetOutOfRange { .. })));
    assert!(resets(&mut rig).is_empty());
}

#[test]
fn what_the_caller_seeks_is_no_reset() {
    let mut rig = Rig::new(with(OffsetReset::Earliest));
    rig.hold.push(ApiKey::ListOffsets);
    rig.assign(&[0]);
    // The policy is being asked; the caller is faster.
    rig.seek(0, SeekTo::End);
    rig.hold.clear();
    rig.serve();
    assert_eq!(rig.delivery.position(&of_t(0)), Ok(Some(Position::new(10))));
    rig.seek(0, SeekTo::Beginning);
    assert!(resets(&mut rig).is_empty());
}

#[test]
fn a_reset_is_told_after_what_was_fetched_before_it_and_before_what_comes_after_it() {
    let mut rig = Rig::new(|config| {
        config.auto_offset_reset = OffsetReset::Earliest;
        config.max_partition_fetch_bytes = 50; // one batch a fetch
    });
    rig.assign(&[0]);
    resets(&mut rig);
    let log = rig.logs.get_mut(&("t", 0)).unwrap();
    log.batches.clear();
    log.start = 20;
    log.append(2, 10);
    let mut order = Vec::new();
    for _ in 0..8 {
        let read = rig.poll().unwrap();
        order.extend(read.into_iter().map(|(_, offset)| offset));
        order.extend(resets(&mut rig).into_iter().map(|reset| reset.to));
        rig.expire_fetches();
    }
    let at = order.iter().position(|offset| *offset == 20).unwrap();
    assert_eq!(order[at..], [20, 20, 21], "the reset, then its records");
    assert!(order[..at].iter().all(|offset| *offset < 10));
}

// Kafka: ConsumerCoordinator.OffsetFetchResponseHandler: only "no committed offset" is one.
#[test]
fn a_member_that_the_group_left_behind_is_not_sent_to_the_policy() {
    for code in [
        ErrorCode::StaleMemberEpoch,
        ErrorCode::UnknownMemberId,
        ErrorCode::IllegalGeneration,
        ErrorCode::FencedInstanceId,
        ErrorCode::UnstableOffsetCommit,
        ErrorCode::GroupAuthorizationFailed,
    ] {
        let mut rig = Rig::in_group(with(OffsetReset::Latest));
        rig.committed.insert(("t".into(), 0), 3);
        rig.refuse(ApiKey::OffsetFetch, &[code]);
        rig.assign(&[0]);
        rig.advance(Duration::from_millis(50));
        assert_eq!(rig.count(ApiKey::ListOffsets), 0, "{code}");
        // An error or a delay, and then the committed offset.
        let _told = rig.poll();
        rig.advance(2 * SECOND);
        let mut read = Vec::new();
        for _ in 0..3 {
            read.extend(rig.poll().unwrap());
            rig.expire_fetches();
        }
        assert_eq!(read, records(0, 3, 10), "{code}");
        assert!(resets(&mut rig).is_empty(), "{code}");
    }
}

#[test]
fn a_stale_leader_epoch_is_no_reason_for_a_reset() {
    for code in [ErrorCode::FencedLeaderEpoch, ErrorCode::UnknownLeaderEpoch] {
        let mut rig = Rig::new(with(OffsetReset::Latest));
        rig.assign(&[0]);
        rig.seek(0, SeekTo::Position(Position::new(3)));
        resets(&mut rig);
        rig.expire_fetches();
        let listed = rig.count(ApiKey::ListOffsets);
        // What is buffered already is read; the next fetch is refused.
        let mut read = rig.poll_all();
        rig.refuse(ApiKey::Fetch, &[code]);
        rig.logs.get_mut(&("t", 0)).unwrap().append(2, 10);
        rig.serve();
        rig.advance(2 * SECOND);
        read.extend(rig.poll_all());
        assert_eq!(read, records(0, 3, 12), "{code}");
        assert_eq!(rig.count(ApiKey::ListOffsets), listed, "{code}");
        assert!(resets(&mut rig).is_empty(), "{code}");
    }
}

#[test]
fn a_partition_that_was_revoked_while_the_policy_was_asked_has_no_reset() {
    let mut rig = Rig::new(with(OffsetReset::Earliest));
    rig.hold.push(ApiKey::ListOffsets);
    rig.assign(&[0]);
    rig.assign(&[1]);
    rig.hold.clear();
    rig.serve();
    let cause = ResetCause::NoCommittedOffset;
    assert_eq!(resets(&mut rig), [reset(1, cause, Some(0), 0)]);
}
