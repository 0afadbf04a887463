//! Writes primitives, into one buffer or into segments that share the large byte fields with the message.

use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use super::error::EncodeError;
use crate::uuid::Uuid;

/// Where a message is written.
#[derive(Debug)]
pub struct Writer {
    buf: BytesMut,
    /// Byte fields that were not copied, with the position in `buf` where they belong.
    spliced: Vec<(usize, Bytes)>,
    /// Byte fields of at least this length are not copied.
    splice_from: usize,
}

impl Writer {
    /// Byte fields shorter than this are copied even by [`Writer::segmented`]: a segment costs more than such a copy.
    pub const SPLICE_FROM: usize = 1024;

    /// Appends everything to `buf`.
    pub fn contiguous(buf: BytesMut) -> Self {
        Self {
            buf,
            spliced: Vec::new(),
            splice_from: usize::MAX,
        }
    }

    /// Keeps byte fields of [`Writer::SPLICE_FROM`] bytes and more as segments of their own, which are not copied.
    pub fn segmented() -> Self {
        Self {
            buf: BytesMut::new(),
            spliced: Vec::new(),
            splice_from: Self::SPLICE_FROM,
        }
    }

    /// Bytes written so far, those of spliced fields included.
    pub fn len(&self) -> usize {
        self.spliced.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() + self.buf.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.buf.is_empty() && self.spliced.is_empty()
    }

    /// What was written, in one buffer; copies the byte fields that a segmented writer had kept apart.
    pub fn into_bytes_mut(self) -> BytesMut {
        if self.spliced.is_empty() {
            return self.buf;
        }
        let mut out = BytesMut::with_capacity(self.len());
        for segment in self.into_segments() {
            out.extend_from_slice(&segment);
        }
        out
    }

    /// What was written, as segments.
    pub fn into_segments(self) -> Segments {
        let len = self.len();
        let mut rest = self.buf.freeze();
        let mut segments = Vec::with_capacity(self.spliced.len().saturating_mul(2).saturating_add(1));
        let mut done = 0usize;
        for (position, bytes) in self.spliced {
            // Positions grow and are within `buf`: they are its lengths at the time.
            let before = rest.split_to(position.saturating_sub(done).min(rest.len()));
            done = position;
            segments.extend([before, bytes].into_iter().filter(|segment| !segment.is_empty()));
        }
        segments.extend(Some(rest).filter(|segment| !segment.is_empty()));
        Segments { segments, len }
    }

    /// Overwrites the four bytes at the beginning with the length of what follows them.
    pub(crate) fn set_length_prefix(&mut self) -> Result<(), EncodeError> {
        let len = self.len().saturating_sub(4);
        let value = i32::try_from(len).map_err(|_| EncodeError::TooLong { field: "frame", len })?;
        if let Some(bytes) = self.buf.first_chunk_mut() {
            *bytes = value.to_be_bytes();
        }
        Ok(())
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.buf.put_u8(value.into());
    }

    pub(crate) fn int8(&mut self, value: i8) {
        self.buf.put_i8(value);
    }

    pub(crate) fn int16(&mut self, value: i16) {
        self.buf.put_i16(value);
    }

    pub(crate) fn int32(&mut self, value: i32) {
        self.buf.put_i32(value);
    }

    pub(crate) fn int64(&mut self, value: i64) {
        self.buf.put_i64(value);
    }

    pub(crate) fn uuid(&mut self, value: Uuid) {
        self.buf.put_slice(&value.0);
    }

    pub(crate) fn uvarint(&mut self, value: u32) {
        let (bytes, len) = uvarint(value);
        self.buf.extend_from_slice(bytes.get(..len).unwrap_or_default());
    }

    fn compact_len(&mut self, len: Option<usize>, field: &'static str) -> Result<(), EncodeError> {
        let Some(len) = len else {
            self.uvarint(0);
            return Ok(());
        };
        // Java's lengths are signed.
        let value = i32::try_from(len).map_err(|_| EncodeError::TooLong { field, len })?;
        self.uvarint(value.unsigned_abs().saturating_add(1));
        Ok(())
    }

    fn len32(&mut self, len: Option<usize>, flexible: bool, field: &'static str) -> Result<(), EncodeError> {
        if flexible {
            return self.compact_len(len, field);
        }
        let value = match len {
            Some(len) => i32::try_from(len).map_err(|_| EncodeError::TooLong { field, len })?,
            None => -1,
        };
        self.int32(value);
        Ok(())
    }

    fn check_null(is_null: bool, allowed: bool, field: &'static str) -> Result<(), EncodeError> {
        if is_null && !allowed {
            Err(EncodeError::NullNotAllowed { field })
        } else {
            Ok(())
        }
    }

    pub(crate) fn string(
        &mut self,
        value: &str,
        flexible: bool,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        self.nullable_string(Some(value), flexible, false, field)
    }

    pub(crate) fn nullable_string(
        &mut self,
        value: Option<&str>,
        flexible: bool,
        allowed: bool,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        Self::check_null(value.is_none(), allowed, field)?;
        let len = value.map(str::len);
        // Kafka keeps strings below 32 KiB in the compact form as well.
        let short = match len {
            Some(len) => i16::try_from(len).map_err(|_| EncodeError::TooLong { field, len })?,
            None => -1,
        };
        match flexible {
            true => self.compact_len(len, field)?,
            false => self.int16(short),
        }
        self.buf.extend_from_slice(value.unwrap_or_default().as_bytes());
        Ok(())
    }

    pub(crate) fn bytes(
        &mut self,
        value: &Bytes,
        flexible: bool,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        self.nullable_bytes(Some(value), flexible, false, field)
    }

    pub(crate) fn nullable_bytes(
        &mut self,
        value: Option<&Bytes>,
        flexible: bool,
        allowed: bool,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        Self::check_null(value.is_none(), allowed, field)?;
        self.len32(value.map(Bytes::len), flexible, field)?;
        match value {
            Some(value) if value.len() >= self.splice_from => {
                self.spliced.push((self.buf.len(), value.clone()))
            }
            Some(value) => self.buf.extend_from_slice(value),
            None => {}
        }
        Ok(())
    }

    pub(crate) fn array<T>(
        &mut self,
        value: &[T],
        flexible: bool,
        field: &'static str,
        write: impl FnMut(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.nullable_array(Some(value), flexible, false, field, write)
    }

    pub(crate) fn nullable_array<T>(
        &mut self,
        value: Option<&[T]>,
        flexible: bool,
        allowed: bool,
        field: &'static str,
        mut write: impl FnMut(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        Self::check_null(value.is_none(), allowed, field)?;
        self.len32(value.map(<[T]>::len), flexible, field)?;
        value
            .unwrap_or_default()
            .iter()
            .try_for_each(|element| write(self, element))
    }

    pub(crate) fn nullable_struct<T>(
        &mut self,
        value: Option<&T>,
        allowed: bool,
        field: &'static str,
        write: impl FnOnce(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        Self::check_null(value.is_none(), allowed, field)?;
        self.int8(if value.is_some() { 1 } else { -1 });
        value.map_or(Ok(()), |value| write(self, value))
    }

    pub(crate) fn nullable_tagged_struct<T>(
        &mut self,
        value: Option<&T>,
        allowed: bool,
        field: &'static str,
        write: impl FnOnce(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        Self::check_null(value.is_none(), allowed, field)?;
        self.uvarint(value.is_some().into());
        value.map_or(Ok(()), |value| write(self, value))
    }

    pub(crate) fn no_tagged_fields(&mut self) {
        self.uvarint(0);
    }

    pub(crate) fn tagged_fields_count(&mut self, present: &[bool]) {
        let count = present.iter().filter(|&&present| present).count();
        self.uvarint(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// Writes tag, size and value; the value is written first and then moved by the size of its size.
    pub(crate) fn tagged_field(
        &mut self,
        tag: u32,
        write: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.uvarint(tag);
        let start = self.buf.len();
        // A segment inside would not move along.
        let splice_from = core::mem::replace(&mut self.splice_from, usize::MAX);
        let result = write(self);
        self.splice_from = splice_from;
        result?;
        let end = self.buf.len();
        let size = end.saturating_sub(start);
        let value = u32::try_from(size).map_err(|_| EncodeError::TooLong {
            field: "tagged field",
            len: size,
        })?;
        let (bytes, len) = uvarint(value);
        let prefix = bytes.get(..len).unwrap_or_default();
        self.buf.extend_from_slice(prefix);
        if let Some(field) = self.buf.get_mut(start..) {
            field.rotate_right(len);
        }
        Ok(())
    }
}

fn uvarint(mut value: u32) -> ([u8; 5], usize) {
    let mut bytes = [0; 5];
    let mut len = 0;
    for byte in &mut bytes {
        len += 1;
        // The mask keeps seven bits.
        *byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            break;
        }
        *byte |= 0x80;
    }
    (bytes, len)
}

/// An encoded message in pieces, for a vectored write: large byte fields are shared with the message, not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments {
    segments: Vec<Bytes>,
    len: usize,
}

impl Segments {
    /// Bytes of all segments together.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is not a single byte.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The segments in order; none is empty.
    pub fn as_slice(&self) -> &[Bytes] {
        &self.segments
    }
}

impl IntoIterator for Segments {
    type Item = Bytes;
    type IntoIter = alloc::vec::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.segments.into_iter()
    }
}

#[cfg(test)]
mod tests;
