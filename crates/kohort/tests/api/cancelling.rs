//! What is dropped halfway: nothing is lost, and what was set in motion goes on.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use kohort::consumer::{CallbackResult, CommitError, ConsumerRecords, RebalanceContext, RebalanceListener};
use kohort::{Consumer, TopicPartition};
use kohort_broker::{ApiKey, Broker, Fault, FaultRule};
use tokio::time::Instant;

use crate::support::{SOON, broker, consumer, fill, next_values, partition};

type Reader = Consumer<Option<String>, String>;

fn member(broker: &Broker) -> Reader {
    let builder = consumer(broker)
        .group_id("g")
        .enable_auto_commit(false)
        .max_poll_records(2);
    let mut member = builder.build().expect("valid settings");
    member.subscribe(["t"]).expect("a group and a topic");
    member
}

/// Polls a future once and drops it.
fn begin(future: impl Future) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(pin!(future).poll(&mut cx).is_pending());
}

#[tokio::test(start_paused = true)]
async fn a_commit_dropped_halfway_can_be_given_again() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 4).await;
    let mut member = member(&broker);
    assert_eq!(next_values(&mut member).await, ["0", "1"]);
    begin(member.commit_sync());
    assert_eq!(next_values(&mut member).await, ["2", "3"]);
    member.commit_sync().await.expect("it is written");
    let committed = member.committed([partition(0)]).await.expect("an answer");
    assert_eq!(
        committed[&partition(0)]
            .as_ref()
            .map(|committed| committed.offset),
        Some(4)
    );
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_never_answered_ends_in_time() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 2).await;
    let mut member = member(&broker);
    assert_eq!(next_values(&mut member).await, ["0", "1"]);
    let never = FaultRule {
        api: Some(ApiKey::OffsetCommit),
        skip: 0,
        times: 1_000,
        fault: Fault::Drop,
    };
    broker.inject(never).await.expect("it runs");
    let start = Instant::now();
    let error = member
        .commit_sync_timeout(Duration::from_secs(7))
        .await
        .expect_err("nobody answers");
    assert!(
        matches!(error, CommitError::TimedOut { .. }) && error.is_retriable(),
        "{error:?}"
    );
    assert_eq!(start.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_close_dropped_halfway_goes_on_in_the_background() {
    let broker = broker("t", 2).await;
    let (mut first, mut second) = (member(&broker), member(&broker));
    while first.assignment().len() != 1 || second.assignment().len() != 1 {
        first.poll(Duration::from_millis(20)).await.expect("no error");
        second.poll(Duration::from_millis(20)).await.expect("no error");
    }
    let start = Instant::now();
    begin(second.close(SOON));
    while first.assignment().len() != 2 {
        first.poll(Duration::from_millis(20)).await.expect("no error");
    }
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
}

/// Takes its time, and counts how often it began and ended.
struct Slow {
    began: Arc<AtomicU32>,
    ended: Arc<AtomicU32>,
}

impl RebalanceListener for Slow {
    async fn assigned(&mut self, _: &mut RebalanceContext<'_>, _: &[TopicPartition]) -> CallbackResult {
        self.began.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(5)).await;
        self.ended.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_callback_dropped_halfway_runs_again_before_anything_is_read() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 2).await;
    let (began, ended) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let mut member = consumer(&broker).group_id("g").build().expect("valid settings");
    let slow = Slow {
        began: Arc::clone(&began),
        ended: Arc::clone(&ended),
    };
    member.subscribe_with(["t"], slow).expect("a group and a topic");
    let dropped = tokio::time::timeout(Duration::from_secs(3), member.poll(SOON)).await;
    assert!(dropped.is_err());
    assert_eq!(
        (began.load(Ordering::Relaxed), ended.load(Ordering::Relaxed)),
        (1, 0)
    );
    assert_eq!(next_values(&mut member).await, ["0", "1"]);
    assert_eq!(
        (began.load(Ordering::Relaxed), ended.load(Ordering::Relaxed)),
        (2, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn the_group_metadata_name_the_member_once_it_has_joined() {
    let broker = broker("t", 1).await;
    let mut member = member(&broker);
    assert_eq!(member.group_metadata().await.expect("an answer"), None);
    while member.assignment().is_empty() {
        member.poll(Duration::from_millis(20)).await.expect("no error");
    }
    let identity = member
        .group_metadata()
        .await
        .expect("an answer")
        .expect("it has joined");
    assert!(
        identity.generation > 0 && identity.member_id.starts_with("consumer-g-"),
        "{identity:?}"
    );
}

/// Where a future is dropped: after so many polls that found it waiting, either at once, or when it was woken and has not looked.
#[derive(Debug, Clone, Copy)]
struct Cut {
    polls: u32,
    is_woken: bool,
}

impl Cut {
    /// What the future gives if it is done before it is to be dropped.
    async fn run<F: Future>(self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut left = self.polls;
        poll_fn(|cx| {
            if left == 0 {
                return Poll::Ready(None);
            }
            left -= 1;
            match future.as_mut().poll(cx) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if left == 0 && !self.is_woken => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

/// Plays a scenario once for each point at which its future can be dropped, until that is done before it is dropped. The clock
/// is paused and the broker is in the same thread, so each play is the same up to there.
async fn everywhere<F: Future<Output = bool>>(scenario: impl Fn(Cut) -> F) {
    for is_woken in [false, true] {
        let mut polls = 0;
        while !scenario(Cut { polls, is_woken }).await {
            polls += 1;
            assert!(polls < 1_000, "it is never done");
        }
        assert!(polls > 0, "a future that is never polled cannot be done");
    }
}

/// Writes down what it was called for, when it is through with it. It commits what is revoked.
#[derive(Debug, Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }

    fn note(&self, what: &str, partitions: &[TopicPartition]) -> CallbackResult {
        let numbers: Vec<_> = partitions.iter().map(|it| it.partition).collect();
        self.0
            .lock()
            .expect("no panic")
            .push(format!("{what} {numbers:?}"));
        Ok(())
    }
}

impl RebalanceListener for Diary {
    async fn assigned(&mut self, _: &mut RebalanceContext<'_>, new: &[TopicPartition]) -> CallbackResult {
        tokio::task::yield_now().await;
        self.note("assigned", new)
    }

    async fn revoked(
        &mut self,
        context: &mut RebalanceContext<'_>,
        gone: &[TopicPartition],
    ) -> CallbackResult {
        context.commit_sync().await?;
        self.note("revoked", gone)
    }
}

/// A member that reads two records a poll, and its diary.
fn with_diary(broker: &Broker) -> (Reader, Diary) {
    let builder = consumer(broker)
        .group_id("g")
        .enable_auto_commit(false)
        .heartbeat_interval_ms(100)
        .max_poll_records(2);
    let mut member = builder.build().expect("valid settings");
    let diary = Diary::default();
    member
        .subscribe_with(["t"], diary.clone())
        .expect("a group and a topic");
    (member, diary)
}

/// The values that were returned, as numbers.
#[derive(Default)]
struct Read(Vec<i32>);

impl Read {
    fn add(&mut self, records: ConsumerRecords<Option<String>, String>) {
        let values = records.into_iter().map(|it| it.value.parse::<i32>());
        self.0.extend(values.map(|value| value.expect("a number")));
    }

    /// Polls until there are so many.
    async fn until(&mut self, count: usize, member: &mut Reader) {
        while self.0.len() < count {
            let records = member.poll(SOON).await.expect("no error");
            self.add(records);
        }
    }

    fn sorted(&self) -> Vec<i32> {
        let mut values = self.0.clone();
        values.sort_unstable();
        values
    }
}

async fn filled(partitions: i32, count: i32) -> Broker {
    let broker = broker("t", partitions).await;
    fill(&broker, "t", partitions, 0, count).await;
    broker
}

#[tokio::test(start_paused = true)]
async fn a_first_poll_dropped_anywhere_loses_and_doubles_no_record_assignment_or_callback() {
    everywhere(|cut| async move {
        let broker = filled(2, 10).await;
        let (mut member, diary) = with_diary(&broker);
        let mut read = Read::default();
        let polled = cut.run(member.poll(SOON)).await;
        let is_done = polled.is_some();
        if let Some(records) = polled {
            read.add(records.expect("no error"));
        }
        read.until(10, &mut member).await;
        let more = member.poll(Duration::from_secs(1)).await.expect("no error");
        assert!(more.is_empty());
        assert_eq!(read.sorted(), (0..10).collect::<Vec<_>>(), "{cut:?}");
        assert_eq!(member.assignment(), [partition(0), partition(1)]);
        assert_eq!(diary.lines(), ["assigned [0, 1]"], "{cut:?}");
        member.close(SOON).await.expect("it leaves");
        assert_eq!(diary.lines(), ["assigned [0, 1]", "revoked [0, 1]"], "{cut:?}");
        is_done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn polls_of_a_rebalance_dropped_anywhere_lose_and_double_nothing() {
    everywhere(|cut| async move {
        let broker = filled(2, 20).await;
        let (mut first, diary) = with_diary(&broker);
        let mut read = Read::default();
        read.until(4, &mut first).await;
        let (mut second, _) = with_diary(&broker);
        // The second joins, so that the first hears of it in its next polls; each is dropped in the same place, but if it were
        // dropped at once for ever nothing would happen.
        let mut is_done = true;
        for turn in 0..200 {
            let polled = second.poll(Duration::from_millis(10)).await.expect("no error");
            read.add(polled);
            let cut = if turn < 50 {
                cut
            } else {
                Cut { polls: 1_000, ..cut }
            };
            match cut.run(first.poll(Duration::from_millis(10))).await {
                Some(records) => read.add(records.expect("no error")),
                None => {
                    is_done = false;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
        assert_eq!(read.sorted(), (0..20).collect::<Vec<_>>(), "{cut:?}");
        assert_eq!((first.assignment().len(), second.assignment().len()), (1, 1));
        let lines = diary.lines();
        assert_eq!(
            (lines[0].as_str(), lines[1].as_str(), lines.len()),
            ("assigned [0, 1]", "revoked [0, 1]", 3),
            "{cut:?}: {lines:?}"
        );
        is_done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_callback_of_a_commit_runs_once_wherever_polls_are_dropped() {
    everywhere(|cut| async move {
        let broker = filled(1, 4).await;
        let mut member = member(&broker);
        let mut read = Read::default();
        read.until(2, &mut member).await;
        let calls = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&calls);
        member.commit_async_with(move |_, result| {
            result.expect("it is written");
            count.fetch_add(1, Ordering::Relaxed);
        });
        let polled = cut.run(member.poll(SOON)).await;
        let is_done = polled.is_some();
        if let Some(records) = polled {
            read.add(records.expect("no error"));
        }
        read.until(4, &mut member).await;
        member.poll(Duration::from_secs(1)).await.expect("no error");
        assert_eq!(calls.load(Ordering::Relaxed), 1, "{cut:?}");
        assert_eq!(read.sorted(), [0, 1, 2, 3]);
        is_done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_dropped_anywhere_is_written_or_not_and_the_next_one_is() {
    everywhere(|cut| async move {
        let broker = filled(1, 6).await;
        let mut member = member(&broker);
        let mut read = Read::default();
        read.until(2, &mut member).await;
        let is_done = match cut.run(member.commit_sync()).await {
            Some(committed) => committed.is_ok(),
            None => false,
        };
        let at = committed(&mut member).await;
        match is_done {
            true => assert_eq!(at, Some(2)),
            false => assert!(at.is_none() || at == Some(2), "{cut:?}: {at:?}"),
        }
        read.until(4, &mut member).await;
        member.commit_sync().await.expect("it is written");
        assert_eq!(committed(&mut member).await, Some(4), "{cut:?}");
        read.until(6, &mut member).await;
        assert_eq!(read.0, [0, 1, 2, 3, 4, 5]);
        is_done
    })
    .await;
}

async fn committed(member: &mut Reader) -> Option<i64> {
    let mut answer = member.committed([partition(0)]).await.expect("an answer");
    let committed = answer.remove(&partition(0)).flatten();
    committed.map(|committed| committed.offset)
}

/// A question dropped anywhere is answered when it is asked again, and reading goes on.
macro_rules! question {
    ($name:ident, |$member:ident| $ask:expr, $expected:expr) => {
        #[tokio::test(start_paused = true)]
        async fn $name() {
            everywhere(|cut| async move {
                let broker = filled(1, 4).await;
                let mut $member = consumer(&broker)
                    .group_id("g")
                    .max_poll_records(2)
                    .build()
                    .expect("valid settings");
                $member.assign([partition(0)]).expect("a partition");
                let is_done = cut.run($ask).await.is_some();
                assert_eq!($ask.await.expect("an answer"), $expected, "{cut:?}");
                let mut read = Read::default();
                read.until(4, &mut $member).await;
                assert_eq!(read.0, [0, 1, 2, 3], "{cut:?}");
                is_done
            })
            .await;
        }
    };
}

question!(
    a_question_for_a_position_can_be_dropped_anywhere,
    |member| member.position(&partition(0)),
    0
);
question!(
    a_question_for_committed_offsets_can_be_dropped_anywhere,
    |member| member.committed([partition(0)]),
    BTreeMap::from([(partition(0), None)])
);
question!(
    a_question_for_the_ends_can_be_dropped_anywhere,
    |member| member.end_offsets([partition(0)]),
    BTreeMap::from([(partition(0), 4)])
);
question!(
    a_question_for_the_beginnings_can_be_dropped_anywhere,
    |member| member.beginning_offsets([partition(0)]),
    BTreeMap::from([(partition(0), 0)])
);
question!(
    a_question_for_offsets_by_time_can_be_dropped_anywhere,
    |member| async {
        let found = member.offsets_for_times([(partition(0), 0)]).await;
        found.map(|found| found[&partition(0)].map(|found| found.offset))
    },
    Some(0)
);
question!(
    a_question_for_partitions_can_be_dropped_anywhere,
    |member| async {
        let found = member.partitions_for("t").await;
        found.map(|found| found.len())
    },
    1
);
question!(
    a_question_for_all_topics_can_be_dropped_anywhere,
    |member| async {
        let found = member.list_topics().await;
        found.map(|found| found.keys().filter(|topic| &***topic == "t").count())
    },
    1
);
question!(
    a_question_for_the_group_metadata_can_be_dropped_anywhere,
    |member| member.group_metadata(),
    None
);

#[tokio::test(start_paused = true)]
async fn unsubscribing_dropped_anywhere_can_be_done_again_and_the_next_subscription_reads_everything() {
    everywhere(|cut| async move {
        let broker = filled(1, 4).await;
        let (mut member, diary) = with_diary(&broker);
        let mut read = Read::default();
        read.until(2, &mut member).await;
        let is_done = cut.run(member.unsubscribe()).await.is_some();
        member.unsubscribe().await.expect("it leaves");
        assert!(member.assignment().is_empty() && member.subscription().is_empty());
        let revoked = diary
            .lines()
            .iter()
            .filter(|line| line.starts_with("revoked"))
            .count();
        assert_eq!(revoked, 1, "{cut:?}");
        member.subscribe(["t"]).expect("a group and a topic");
        // The listener committed the first two.
        read.until(4, &mut member).await;
        assert_eq!(read.0, [0, 1, 2, 3], "{cut:?}");
        is_done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_close_dropped_anywhere_leaves_the_group_and_no_record_is_lost() {
    everywhere(|cut| async move {
        let broker = filled(1, 4).await;
        let builder = consumer(&broker).group_id("g").max_poll_records(2);
        let mut first = builder.build().expect("valid settings");
        let diary = Diary::default();
        first
            .subscribe_with(["t"], diary.clone())
            .expect("a group and a topic");
        let mut read = Read::default();
        read.until(2, &mut first).await;
        let closed = cut.run(first.close(SOON)).await;
        let is_done = closed.is_some();
        if let Some(closed) = closed {
            closed.expect("it commits and leaves");
        }
        let revoked = diary
            .lines()
            .iter()
            .filter(|line| line.starts_with("revoked"))
            .count();
        assert!(revoked <= 1, "{cut:?}");
        let start = Instant::now();
        let mut second = member(&broker);
        let mut rest = Read::default();
        while rest.0.last() != Some(&3) {
            let records = second.poll(SOON).await.expect("no error");
            rest.add(records);
        }
        // Not after the session's 45 s.
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{cut:?}: {:?}",
            start.elapsed()
        );
        // What was not committed comes again.
        let all = [0, 1, 2, 3];
        assert!(
            rest.0 == all[2..] || (!is_done && rest.0 == all),
            "{cut:?}: {:?}",
            rest.0
        );
        is_done
    })
    .await;
}
