//! Variable-length integers and byte strings, taken off the front of bytes that are not trusted, with fast paths for
//! one and two bytes; and written. What they mean lives in [`crate::record`].
//!
//! Whatever cannot be taken leaves the bytes as they are.

use crate::error::RecordProblem;

/// The most bytes that an integer of 32 bits has.
const LONGEST_INT: usize = 5;

/// The most bytes that an integer of 64 bits has.
const LONGEST_LONG: usize = 10;

/// Takes a zigzag integer of at most 5 bytes off the front, if there is one.
#[inline(always)]
pub(crate) fn take_int(bytes: &mut &[u8]) -> Option<i32> {
    // As in Java, bits beyond the 32nd are dropped.
    let raw = take(bytes, LONGEST_INT)? as u32;
    Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

/// Takes a zigzag integer of at most 10 bytes off the front, if there is one.
#[inline(always)]
pub(crate) fn take_long(bytes: &mut &[u8]) -> Option<i64> {
    let raw = take(bytes, LONGEST_LONG)?;
    Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

/// Takes a length and as many bytes off the front, if they are there; a negative length means null.
// Kafka: Utils.readBytes
#[inline(always)]
pub(crate) fn take_nullable<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let mut rest = *bytes;
    let taken = match usize::try_from(take_int(&mut rest)?) {
        Ok(length) => {
            let (taken, after) = rest.split_at_checked(length)?;
            rest = after;
            Some(taken)
        }
        Err(_) => None,
    };
    *bytes = rest;
    Some(taken)
}

/// Why no integer could be taken off these bytes.
pub(crate) const fn int_problem(bytes: &[u8]) -> RecordProblem {
    if bytes.len() < LONGEST_INT {
        RecordProblem::Cut
    } else {
        RecordProblem::VarintTooLong
    }
}

/// Why no long integer could be taken off these bytes.
pub(crate) const fn long_problem(bytes: &[u8]) -> RecordProblem {
    if bytes.len() < LONGEST_LONG {
        RecordProblem::Cut
    } else {
        RecordProblem::VarintTooLong
    }
}

#[inline(always)]
fn take(bytes: &mut &[u8], most: usize) -> Option<u64> {
    match **bytes {
        [a, ref rest @ ..] if a < 0x80 => {
            *bytes = rest;
            Some(u64::from(a))
        }
        [a, b, ref rest @ ..] if b < 0x80 => {
            *bytes = rest;
            Some(u64::from(a & 0x7f) | u64::from(b) << 7)
        }
        _ => {
            let (value, rest) = take_many(bytes, most)?;
            *bytes = rest;
            Some(value)
        }
    }
}

#[inline(never)]
fn take_many(bytes: &[u8], most: usize) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(most).enumerate() {
        // At most 63: an integer has at most ten bytes.
        value |= u64::from(byte & 0x7f).wrapping_shl(7 * index as u32);
        if *byte < 0x80 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

/// Writes a zigzag integer to the front of the buffer and returns its length; a buffer of 10 bytes is enough for any.
#[inline(always)]
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
#[inline(always)]
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

    fn int(mut bytes: &[u8]) -> Result<i32, RecordProblem> {
        take_int(&mut bytes).ok_or_else(|| int_problem(bytes))
    }

    fn long(mut bytes: &[u8]) -> Result<i64, RecordProblem> {
        take_long(&mut bytes).ok_or_else(|| long_problem(bytes))
    }

    #[test]
    fn known_integers_are_read_and_written_as_kafka_does() {
        for (value, bytes) in KNOWN {
            assert_eq!(int(bytes), Ok(*value));
            assert_eq!(long(bytes), Ok(i64::from(*value)));
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
            assert_eq!(long(&buffer), Ok(value));
        }
    }

    #[test]
    fn an_integer_that_is_cut_short_is_told_from_one_that_is_too_long() {
        assert_eq!(int(&[]), Err(RecordProblem::Cut));
        assert_eq!(int(&[0x80; 4]), Err(RecordProblem::Cut));
        assert_eq!(int(&[0x80; 5]), Err(RecordProblem::VarintTooLong));
        assert_eq!(long(&[0x80; 9]), Err(RecordProblem::Cut));
        assert_eq!(long(&[0x80; 10]), Err(RecordProblem::VarintTooLong));
    }

    #[test]
    fn any_negative_length_is_null() {
        assert_eq!(take_nullable(&mut &[0x01][..]), Some(None));
        assert_eq!(take_nullable(&mut &[0x03][..]), Some(None));
        assert_eq!(take_nullable(&mut &[0x04, 7, 8][..]), Some(Some(&[7_u8, 8][..])));
        assert_eq!(take_nullable(&mut &[0x06, 7, 8][..]), None);
    }
}
