//! A group as one line of JSON, for programs: what the tables of `describe` show, with null where they show `-`.

use serde::Serialize;

use super::rebalances::Known;
use super::view::{self, Group, Share};

/// A group.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    group: &'a str,
    state: &'a str,
    assignor: Option<&'a str>,
    coordinator: Option<i32>,
    /// The sum of the known lags.
    lag: i64,
    partitions: Vec<Partition<'a>>,
    /// None for a group whose members cannot be shown.
    members: Option<Vec<Member<'a>>>,
    /// With `--rebalances`.
    #[serde(flatten)]
    rebalances: Option<&'a Known>,
}

/// What files tell of a group.
#[derive(Serialize)]
pub(super) struct Told<'a> {
    pub(super) group: &'a str,
    #[serde(flatten)]
    pub(super) known: &'a Known,
}

#[derive(Serialize)]
struct Partition<'a> {
    topic: &'a str,
    partition: i32,
    committed: Option<i64>,
    end: Option<i64>,
    lag: Option<i64>,
    member: Option<&'a str>,
}

#[derive(Serialize)]
struct Member<'a> {
    member: &'a str,
    instance_id: Option<&'a str>,
    client_id: &'a str,
    host: &'a str,
    lag: Option<i64>,
    /// Topic and partition.
    partitions: Vec<(&'a str, i32)>,
}

impl<'a> Line<'a> {
    /// The line of a group with these partitions.
    pub(super) fn of(group: &'a Group, shares: &'a [Share], rebalances: Option<&'a Known>) -> Self {
        let partition = |share: &'a Share| Partition {
            topic: &share.partition.topic,
            partition: share.partition.partition,
            committed: share.committed,
            end: share.end,
            lag: share.lag(),
            member: share
                .owner
                .and_then(|owner| group.members.get(owner))
                .map(|owner| &*owner.id),
        };
        let members = group.members.iter().enumerate();
        let members = members.map(|(index, member)| Member {
            member: &member.id,
            instance_id: member.group_instance_id.as_deref(),
            client_id: &member.client_id,
            host: view::host(member),
            lag: view::lag_of_member(shares, index),
            partitions: member
                .assigned
                .iter()
                .map(|at| (&*at.topic, at.partition))
                .collect(),
        });
        Self {
            group: &group.id,
            state: &group.state,
            assignor: Some(group.assignor.as_str()).filter(|assignor| !assignor.is_empty()),
            coordinator: group.coordinator,
            lag: view::total_lag(shares),
            partitions: shares.iter().map(partition).collect(),
            members: group.has_known_members().then(|| members.collect()),
            rebalances,
        }
    }
}
