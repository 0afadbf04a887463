//! One record: [`RecordView`] borrows from its batch, [`Record`] shares the batch's bytes. How records follow each other in a
//! batch lives in [`crate::open`].

use std::borrow::Cow;

use bytes::Bytes;

use crate::error::RecordProblem;
use crate::header::TimestampType;
use crate::reader::Reader;

/// The shortest record: a length, the attributes, two deltas, two nulls and no headers, of a byte each.
pub(crate) const SHORTEST_RECORD: usize = 7;

/// The fields of a record's body, not yet put in relation to the batch.
pub(crate) struct Fields<'a> {
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: Headers<'a>,
}

impl<'a> Fields<'a> {
    /// Reads everything but the headers; of those only their number is checked against the bytes there.
    // Kafka: DefaultRecord.readFrom
    #[inline]
    pub(crate) fn read(body: &mut Reader<'a>) -> Result<Self, RecordProblem> {
        let _attributes = body.byte()?;
        let timestamp_delta = body.varlong()?;
        let offset_delta = body.varint()?;
        let key = body.nullable()?;
        let value = body.nullable()?;
        let before = *body;
        let left = u32::try_from(body.varint()?)
            .ok()
            .filter(|count| *count as usize <= body.left() / 2);
        let Some(left) = left else {
            *body = before;
            return Err(RecordProblem::HeadersCount);
        };
        Ok(Self {
            timestamp_delta,
            offset_delta,
            key,
            value,
            headers: Headers { reader: *body, left },
        })
    }
}

/// Walks the headers of a record to the end of its body.
pub(crate) fn check_headers(headers: &Headers<'_>, body: &mut Reader<'_>) -> Result<(), RecordProblem> {
    for _ in 0..headers.left {
        let before = *body;
        if body.nullable()?.is_none() {
            *body = before;
            return Err(RecordProblem::NullHeaderKey);
        }
        body.nullable()?;
    }
    if body.left() == 0 {
        Ok(())
    } else {
        Err(RecordProblem::LengthMismatch)
    }
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

    /// A record that shares the bytes of the batch and lives on its own. Key, value and headers are not copied; the whole
    /// batch stays in memory as long as one of them does.
    pub fn to_owned(&self) -> Record {
        // Each slice lies inside of `batch`, from which it was read.
        let share = |slice: &[u8]| self.batch.slice_ref(slice);
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
    reader: Reader<'a>,
    left: u32,
}

impl<'a> Headers<'a> {
    /// The value of the last header with this key, as Java's `Headers.lastHeader`: `Some(None)` if its value is null.
    pub fn last(&self, key: &str) -> Option<Option<&'a [u8]>> {
        self.clone()
            .filter(|header| header.key == key.as_bytes())
            .map(|header| header.value)
            .fold(None, |_, value| Some(value))
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = HeaderView<'a>;

    fn next(&mut self) -> Option<HeaderView<'a>> {
        self.left = self.left.checked_sub(1)?;
        // The headers were walked when the batch was opened, so they can be read.
        let key = self.reader.nullable().ok()??;
        let value = self.reader.nullable().ok()?;
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
