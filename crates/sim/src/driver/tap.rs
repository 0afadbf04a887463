//! The client's end of a cable, which is listened to as the client writes: in the order in which a member sends its commits, whatever
//! becomes of its connections.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;

use bytes::BytesMut;
use kohort_protocol::frame;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use super::run::Run;
use crate::ledger::ReaderNo;

/// What a client reads from and writes to.
#[derive(Debug)]
pub(super) struct Tap {
    stream: DuplexStream,
    run: Run,
    /// Whose commits are listened to.
    member: Option<ReaderNo>,
    /// What was written of a message that is not whole.
    written: BytesMut,
}

impl Tap {
    pub(super) fn new(stream: DuplexStream, run: Run, member: Option<ReaderNo>) -> Self {
        let written = BytesMut::new();
        Self {
            stream,
            run,
            member,
            written,
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        let Some(no) = self.member else { return };
        self.written.extend_from_slice(bytes);
        while let Ok(Some(frame)) = frame::split_frame(&mut self.written, usize::MAX) {
            self.run.commit_leaves(no, &frame);
        }
    }
}

impl AsyncRead for Tap {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Tap {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let tap = self.get_mut();
        let written = Pin::new(&mut tap.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = written {
            tap.hear(bytes.get(..count).unwrap_or_default());
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
