//! What can be typed: the command line as a type. Nothing here does I/O; `cmd` acts on it.

mod consume;
mod groups;
mod produce;
mod serve;
mod topics;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use consume::ConsumeArgs;
pub(crate) use groups::{
    DeleteGroupsArgs, DeleteOffsetsArgs, DescribeGroupsArgs, GroupsCommand, ListGroupsArgs,
    RemoveMembersArgs, ResetGroupArgs,
};
pub(crate) use produce::ProduceArgs;
pub(crate) use serve::ServeArgs;
pub(crate) use topics::{AlterTopicArgs, DeleteRecordsArgs, TopicConfigsArgs, TopicsCommand};

/// The `kohort` command line.
#[derive(Debug, Parser)]
#[command(
    name = "kohort",
    version,
    about = "Kafka from the command line: a broker to develop against, a producer, a consumer, and groups seen and mended",
    after_help = "Data goes to stdout, everything else to stderr. A reader that closes the pipe early (`kohort consume … | head`) is no error.

Exit codes:
  0    done
  1    the command failed: broker unreachable, an error of Kafka, a bad file
  2    wrong usage, an unknown or wrong property of -X included
  130  ended by ctrl-c

Examples:
  kohort demo                                          # a group at work, without any set-up
  kohort serve &                                       # a broker on 127.0.0.1:9092
  kohort topics create orders --partitions 6
  kohort produce -t orders -K : orders.txt             # lines `key:value`
  kohort consume -t orders -o beginning -e -f '%p %o %k %s\\n'
  kohort consume -t orders -G billing                  # as a member of a group
  kohort groups describe billing                       # who owns what, and how far behind
  source <(kohort completions bash)

`kohort COMMAND --help` has the rest with examples, `kohort man` the same as a manual page."
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
    /// Run a broker on this machine, in memory or on its disk, for any Kafka client
    Serve(ServeArgs),
    /// Show a consumer group at work: real data, four consumers, two rebalances, in seconds and without any set-up
    Demo,
    /// Create, list, describe, alter and delete topics, and delete their oldest records
    #[command(subcommand)]
    Topics(TopicsCommand),
    /// Write lines of a file or of stdin as records
    Produce(ProduceArgs),
    /// Print records of a topic, by partition or as a member of a group
    Consume(ConsumeArgs),
    /// List, describe, reset and delete consumer groups
    #[command(subcommand)]
    Groups(GroupsCommand),
    /// Print the completions of a shell
    Completions(CompletionsArgs),
    /// Print a manual page, or write all of them
    Man(ManArgs),
}

/// `kohort completions`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  source <(kohort completions bash)                                    # this shell
  kohort completions bash > ~/.local/share/bash-completion/completions/kohort
  kohort completions zsh > \"${fpath[1]}/_kohort\"
  kohort completions fish > ~/.config/fish/completions/kohort.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}

/// `kohort man`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kohort man | man -l -
  kohort man groups reset | man -l -
  kohort man --dir ~/.local/share/man/man1             # then: man kohort-groups-reset")]
pub(crate) struct ManArgs {
    /// The command whose page is printed; left out, `kohort` itself
    pub(crate) command: Vec<String>,
    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub(crate) dir: Option<PathBuf>,
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::offset::{Bound, StartOffset};

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_every_command_has_an_example() {
        fn without(command: &clap::Command, path: &str, missing: &mut Vec<String>) {
            for sub in command.get_subcommands() {
                let path = format!("{path} {}", sub.get_name());
                let help = sub.get_after_help().map(ToString::to_string);
                if !sub.has_subcommands() && !help.is_some_and(|help| help.contains("Example")) {
                    missing.push(path.clone());
                }
                without(sub, &path, missing);
            }
        }
        let mut missing = Vec::new();
        without(&Cli::command(), "kohort", &mut missing);
        assert_eq!(missing, ["kohort demo"], "which takes nothing");
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
        assert_eq!(args.offset, [Bound::Start(StartOffset::Last(5))]);
        assert_eq!(args.cluster.properties, [("a.b".to_owned(), "c=d".to_owned())]);
        assert_eq!((args.count, args.exit_at_end), (Some(3), true));
    }
}
