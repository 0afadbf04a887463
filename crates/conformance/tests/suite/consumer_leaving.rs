//! Leaving the loop: wakeup, close, drop.

use std::time::{Duration, Instant};

use kohort::consumer::{LeaveGroup, PollError};
use kohort_conformance::unique;

use crate::broker_groups::describe;
use crate::consumer_setup::{
    A_MOMENT, SOON, built, member, new_topic, of_group, offsets, read, settings, settle, soon, standalone,
    write,
};

// Kafka: KafkaConsumer.wakeup
#[tokio::test]
async fn wakeup_from_another_thread_ends_the_waiting_poll_once() {
    let topic = new_topic(1).await;
    let mut reader = standalone(&topic, 0..1);
    assert!(reader.poll(A_MOMENT).await.expect("no error").is_empty());
    let wakeup = reader.wakeup_handle();
    let waker = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        wakeup.wakeup();
    });
    let woken = soon("the wakeup", reader.poll(Duration::from_secs(3_600))).await;
    assert!(matches!(woken, Err(PollError::Wakeup)), "{woken:?}");
    waker.join().expect("no panic");
    assert!(reader.poll(A_MOMENT).await.expect("once").is_empty());
}

// Kafka: KafkaConsumer.wakeup: without a waiting poll the next one is woken
#[tokio::test]
async fn wakeup_before_a_poll_ends_the_next_one_and_loses_no_record() {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..3).await;
    let mut reader = standalone(&topic, 0..1);
    for _ in 0..3 {
        reader.wakeup_handle().wakeup();
    }
    assert!(matches!(reader.poll(SOON).await, Err(PollError::Wakeup)));
    assert_eq!(offsets(&read(&mut reader, 3).await), [0, 1, 2]);
}

// Kafka: ClassicKafkaConsumer.poll: wakeup during a join leaves the join under way
#[tokio::test]
async fn wakeup_while_the_group_is_joined_does_not_undo_the_join() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    write(&topic, 0, 0..3).await;
    let mut reader = member(&group, &topic);
    let wakeup = reader.wakeup_handle();
    for _ in 0..5 {
        wakeup.wakeup();
        assert!(matches!(reader.poll(SOON).await, Err(PollError::Wakeup)));
        reader.poll(Duration::from_millis(1)).await.expect("once");
    }
    reader
        .seek_to_beginning(&reader.assignment())
        .expect("assigned, or nothing");
    assert_eq!(offsets(&read(&mut reader, 3).await), [0, 1, 2]);
    assert_eq!(describe(&group, 5).await.members.len(), 1);
}

// Kafka: ConsumerCoordinator.close, AbstractCoordinator.maybeLeaveGroup
#[tokio::test]
async fn close_leaves_at_once_so_that_others_go_on_long_before_the_session_timeout() {
    let (topic, group) = (new_topic(2).await, unique("group"));
    let mut members = vec![member(&group, &topic), member(&group, &topic)];
    settle(&mut members, |shares| {
        shares[0].len() == 1 && shares[1].len() == 1
    })
    .await;
    let began = Instant::now();
    members.remove(0).close(SOON).await.expect("it leaves");
    settle(&mut members, |shares| shares[0] == [0, 1]).await;
    // The session time-out is Kafka's default of 45 s.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(describe(&group, 5).await.members.len(), 1);
}

// Kafka: PlaintextConsumerCloseTest.testClassicCloseDuringRebalance
#[tokio::test]
async fn close_in_the_middle_of_a_rebalance_takes_no_time_and_the_others_go_on() {
    let (topic, group) = (new_topic(2).await, unique("group"));
    let mut members = vec![member(&group, &topic)];
    settle(&mut members, |shares| shares[0] == [0, 1]).await;
    // A newcomer's join waits for the member that is not polled, and so has not joined again.
    let mut newcomer = member(&group, &topic);
    newcomer.poll(Duration::from_millis(1)).await.expect("no error");
    let began = Instant::now();
    while describe(&group, 5).await.group_state != "PreparingRebalance" {
        newcomer.poll(A_MOMENT).await.expect("no error");
        assert!(began.elapsed() < SOON, "the newcomer does not join");
    }
    let began = Instant::now();
    newcomer.close(SOON).await.expect("it leaves");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    // The rebalance goes on without it, and ends.
    loop {
        members[0].poll(A_MOMENT).await.expect("no error");
        let described = describe(&group, 5).await;
        if described.group_state == "Stable" && described.members.len() == 1 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(15), "{described:?}");
    }
    settle(&mut members, |shares| shares[0] == [0, 1]).await;
}

// KIP-1092: CloseOptions.GroupMembershipOperation
#[tokio::test]
async fn close_may_leave_the_membership_as_it_is() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    let mut members = vec![member(&group, &topic)];
    settle(&mut members, |shares| shares[0] == [0]).await;
    let member = members.pop().expect("one");
    soon("closing", member.close_with(SOON, LeaveGroup::Remain))
        .await
        .expect("it closes");
    let described = describe(&group, 5).await;
    assert_eq!((&*described.group_state, described.members.len()), ("Stable", 1));
}

// Kafka: AbstractCoordinator.maybeLeaveGroup: a static member does not leave when it closes (KIP-345)
#[tokio::test]
async fn a_static_member_stays_when_it_closes_and_takes_its_partitions_up_again() {
    let (topic, group) = (new_topic(2).await, unique("group"));
    let fixed = |name: &str| {
        let mut member = built(of_group(&group).group_instance_id(name));
        member.subscribe([&*topic]).expect("a topic");
        member
    };
    let mut members = vec![fixed("one"), fixed("two")];
    settle(&mut members, |shares| shares[0] == [0] && shares[1] == [1]).await;
    members.pop().expect("two").close(SOON).await.expect("it closes");
    assert_eq!(describe(&group, 5).await.members.len(), 2);
    members.push(fixed("two"));
    settle(&mut members, |shares| shares[0] == [0] && shares[1] == [1]).await;
}

// Kafka: PlaintextConsumerCloseTest.testClassicConsumerCloseWithTimeoutIgnoresFetchMaxWaitMs
#[tokio::test]
async fn close_does_not_wait_for_a_fetch_under_way() {
    let topic = new_topic(1).await;
    let patient = settings().fetch_max_wait_ms(20_000);
    let mut reader = crate::consumer_setup::assigned(patient, &topic, 0..1);
    // A fetch waits at the broker by now.
    assert!(
        reader
            .poll(Duration::from_millis(200))
            .await
            .expect("no error")
            .is_empty()
    );
    let began = Instant::now();
    reader.close(SOON).await.expect("it closes");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

// Kafka: KafkaConsumer.close: at any time
#[tokio::test]
async fn a_consumer_that_was_never_used_closes() {
    soon("closing", built(of_group(&unique("group"))).close(SOON))
        .await
        .expect("nothing to do");
    let subscribed = member(&unique("group"), &new_topic(1).await);
    soon("closing", subscribed.close(SOON))
        .await
        .expect("nothing to leave");
}

// Here: a consumer that is dropped leaves in the background; Java has no such thing
#[tokio::test]
async fn a_consumer_that_is_dropped_leaves_its_group_too() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    let mut members = [member(&group, &topic)];
    settle(&mut members, |shares| shares[0] == [0]).await;
    drop(members);
    let waiting = async {
        while describe(&group, 5).await.group_state != "Empty" {
            tokio::time::sleep(A_MOMENT).await;
        }
    };
    soon("the group to be empty", waiting).await;
}
