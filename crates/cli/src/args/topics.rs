//! What can be typed after `kohort topics`.

use clap::Subcommand;

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
