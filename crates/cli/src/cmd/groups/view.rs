//! What is known of a group: its members, its partitions with their offsets, and tables of both. Asking is done here; which of it
//! is shown is decided by the commands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kohort::admin::{Admin, AdminError, GroupDescription, GroupMember, ItemError, OffsetSpec, Results};
use kohort::{ErrorCode, TopicPartition};

use crate::failure::Failure;
use crate::table::Table;

/// What stands in a cell where nothing is known.
const NONE: &str = "-";

/// A group, as it was when it was asked for.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// Its id.
    pub(super) id: String,
    /// Its state in Kafka's words.
    pub(super) state: String,
    /// The name of the assignor that was chosen; empty when there is none.
    pub(super) assignor: String,
    /// Node id of its coordinator.
    pub(super) coordinator: Option<i32>,
    /// Its members, as far as they can be shown.
    pub(super) members: Vec<GroupMember>,
    /// Its type, when it is one whose members cannot be shown.
    // Kafka: GroupType, KIP-848 and KIP-932
    undescribed: Option<String>,
}

impl Group {
    /// Asks for a group; none when there is no such group.
    pub(super) async fn find(admin: &Admin, id: &str) -> Result<Option<Self>, Failure> {
        let failed = |error: &dyn std::error::Error| Failure::because(format!("group {id}"), error);
        let mut described = admin
            .describe_groups([id])
            .await
            .map_err(|error| failed(&error))?;
        let described: Option<GroupDescription> = match described.pop_first() {
            // Kafka: DescribeGroups from version 6 on.
            Some((
                _,
                Err(ItemError::Refused {
                    error: ErrorCode::GroupIdNotFound,
                    ..
                }),
            ))
            | None => None,
            Some((_, described)) => Some(described.map_err(|error| failed(&error))?),
        };
        match described {
            // Before that Kafka answers `Dead` for a group that is not there, or is of another type than classic.
            Some(described) if described.state != "Dead" => Ok(Some(Self {
                id: id.to_owned(),
                state: described.state,
                assignor: described.assignor,
                coordinator: described.coordinator,
                members: described.members,
                undescribed: None,
            })),
            _ => Self::of_another_type(admin, id).await,
        }
    }

    /// A group that is listed and cannot be described as a classic one.
    async fn of_another_type(admin: &Admin, id: &str) -> Result<Option<Self>, Failure> {
        let listed = admin
            .list_groups()
            .await
            .map_err(|error| Failure::because(format!("group {id}"), &error))?;
        let Some(group) = listed.into_iter().find(|group| &*group.id == id) else {
            return Ok(None);
        };
        Ok(Some(Self {
            id: id.to_owned(),
            state: group.state,
            assignor: String::new(),
            coordinator: Some(group.coordinator),
            members: Vec::new(),
            undescribed: Some(group.group_type),
        }))
    }

    /// Whether the group's offsets may be changed by others than its members.
    // Kafka: ConsumerGroupCommand.ConsumerGroupService.resetOffsets
    pub(super) fn is_inactive(&self) -> bool {
        self.members.is_empty() && matches!(self.state.as_str(), "Empty" | "Dead")
    }

    /// Whether all its members are shown.
    pub(super) fn has_known_members(&self) -> bool {
        self.undescribed.is_none()
    }

    /// `2 members`.
    pub(super) fn member_count(&self) -> String {
        match (&self.undescribed, self.members.len()) {
            (Some(group_type), _) => format!("members of the type {group_type}, not shown yet"),
            (None, 1) => "1 member".to_owned(),
            (None, count) => format!("{count} members"),
        }
    }
}

/// A partition of a group: owned, committed, or both.
#[derive(Debug, Clone)]
pub(super) struct Share {
    /// The partition.
    pub(super) partition: TopicPartition,
    /// What is committed.
    pub(super) committed: Option<i64>,
    /// The offset after the last record; none of a topic that is gone.
    pub(super) end: Option<i64>,
    /// The index of its owner in the group's members.
    pub(super) owner: Option<usize>,
}

impl Share {
    /// Records that are not committed yet.
    // Kafka: ConsumerGroupCommand.ConsumerGroupService.getLag
    pub(super) fn lag(&self) -> Option<i64> {
        let (committed, end) = self.committed.zip(self.end)?;
        Some(end.saturating_sub(committed).max(0))
    }
}

/// The partitions of a group, in order.
pub(super) async fn shares(admin: &Admin, group: &Group) -> Result<Vec<Share>, Failure> {
    let committed = committed(admin, &group.id).await?;
    let owners: BTreeMap<&TopicPartition, usize> = group
        .members
        .iter()
        .enumerate()
        .flat_map(|(index, member)| member.assigned.iter().map(move |partition| (partition, index)))
        .collect();
    let partitions: BTreeSet<&TopicPartition> = owners.keys().copied().chain(committed.keys()).collect();
    let ends = offsets(admin, partitions.iter().copied(), OffsetSpec::Latest)
        .await
        .map_err(|error| Failure::because(format!("offsets of group {}", group.id), &error))?;
    Ok(partitions
        .into_iter()
        .map(|partition| Share {
            partition: partition.clone(),
            committed: committed.get(partition).copied(),
            end: match ends.get(partition) {
                Some(Ok(found)) => *found,
                _ => None,
            },
            owner: owners.get(partition).copied(),
        })
        .collect())
}

/// All offsets that a group has committed.
pub(super) async fn committed(admin: &Admin, group: &str) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let committed = admin
        .list_group_offsets(group)
        .await
        .map_err(|error| Failure::because(format!("offsets of group {group}"), &error))?;
    Ok(committed
        .into_iter()
        .filter_map(|(partition, committed)| Some((partition, committed.ok()??.offset)))
        .collect())
}

/// The same offset of each partition.
pub(super) async fn offsets(
    admin: &Admin,
    partitions: impl Iterator<Item = &TopicPartition>,
    spec: OffsetSpec,
) -> Result<Results<TopicPartition, Option<i64>>, AdminError> {
    let asked = partitions.map(|partition| (partition.clone(), spec));
    let found = admin.list_offsets(asked).await?;
    Ok(found
        .into_iter()
        .map(|(partition, found)| (partition, found.map(|found| found.map(|found| found.offset))))
        .collect())
}

/// The sum of what is known of the lags.
pub(super) fn total_lag(shares: &[Share]) -> i64 {
    let lags = shares.iter().filter_map(Share::lag);
    lags.fold(0, i64::saturating_add)
}

/// The sum in words, with how many partitions are not in it.
pub(super) fn total_lag_text(shares: &[Share]) -> String {
    let total = total_lag(shares);
    match shares.iter().filter(|share| share.lag().is_none()).count() {
        0 => format!("lag {total}"),
        unknown => format!("lag {total} without {unknown} unknown"),
    }
}

/// What is known of the lag of the member at `index`.
pub(super) fn lag_of_member(shares: &[Share], index: usize) -> Option<i64> {
    let owned = shares.iter().filter(|share| share.owner == Some(index));
    owned.filter_map(Share::lag).reduce(i64::saturating_add)
}

/// The shares of a group as they were some time ago.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before<'a> {
    /// What they were, in order.
    pub(super) shares: &'a [Share],
    /// How long ago.
    pub(super) elapsed: Duration,
}

impl Before<'_> {
    /// How many records a second were committed and written in `share` since.
    fn rates(&self, share: &Share) -> [String; 2] {
        let at = self
            .shares
            .binary_search_by(|before| before.partition.cmp(&share.partition));
        let before = at.ok().and_then(|index| self.shares.get(index));
        let rate = |of: fn(&Share) -> Option<i64>| match before.and_then(of).zip(of(share)) {
            Some((before, now)) => {
                let seconds = self.elapsed.as_secs_f64().max(f64::EPSILON);
                format!("{:.0}", now.saturating_sub(before) as f64 / seconds)
            }
            None => NONE.to_owned(),
        };
        [rate(|share| share.committed), rate(|share| share.end)]
    }
}

/// A row for each partition; with how fast it is read and written when it is known how it was before.
pub(super) fn partitions_table(group: &Group, shares: &[Share], before: Option<Before<'_>>) -> Table {
    let mut columns = vec!["topic", "partition", "committed", "end", "lag"];
    if before.is_some() {
        columns.extend(["committed/s", "written/s"]);
    }
    columns.extend(["member", "client id", "host"]);
    let mut table = Table::new(&columns);
    for share in shares {
        let mut row = vec![
            share.partition.topic.to_string(),
            share.partition.partition.to_string(),
        ];
        row.extend([share.committed, share.end, share.lag()].map(number));
        row.extend(before.iter().flat_map(|before| before.rates(share)));
        row.extend(match share.owner.and_then(|owner| group.members.get(owner)) {
            Some(owner) => [
                owner.id.to_string(),
                owner.client_id.clone(),
                host(owner).to_owned(),
            ],
            None => [NONE; 3].map(str::to_owned),
        });
        table.row(row);
    }
    table
}

/// A row for each member: who it is, what it owns, and how far behind it is.
pub(super) fn members_table(group: &Group, shares: &[Share]) -> Table {
    let mut table = Table::new(&["member", "instance id", "client id", "host", "lag", "partitions"]);
    for (index, member) in group.members.iter().enumerate() {
        table.row(vec![
            member.id.to_string(),
            member.group_instance_id.as_deref().unwrap_or(NONE).to_owned(),
            member.client_id.clone(),
            host(member).to_owned(),
            number(lag_of_member(shares, index)),
            owned(&member.assigned),
        ]);
    }
    table
}

/// `orders:0,1,2 refunds:0`.
fn owned(partitions: &[TopicPartition]) -> String {
    let mut topics: BTreeMap<&Arc<str>, BTreeSet<i32>> = BTreeMap::new();
    for TopicPartition { topic, partition } in partitions {
        topics.entry(topic).or_default().insert(*partition);
    }
    if topics.is_empty() {
        return NONE.to_owned();
    }
    let of_topic = |(topic, partitions): (&Arc<str>, BTreeSet<i32>)| {
        let numbers: Vec<String> = partitions.iter().map(i32::to_string).collect();
        format!("{topic}:{}", numbers.join(","))
    };
    topics.into_iter().map(of_topic).collect::<Vec<_>>().join(" ")
}

fn number(number: Option<i64>) -> String {
    number.map_or_else(|| NONE.to_owned(), |number| number.to_string())
}

/// From where a member is connected.
pub(super) fn host(member: &GroupMember) -> &str {
    // Kafka writes hosts as Java does: a slash before the address.
    member.host.trim_start_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_member_owns_is_short() {
        let at = |topic: &str, partition| TopicPartition::new(topic, partition);
        assert_eq!(
            owned(&[at("orders", 2), at("refunds", 0), at("orders", 0)]),
            "orders:0,2 refunds:0"
        );
        assert_eq!(owned(&[]), "-");
    }

    #[test]
    fn rates_are_per_second_of_what_was_known_before() {
        let share = |partition, committed, end| Share {
            partition: TopicPartition::new("orders", partition),
            committed,
            end,
            owner: None,
        };
        let shares = [share(0, Some(10), Some(100)), share(1, None, Some(7))];
        let before = Before {
            shares: &shares,
            elapsed: Duration::from_secs(2),
        };
        assert_eq!(before.rates(&share(0, Some(30), Some(100))), ["10", "0"]);
        assert_eq!(before.rates(&share(1, Some(30), Some(8))), ["-", "0"]);
        assert_eq!(before.rates(&share(2, Some(30), Some(8))), ["-", "-"]);
        // A reset moves what is committed back.
        assert_eq!(before.rates(&share(0, Some(0), Some(100))), ["-5", "0"]);
    }

    #[test]
    fn a_lag_needs_both_offsets_and_is_never_below_0() {
        let share = |committed, end| Share {
            partition: TopicPartition::new("orders", 0),
            committed,
            end,
            owner: None,
        };
        assert_eq!(share(Some(3), Some(10)).lag(), Some(7));
        // Kafka's leader may tell an older end than the one that was read.
        assert_eq!(share(Some(11), Some(10)).lag(), Some(0));
        assert_eq!(share(None, Some(10)).lag(), None);
        assert_eq!(share(Some(3), None).lag(), None);
        let known = [share(Some(3), Some(10)), share(Some(9), Some(10))];
        assert_eq!(total_lag_text(&known), "lag 8");
        let unknown = [share(Some(3), Some(10)), share(None, Some(10))];
        assert_eq!(total_lag_text(&unknown), "lag 7 without 1 unknown");
    }
}
