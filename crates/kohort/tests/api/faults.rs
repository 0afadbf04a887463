//! Brokers that end and come back, connections that break or fall silent: poll neither spins nor hangs, nothing is lost, and
//! nothing comes twice but what was not committed.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kohort::consumer::{Callbacks, ConsumerBuilder};
use kohort::transport::Transport;
use kohort::{Admin, Consumer, TopicPartition};
use kohort_broker::{ApiKey, Broker, Fault, FaultRule};
use tokio::time::Instant;

use crate::support::{SOON, consumer, fill, next_values, partition, transport};

type Reader = Consumer<Option<String>, String>;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

async fn brokers(count: u16, partitions: i32) -> Broker {
    let builder = Broker::builder().brokers(count).topic("t", partitions);
    builder.start().await.expect("it starts")
}

fn member(broker: &Broker) -> ConsumerBuilder<Option<String>, String> {
    consumer(broker).group_id("g").enable_auto_commit(false)
}

fn subscribed(builder: ConsumerBuilder<Option<String>, String>) -> Reader {
    let mut member = builder.build().expect("valid settings");
    member.subscribe(["t"]).expect("a group and a topic");
    member
}

async fn stop(broker: &Broker, ids: impl IntoIterator<Item = i32>) {
    for id in ids {
        broker.stop_broker(id).await.expect("it runs");
    }
}

async fn start(broker: &Broker, ids: impl IntoIterator<Item = i32>) {
    for id in ids {
        broker.start_broker(id).await.expect("it is there");
    }
}

/// Polls for so long; what came, in order. No poll may fail.
async fn values_within(reader: &mut Reader, time: Duration) -> Vec<i32> {
    let end = Instant::now() + time;
    let mut values = Vec::new();
    while Instant::now() < end {
        let records = reader.poll(SECOND).await.expect("no error");
        values.extend(
            records
                .into_iter()
                .map(|record| record.value.parse::<i32>().expect("a number")),
        );
    }
    values
}

/// Polls until so many came.
async fn values(reader: &mut Reader, count: usize) -> Vec<i32> {
    let end = Instant::now() + 10 * MINUTE;
    let mut values = Vec::new();
    while values.len() < count {
        assert!(Instant::now() < end, "only {} of {count} came", values.len());
        values.extend(values_within(reader, SECOND).await);
    }
    values
}

fn sorted(mut values: Vec<i32>) -> Vec<i32> {
    values.sort_unstable();
    values
}

async fn committed(reader: &mut Reader, number: i32) -> Option<i64> {
    let committed = reader.committed([partition(number)]).await.expect("an answer");
    committed
        .get(&partition(number))
        .cloned()
        .flatten()
        .map(|it| it.offset)
}

/// A transport that counts the connections that are asked for.
fn counted(broker: &Broker) -> (Transport, Arc<AtomicU64>) {
    let (connector, count) = (broker.connector(), Arc::new(AtomicU64::new(0)));
    let counter = Arc::clone(&count);
    let transport = Transport::new(move |host: String, port| {
        counter.fetch_add(1, Ordering::Relaxed);
        let connector = connector.clone();
        async move { connector.connect(&host, port).await }
    });
    (transport, count)
}

#[tokio::test(start_paused = true)]
async fn a_reader_goes_on_after_its_broker_was_away() {
    let broker = brokers(1, 2).await;
    fill(&broker, "t", 2, 0, 50).await;
    let mut reader = consumer(&broker).build().expect("valid settings");
    reader.assign([partition(0), partition(1)]).expect("partitions");
    let mut read = values(&mut reader, 50).await;
    stop(&broker, [0]).await;
    assert!(values_within(&mut reader, MINUTE).await.is_empty());
    start(&broker, [0]).await;
    fill(&broker, "t", 2, 50, 50).await;
    read.extend(values(&mut reader, 50).await);
    read.extend(values_within(&mut reader, 5 * SECOND).await);
    assert_eq!(sorted(read), (0..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn records_are_read_again_soon_after_the_broker_is_back() {
    let broker = brokers(1, 1).await;
    let mut reader = subscribed(member(&broker));
    assert!(values_within(&mut reader, 2 * SECOND).await.is_empty());
    stop(&broker, [0]).await;
    values_within(&mut reader, 10 * MINUTE).await;
    start(&broker, [0]).await;
    fill(&broker, "t", 1, 0, 1).await;
    let back = Instant::now();
    assert_eq!(next_values(&mut reader).await, ["0"]);
    // reconnect.backoff.max.ms and retry.backoff.max.ms are 1 s each, with a fifth of jitter.
    assert!(back.elapsed() < 4 * SECOND, "{:?}", back.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_outage_costs_no_more_connections_and_turns_than_the_backoff_allows() {
    let broker = brokers(3, 6).await;
    fill(&broker, "t", 6, 0, 60).await;
    let (transport, connects) = counted(&broker);
    let mut reader = subscribed(member(&broker).enable_auto_commit(true).transport(transport));
    values(&mut reader, 60).await;
    stop(&broker, 0..3).await;
    // The backoff grows first.
    values_within(&mut reader, 10 * SECOND).await;
    let before = connects.load(Ordering::Relaxed);
    let mut turns = 0_u32;
    {
        let mut polling = pin!(reader.poll(10 * MINUTE));
        let records = poll_fn(|cx| {
            turns += 1;
            polling.as_mut().poll(cx)
        });
        assert!(records.await.expect("no error").is_empty());
    }
    let connects = connects.load(Ordering::Relaxed) - before;
    println!("10 minutes without a broker: {connects} connections asked for, {turns} turns of poll");
    // Three brokers for metadata, fetches and the coordinator, each at most every 0.8 s.
    assert!(connects <= 600 * 10 / 8 * 7, "{connects}");
    assert!(connects >= 300, "{connects}");
    assert!(turns <= 600 * 5, "{turns}");
}

#[tokio::test(start_paused = true)]
async fn a_synchronous_commit_waits_for_a_broker_that_is_away_and_then_is_written() {
    let broker = brokers(1, 1).await;
    fill(&broker, "t", 1, 0, 10).await;
    let mut reader = subscribed(member(&broker));
    values(&mut reader, 10).await;
    stop(&broker, [0]).await;
    let (committed_in, ()) = tokio::join!(
        async {
            let begin = Instant::now();
            reader.commit_sync().await.expect("within default.api.timeout.ms");
            begin.elapsed()
        },
        async {
            tokio::time::sleep(20 * SECOND).await;
            start(&broker, [0]).await;
        }
    );
    assert!(
        (20 * SECOND..25 * SECOND).contains(&committed_in),
        "{committed_in:?}"
    );
    assert_eq!(committed(&mut reader, 0).await, Some(10));
}

#[tokio::test(start_paused = true)]
async fn automatic_commits_go_on_after_the_broker_was_away() {
    let broker = brokers(1, 1).await;
    fill(&broker, "t", 1, 0, 10).await;
    let mut reader = subscribed(member(&broker).enable_auto_commit(true));
    values(&mut reader, 10).await;
    stop(&broker, [0]).await;
    values_within(&mut reader, 30 * SECOND).await;
    start(&broker, [0]).await;
    values_within(&mut reader, 10 * SECOND).await;
    assert_eq!(committed(&mut reader, 0).await, Some(10));
}

#[tokio::test(start_paused = true)]
async fn members_stay_in_their_group_over_a_restart_of_the_coordinator() {
    let broker = brokers(1, 2).await;
    let calls = Arc::new(Mutex::new(Vec::new()));
    let listener = |name: &'static str| {
        let calls = Arc::clone(&calls);
        let note = move |kind: &'static str| calls.lock().expect("no panic").push((name, kind));
        let (assigned, revoked, lost) = (note.clone(), note.clone(), note);
        Callbacks::new()
            .on_assigned(move |_, _| {
                assigned("assigned");
                Box::pin(async { Ok(()) })
            })
            .on_revoked(move |_, _| {
                revoked("revoked");
                Box::pin(async { Ok(()) })
            })
            .on_lost(move |_, _| {
                lost("lost");
                Box::pin(async { Ok(()) })
            })
    };
    let mut one = member(&broker).build().expect("valid settings");
    one.subscribe_with(["t"], listener("one"))
        .expect("a group and a topic");
    let mut two = member(&broker).build().expect("valid settings");
    two.subscribe_with(["t"], listener("two"))
        .expect("a group and a topic");
    let settle = 20 * SECOND;
    tokio::join!(values_within(&mut one, settle), values_within(&mut two, settle));
    calls.lock().expect("no panic").clear();
    stop(&broker, [0]).await;
    tokio::join!(values_within(&mut one, settle), values_within(&mut two, settle));
    start(&broker, [0]).await;
    fill(&broker, "t", 2, 0, 100).await;
    let (mut read, more) = tokio::join!(values_within(&mut one, settle), values_within(&mut two, settle));
    read.extend(more);
    assert_eq!(sorted(read), (0..100).collect::<Vec<_>>());
    let calls = std::mem::take(&mut *calls.lock().expect("no panic"));
    assert!(calls.is_empty(), "{calls:?}");
    for member in [one, two] {
        member.close(SOON).await.expect("it leaves");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_committed_after_each_poll_misses_nothing_over_restarts_and_doubles_only_what_was_not_committed()
 {
    let broker = brokers(1, 3).await;
    fill(&broker, "t", 3, 0, 900).await;
    let mut reader = subscribed(member(&broker).max_poll_records(50));
    let (mut committed, mut seen, mut doubled) = (BTreeSet::new(), BTreeSet::new(), 0);
    let mut turns = 0;
    let end = Instant::now() + 30 * MINUTE;
    while committed.len() < 900 {
        assert!(Instant::now() < end, "{} of 900", committed.len());
        let values: Vec<i32> = match reader.poll(SECOND).await {
            Ok(records) => records
                .into_iter()
                .map(|record| record.value.parse().expect("a number"))
                .collect(),
            Err(error) => panic!("{error}"),
        };
        for value in &values {
            assert!(!committed.contains(value), "{value} was committed and came again");
            doubled += u32::from(!seen.insert(*value));
        }
        turns += 1;
        // A member that has nothing has nothing to commit either.
        if turns % 5 == 0 && !values.is_empty() {
            stop(&broker, [0]).await;
            let back = tokio::time::sleep(7 * SECOND);
            let (written, ()) = tokio::join!(reader.commit_sync_timeout(SECOND), async {
                back.await;
                start(&broker, [0]).await;
            });
            written.expect_err("the broker is away");
            // Whoever takes its place begins at what is committed.
            drop(reader);
            reader = subscribed(member(&broker).max_poll_records(50));
        } else if reader.commit_sync().await.is_ok() {
            committed.extend(values);
        }
    }
    assert_eq!(
        committed.into_iter().collect::<Vec<_>>(),
        (0..900).collect::<Vec<_>>()
    );
    println!("{doubled} records came twice, none of them committed");
}

#[tokio::test(start_paused = true)]
async fn partitions_of_other_brokers_go_on_while_one_is_away_and_its_own_follow() {
    let broker = brokers(3, 3).await;
    let mut reader = consumer(&broker).build().expect("valid settings");
    reader.assign((0..3).map(partition)).expect("partitions");
    assert!(values_within(&mut reader, 2 * SECOND).await.is_empty());
    // A producer cannot write to what is away.
    fill(&broker, "t", 3, 0, 30).await;
    stop(&broker, [1]).await;
    let early = values_within(&mut reader, 30 * SECOND).await;
    let others: Vec<i32> = (0..30).filter(|value| early.contains(value)).collect();
    assert!(others.len() >= 20, "{others:?}");
    start(&broker, [1]).await;
    let mut read = early;
    read.extend(values_within(&mut reader, 10 * SECOND).await);
    assert_eq!(sorted(read), (0..30).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn connections_that_break_anywhere_lose_and_double_nothing() {
    let apis = [
        ApiKey::ApiVersions,
        ApiKey::Metadata,
        ApiKey::FindCoordinator,
        ApiKey::JoinGroup,
        ApiKey::SyncGroup,
        ApiKey::Heartbeat,
        ApiKey::OffsetFetch,
        ApiKey::ListOffsets,
        ApiKey::Fetch,
        ApiKey::OffsetCommit,
    ];
    for api in apis {
        for after in [0, 3, 20] {
            let broker = brokers(1, 2).await;
            fill(&broker, "t", 2, 0, 40).await;
            let rule = FaultRule {
                api: Some(api),
                skip: 0,
                times: 3,
                fault: Fault::Cut { after },
            };
            broker.inject(rule).await.expect("it runs");
            let mut reader = subscribed(member(&broker));
            let mut read = values(&mut reader, 40).await;
            reader
                .commit_sync()
                .await
                .unwrap_or_else(|error| panic!("{api} after {after}: {error}"));
            fill(&broker, "t", 2, 40, 40).await;
            read.extend(values(&mut reader, 40).await);
            read.extend(values_within(&mut reader, 2 * SECOND).await);
            assert_eq!(sorted(read), (0..80).collect::<Vec<_>>(), "{api} after {after}");
            assert_eq!(committed(&mut reader, 0).await, Some(20), "{api} after {after}");
            reader
                .close(SOON)
                .await
                .unwrap_or_else(|error| panic!("{api} after {after}: {error}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_falls_silent_with_its_connections_open_is_left_after_the_request_timeout() {
    let broker = brokers(1, 1).await;
    fill(&broker, "t", 1, 0, 10).await;
    let mut reader = subscribed(member(&broker));
    let mut read = values(&mut reader, 10).await;
    // The session ends meanwhile, so what is read goes on after what is committed.
    reader.commit_sync().await.expect("it is written");
    let silent = FaultRule {
        api: None,
        skip: 0,
        times: u32::MAX,
        fault: Fault::Drop,
    };
    broker.inject(silent).await.expect("it runs");
    assert!(values_within(&mut reader, 2 * MINUTE).await.is_empty());
    broker.clear_faults().await.expect("it runs");
    fill(&broker, "t", 1, 10, 10).await;
    let back = Instant::now();
    read.extend(values(&mut reader, 10).await);
    // The connection of the last silent request is given up after request.timeout.ms.
    assert!(back.elapsed() < 40 * SECOND, "{:?}", back.elapsed());
    assert_eq!(read, (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_topic_deleted_while_it_is_read_disturbs_no_other_and_costs_little() {
    let broker = brokers(1, 1).await;
    broker.create_topic("gone", 1).await.expect("a new topic");
    fill(&broker, "t", 1, 0, 10).await;
    fill(&broker, "gone", 1, 0, 10).await;
    let mut reader = consumer(&broker).build().expect("valid settings");
    reader
        .assign([partition(0), TopicPartition::new("gone", 0)])
        .expect("partitions");
    values(&mut reader, 20).await;
    let admin = Admin::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .transport(transport(&broker))
        .build()
        .expect("valid settings");
    admin.delete_topics(["gone"]).await.expect("it is deleted");
    fill(&broker, "t", 1, 10, 10).await;
    let soon = Instant::now();
    assert_eq!(values(&mut reader, 10).await, (10..20).collect::<Vec<_>>());
    assert!(soon.elapsed() < 3 * SECOND, "{:?}", soon.elapsed());
    let mut turns = 0_u32;
    {
        let mut polling = pin!(reader.poll(5 * MINUTE));
        let records = poll_fn(|cx| {
            turns += 1;
            polling.as_mut().poll(cx)
        });
        assert!(records.await.expect("no error").is_empty());
    }
    assert!(turns < 300 * 5, "{turns}");
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_topic_is_deleted_gives_it_up_and_reads_the_others() {
    let broker = brokers(1, 1).await;
    broker.create_topic("gone", 1).await.expect("a new topic");
    let mut reader = member(&broker)
        .set("metadata.max.age.ms", "5000")
        .set("allow.auto.create.topics", "false")
        .build()
        .expect("valid settings");
    reader.subscribe(["t", "gone"]).expect("a group and topics");
    values_within(&mut reader, 2 * SECOND).await;
    assert_eq!(reader.assignment().len(), 2);
    let admin = Admin::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .transport(transport(&broker))
        .build()
        .expect("valid settings");
    admin.delete_topics(["gone"]).await.expect("it is deleted");
    values_within(&mut reader, 30 * SECOND).await;
    assert_eq!(reader.assignment(), [partition(0)]);
    fill(&broker, "t", 1, 0, 10).await;
    assert_eq!(values(&mut reader, 10).await, (0..10).collect::<Vec<_>>());
}
