//! What can be typed after `kohort produce`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ClusterArgs, parse_text};

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
