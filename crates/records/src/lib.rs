//! Kafka's record batches (format version 2): read without copying, built, compressed and decompressed in pure Rust.
//!
//! A Fetch response carries a run of batches. [`batches`] splits it into [`Batch`]es, whose headers are read and
//! whose records are still compressed. [`Batch::verify_crc`] checks the checksum. [`Batch::open`] decompresses a
//! batch once and checks every record once, so that iterating the [`OpenBatch`] cannot fail, allocates nothing per
//! record, and yields [`RecordView`]s that borrow key, value and headers.
//! [`BatchBuilder`] goes the other way.
//!
//! ```
//! use bytes::Bytes;
//! use kohort_records::{BatchBuilder, Compression, Header, batches};
//!
//! // A producer builds a batch ...
//! let mut builder = BatchBuilder::new(Compression::Lz4, None)?;
//! builder.append(1_700_000_000_000, Some(b"key"), Some(b"first"), &[Header::new("trace", "abc")])?;
//! builder.append(1_700_000_000_005, None, Some(b"second"), &[])?;
//! let fetched: Bytes = builder.build(40)?;
//!
//! // ... and a consumer reads what a Fetch response brings. No batch may decompress to more than 1 MiB.
//! for batch in batches(fetched) {
//!     let batch = batch?;
//!     batch.verify_crc()?;
//!     let open = batch.open(1 << 20)?;
//!     let read: Vec<_> = open.iter().map(|record| (record.offset, record.value)).collect();
//!     assert_eq!(read, [(40, Some(&b"first"[..])), (41, Some(&b"second"[..]))]);
//!     assert_eq!(batch.next_offset(), 42);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Taking some records at a time
//!
//! A [`Cursor`] is a position inside of an opened batch; [`OpenBatch::take`] cuts the next records off as a
//! [`Chunk`] that keeps the batch alive:
//!
//! ```
//! # use kohort_records::{Batch, BatchBuilder, Compression};
//! # let mut builder = BatchBuilder::new(Compression::None, None)?;
//! # for _ in 0..5 { builder.append(0, None, Some(b"value"), &[])?; }
//! # let batch = Batch::decode(builder.build(0)?, 0)?.unwrap();
//! let open = batch.open(1 << 20)?;
//! let mut cursor = open.cursor();
//! let chunk = open.take(&mut cursor, 2);
//! assert_eq!(chunk.iter().map(|record| record.offset).collect::<Vec<_>>(), [0, 1]);
//! assert_eq!(chunk.next_offset(), 2);
//!
//! open.skip_to(&mut cursor, 4);
//! assert_eq!(open.record_at(&mut cursor).map(|record| record.offset), Some(4));
//! assert!(open.record_at(&mut cursor).is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Hostile input
//!
//! Nothing that a batch says is believed before it is checked against the bytes there: the result is a
//! [`BatchError`] with the byte position, never a panic, and no allocation follows an announced length.
//! Decompression stops at the limit given to
//! [`Batch::open`], whatever the codec, and holds no more than twice that (a buffer that grows has its old block, too) and a
//! fixed state.
//!
//! # What Kafka does and this crate keeps
//!
//! - In a batch with [`TimestampType::LogAppendTime`] each record has the batch's largest timestamp.
//! - A compacted batch has fewer records than offsets; [`Batch::next_offset`] follows from the header alone.
//! - Offsets inside of a batch may have any order, as in Java, but none lies outside of the batch's range.
//!   [`OpenBatch::has_incremental_offsets`] tells whether a producer's batch is in order.
//! - Message sets of the old formats (magic 0 and 1) are refused with [`BatchError::UnsupportedMagic`]; Kafka 4 no
//!   longer returns any.
//!
//! The crate is pure: it has no clock, socket, file, thread or lock.

pub mod batch;
pub mod builder;
pub mod codec;
pub mod control;
pub mod error;
mod header;
pub mod open;
pub mod recompress;

pub mod record;
pub mod stored;
pub mod tally;
mod wire;

pub use batch::{Batch, Batches, batches};
pub use builder::BatchBuilder;
pub use codec::{Compression, Decompressor};
pub use control::ControlRecord;
pub use error::{BatchError, BuildError, RecordProblem};
pub use header::{BATCH_OVERHEAD, LOG_OVERHEAD, TimestampType};
pub use open::{Chunk, Cursor, OpenBatch, Records};
pub use record::{Header, HeaderView, Headers, Record, RecordView};
pub use tally::{Held, Tally};
