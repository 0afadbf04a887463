//! Members of a group: sharing, rebalances, listeners, leaving.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kohort::consumer::{
    CallbackResult, Callbacks, CloseError, PollError, RebalanceContext, RebalanceListener,
};
use kohort::{Consumer, TopicPartition};
use kohort_broker::Broker;
use tokio::time::Instant;

use crate::support::{Cable, SOON, broker, consumer, fill, next_values, partition};

type Reader = Consumer<Option<String>, String>;

fn member(broker: &Broker) -> Reader {
    let mut member = consumer(broker).group_id("g").build().expect("valid settings");
    member.subscribe(["t"]).expect("a group and a topic");
    member
}

/// Polls these members in turn until each has as many partitions as wanted.
async fn settle(members: &mut [&mut Reader], wanted: &[usize]) {
    let start = Instant::now();
    loop {
        for member in members.iter_mut() {
            member.poll(Duration::from_millis(20)).await.expect("no error");
        }
        let counts: Vec<usize> = members.iter().map(|member| member.assignment().len()).collect();
        if counts == wanted {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(400), "{counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_member_gets_everything() {
    let broker = broker("t", 3).await;
    fill(&broker, "t", 3, 0, 9).await;
    let mut member = member(&broker);
    let mut read = BTreeSet::new();
    while read.len() < 9 {
        read.extend(next_values(&mut member).await);
    }
    assert_eq!(member.assignment(), [partition(0), partition(1), partition(2)]);
    member.close(SOON).await.expect("it closes");
}

#[tokio::test(start_paused = true)]
async fn a_second_member_takes_its_share_and_the_first_goes_on_after_it_left() {
    let broker = broker("t", 4).await;
    let (mut first, mut second) = (member(&broker), member(&broker));
    settle(&mut [&mut first], &[4]).await;
    settle(&mut [&mut first, &mut second], &[2, 2]).await;
    let shared: BTreeSet<_> = first
        .assignment()
        .into_iter()
        .chain(second.assignment())
        .collect();
    assert_eq!(shared.len(), 4);
    second.close(SOON).await.expect("it closes");
    settle(&mut [&mut first], &[4]).await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_vanishes_is_missed_after_its_session_timeout() {
    let broker = broker("t", 2).await;
    let cable = Cable::new(&broker);
    let mut first = member(&broker);
    let mut second = consumer(&broker)
        .group_id("g")
        .transport(cable.transport())
        .build()
        .expect("valid settings");
    second.subscribe(["t"]).expect("a group and a topic");
    settle(&mut [&mut first, &mut second], &[1, 1]).await;
    let gone = Instant::now();
    cable.cut();
    settle(&mut [&mut first], &[2]).await;
    let missed = gone.elapsed().as_secs();
    assert!(
        (42..=48).contains(&missed),
        "session.timeout.ms is 45 s, not {missed} s"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dropped_member_leaves_in_the_background() {
    let broker = broker("t", 2).await;
    let (mut first, mut second) = (member(&broker), member(&broker));
    settle(&mut [&mut first, &mut second], &[1, 1]).await;
    let dropped = Instant::now();
    drop(second);
    settle(&mut [&mut first], &[2]).await;
    assert!(
        dropped.elapsed() < Duration::from_secs(10),
        "{:?}",
        dropped.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_member_that_does_not_poll_loses_its_partitions() {
    let broker = broker("t", 1).await;
    let lost = Arc::new(Mutex::new(Vec::new()));
    let mut slow = consumer(&broker)
        .group_id("g")
        .max_poll_interval_ms(10_000)
        .build()
        .expect("valid settings");
    let told = Arc::clone(&lost);
    let listener = Callbacks::new().on_lost(move |_, partitions| {
        told.lock().expect("no panic").extend(partitions.to_vec());
        Box::pin(std::future::ready(Ok(())))
    });
    slow.subscribe_with(["t"], listener).expect("a group and a topic");
    settle(&mut [&mut slow], &[1]).await;
    tokio::time::sleep(Duration::from_secs(15)).await;
    let mut other = member(&broker);
    let start = Instant::now();
    settle(&mut [&mut other], &[1]).await;
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "the slow one left by itself: {:?}",
        start.elapsed()
    );
    assert!(
        lost.lock().expect("no panic").is_empty(),
        "callbacks run inside of poll only"
    );
    slow.poll(Duration::from_millis(10)).await.expect("no error");
    assert_eq!(*lost.lock().expect("no panic"), [partition(0)]);
}

/// Writes down what it is told.
struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    fn note(&self, what: &str, partitions: &[TopicPartition]) {
        let names: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        self.0
            .lock()
            .expect("no panic")
            .push(format!("{what} {}", names.join(" ")));
    }
}

impl RebalanceListener for Journal {
    async fn assigned(
        &mut self,
        _: &mut RebalanceContext<'_>,
        partitions: &[TopicPartition],
    ) -> CallbackResult {
        self.note("assigned", partitions);
        Ok(())
    }

    async fn revoked(
        &mut self,
        context: &mut RebalanceContext<'_>,
        partitions: &[TopicPartition],
    ) -> CallbackResult {
        context.commit_sync().await?;
        self.note("revoked", partitions);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn the_listener_learns_of_each_rebalance_in_order_and_can_commit() {
    let broker = broker("t", 2).await;
    fill(&broker, "t", 2, 0, 4).await;
    let journal = Arc::new(Mutex::new(Vec::new()));
    let mut first = consumer(&broker)
        .group_id("g")
        .enable_auto_commit(false)
        .build()
        .expect("valid settings");
    first
        .subscribe_with(["t"], Journal(Arc::clone(&journal)))
        .expect("a group and a topic");
    settle(&mut [&mut first], &[2]).await;
    while first.position(&partition(0)).await.ok() != Some(2)
        || first.position(&partition(1)).await.ok() != Some(2)
    {
        first.poll(Duration::from_millis(20)).await.expect("no error");
    }
    let mut second = member(&broker);
    settle(&mut [&mut first, &mut second], &[1, 1]).await;
    let committed = first
        .committed([partition(0), partition(1)])
        .await
        .expect("an answer");
    assert!(
        committed
            .values()
            .all(|c| c.as_ref().is_some_and(|c| c.offset == 2)),
        "{committed:?}"
    );
    first.close(SOON).await.expect("it closes");
    let journal = journal.lock().expect("no panic").clone();
    let own = journal
        .last()
        .expect("it was told")
        .trim_start_matches("revoked ")
        .to_owned();
    assert_eq!(
        journal,
        [
            "assigned t-0 t-1".to_owned(),
            "revoked t-0 t-1".to_owned(),
            format!("assigned {own}"),
            format!("revoked {own}")
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_before_a_failing_assigned_succeeds_and_the_member_stays() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 1).await;
    let mut member = consumer(&broker).group_id("g").build().expect("valid settings");
    let is_away = Arc::new(Mutex::new(true));
    let database = Arc::clone(&is_away);
    let listener = Callbacks::new().on_assigned(move |_, partitions| {
        let found = match *database.lock().expect("no panic") {
            true => Err(format!("the database is away, {} waits", partitions[0]).into()),
            false => Ok(()),
        };
        Box::pin(std::future::ready(found))
    });
    member
        .subscribe_with(["t"], listener)
        .expect("a group and a topic");
    for _ in 0..50 {
        match member.poll(SOON).await {
            Err(PollError::Listener {
                callback: "assigned",
                source,
            }) => {
                assert_eq!(source.to_string(), "the database is away, t-0 waits");
            }
            other => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    *is_away.lock().expect("no panic") = false;
    assert_eq!(next_values(&mut member).await, ["0"]);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_whose_assigned_fails_closes() {
    let broker = broker("t", 1).await;
    let mut member = consumer(&broker).group_id("g").build().expect("valid settings");
    let listener = Callbacks::new().on_assigned(|_, _| Box::pin(std::future::ready(Err("away".into()))));
    member
        .subscribe_with(["t"], listener)
        .expect("a group and a topic");
    assert!(member.poll(SOON).await.is_err());
    let closed = member.close(SOON).await;
    assert!(
        matches!(
            closed,
            Err(CloseError::Listener {
                callback: "assigned",
                ..
            })
        ),
        "{closed:?}"
    );
    let mut other = self::member(&broker);
    settle(&mut [&mut other], &[1]).await;
}

// Kafka: AbstractCoordinator.close sends LeaveGroup even when its timer has run out
#[tokio::test(start_paused = true)]
async fn the_others_need_not_wait_for_the_session_of_one_whose_close_took_too_long() {
    let broker = broker("t", 1).await;
    let mut first = consumer(&broker).group_id("g").build().expect("valid settings");
    let listener = Callbacks::new().on_revoked(|_, _| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            Ok(())
        })
    });
    first
        .subscribe_with(["t"], listener)
        .expect("a group and a topic");
    settle(&mut [&mut first], &[1]).await;
    let began = tokio::time::Instant::now();
    let closing = tokio::spawn(first.close(Duration::from_secs(1)));
    let mut second = member(&broker);
    settle(&mut [&mut second], &[1]).await;
    let waited = began.elapsed();
    assert!(waited < Duration::from_secs(10), "{waited:?}");
    let closed = closing.await.expect("no panic");
    let Err(CloseError::Unfinished(unfinished)) = &closed else {
        panic!("{closed:?}");
    };
    assert!(unfinished.is_in_group, "the answer was not waited for");
}

#[tokio::test(start_paused = true)]
async fn a_revoked_that_fails_surfaces_once_and_the_rebalance_goes_on() {
    let broker = broker("t", 2).await;
    let mut first = consumer(&broker).group_id("g").build().expect("valid settings");
    let listener = Callbacks::new().on_revoked(|_, _| Box::pin(std::future::ready(Err("away".into()))));
    first
        .subscribe_with(["t"], listener)
        .expect("a group and a topic");
    settle(&mut [&mut first], &[2]).await;
    let mut second = member(&broker);
    let mut failures = 0;
    while first.assignment().len() != 1 || second.assignment().len() != 1 {
        second.poll(Duration::from_millis(20)).await.expect("no error");
        match first.poll(Duration::from_millis(20)).await {
            Ok(_) => {}
            Err(PollError::Listener {
                callback: "revoked", ..
            }) => failures += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(failures, 1);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_takes_longer_than_the_poll_interval_costs_the_membership() {
    let broker = broker("t", 2).await;
    let builder = || consumer(&broker).group_id("g").max_poll_interval_ms(20_000);
    let mut slow = builder().build().expect("valid settings");
    let listener = Callbacks::new().on_assigned(|_, _| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(300)).await;
            Ok(())
        })
    });
    slow.subscribe_with(["t"], listener).expect("a group and a topic");
    let stuck = tokio::spawn(async move { slow.poll(Duration::from_secs(400)).await.map(|_| ()) });
    tokio::time::sleep(Duration::from_secs(5)).await;
    let start = Instant::now();
    let mut other = builder().build().expect("valid settings");
    other.subscribe(["t"]).expect("a group and a topic");
    settle(&mut [&mut other], &[2]).await;
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    stuck.abort();
}

#[tokio::test(start_paused = true)]
async fn subscribing_without_a_listener_ends_the_earlier_one() {
    let broker = broker("t", 1).await;
    let mut member = consumer(&broker).group_id("g").build().expect("valid settings");
    let listener = Callbacks::new().on_assigned(|_, _| Box::pin(async { Err("not any more".into()) }));
    member
        .subscribe_with(["t"], listener)
        .expect("a group and a topic");
    member.subscribe(["t"]).expect("a group and a topic");
    settle(&mut [&mut member], &[1]).await;
}

#[tokio::test(start_paused = true)]
async fn the_listener_can_seek_before_anything_is_read() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 5).await;
    let mut member = consumer(&broker).group_id("g").build().expect("valid settings");
    let listener = Callbacks::new().on_assigned(|context, partitions| {
        Box::pin(async move {
            for partition in partitions {
                context.seek(partition, 3)?;
            }
            Ok(())
        })
    });
    member
        .subscribe_with(["t"], listener)
        .expect("a group and a topic");
    assert_eq!(next_values(&mut member).await, ["3", "4"]);
}

#[tokio::test(start_paused = true)]
async fn unsubscribing_leaves_the_group_and_runs_the_listener() {
    let broker = broker("t", 1).await;
    let journal = Arc::new(Mutex::new(Vec::new()));
    let mut member = consumer(&broker).group_id("g").build().expect("valid settings");
    member
        .subscribe_with(["t"], Journal(Arc::clone(&journal)))
        .expect("a group and a topic");
    settle(&mut [&mut member], &[1]).await;
    member.unsubscribe().await.expect("it leaves");
    assert!(member.assignment().is_empty());
    assert!(matches!(member.poll(SOON).await, Err(PollError::NotSubscribed)));
    assert_eq!(
        *journal.lock().expect("no panic"),
        ["assigned t-0", "revoked t-0"]
    );
    member
        .assign([partition(0)])
        .expect("nothing is subscribed any more");
}
