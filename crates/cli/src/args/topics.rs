//! What can be typed after `kohort topics`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ClusterArgs, parse_property};
use crate::cmd::groups::target::{Target, TopicScope};

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
    #[command(after_help = "Examples:
  kohort topics list
  kohort topics list -J | jq -r 'select(.topic | startswith(\"test-\")).topic'")]
    List {
        /// Where the cluster is
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Print each topic as a line of JSON, with its id
        #[arg(short = 'J', long)]
        json: bool,
    },
    /// Print the partitions of topics with their leaders and offsets
    #[command(
        after_help = "`leader` none: the partition cannot be written or read. Fewer `in sync` than `replicas`: a broker is behind or away.
`first offset` to `end offset` is what is there; see `kohort consume` to read it.

Examples:
  kohort topics describe orders
  kohort topics describe                               # all topics
  kohort topics describe -J | jq -r 'select(any(.partitions[]; .leader == null)).topic'"
    )]
    Describe {
        /// Where the cluster is
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Print each topic as a line of JSON
        #[arg(short = 'J', long)]
        json: bool,
        /// Topics; left out, all
        names: Vec<String>,
    },
    /// Print the settings of topics
    Configs(TopicConfigsArgs),
    /// Change settings of a topic, or add partitions to it
    Alter(AlterTopicArgs),
    /// Delete the oldest records of topics, up to an offset of each partition
    DeleteRecords(DeleteRecordsArgs),
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

/// `kohort topics delete-records`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without --execute nothing is deleted: the plan says how many records each partition would lose. There is no way back.
What is not there any more is not deleted twice; an offset beyond the end is refused. Groups that
have not read so far go on by their auto.offset.reset.

Examples:
  kohort topics delete-records orders --before latest              # would empty it
  kohort topics delete-records orders --before '7 days ago'
  kohort topics delete-records orders:0,2 --before 5000 --execute
  kohort topics delete-records --from-file offsets.csv --execute   # lines `topic,partition,offset`"
)]
pub(crate) struct DeleteRecordsArgs {
    /// Where the cluster is
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// Topics, or some of their partitions as TOPIC:0,2
    #[arg(
        value_name = "TOPIC[:P,…]",
        required_unless_present = "from_file",
        conflicts_with = "from_file"
    )]
    pub(crate) topics: Vec<TopicScope>,
    /// The first record to keep: latest (none is kept), an offset, a time (RFC 3339), or a duration (`7 days ago`, PT168H)
    #[arg(
        long,
        value_name = "WHERE",
        value_parser = parse_before,
        required_unless_present = "from_file",
        conflicts_with = "from_file"
    )]
    pub(crate) before: Option<Target>,
    /// The partitions and offsets of a file with lines `topic,partition,offset`
    #[arg(long, value_name = "FILE")]
    pub(crate) from_file: Option<PathBuf>,
    /// Show what would be deleted, and delete nothing; so it is without --execute
    #[arg(long, conflicts_with = "execute")]
    pub(crate) plan: bool,
    /// Do it
    #[arg(long)]
    pub(crate) execute: bool,
}

fn parse_before(text: &str) -> Result<Target, String> {
    match text.parse() {
        Ok(Target::Earliest | Target::Current) | Err(_) => Err(
            "expected latest, an offset, a time such as 2026-11-24T21:00:00Z, or a duration such as `7 days ago` or PT168H"
                .to_owned(),
        ),
        target => target,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::args::Cli;

    fn parses(args: &str) -> bool {
        let args = args.split(' ').map(|arg| arg.replace('_', " "));
        let all = ["kohort", "topics", "delete-records"].map(str::to_owned);
        Cli::try_parse_from(all.into_iter().chain(args)).is_ok()
    }

    #[test]
    fn records_are_deleted_of_named_partitions_and_before_something() {
        for args in [
            "t --before 5",
            "t:0,1 u --before latest --execute",
            "t --before 2_days_ago --plan",
            "t --before 2026-11-24",
            "--from-file f --execute",
        ] {
            assert!(parses(args), "{args}");
        }
        for args in [
            "t",
            "--before 5",
            "t --before earliest",
            "t --before current",
            "t --before -1",
            "t --before 5 --from-file f",
            "t --from-file f",
            "t --before 5 --plan --execute",
        ] {
            assert!(!parses(args), "{args}");
        }
    }
}
