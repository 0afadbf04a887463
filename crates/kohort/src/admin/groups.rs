//! Groups: their members and their committed offsets.

use std::collections::BTreeMap;
use std::sync::Arc;

use kohort_engine::admin::{AdminCommand, AdminReply};
use kohort_groups::{OffsetAndMetadata, TopicPartition};

use super::{Admin, AdminError, GroupDescription, GroupListing, Results, answered, names};

/// Which groups to list; without any wish all of them.
// Kafka: ListGroupsOptions
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListGroupsOptions {
    /// Only groups in these states, in Kafka's words: `Stable`, `Empty`, `PreparingRebalance`, … (KIP-518).
    pub states: Vec<String>,
    /// Only groups of these types, in Kafka's words: `classic`, `consumer`, … (KIP-848).
    pub types: Vec<String>,
    /// Only groups with these protocol types: `consumer` for those of consumers, empty for those that only committed offsets.
    pub protocol_types: Vec<String>,
}

impl Admin {
    /// The groups of all brokers.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When a broker does not answer in time: its groups would be missing.
    pub async fn list_groups(&self) -> Result<Vec<GroupListing>, AdminError> {
        self.list_groups_with(ListGroupsOptions::default()).await
    }

    /// The groups of all brokers in certain states or of certain types.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When a broker does not answer in time, because its groups would be missing; or is too old for the filter.
    pub async fn list_groups_with(
        &self,
        options: ListGroupsOptions,
    ) -> Result<Vec<GroupListing>, AdminError> {
        let command = AdminCommand::ListGroups {
            states: options.states,
            types: options.types,
        };
        let wanted = options.protocol_types;
        match self.call(command).await? {
            AdminReply::GroupsListed { mut groups, failed } => match failed.into_values().next() {
                None => {
                    groups.retain(|group| wanted.is_empty() || wanted.contains(&group.protocol_type));
                    Ok(groups)
                }
                Some(error) => Err(error.into()),
            },
            _ => Err(AdminError::TaskGone),
        }
    }

    /// State, members and assignments of classic groups.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When the network task is gone; otherwise each group has its own result.
    pub async fn describe_groups<T: Into<Arc<str>>>(
        &self,
        groups: impl IntoIterator<Item = T>,
    ) -> Result<Results<Arc<str>, GroupDescription>, AdminError> {
        let command = AdminCommand::DescribeGroups {
            groups: names(groups),
        };
        answered!(self.call(command).await?, AdminReply::GroupsDescribed(results) => results)
    }

    /// Deletes groups that have no members, with their offsets.
    ///
    /// Cancel safety: what was sent is done all the same.
    ///
    /// # Errors
    /// When the network task is gone; otherwise each group has its own result.
    pub async fn delete_groups<T: Into<Arc<str>>>(
        &self,
        groups: impl IntoIterator<Item = T>,
    ) -> Result<Results<Arc<str>, ()>, AdminError> {
        let command = AdminCommand::DeleteGroups {
            groups: names(groups),
        };
        answered!(self.call(command).await?, AdminReply::GroupsDeleted(results) => results)
    }

    /// All offsets that a group has committed.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When the group's coordinator does not answer in time.
    pub async fn list_group_offsets(
        &self,
        group: impl Into<Arc<str>>,
    ) -> Result<Results<TopicPartition, Option<OffsetAndMetadata>>, AdminError> {
        let command = AdminCommand::ListGroupOffsets {
            group: group.into(),
            partitions: None,
            require_stable: false,
        };
        Ok(answered!(self.call(command).await?, AdminReply::GroupOffsets(offsets) => offsets)??)
    }

    /// Commits offsets for a group that has no members.
    ///
    /// Cancel safety: what was sent is done all the same.
    ///
    /// # Errors
    /// When the network task is gone; otherwise each partition has its own result.
    pub async fn alter_group_offsets(
        &self,
        group: impl Into<Arc<str>>,
        offsets: BTreeMap<TopicPartition, OffsetAndMetadata>,
    ) -> Result<Results<TopicPartition, ()>, AdminError> {
        let command = AdminCommand::AlterGroupOffsets {
            group: group.into(),
            offsets,
        };
        answered!(self.call(command).await?, AdminReply::GroupOffsetsAltered(results) => results)
    }

    /// Forgets offsets that a group has committed. The group may have members, as long as none is subscribed to the topic: a
    /// partition of one that is fails with GROUP_SUBSCRIBED_TO_TOPIC.
    ///
    /// Cancel safety: what was sent is done all the same.
    ///
    /// # Errors
    /// When the network task is gone; otherwise each partition has its own result.
    pub async fn delete_group_offsets(
        &self,
        group: impl Into<Arc<str>>,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<Results<TopicPartition, ()>, AdminError> {
        let command = AdminCommand::DeleteGroupOffsets {
            group: group.into(),
            partitions: partitions.into_iter().collect(),
        };
        answered!(self.call(command).await?, AdminReply::GroupOffsetsDeleted(results) => results)
    }

    /// Removes static members, by `group.instance.id`, from a group; the others share their partitions (KIP-345). The broker logs
    /// the reason.
    ///
    /// Cancel safety: what was sent is done all the same.
    ///
    /// # Errors
    /// When the network task is gone; otherwise each member has its own result.
    pub async fn remove_members_from_group<T: Into<Arc<str>>>(
        &self,
        group: impl Into<Arc<str>>,
        instances: impl IntoIterator<Item = T>,
        reason: Option<&str>,
    ) -> Result<Results<Arc<str>, ()>, AdminError> {
        let command = AdminCommand::RemoveMembers {
            group: group.into(),
            instances: names(instances).into_iter().collect(),
            reason: reason.map(str::to_owned),
        };
        answered!(self.call(command).await?, AdminReply::MembersRemoved(results) => results)
    }
}
