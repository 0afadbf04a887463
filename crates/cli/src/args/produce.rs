//! What can be typed after `kohort produce`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use kohort::Header;

use super::ClusterArgs;
use crate::escape::Delimiter;

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

/// The argument of `-H`: `name=value`, or `name` for a null value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderArg(pub(crate) Header);

impl FromStr for HeaderArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let header = match text.split_once('=') {
            Some((name, value)) => Header::new(name.to_owned(), value.to_owned()),
            None => Header::null(text.to_owned()),
        };
        match header.key.is_empty() {
            true => Err("expected NAME=VALUE, or NAME for a null value".to_owned()),
            false => Ok(Self(header)),
        }
    }
}

/// `kohort produce`.
#[derive(Debug, Args)]
#[command(
    after_help = "Every line is a record; a line end at the end of the input begins no further one. Each is acknowledged by all replicas
in sync (acks=all) before the command ends with 0. On a terminal stderr shows how far it is.

Examples:
  kohort produce -t orders orders.txt                   # each line a value
  kohort produce -t orders -K : orders.txt              # lines `key:value`
  printf 'customer-7:' | kohort produce -t orders -K : -Z    # a tombstone: the value is null
  echo '{\"apples\":3}' | kohort produce -t orders -k customer-7 -H trace=4bf92f35 -H retried
  kohort produce -t orders -z zstd -X linger.ms=50 < many.txt

See `kohort consume` to read them back."
)]
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
    #[arg(short = 'K', value_name = "DELIMITER")]
    pub(crate) key_delimiter: Option<Delimiter>,
    /// Key of all records that have none by -K
    #[arg(short = 'k', value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// What stands between records instead of a line end
    #[arg(short = 'D', value_name = "DELIMITER")]
    pub(crate) delimiter: Option<Delimiter>,
    /// A header for each record, a null one without `=`; may be repeated
    #[arg(short = 'H', value_name = "NAME=VALUE")]
    pub(crate) headers: Vec<HeaderArg>,
    /// Write an empty value, and an empty key of -K, as null
    #[arg(short = 'Z')]
    pub(crate) empty_is_null: bool,
    /// Stop after N records
    #[arg(short = 'c', long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Compression
    #[arg(short = 'z', value_name = "CODEC")]
    pub(crate) codec: Option<Codec>,
    /// File to read from; left out or `-`, stdin
    pub(crate) file: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_without_a_value_is_null_and_one_with_an_empty_value_is_not() {
        assert_eq!("a=b=c".parse(), Ok(HeaderArg(Header::new("a", "b=c"))));
        assert_eq!("a=".parse(), Ok(HeaderArg(Header::new("a", ""))));
        assert_eq!("a".parse(), Ok(HeaderArg(Header::null("a"))));
        assert!("=b".parse::<HeaderArg>().is_err() && "".parse::<HeaderArg>().is_err());
    }
}
