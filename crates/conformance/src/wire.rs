//! A raw connection: messages of any version, without a client's rules between test and broker.

use std::io;

use bytes::BytesMut;
use kohort_protocol::messages::RequestHeader;
use kohort_protocol::{Request, RequestBody, ResponseBody, frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const FRAME_MAX: usize = 64 << 20;

/// One connection to a broker.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    received: BytesMut,
    next_correlation_id: i32,
    client_id: String,
}

impl Wire {
    /// Connects to the first of `bootstrap`, a comma-separated list.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn connect(bootstrap: &str) -> io::Result<Self> {
        let first = bootstrap.split(',').next().unwrap_or_default();
        let stream = TcpStream::connect(first).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: BytesMut::new(),
            next_correlation_id: 0,
            client_id: "wire".to_owned(),
        })
    }

    /// Sends `request` in `version` and reads its answer.
    ///
    /// # Panics
    /// When the connection ends, or the answer is not one to this request: both fail the test that asked.
    pub async fn call<R>(&mut self, version: i16, request: R) -> R::Response
    where
        R: Request + Into<RequestBody>,
        R::Response: TryFrom<ResponseBody>,
    {
        let correlation_id = self.send(version, request).await;
        let (answered, body) = self.receive::<R>(version).await.expect("the broker answers");
        assert_eq!(answered, correlation_id, "the answer's correlation id");
        body
    }

    /// Sends `request` in `version` without waiting; returns its correlation id.
    ///
    /// # Panics
    /// When `version` cannot carry the request, or the connection has ended.
    pub async fn send<R: Request + Into<RequestBody>>(&mut self, version: i16, request: R) -> i32 {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id += 1;
        let header = RequestHeader {
            correlation_id,
            client_id: Some(self.client_id.clone()),
            ..RequestHeader::default()
        };
        let bytes = frame::encode_request(&header, version, &request.into())
            .expect("the version carries the request");
        self.send_bytes(&bytes).await;
        correlation_id
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    /// When the connection has ended.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream
            .write_all(bytes)
            .await
            .expect("the connection takes bytes");
    }

    /// Reads the next answer, to a request of `R` in `version`: its correlation id and body. `None` when the broker closed
    /// the connection instead.
    ///
    /// # Panics
    /// When the bytes are no such answer.
    pub async fn receive<R>(&mut self, version: i16) -> Option<(i32, R::Response)>
    where
        R: Request,
        R::Response: TryFrom<ResponseBody>,
    {
        let frame = self.receive_frame().await?;
        let (correlation_id, body) =
            frame::decode_response(frame, R::KEY, version).expect("an answer of this version");
        let body = R::Response::try_from(body).unwrap_or_else(|_| panic!("an answer of another API"));
        Some((correlation_id, body))
    }

    /// Reads the next frame, without its length; `None` when the broker closed the connection instead.
    ///
    /// # Panics
    /// When the length is none that a frame can have.
    pub async fn receive_frame(&mut self) -> Option<bytes::Bytes> {
        next_frame(&mut self.stream, &mut self.received).await
    }
}

/// The next frame of a stream, without its length; `None` when the stream ended. `received` keeps what came after it, and what came
/// of it when this is dropped.
///
/// # Panics
/// When the length is none that a frame can have.
pub(crate) async fn next_frame(
    stream: &mut (impl AsyncRead + Unpin),
    received: &mut BytesMut,
) -> Option<bytes::Bytes> {
    loop {
        if let Some(frame) = frame::split_frame(received, FRAME_MAX).expect("a frame") {
            return Some(frame);
        }
        match stream.read_buf(received).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}
