//! Assignors of the application: they decide, remember, and are told of their mistakes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use kohort::TopicPartition;
use kohort::consumer::{
    AssignError, Assigned, Assignment, Assignor, GroupTopics, MemberError, PollError, ReadError,
    RebalanceProtocol, Shares, Subscription,
};
use kohort_conformance::unique;

use crate::broker_groups::describe;
use crate::consumer_setup::{Reader, built, failure, new_topic, of_group, settle};

fn member(group: &str, client: &str, topic: &str, assignor: impl Assignor + 'static) -> Reader {
    let name = assignor.name().to_owned();
    let settings = of_group(group)
        .client_id(client)
        .assignor(assignor)
        .set("partition.assignment.strategy", &name);
    let mut member = built(settings);
    member.subscribe([topic]).expect("a topic");
    member
}

fn all(topics: &GroupTopics) -> Vec<TopicPartition> {
    let of_topic = |(topic, layout): (&Arc<str>, &kohort::consumer::TopicLayout)| {
        let topic = Arc::clone(topic);
        (0..layout.partitions).map(move |number| TopicPartition::new(Arc::clone(&topic), number as i32))
    };
    topics.iter().flat_map(of_topic).collect()
}

fn share(partitions: Vec<TopicPartition>) -> Assignment {
    Assignment {
        partitions,
        user_data: None,
    }
}

/// Gives everything to the last member.
struct LastTakesAll;

impl Assignor for LastTakesAll {
    fn name(&self) -> &str {
        "last-takes-all"
    }

    fn assign(
        &self,
        topics: &GroupTopics,
        members: &BTreeMap<String, Subscription>,
    ) -> Result<Shares, AssignError> {
        let last = members.keys().next_back().cloned();
        Ok(last.map(|last| (last, share(all(topics)))).into_iter().collect())
    }
}

// Kafka: ConsumerPartitionAssignor
#[tokio::test]
async fn an_assignor_of_the_application_decides() {
    let (topic, group) = (new_topic(3).await, unique("group"));
    let with = |client: &str| member(&group, client, &topic, LastTakesAll);
    let mut members = vec![with("b")];
    settle(&mut members, |shares| shares[0] == [0, 1, 2]).await;
    members.push(with("a"));
    members.push(with("c"));
    settle(&mut members, |shares| {
        shares[0].is_empty() && shares[1].is_empty() && shares[2] == [0, 1, 2]
    })
    .await;
    assert_eq!(describe(&group, 5).await.protocol_data, "last-takes-all");
}

type Notes = Arc<Mutex<Vec<String>>>;

/// A cooperative one: each member says how much it can take, and is told in return who leads; nothing is moved that has an owner.
struct ByCapacity {
    capacity: u8,
    notes: Notes,
}

impl Assignor for ByCapacity {
    fn name(&self) -> &str {
        "by-capacity"
    }

    fn protocols(&self) -> &[RebalanceProtocol] {
        &[RebalanceProtocol::Cooperative]
    }

    fn subscription_user_data(&self, topics: &[Arc<str>], last: Option<&Assigned>) -> Option<Bytes> {
        let had = last.map(|last| last.assignment.partitions.len());
        let mut notes = self.notes.lock().expect("no panic");
        notes.push(format!("{} topics, had {had:?}", topics.len()));
        Some(vec![self.capacity].into())
    }

    fn on_assignment(&self, assigned: &Assigned) {
        let said = assigned.assignment.user_data.as_deref().unwrap_or_default();
        let mut notes = self.notes.lock().expect("no panic");
        notes.push(format!(
            "got {}, was told {:?}",
            assigned.assignment.partitions.len(),
            std::str::from_utf8(said).expect("text")
        ));
    }

    fn assign(
        &self,
        topics: &GroupTopics,
        members: &BTreeMap<String, Subscription>,
    ) -> Result<Shares, AssignError> {
        let owned: Vec<_> = members.values().flat_map(|member| &member.owned).collect();
        let mut free = all(topics)
            .into_iter()
            .filter(|partition| !owned.contains(&partition));
        let mut shares = Shares::new();
        for (id, member) in members {
            let capacity = *member
                .user_data
                .as_ref()
                .and_then(|said| said.first())
                .ok_or_else(|| AssignError::new(format!("{id} does not say what it can take")))?;
            let mut partitions = member.owned.clone();
            let more = usize::from(capacity).saturating_sub(partitions.len());
            partitions.extend(free.by_ref().take(more));
            let user_data = Some(Bytes::from_static(b"hello"));
            shares.insert(
                id.clone(),
                Assignment {
                    partitions,
                    user_data,
                },
            );
        }
        Ok(shares)
    }
}

// Kafka: ConsumerPartitionAssignor.subscriptionUserData, onAssignment
#[tokio::test]
async fn an_assignor_of_the_application_talks_to_its_leader_and_back_and_remembers() {
    let (topic, group) = (new_topic(4).await, unique("group"));
    let notes = [Notes::default(), Notes::default()];
    let with = |client: &str, capacity: u8, notes: &Notes| {
        let notes = Arc::clone(notes);
        member(&group, client, &topic, ByCapacity { capacity, notes })
    };
    let mut members = vec![with("a", 3, &notes[0])];
    settle(&mut members, |shares| shares[0] == [0, 1, 2]).await;
    members.push(with("b", 3, &notes[1]));
    settle(&mut members, |shares| shares[0] == [0, 1, 2] && shares[1] == [3]).await;
    let first = notes[0].lock().expect("no panic").clone();
    assert_eq!(first.first().map(String::as_str), Some("1 topics, had None"));
    let told = [
        "got 3, was told \"hello\"",
        "1 topics, had Some(3)",
        "got 3, was told \"hello\"",
    ];
    assert_eq!(first[first.len() - 3..], told);
    let second = notes[1].lock().expect("no panic").clone();
    assert_eq!(
        second.last().map(String::as_str),
        Some("got 1, was told \"hello\"")
    );
}

/// Does what the function says.
struct Wrong(fn(&GroupTopics, &BTreeMap<String, Subscription>) -> Result<Shares, AssignError>);

impl Assignor for Wrong {
    fn name(&self) -> &str {
        "wrong"
    }

    fn assign(
        &self,
        topics: &GroupTopics,
        members: &BTreeMap<String, Subscription>,
    ) -> Result<Shares, AssignError> {
        self.0(topics, members)
    }
}

async fn mistake(wrong: Wrong) -> String {
    let topic = new_topic(1).await;
    let error = failure(&mut member(&unique("group"), "a", &topic, wrong)).await;
    let PollError::Read(ReadError::Membership(error)) = error else {
        panic!("{error:?}");
    };
    match *error {
        MemberError::Assignor { assignor, reason, .. } if *assignor == *"wrong" => reason.into(),
        other => panic!("{other:?}"),
    }
}

// Kafka: an assignor's exception reaches the leader's poll (ConsumerCoordinator.onLeaderElected)
#[tokio::test]
async fn an_assignors_mistake_is_a_typed_error_of_the_leaders_poll() {
    let to_nobody = Wrong(|topics, _| Ok([("nobody".to_owned(), share(all(topics)))].into()));
    assert!(mistake(to_nobody).await.contains("nobody"));
    let beyond = Wrong(|topics, members| {
        let topic = topics.keys().next().cloned().expect("a topic");
        let beyond = vec![TopicPartition::new(topic, 1)];
        Ok(members
            .keys()
            .map(|id| (id.clone(), share(beyond.clone())))
            .collect())
    });
    assert!(mistake(beyond).await.contains("-1"));
    let twice = Wrong(|topics, members| {
        let twice = [all(topics), all(topics)].concat();
        Ok(members
            .keys()
            .map(|id| (id.clone(), share(twice.clone())))
            .collect())
    });
    assert!(mistake(twice).await.contains("-0"));
    assert_eq!(
        mistake(Wrong(|_, _| Err(AssignError::new("not today")))).await,
        "not today"
    );
    assert!(
        mistake(Wrong(|_, _| panic!("on purpose")))
            .await
            .contains("panicked")
    );
}
