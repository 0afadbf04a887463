//! A reply in pieces, written with as few system calls as there are full sets of slices.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// The pieces of a reply that are not yet written.
#[derive(Debug)]
pub(crate) struct Segments {
    pieces: VecDeque<Bytes>,
    remaining: usize,
}

impl Segments {
    pub(crate) fn new(pieces: Vec<Bytes>) -> Self {
        let pieces: VecDeque<Bytes> = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        Self {
            remaining: pieces.iter().map(Bytes::len).sum(),
            pieces,
        }
    }
}

impl Buf for Segments {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn advance(&mut self, count: usize) {
        let mut left = count.min(self.remaining);
        self.remaining = self.remaining.saturating_sub(left);
        while let Some(piece) = self.pieces.front_mut() {
            if left < piece.len() {
                piece.advance(left);
                return;
            }
            left = left.saturating_sub(piece.len());
            self.pieces.pop_front();
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(piece);
            filled += 1;
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_written_in_order_whatever_each_write_takes() {
        let pieces = vec![
            Bytes::from_static(b"ab"),
            Bytes::new(),
            Bytes::from_static(b"cde"),
        ];
        for step in 1..7 {
            let mut segments = Segments::new(pieces.clone());
            let mut written = Vec::new();
            while segments.has_remaining() {
                let mut slices = [IoSlice::new(&[]); 2];
                let count = segments.chunks_vectored(&mut slices);
                let gathered: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
                let taken = step.min(gathered.len());
                written.extend_from_slice(&gathered[..taken]);
                segments.advance(taken);
            }
            assert_eq!(written, b"abcde");
        }
    }
}
