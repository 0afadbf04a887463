//! Zstandard frames. Java's have no content size, since it streams; ours have one.

use zrip::{CompressContext, DecompressContext, DecompressError};

use super::Failure;

/// No block yields more, and none is shorter than 4 bytes.
const LARGEST_BLOCK: usize = 128 * 1024;
const SHORTEST_BLOCK: usize = 4;

/// Kafka's default level.
const DEFAULT_LEVEL: i32 = 3;

pub(super) fn decompress(
    context: &mut DecompressContext,
    input: &[u8],
    output: &mut Vec<u8>,
    limit: usize,
) -> Result<(), Failure> {
    // The decoder reserves the content size that a frame announces: it must be one that so many bytes can hold.
    let possible = (input.len() / SHORTEST_BLOCK).saturating_mul(LARGEST_BLOCK);
    // A block that passes the decoder's limit counts as corrupt there. With one block more allowed it has to begin
    // after ours, so that the two are told apart.
    let allowed = limit.saturating_add(LARGEST_BLOCK);
    match context.decompress_into_with_limit(input, output, allowed.min(possible)) {
        _ if output.len() > limit => Err(Failure::TooLarge),
        Ok(_) => Ok(()),
        Err(DecompressError::OutputTooSmall) if limit < possible => Err(Failure::TooLarge),
        // The decoder does not say where it was.
        Err(error) => Err(Failure::corrupt(input.len(), error.to_string())),
    }
}

pub(super) fn compressor(level: Option<i32>) -> Result<CompressContext, String> {
    let level = match level.unwrap_or(DEFAULT_LEVEL) {
        // As in the reference library, level 0 is the default.
        0 => DEFAULT_LEVEL,
        level => level.clamp(-7, 4),
    };
    let mut context = CompressContext::new(level).map_err(|error| error.to_string())?;
    // The batch has a checksum of its own; Java's frames have none either.
    context.set_content_checksum(false);
    Ok(context)
}

pub(super) fn compress(
    context: &mut CompressContext,
    input: &[u8],
    output: &mut Vec<u8>,
) -> Result<(), String> {
    let start = output.len();
    output.resize(start + zrip::compress_bound(input.len()), 0);
    let Some(target) = output.get_mut(start..) else {
        return Ok(());
    };
    let written = context
        .compress_into(input, target)
        .map_err(|error| error.to_string())?;
    output.truncate(start + written);
    Ok(())
}
