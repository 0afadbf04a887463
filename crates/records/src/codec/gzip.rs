//! gzip, as `java.util.zip` writes and reads it.

use std::io::Write;

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{Failure, read_bounded};

pub(super) fn decompress(input: &[u8], output: &mut Vec<u8>, limit: usize) -> Result<(), Failure> {
    let mut decoder = MultiGzDecoder::new(input);
    match read_bounded(&mut decoder, input.len(), output, limit) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::TooLarge),
        Err(error) => Err(Failure::corrupt(
            input.len() - decoder.get_ref().len(),
            error.to_string(),
        )),
    }
}

pub(super) fn compress(level: Option<i32>, input: &[u8], output: &mut Vec<u8>) -> Result<(), String> {
    let level = level
        .and_then(|level| u32::try_from(level).ok())
        .map_or_else(flate2::Compression::default, flate2::Compression::new);
    let mut encoder = GzEncoder::new(output, level);
    encoder
        .write_all(input)
        .and_then(|()| encoder.finish().map(drop))
        .map_err(|error| error.to_string())
}
