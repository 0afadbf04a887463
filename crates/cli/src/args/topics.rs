//! What can be typed after `kohort topics`.

use clap::{Args, Subcommand};

use super::{ClusterArgs, parse_property};

/// `kohort topics …`.
#[derive(Debug, Subcommand)]
pub(crate) enum TopicsCommand {
    /// Create a topic
    #[command(after_help = "Examples:
  kohort topics create orders --partitions 6
  kohort topics create prices --partitions 3 --config cleanup.policy=compact

Next: `kohort produce -t orders` writes to it.")]
    Create {
        /// Where the cluster is
        #[command(flatten)]
        cluster: ClusterArgs,
        /// The topic's name
        name: String,
        /// Number of partitions; left out, the broker's `num.partitions`
        #[arg(long, value_name = "N")]
        partitions: Option<i32>,
        /// Replicas of each partition; left out, the broker's `default.replication.factor`
        #[arg(long, value_name = "N")]
        replication_factor: Option<i16>,
        /// A setting of the topic under Kafka's own name; may be repeated
        #[arg(long = "config", value_name = "KEY=VALUE", value_parser = parse_property)]
        configs: Vec<(String, String)>,
    },
    /// Print the names of all topics, one a line
    List {
        /// Where the cluster is
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// Print the partitions of topics with their leaders and offsets
    #[command(
        after_help = "`leader` none: the partition cannot be written or read. Fewer `in sync` than `replicas`: a broker is behind or away.
`first offset` to `end offset` is what is there; see `kohort consume` to read it.

Examples:
  kohort topics describe orders
  kohort topics describe                               # all topics"
    )]
    Describe {
        /// Where the cluster is
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Topics; left out, all
        names: Vec<String>,
    },
    /// Print the settings of topics
    Configs(TopicConfigsArgs),
    /// Change settings of a topic, or add partitions to it
    Alter(AlterTopicArgs),
    /// Delete topics with all their records
    #[command(
        after_help = "There is no way back. What groups have committed for the topics goes, too.

Example: kohort topics delete orders-test refunds-test"
    )]
    Delete {
        /// Where the cluster is
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Topics
        #[arg(required = true)]
        names: Vec<String>,
    },
}

/// `kohort topics configs`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kohort topics configs orders                         # what somebody has set
  kohort topics configs orders --all                   # and all defaults")]
pub(crate) struct TopicConfigsArgs {
    /// Where the cluster is
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// Topics
    #[arg(required = true)]
    pub(crate) names: Vec<String>,
    /// Print defaults, too
    #[arg(long)]
    pub(crate) all: bool,
}

/// `kohort topics alter`.
#[derive(Debug, Args)]
#[command(
    after_help = "Partitions can be added and never be taken away. Keys go to other partitions afterwards, so that the order of records of a key
holds from then on only.

Examples:
  kohort topics alter orders --config retention.ms=86400000
  kohort topics alter orders --delete-config retention.ms
  kohort topics alter orders --partitions 12"
)]
pub(crate) struct AlterTopicArgs {
    /// Where the cluster is
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// The topic
    pub(crate) name: String,
    /// A setting under Kafka's own name; may be repeated
    #[arg(
        long = "config",
        value_name = "KEY=VALUE",
        value_parser = parse_property,
        required_unless_present_any = ["delete_configs", "partitions"]
    )]
    pub(crate) configs: Vec<(String, String)>,
    /// A setting that gets its default again; may be repeated
    #[arg(long = "delete-config", value_name = "KEY")]
    pub(crate) delete_configs: Vec<String>,
    /// How many partitions the topic is to have in all
    #[arg(long, value_name = "N")]
    pub(crate) partitions: Option<i32>,
}
