//! What IncrementalAlterConfigs, AlterConfigs and DescribeConfigs have in common of resources that are brokers.

use alloc::format;
use alloc::string::ToString;

use kohort_protocol::ErrorCode;

use super::incremental_alter_configs::Refusal;
use crate::config::{ConfigError, DynamicConfig, Scope};
use crate::context::{Call, Cx};
use crate::interface::Level;

/// Whose settings a resource of this name has: those of all brokers where it is empty.
// Kafka: ConfigAdminManager.validateResourceNameIsCurrentNodeId, ConfigHelper.resourceNameToBrokerId
pub(super) fn scope(call: &Call, name: &str) -> Result<Scope, Refusal> {
    let message = match name.parse::<i32>() {
        _ if name.is_empty() => return Ok(Scope::Cluster),
        Ok(id) if id == call.broker => return Ok(Scope::Broker),
        Ok(_) => format!(
            "Unexpected broker id, expected {} or empty string, but received {name}",
            call.broker
        ),
        Err(_) => format!("Broker id must be an integer, but it is: {name}"),
    };
    Err((ErrorCode::InvalidRequest, message))
}

/// As [`scope`], to alter them.
pub(super) fn scope_to_alter(cx: &Cx<'_>, call: &Call, name: &str) -> Result<Scope, Refusal> {
    match scope(call, name)? {
        Scope::Broker if cx.cluster.brokers.len() > 1 => {
            let message =
                "The brokers of this process share their settings: alter those of all, without an id.";
            Err((ErrorCode::InvalidRequest, message.into()))
        }
        scope => Ok(scope),
    }
}

/// Why a setting is not changed.
// Kafka: ConfigAdminManager.validateBrokerConfigChange (KAFKA-13609)
pub(super) fn refused(error: &ConfigError) -> Refusal {
    (ErrorCode::InvalidRequest, error.to_string())
}

/// Puts new settings in force, for every topic that has none of its own.
// Kafka: DynamicLogConfig.reconfigure
pub(super) fn set(cx: &mut Cx<'_>, scope: Scope, config: DynamicConfig) -> Result<(), Refusal> {
    let surroundings = (&mut *cx.config, cx.cluster, cx.wall_ms);
    if let Err(error) = cx.topics.configure_brokers(scope, config, surroundings) {
        cx.log(
            Level::Warn,
            format!("the settings of brokers are not kept: {error}"),
        );
        return Err((ErrorCode::KafkaStorageError, error.to_string()));
    }
    cx.configured();
    Ok(())
}
