//! AlterConfigs, of topics and of brokers: replaces all settings of one. Kafka's own tools have long used IncrementalAlterConfigs; other
//! clients have not.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kohort_protocol::{ErrorCode, error_message};
use kohort_protocol::messages::alter_configs::{AlterConfigsResource, AlterConfigsResourceResponse};
use kohort_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use super::broker_configs;
use super::incremental_alter_configs::{Kinds, Names, Refusal, check, set, topic};
use crate::config::{DynamicConfig, TopicConfig};
use crate::context::{Call, Cx, Outcome};

// Kafka: ConfigAdminManager.preprocess, ConfigurationControlManager.legacyAlterConfigs
pub(super) fn handle(cx: &mut Cx<'_>, call: &Call, request: AlterConfigsRequest) -> Outcome {
    let name = |resource: &AlterConfigsResource| (resource.resource_type, resource.resource_name.clone());
    let names = Names::of(request.resources.iter().map(name));
    let mut responses = Vec::new();
    for resource in &request.resources {
        let once = names.check(&name(resource));
        let (code, message) = match once.and_then(|()| alter(cx, call, resource, request.validate_only)) {
            Ok(()) => (ErrorCode::None, None),
            Err((code, message)) => (code, Some(message)),
        };
        responses.push(answer(resource, code, message));
    }
    AlterConfigsResponse {
        responses,
        ..Default::default()
    }
    .into()
}

pub(super) fn refuse(request: &AlterConfigsRequest, code: ErrorCode) -> AlterConfigsResponse {
    let resources = request.resources.iter();
    AlterConfigsResponse {
        responses: resources
            .map(|resource| answer(resource, code, Some(code.to_string())))
            .collect(),
        ..Default::default()
    }
}

fn answer(resource: &AlterConfigsResource, code: ErrorCode, message: Option<String>) -> AlterConfigsResourceResponse {
    AlterConfigsResourceResponse {
        error_code: code.code(),
        error_message: message.and_then(error_message),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
    }
}

fn alter(
    cx: &mut Cx<'_>,
    call: &Call,
    resource: &AlterConfigsResource,
    validate_only: bool,
) -> Result<(), Refusal> {
    let keys = resource.configs.iter().map(|config| (config.name.as_str(), config.value.is_none()));
    let kind = check(resource.resource_type, keys)?;
    let name = resource.resource_name.as_str();
    let given = resource
        .configs
        .iter()
        .map(|entry| (entry.name.as_str(), entry.value.as_deref().unwrap_or_default()));
    match kind {
        Kinds::Topic => {
            topic(cx, name)?;
            let mut config = TopicConfig::default();
            for (key, value) in given {
                config
                    .set(key, value)
                    .map_err(|error| (ErrorCode::InvalidConfig, error.to_string()))?;
            }
            match validate_only {
                true => Ok(()),
                false => set(cx, name, config),
            }
        }
        Kinds::Broker => {
            let scope = broker_configs::scope_to_alter(cx, call, name)?;
            let mut config = DynamicConfig::default();
            for (key, value) in given {
                config
                    .set(key, value)
                    .map_err(|error| broker_configs::refused(&error))?;
            }
            match validate_only {
                true => Ok(()),
                false => broker_configs::set(cx, scope, config),
            }
        }
    }
}
