//! What can be typed: the command line as a type. Nothing here does I/O; `cmd` acts on it.

mod consume;
mod groups;
mod produce;
mod serve;
mod topics;

use clap::{ArgAction, Args, Parser, Subcommand};

pub(crate) use consume::ConsumeArgs;
pub(crate) use groups::GroupsCommand;
pub(crate) use produce::ProduceArgs;
pub(crate) use serve::ServeArgs;
pub(crate) use topics::TopicsCommand;

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

fn parse_property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

fn parse_text(text: &str) -> Result<String, String> {
    crate::format::unescape(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::offset::StartOffset;

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
}
