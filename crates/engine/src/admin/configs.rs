//! Commands on settings: of topics, brokers and groups.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_protocol::messages::describe_configs::{DescribeConfigsResource, DescribeConfigsResourceResult};
use kohort_protocol::messages::incremental_alter_configs::{AlterConfigsResource, AlterableConfig};
use kohort_protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};

use super::each::{Answers, Build, Each, always, when};
use super::reply::{AdminReply, Results};
use super::resource::{AlterConfigOp, ConfigEntry, ConfigResource, ConfigSource, ConfigSynonym, ConfigType};
use super::work::Refused;
use crate::client::{Cluster, Target};

/// The broker itself is asked of what it alone knows, any broker of everything else.
// Kafka: KafkaAdminClient.nodeFor
fn target(cluster: &Cluster, resource: &ConfigResource) -> Option<Target> {
    match resource {
        ConfigResource::Broker(Some(node)) | ConfigResource::BrokerLogger(node) => {
            (cluster.version() > 0).then_some(Target::Broker(*node))
        }
        _ => Some(Target::Any),
    }
}

/// DescribeConfigs (KIP-133).
// Kafka: KafkaAdminClient.describeConfigs
#[derive(Debug)]
pub(super) struct DescribeConfigs {
    pub(super) resources: BTreeSet<ConfigResource>,
    pub(super) include_synonyms: bool,
    pub(super) include_documentation: bool,
}

impl Each for DescribeConfigs {
    type Key = ConfigResource;
    type Value = BTreeMap<String, ConfigEntry>;
    type Request = DescribeConfigsRequest;

    fn keys(&self) -> BTreeSet<ConfigResource> {
        self.resources.clone()
    }

    fn target(&self, cluster: &Cluster, resource: &ConfigResource) -> Option<Target> {
        target(cluster, resource)
    }

    fn request(&self, resources: &[ConfigResource], _: Duration) -> Build<DescribeConfigsRequest> {
        let asked = |resource: &ConfigResource| DescribeConfigsResource {
            resource_type: resource.type_code(),
            resource_name: resource.name(),
            configuration_keys: None,
        };
        let (include_synonyms, include_documentation) = (self.include_synonyms, self.include_documentation);
        let request = DescribeConfigsRequest {
            resources: resources.iter().map(asked).collect(),
            include_synonyms,
            include_documentation,
        };
        when(request, move |version| version >= 3 || !include_documentation)
    }

    fn read(
        &self,
        _: &[ConfigResource],
        _: Option<i32>,
        response: DescribeConfigsResponse,
    ) -> Answers<ConfigResource, BTreeMap<String, ConfigEntry>> {
        let answers = response.results.into_iter().filter_map(|it| {
            let resource = ConfigResource::from_wire(it.resource_type, &it.resource_name)?;
            let entries = it.configs.into_iter().map(|it| (it.name.clone(), entry(it)));
            let answer = Refused::check(it.error_code, it.error_message);
            Some((resource, answer.map(|()| entries.collect())))
        });
        answers.collect()
    }

    fn reply(results: Results<ConfigResource, BTreeMap<String, ConfigEntry>>) -> AdminReply {
        AdminReply::ConfigsDescribed(results)
    }
}

fn entry(described: DescribeConfigsResourceResult) -> ConfigEntry {
    let synonyms = described.synonyms.into_iter().map(|it| ConfigSynonym {
        name: it.name,
        value: it.value,
        source: ConfigSource::from_code(it.source),
    });
    ConfigEntry {
        value: described.value,
        source: ConfigSource::from_code(described.config_source),
        is_sensitive: described.is_sensitive,
        is_read_only: described.read_only,
        config_type: ConfigType::from_code(described.config_type),
        synonyms: synonyms.collect(),
        documentation: described.documentation,
    }
}

/// IncrementalAlterConfigs (KIP-339).
// Kafka: KafkaAdminClient.incrementalAlterConfigs
#[derive(Debug)]
pub(super) struct AlterConfigs {
    pub(super) changes: BTreeMap<ConfigResource, Vec<AlterConfigOp>>,
    pub(super) validate_only: bool,
}

impl Each for AlterConfigs {
    type Key = ConfigResource;
    type Value = ();
    type Request = IncrementalAlterConfigsRequest;

    fn keys(&self) -> BTreeSet<ConfigResource> {
        self.changes.keys().cloned().collect()
    }

    fn target(&self, cluster: &Cluster, resource: &ConfigResource) -> Option<Target> {
        target(cluster, resource)
    }

    fn request(&self, resources: &[ConfigResource], _: Duration) -> Build<IncrementalAlterConfigsRequest> {
        let change = |op: &AlterConfigOp| {
            let (name, config_operation, value) = op.wire();
            AlterableConfig {
                name: name.into(),
                config_operation,
                value: value.map(String::from),
            }
        };
        let resource = |resource: &ConfigResource| {
            Some(AlterConfigsResource {
                resource_type: resource.type_code(),
                resource_name: resource.name(),
                configs: self.changes.get(resource)?.iter().map(change).collect(),
            })
        };
        always(IncrementalAlterConfigsRequest {
            resources: resources.iter().filter_map(resource).collect(),
            validate_only: self.validate_only,
        })
    }

    fn read(
        &self,
        _: &[ConfigResource],
        _: Option<i32>,
        response: IncrementalAlterConfigsResponse,
    ) -> Answers<ConfigResource, ()> {
        let answers = response.responses.into_iter().filter_map(|it| {
            let resource = ConfigResource::from_wire(it.resource_type, &it.resource_name)?;
            Some((resource, Refused::check(it.error_code, it.error_message)))
        });
        answers.collect()
    }

    fn reply(results: Results<ConfigResource, ()>) -> AdminReply {
        AdminReply::ConfigsAltered(results)
    }
}
