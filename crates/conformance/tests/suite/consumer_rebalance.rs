//! Rebalances: what a listener sees and may do, and that records are neither doubled nor missed over them. Eager.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kohort::TopicPartition;
use kohort::consumer::{CallbackResult, Callbacks, PollError, RebalanceContext, RebalanceListener};
use kohort_conformance::unique;

use crate::consumer_setup::{
    A_MOMENT, Diary, Reader, Record, SOON, built, committed, identity, member, new_topic, numbers, of_group,
    offsets, producer, read, settle, soon, write, write_by,
};

// Kafka: PlaintextConsumerAssignorsTest.testRebalanceAndRejoin
#[tokio::test]
async fn a_member_that_joins_an_eager_group_costs_one_generation_and_the_other_keeps_its_id() {
    let (topic, group) = (new_topic(3).await, unique("group"));
    let mut members = vec![member(&group, &topic)];
    settle(&mut members, |shares| shares[0].len() == 3).await;
    let (generation, id) = identity(&mut members[0]).await;
    members.push(member(&group, &topic));
    settle(&mut members, |shares| {
        shares[0].len() == 2 && shares[1].len() == 1
    })
    .await;
    assert_eq!(identity(&mut members[0]).await, (generation + 1, id));
}

// Kafka: PlaintextConsumerCallbackTest.testOnPartitionsAssignedCalledWithNewPartitionsOnlyForClassicEager
#[tokio::test]
async fn in_an_eager_rebalance_all_is_revoked_and_the_whole_new_share_is_assigned() {
    let (topic, group) = (new_topic(4).await, unique("group"));
    let diary = Diary::default();
    let mut first = built(of_group(&group).client_id("a"));
    first
        .subscribe_with([&*topic], diary.listener("a"))
        .expect("a topic");
    let mut members = vec![first];
    settle(&mut members, |shares| shares[0].len() == 4).await;
    let mut second = built(of_group(&group).client_id("b"));
    second
        .subscribe_with([&*topic], diary.listener("b"))
        .expect("a topic");
    members.push(second);
    settle(&mut members, |shares| shares[0] == [0, 1] && shares[1] == [2, 3]).await;
    members.pop().expect("two").close(SOON).await.expect("it leaves");
    settle(&mut members, |shares| shares[0].len() == 4).await;
    members.pop().expect("one").close(SOON).await.expect("it leaves");
    let lines = diary.lines();
    let of = |name: &str| -> Vec<String> {
        lines
            .iter()
            .filter(|line| line.starts_with(name))
            .cloned()
            .collect()
    };
    assert_eq!(
        of("a"),
        [
            "a assigned [0, 1, 2, 3]",
            "a revoked [0, 1, 2, 3]",
            "a assigned [0, 1]",
            "a revoked [0, 1]",
            "a assigned [0, 1, 2, 3]",
            "a revoked [0, 1, 2, 3]",
        ]
    );
    assert_eq!(of("b"), ["b assigned [2, 3]", "b revoked [2, 3]"]);
    // Nobody is given a partition before its owner gave it up.
    let at = |line: &str| lines.iter().position(|each| each == line);
    assert!(
        at("a revoked [0, 1, 2, 3]") < at("b assigned [2, 3]"),
        "{lines:?}"
    );
}

// Kafka: ConsumerRebalanceListener.onPartitionsRevoked: the place to commit
#[tokio::test]
async fn what_is_committed_in_the_revoked_callback_is_where_the_next_owner_goes_on() {
    let (topic, group) = (new_topic(2).await, unique("group"));
    write(&topic, 0, 0..10).await;
    write(&topic, 1, 0..10).await;
    let mut first = built(of_group(&group).client_id("a"));
    let commit = Callbacks::new().on_revoked(|context, _| {
        Box::pin(async move {
            context.commit_sync().await?;
            Ok(())
        })
    });
    first.subscribe_with([&*topic], commit).expect("a topic");
    assert_eq!(read(&mut first, 20).await.len(), 20);
    let mut members = [first, built(of_group(&group).client_id("b"))];
    members[1].subscribe([&*topic]).expect("a topic");
    let again = settle(&mut members, |shares| shares[0] == [0] && shares[1] == [1]).await;
    assert!(again.is_empty(), "read twice: {again:?}");
    assert_eq!(committed(&group, &topic, 1).await, Some(10));
    write(&topic, 1, 10..12).await;
    assert_eq!(offsets(&read(&mut members[1], 2).await), [10, 11]);
}

/// Notes what the context says of the assignment.
struct Assignments(Diary);

impl RebalanceListener for Assignments {
    async fn assigned(
        &mut self,
        context: &mut RebalanceContext<'_>,
        partitions: &[TopicPartition],
    ) -> CallbackResult {
        self.0
            .write(format!("assigned: {}", context.assignment() == partitions));
        Ok(())
    }

    async fn revoked(
        &mut self,
        context: &mut RebalanceContext<'_>,
        partitions: &[TopicPartition],
    ) -> CallbackResult {
        self.0
            .write(format!("revoked: {}", context.assignment() == partitions));
        Ok(())
    }
}

// Kafka: PlaintextConsumerCallbackTest.testClassicConsumerRebalanceListenerAssignmentOnPartitionsAssigned
// and testClassicConsumerRebalanceListenerAssignmentOnPartitionsRevoked
#[tokio::test]
async fn a_listener_sees_the_new_partitions_when_assigned_and_still_the_old_ones_when_revoked() {
    let (topic, diary) = (new_topic(2).await, Diary::default());
    let mut members = [built(of_group(&unique("group")))];
    members[0]
        .subscribe_with([&*topic], Assignments(diary.clone()))
        .expect("a topic");
    settle(&mut members, |shares| shares[0] == [0, 1]).await;
    let [member] = members;
    soon("closing", member.close(SOON)).await.expect("it leaves");
    assert_eq!(diary.lines(), ["assigned: true", "revoked: true"]);
}

// Kafka: PlaintextConsumerCallbackTest.testClassicConsumerSeekPositionAndPauseNewlyAssignedPartitionOnPartitionsAssignedCallback
#[tokio::test]
async fn a_seek_and_a_pause_in_the_assigned_callback_hold_for_the_first_record() {
    let topic = new_topic(2).await;
    write(&topic, 0, 0..10).await;
    write(&topic, 1, 0..10).await;
    let mut reader = built(of_group(&unique("group")));
    let listener = Callbacks::new().on_assigned(|context, partitions| {
        Box::pin(async move {
            let [zero, one] = partitions else {
                return Err("not two partitions".into());
            };
            context.seek(zero, 7)?;
            context.pause(std::slice::from_ref(one))?;
            Ok(())
        })
    });
    reader.subscribe_with([&*topic], listener).expect("a topic");
    let records = read(&mut reader, 3).await;
    assert_eq!(offsets(&records), [7, 8, 9]);
    assert!(records.iter().all(|record| record.partition() == 0));
    assert_eq!(reader.paused(), [TopicPartition::new(&*topic, 1)]);
}

// Kafka: ConsumerIntegrationTest.testFetchPartitionsAfterFailedListenerWithGroupProtocolClassic
#[tokio::test]
async fn a_listener_that_fails_once_fails_that_poll_and_later_polls_read() {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..3).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&calls);
    let listener = Callbacks::new().on_assigned(move |_, _| {
        let call = counting.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            match call {
                0 => Err("the first time".into()),
                _ => Ok(()),
            }
        })
    });
    let mut reader = built(of_group(&unique("group")));
    reader.subscribe_with([&*topic], listener).expect("a topic");
    let error = crate::consumer_setup::failure(&mut reader).await;
    assert!(
        matches!(&error, PollError::Listener { callback: "assigned", source } if source.to_string() == "the first time"),
        "{error:?}"
    );
    assert_eq!(offsets(&read(&mut reader, 3).await), [0, 1, 2]);
}

/// Processes what it polls, then commits; what was read by whom goes into `seen`.
async fn process(member: &mut Reader, seen: &mut BTreeMap<(i32, i64), usize>) {
    let records: Vec<Record> = member
        .poll(A_MOMENT)
        .await
        .expect("no error")
        .into_iter()
        .collect();
    for record in &records {
        *seen.entry((record.partition(), record.offset)).or_default() += 1;
    }
    if !records.is_empty() {
        member.commit_sync().await.expect("the generation has not ended");
    }
}

// Kafka: ClassicGroup.validateOffsetCommit: commits are taken until the next generation begins
#[tokio::test]
async fn with_commit_after_processing_no_record_is_doubled_or_missed_while_members_come_and_go() {
    let (topic, group) = (new_topic(6).await, unique("group"));
    let writer = producer().build().expect("valid settings");
    let mut seen = BTreeMap::new();
    let mut members = vec![member(&group, &topic)];
    let mut written = 0;
    // How many members there are in each phase.
    for size in [1, 2, 3, 2, 3, 1] {
        while members.len() > size {
            members.remove(0).close(SOON).await.expect("it leaves");
        }
        while members.len() < size {
            members.push(member(&group, &topic));
        }
        let phase = async {
            loop {
                for partition in 0..6 {
                    write_by(&writer, &topic, partition, written..written + 5).await;
                }
                written += 5;
                for member in &mut members {
                    process(member, &mut seen).await;
                }
                let shares: Vec<_> = members.iter().map(numbers).collect();
                if shares.iter().all(|share| share.len() == 6 / size) {
                    return;
                }
            }
        };
        soon("the phase", phase).await;
    }
    let rest = async {
        while seen.len() < 6 * usize::try_from(written).expect("small") {
            process(&mut members[0], &mut seen).await;
        }
    };
    soon("the rest", rest).await;
    let doubled: Vec<_> = seen.iter().filter(|(_, count)| **count != 1).collect();
    assert!(doubled.is_empty(), "read twice: {doubled:?}");
}

// Kafka: PlaintextConsumerTest.testClassicConsumerPauseStateNotPreservedByRebalance
#[tokio::test]
async fn a_rebalance_ends_a_pause_and_goes_back_to_the_committed_offset() {
    let (one, two) = (new_topic(1).await, new_topic(1).await);
    write(&one, 0, 0..10).await;
    let mut members = [built(of_group(&unique("group")).max_poll_records(5))];
    members[0].subscribe([&*one]).expect("a topic");
    assert_eq!(offsets(&read(&mut members[0], 5).await), [0, 1, 2, 3, 4]);
    let partition = TopicPartition::new(&*one, 0);
    members[0].pause([&partition]).expect("assigned");
    members[0].subscribe([&*one, &*two]).expect("topics");
    let mut records = settle(&mut members, |shares| shares[0].len() == 2).await;
    assert!(members[0].paused().is_empty());
    while records.len() < 10 {
        records.extend(read(&mut members[0], 1).await);
    }
    assert_eq!(
        offsets(&records),
        (0..10).collect::<Vec<_>>(),
        "nothing was committed"
    );
}

// Kafka: ConsumerIntegrationTest.testFetchPartitionsWithAlwaysFailedListenerWithGroupProtocolClassic
#[tokio::test]
async fn while_the_assigned_callback_fails_each_poll_fails_and_none_has_records() {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..3).await;
    let listener = Callbacks::new().on_assigned(|_, _| Box::pin(async { Err("always".into()) }));
    let mut reader = built(of_group(&unique("group")));
    reader.subscribe_with([&*topic], listener).expect("a topic");
    for _ in 0..5 {
        let error = crate::consumer_setup::failure(&mut reader).await;
        assert!(
            matches!(
                &error,
                PollError::Listener {
                    callback: "assigned",
                    ..
                }
            ),
            "{error:?}"
        );
    }
}

// Kafka: PlaintextConsumerCallbackTest.testClassicConsumerRebalanceListenerBeginningOffsetsOnPartitionsAssigned,
// …OnPartitionsRevoked and testClassicConsumerGetPositionOfNewlyAssignedPartitionOnPartitionsAssignedCallback
#[tokio::test]
async fn a_callback_may_ask_for_positions_for_the_ends_and_for_what_is_committed() {
    let (topic, group, diary) = (new_topic(1).await, unique("group"), Diary::default());
    write(&topic, 0, 0..10).await;
    crate::consumer_setup::delete_records(&topic, 0, 2).await;
    let (at_first, at_last) = (diary.clone(), diary.clone());
    let listener = Callbacks::new()
        .on_assigned(move |context, partitions| {
            let diary = at_first.clone();
            Box::pin(async move { note_offsets(context, partitions, &diary).await })
        })
        .on_revoked(move |context, partitions| {
            let diary = at_last.clone();
            Box::pin(async move {
                context.commit_sync().await?;
                note_offsets(context, partitions, &diary).await
            })
        });
    let mut reader = built(of_group(&group));
    reader.subscribe_with([&*topic], listener).expect("a topic");
    assert_eq!(read(&mut reader, 8).await.len(), 8);
    reader.close(SOON).await.expect("it closes");
    assert_eq!(
        diary.lines(),
        [
            "from 2 to 10, at 2, committed None",
            "from 2 to 10, at 10, committed Some(10)"
        ]
    );
}

async fn note_offsets(
    context: &mut RebalanceContext<'_>,
    partitions: &[TopicPartition],
    diary: &Diary,
) -> CallbackResult {
    let begin = context.beginning_offsets(partitions).await?;
    let end = context.end_offsets(partitions).await?;
    let committed = context.committed(partitions).await?;
    for partition in partitions {
        let position = context.position(partition).await?;
        let committed = committed[partition].as_ref().map(|committed| committed.offset);
        diary.write(format!(
            "from {} to {}, at {position}, committed {committed:?}",
            begin[partition], end[partition]
        ));
    }
    Ok(())
}

// Kafka: PlaintextConsumerPollTest.testClassicConsumerMaxPollIntervalMsDelayInAssignment and …DelayInRevocation
#[tokio::test]
async fn a_callback_that_takes_longer_than_the_session_costs_nothing_and_may_commit() {
    let (topic, group, diary) = (new_topic(1).await, unique("group"), Diary::default());
    write(&topic, 0, 0..3).await;
    let longer = std::time::Duration::from_millis(6_500);
    let (assigned, revoked, lost) = (diary.clone(), diary.clone(), diary.clone());
    let slow = Callbacks::new()
        .on_assigned(move |_, _| {
            assigned.write("assigned");
            Box::pin(async move {
                tokio::time::sleep(longer).await;
                Ok(())
            })
        })
        .on_revoked(move |context, _| {
            revoked.write("revoked");
            Box::pin(async move {
                tokio::time::sleep(longer).await;
                context.commit_sync().await?;
                Ok(())
            })
        })
        .on_lost(move |_, _| {
            lost.write("lost");
            Box::pin(async { Ok(()) })
        });
    let mut reader = built(of_group(&group).session_timeout_ms(6_000));
    reader.subscribe_with([&*topic], slow).expect("a topic");
    assert_eq!(read(&mut reader, 3).await.len(), 3);
    soon("leaving", reader.unsubscribe()).await.expect("it leaves");
    assert_eq!(diary.lines(), ["assigned", "revoked"]);
    assert_eq!(committed(&group, &topic, 0).await, Some(3));
}
