//! What reading batches allocates: nothing for a record, and for hostile batches no more than the bound that is stated. One test
//! alone, because the allocator counts for the whole process.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::hint::black_box;

use kohort_records::{Batch, BatchBuilder, BatchError, Compression, Decompressor};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What the tables of a codec may take beside the output.
const FIXED: usize = 1 << 20;
/// One block of zstd.
const BLOCK: usize = 128 << 10;

/// What `act` gives, and by how many bytes memory grew at most while it ran.
fn peak<T>(act: impl FnOnce() -> T) -> (T, usize) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let result = act();
    (result, MEMORY.peak_usage().saturating_sub(before))
}

fn batch(codec: Compression, records: usize, value: &[u8]) -> Batch {
    let mut builder = BatchBuilder::new(codec, None).unwrap();
    for _ in 0..records {
        builder.append(0, Some(b"key"), Some(value), &[]).unwrap();
    }
    Batch::decode(builder.build(0).unwrap(), 0).unwrap().unwrap()
}

#[test]
fn memory_is_taken_by_the_batch_and_never_beyond_the_limit() {
    for codec in Compression::ALL {
        let batch = batch(codec, 1_000, b"some value or other");
        let mut decompressor = Decompressor::new();
        let open = batch.open_with(&mut decompressor, 1 << 20).unwrap();

        // All that is read of the records borrows from the batch.
        let (bytes, grew) = peak(|| {
            let mut bytes = 0;
            for record in &open {
                bytes += record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
                bytes += record.headers.clone().count();
            }
            black_box(bytes)
        });
        assert_eq!((bytes, grew), (1_000 * (3 + 19), 0), "{codec}");

        // Once the buffer has found its size, the next batch is decompressed into that of the last; zstd has its tables by now,
        // gzip makes its own anew.
        let most = if codec == Compression::Gzip {
            64 << 10
        } else {
            4_096
        };
        drop(open);
        for _ in 0..3 {
            drop(batch.open_with(&mut decompressor, 1 << 20).unwrap());
        }
        let (open, grew) = peak(|| batch.open_with(&mut decompressor, 1 << 20).unwrap());
        assert!(grew <= most, "{codec}: {grew}");
        assert_eq!(open.len(), 1_000, "{codec}");
    }

    for codec in Compression::ALL
        .into_iter()
        .filter(|codec| *codec != Compression::None)
    {
        let bomb = batch(codec, 1, &vec![0; 64 << 20]);
        for limit in [0, 1_000, 100_000, 3_000_000] {
            let (result, grew) = peak(|| bomb.open(limit));
            assert!(
                matches!(result, Err(BatchError::TooLarge { .. })),
                "{codec} {limit}"
            );
            // A buffer that grows holds its old block until the new one is filled.
            assert!(grew <= 2 * limit + BLOCK + FIXED, "{codec} {limit}: {grew}");
        }
    }
}
