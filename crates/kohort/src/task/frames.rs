//! Reading length-prefixed frames into receive buffers that are used again once their last handle is gone.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, ready};
use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::AsyncReadExt;

use crate::transport::Io;

const PREFIX: usize = 4;
/// The capacity of a fresh buffer, bytes.
const FRESH: usize = 64 * 1024;
/// Bytes read at once: larger reads fall out of the processor's cache before they are looked at.
const CHUNK: usize = 256 * 1024;
/// Used buffers that are kept for reuse, per connection.
const KEPT: usize = 4;

/// Cuts what comes from a stream into frames.
///
/// Memory is taken for bytes that are there, not for a length that was announced: a buffer grows at most twofold at a time.
pub(super) struct Frames {
    buffer: BytesMut,
    used: Vec<BytesMut>,
    max: usize,
}

impl Frames {
    /// `max`: bytes of a frame at most.
    pub(super) fn new(max: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            used: Vec::new(),
            max,
        }
    }

    /// The next frame, without its prefix; an error ends the stream.
    pub(super) fn poll_frame(&mut self, io: &mut dyn Io, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        loop {
            if let Some(frame) = self.split()? {
                return Poll::Ready(Ok(frame));
            }
            let room = self.buffer.capacity() - self.buffer.len();
            let mut window = (&mut self.buffer).limit(room.min(CHUNK));
            let read = ready!(pin!(io.read_buf(&mut window)).poll(cx))?;
            if read == 0 {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    match self.buffer.is_empty() {
                        true => "the other side closed the connection",
                        false => "the other side closed the connection inside of a frame",
                    },
                )));
            }
        }
    }

    /// A frame that is wholly there; else makes room for what is missing.
    fn split(&mut self) -> io::Result<Option<Bytes>> {
        let missing = match self.buffer.first_chunk::<PREFIX>() {
            None => PREFIX,
            Some(prefix) => {
                let announced = i32::from_be_bytes(*prefix);
                let length = usize::try_from(announced).ok().filter(|l| *l <= self.max).ok_or_else(|| {
                    let limit = self.max;
                    io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("a frame announces {announced} bytes, more than the limit of {limit}; is that a Kafka broker?"),
                    )
                })?;
                let whole = PREFIX + length;
                if self.buffer.len() >= whole {
                    let mut frame = self.buffer.split_to(whole);
                    frame.advance(PREFIX);
                    return Ok(Some(frame.freeze()));
                }
                whole - self.buffer.len()
            }
        };
        self.make_room(missing);
        Ok(None)
    }

    fn make_room(&mut self, missing: usize) {
        if self.buffer.capacity() - self.buffer.len() >= missing {
            return;
        }
        let have = self.buffer.len();
        let wanted = (have + missing).max(FRESH);
        let free = self.used.iter_mut().position(|used| used.try_reclaim(wanted));
        let mut next = match free {
            Some(at) => self.used.swap_remove(at),
            None => BytesMut::with_capacity(wanted.min(have.saturating_mul(2).max(FRESH.max(1 << 20)))),
        };
        next.extend_from_slice(&self.buffer);
        let mut used = core::mem::replace(&mut self.buffer, next);
        used.clear();
        if self.used.len() == KEPT {
            self.used.remove(0);
        }
        self.used.push(used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    fn frame(body: &[u8]) -> Vec<u8> {
        let length = i32::try_from(body.len()).expect("small");
        [&length.to_be_bytes()[..], body].concat()
    }

    async fn next(frames: &mut Frames, io: &mut (dyn Io + 'static)) -> io::Result<Bytes> {
        core::future::poll_fn(|cx| frames.poll_frame(io, cx)).await
    }

    #[tokio::test]
    async fn frames_are_cut_wherever_the_stream_was_split() {
        let (mut writer, mut reader) = tokio::io::duplex(7);
        let sent = [frame(b"first"), frame(b""), frame(&[9; 300_000])].concat();
        let write = tokio::spawn(async move {
            writer.write_all(&sent).await.expect("it is read");
            writer
        });
        let mut frames = Frames::new(1 << 20);
        assert_eq!(
            next(&mut frames, &mut reader).await.expect("a frame"),
            &b"first"[..]
        );
        assert_eq!(next(&mut frames, &mut reader).await.expect("a frame"), &b""[..]);
        assert_eq!(
            next(&mut frames, &mut reader).await.expect("a frame").len(),
            300_000
        );
        drop(write.await.expect("no panic"));
        let end = next(&mut frames, &mut reader).await.expect_err("closed");
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_frame_over_the_limit_or_negative_is_refused_before_anything_is_allocated() {
        for prefix in [i32::MAX, -1] {
            let (mut writer, mut reader) = tokio::io::duplex(64);
            writer.write_all(&prefix.to_be_bytes()).await.expect("room");
            let error = next(&mut Frames::new(1 << 20), &mut reader)
                .await
                .expect_err("refused");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[tokio::test]
    async fn an_announced_length_alone_takes_little_memory() {
        let (mut writer, mut reader) = tokio::io::duplex(64);
        writer
            .write_all(&(1_i32 << 29).to_be_bytes())
            .await
            .expect("room");
        drop(writer);
        let mut frames = Frames::new(1 << 30);
        next(&mut frames, &mut reader)
            .await
            .expect_err("closed inside of the frame");
        assert!(frames.buffer.capacity() <= 1 << 20);
    }

    #[tokio::test]
    async fn a_buffer_is_used_again_once_its_last_handle_is_gone() {
        let (mut writer, mut reader) = tokio::io::duplex(1 << 20);
        let mut frames = Frames::new(1 << 20);
        let mut places = std::collections::BTreeSet::new();
        for _ in 0..50 {
            writer.write_all(&frame(&[1; 100_000])).await.expect("room");
            let frame = next(&mut frames, &mut reader).await.expect("a frame");
            places.insert(frame.as_ptr() as usize / (1 << 18));
        }
        assert!(places.len() <= 4, "{} places", places.len());
    }
}
