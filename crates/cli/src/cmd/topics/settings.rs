//! `kohort topics configs` and `kohort topics alter`: the settings of topics, and how many partitions they have.

use std::sync::Arc;

use kohort::admin::{AlterConfigOp, ConfigResource, ConfigSource, NewPartitions, Results};

use crate::args::{AlterTopicArgs, TopicConfigsArgs};
use crate::cmd::{admin, each};
use crate::failure::Failure;
use crate::output::Output;
use crate::table::Table;

/// Prints the settings that somebody has set, or all.
pub(super) async fn show(args: TopicConfigsArgs) -> Result<(), Failure> {
    let admin = admin(&args.cluster).await?;
    let described = admin
        .describe_configs(args.names.into_iter().map(ConfigResource::topic))
        .await
        .map_err(|error| Failure::because("settings", &error))?;
    let mut table = Table::new(&["topic", "setting", "value", "set by"]);
    let described = each("cannot describe", by_topic(described), |topic, settings| {
        for (key, entry) in settings {
            if args.all || !entry.is_default() {
                let hidden = if entry.is_sensitive { "[hidden]" } else { "-" };
                table.row(vec![
                    topic.to_string(),
                    key,
                    entry.value.unwrap_or_else(|| hidden.to_owned()),
                    set_by(entry.source).to_owned(),
                ]);
            }
        }
    });
    match described {
        Err(failure) if table.is_empty() => Err(failure),
        described => {
            Output::stdout().write(|out| table.write(out, ""))?;
            described
        }
    }
}

fn set_by(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::DynamicTopicConfig => "topic",
        ConfigSource::DynamicBrokerConfig => "broker",
        ConfigSource::DynamicDefaultBrokerConfig => "all brokers",
        ConfigSource::StaticBrokerConfig => "broker's file",
        ConfigSource::DefaultConfig => "default",
        _ => "-",
    }
}

/// Changes settings, then adds partitions.
pub(super) async fn alter(args: AlterTopicArgs) -> Result<(), Failure> {
    let admin = admin(&args.cluster).await?;
    let name = args.name;
    let set = args.configs.into_iter();
    let set = set.map(|(key, value)| AlterConfigOp::set(key, value));
    let changes: Vec<AlterConfigOp> = set
        .chain(args.delete_configs.into_iter().map(AlterConfigOp::delete))
        .collect();
    if !changes.is_empty() {
        let altered = admin
            .incremental_alter_configs([(ConfigResource::topic(name.as_str()), changes)])
            .await
            .map_err(|error| Failure::because("settings", &error))?;
        each("cannot alter", by_topic(altered), |topic, ()| {
            anstream::eprintln!("kohort: changed settings of {topic}");
        })?;
    }
    if let Some(total) = args.partitions {
        let topic = Arc::from(name);
        let created = admin
            .create_partitions([NewPartitions { topic, total }])
            .await
            .map_err(|error| Failure::because("partitions", &error))?;
        each("cannot add partitions to", created, |topic, ()| {
            anstream::eprintln!("kohort: {topic} has {total} partitions");
        })?;
    }
    Ok(())
}

/// What was asked for topics alone is answered for topics alone.
fn by_topic<V>(results: Results<ConfigResource, V>) -> Results<Arc<str>, V> {
    results
        .into_iter()
        .filter_map(|(resource, result)| match resource {
            ConfigResource::Topic(name) => Some((name, result)),
            _ => None,
        })
        .collect()
}
