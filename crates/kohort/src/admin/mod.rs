//! Administration: topics, groups, offsets. The rules live in the engine; this module gives them an asynchronous face.

mod builder;
mod host;

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

pub use builder::AdminBuilder;
pub use kohort_engine::admin::{
    AdminError as ItemError, ClusterDescription, CreatedTopic, FoundOffset, GroupDescription, GroupListing,
    GroupMember, NewPartitions, NewTopic, OffsetSpec, Results, TopicListing,
};
pub use kohort_engine::client::{Broker, Partition, Topic};

use kohort_engine::admin::{AdminCommand, AdminReply};
use kohort_engine::consumer::IsolationLevel;
use kohort_groups::{OffsetAndMetadata, TopicPartition};
use thiserror::Error;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use self::host::Input;

/// Looks at a cluster and changes it. Cloning shares the connections; every method takes `&self`.
///
/// Each call has `default.api.timeout.ms`; what may succeed later is tried again until then. Calls about several things answer
/// each of them with a result of its own.
///
/// ```no_run
/// use kohort::admin::{Admin, NewTopic};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let admin = Admin::builder().bootstrap_servers("localhost:9092").build()?;
/// let orders = NewTopic { partitions: Some(6), ..NewTopic::new("orders") };
/// for (topic, result) in admin.create_topics([orders]).await? {
///     println!("{topic}: {result:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Admin {
    inputs: UnboundedSender<Input>,
    timeout: Duration,
}

/// Why a call as a whole has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The one thing that was asked for failed.
    #[error(transparent)]
    Failed(#[from] ItemError),
    /// The network task is gone, for example because its runtime was shut down.
    #[error(
        "the admin client's network task is gone: the runtime that it was built in has ended; build it in one that lives as long, or set kohort.runtime=own"
    )]
    TaskGone,
}

impl AdminError {
    /// Whether the same call may succeed later.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::Failed(error) if error.is_retriable())
    }

    /// Whether this client cannot go on at all.
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::TaskGone)
    }
}

/// The answer of the expected kind; the engine answers each command in kind, so another kind means that it stopped.
macro_rules! expect {
    ($reply:expr, $pattern:pat => $value:expr) => {
        match $reply {
            $pattern => Ok($value),
            _ => Err(AdminError::TaskGone),
        }
    };
}

impl Admin {
    /// Creates topics.
    ///
    /// Cancel safety: what was sent is done all the same.
    ///
    /// # Errors
    /// When the network task is gone; otherwise each topic has its own result.
    pub async fn create_topics(
        &self,
        topics: impl IntoIterator<Item = NewTopic>,
    ) -> Result<Results<Arc<str>, CreatedTopic>, AdminError> {
        let command = AdminCommand::CreateTopics {
            topics: topics.into_iter().collect(),
            validate_only: false,
        };
        expect!(self.call(command).await?, AdminReply::TopicsCreated(results) => results)
    }

    /// Deletes topics.
    ///
    /// Cancel safety: what was sent is done all the same.
    ///
    /// # Errors
    /// When the network task is gone; otherwise each topic has its own result.
    pub async fn delete_topics<T: Into<Arc<str>>>(
        &self,
        topics: impl IntoIterator<Item = T>,
    ) -> Result<Results<Arc<str>, ()>, AdminError> {
        let command = AdminCommand::DeleteTopics {
            topics: names(topics),
        };
        expect!(self.call(command).await?, AdminReply::Topics(results) => results)
    }

    /// Adds partitions to topics.
    ///
    /// Cancel safety: what was sent is done all the same.
    ///
    /// # Errors
    /// When the network task is gone; otherwise each topic has its own result.
    pub async fn create_partitions(
        &self,
        topics: impl IntoIterator<Item = NewPartitions>,
    ) -> Result<Results<Arc<str>, ()>, AdminError> {
        let command = AdminCommand::CreatePartitions {
            topics: topics.into_iter().collect(),
            validate_only: false,
        };
        expect!(self.call(command).await?, AdminReply::Topics(results) => results)
    }

    /// All topics; with `include_internal` Kafka's own, too.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When the cluster does not answer in time.
    pub async fn list_topics(&self, include_internal: bool) -> Result<Vec<TopicListing>, AdminError> {
        let command = AdminCommand::ListTopics { include_internal };
        Ok(expect!(self.call(command).await?, AdminReply::TopicsListed(topics) => topics)??)
    }

    /// Partitions, leaders and replicas of topics.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When the network task is gone; otherwise each topic has its own result.
    pub async fn describe_topics<T: Into<Arc<str>>>(
        &self,
        topics: impl IntoIterator<Item = T>,
    ) -> Result<Results<Arc<str>, Topic>, AdminError> {
        let command = AdminCommand::DescribeTopics {
            topics: names(topics),
        };
        expect!(self.call(command).await?, AdminReply::TopicsDescribed(results) => results)
    }

    /// The cluster's id, brokers and controller.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When the cluster does not answer in time.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, AdminError> {
        let reply = self.call(AdminCommand::DescribeCluster).await?;
        Ok(expect!(reply, AdminReply::ClusterDescribed(cluster) => cluster)??)
    }

    /// The groups of all brokers.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When a broker does not answer in time: its groups would be missing.
    pub async fn list_groups(&self) -> Result<Vec<GroupListing>, AdminError> {
        let command = AdminCommand::ListGroups {
            states: Vec::new(),
            types: Vec::new(),
        };
        match self.call(command).await? {
            AdminReply::GroupsListed { groups, failed } => match failed.into_values().next() {
                None => Ok(groups),
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
        expect!(self.call(command).await?, AdminReply::GroupsDescribed(results) => results)
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
        expect!(self.call(command).await?, AdminReply::GroupsDeleted(results) => results)
    }

    /// Offsets of partitions by end or by time; `None` where no record is that young.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When the network task is gone; otherwise each partition has its own result.
    pub async fn list_offsets(
        &self,
        partitions: impl IntoIterator<Item = (TopicPartition, OffsetSpec)>,
    ) -> Result<Results<TopicPartition, Option<FoundOffset>>, AdminError> {
        let command = AdminCommand::ListOffsets {
            partitions: partitions.into_iter().collect(),
            isolation: IsolationLevel::ReadUncommitted,
        };
        expect!(self.call(command).await?, AdminReply::OffsetsFound(results) => results)
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
        Ok(expect!(self.call(command).await?, AdminReply::GroupOffsets(offsets) => offsets)??)
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
        expect!(self.call(command).await?, AdminReply::GroupOffsetsAltered(results) => results)
    }

    async fn call(&self, command: AdminCommand) -> Result<AdminReply, AdminError> {
        let (reply, answer) = oneshot::channel();
        let input = Input {
            command: Box::new(command),
            timeout: self.timeout,
            reply,
        };
        self.inputs.send(input).map_err(|_| AdminError::TaskGone)?;
        answer.await.map(|reply| *reply).map_err(|_| AdminError::TaskGone)
    }
}

fn names<T: Into<Arc<str>>>(names: impl IntoIterator<Item = T>) -> Vec<Arc<str>> {
    names.into_iter().map(Into::into).collect()
}
