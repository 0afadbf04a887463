//! A client of one connection that speaks in frames.

use bytes::{Bytes, BytesMut};
use kohort_protocol::messages::RequestHeader;
use kohort_protocol::{Request, RequestBody, ResponseBody, frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A client of one connection.
pub(crate) struct Client<S> {
    pub(crate) stream: S,
    pub(crate) buffer: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
        }
    }

    pub(crate) async fn send(&mut self, version: i16, request: impl Into<RequestBody>) {
        let frame = frame::encode_request(&RequestHeader::default(), version, &request.into()).unwrap();
        self.stream.write_all(&frame).await.unwrap();
    }

    /// The next frame; `None` when the broker closed the connection.
    pub(crate) async fn frame(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = frame::split_frame(&mut self.buffer, usize::MAX).unwrap() {
                return Some(frame);
            }
            if self.stream.read_buf(&mut self.buffer).await.unwrap() == 0 {
                return None;
            }
        }
    }

    /// As [`Client::frame`], for a broker that may have closed before it read everything.
    #[allow(dead_code, reason = "not every test that uses this client is hostile")]
    pub(crate) async fn frame_or_reset(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = frame::split_frame(&mut self.buffer, usize::MAX).unwrap() {
                return Some(frame);
            }
            if !self
                .stream
                .read_buf(&mut self.buffer)
                .await
                .is_ok_and(|read| read > 0)
            {
                return None;
            }
        }
    }

    pub(crate) async fn ask<R>(&mut self, version: i16, request: R) -> R::Response
    where
        R: Request + Into<RequestBody>,
        R::Response: TryFrom<ResponseBody, Error: std::fmt::Debug>,
    {
        self.send(version, request).await;
        let frame = self.frame().await.expect("the broker replies");
        let (_, body) = frame::decode_response(frame, R::KEY, version).unwrap();
        body.try_into().unwrap()
    }
}
