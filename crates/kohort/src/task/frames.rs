//! Reading length-prefixed frames into receive buffers that are used again once their last handle is gone.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, ready};
use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::AsyncReadExt;

use crate::transport::Io;

const PREFIX: usize = 4;
/// The size of the block that small frames are cut from, bytes.
const BLOCK: usize = 64 * 1024;
/// Bytes read at once before it is known what comes: of a large frame only so much has to be moved.
const HEAD: usize = 4 * 1024;
/// Bytes of a large frame read at once: larger reads fall out of the processor's cache before they are looked at.
const CHUNK: usize = 256 * 1024;
/// What is taken at once for a large frame, bytes, until a larger one has come.
const TRUSTED: usize = 1 << 20;
/// How many times larger a buffer may be than a frame in it: whoever keeps a record keeps the whole buffer.
const SPREAD: usize = 4;

/// Cuts what comes from a stream into frames.
///
/// Memory is taken for bytes that are there, not for a length that was announced: what is taken for a frame is no larger than
/// twice what has come of it, or than an earlier frame, or than a MiB.
pub(super) struct Frames {
    /// What was read and is not cut off: small frames, and how a large one begins.
    block: BytesMut,
    /// The large frame that is coming.
    large: Option<Large>,
    spares: Spares,
    /// The largest buffer that may be taken before its bytes are there.
    trusted: usize,
    max: usize,
}

/// A frame that is not wholly there, in a buffer of its own.
#[derive(Default)]
struct Large {
    bytes: BytesMut,
    /// The size of the whole buffer.
    size: usize,
    /// Bytes of the frame.
    length: usize,
}

impl Frames {
    /// `max`: bytes of a frame at most.
    pub(super) fn new(max: usize) -> Self {
        Self {
            block: BytesMut::new(),
            large: None,
            spares: Spares::default(),
            trusted: TRUSTED,
            max,
        }
    }

    /// The next frame, without its prefix; an error ends the stream.
    pub(super) fn poll_frame(&mut self, io: &mut dyn Io, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        loop {
            let (buffer, limit) = match &mut self.large {
                Some(large) => {
                    let missing = large.length - large.bytes.len();
                    if missing == 0 {
                        return Poll::Ready(Ok(self.take_large()));
                    }
                    self.spares.make_room(large, self.trusted);
                    let room = large.bytes.capacity() - large.bytes.len();
                    (&mut large.bytes, missing.min(room).min(CHUNK))
                }
                None => {
                    let missing = match self.split()? {
                        Split::Frame(frame) => return Poll::Ready(Ok(frame)),
                        Split::Large => continue,
                        Split::Missing(missing) => missing,
                    };
                    // Small frames that come one after the other are read at once.
                    if self.block.capacity() - self.block.len() < missing && !self.block.try_reclaim(missing)
                    {
                        let mut next = BytesMut::with_capacity(BLOCK);
                        next.extend_from_slice(&self.block);
                        self.block = next;
                    }
                    let room = self.block.capacity() - self.block.len();
                    (&mut self.block, room.min(missing.max(HEAD)))
                }
            };
            let mut window = buffer.limit(limit);
            let read = ready!(pin!(io.read_buf(&mut window)).poll(cx))?;
            if read == 0 {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    match self.block.is_empty() && self.large.is_none() {
                        true => "the other side closed the connection",
                        false => "the other side closed the connection inside of a frame",
                    },
                )));
            }
        }
    }

    /// A small frame that is wholly there; a large one goes on in a buffer of its own.
    fn split(&mut self) -> io::Result<Split> {
        let Some(prefix) = self.block.first_chunk::<PREFIX>() else {
            return Ok(Split::Missing(PREFIX - self.block.len()));
        };
        let announced = i32::from_be_bytes(*prefix);
        let length = usize::try_from(announced).ok().filter(|l| *l <= self.max).ok_or_else(|| {
            let limit = self.max;
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a frame announces {announced} bytes, the limits are 0 and {limit}; is that a Kafka broker?"),
            )
        })?;
        let whole = PREFIX + length;
        let is_there = self.block.len() >= whole;
        if !is_there && whole <= BLOCK {
            return Ok(Split::Missing(whole - self.block.len()));
        }
        self.block.advance(PREFIX);
        if !is_there {
            let mut large = Large {
                length,
                ..Large::default()
            };
            self.spares.make_room(&mut large, self.trusted);
            large.bytes.extend_from_slice(&self.block);
            self.block.clear();
            self.large = Some(large);
            return Ok(Split::Large);
        }
        let frame = self.block.split_to(length);
        Ok(Split::Frame(match length.saturating_mul(SPREAD) < BLOCK {
            true => Bytes::copy_from_slice(&frame),
            false => frame.freeze(),
        }))
    }

    fn take_large(&mut self) -> Bytes {
        let mut large = self.large.take().unwrap_or_default();
        self.trusted = self.trusted.max(large.length);
        let frame = large.bytes.split().freeze();
        self.spares.give(large.bytes, large.size);
        frame
    }
}

enum Split {
    Frame(Bytes),
    /// It is in [`Frames::large`] now.
    Large,
    /// So many bytes have to be read first.
    Missing(usize),
}

/// The buffers of large frames: each is used again once the last handle of its frame is gone.
#[derive(Default)]
struct Spares {
    /// Empty handles of buffers, and their sizes; the one given last comes last.
    spares: Vec<(BytesMut, usize)>,
    /// The sizes together.
    size: usize,
}

impl Spares {
    /// The most bytes that are kept for use again, per connection; one buffer in any case.
    const LARGEST: usize = 32 << 20;

    /// Makes room for more of a frame, as far as its length is trusted.
    fn make_room(&mut self, large: &mut Large, trusted: usize) {
        let have = large.bytes.len();
        if large.bytes.capacity() > have {
            return;
        }
        let wanted = large.length.min(trusted.max(have.saturating_mul(2)));
        let (mut next, size) = self
            .take(wanted)
            .unwrap_or_else(|| (BytesMut::with_capacity(wanted), wanted));
        next.extend_from_slice(&large.bytes);
        large.bytes = next;
        large.size = size;
    }

    /// A buffer whose frame is gone, that is large enough and not much larger; the one used last, which the processor's cache
    /// may still have.
    fn take(&mut self, wanted: usize) -> Option<(BytesMut, usize)> {
        let fits = |(spare, size): &mut (BytesMut, usize)| {
            (wanted..=wanted.saturating_mul(SPREAD)).contains(size) && spare.try_reclaim(wanted)
        };
        let at = self.spares.iter_mut().rposition(fits)?;
        let taken = self.spares.remove(at);
        self.size -= taken.1;
        Some(taken)
    }

    fn give(&mut self, spare: BytesMut, size: usize) {
        self.spares.push((spare, size));
        self.size += size;
        while self.size > Self::LARGEST && self.spares.len() > 1 {
            self.size -= self.spares.remove(0).1;
        }
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
    async fn a_small_frame_does_not_keep_a_large_buffer() {
        let (mut writer, mut reader) = tokio::io::duplex(1 << 20);
        let mut frames = Frames::new(1 << 20);
        let sent = [frame(&[1; 100_000]), frame(&[2; 1000]), frame(&[3; 40_000])].concat();
        writer.write_all(&sent).await.expect("room");
        let large = next(&mut frames, &mut reader).await.expect("a frame");
        let small = next(&mut frames, &mut reader).await.expect("a frame");
        assert_eq!(small, vec![2; 1000]);
        assert!(small.is_unique());
        assert_eq!(
            next(&mut frames, &mut reader).await.expect("a frame"),
            vec![3; 40_000]
        );
        assert_eq!(large.len(), 100_000);
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
        assert!(frames.large.is_none_or(|large| large.bytes.capacity() <= TRUSTED));
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

    #[tokio::test]
    async fn frames_of_mixed_sizes_take_no_new_memory_once_some_have_come() {
        let (mut writer, mut reader) = tokio::io::duplex(8 << 20);
        let mut frames = Frames::new(8 << 20);
        let mut held = std::collections::VecDeque::new();
        let mut places = Vec::new();
        for turn in 0..100_usize {
            let length = (1 + turn % 3) << 20;
            writer.write_all(&frame(&vec![1; length])).await.expect("room");
            let frame = next(&mut frames, &mut reader).await.expect("a frame");
            assert_eq!(frame.len(), length);
            places.push(frame.as_ptr() as usize);
            held.push_back(frame);
            if held.len() == 3 {
                held.pop_front();
            }
        }
        let early: std::collections::BTreeSet<_> = places.drain(..20).collect();
        assert!(places.iter().all(|place| early.contains(place)));
    }
}
