//! What a rebalance guarantees, what a listener may do in it, and what is remembered of it.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kohort::consumer::{
    CallbackResult, Callbacks, Cause, CommitError, Outcome, RebalanceContext, RebalanceListener,
};
use kohort::{Consumer, TopicPartition};
use kohort_broker::Broker;
use tokio::time::Instant;

use crate::support::{SOON, broker, consumer, fill, next_values, partition};

type Reader = Consumer<Option<String>, String>;

const A_MOMENT: Duration = Duration::from_millis(20);

/// The assignors under which a guarantee is shown.
const STRATEGIES: [&str; 2] = ["range", "cooperative-sticky"];

fn member(broker: &Broker, strategy: &str) -> Reader {
    let builder = consumer(broker)
        .group_id("g")
        .partition_assignment_strategy([strategy]);
    builder.build().expect("valid settings")
}

/// Polls these members in turn until each has as many partitions as wanted.
async fn settle(members: &mut [&mut Reader], wanted: &[usize]) {
    let start = Instant::now();
    loop {
        for member in members.iter_mut() {
            member.poll(A_MOMENT).await.expect("no error");
        }
        let counts: Vec<usize> = members.iter().map(|member| member.assignment().len()).collect();
        if counts == wanted {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(400), "{counts:?}");
    }
}

/// What the listener was told to read.
#[derive(Clone, Default)]
struct Held(Arc<Mutex<BTreeSet<TopicPartition>>>);

impl Held {
    fn contains(&self, partition: &TopicPartition) -> bool {
        self.0.lock().expect("no panic").contains(partition)
    }
}

impl RebalanceListener for Held {
    async fn assigned(&mut self, _: &mut RebalanceContext<'_>, new: &[TopicPartition]) -> CallbackResult {
        let mut held = self.0.lock().expect("no panic");
        for partition in new {
            assert!(held.insert(partition.clone()), "{partition} is assigned twice");
        }
        Ok(())
    }

    async fn revoked(
        &mut self,
        context: &mut RebalanceContext<'_>,
        gone: &[TopicPartition],
    ) -> CallbackResult {
        context.commit_sync().await?;
        let mut held = self.0.lock().expect("no panic");
        for partition in gone {
            assert!(held.remove(partition), "{partition} is revoked twice");
        }
        Ok(())
    }
}

/// Members come and go while records are written all the time. Each poll's records are of partitions that the listener holds.
async fn no_record_comes_after_its_revocation(strategy: &str) {
    let broker = broker("t", 6).await;
    let mut members: Vec<(Reader, Held)> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut written = 0;
    for size in [1, 2, 3, 2, 4, 1, 3] {
        while members.len() > size {
            let (leaver, _) = members.remove(0);
            leaver.close(SOON).await.expect("it closes");
        }
        while members.len() < size {
            let (mut member, held) = (member(&broker, strategy), Held::default());
            member.subscribe_with(["t"], held.clone()).expect("a topic");
            members.push((member, held));
        }
        for _ in 0..60 {
            fill(&broker, "t", 6, written, 12).await;
            written += 12;
            tokio::time::sleep(Duration::from_millis(100)).await;
            for (member, held) in &mut members {
                for record in member.poll(A_MOMENT).await.expect("no error") {
                    let of = TopicPartition::new("t", record.partition());
                    assert!(held.contains(&of), "{of} was not assigned, or revoked");
                    assert!(
                        seen.insert((of.partition, record.offset)),
                        "{of} {} came twice",
                        record.offset
                    );
                }
            }
        }
    }
    while seen.len() < written as usize {
        for (member, _) in &mut members {
            for record in member.poll(A_MOMENT).await.expect("no error") {
                assert!(seen.insert((record.partition(), record.offset)));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn after_revoked_no_record_of_that_partition_is_handed_out() {
    for strategy in STRATEGIES {
        no_record_comes_after_its_revocation(strategy).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_is_called_again_in_the_next_poll() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 1).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&calls);
    let listener = Callbacks::new().on_assigned(move |_, _| {
        let call = counting.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            assert!(call > 0, "the first time");
            Ok(())
        })
    });
    let mut member = member(&broker, "range");
    member.subscribe_with(["t"], listener).expect("a topic");
    let polling = tokio::spawn(async move {
        let caught = futures_catch(&mut member).await;
        (member, caught)
    });
    let (mut member, caught) = polling.await.expect("the panic was caught");
    assert!(caught);
    assert_eq!(next_values(&mut member).await, ["0"]);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

/// Whether a poll of this member panics.
async fn futures_catch(member: &mut Reader) -> bool {
    let mut poll = Box::pin(member.poll(SOON));
    std::future::poll_fn(
        |cx| match std::panic::catch_unwind(AssertUnwindSafe(|| poll.as_mut().poll(cx))) {
            Ok(std::task::Poll::Pending) => std::task::Poll::Pending,
            Ok(std::task::Poll::Ready(_)) => std::task::Poll::Ready(false),
            Err(_) => std::task::Poll::Ready(true),
        },
    )
    .await
}

#[tokio::test(start_paused = true)]
async fn a_listener_may_commit_other_offsets_pause_and_resume() {
    let broker = broker("t", 2).await;
    fill(&broker, "t", 2, 0, 4).await;
    let listener = Callbacks::new()
        .on_assigned(|context, partitions| {
            Box::pin(async move {
                context.pause(partitions)?;
                context.resume(&partitions[1..])?;
                Ok(())
            })
        })
        .on_revoked(|context, partitions| {
            Box::pin(async move {
                let one = kohort::OffsetAndMetadata::new(1);
                let offsets = partitions
                    .iter()
                    .map(|partition| (partition.clone(), one.clone()));
                context.commit_sync_offsets(offsets, SOON).await?;
                Ok(())
            })
        });
    let mut reader = member(&broker, "range");
    reader.subscribe_with(["t"], listener).expect("a topic");
    assert_eq!(next_values(&mut reader).await, ["1", "3"]);
    assert_eq!(reader.paused(), [partition(0)]);
    reader.close(SOON).await.expect("it closes");
    let mut next = member(&broker, "range");
    let committed = next
        .committed([partition(0), partition(1)])
        .await
        .expect("an answer");
    let offsets: Vec<_> = committed
        .values()
        .map(|it| it.as_ref().map(|it| it.offset))
        .collect();
    assert_eq!(offsets, [Some(1), Some(1)]);
}

// Kafka: ConsumerRebalanceListener, "seek to the last saved offsets" and by offsetsForTimes
#[tokio::test(start_paused = true)]
async fn a_listener_may_seek_to_a_time_and_to_a_committed_offset_and_commit_without_waiting() {
    let broker = broker("t", 2).await;
    fill(&broker, "t", 2, 0, 4).await;
    let listener = Callbacks::new()
        .on_assigned(|context, partitions| {
            Box::pin(async move {
                let times = [(partitions[0].clone(), i64::MAX), (partitions[1].clone(), 0)];
                let found = context.offsets_for_times(times).await?;
                assert_eq!(found[&partitions[0]], None, "nothing is so young");
                let first = found[&partitions[1]].as_ref().expect("all are younger");
                assert_eq!(first.offset, 0);
                let mut second = kohort::OffsetAndMetadata::new(1);
                second.leader_epoch = Some(0);
                context.seek_committed(&partitions[1], second)?;
                context.pause(&partitions[..1])?;
                assert_eq!(context.paused(), partitions[..1]);
                Ok(())
            })
        })
        .on_revoked(|context, _| {
            context.commit_async();
            Box::pin(async { Ok(()) })
        });
    let mut reader = member(&broker, "range");
    reader.subscribe_with(["t"], listener).expect("a topic");
    assert_eq!(next_values(&mut reader).await, ["3"]);
    reader.close(SOON).await.expect("it closes");
    let mut next = member(&broker, "range");
    let committed = next.committed([partition(1)]).await.expect("an answer");
    assert_eq!(committed[&partition(1)].as_ref().map(|it| it.offset), Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_commit_after_a_poll_that_came_too_late_says_which_records_were_in_hand_for_how_long() {
    let broker = broker("t", 2).await;
    fill(&broker, "t", 2, 0, 20).await;
    let mut slow = consumer(&broker)
        .group_id("g")
        .enable_auto_commit(false)
        .max_poll_records(13)
        .max_poll_interval_ms(10_000)
        .build()
        .expect("valid settings");
    slow.subscribe(["t"]).expect("a topic");
    let mut in_hand = Vec::new();
    while in_hand.is_empty() {
        let records = slow.poll(SOON).await.expect("no error");
        in_hand.extend(
            records
                .into_iter()
                .map(|record| (record.partition(), record.offset)),
        );
    }
    tokio::time::sleep(Duration::from_secs(15)).await;
    let error = slow.commit_sync().await.expect_err("it left its group");
    let CommitError::PollIntervalExceeded(late) = error else {
        panic!("{error:?}");
    };
    assert_eq!(late.interval, Duration::from_secs(10));
    assert!((10..=12).contains(&late.idle.as_secs()), "{:?}", late.idle);
    let told: Vec<_> = late
        .in_hand
        .iter()
        .flat_map(|run| (run.first_offset..=run.last_offset).map(|offset| (run.partition.partition, offset)))
        .collect();
    assert_eq!(told, in_hand);
    assert_eq!((late.more_runs, late.records), (0, in_hand.len()));
    // Back in its group it commits as always.
    while slow.assignment().len() < 2 || slow.commit_sync().await.is_err() {
        slow.poll(A_MOMENT).await.expect("no error");
    }
    let journal = slow.rebalance_journal().ended();
    assert_eq!(journal.last().map(|last| &last.cause), Some(&Cause::PollExpired));
}

#[tokio::test(start_paused = true)]
async fn a_commit_after_a_poll_that_came_too_late_says_how_much_more_was_in_hand_than_it_names() {
    let broker = broker("t", 20).await;
    fill(&broker, "t", 20, 0, 40).await;
    let mut slow = consumer(&broker)
        .group_id("g")
        .enable_auto_commit(false)
        .max_poll_interval_ms(10_000)
        .build()
        .expect("valid settings");
    slow.subscribe(["t"]).expect("a topic");
    assert_eq!(next_values(&mut slow).await.len(), 40, "at once");
    tokio::time::sleep(Duration::from_secs(15)).await;
    let error = slow.commit_sync().await.expect_err("it left its group");
    let CommitError::PollIntervalExceeded(late) = error else {
        panic!("{error:?}");
    };
    assert_eq!((late.in_hand.len(), late.more_runs, late.records), (16, 4, 40));
}

// M14, M21: heartbeats are sent in the background
#[tokio::test(start_paused = true)]
async fn records_may_be_processed_for_longer_than_the_session() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 1).await;
    let mut reader = member(&broker, "range");
    reader.subscribe(["t"]).expect("a topic");
    assert_eq!(next_values(&mut reader).await, ["0"]);
    tokio::time::sleep(Duration::from_secs(250)).await;
    reader.commit_sync().await.expect("it is a member still");
    reader.poll(A_MOMENT).await.expect("no error");
    assert_eq!(reader.rebalance_journal().ended().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_journal_tells_why_each_rebalance_began_what_moved_and_how_long_partitions_were_not_read() {
    let broker = broker("t", 4).await;
    let mut first = member(&broker, "range");
    let slow = Callbacks::new().on_revoked(|_, _| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Ok(())
        })
    });
    first.subscribe_with(["t"], slow).expect("a topic");
    let journal = first.rebalance_journal();
    assert!(journal.ended().is_empty());
    settle(&mut [&mut first], &[4]).await;
    let mut second = member(&broker, "range");
    second.subscribe(["t"]).expect("a topic");
    settle(&mut [&mut first, &mut second], &[2, 2]).await;
    let ended = journal.ended();
    let [joined, shared] = &ended[..] else {
        panic!("{ended:?}");
    };
    assert_eq!(
        (joined.number, &joined.cause, joined.led()),
        (1, &Cause::FirstJoin, true)
    );
    assert_eq!(
        (joined.got.len(), joined.gave_up.len(), joined.pauses.len()),
        (4, 0, 0)
    );
    assert_eq!((shared.number, shared.outcome), (2, Outcome::Assigned));
    assert!(
        matches!(shared.cause, Cause::RebalanceInProgress { .. }),
        "{shared}"
    );
    assert_eq!(shared.gave_up.len(), 4);
    assert_eq!(shared.got, first.assignment());
    assert_eq!(shared.leader, joined.member_id);
    assert_eq!(shared.assignor.as_deref(), Some("range"));
    let giving_up = shared.phases.giving_up.expect("it was reached");
    assert!(giving_up >= Duration::from_secs(2), "{giving_up:?}");
    let paused: Vec<_> = shared
        .pauses
        .iter()
        .map(|(partition, _)| partition.clone())
        .collect();
    assert_eq!(paused, shared.got);
    for (partition, pause) in &shared.pauses {
        assert!(
            (Duration::from_secs(2)..=shared.duration).contains(pause),
            "{partition} {pause:?}"
        );
    }
    assert_eq!(journal.after(1), ended[1..]);
}
