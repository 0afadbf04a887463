//! What can be typed after `kohort serve`.

use clap::Args;

use super::parse_property;

/// `kohort serve`.
#[derive(Debug, Args)]
#[command(
    after_help = "The first line on stdout is `bootstrap.servers=HOST:PORT`; ctrl-c stops the broker.
Records and groups live in memory, without retention or compaction, and are gone when it stops.

Examples:
  kohort serve
  kohort serve --topic orders:6 -X group.initial.rebalance.delay.ms=0
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
    /// A topic to create at the start; may be repeated
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
