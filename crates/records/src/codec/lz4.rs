//! LZ4 frames, as Java's `Lz4BlockOutputStream` writes them: independent blocks of 64 KiB, no checksums, no content size.

use std::io::Write;

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::{Failure, read_bounded};

pub(super) fn decompress(input: &[u8], output: &mut Vec<u8>, limit: usize) -> Result<(), Failure> {
    let mut decoder = FrameDecoder::new(input);
    match read_bounded(&mut decoder, input.len(), output, limit) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::TooLarge),
        Err(error) => Err(Failure::corrupt(
            input.len() - decoder.get_ref().len(),
            error.to_string(),
        )),
    }
}

// Kafka: Lz4BlockOutputStream.writeHeader
pub(super) fn compress(input: &[u8], output: &mut Vec<u8>) -> Result<(), String> {
    let frame = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(frame, output);
    encoder.write_all(input).map_err(|error| error.to_string())?;
    encoder.finish().map(drop).map_err(|error| error.to_string())
}
