//! What can be typed: the command line as a type. Nothing here does I/O; `cmd` acts on it.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::format::Format;
use crate::offset::StartOffset;

/// The `kohort` command line.
#[derive(Debug, Parser)]
#[command(
    name = "kohort",
    version,
    about = "Kafka from the command line: a broker to develop against, a producer, a consumer, and a view of groups",
    after_help = "Data goes to stdout, everything else to stderr.\n\
        Exit codes: 0 done; 1 the command failed (broker unreachable, an error of Kafka, a bad file); 2 wrong usage; 130 ended by ctrl-c.\n\
        A reader that closes the pipe early (`kohort consume … | head`) is no error."
)]
pub(crate) struct Cli {
    /// Say more on stderr: rebalances, connections closed and why; twice for each connection made
    #[arg(short = 'v', long, action = ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    /// The command to run.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a broker on this machine, in memory, for any Kafka client
    Serve(ServeArgs),
    /// Show a consumer group at work: real data, four consumers, two rebalances, in seconds and without any set-up
    Demo,
    /// Create, list, describe and delete topics
    #[command(subcommand)]
    Topics(TopicsCommand),
    /// Write lines of a file or of stdin as records
    Produce(ProduceArgs),
    /// Print records of a topic, by partition or as a member of a group
    Consume(ConsumeArgs),
    /// List and describe consumer groups
    #[command(subcommand)]
    Groups(GroupsCommand),
}

/// Where the cluster is, and any property by Kafka's name.
#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    /// Brokers to find the cluster by, comma-separated
    #[arg(
        short = 'b',
        long = "bootstrap",
        value_name = "HOST:PORT,…",
        env = "KOHORT_BOOTSTRAP",
        default_value = "127.0.0.1:9092"
    )]
    pub(crate) bootstrap: String,
    /// Any property under Kafka's own name, e.g. `-X fetch.max.wait.ms=100`; may be repeated
    #[arg(short = 'X', value_name = "KEY=VALUE", value_parser = parse_property)]
    pub(crate) properties: Vec<(String, String)>,
}

/// `kohort serve`.
#[derive(Debug, Args)]
#[command(
    after_help = "The first line on stdout is `bootstrap.servers=HOST:PORT`; ctrl-c stops the broker.\n\
    Records and groups live in memory, without retention or compaction, and are gone when it stops."
)]
pub(crate) struct ServeArgs {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    pub(crate) listen: String,
    /// Address that clients are told to connect to, where it differs from the one listened on
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) advertise: Option<String>,
    /// Listen on an address that is not loopback, although nobody is authenticated
    #[arg(long)]
    pub(crate) insecure_listen: bool,
    /// A topic to create at the start; may be repeated
    #[arg(long = "topic", value_name = "NAME:PARTITIONS", value_parser = parse_topic)]
    pub(crate) topics: Vec<(String, i32)>,
    /// A broker setting under Kafka's own name, e.g. `-X group.initial.rebalance.delay.ms=0`; may be repeated
    #[arg(short = 'X', value_name = "KEY=VALUE", value_parser = parse_property)]
    pub(crate) properties: Vec<(String, String)>,
}

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

/// `kohort groups …`.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupsCommand {
    /// Print all groups with their state, one a line
    List {
        /// Where the cluster is
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// Print who owns which partition of a group and how far behind each is
    Describe {
        /// Where the cluster is
        #[command(flatten)]
        cluster: ClusterArgs,
        /// The group
        group: String,
    },
}

/// Codecs of `-z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Codec {
    /// Not compressed
    None,
    /// gzip
    Gzip,
    /// Snappy
    Snappy,
    /// LZ4
    Lz4,
    /// Zstandard
    Zstd,
}

impl Codec {
    /// Kafka's name, as `compression.type` takes it.
    pub(crate) fn kafka_name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// `kohort produce`.
#[derive(Debug, Args)]
#[command(after_help = "Example: kohort produce -t purchases -K: orders.txt    # lines `key:value`")]
pub(crate) struct ProduceArgs {
    /// Where the cluster is
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// Topic to write to
    #[arg(short = 't', long, value_name = "TOPIC")]
    pub(crate) topic: String,
    /// Partition to write to; left out, records with equal keys go to the same one, as Java's producer spreads them
    #[arg(short = 'p', long, value_name = "N")]
    pub(crate) partition: Option<i32>,
    /// What stands between key and value in a line; a line without it is a value with a null key
    #[arg(short = 'K', value_name = "DELIMITER", value_parser = parse_text)]
    pub(crate) key_delimiter: Option<String>,
    /// Compression
    #[arg(short = 'z', value_name = "CODEC")]
    pub(crate) codec: Option<Codec>,
    /// File to read lines from; left out or `-`, stdin
    pub(crate) file: Option<PathBuf>,
}

/// `kohort consume`.
#[derive(Debug, Args)]
#[command(
    after_help = "Format of -f: %t topic  %p partition  %o offset  %k key  %s value  %T timestamp (ms)  %% a percent sign; \\n \\t \\\\ as in C.\n\
    Examples:\n  kohort consume -t purchases -o beginning -e -f '%p %o %k %s\\n'\n  kohort consume -t purchases -G billing -o stored"
)]
pub(crate) struct ConsumeArgs {
    /// Where the cluster is
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// Topic to read
    #[arg(short = 't', long, value_name = "TOPIC")]
    pub(crate) topic: String,
    /// Partition to read; may be repeated; left out, all
    #[arg(short = 'p', long, value_name = "N", conflicts_with = "group")]
    pub(crate) partition: Vec<i32>,
    /// Where to begin: `beginning`, `end`, `stored` (what the group committed), an offset, or -N for the last N of each partition.
    /// Default: `beginning`, with -G `stored`
    #[arg(short = 'o', long, value_name = "OFFSET", allow_hyphen_values = true)]
    pub(crate) offset: Option<StartOffset>,
    /// Stop after N records
    #[arg(short = 'c', long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Stop at the end that each partition had when reading began
    #[arg(short = 'e', long)]
    pub(crate) exit_at_end: bool,
    /// Read as a member of this group, and commit
    #[arg(short = 'G', long, value_name = "GROUP")]
    pub(crate) group: Option<String>,
    /// Print the key and this before the value
    #[arg(short = 'K', value_name = "DELIMITER", value_parser = parse_text, conflicts_with = "format")]
    pub(crate) key_delimiter: Option<String>,
    /// How to print a record; left out, its value and a line end
    #[arg(short = 'f', long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
}

fn parse_property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

fn parse_topic(text: &str) -> Result<(String, i32), String> {
    let (name, partitions) = text.rsplit_once(':').ok_or("expected NAME:PARTITIONS")?;
    match partitions.parse() {
        Ok(partitions) if partitions > 0 && !name.is_empty() => Ok((name.to_owned(), partitions)),
        _ => Err("expected NAME:PARTITIONS with at least one partition".to_owned()),
    }
}

fn parse_text(text: &str) -> Result<String, String> {
    crate::format::unescape(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn kcat_flags_parse_together() {
        let cli = Cli::try_parse_from([
            "kohort", "consume", "-b", "h:1", "-t", "t", "-p", "0", "-o", "-5", "-c", "3", "-e", "-f",
            "%k %s\\n", "-X", "a.b=c=d",
        ])
        .unwrap();
        let Command::Consume(args) = cli.command else {
            panic!("not consume")
        };
        assert_eq!(args.offset, Some(StartOffset::Last(5)));
        assert_eq!(args.cluster.properties, [("a.b".to_owned(), "c=d".to_owned())]);
        assert_eq!((args.count, args.exit_at_end), (Some(3), true));
    }

    #[test]
    fn a_topic_of_serve_needs_a_number_of_partitions() {
        assert_eq!(parse_topic("a:b:3"), Ok(("a:b".to_owned(), 3)));
        assert!(parse_topic("a").is_err());
        assert!(parse_topic("a:0").is_err());
    }
}
