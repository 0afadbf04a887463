//! One record: [`RecordView`] borrows from its batch, [`Record`] shares the batch's bytes. How records follow each
//! other in a batch lives in [`crate::open`].

use std::borrow::Cow;

use bytes::Bytes;

use crate::error::RecordProblem;
use crate::header::TimestampType;
use crate::wire::{int_problem, long_problem, take_int, take_long, take_nullable};

/// The shortest header: an empty key and a null value.
const SHORTEST_HEADER: usize = 2;

/// The shortest record: a length, the attributes, two deltas, two nulls and no headers, of a byte each.
pub(crate) const SHORTEST_RECORD: usize = 7;

/// The fields of a record, not yet put in relation to its batch.
pub(crate) struct Fields<'a> {
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: Headers<'a>,
}

impl<'a> Fields<'a> {
    /// Takes the first record; gives its fields and the bytes after it. The headers are not looked at. This is the
    /// innermost loop of a consumer, so it says nothing about what is wrong: [`diagnose`] does.
    // Kafka: DefaultRecord.readFrom
    #[inline(always)]
    pub(crate) fn take(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut rest = bytes;
        let length = usize::try_from(take_int(&mut rest)?).ok()?;
        let (body, after) = rest.split_at_checked(length)?;
        let (_attributes, mut body) = body.split_first()?;
        let timestamp_delta = take_long(&mut body)?;
        let offset_delta = take_int(&mut body)?;
        let key = take_nullable(&mut body)?;
        let value = take_nullable(&mut body)?;
        let left = u32::try_from(take_int(&mut body)?).ok()?;
        let headers = Headers { bytes: body, left };
        Some((
            Self {
                timestamp_delta,
                offset_delta,
                key,
                value,
                headers,
            },
            after,
        ))
    }
}

/// What is wrong with the first record, and at which byte.
#[cold]
pub(crate) fn diagnose(bytes: &[u8]) -> (usize, RecordProblem) {
    let mut rest = bytes;
    let length = match int(&mut rest) {
        Ok(length) => length,
        Err(problem) => return (0, problem),
    };
    let Ok(length) = usize::try_from(length) else {
        return (0, RecordProblem::NegativeLength);
    };
    let Some(mut body) = rest.get(..length) else {
        return (0, RecordProblem::Cut);
    };
    let start = bytes.len() - rest.len();
    // What is not wrong inside of a record is its place in the batch.
    let problem = diagnose_body(&mut body)
        .err()
        .unwrap_or(RecordProblem::OffsetOutOfRange);
    (start + length - body.len(), problem)
}

/// Leaves the body at what is wrong.
fn diagnose_body(body: &mut &[u8]) -> Result<(), RecordProblem> {
    *body = body.get(1..).ok_or(RecordProblem::Cut)?;
    take_long(body).ok_or_else(|| long_problem(body))?;
    int(body)?;
    nullable(body)?;
    nullable(body)?;
    let before = *body;
    let count = usize::try_from(int(body)?).ok();
    let Some(count) = count.filter(|count| *count <= body.len() / SHORTEST_HEADER) else {
        *body = before;
        return Err(RecordProblem::HeadersCount);
    };
    for _ in 0..count {
        let before = *body;
        if nullable(body)?.is_none() {
            *body = before;
            return Err(RecordProblem::NullHeaderKey);
        }
        nullable(body)?;
    }
    if body.is_empty() {
        Ok(())
    } else {
        Err(RecordProblem::LengthMismatch)
    }
}

fn int(rest: &mut &[u8]) -> Result<i32, RecordProblem> {
    take_int(rest).ok_or_else(|| int_problem(rest))
}

fn nullable<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, RecordProblem> {
    let before = *rest;
    take_nullable(rest).ok_or_else(|| int(&mut &*before).err().unwrap_or(RecordProblem::Cut))
}

/// A record that borrows from its opened batch.
#[derive(Clone)]
#[non_exhaustive]
pub struct RecordView<'a> {
    /// The offset of the record in its partition.
    pub offset: i64,
    /// Milliseconds since the epoch, of the clock that `timestamp_type` names; -1 if there is none.
    pub timestamp: i64,
    /// Which clock the timestamp comes from.
    pub timestamp_type: TimestampType,
    /// The key, or `None` for a null key.
    pub key: Option<&'a [u8]>,
    /// The value, or `None` for a null value (a tombstone in a compacted topic).
    pub value: Option<&'a [u8]>,
    /// The headers, in the order in which the producer added them; read as they are iterated.
    pub headers: Headers<'a>,
    batch: &'a Bytes,
}

impl<'a> RecordView<'a> {
    pub(crate) const fn new(
        fields: Fields<'a>,
        offset: i64,
        timestamp: i64,
        timestamp_type: TimestampType,
        batch: &'a Bytes,
    ) -> Self {
        let Fields {
            key, value, headers, ..
        } = fields;
        Self {
            offset,
            timestamp,
            timestamp_type,
            key,
            value,
            headers,
            batch,
        }
    }

    /// A record that shares the bytes of the batch and lives on its own. Key, value and headers are not copied; the
    /// whole batch stays in memory as long as one of them does.
    pub fn to_owned(&self) -> Record {
        let share = |slice: &[u8]| self.share(slice);
        Record {
            offset: self.offset,
            timestamp: self.timestamp,
            timestamp_type: self.timestamp_type,
            key: self.key.map(share),
            value: self.value.map(share),
            headers: self
                .headers
                .clone()
                .map(|h| Header {
                    key: share(h.key),
                    value: h.value.map(share),
                })
                .collect(),
        }
    }

    /// A handle of `slice`, which is part of this record (its key, its value, a header): it shares the batch's bytes, and
    /// keeps the whole batch in memory as long as it lives. A slice from elsewhere is copied.
    pub fn share(&self, slice: &[u8]) -> Bytes {
        // A slice from elsewhere that begins before the batch is beyond its end, too.
        let start = slice.as_ptr().addr().wrapping_sub(self.batch.as_ptr().addr());
        match start.checked_add(slice.len()) {
            Some(end) if end <= self.batch.len() => self.batch.slice(start..end),
            _ => Bytes::copy_from_slice(slice),
        }
    }

    /// A record with bytes of its own: the batch can be freed while it lives.
    pub fn to_copy(&self) -> Record {
        let copy = Bytes::copy_from_slice;
        Record {
            offset: self.offset,
            timestamp: self.timestamp,
            timestamp_type: self.timestamp_type,
            key: self.key.map(copy),
            value: self.value.map(copy),
            headers: self
                .headers
                .clone()
                .map(|h| Header {
                    key: copy(h.key),
                    value: h.value.map(copy),
                })
                .collect(),
        }
    }
}

impl std::fmt::Debug for RecordView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordView")
            .field("offset", &self.offset)
            .field("timestamp", &self.timestamp)
            .field("timestamp_type", &self.timestamp_type)
            .field("key", &self.key.map(<[u8]>::escape_ascii).map(|k| k.to_string()))
            .field("value", &self.value.map(<[u8]>::len))
            .field("headers", &self.headers.len())
            .finish_non_exhaustive()
    }
}

/// The headers of a record, read as they are iterated.
#[derive(Clone)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    left: u32,
}

impl<'a> Headers<'a> {
    /// The headers of a record that has none.
    pub const fn none() -> Self {
        Self { bytes: &[], left: 0 }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// Whether each header is there, and nothing after them.
    #[inline(always)]
    pub(crate) fn are_whole(&self) -> bool {
        if self.left == 0 {
            self.bytes.is_empty()
        } else {
            self.walk()
        }
    }

    #[inline(never)]
    fn walk(&self) -> bool {
        let mut rest = self.bytes;
        if self.left as usize > rest.len() / SHORTEST_HEADER {
            return false;
        }
        for _ in 0..self.left {
            if !matches!(take_nullable(&mut rest), Some(Some(_))) || take_nullable(&mut rest).is_none() {
                return false;
            }
        }
        rest.is_empty()
    }

    /// The last header with this key, as Java's `Headers.lastHeader`. Reads all headers.
    pub fn last_header(&self, key: &str) -> Option<HeaderView<'a>> {
        self.clone().filter(|header| header.key == key.as_bytes()).last()
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = HeaderView<'a>;

    fn next(&mut self) -> Option<HeaderView<'a>> {
        self.left = self.left.checked_sub(1)?;
        // The headers were walked when the batch was opened, so they can be read.
        let key = take_nullable(&mut self.bytes)??;
        let value = take_nullable(&mut self.bytes)?;
        Some(HeaderView { key, value })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Headers<'_> {}

impl std::fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// A header that borrows from its opened batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderView<'a> {
    /// The key: UTF-8, unless the producer was no Kafka client.
    pub key: &'a [u8],
    /// The value, or `None` for null.
    pub value: Option<&'a [u8]>,
}

impl<'a> HeaderView<'a> {
    /// The key as text; what is not UTF-8 is replaced, as in Java.
    pub fn name(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.key)
    }
}

/// A record that owns, or shares, its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// The offset of the record in its partition.
    pub offset: i64,
    /// Milliseconds since the epoch, of the clock that `timestamp_type` names; -1 if there is none.
    pub timestamp: i64,
    /// Which clock the timestamp comes from.
    pub timestamp_type: TimestampType,
    /// The key, or `None` for a null key.
    pub key: Option<Bytes>,
    /// The value, or `None` for a null value.
    pub value: Option<Bytes>,
    /// The headers, in the order in which the producer added them.
    pub headers: Vec<Header>,
}

/// A header that owns, or shares, its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// The key: UTF-8, unless the producer was no Kafka client.
    pub key: Bytes,
    /// The value, or `None` for null.
    pub value: Option<Bytes>,
}

impl Header {
    /// A header with a value.
    pub fn new(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            value: Some(value.into()),
        }
    }

    /// A header with a null value.
    pub fn null(key: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            value: None,
        }
    }

    /// The key as text; what is not UTF-8 is replaced, as in Java.
    pub fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, BatchBuilder, Compression};

    #[test]
    fn a_shared_slice_lies_in_the_batch_and_a_foreign_one_is_copied() {
        let mut builder = BatchBuilder::new(Compression::None, None).expect("no level");
        builder.append(0, None, Some(b"value"), &[]).expect("small");
        let bytes = builder.build(0).expect("a batch");
        let batch = Batch::decode(bytes, 0).expect("whole").expect("whole");
        let open = batch.open(1 << 20).expect("well formed");
        let record = open.iter().next().expect("one record");
        let value = record.value.expect("a value");
        assert_eq!(record.share(value).as_ptr(), value.as_ptr());
        let foreign = b"foreign".to_vec();
        assert_eq!(record.share(&foreign), foreign);
        let mut changed = record.clone();
        changed.key = Some(&foreign);
        assert_eq!(changed.to_owned().key.as_deref(), Some(&foreign[..]));
        assert!(record.share(&[]).is_empty());
        assert_eq!(Headers::none().len(), 0);
    }
}
