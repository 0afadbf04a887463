//! How a stream of bytes is cut into frames, whatever pieces it comes in.

use bytes::{Bytes, BytesMut};
use kohort_protocol::frame::{frame_len, split_frame};

use super::{Shape, Target};

const LARGEST: usize = 1000;

pub(super) const TARGET: Target = Target {
    name: "framing",
    run,
    seeds,
    shape: Shape::Bytes,
    memory: |len| 16 * len + (64 << 10),
};

/// The first byte says how large the pieces are.
fn run(input: &[u8]) {
    let Some((step, bytes)) = input.split_first() else {
        return;
    };
    let pieces = bytes.chunks(usize::from(*step).max(1));
    assert_eq!(cut(pieces), cut(std::iter::once(bytes)));
}

/// The frames, what is left, and whether it ended with an error.
fn cut<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Bytes>, bool) {
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let announced = frame_len(&buffer, LARGEST);
            match split_frame(&mut buffer, LARGEST) {
                Ok(Some(frame)) => {
                    assert_eq!(announced, Ok(Some(frame.len())));
                    frames.push(frame);
                }
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
    }
    (frames, false)
}

fn seeds() -> Vec<Vec<u8>> {
    let frame = |len: usize| [&(len as u32).to_be_bytes()[..], &vec![7; len]].concat();
    vec![
        [&[3][..], &frame(0), &frame(1), &frame(20)].concat(),
        [&[255][..], &frame(1000), &frame(5)].concat(),
        [&[1][..], &frame(3), &[0xff, 0xff, 0xff, 0xff]].concat(),
        [&[1][..], &[0x7f, 0xff, 0xff, 0xff], &frame(3)].concat(),
        b"\x04GET / HTTP/1.1\r\nHost: kafka\r\n\r\n".to_vec(),
        b"\x04\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
    ]
}
