//! Whatever is built is read back, and whatever is damaged is an error: never a panic, never a loop, never more
//! memory than the limit.

use bytes::Bytes;
use kohort_records::{Batch, BatchBuilder, BatchError, Compression, Decompressor, Header, Record, batches};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const LIMIT: usize = 1 << 20;

fn bytes(most: usize) -> impl Strategy<Value = Bytes> {
    // Repetitive and random bytes, so that codecs have both to do.
    prop_oneof![
        vec(any::<u8>(), 0..most),
        vec(0_u8..3, 0..most),
        (any::<u8>(), 0..most).prop_map(|(b, n)| vec![b; n])
    ]
    .prop_map(Bytes::from)
}

fn header() -> impl Strategy<Value = Header> {
    (bytes(20), option::of(bytes(50))).prop_map(|(key, value)| Header { key, value })
}

fn timestamp() -> impl Strategy<Value = i64> {
    prop_oneof![
        Just(-1),
        Just(0),
        Just(i64::MAX),
        1_600_000_000_000_i64..1_800_000_000_000
    ]
}

fn record() -> impl Strategy<Value = Record> {
    (
        timestamp(),
        option::of(bytes(30)),
        option::of(bytes(400)),
        vec(header(), 0..4),
    )
        .prop_map(|(timestamp, key, value, headers)| {
            let mut record = Record::default();
            (record.timestamp, record.key, record.value, record.headers) = (timestamp, key, value, headers);
            record
        })
}

fn codec() -> impl Strategy<Value = Compression> {
    prop::sample::select(&Compression::ALL[..])
}

fn build(codec: Compression, base_offset: i64, records: &[Record]) -> Bytes {
    let mut builder = BatchBuilder::new(codec, None).expect("the default level");
    for record in records {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        builder
            .append(record.timestamp, key, value, &record.headers)
            .expect("a valid record");
    }
    builder.build(base_offset).expect("a valid batch")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_built_is_read_back(
        codec in codec(),
        base_offset in 0..i64::MAX - 100,
        mut records in vec(record(), 1..40),
        chunk in 1_usize..50,
    ) {
        for (i, record) in records.iter_mut().enumerate() {
            record.offset = base_offset + i as i64;
        }
        let batch = Batch::decode(build(codec, base_offset, &records), 0).unwrap().unwrap();
        prop_assert_eq!(batch.verify_crc(), Ok(()));
        prop_assert_eq!(batch.max_timestamp(), records.iter().map(|record| record.timestamp).max().unwrap());
        let open = batch.open(LIMIT).unwrap();
        prop_assert!(open.has_incremental_offsets());
        let read: Vec<_> = open.iter().map(|record| record.to_owned()).collect();
        prop_assert_eq!(&read, &records);

        // The same in chunks, each of which says where the next begins.
        let mut cursor = open.cursor();
        let mut taken = Vec::new();
        let mut position = base_offset;
        while cursor.index() < open.len() {
            let chunk = open.take(&mut cursor, chunk);
            prop_assert_eq!(chunk.iter().next().unwrap().offset, position);
            taken.extend(chunk.iter().map(|record| record.to_copy()));
            position = chunk.next_offset();
        }
        prop_assert_eq!(taken, records);
        prop_assert_eq!(position, batch.next_offset());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(codec in 0_u8..8, count in any::<i32>(), delta in any::<i32>(), body in vec(any::<u8>(), 0..300)) {
        let mut bytes = vec![0; 61];
        bytes[8..12].copy_from_slice(&(49 + body.len() as i32).to_be_bytes());
        bytes[16] = 2;
        bytes[22] = codec;
        bytes[23..27].copy_from_slice(&delta.to_be_bytes());
        bytes[57..61].copy_from_slice(&count.to_be_bytes());
        bytes.extend(body);
        exercise(Bytes::from(bytes), &mut Decompressor::new());
    }
}

/// Does with bytes what a consumer does, and checks what must hold of whatever comes out.
fn exercise(bytes: Bytes, decompressor: &mut Decompressor) -> usize {
    let mut seen = 0;
    for batch in batches(bytes) {
        let Ok(batch) = batch else { break };
        let _ = batch.verify_crc();
        let Ok((open, error)) = batch.open_prefix(decompressor, LIMIT) else {
            continue;
        };
        assert!(open.size() <= LIMIT);
        assert_eq!(error.is_none(), batch.open(LIMIT).is_ok());
        let range = batch.base_offset()..=batch.last_offset();
        let mut count = 0;
        for record in &open {
            assert!(range.contains(&record.offset));
            let owned = record.to_owned();
            assert_eq!(owned.headers.len(), record.headers.len());
            count += 1;
        }
        assert_eq!(count, open.len());
        assert!(open.next_offset() <= batch.next_offset());
        let mut cursor = open.cursor();
        open.skip_to(&mut cursor, batch.base_offset() + 2);
        let chunk = open.take(&mut cursor, 2);
        assert_eq!(chunk.iter().count(), chunk.len());
        seen += count;
        drop(chunk);
    }
    seen
}

fn samples() -> Vec<Bytes> {
    let record = |i: u8| Record {
        timestamp: 1_700_000_000_000 + i64::from(i) * 100,
        key: (!i.is_multiple_of(3)).then(|| Bytes::from(vec![i; 5])),
        value: (!i.is_multiple_of(5)).then(|| Bytes::from(format!("value {i} ").repeat(usize::from(i)))),
        headers: if i.is_multiple_of(4) {
            vec![Header::new("name", "value"), Header::null("none")]
        } else {
            Vec::new()
        },
        ..Record::default()
    };
    let records: Vec<_> = (0..12).map(record).collect();
    Compression::ALL
        .into_iter()
        .map(|codec| build(codec, 1_000, &records))
        .collect()
}

#[test]
fn a_batch_cut_at_any_byte_is_incomplete_and_one_that_says_so_is_an_error() {
    for whole in samples() {
        for length in 0..whole.len() {
            let cut = whole.slice(..length);
            assert_eq!(Batch::decode(cut.clone(), 0), Ok(None), "{length}");
            if length < 61 {
                continue;
            }
            // The same bytes, with a length field that matches.
            let mut claimed = cut.to_vec();
            claimed[8..12].copy_from_slice(&(length as i32 - 12).to_be_bytes());
            let batch = Batch::decode(Bytes::from(claimed), 0).unwrap().unwrap();
            assert!(matches!(batch.verify_crc(), Err(BatchError::CrcMismatch { .. })));
            // What a codec needs after its data may be missing where it does not look for it; records may not.
            if let Ok(open) = batch.open(LIMIT) {
                assert_eq!(open.len(), 12, "{length} of {}", whole.len());
            }
        }
    }
}

/// xorshift64*, so that a failure names the input by its number.
struct Noise(u64);

impl Noise {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below
    }
}

fn mutate(bytes: &mut Vec<u8>, noise: &mut Noise) {
    for _ in 0..=noise.next(4) {
        // Most faults in the records: one in the header is found at once.
        let from = if noise.next(4) == 0 { 0 } else { 61 };
        let at = from + noise.next(bytes.len() - from);
        match noise.next(6) {
            0 => bytes[at] ^= 1 << noise.next(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, 0xfe][noise.next(6)],
            2 => bytes[at] = noise.next(256) as u8,
            3 => bytes.insert(at, noise.next(256) as u8),
            4 if bytes.len() > 70 => drop(bytes.remove(at)),
            _ => {
                let other = 61 + noise.next(bytes.len() - 61);
                bytes.swap(at.max(61), other);
            }
        }
    }
    let length = bytes.len() as i32 - 12;
    if noise.next(10) != 0 {
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
    }
}

#[test]
fn a_hundred_thousand_damaged_batches_are_read_without_a_panic() {
    let samples = samples();
    let mut noise = Noise(0x6b6f_686f_7274);
    let mut decompressor = Decompressor::new();
    let mut seen = 0;
    for i in 0..100_000 {
        let mut bytes = samples[i % samples.len()].to_vec();
        mutate(&mut bytes, &mut noise);
        seen += exercise(Bytes::from(bytes), &mut decompressor);
    }
    // The damage is not so large that nothing is ever read.
    assert!(seen > 100_000, "{seen}");
}
