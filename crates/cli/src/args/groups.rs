//! What can be typed after `kohort groups`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use super::ClusterArgs;
use crate::cmd::groups::target::{Target, TopicScope};

/// `kohort groups …`.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupsCommand {
    /// Print all groups with their states, one a line
    List(ListGroupsArgs),
    /// Print who owns which partition of a group, and how far behind each is
    Describe(DescribeGroupsArgs),
    /// Move the committed offsets of a group; shows what that would do, and does it with --execute
    Reset(ResetGroupArgs),
    /// Delete groups that have no members, with their offsets
    Delete(DeleteGroupsArgs),
    /// Delete what a group has committed for topics
    DeleteOffsets(DeleteOffsetsArgs),
    /// Remove static members that do not come back, so that the others take over at once
    #[command(visible_alias = "remove-member")]
    RemoveMembers(RemoveMembersArgs),
}

/// `kohort groups list`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kohort groups list
  kohort groups list --state empty,dead                # candidates for `kohort groups delete`

Next: `kohort groups describe GROUP` says who is in a group and how far behind it is.")]
pub(crate) struct ListGroupsArgs {
    /// Where the cluster is
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// Only groups in these states: Stable, Empty, PreparingRebalance, CompletingRebalance, …
    #[arg(long = "state", value_name = "STATE,…", value_delimiter = ',')]
    pub(crate) states: Vec<String>,
    /// Only groups of these types: Classic, Consumer, …
    #[arg(long = "type", value_name = "TYPE,…", value_delimiter = ',')]
    pub(crate) types: Vec<String>,
}

/// `kohort groups describe`.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("which").required(true).args(["groups", "all"]),
    after_help = "First the group as a whole; then each partition that is owned or committed; then each member with what it owns.
A member without partitions is idle: there are more members than partitions. `-` in `committed`: the group would begin there
by its auto.offset.reset, and its lag is unknown. `-` in `member`: nobody reads this partition now.

Examples:
  kohort groups describe billing
  kohort groups describe --all | grep '^group'         # the state and lag of every group
  kohort groups describe billing --watch 2             # is it catching up?
  kohort groups describe --all -J | jq 'select(.lag > 1000) | .group'
  kohort groups describe billing --rebalances          # when, why and by whom, what moved, how long each partition paused
  kohort groups describe billing --rebalances --journal /var/log/billing/*.jsonl

A broker of Kohort's keeps a journal of rebalances (the topic __kohort_rebalances). Of others, --rebalances shows what the records
of __consumer_offsets tell: when, and what moved. Consumers of Kohort's tell of themselves, at any broker: each writes a file with
kohort.rebalance.journal.file=FILE. --journal reads such files, of one member or of many, and puts them together by generation.

Next: `kohort groups reset GROUP` moves a group that is stuck or too far behind."
)]
pub(crate) struct DescribeGroupsArgs {
    /// Where the cluster is
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// The groups
    #[arg(value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// All groups of the cluster
    #[arg(long)]
    pub(crate) all: bool,
    /// Show it again every so many seconds, until ctrl-c
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "5", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) watch: Option<u64>,
    /// Show the last rebalances of each group (so many, or 10) instead of its partitions and members
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "10", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rebalances: Option<u64>,
    /// Read them from files that members wrote (kohort.rebalance.journal.file); no broker is asked
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "rebalances", conflicts_with = "watch")]
    pub(crate) journal: Vec<PathBuf>,
    /// Print each group as a line of JSON, with null where the tables have `-`
    #[arg(short = 'J', long)]
    pub(crate) json: bool,
}

/// `kohort groups reset`.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("where").required(true).args(["to", "shift_by", "from_file"]),
    group = ArgGroup::new("scope").args(["topics", "all_topics", "from_file"]),
    after_help = "Without --execute nothing is changed: the plan shows, for each partition, what is committed, where it would go, and how
many records would be skipped (never read by this group) or replayed (read again). Counts are of offsets: what compaction
or transactions left out counts too. An offset that is not there becomes the first or the end of the partition.

Kafka lets a group be reset only while it has no members; the plan lists those who block it. Stop them first; one that was
killed is gone after its session.timeout.ms.

Examples:
  kohort groups reset billing --all-topics --to earliest                  # what would it replay?
  kohort groups reset billing --all-topics --to earliest --execute        # do it
  kohort groups reset billing --topic orders --to 2026-11-24T20:30:00Z    # since that time; without a zone it is UTC
  kohort groups reset billing --topic orders --to '2h ago'
  kohort groups reset billing --topic orders:0 --shift-by 1 --execute     # past one bad record of partition 0
  kohort groups reset billing --all-topics --to current --export > saved.csv
  kohort groups reset billing --from-file saved.csv --execute             # and back

Next: `kohort groups describe GROUP` shows the outcome."
)]
pub(crate) struct ResetGroupArgs {
    /// Where the cluster is
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// The group; one that is not there is made
    pub(crate) group: String,
    /// A topic, or some of its partitions as TOPIC:0,2; may be repeated
    #[arg(long = "topic", value_name = "TOPIC[:P,…]", required_unless_present_any = ["all_topics", "from_file"])]
    pub(crate) topics: Vec<TopicScope>,
    /// Every partition for which the group has committed
    #[arg(long)]
    pub(crate) all_topics: bool,
    /// Where to go: earliest, latest, current, an offset, a time (RFC 3339), or a duration (`2h ago`, PT2H)
    #[arg(long, value_name = "WHERE")]
    pub(crate) to: Option<Target>,
    /// Move by so many records from what is committed; below 0: back
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) shift_by: Option<i64>,
    /// The partitions and offsets of a file with lines `topic,partition,offset`, as --export and Kafka's own tool write it
    #[arg(long, value_name = "FILE")]
    pub(crate) from_file: Option<PathBuf>,
    /// Show what would be done, and change nothing; so it is without --execute
    #[arg(long, conflicts_with = "execute")]
    pub(crate) plan: bool,
    /// Do it
    #[arg(long)]
    pub(crate) execute: bool,
    /// Print the new offsets as lines for --from-file instead of the plan
    #[arg(long)]
    pub(crate) export: bool,
}

/// `kohort groups delete`.
#[derive(Debug, Args)]
#[command(
    after_help = "A group that has members is not deleted; its members are printed.

Example: kohort groups delete billing-test-1 billing-test-2"
)]
pub(crate) struct DeleteGroupsArgs {
    /// Where the cluster is
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// The groups
    #[arg(required = true, value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
}

/// `kohort groups delete-offsets`.
#[derive(Debug, Args)]
#[command(
    after_help = "The group reads these partitions by its auto.offset.reset afterwards. Members may be there, as long as none of them is
subscribed to the topic.

Example: kohort groups delete-offsets billing --topic orders:0,2 --topic refunds"
)]
pub(crate) struct DeleteOffsetsArgs {
    /// Where the cluster is
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// The group
    pub(crate) group: String,
    /// A topic, or some of its partitions as TOPIC:0,2; may be repeated
    #[arg(long = "topic", value_name = "TOPIC[:P,…]", required = true)]
    pub(crate) topics: Vec<TopicScope>,
}

/// `kohort groups remove-members`.
#[derive(Debug, Args)]
#[command(
    after_help = "A static member (group.instance.id) keeps its partitions while it is away, until session.timeout.ms is over. Removed, the
others share them at once. One that is alive joins again.

Example: kohort groups remove-member billing --instance-id till-1

See `kohort groups describe` for the instance ids of a group."
)]
pub(crate) struct RemoveMembersArgs {
    /// Where the cluster is
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// The group
    pub(crate) group: String,
    /// The `group.instance.id` of a member; may be repeated
    #[arg(long = "instance-id", value_name = "ID", required = true)]
    pub(crate) instances: Vec<String>,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::args::Cli;

    fn parses(args: &str) -> bool {
        Cli::try_parse_from(["kohort", "groups"].into_iter().chain(args.split(' '))).is_ok()
    }

    #[test]
    fn a_reset_says_which_partitions_and_where_to() {
        for args in [
            "reset g --topic t --to earliest",
            "reset g --topic t:0,1 --topic u --shift-by -5 --execute",
            "reset g --all-topics --to 2026-11-24 --plan",
            "reset g --from-file f --execute",
            "reset g --all-topics --to current --export",
        ] {
            assert!(parses(args), "{args}");
        }
        for args in [
            "reset g --to earliest",
            "reset g --topic t",
            "reset g --topic t --to earliest --shift-by 5",
            "reset g --topic t --all-topics --to earliest",
            "reset g --topic t --from-file f",
            "reset g --topic t --to earliest --plan --execute",
        ] {
            assert!(!parses(args), "{args}");
        }
    }

    #[test]
    fn a_description_is_of_named_groups_or_of_all() {
        assert!(parses("describe g h") && parses("describe --all") && parses("describe g --watch"));
        assert!(!parses("describe") && !parses("describe g --all") && !parses("describe g --watch 0"));
        assert!(parses("describe --rebalances g") && parses("describe g --rebalances=3 -J"));
        assert!(!parses("describe g --rebalances=0"));
        assert!(
            parses("describe g --rebalances --journal a b")
                && parses("describe --all --rebalances --journal a")
        );
        assert!(!parses("describe g --journal a") && !parses("describe g --rebalances --journal a --watch"));
    }
}
