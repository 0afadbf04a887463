//! Subscribing by pattern: which topics match, and what happens when topics come and go.

use std::time::Duration;

use kohort::TopicPartition;
use kohort::consumer::{ConsumerBuilder, SubscribeError};
use kohort_conformance::{cluster, unique};

use crate::consumer_setup::{
    A_MOMENT, Diary, Reader, built, delete_topic, identity, of_group, partitions, read, settings, settle,
    soon, values, write,
};
use crate::setup::{create_topic, topic_ready, wire};

/// Creates topics of these names.
async fn create(names: &[String], partitions: i32) {
    let mut wire = wire().await;
    for name in names {
        let created = wire.call(5, create_topic(name, partitions)).await;
        assert_eq!(created.topics[0].error_code, 0, "{name}");
        topic_ready(&mut wire, name, partitions).await;
    }
}

/// A member's settings, with metadata that are soon old.
fn looking_often(group: &str) -> ConsumerBuilder<Option<String>, String> {
    of_group(group).metadata_max_age_ms(300)
}

fn reader(pattern: &str) -> Reader {
    let mut reader = built(looking_often(&unique("group")));
    reader.subscribe_pattern(pattern).expect("a pattern");
    reader
}

/// Polls until the consumer has exactly these partitions; it must have no records meanwhile.
async fn until_assigned(reader: &mut Reader, mut wanted: Vec<TopicPartition>) {
    wanted.sort();
    let polling = async {
        loop {
            let mut has = reader.assignment();
            has.sort();
            if has == wanted {
                return;
            }
            assert!(reader.poll(A_MOMENT).await.expect("no error").is_empty());
        }
    };
    soon("the assignment", polling).await;
}

// Kafka: PlaintextConsumerSubscriptionTest.testClassicConsumerPatternSubscription
#[tokio::test]
async fn topics_that_match_as_a_whole_are_read_and_no_others() {
    let name = unique("purchase");
    let [plain, more, before] = [name.clone(), format!("{name}.eu"), format!("my-{name}")];
    create(&[plain.clone(), more.clone(), before.clone()], 1).await;
    for (topic, value) in [(&plain, 1), (&more, 2), (&before, 3)] {
        write(topic, 0, value..value + 1).await;
    }
    let mut reader = reader(&format!("{name}.*"));
    let records = read(&mut reader, 2).await;
    let mut values = values(&records);
    values.sort_unstable();
    assert_eq!(values, ["1", "2"]);
    assert_eq!(reader.subscription(), [(&*plain).into(), (&*more).into()]);
    assert_eq!(
        reader.assignment(),
        [partitions(&plain, 0..1), partitions(&more, 0..1)].concat()
    );
}

// Kafka: PlaintextConsumerSubscriptionTest.testClassicConsumerSubsequentPatternSubscription
#[tokio::test]
async fn a_topic_created_later_is_read_from_its_beginning() {
    let name = unique("later");
    let [first, second] = [format!("{name}-1"), format!("{name}-2")];
    create(std::slice::from_ref(&first), 2).await;
    let mut reader = reader(&format!("{name}-[0-9]"));
    until_assigned(&mut reader, partitions(&first, 0..2)).await;
    create(std::slice::from_ref(&second), 2).await;
    write(&second, 1, 0..3).await;
    let records = read(&mut reader, 3).await;
    assert_eq!(values(&records), ["0", "1", "2"]);
    assert_eq!(
        reader.assignment(),
        [partitions(&first, 0..2), partitions(&second, 0..2)].concat()
    );
}

#[tokio::test]
async fn a_topic_that_is_deleted_is_given_up() {
    let name = unique("deleted");
    let [first, second] = [format!("{name}-1"), format!("{name}-2")];
    create(&[first.clone(), second.clone()], 1).await;
    let mut reader = reader(&format!("{name}-[0-9]"));
    until_assigned(
        &mut reader,
        [partitions(&first, 0..1), partitions(&second, 0..1)].concat(),
    )
    .await;
    delete_topic(&second).await;
    until_assigned(&mut reader, partitions(&first, 0..1)).await;
    assert_eq!(reader.subscription(), [(&*first).into()]);
    write(&first, 0, 0..1).await;
    assert_eq!(values(&read(&mut reader, 1).await), ["0"]);
}

#[tokio::test]
async fn a_pattern_that_matches_nothing_yet_joins_and_gets_what_comes() {
    let name = unique("nothing");
    let diary = Diary::default();
    let mut reader = built(looking_often(&unique("group")));
    reader
        .subscribe_pattern_with(&name, diary.listener("m"))
        .expect("a pattern");
    let joining = async {
        while diary.lines().is_empty() {
            reader.poll(A_MOMENT).await.expect("no error");
        }
    };
    soon("the first assignment", joining).await;
    assert_eq!(diary.lines(), ["m assigned []"]);
    create(std::slice::from_ref(&name), 1).await;
    until_assigned(&mut reader, partitions(&name, 0..1)).await;
}

// Kafka: PlaintextConsumerSubscriptionTest.testClassicConsumerPatternUnsubscription
#[tokio::test]
async fn unsubscribing_ends_it_and_a_list_or_partitions_may_follow() {
    let name = unique("unsubscribe");
    create(std::slice::from_ref(&name), 1).await;
    write(&name, 0, 0..2).await;
    let mut reader = reader(&name);
    assert_eq!(
        reader.subscribe(["other"]),
        Err(SubscribeError::Exclusive),
        "a list needs unsubscribe"
    );
    assert_eq!(
        reader.assign(partitions(&name, 0..1)),
        Err(SubscribeError::Exclusive)
    );
    read(&mut reader, 2).await;
    reader.unsubscribe().await.expect("it leaves");
    assert!(reader.subscription().is_empty() && reader.assignment().is_empty());
    assert_eq!(
        reader
            .subscribe_pattern("[")
            .map_err(|error| error.is_retriable()),
        Err(false)
    );
    reader.assign(partitions(&name, 0..1)).expect("partitions");
    assert_eq!(values(&read(&mut reader, 2).await), ["0", "1"]);
}

#[tokio::test]
async fn two_members_share_what_matches() {
    let name = unique("shared");
    let [first, second] = [format!("{name}-1"), format!("{name}-2")];
    create(&[first.clone(), second.clone()], 2).await;
    let group = unique("group");
    let mut members = [built(looking_often(&group)), built(looking_often(&group))];
    for member in &mut members {
        member.subscribe_pattern(&format!("{name}.*")).expect("a pattern");
    }
    let joining = async {
        while members.iter().any(|member| member.assignment().len() != 2) {
            for member in &mut members {
                member.poll(A_MOMENT).await.expect("no error");
            }
        }
    };
    soon("two partitions each", joining).await;
    let [one, two] = &members;
    assert!(one.assignment().iter().all(|it| !two.assignment().contains(it)));
}

// Kafka: ConsumerCoordinator.poll, "For consumer group that uses pattern-based subscription"
#[tokio::test]
async fn a_topic_that_one_member_notices_is_shared_by_the_whole_group_in_one_rebalance() {
    let name = unique("noticed");
    let [first, second] = [format!("{name}-1"), format!("{name}-2")];
    create(std::slice::from_ref(&first), 3).await;
    let group = unique("group");
    let mut members = [
        built(looking_often(&group)),
        built(of_group(&group)),
        built(of_group(&group)),
    ];
    for member in &mut members {
        member.subscribe_pattern(&format!("{name}.*")).expect("a pattern");
    }
    let have = |count: usize| move |shares: &[Vec<i32>]| shares.iter().all(|share| share.len() == count);
    settle(&mut members, have(1)).await;
    let (before, _) = identity(&mut members[1]).await;
    create(std::slice::from_ref(&second), 3).await;
    settle(&mut members, have(2)).await;
    let (after, _) = identity(&mut members[1]).await;
    assert_eq!(after, before + 1);
}

// Kafka: PlaintextConsumerTest, exclude.internal.topics
#[tokio::test]
async fn kafkas_own_topics_match_only_when_that_is_wanted() {
    // A group that has committed makes the topic be there.
    let mut member = built(of_group(&unique("group")));
    let topic = unique("internal");
    create(std::slice::from_ref(&topic), 1).await;
    member.assign(partitions(&topic, 0..1)).expect("partitions");
    let offset = (TopicPartition::new(&*topic, 0), kohort::OffsetAndMetadata::new(0));
    soon("a commit", member.commit_sync_offsets([offset]))
        .await
        .expect("it is written");
    let pattern = format!("__consumer_offsets|{topic}");
    for (excludes, expected) in [(true, 1), (false, 2)] {
        let builder = looking_often(&unique("group")).exclude_internal_topics(excludes);
        let mut reader = built(builder);
        reader.subscribe_pattern(&pattern).expect("a pattern");
        let joining = async {
            while reader.assignment().is_empty() {
                // Kafka's own records are no text.
                reader.poll_raw(A_MOMENT).await.expect("no error");
            }
        };
        soon("an assignment", joining).await;
        assert_eq!(reader.subscription().len(), expected, "excludes: {excludes}");
    }
}

#[tokio::test]
async fn a_pattern_needs_a_group() {
    let mut reader = built(settings());
    assert_eq!(reader.subscribe_pattern("a.*"), Err(SubscribeError::NoGroup));
}

#[test]
fn the_blocking_consumer_subscribes_by_pattern_too() {
    let name = unique("blocking");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        create(std::slice::from_ref(&name), 1).await;
        write(&name, 0, 0..2).await;
    });
    let mut reader = kohort::Consumer::<Option<String>, String>::builder()
        .bootstrap_servers(&*cluster().bootstrap)
        .group_id(unique("group"))
        .set("auto.offset.reset", "earliest")
        .build_blocking()
        .expect("valid settings");
    reader.subscribe_pattern(&name).expect("a pattern");
    let began = std::time::Instant::now();
    let mut read = Vec::new();
    while read.len() < 2 && began.elapsed() < Duration::from_secs(20) {
        read.extend(reader.poll(Duration::from_secs(1)).expect("no error"));
    }
    assert_eq!(values(&read), ["0", "1"]);
    assert_eq!(reader.subscription(), [(&*name).into()]);
    reader.close(Duration::from_secs(10)).expect("it leaves");
}

// Kafka: PlaintextConsumerSubscriptionTest.testClassicConsumerSubsequentPatternSubscription
#[tokio::test]
async fn another_pattern_replaces_the_first() {
    let name = unique("replaced");
    let [first, second] = [format!("{name}-1"), format!("{name}-2")];
    create(&[first.clone(), second.clone()], 1).await;
    let mut reader = reader(&first);
    until_assigned(&mut reader, partitions(&first, 0..1)).await;
    reader.subscribe_pattern(&second).expect("a pattern");
    until_assigned(&mut reader, partitions(&second, 0..1)).await;
    assert_eq!(reader.subscription(), [(&*second).into()]);
}
