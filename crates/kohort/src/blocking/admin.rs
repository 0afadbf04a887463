//! The blocking admin client. What each method does is said at its asynchronous twin.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::{refuse_inside_async, wait};
use crate::admin::{
    AdminBuilder, AdminError, AlterConfigOp, ClusterDescription, ConfigEntry, ConfigResource, CreatedTopic,
    DescribeConfigsOptions, FoundOffset, GroupDescription, GroupListing, ListGroupsOptions, NewPartitions,
    NewTopic, OffsetSpec, RecordsToDelete, Results, Topic, TopicListing,
};
use crate::config::RuntimePlace;
use crate::consumer::BuildError;
use crate::{OffsetAndMetadata, TopicPartition};

/// An admin client whose calls wait on the caller's thread; the twin of [`crate::Admin`]. Cloning shares the connections.
///
/// ```no_run
/// use kohort::admin::NewTopic;
/// use kohort::blocking::Admin;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let admin = Admin::builder().bootstrap_servers("localhost:9092").build_blocking()?;
/// let orders = NewTopic { partitions: Some(6), ..NewTopic::new("orders") };
/// for (topic, result) in admin.create_topics([orders])? {
///     println!("{topic}: {result:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Admin {
    inner: crate::Admin,
    runtime: Handle,
}

impl AdminBuilder {
    /// As [`build`](Self::build), for a program without a runtime; `kohort.runtime` is `own`.
    ///
    /// # Errors
    /// A wrong setting; or a tokio runtime is here already.
    pub fn build_blocking(self) -> Result<Admin, BuildError> {
        refuse_inside_async()?;
        let (inner, runtime) = self.kohort_runtime(RuntimePlace::Own).build_on()?;
        Ok(Admin { inner, runtime })
    }
}

impl Admin {
    /// A builder with Kafka's defaults, for [`AdminBuilder::build_blocking`].
    pub fn builder() -> AdminBuilder {
        crate::Admin::builder()
    }
}

macro_rules! twins {
    ($($method:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl Admin {
            $(
                #[doc = concat!("As [`crate::Admin::", stringify!($method), "`].")]
                ///
                /// # Errors
                /// As there.
                pub fn $method(&self, $($argument: $type),*) -> Result<$answer, AdminError> {
                    wait(&self.runtime, self.inner.$method($($argument),*))
                }
            )*
        }
    };
}

type Settings = BTreeMap<String, ConfigEntry>;

twins! {
    create_topics(topics: impl IntoIterator<Item = NewTopic>) -> Results<Arc<str>, CreatedTopic>;
    delete_topics(topics: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Results<Arc<str>, ()>;
    create_partitions(topics: impl IntoIterator<Item = NewPartitions>) -> Results<Arc<str>, ()>;
    list_topics(include_internal: bool) -> Vec<TopicListing>;
    describe_topics(topics: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Results<Arc<str>, Topic>;
    describe_cluster() -> ClusterDescription;
    list_groups() -> Vec<GroupListing>;
    list_groups_with(options: ListGroupsOptions) -> Vec<GroupListing>;
    describe_groups(groups: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Results<Arc<str>, GroupDescription>;
    delete_groups(groups: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Results<Arc<str>, ()>;
    list_group_offsets(group: impl Into<Arc<str>>) -> Results<TopicPartition, Option<OffsetAndMetadata>>;
    alter_group_offsets(
        group: impl Into<Arc<str>>,
        offsets: BTreeMap<TopicPartition, OffsetAndMetadata>
    ) -> Results<TopicPartition, ()>;
    delete_group_offsets(
        group: impl Into<Arc<str>>,
        partitions: impl IntoIterator<Item = TopicPartition>
    ) -> Results<TopicPartition, ()>;
    remove_members_from_group(
        group: impl Into<Arc<str>>,
        instances: impl IntoIterator<Item = impl Into<Arc<str>>>,
        reason: Option<&str>
    ) -> Results<Arc<str>, ()>;
    list_offsets(
        partitions: impl IntoIterator<Item = (TopicPartition, OffsetSpec)>
    ) -> Results<TopicPartition, Option<FoundOffset>>;
    delete_records(
        partitions: impl IntoIterator<Item = (TopicPartition, RecordsToDelete)>
    ) -> Results<TopicPartition, i64>;
    describe_configs(
        resources: impl IntoIterator<Item = ConfigResource>
    ) -> Results<ConfigResource, Settings>;
    describe_configs_with(
        resources: impl IntoIterator<Item = ConfigResource>,
        options: DescribeConfigsOptions
    ) -> Results<ConfigResource, Settings>;
    incremental_alter_configs(
        changes: impl IntoIterator<Item = (ConfigResource, Vec<AlterConfigOp>)>
    ) -> Results<ConfigResource, ()>;
}
