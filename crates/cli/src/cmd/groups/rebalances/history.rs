//! What a group's own records in `__consumer_offsets` tell: each generation of a classic group is one, with its members and what each
//! was assigned. Compaction leaves the last; what is not compacted yet is read.

use std::collections::{BTreeMap, BTreeSet};

use kohort_groups::TopicPartition;
use kohort_groups::coordinator::{CoordinatorRecord, StoredGroup, StoredMember, partition_for};
use kohort_groups::wire::consumer_protocol::decode_assignment;
use kohort_groups::wire::coordinator::decode_record;

use super::{
    ByTopic, BytesConsumer, Known, Member, Named, Source, Told, keep_last, partition_count, read_to_the_end,
};
use crate::failure::Failure;

const TOPIC: &str = "__consumer_offsets";

type Partitions = BTreeSet<TopicPartition>;

/// What is stored of the groups.
pub(super) async fn read(
    consumer: &mut BytesConsumer,
    groups: &[&str],
    count: usize,
) -> Result<BTreeMap<String, Known>, Failure> {
    let partitions = i32::try_from(partition_count(consumer, TOPIC).await?).unwrap_or(i32::MAX);
    let mut stored: BTreeMap<String, Vec<StoredGroup>> = groups
        .iter()
        .map(|group| ((*group).to_owned(), Vec::new()))
        .collect();
    let numbers: BTreeSet<i32> = groups
        .iter()
        .map(|group| partition_for(group, partitions))
        .collect();
    for number in numbers.into_iter().filter(|_| partitions > 0) {
        read_to_the_end(consumer, TOPIC, number, |key, value| {
            if let Ok(Some(CoordinatorRecord::Group {
                group_id,
                value: Some(group),
            })) = decode_record(key, value)
                && let Some(generations) = stored.get_mut(&*group_id)
            {
                generations.push(group);
            }
        })
        .await?;
    }
    let known = stored.into_iter().map(|(group, generations)| {
        let source = Source::OffsetsTopic;
        let mut rebalances = rebalances(&generations);
        keep_last(&mut rebalances, count);
        (group, Known { source, rebalances })
    });
    Ok(known.collect())
}

/// The generations in order, each against the one before it. A record of the same generation is a static member's new id, or the
/// group's first.
fn rebalances(generations: &[StoredGroup]) -> Vec<Told> {
    let mut before: Option<&StoredGroup> = None;
    let mut told = Vec::new();
    for group in generations {
        if before.is_none_or(|before| before.generation != group.generation) && group.generation > 0 {
            told.push(rebalance(before, group));
        }
        before = Some(group);
    }
    told
}

fn rebalance(before: Option<&StoredGroup>, group: &StoredGroup) -> Told {
    let members_before: &[StoredMember] = match before {
        Some(before) => &before.members,
        None => &[],
    };
    let owned = |members: &[StoredMember]| -> Option<BTreeMap<String, Partitions>> {
        let each = members.iter();
        each.map(|member| Some((member.member_id.to_string(), assigned(member)?)))
            .collect()
    };
    let (had, has) = (owned(members_before), owned(&group.members));
    let is_known = had.is_some() && has.is_some() && before.is_some();
    let (had, has) = (had.unwrap_or_default(), has.unwrap_or_default());
    let none = Partitions::new();
    let part = |member: &StoredMember, is_gone: bool| {
        let id = &*member.member_id;
        let (had_it, has_it) = (had.get(id), has.get(id));
        let (had, has) = (had_it.unwrap_or(&none), has_it.unwrap_or(&none));
        Member {
            named: named(member),
            fate: is_known.then(|| fate(had_it.is_some(), is_gone).to_owned()),
            kept: had.intersection(has).count(),
            gave_up: by_topic(had.difference(has).filter(|_| is_known)),
            got: by_topic(has.difference(had).filter(|_| is_known)),
            ..Member::default()
        }
    };
    let gone = members_before.iter().filter(|member| {
        group
            .members
            .iter()
            .all(|other| other.member_id != member.member_id)
    });
    Told {
        began_ms: group.state_timestamp_ms,
        generation_before: before.map(|before| before.generation),
        generation: Some(group.generation),
        assignor: group.protocol.as_deref().map(str::to_owned),
        leader: group.leader.as_deref().map(str::to_owned),
        outcome: Some(
            if group.members.is_empty() {
                "empty"
            } else {
                "stable"
            }
            .to_owned(),
        ),
        members: group
            .members
            .iter()
            .map(|member| part(member, false))
            .chain(gone.map(|member| part(member, true)))
            .collect(),
        ownership_known: is_known,
        ..Told::default()
    }
}

fn fate(was_there: bool, is_gone: bool) -> &'static str {
    match (was_there, is_gone) {
        (_, true) => "gone",
        (true, false) => "stayed",
        (false, false) => "joined",
    }
}

fn assigned(member: &StoredMember) -> Option<Partitions> {
    if member.assignment.is_empty() {
        return Some(Partitions::new());
    }
    let assignment = decode_assignment(member.assignment.clone()).ok()?;
    Some(assignment.partitions.into_iter().collect())
}

fn named(member: &StoredMember) -> Named {
    Named {
        member: member.member_id.to_string(),
        instance_id: member.group_instance_id.as_deref().map(str::to_owned),
        client_id: member.client_id.to_string(),
        host: member.client_host.trim_start_matches('/').to_owned(),
    }
}

fn by_topic<'a>(partitions: impl Iterator<Item = &'a TopicPartition>) -> ByTopic {
    let mut by_topic = ByTopic::new();
    for TopicPartition { topic, partition } in partitions {
        by_topic.entry(topic.to_string()).or_default().push(*partition);
    }
    by_topic
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kohort_groups::Assignment;
    use kohort_groups::wire::consumer_protocol::encode_assignment;

    use super::*;

    fn group(generation: i32, members: &[(&str, &[i32])]) -> StoredGroup {
        let member = |(id, partitions): &(&str, &[i32])| {
            let at = |partition: &i32| TopicPartition::new("orders", *partition);
            let assignment = Assignment {
                partitions: partitions.iter().map(at).collect(),
                user_data: None,
            };
            StoredMember {
                member_id: (*id).into(),
                group_instance_id: None,
                client_id: "app".into(),
                client_host: "/127.0.0.1".into(),
                rebalance_timeout_ms: 1,
                session_timeout_ms: 1,
                subscription: Bytes::new(),
                assignment: encode_assignment(&assignment).expect("short"),
            }
        };
        StoredGroup {
            protocol_type: "consumer".into(),
            generation,
            protocol: Some("range".into()),
            leader: None,
            state_timestamp_ms: Some(7),
            members: members.iter().map(member).collect(),
        }
    }

    #[test]
    fn each_generation_is_told_against_the_one_before_it() {
        let generations = [
            group(0, &[]),
            group(1, &[("a", &[0, 1])]),
            group(1, &[("a", &[0, 1])]),
            group(2, &[("a", &[0]), ("b", &[1])]),
            group(3, &[("b", &[0, 1])]),
        ];
        let told = rebalances(&generations);
        let reached: Vec<_> = told
            .iter()
            .map(|told| (told.generation_before, told.generation))
            .collect();
        assert_eq!(
            reached,
            [(Some(0), Some(1)), (Some(1), Some(2)), (Some(2), Some(3))]
        );
        let orders = |numbers: &[i32]| ByTopic::from([("orders".to_owned(), numbers.to_vec())]);
        let second = &told[1].members;
        assert_eq!((second[0].kept, &second[0].gave_up), (1, &orders(&[1])));
        assert_eq!(
            (second[1].fate.as_deref(), &second[1].got),
            (Some("joined"), &orders(&[1]))
        );
        let gone = &told[2].members[1];
        assert_eq!(
            (gone.fate.as_deref(), &gone.gave_up),
            (Some("gone"), &orders(&[0]))
        );
    }

    #[test]
    fn what_moved_is_unknown_where_the_generation_before_was_compacted_away() {
        let told = rebalances(&[group(7, &[("a", &[0])])]);
        assert_eq!((told.len(), told[0].ownership_known), (1, false));
        assert!(told[0].members[0].got.is_empty());
        assert_eq!(told[0].members[0].fate, None);
    }
}
