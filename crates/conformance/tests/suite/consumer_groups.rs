//! Groups: who reads what, when members come and go.

use std::collections::BTreeSet;

use kohort::consumer::PollError;
use kohort_conformance::unique;

use crate::broker_groups::describe;
use crate::consumer_setup::{
    A_MOMENT, Diary, SOON, built, member, new_topic, numbers, of_group, read, settle, soon, values, write,
};
use crate::setup::{create_topic, topic_ready, wire};

// Kafka: PlaintextConsumerTest.testClassicConsumerGroupConsumption
#[tokio::test]
async fn a_member_alone_reads_every_record_of_its_topics() {
    let (one, two) = (new_topic(2).await, new_topic(1).await);
    write(&one, 0, 0..5).await;
    write(&one, 1, 5..10).await;
    write(&two, 0, 10..15).await;
    let mut reader = built(of_group(&unique("group")));
    reader.subscribe([&*one, &*two]).expect("topics");
    let records = read(&mut reader, 15).await;
    let read: BTreeSet<i64> = records
        .iter()
        .map(|r| r.value.parse().expect("a number"))
        .collect();
    assert_eq!(read, (0..15).collect());
    assert_eq!(records.len(), 15, "none twice");
}

// Kafka: KafkaConsumer's documentation, "Consumer Groups and Topic Subscriptions"
#[tokio::test]
async fn each_of_two_groups_reads_every_record() {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..5).await;
    for group in [unique("group"), unique("group")] {
        let mut reader = member(&group, &topic);
        let records = read(&mut reader, 5).await;
        assert_eq!(values(&records), ["0", "1", "2", "3", "4"]);
        reader.commit_sync().await.expect("a commit of this group alone");
    }
}

// Kafka: PlaintextConsumerTest.testClassicConsumerGroupConsumptionWithTwoMembers
#[tokio::test]
async fn two_members_read_disjoint_partitions_and_together_all() {
    let (topic, group) = (new_topic(4).await, unique("group"));
    let mut members = [member(&group, &topic), member(&group, &topic)];
    settle(&mut members, |shares| {
        shares[0].len() == 2 && shares[1].len() == 2 && shares[0] != shares[1]
    })
    .await;
    for partition in 0..4 {
        write(&topic, partition, 0..3).await;
    }
    for member in &mut members {
        let own = numbers(member);
        let records = read(member, 6).await;
        assert!(records.iter().all(|record| own.contains(&record.partition())));
    }
}

// Kafka: RangeAssignorTest.testTwoConsumersOneTopicOnePartition
#[tokio::test]
async fn a_member_beyond_the_number_of_partitions_stays_idle_until_one_leaves() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    let mut members = vec![member(&group, &topic)];
    settle(&mut members, |shares| shares[0] == [0]).await;
    let diary = Diary::default();
    let mut late = built(of_group(&group));
    late.subscribe_with([&*topic], diary.listener("late"))
        .expect("a topic");
    members.push(late);
    // The member with the lower id gets the partition; wait until the newcomer was given its share, be it nothing.
    settle(&mut members, |shares| {
        !diary.lines().is_empty() && shares[0].len() + shares[1].len() == 1
    })
    .await;
    let busy = members.iter().position(|m| numbers(m) == [0]).expect("one reads");
    members.remove(busy).close(SOON).await.expect("it leaves");
    settle(&mut members, |shares| shares[0] == [0]).await;
}

// Kafka: PlaintextConsumerPollTest.runCloseClassicConsumerMultiConsumerSessionTimeoutTest
#[tokio::test]
async fn the_partitions_of_a_member_that_closes_go_to_the_others() {
    let (topic, group) = (new_topic(8).await, unique("group"));
    let mut members: Vec<_> = (0..3).map(|_| member(&group, &topic)).collect();
    let all = |shares: &[Vec<i32>]| {
        let together: BTreeSet<i32> = shares.iter().flatten().copied().collect();
        together.len() == 8 && shares.iter().map(Vec::len).sum::<usize>() == 8
    };
    settle(&mut members, |shares| {
        all(shares) && shares.iter().all(|share| share.len() >= 2)
    })
    .await;
    members
        .pop()
        .expect("three")
        .close(SOON)
        .await
        .expect("it leaves");
    settle(&mut members, |shares| {
        all(shares) && shares.iter().all(|share| share.len() == 4)
    })
    .await;
}

// Kafka: PlaintextConsumerPollTest.runClassicConsumerMultiConsumerSessionTimeoutTest, by session.timeout.ms
#[tokio::test]
async fn a_member_that_falls_silent_is_removed_after_its_session_timeout() {
    let (topic, group) = (new_topic(2).await, unique("group"));
    let (its_topic, its_group) = (topic.clone(), group.clone());
    // Its runtime ends before it does, so nothing is left that could send a heartbeat or leave.
    let silent = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let silent = runtime.block_on(async {
            let mut members = [built(of_group(&its_group).session_timeout_ms(6_000))];
            members[0].subscribe([&*its_topic]).expect("a topic");
            settle(&mut members, |shares| shares[0] == [0, 1]).await;
            members
        });
        drop(runtime);
        drop(silent);
    });
    tokio::task::spawn_blocking(move || silent.join())
        .await
        .expect("no panic")
        .expect("no panic");
    assert_eq!(describe(&group, 5).await.members.len(), 1, "it did not leave");
    let mut survivors = [member(&group, &topic)];
    settle(&mut survivors, |shares| shares[0] == [0, 1]).await;
    assert_eq!(describe(&group, 5).await.members.len(), 1);
}

// Kafka: PlaintextConsumerPollTest.testClassicConsumerMaxPollIntervalMs
#[tokio::test]
async fn a_member_that_does_not_poll_leaves_and_learns_of_it_when_it_polls_again() {
    let (topic, group) = (new_topic(2).await, unique("group"));
    let diary = Diary::default();
    let mut slow = built(of_group(&group).max_poll_interval_ms(1_000));
    slow.subscribe_with([&*topic], diary.listener("slow"))
        .expect("a topic");
    let mut members = vec![slow];
    settle(&mut members, |shares| shares[0] == [0, 1]).await;
    let mut others = vec![member(&group, &topic)];
    settle(&mut others, |shares| shares[0] == [0, 1]).await;
    members.append(&mut others);
    settle(&mut members, |shares| {
        shares[0].len() == 1 && shares[1].len() == 1
    })
    .await;
    let lines = diary.lines();
    assert_eq!(lines[..2], ["slow assigned [0, 1]", "slow lost [0, 1]"]);
    assert_eq!(lines.len(), 3, "{lines:?}");
}

// Kafka: PlaintextConsumerPollTest.testClassicConsumerMaxPollIntervalMsShorterThanPollTimeout
#[tokio::test]
async fn a_poll_that_waits_longer_than_max_poll_interval_ms_is_polling_all_the_time() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    let diary = Diary::default();
    let mut reader = built(of_group(&group).max_poll_interval_ms(500));
    reader
        .subscribe_with([&*topic], diary.listener("it"))
        .expect("a topic");
    let mut members = [reader];
    settle(&mut members, |shares| shares[0] == [0]).await;
    let records = members[0].poll(3 * std::time::Duration::from_millis(500)).await;
    assert!(records.expect("no error").is_empty());
    members[0].poll(A_MOMENT).await.expect("no error");
    assert_eq!(diary.lines(), ["it assigned [0]"]);
}

// Kafka: KafkaConsumer.subscribe, poll: the group is joined in poll
#[tokio::test]
async fn the_first_poll_joins_the_group_and_the_broker_sees_its_client_id_and_assignor() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    let mut reader = built(of_group(&group).client_id("till-7"));
    reader.subscribe([&*topic]).expect("a topic");
    assert_eq!(reader.subscription().len(), 1);
    assert!(reader.assignment().is_empty());
    assert!(
        describe(&group, 5).await.members.is_empty(),
        "subscribing alone joins nothing"
    );
    let mut members = [reader];
    settle(&mut members, |shares| shares[0] == [0]).await;
    let described = describe(&group, 5).await;
    assert_eq!(
        (
            &*described.group_state,
            &*described.protocol_type,
            &*described.protocol_data
        ),
        ("Stable", "consumer", "range")
    );
    let seen = &described.members[0];
    assert_eq!(seen.client_id, "till-7");
    assert!(seen.member_id.starts_with("till-7-"), "{}", seen.member_id);
}

// Kafka: ClassicKafkaConsumer.subscribeInternal, clearBufferedDataForUnassignedTopics
#[tokio::test]
async fn what_was_fetched_of_a_topic_that_is_not_subscribed_to_any_more_is_not_handed_out() {
    let (one, two) = (new_topic(1).await, new_topic(1).await);
    write(&one, 0, 0..20).await;
    write(&two, 0, 100..103).await;
    let mut reader = built(of_group(&unique("group")).max_poll_records(1));
    reader.subscribe([&*one]).expect("a topic");
    assert_eq!(read(&mut reader, 1).await.len(), 1, "the others are here as well");
    reader.subscribe([&*two]).expect("a topic");
    assert_eq!(values(&read(&mut reader, 3).await), ["100", "101", "102"]);
}

// Kafka: ConsumerBounceTest.testClassicSubscribeWhenTopicUnavailable
#[tokio::test]
async fn a_topic_that_is_created_after_it_was_subscribed_to_is_read() {
    let (topic, group) = (unique("later"), unique("group"));
    let settings = of_group(&group)
        .set("allow.auto.create.topics", "false")
        .metadata_max_age_ms(300);
    let mut members = [built(settings)];
    members[0].subscribe([&*topic]).expect("a topic");
    assert!(members[0].poll(A_MOMENT).await.expect("no error").is_empty());
    let mut wire = wire().await;
    let created = wire.call(5, create_topic(&topic, 2)).await;
    assert_eq!(created.topics[0].error_code, 0);
    topic_ready(&mut wire, &topic, 2).await;
    settle(&mut members, |shares| shares[0].len() == 2).await;
    write(&topic, 0, 0..3).await;
    assert_eq!(values(&read(&mut members[0], 3).await), ["0", "1", "2"]);
}

// Kafka: PlaintextConsumerSubscriptionTest.testClassicConsumerExpandingTopicSubscriptions
// and testClassicConsumerShrinkingTopicSubscriptions
#[tokio::test]
async fn a_changed_subscription_adds_and_removes_partitions() {
    let (one, two) = (new_topic(2).await, new_topic(3).await);
    let mut members = [built(of_group(&unique("group")))];
    members[0].subscribe([&*one]).expect("a topic");
    settle(&mut members, |shares| shares[0].len() == 2).await;
    members[0].subscribe([&*one, &*two]).expect("topics");
    settle(&mut members, |shares| shares[0].len() == 5).await;
    members[0].subscribe([&*two]).expect("a topic");
    settle(&mut members, |shares| shares[0].len() == 3).await;
    assert!(
        members[0]
            .assignment()
            .iter()
            .all(|partition| *partition.topic == *two)
    );
}

// Kafka: PlaintextConsumerSubscriptionTest.testClassicConsumerUnsubscribeTopic
#[tokio::test]
async fn unsubscribing_revokes_everything_and_leaves_the_group() {
    let (topic, group) = (new_topic(2).await, unique("group"));
    let diary = Diary::default();
    let mut members = [built(of_group(&group))];
    members[0]
        .subscribe_with([&*topic], diary.listener("it"))
        .expect("a topic");
    settle(&mut members, |shares| shares[0] == [0, 1]).await;
    soon("unsubscribing", members[0].unsubscribe())
        .await
        .expect("it leaves");
    assert!(members[0].assignment().is_empty());
    assert!(members[0].subscription().is_empty());
    assert_eq!(diary.lines(), ["it assigned [0, 1]", "it revoked [0, 1]"]);
    assert_eq!(describe(&group, 5).await.group_state, "Empty");
    assert!(matches!(
        members[0].poll(A_MOMENT).await,
        Err(PollError::NotSubscribed)
    ));
    members[0].subscribe([&*topic]).expect("a topic");
    settle(&mut members, |shares| shares[0] == [0, 1]).await;
}

// Kafka: PlaintextConsumerSubscriptionTest.testClassicConsumerSubscribeInvalidTopicCanUnsubscribe
// and testClassicConsumerSubscribeInvalidTopicCanClose
#[tokio::test]
async fn an_invalid_topic_name_fails_poll_and_unsubscribe_and_close_still_work() {
    use kohort::consumer::ReadError;
    let mut reader = member(&unique("group"), "not a topic");
    let error = crate::consumer_setup::failure(&mut reader).await;
    assert!(
        matches!(&error, PollError::Read(ReadError::InvalidTopics { topics }) if *topics[0] == *"not a topic"),
        "{error:?}"
    );
    soon("unsubscribing", reader.unsubscribe())
        .await
        .expect("it leaves");
    reader
        .subscribe(["not a topic"])
        .expect("the name is judged by the broker");
    soon("closing", reader.close(SOON)).await.expect("it closes");
}
