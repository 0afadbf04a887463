//! What can be typed after `kohort consume`.

use clap::Args;

use super::ClusterArgs;
use crate::escape::Delimiter;
use crate::format::Format;
use crate::offset::Bound;

/// `kohort consume`.
#[derive(Debug, Args)]
#[command(after_help = "Format of -f, as kcat's:
  %t topic  %p partition  %o offset  %T timestamp (ms since 1970)
  %k key    %K its bytes (-1: null)  %s value  %S its bytes (-1: null)  %R the same as four bytes, big endian
  %h headers as name=value,name=value  %% a percent sign  \\n \\t \\r \\0 \\xHH \\\\ as in C

-J prints one JSON object a line, in kcat's envelope:
  {\"topic\":\"t\",\"partition\":0,\"offset\":5,\"tstype\":\"create\",\"ts\":1795554000000,\"headers\":[\"name\",\"value\"],\"key\":null,\"payload\":\"…\"}
  `tstype` is create or logappend; `headers` is left out where there are none; null is null. Bytes that are not UTF-8 appear as
  U+FFFD in the string, and a field of the same name with `_base64` after it (`payload_base64`, `key_base64`,
  `headers_base64`) has them as they are. kcat's `broker` is left out.

Examples:
  kohort consume -t orders -o beginning -e -f '%p %o %k %s\\n'
  kohort consume -t orders -o -10 -e                         # the last 10 of each partition
  kohort consume -t orders -o s@2026-11-24T20:00:00Z -o e@2026-11-24T21:00:00Z -e
  kohort consume -t orders -e -J | jq 'select(.payload == null) | .key'   # tombstones
  kohort consume -t orders -G billing                        # as a member; begins where the group stopped
  kohort consume -t '^orders-.*' -G billing                  # all topics that match, those made later too

A group's member commits what it printed (enable.auto.commit). See `kohort groups describe` for where a group is.")]
pub(crate) struct ConsumeArgs {
    /// Where the cluster is
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// Topic to read; with -G also a pattern of topics, which begins with ^ and matches a name as a whole
    #[arg(short = 't', long, value_name = "TOPIC")]
    pub(crate) topic: String,
    /// Partition to read; may be repeated; left out, all
    #[arg(short = 'p', long, value_name = "N", conflicts_with = "group")]
    pub(crate) partition: Vec<i32>,
    /// Where to begin: `beginning`, `end`, `stored` (what the group committed), an offset, -N for the last N of each partition, or
    /// s@TIME for the first record since that time. A second -o e@TIME stops each partition before its first record of that time
    /// or later; with -e the end stops it, too. TIME is in ms since 1970, or as 2026-11-24T21:00:00Z.
    /// Default: `beginning`, with -G `stored`
    #[arg(short = 'o', long, value_name = "OFFSET", allow_hyphen_values = true)]
    pub(crate) offset: Vec<Bound>,
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
    #[arg(short = 'K', value_name = "DELIMITER", conflicts_with_all = ["format", "json"])]
    pub(crate) key_delimiter: Option<Delimiter>,
    /// Print this after the value instead of a line end
    #[arg(short = 'D', value_name = "DELIMITER", conflicts_with_all = ["format", "json"])]
    pub(crate) delimiter: Option<Delimiter>,
    /// How to print a record; left out, its value and a line end
    #[arg(short = 'f', long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Print each record as a line of JSON
    #[arg(short = 'J', long, conflicts_with = "format")]
    pub(crate) json: bool,
    /// Print a null key or value as NULL; an empty one prints nothing. In JSON null is null
    #[arg(short = 'Z')]
    pub(crate) show_null: bool,
}
