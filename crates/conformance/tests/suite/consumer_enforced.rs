//! Members that join their group again because the application wants it (KIP-568).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use kohort::TopicPartition;
use kohort::consumer::{
    AssignError, Assigned, Assignment, Assignor, Cause, GroupTopics, Shares, Subscription,
};
use kohort_conformance::unique;

use crate::consumer_setup::{A_MOMENT, Reader, built, identity, member, new_topic, of_group, settle, soon};

/// Two members of a group that share two partitions: who leads, and who does not.
async fn leader_and_follower() -> [Reader; 2] {
    let (topic, group) = (new_topic(2).await, unique("group"));
    let mut members = [member(&group, &topic), member(&group, &topic)];
    settle(&mut members, |shares| shares.iter().all(|share| share.len() == 1)).await;
    quiet(&mut members).await;
    let [first, second] = members;
    match first.rebalance_journal().ended().last().expect("it joined").led() {
        true => [first, second],
        false => [second, first],
    }
}

/// Polls all until no rebalance is under way: one that is to join again while it joins does not.
async fn quiet(members: &mut [Reader; 2]) {
    let polling = async {
        while members
            .iter()
            .any(|member| member.rebalance_journal().under_way().is_some())
        {
            for member in members.iter_mut() {
                assert!(member.poll(A_MOMENT).await.expect("no error").is_empty());
            }
        }
    };
    soon("the end of the rebalance", polling).await;
}

/// Polls all until the one that is to join again has done so.
async fn joined_again(members: &mut [Reader; 2], who: usize, reason: &str) {
    let because = Cause::Enforced {
        reason: reason.into(),
    };
    let polling = async {
        loop {
            for member in members.iter_mut() {
                assert!(member.poll(A_MOMENT).await.expect("no error").is_empty());
            }
            let ended = members[who].rebalance_journal().ended();
            if ended.last().is_some_and(|last| last.cause == because) {
                return;
            }
        }
    };
    soon("the rebalance", polling).await;
}

// Kafka: KafkaConsumer.enforceRebalance; GroupMetadataManager.classicGroupJoinExistingMember, "leader re-joining"
#[tokio::test]
async fn a_leader_that_is_to_join_again_makes_a_new_generation_with_the_same_shares() {
    let mut members = leader_and_follower().await;
    let shares = members.each_ref().map(Reader::assignment);
    let before = identity(&mut members[0]).await.0;
    members[0].enforce_rebalance("because").expect("a group");
    joined_again(&mut members, 0, "because").await;
    for member in &mut members {
        assert_eq!(identity(member).await.0, before + 1);
    }
    assert_eq!(members.each_ref().map(Reader::assignment), shares);
}

// Kafka: ConsumerCoordinator.metadata, whose generation makes it other than what the member said before;
// GroupMetadataManager.classicGroupJoinExistingMember
#[tokio::test]
async fn a_follower_that_is_to_join_again_makes_a_new_generation_with_the_same_shares() {
    let mut members = leader_and_follower().await;
    let shares = members.each_ref().map(Reader::assignment);
    let before = identity(&mut members[1]).await.0;
    members[1].enforce_rebalance("").expect("a group");
    joined_again(&mut members, 1, "rebalance enforced by user").await;
    for member in &mut members {
        assert_eq!(identity(member).await.0, before + 1);
    }
    assert_eq!(members.each_ref().map(Reader::assignment), shares);
}

/// Gives everything to the last member that wants it, or else to the first.
struct WhoWants(Arc<AtomicBool>);

impl Assignor for WhoWants {
    fn name(&self) -> &str {
        "who-wants"
    }

    fn subscription_user_data(&self, _: &[Arc<str>], _: Option<&Assigned>) -> Option<Bytes> {
        let wants = self.0.load(Ordering::Relaxed);
        Some(Bytes::copy_from_slice(&[u8::from(wants)]))
    }

    fn assign(
        &self,
        topics: &GroupTopics,
        members: &BTreeMap<String, Subscription>,
    ) -> Result<Shares, AssignError> {
        let wants = |it: &&String| members[*it].user_data.as_deref() == Some(&[1]);
        let taker = members.keys().rfind(wants).or(members.keys().next());
        let of_topic = |(topic, layout): (&Arc<str>, &kohort::consumer::TopicLayout)| {
            let topic = Arc::clone(topic);
            (0..layout.partitions).map(move |number| TopicPartition::new(Arc::clone(&topic), number as i32))
        };
        let all = Assignment {
            partitions: topics.iter().flat_map(of_topic).collect(),
            user_data: None,
        };
        Ok(taker.map(|taker| (taker.clone(), all)).into_iter().collect())
    }
}

// KIP-568: what it is for
#[tokio::test]
async fn an_assignor_whose_user_data_have_changed_is_asked_again_when_its_member_is_to_join_again() {
    let (topic, group) = (new_topic(2).await, unique("group"));
    let wishes = ["a", "b"].map(|_| Arc::new(AtomicBool::new(false)));
    let mut members = ["a", "b"].map(|client| {
        let wish = &wishes[usize::from(client == "b")];
        let settings = of_group(&group).client_id(client);
        let settings = settings.assignor(WhoWants(Arc::clone(wish)));
        let mut member = built(settings.set("partition.assignment.strategy", "who-wants"));
        member.subscribe([&*topic]).expect("a topic");
        member
    });
    settle(&mut members, |shares| {
        shares[0].len() + shares[1].len() == 2 && shares.contains(&vec![])
    })
    .await;
    for _ in 0..3 {
        quiet(&mut members).await;
        let who = usize::from(!members[0].assignment().is_empty());
        for (other, wish) in wishes.iter().enumerate() {
            wish.store(other == who, Ordering::Relaxed);
        }
        // One says that it wants no more, and the other that it does.
        for member in &mut members {
            member.enforce_rebalance("it changed its mind").expect("a group");
        }
        settle(&mut members, |shares| shares[who].len() == 2).await;
    }
}
