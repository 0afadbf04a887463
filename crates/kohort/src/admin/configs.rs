//! Settings of topics, brokers and groups.

use std::collections::BTreeMap;

use kohort_engine::admin::{AdminCommand, AdminReply};

use super::{Admin, AdminError, AlterConfigOp, ConfigEntry, ConfigResource, Results, answered};

/// What to tell of each setting beside its value.
// Kafka: DescribeConfigsOptions
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DescribeConfigsOptions {
    /// Every place where it is set (KIP-226).
    pub include_synonyms: bool,
    /// What the broker says of it (KIP-569).
    pub include_documentation: bool,
}

impl Admin {
    /// The settings of topics, brokers and groups, by key.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When the network task is gone; otherwise each resource has its own result.
    ///
    /// ```no_run
    /// use kohort::admin::{Admin, ConfigResource};
    ///
    /// # async fn example(admin: Admin) -> Result<(), Box<dyn std::error::Error>> {
    /// let orders = ConfigResource::topic("orders");
    /// let settings = admin.describe_configs([orders.clone()]).await?.remove(&orders).expect("it was asked for")?;
    /// for (key, entry) in settings.iter().filter(|(_, entry)| !entry.is_default()) {
    ///     println!("{key}={:?}", entry.value);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn describe_configs(
        &self,
        resources: impl IntoIterator<Item = ConfigResource>,
    ) -> Result<Results<ConfigResource, BTreeMap<String, ConfigEntry>>, AdminError> {
        self.describe_configs_with(resources, DescribeConfigsOptions::default())
            .await
    }

    /// As [`describe_configs`](Self::describe_configs), with more about each setting.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// As there.
    pub async fn describe_configs_with(
        &self,
        resources: impl IntoIterator<Item = ConfigResource>,
        options: DescribeConfigsOptions,
    ) -> Result<Results<ConfigResource, BTreeMap<String, ConfigEntry>>, AdminError> {
        let command = AdminCommand::DescribeConfigs {
            resources: resources.into_iter().collect(),
            include_synonyms: options.include_synonyms,
            include_documentation: options.include_documentation,
        };
        answered!(self.call(command).await?, AdminReply::ConfigsDescribed(results) => results)
    }

    /// Changes some settings and leaves the others as they are (KIP-339). All changes of a resource are done, or none.
    ///
    /// Cancel safety: what was sent is done all the same.
    ///
    /// # Errors
    /// When the network task is gone; otherwise each resource has its own result.
    ///
    /// ```no_run
    /// use kohort::admin::{Admin, AlterConfigOp, ConfigResource};
    ///
    /// # async fn example(admin: Admin) -> Result<(), Box<dyn std::error::Error>> {
    /// let orders = ConfigResource::topic("orders");
    /// let changes = vec![AlterConfigOp::set("retention.ms", "86400000"), AlterConfigOp::delete("segment.bytes")];
    /// admin.incremental_alter_configs([(orders.clone(), changes)]).await?.remove(&orders).expect("it was asked for")?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn incremental_alter_configs(
        &self,
        changes: impl IntoIterator<Item = (ConfigResource, Vec<AlterConfigOp>)>,
    ) -> Result<Results<ConfigResource, ()>, AdminError> {
        let command = AdminCommand::AlterConfigs {
            changes: changes.into_iter().collect(),
            validate_only: false,
        };
        answered!(self.call(command).await?, AdminReply::ConfigsAltered(results) => results)
    }
}
