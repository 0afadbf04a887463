//! Topics and the cluster.

use std::sync::Arc;

use kohort_engine::admin::{AdminCommand, AdminReply};

use super::{
    Admin, AdminError, ClusterDescription, CreatedTopic, NewPartitions, NewTopic, Results, Topic,
    TopicListing, answered, names,
};

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
        answered!(self.call(command).await?, AdminReply::TopicsCreated(results) => results)
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
        answered!(self.call(command).await?, AdminReply::Topics(results) => results)
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
        answered!(self.call(command).await?, AdminReply::Topics(results) => results)
    }

    /// All topics; with `include_internal` Kafka's own, too.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When the cluster does not answer in time.
    pub async fn list_topics(&self, include_internal: bool) -> Result<Vec<TopicListing>, AdminError> {
        let command = AdminCommand::ListTopics { include_internal };
        Ok(answered!(self.call(command).await?, AdminReply::TopicsListed(topics) => topics)??)
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
        answered!(self.call(command).await?, AdminReply::TopicsDescribed(results) => results)
    }

    /// The cluster's id, brokers and controller.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When the cluster does not answer in time.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, AdminError> {
        let reply = self.call(AdminCommand::DescribeCluster).await?;
        Ok(answered!(reply, AdminReply::ClusterDescribed(cluster) => cluster)??)
    }
}
