//! One connection: connecting, then frames in both directions. When to connect or to give up is the engine's to say.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use super::frames::Frames;
use crate::transport::{Connecting, Io};

/// Segments that one vectored write takes at most.
const SLICES: usize = 32;

pub(super) enum Link {
    Connecting {
        connecting: Connecting,
        max_frame: usize,
    },
    Open(Box<Open>),
}

pub(super) struct Open {
    io: Box<dyn Io>,
    frames: Frames,
    out: VecDeque<Bytes>,
    unflushed: bool,
}

/// What a connection has to tell.
pub(super) enum Report {
    Connected,
    Failed(io::Error),
    Frame(Bytes),
    Ended(io::Error),
    /// What came is no frame.
    NoFrame(io::Error),
}

impl Link {
    pub(super) fn send(&mut self, segments: Vec<Bytes>) {
        if let Self::Open(open) = self {
            open.out.extend(segments);
        }
    }

    /// Writes what the socket takes; ready when nothing is left to be written, or nothing can be.
    pub(super) fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Connecting { .. } => Poll::Ready(()),
            Self::Open(open) => open.poll_write(cx).map(drop),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Report> {
        match self {
            Self::Connecting {
                connecting,
                max_frame,
            } => match connecting.as_mut().poll(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(error)) => Poll::Ready(Report::Failed(error)),
                Poll::Ready(Ok(io)) => {
                    let frames = Frames::new(*max_frame);
                    *self = Self::Open(Box::new(Open {
                        io,
                        frames,
                        out: VecDeque::new(),
                        unflushed: false,
                    }));
                    Poll::Ready(Report::Connected)
                }
            },
            Self::Open(open) => {
                if let Poll::Ready(Err(error)) = open.poll_write(cx) {
                    return Poll::Ready(Report::Ended(error));
                }
                open.frames.poll_frame(&mut open.io, cx).map(|read| match read {
                    Ok(frame) => Report::Frame(frame),
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => Report::NoFrame(error),
                    Err(error) => Report::Ended(error),
                })
            }
        }
    }
}

impl Open {
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = self
                .out
                .iter()
                .zip(slices.iter_mut())
                .map(|(segment, slice)| *slice = IoSlice::new(segment))
                .count();
            let slices = slices.get(..filled).unwrap_or_default();
            let mut written = match Pin::new(&mut self.io).poll_write_vectored(cx, slices) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => written,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            };
            self.unflushed = true;
            while let Some(segment) = self.out.front_mut() {
                let here = written.min(segment.len());
                segment.advance(here);
                written -= here;
                if !segment.is_empty() {
                    break;
                }
                self.out.pop_front();
            }
        }
        if self.unflushed {
            match Pin::new(&mut self.io).poll_flush(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(flushed) => flushed?,
            }
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}
