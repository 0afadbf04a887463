//! What can be typed after `kohort serve`.

use std::path::PathBuf;

use clap::Args;

use super::parse_property;

/// `kohort serve`.
#[derive(Debug, Args)]
#[command(
    after_help = "The first line on stdout is `bootstrap.servers=HOST:PORT`; ctrl-c stops the broker.
Records and groups live in memory and are gone when it stops, unless --data-dir keeps them. Then
`-X log.flush.interval.messages=1` acknowledges a record when it is synced to the disk, and
`-X log.flush.interval.ms=MS` syncs so long after it was written; without either the system
writes it in its own time.

-X takes what Kafka has in server.properties, as far as this broker has it: also `node.id` (or
`broker.id`), `log.dirs` (or `log.dir`; one directory), and `log.retention.hours`,
`log.retention.minutes` and `log.roll.hours`, which count where the same is not set in a
smaller unit.

Examples:
  kohort serve
  kohort serve --topic orders:6 -X group.initial.rebalance.delay.ms=0
  kohort serve --data-dir ./data -X log.flush.interval.messages=1
  kohort serve -X node.id=1 -X log.dirs=/var/lib/kohort -X log.retention.hours=24
  kohort serve --listen 127.0.0.1:0 > address &        # on a free port, which the file names
  kohort serve --listen 0.0.0.0:9092 --advertise 192.168.1.5:9092 --insecure-listen"
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
    /// Directory that keeps topics, records and groups, in Kafka's layout; created when it is not there. As `-X log.dirs=DIR`
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// A topic to create at the start, unless it is there; may be repeated
    #[arg(long = "topic", value_name = "NAME:PARTITIONS", value_parser = parse_topic)]
    pub(crate) topics: Vec<(String, i32)>,
    /// A broker setting under Kafka's own name, e.g. `-X group.initial.rebalance.delay.ms=0`; may be repeated
    #[arg(short = 'X', value_name = "KEY=VALUE", value_parser = parse_property)]
    pub(crate) properties: Vec<(String, String)>,
}

fn parse_topic(text: &str) -> Result<(String, i32), String> {
    let (name, partitions) = text.rsplit_once(':').ok_or("expected NAME:PARTITIONS")?;
    match partitions.parse() {
        Ok(partitions) if partitions > 0 && !name.is_empty() => Ok((name.to_owned(), partitions)),
        _ => Err("expected NAME:PARTITIONS with at least one partition".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_of_serve_needs_a_number_of_partitions() {
        assert_eq!(parse_topic("a:b:3"), Ok(("a:b".to_owned(), 3)));
        assert!(parse_topic("a").is_err());
        assert!(parse_topic("a:0").is_err());
    }
}
