//! What can be typed after `kohort consume`.

use clap::Args;

use super::{ClusterArgs, parse_text};
use crate::format::Format;
use crate::offset::StartOffset;

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
