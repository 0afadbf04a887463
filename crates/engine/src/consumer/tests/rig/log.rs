//! What a partition holds on the rig's broker.

use alloc::vec;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};
use kohort_protocol::ErrorCode;
use kohort_records::{BatchBuilder, Compression};

/// One partition on the broker: batches by base offset, each with its count of records.
#[derive(Debug, Default)]
pub(in crate::consumer::tests) struct Log {
    pub(in crate::consumer::tests) start: i64,
    pub(in crate::consumer::tests) batches: Vec<(i64, i64, Bytes)>,
}

impl Log {
    pub(in crate::consumer::tests) fn end(&self) -> i64 {
        self.batches
            .last()
            .map_or(self.start, |(base, count, _)| base + count)
    }

    /// Appends a batch of `count` records of `size` bytes.
    pub(in crate::consumer::tests) fn append(&mut self, count: i64, size: usize) {
        let base = self.end();
        let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
        let value = vec![b'v'; size];
        for offset in base..base + count {
            builder.append(offset, None, Some(&value), &[]).unwrap();
        }
        self.batches.push((base, count, builder.build(base).unwrap()));
    }

    pub(super) fn read(&self, from: i64, max: usize) -> Result<Bytes, ErrorCode> {
        if from < self.start || from > self.end() {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        let mut out = BytesMut::new();
        for (_, _, batch) in self.batches.iter().filter(|(base, count, _)| base + count > from) {
            if !out.is_empty() && out.len() + batch.len() > max {
                break;
            }
            out.extend_from_slice(batch);
        }
        Ok(out.freeze())
    }
}
