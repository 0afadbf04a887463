//! The LZ4 frame that Java's `Lz4BlockOutputStream` writes: independent blocks of 64 KiB, no checksums, no content
//! size. Read is what `Lz4BlockInputStream` reads: one frame of independent blocks of any size, with or without
//! checksums.
//!
//! The frame is walked here and not by `lz4_flex`, whose frame decoder reserves blocks of the size that a frame
//! announces, copies each block twice, and asserts in debug builds that all frames of a stream have blocks of one
//! size. Blocks are its work.

use lz4_flex::block::{DecompressError, compress_into, decompress_into, get_maximum_output_size};
use twox_hash::XxHash32;

use super::{Failure, extend_zeroed};

const MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();

/// Version 1, independent blocks; blocks of 64 KiB; the checksum of these two bytes.
const HEADER: [u8; 7] = [MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3], 0x60, 0x40, 0x82];
const BLOCK: usize = 64 * 1024;

const BLOCK_CHECKSUM: u8 = 0x10;
const CONTENT_SIZE: u8 = 0x08;

const UNCOMPRESSED: u32 = 0x8000_0000;

/// No byte of a compressed block yields more.
const LARGEST_RATIO: usize = 255;

/// How much the last block grew, to foresee how much the next will: the sizes of its compressed and decompressed
/// bytes.
pub(super) struct Growth {
    compressed: usize,
    decompressed: usize,
}

impl Default for Growth {
    fn default() -> Self {
        Self {
            compressed: 1,
            decompressed: 3,
        }
    }
}

impl Growth {
    /// A little more than the block will need if it grows as the last did.
    const fn foresee(&self, length: usize) -> usize {
        let even = length.saturating_mul(self.decompressed) / self.compressed;
        even.saturating_add(even / 8).saturating_add(64)
    }
}

// Kafka: Lz4BlockInputStream.readBlock
pub(super) fn decompress(
    growth: &mut Growth,
    input: &[u8],
    output: &mut Vec<u8>,
    limit: usize,
) -> Result<(), Failure> {
    let mut rest = input;
    let (largest_block, has_checksums) = header(&mut rest).map_err(|reason| Failure::corrupt(0, reason))?;
    loop {
        let position = input.len() - rest.len();
        let corrupt = |reason: &'static str| Failure::corrupt(position, reason);
        let mut take = |length| take(&mut rest, length).ok_or_else(|| corrupt("the frame is cut short"));
        let word = read_u32(take(4)?);
        let length = (word & !UNCOMPRESSED) as usize;
        if length == 0 {
            return Ok(());
        }
        if length > largest_block {
            return Err(corrupt("a block is larger than the frame allows"));
        }
        let block = take(length)?;
        if has_checksums && read_u32(take(4)?) != XxHash32::oneshot(0, block) {
            return Err(corrupt("the checksum of a block is wrong"));
        }
        let room = limit.saturating_sub(output.len());
        if word & UNCOMPRESSED != 0 {
            if length > room {
                return Err(Failure::TooLarge);
            }
            output.extend_from_slice(block);
            continue;
        }
        let most = largest_block.min(length.saturating_mul(LARGEST_RATIO));
        let start = output.len();
        let foreseen = growth.foresee(length).min(most).min(room);
        let mut written = decompress_into(block, extend_zeroed(output, foreseen, limit));
        if foreseen < most.min(room) && matches!(written, Err(DecompressError::OutputTooSmall { .. })) {
            output.truncate(start);
            written = decompress_into(block, extend_zeroed(output, most.min(room), limit));
        }
        match written {
            Ok(written) => {
                output.truncate(start + written);
                *growth = Growth {
                    compressed: length,
                    decompressed: written,
                };
            }
            Err(DecompressError::OutputTooSmall { .. }) if room < most => return Err(Failure::TooLarge),
            Err(error) => return Err(Failure::corrupt(position, error.to_string())),
        }
    }
}

/// Takes the frame's header; gives the size of its largest block, and whether blocks have checksums.
// Kafka: Lz4BlockInputStream.readHeader, Lz4BlockOutputStream.FLG, Lz4BlockOutputStream.BD
fn header(rest: &mut &[u8]) -> Result<(usize, bool), &'static str> {
    const CUT: &str = "the frame's header is cut short";
    if take(rest, MAGIC.len()).ok_or(CUT)? != MAGIC {
        return Err("there is no LZ4 frame");
    }
    let descriptor = *rest;
    let &[flags, sizes] = take(rest, 2).ok_or(CUT)? else {
        return Err(CUT);
    };
    // Version 1, independent blocks, no dictionary; the reserved bits are 0.
    if flags & 0xe3 != 0x60 {
        return Err("the frame has a format that Kafka does not read");
    }
    let largest_block = match sizes {
        0x40 => 64 << 10,
        0x50 => 256 << 10,
        0x60 => 1 << 20,
        0x70 => 4 << 20,
        _ => return Err("the frame has an unknown block size"),
    };
    if flags & CONTENT_SIZE != 0 {
        take(rest, 8).ok_or(CUT)?;
    }
    let described = descriptor
        .get(..descriptor.len() - rest.len())
        .unwrap_or_default();
    let checksum = (XxHash32::oneshot(0, described) >> 8) as u8;
    if take(rest, 1).ok_or(CUT)? != [checksum] {
        return Err("the checksum of the frame's header is wrong");
    }
    Ok((largest_block, flags & BLOCK_CHECKSUM != 0))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

fn read_u32(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

// Kafka: Lz4BlockOutputStream.writeBlock
pub(super) fn compress(input: &[u8], output: &mut Vec<u8>) -> Result<(), String> {
    output.extend_from_slice(&HEADER);
    for block in input.chunks(BLOCK) {
        let start = output.len();
        output.resize(start + 4 + get_maximum_output_size(block.len()), 0);
        let Some((word, target)) = output
            .get_mut(start..)
            .and_then(<[u8]>::split_first_chunk_mut::<4>)
        else {
            return Ok(());
        };
        let written = compress_into(block, target).map_err(|error| error.to_string())?;
        // Neither is longer than about 64 KiB.
        if written < block.len() {
            *word = (written as u32).to_le_bytes();
            output.truncate(start + 4 + written);
        } else {
            *word = (block.len() as u32 | UNCOMPRESSED).to_le_bytes();
            output.truncate(start + 4);
            output.extend_from_slice(block);
        }
    }
    output.extend_from_slice(&[0; 4]);
    Ok(())
}
