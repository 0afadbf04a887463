//! From a command to the work that it is.

use alloc::boxed::Box;

use super::cluster::{DescribeCluster, DescribeTopics, ListTopics};
use super::command::AdminCommand;
use super::configs::{AlterConfigs, DescribeConfigs};
use super::each::Asking;
use super::groups::{DeleteGroups, DescribeGroups, ListGroups, RemoveMembers};
use super::logs::{DeleteRecords, ListOffsets};
use super::offsets::{AlterGroupOffsets, DeleteGroupOffsets, ListGroupOffsets};
use super::topics::{CreatePartitions, CreateTopics, DeleteTopics};
use super::work::Work;

pub(super) fn begin(command: AdminCommand) -> Box<dyn Work> {
    match command {
        AdminCommand::CreateTopics {
            topics,
            validate_only,
        } => Asking::work(CreateTopics {
            topics: topics.into_iter().map(|it| (it.name.clone(), it)).collect(),
            validate_only,
        }),
        AdminCommand::DeleteTopics { topics } => Asking::work(DeleteTopics {
            topics: topics.into_iter().collect(),
        }),
        AdminCommand::CreatePartitions {
            topics,
            validate_only,
        } => Asking::work(CreatePartitions {
            totals: topics.into_iter().map(|it| (it.topic, it.total)).collect(),
            validate_only,
        }),
        AdminCommand::ListTopics { include_internal } => Asking::work(ListTopics { include_internal }),
        AdminCommand::DescribeTopics { topics } => Asking::work(DescribeTopics {
            topics: topics.into_iter().collect(),
        }),
        AdminCommand::DescribeCluster => Asking::work(DescribeCluster),
        AdminCommand::ListGroups { states, types } => Box::new(ListGroups::new(states, types)),
        AdminCommand::DescribeGroups { groups } => Asking::work(DescribeGroups {
            groups: groups.into_iter().collect(),
        }),
        AdminCommand::DeleteGroups { groups } => Asking::work(DeleteGroups {
            groups: groups.into_iter().collect(),
        }),
        AdminCommand::RemoveMembers {
            group,
            instances,
            reason,
        } => Asking::work(RemoveMembers {
            group,
            instances,
            reason,
        }),
        AdminCommand::ListOffsets {
            partitions,
            isolation,
        } => Asking::work(ListOffsets {
            partitions,
            isolation,
        }),
        AdminCommand::DeleteRecords { partitions } => Asking::work(DeleteRecords { partitions }),
        AdminCommand::ListGroupOffsets {
            group,
            partitions,
            require_stable,
        } => Asking::work(ListGroupOffsets {
            group,
            partitions,
            require_stable,
        }),
        AdminCommand::AlterGroupOffsets { group, offsets } => {
            Asking::work(AlterGroupOffsets { group, offsets })
        }
        AdminCommand::DeleteGroupOffsets { group, partitions } => {
            Asking::work(DeleteGroupOffsets { group, partitions })
        }
        AdminCommand::DescribeConfigs {
            resources,
            include_synonyms,
            include_documentation,
        } => Asking::work(DescribeConfigs {
            resources,
            include_synonyms,
            include_documentation,
        }),
        AdminCommand::AlterConfigs {
            changes,
            validate_only,
        } => Asking::work(AlterConfigs {
            changes,
            validate_only,
        }),
    }
}
