//! The codecs of record batches: [`Compression`] names them, [`Decompressor`] keeps what they need from
//! batch to batch.
//!
//! Each codec has a module of its own, which knows the framing that Kafka's Java client writes. What a batch is
//! lives in
//! [`crate::batch`].
//!
//! # Hostile input
//!
//! A decompressor never allocates by a length that the input announces before that length is checked against the
//! limit and against the most that so many input bytes can expand to. What it gives is never larger than the limit; while
//! its buffer grows it holds the old block as well, so at most twice the limit plus, for zstd, one block of 128 KiB and, for
//! gzip and zstd, the codec's fixed state, which is below 1 MiB (`tests/memory.rs`).

mod gzip;
mod lz4;
mod pool;
mod snappy;
mod zstd;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use crate::error::BuildError;
use crate::tally::Tally;

/// How the records of a batch are compressed. Display and [`FromStr`] use Kafka's names, as in `compression.type`.
///
/// ```
/// use kohort_records::Compression;
///
/// assert_eq!("lz4".parse(), Ok(Compression::Lz4));
/// assert_eq!(Compression::Zstd.to_string(), "zstd");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Compression {
    /// Not compressed.
    #[default]
    None = 0,
    /// gzip. Levels 1 to 9; the default is 6.
    Gzip = 1,
    /// Snappy, in the framing of the xerial library that Java writes. It has no levels.
    Snappy = 2,
    /// LZ4 frames of independent 64 KiB blocks. Levels 1 to 17 are accepted; all of them compress as Java's default
    /// does.
    Lz4 = 3,
    /// Zstandard. Levels -131072 to 22 are accepted; the encoder has -7 to 4, and uses the nearest. The default is 3.
    Zstd = 4,
}

impl Compression {
    /// All codecs, by number.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec of a number in a batch's attributes, or `None` if there is no such codec.
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The number of the codec in a batch's attributes.
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// Kafka's name of the codec.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Whether Kafka knows such a level of this codec. No level (`None`) is the default level, and always right.
    ///
    /// # Errors
    ///
    /// [`BuildError::InvalidLevel`].
    // Kafka: CompressionType.levelValidator
    pub fn check_level(self, level: Option<i32>) -> Result<(), BuildError> {
        let Some(level) = level else { return Ok(()) };
        let (known, hint) = match self {
            Self::None | Self::Snappy => (false, "it has no levels"),
            Self::Gzip => (
                level == -1 || (1..=9).contains(&level),
                "its levels are 1 to 9, and -1 for the default",
            ),
            Self::Lz4 => ((1..=17).contains(&level), "its levels are 1 to 17"),
            Self::Zstd => ((-131_072..=22).contains(&level), "its levels are -131072 to 22"),
        };
        if known {
            Ok(())
        } else {
            Err(BuildError::InvalidLevel {
                compression: self,
                level,
                hint,
            })
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name is not that of a codec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown compression {0:?}: it is one of none, gzip, snappy, lz4, zstd")]
pub struct UnknownCompression(String);

impl FromStr for Compression {
    type Err = UnknownCompression;

    fn from_str(name: &str) -> Result<Self, UnknownCompression> {
        let found = Self::ALL.into_iter().find(|codec| codec.name() == name);
        found.ok_or_else(|| UnknownCompression(name.to_owned()))
    }
}

/// Why decompression stopped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There is more than the limit.
    TooLarge,
    /// The input is not what the codec writes; the position is how far the codec had read.
    Corrupt {
        position: usize,
        reason: Cow<'static, str>,
    },
}

impl Failure {
    fn corrupt(position: usize, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Corrupt {
            position,
            reason: reason.into(),
        }
    }
}

/// Decompresses batches one after another, and keeps the codecs' tables and some buffers between them.
///
/// Worth having where many batches are opened ([`crate::Batch::open_with`]): a zstd decoder's tables alone cost more
/// than a small batch. Which batch was opened before has no influence on the result.
///
/// The buffer of a batch comes back when the last handle of the batch is dropped, on whatever thread, and the next batch is
/// decompressed into it. At most [`Decompressor::LARGEST_SPARE`] bytes wait for that.
#[derive(Default)]
pub struct Decompressor {
    zstd: Option<zrip::DecompressContext>,
    gzip: Option<gzip::Inflater>,
    snappy: snap::raw::Decoder,
    lz4: lz4::Growth,
    pool: pool::Pool,
}

impl Decompressor {
    /// The most bytes of buffers that wait to be used again.
    pub const LARGEST_SPARE: usize = pool::Pool::LARGEST;

    /// A decompressor with no tables yet: each codec makes its own at first use.
    pub fn new() -> Self {
        Self::default()
    }

    /// A decompressor that counts in `out` the buffers of all batches that are alive.
    pub fn counted(out: Tally) -> Self {
        Self {
            pool: pool::Pool::counted(out),
            ..Self::default()
        }
    }

    /// Counts the buffers of the batches opened from now on in `share`, too.
    pub fn charge(&mut self, share: &Tally) {
        self.pool.charge(share);
    }

    /// Decompresses the whole input.
    pub(crate) fn run(&mut self, codec: Compression, input: &[u8], limit: usize) -> Result<Bytes, Failure> {
        let mut output = self.pool.take();
        match codec {
            Compression::None if input.len() > limit => return Err(Failure::TooLarge),
            Compression::None => output.extend_from_slice(input),
            Compression::Gzip => self.gzip.get_or_insert_default().run(input, &mut output, limit)?,
            Compression::Snappy => snappy::decompress(&mut self.snappy, input, &mut output, limit)?,
            Compression::Lz4 => lz4::decompress(&mut self.lz4, input, &mut output, limit)?,
            Compression::Zstd => {
                zstd::decompress(self.zstd.get_or_insert_default(), input, &mut output, limit)?;
            }
        }
        // What records share should not be far larger than they are.
        if output.capacity() / 4 * 3 > output.len() {
            output.shrink_to_fit();
        }
        Ok(self.pool.lend(output))
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor")
            .field("spare", &self.pool.waiting())
            .finish_non_exhaustive()
    }
}

/// Compresses batches one after another at one level, and keeps the codec's tables between them.
#[derive(Debug)]
pub(crate) struct Compressor {
    codec: Compression,
    state: State,
}

enum State {
    Stateless,
    Gzip(Box<gzip::Deflater>),
    Snappy(Box<snap::raw::Encoder>),
    Zstd(Box<zrip::CompressContext>),
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stateless => "Stateless",
            Self::Gzip(_) => "Gzip",
            Self::Snappy(_) => "Snappy",
            Self::Zstd(_) => "Zstd",
        })
    }
}

impl Compressor {
    pub(crate) fn new(codec: Compression, level: Option<i32>) -> Result<Self, BuildError> {
        codec.check_level(level)?;
        let state = match codec {
            Compression::None | Compression::Lz4 => State::Stateless,
            Compression::Gzip => State::Gzip(Box::new(gzip::Deflater::new(level))),
            Compression::Snappy => State::Snappy(Box::new(snap::raw::Encoder::new())),
            Compression::Zstd => State::Zstd(Box::new(
                zstd::compressor(level).map_err(|reason| failed(codec, reason))?,
            )),
        };
        Ok(Self { codec, state })
    }

    pub(crate) const fn codec(&self) -> Compression {
        self.codec
    }

    /// Appends the compressed input to the output.
    pub(crate) fn run(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), BuildError> {
        let done = match (self.codec, &mut self.state) {
            (Compression::Lz4, _) => lz4::compress(input, output),
            (_, State::Gzip(deflater)) => deflater.run(input, output),
            (_, State::Snappy(encoder)) => snappy::compress(encoder, input, output),
            (_, State::Zstd(context)) => zstd::compress(context, input, output),
            (_, State::Stateless) => {
                output.extend_from_slice(input);
                Ok(())
            }
        };
        done.map_err(|reason| failed(self.codec, reason))
    }
}

fn failed(compression: Compression, reason: String) -> BuildError {
    BuildError::Compress {
        compression,
        reason: reason.into(),
    }
}

/// Extends the output by zeros, to be written over. The buffer at most doubles, and does not grow past the limit for
/// it.
fn extend_zeroed(output: &mut Vec<u8>, length: usize, limit: usize) -> &mut [u8] {
    let start = output.len();
    if output.capacity() - start < length {
        output.reserve_exact(length.max(start.min(limit.saturating_sub(start))));
    }
    output.resize(start + length, 0);
    output.get_mut(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests;
