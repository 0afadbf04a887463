//! gzip, as `java.util.zip` writes and reads it: members one after another; what follows them and is none is ignored.

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

use super::Failure;

const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The largest window that a member can have, as a power of two.
const WINDOW_BITS: u8 = 15;

/// The state of the decoder. `flate2` makes a gzip decoder's window and tables (48 KiB) anew for each member, whatever is kept here.
pub(super) struct Inflater(Decompress);

impl Default for Inflater {
    fn default() -> Self {
        Self(Decompress::new_gzip(WINDOW_BITS))
    }
}

impl Inflater {
    pub(super) fn run(&mut self, input: &[u8], output: &mut Vec<u8>, limit: usize) -> Result<(), Failure> {
        // One byte more than the limit tells what ends there from what goes on.
        let most = limit.saturating_add(1);
        output.reserve_exact(input.len().saturating_mul(3).clamp(512, 1 << 20).min(most));
        let mut rest = input;
        loop {
            let written = self.member(&mut rest, output, most);
            if output.len() > limit {
                return Err(Failure::TooLarge);
            }
            written.map_err(|reason| Failure::corrupt(input.len() - rest.len(), reason))?;
            if !rest.starts_with(&MAGIC) {
                return Ok(());
            }
        }
    }

    /// Decompresses one member, or up to the limit.
    fn member(&mut self, rest: &mut &[u8], output: &mut Vec<u8>, most: usize) -> Result<(), String> {
        self.0.reset(true);
        loop {
            let (read, written) = (self.0.total_in(), output.len());
            let status = self.0.decompress_vec(rest, output, FlushDecompress::None);
            // It reads no more than it is given.
            let taken = usize::try_from(self.0.total_in() - read).unwrap_or(usize::MAX);
            *rest = rest.get(taken..).unwrap_or_default();
            match status {
                Ok(Status::StreamEnd) => return Ok(()),
                Err(error) => return Err(error.to_string()),
                Ok(_) if output.len() >= most => return Ok(()),
                Ok(_) if output.len() == output.capacity() => {
                    output.reserve_exact(output.len().max(512).min(most - output.len()));
                }
                Ok(_) if taken == 0 && output.len() == written => {
                    return Err("the member is cut short".to_owned());
                }
                Ok(_) => {}
            }
        }
    }
}

/// The state of the encoder: a window and tables of about 270 KB.
pub(super) struct Deflater(Compress);

impl Deflater {
    /// An encoder of a level, or of the default level.
    pub(super) fn new(level: Option<i32>) -> Self {
        let level = level.and_then(|level| u32::try_from(level).ok());
        let level = level.map_or_else(flate2::Compression::default, flate2::Compression::new);
        Self(Compress::new_gzip(level, WINDOW_BITS))
    }

    /// Appends the input as one member.
    pub(super) fn run(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), String> {
        self.0.reset();
        let mut rest = input;
        loop {
            let read = self.0.total_in();
            let status = self.0.compress_vec(rest, output, FlushCompress::Finish);
            // It reads no more than it is given.
            let taken = usize::try_from(self.0.total_in() - read).unwrap_or(usize::MAX);
            rest = rest.get(taken..).unwrap_or_default();
            match status.map_err(|error| error.to_string())? {
                Status::StreamEnd => return Ok(()),
                _ if output.len() == output.capacity() => output.reserve(rest.len().clamp(64, 1 << 16)),
                _ => return Err("the encoder stopped halfway".to_owned()),
            }
        }
    }
}
