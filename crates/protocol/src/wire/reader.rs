//! Reads primitives. Every length is checked against the bytes that are left before anything is allocated or sliced.

use alloc::string::String;
use alloc::vec::Vec;
use core::mem::size_of;

use bytes::Bytes;

use super::error::{DecodeError, Reason};
use crate::uuid::Uuid;

/// No element of an array may be more than this many times as large in memory as its fewest bytes on the wire: what
/// decoding can be made to allocate follows from it.
const MOST_PER_BYTE: usize = 32;

/// A position in the bytes of a frame. Byte fields are slices of the frame, not copies: they keep it alive.
///
/// ```
/// use bytes::Bytes;
/// use kohort_protocol::{Message, Reader, messages::MetadataRequest};
///
/// // An array that announces 2,147,483,647 topics in a body of four bytes.
/// let mut reader = Reader::new(Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff]));
/// let error = MetadataRequest::decode(&mut reader, 1).unwrap_err();
/// assert_eq!(error.field, "MetadataRequest.Topics");
/// ```
#[derive(Debug, Clone)]
pub struct Reader {
    bytes: Bytes,
    at: usize,
    /// Where reading ends: the end of `bytes`, or of the tagged field that is being read.
    end: usize,
    /// How many more elements of arrays and tagged fields may come, and how many there may be in all.
    elements_left: usize,
    most_elements: usize,
}

impl Reader {
    /// A reader at the beginning of `bytes`.
    pub fn new(bytes: Bytes) -> Self {
        Self::with_most_elements(bytes, usize::MAX)
    }

    /// As [`Reader::new`], but arrays and sections of tagged fields may have no more than so many elements, all together.
    pub(crate) fn with_most_elements(bytes: Bytes, most: usize) -> Self {
        Self {
            end: bytes.len(),
            bytes,
            at: 0,
            elements_left: most,
            most_elements: most,
        }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Bytes that are left.
    pub fn remaining(&self) -> usize {
        self.end.saturating_sub(self.at)
    }

    /// What is left, as a slice of the same memory.
    pub fn rest(&self) -> Bytes {
        self.bytes.slice(self.at..self.end)
    }

    pub(crate) fn error(&self, field: &'static str, reason: Reason) -> DecodeError {
        DecodeError {
            field,
            at: self.at,
            reason,
        }
    }

    /// The next `len` bytes as a range of `bytes`, if they are there.
    fn advance(&mut self, len: usize, field: &'static str) -> Result<core::ops::Range<usize>, DecodeError> {
        let left = self.remaining();
        if len > left {
            return Err(self.error(field, Reason::Truncated { needed: len, left }));
        }
        let start = self.at;
        self.at += len;
        Ok(start..self.at)
    }

    /// Takes elements that are announced off those that may come.
    fn spend(&mut self, elements: usize, field: &'static str) -> Result<(), DecodeError> {
        let Some(left) = self.elements_left.checked_sub(elements) else {
            let most = self.most_elements;
            return Err(self.error(field, Reason::TooManyInFrame { most }));
        };
        self.elements_left = left;
        Ok(())
    }

    fn fixed<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let range = self.advance(N, field)?;
        match self.bytes.get(range).and_then(|slice| slice.first_chunk()) {
            Some(chunk) => Ok(*chunk),
            None => Err(self.error(field, Reason::Truncated { needed: N, left: 0 })),
        }
    }

    pub(crate) fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        Ok(self.int8(field)? != 0)
    }

    pub(crate) fn int8(&mut self, field: &'static str) -> Result<i8, DecodeError> {
        self.fixed(field).map(i8::from_be_bytes)
    }

    pub(crate) fn int16(&mut self, field: &'static str) -> Result<i16, DecodeError> {
        self.fixed(field).map(i16::from_be_bytes)
    }

    pub(crate) fn int32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        self.fixed(field).map(i32::from_be_bytes)
    }

    pub(crate) fn int64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        self.fixed(field).map(i64::from_be_bytes)
    }

    pub(crate) fn uuid(&mut self, field: &'static str) -> Result<Uuid, DecodeError> {
        self.fixed(field).map(Uuid)
    }

    /// A varint of at most 32 bits. Like Kafka, it takes one that is padded with zeros, up to five bytes.
    pub(crate) fn uvarint(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        let mut value = 0u32;
        for shift in [0u32, 7, 14, 21, 28] {
            let [byte] = self.fixed(field)?;
            if shift == 28 && byte > 0x0f {
                return Err(self.error(field, Reason::VarintTooLong));
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        Ok(value)
    }

    /// A length in the compact form; null is zero there.
    fn compact_len(&mut self, field: &'static str) -> Result<Option<usize>, DecodeError> {
        let announced = self.uvarint(field)?;
        // A length that usize cannot hold is more than what is left in any case.
        Ok(announced
            .checked_sub(1)
            .map(|len| usize::try_from(len).unwrap_or(usize::MAX)))
    }

    /// A length of 32 bits; like Kafka, it takes any negative one for null.
    fn len32(&mut self, flexible: bool, field: &'static str) -> Result<Option<usize>, DecodeError> {
        match flexible {
            true => self.compact_len(field),
            false => Ok(usize::try_from(self.int32(field)?).ok()),
        }
    }

    fn null(&self, allowed: bool, field: &'static str) -> Result<(), DecodeError> {
        if allowed {
            Ok(())
        } else {
            Err(self.error(field, Reason::NullNotAllowed))
        }
    }

    pub(crate) fn string(&mut self, flexible: bool, field: &'static str) -> Result<String, DecodeError> {
        Ok(self.nullable_string(flexible, false, field)?.unwrap_or_default())
    }

    pub(crate) fn nullable_string(
        &mut self,
        flexible: bool,
        allowed: bool,
        field: &'static str,
    ) -> Result<Option<String>, DecodeError> {
        let len = match flexible {
            true => self.compact_len(field)?,
            false => usize::try_from(self.int16(field)?).ok(),
        };
        let Some(len) = len else {
            return self.null(allowed, field).map(|()| None);
        };
        // Kafka: the generated read() refuses it in the compact form as well.
        if i16::try_from(len).is_err() {
            return Err(self.error(field, Reason::StringTooLong { len }));
        }
        let at = self.at;
        let range = self.advance(len, field)?;
        match core::str::from_utf8(self.bytes.get(range).unwrap_or_default()) {
            Ok(text) => Ok(Some(text.into())),
            Err(_) => Err(DecodeError {
                field,
                at,
                reason: Reason::InvalidUtf8,
            }),
        }
    }

    pub(crate) fn bytes(&mut self, flexible: bool, field: &'static str) -> Result<Bytes, DecodeError> {
        Ok(self.nullable_bytes(flexible, false, field)?.unwrap_or_default())
    }

    pub(crate) fn nullable_bytes(
        &mut self,
        flexible: bool,
        allowed: bool,
        field: &'static str,
    ) -> Result<Option<Bytes>, DecodeError> {
        match self.len32(flexible, field)? {
            None => self.null(allowed, field).map(|()| None),
            // `advance` gives only ranges that are in `bytes`.
            Some(len) => self
                .advance(len, field)
                .map(|range| Some(self.bytes.slice(range))),
        }
    }

    pub(crate) fn array<const SMALLEST: usize, T>(
        &mut self,
        flexible: bool,
        field: &'static str,
        read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        Ok(self
            .nullable_array::<SMALLEST, T>(flexible, false, field, read)?
            .unwrap_or_default())
    }

    /// `SMALLEST`: the fewest bytes that an element takes on the wire.
    pub(crate) fn nullable_array<const SMALLEST: usize, T>(
        &mut self,
        flexible: bool,
        allowed: bool,
        field: &'static str,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        const {
            assert!(
                SMALLEST > 0 && size_of::<T>() <= MOST_PER_BYTE * SMALLEST,
                "see `MOST_PER_BYTE`"
            )
        };
        let Some(announced) = self.len32(flexible, field)? else {
            return self.null(allowed, field).map(|()| None);
        };
        let left = self.remaining();
        if announced.checked_mul(SMALLEST).is_none_or(|needed| needed > left) {
            return Err(self.error(field, Reason::TooManyElements { announced, left }));
        }
        self.spend(announced, field)?;
        // The announcement alone must not cost more than the bytes that came with it: the rest grows with the elements.
        let affordable = left / size_of::<T>().max(1);
        let mut elements = Vec::with_capacity(announced.min(affordable));
        for _ in 0..announced {
            elements.push(read(self)?);
        }
        Ok(Some(elements))
    }

    pub(crate) fn nullable_struct<T>(
        &mut self,
        allowed: bool,
        field: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        match self.int8(field)? < 0 {
            true => self.null(allowed, field).map(|()| None),
            false => read(self).map(Some),
        }
    }

    /// In a tagged field, Kafka marks null with the varint 0 instead of the byte -1.
    pub(crate) fn nullable_tagged_struct<T>(
        &mut self,
        allowed: bool,
        field: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        match self.uvarint(field)? {
            0 => self.null(allowed, field).map(|()| None),
            _ => read(self).map(Some),
        }
    }

    /// The section of tagged fields; `read` says whether it knows a tag. Unknown ones are skipped.
    pub(crate) fn tagged_fields(
        &mut self,
        owner: &'static str,
        mut read: impl FnMut(&mut Self, u32) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        let count = self.uvarint(owner)?;
        self.spend(usize::try_from(count).unwrap_or(usize::MAX), owner)?;
        for _ in 0..count {
            let tag = self.uvarint(owner)?;
            let size = usize::try_from(self.uvarint(owner)?).unwrap_or(usize::MAX);
            let range = self.advance(size, owner)?;
            let outer = core::mem::replace(&mut self.end, range.end);
            self.at = range.start;
            let known = read(self, tag);
            self.end = outer;
            if !known? {
                self.at = range.end;
            } else if self.at != range.end {
                let read = self.at.saturating_sub(range.start);
                return Err(self.error(
                    owner,
                    Reason::TagSize {
                        announced: size,
                        read,
                    },
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn skip_tagged_fields(&mut self, owner: &'static str) -> Result<(), DecodeError> {
        self.tagged_fields(owner, |_, _| Ok(false))
    }
}

#[cfg(test)]
mod tests;
