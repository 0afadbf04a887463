//! stdout for data: buffered, and telling a closed pipe from a failure.

use std::io::{self, BufWriter, Write};

use crate::failure::Failure;

/// Buffered stdout. What is not flushed when it is dropped is written then, without a report of errors.
pub(crate) struct Output {
    out: BufWriter<io::Stdout>,
}

impl Output {
    /// The process's stdout.
    pub(crate) fn stdout() -> Self {
        Self {
            out: BufWriter::with_capacity(1 << 16, io::stdout()),
        }
    }

    /// Lets `write` write, and flushes.
    pub(crate) fn write(
        &mut self,
        write: impl FnOnce(&mut BufWriter<io::Stdout>) -> io::Result<()>,
    ) -> Result<(), Failure> {
        write(&mut self.out)
            .and_then(|()| self.out.flush())
            .map_err(Failure::stdout)
    }

    /// Writes one line, and flushes.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), Failure> {
        self.write(|out| writeln!(out, "{line}"))
    }
}
