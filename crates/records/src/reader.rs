//! Reading forward over bytes that are not trusted: variable-length integers and byte strings, with one-byte and two-byte
//! fast paths. And writing such integers. What the fields mean lives in [`crate::record`].

use crate::error::RecordProblem;

/// Reads forward; `at` never passes the end, and stays at the field that could not be read.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    #[inline]
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub(crate) const fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, RecordProblem> {
        let byte = *self.bytes.get(self.at).ok_or(RecordProblem::Cut)?;
        self.at += 1;
        Ok(byte)
    }

    /// A zigzag integer of at most 5 bytes.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<i32, RecordProblem> {
        let raw = match *self.bytes.get(self.at..).unwrap_or_default() {
            [a, ..] if a < 0x80 => {
                self.at += 1;
                u32::from(a)
            }
            [a, b, ..] if b < 0x80 => {
                self.at += 2;
                u32::from(a & 0x7f) | u32::from(b) << 7
            }
            // As in Java, bits beyond the 32nd are dropped.
            _ => self.long_varint(5)? as u32,
        };
        Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    /// A zigzag integer of at most 10 bytes.
    #[inline]
    pub(crate) fn varlong(&mut self) -> Result<i64, RecordProblem> {
        let raw = match *self.bytes.get(self.at..).unwrap_or_default() {
            [a, ..] if a < 0x80 => {
                self.at += 1;
                u64::from(a)
            }
            [a, b, ..] if b < 0x80 => {
                self.at += 2;
                u64::from(a & 0x7f) | u64::from(b) << 7
            }
            _ => self.long_varint(10)?,
        };
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    #[cold]
    fn long_varint(&mut self, most: usize) -> Result<u64, RecordProblem> {
        let mut value = 0_u64;
        let mut shift = 0;
        for (index, byte) in self.rest().iter().take(most).enumerate() {
            value |= u64::from(byte & 0x7f).wrapping_shl(shift);
            if *byte < 0x80 {
                self.at += index + 1;
                return Ok(value);
            }
            shift += 7;
        }
        Err(if self.left() < most {
            RecordProblem::Cut
        } else {
            RecordProblem::VarintTooLong
        })
    }

    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], RecordProblem> {
        let taken = self.rest().get(..length).ok_or(RecordProblem::Cut)?;
        self.at += length;
        Ok(taken)
    }

    /// Bytes after their length; a negative length means null.
    #[inline]
    pub(crate) fn nullable(&mut self) -> Result<Option<&'a [u8]>, RecordProblem> {
        let before = self.at;
        match usize::try_from(self.varint()?) {
            Ok(length) => self.take(length).map(Some).inspect_err(|_| self.at = before),
            // Kafka: Utils.readBytes
            Err(_) => Ok(None),
        }
    }
}

/// Writes a zigzag integer to the front of the buffer and returns its length; a buffer of 10 bytes is enough for any.
#[inline]
pub(crate) fn put_varlong(value: i64, buffer: &mut [u8]) -> usize {
    let mut raw = ((value << 1) ^ (value >> 63)) as u64;
    let mut written = 0;
    for slot in buffer {
        written += 1;
        if raw < 0x80 {
            *slot = raw as u8;
            break;
        }
        *slot = raw as u8 | 0x80;
        raw >>= 7;
    }
    written
}

/// How many bytes a zigzag integer takes.
#[inline]
pub(crate) const fn varlong_size(value: i64) -> usize {
    let raw = ((value << 1) ^ (value >> 63)) as u64;
    let bits = 64 - (raw | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Kafka: ByteUtilsTest.testVarintSerde
    const KNOWN: &[(i32, &[u8])] = &[
        (0, &[0x00]),
        (-1, &[0x01]),
        (1, &[0x02]),
        (63, &[0x7e]),
        (-64, &[0x7f]),
        (64, &[0x80, 0x01]),
        (-65, &[0x81, 0x01]),
        (8191, &[0xfe, 0x7f]),
        (-8192, &[0xff, 0x7f]),
        (8192, &[0x80, 0x80, 0x01]),
        (1_048_576, &[0x80, 0x80, 0x80, 0x01]),
        (134_217_728, &[0x80, 0x80, 0x80, 0x80, 0x01]),
        (i32::MAX, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
        (i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
    ];

    #[test]
    fn known_integers_are_read_and_written_as_kafka_does() {
        for (value, bytes) in KNOWN {
            assert_eq!(Reader::new(bytes, 0).varint(), Ok(*value));
            assert_eq!(Reader::new(bytes, 0).varlong(), Ok(i64::from(*value)));
            let mut buffer = [0; 10];
            let length = put_varlong(i64::from(*value), &mut buffer);
            assert_eq!(&buffer[..length], *bytes);
            assert_eq!(varlong_size(i64::from(*value)), bytes.len());
        }
    }

    #[test]
    fn the_largest_longs_have_ten_bytes() {
        for value in [i64::MAX, i64::MIN] {
            let mut buffer = [0; 10];
            assert_eq!(put_varlong(value, &mut buffer), 10);
            assert_eq!(varlong_size(value), 10);
            assert_eq!(Reader::new(&buffer, 0).varlong(), Ok(value));
        }
    }

    #[test]
    fn an_integer_that_is_cut_short_is_told_from_one_that_is_too_long() {
        assert_eq!(Reader::new(&[], 0).varint(), Err(RecordProblem::Cut));
        assert_eq!(Reader::new(&[0x80; 4], 0).varint(), Err(RecordProblem::Cut));
        assert_eq!(
            Reader::new(&[0x80; 5], 0).varint(),
            Err(RecordProblem::VarintTooLong)
        );
        assert_eq!(Reader::new(&[0x80; 9], 0).varlong(), Err(RecordProblem::Cut));
        assert_eq!(
            Reader::new(&[0x80; 10], 0).varlong(),
            Err(RecordProblem::VarintTooLong)
        );
    }

    #[test]
    fn any_negative_length_is_null() {
        assert_eq!(Reader::new(&[0x01], 0).nullable(), Ok(None));
        assert_eq!(Reader::new(&[0x03], 0).nullable(), Ok(None));
        assert_eq!(Reader::new(&[0x04, 7, 8], 0).nullable(), Ok(Some(&[7_u8, 8][..])));
        assert_eq!(Reader::new(&[0x06, 7, 8], 0).nullable(), Err(RecordProblem::Cut));
    }
}
