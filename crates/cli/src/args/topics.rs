//! What can be typed after `kohort topics`.

use clap::Subcommand;

use super::ClusterArgs;

/// `kohort topics …`.
#[derive(Debug, Subcommand)]
pub(crate) enum TopicsCommand {
    /// Create a topic
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
    },
    /// Print the names of all topics, one a line
    List {
        /// Where the cluster is
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// Print the partitions of topics with their leaders and offsets
    Describe {
        /// Where the cluster is
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Topics; left out, all
        names: Vec<String>,
    },
    /// Delete topics with all their records
    Delete {
        /// Where the cluster is
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Topics
        #[arg(required = true)]
        names: Vec<String>,
    },
}
