//! Snappy: one raw block, or the blocks of the xerial library's framing, which is what Java writes.
//!
//! The framing is a header of 16 bytes (magic, version, oldest compatible version), then for each block its length
//! (4 bytes, big-endian) and the raw snappy block.

use super::{Failure, extend_zeroed};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER: [u8; 16] = [
    0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1,
];

/// The xerial library's default block size, in bytes.
const BLOCK: usize = 32 * 1024;

pub(super) fn decompress(
    decoder: &mut snap::raw::Decoder,
    input: &[u8],
    output: &mut Vec<u8>,
    limit: usize,
) -> Result<(), Failure> {
    let position = |rest: &[u8]| input.len() - rest.len();
    // As xerial does: what does not begin with its header is one raw block.
    let Some(mut rest) = skip_header(input) else {
        return block(decoder, input, 0, output, limit);
    };
    while !rest.is_empty() {
        // Streams may be concatenated: a header may stand where a block could.
        if let Some(after) = skip_header(rest) {
            rest = after;
            continue;
        }
        let cut = || Failure::corrupt(position(rest), "a block is cut short");
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let (compressed, after) = after
            .split_at_checked(u32::from_be_bytes(*length) as usize)
            .ok_or_else(cut)?;
        block(decoder, compressed, position(rest) + 4, output, limit)?;
        rest = after;
    }
    Ok(())
}

fn skip_header(input: &[u8]) -> Option<&[u8]> {
    input.strip_prefix(&MAGIC)?.get(HEADER.len() - MAGIC.len()..)
}

fn block(
    decoder: &mut snap::raw::Decoder,
    input: &[u8],
    position: usize,
    output: &mut Vec<u8>,
    limit: usize,
) -> Result<(), Failure> {
    let corrupt = |error: snap::Error| Failure::corrupt(position, error.to_string());
    let announced = snap::raw::decompress_len(input).map_err(corrupt)?;
    if announced > limit - output.len().min(limit) {
        return Err(Failure::TooLarge);
    }
    // A copy of 3 bytes yields at most 64 bytes, and no element yields more for its size.
    if announced > input.len().saturating_mul(64) / 3 {
        return Err(Failure::corrupt(
            position,
            "the announced length is more than the block can hold",
        ));
    }
    decoder
        .decompress(input, extend_zeroed(output, announced, limit))
        .map_err(corrupt)?;
    Ok(())
}

// xerial: SnappyOutputStream
pub(super) fn compress(
    encoder: &mut snap::raw::Encoder,
    input: &[u8],
    output: &mut Vec<u8>,
) -> Result<(), String> {
    output.extend_from_slice(&HEADER);
    for block in input.chunks(BLOCK) {
        let start = output.len();
        output.resize(start + 4 + snap::raw::max_compress_len(block.len()), 0);
        let Some((length, target)) = output
            .get_mut(start..)
            .and_then(<[u8]>::split_first_chunk_mut::<4>)
        else {
            return Ok(());
        };
        let written = encoder
            .compress(block, target)
            .map_err(|error| error.to_string())?;
        // A block of 32 KiB is never longer than 4 GiB.
        *length = u32::try_from(written)
            .map_err(|error| error.to_string())?
            .to_be_bytes();
        output.truncate(start + 4 + written);
    }
    Ok(())
}
