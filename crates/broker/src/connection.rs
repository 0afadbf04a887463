//! One task per connection: reads a frame, hands it to the node, writes the reply, reads the next.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kohort_node::ConnId;
use kohort_protocol::frame::{self, FrameError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use crate::node_task::Input;
use crate::segments::Segments;

/// How much is asked of the socket at once, and how much of later requests is read while one is being answered.
const READ_BYTES: usize = 64 << 10;

/// What the node wants of a connection.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// Write a reply, then read the next request.
    Write(Vec<Bytes>),
    /// Read the next request.
    Ready,
    /// Close.
    Close,
}

/// What a connection task needs of the broker.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) node: mpsc::Sender<Input>,
    /// Becomes true, or closes, when the broker ends.
    pub(crate) stop: watch::Receiver<bool>,
    /// Closes when all tasks are gone.
    pub(crate) alive: mpsc::Sender<()>,
    /// `socket.request.max.bytes`.
    pub(crate) max_frame: usize,
}

/// Who is connected to whom.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) conn: ConnId,
    pub(crate) broker: i32,
    pub(crate) peer: Arc<str>,
    /// The connection's part of `max.connections`.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// Why a connection ends.
enum End {
    /// The client left, or the node closes the connection, or the broker stops.
    Quiet,
    Io(std::io::Error),
    Frame(FrameError),
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// Serves a connection until it ends.
pub(crate) async fn serve(mut io: impl AsyncRead + AsyncWrite + Unpin, accepted: Accepted, shared: Shared) {
    let Accepted {
        conn,
        broker,
        peer,
        permit,
    } = accepted;
    let (outgoing, mut from_node) = mpsc::unbounded_channel();
    let connected = Input::Connected {
        conn,
        broker,
        peer: peer.clone(),
        outgoing,
    };
    if shared.node.send(connected).await.is_err() {
        return;
    }
    let mut stop = shared.stop.clone();
    let end = tokio::select! {
        end = run(&mut io, conn, &shared, &mut from_node) => end,
        _ = stop.wait_for(|stop| *stop) => End::Quiet,
    };
    match end {
        End::Quiet => {}
        End::Io(error) => tracing::debug!(%peer, %error, "connection lost"),
        End::Frame(error) => tracing::info!(%peer, %error, "closing the connection"),
    }
    // The other end may be gone already.
    let _ = io.shutdown().await;
    let _ = shared.node.send(Input::Disconnected { conn }).await;
    drop(permit);
}

async fn run(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    conn: ConnId,
    shared: &Shared,
    from_node: &mut mpsc::UnboundedReceiver<Outgoing>,
) -> End {
    let mut buffer = BytesMut::new();
    loop {
        let bytes = tokio::select! {
            biased;
            // The node speaks without being asked only to close.
            _ = from_node.recv() => return End::Quiet,
            frame = next_frame(io, &mut buffer, shared.max_frame) => match frame {
                Ok(bytes) => bytes,
                Err(end) => return end,
            },
        };
        if shared.node.send(Input::Frame { conn, bytes }).await.is_err() {
            return End::Quiet;
        }
        if let Err(end) = answer(io, &mut buffer, from_node, shared.max_frame).await {
            return end;
        }
    }
}

/// Reads until a frame is whole. Cancel safe: what was read stays in the buffer. Memory grows with the bytes that came, not with the length that was announced.
async fn next_frame(
    io: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
    max_frame: usize,
) -> Result<Bytes, End> {
    loop {
        if let Some(bytes) = frame::split_frame(buffer, max_frame).map_err(End::Frame)? {
            return Ok(bytes);
        }
        buffer.reserve(buffer.len().clamp(READ_BYTES, max_frame.max(READ_BYTES)));
        if io.read_buf(buffer).await? == 0 {
            return Err(End::Quiet);
        }
    }
}

/// Waits for what the node wants, and does it. A client that leaves meanwhile is noticed; what it sent before is still
/// carried out, since a producer that wants no acknowledgement closes right after its last request.
// Kafka: Selector.maybeReadFromClosingChannel
async fn answer(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    buffer: &mut BytesMut,
    from_node: &mut mpsc::UnboundedReceiver<Outgoing>,
    max_frame: usize,
) -> Result<(), End> {
    let mut has_left = false;
    loop {
        tokio::select! {
            biased;
            outgoing = from_node.recv() => match outgoing {
                Some(Outgoing::Write(pieces)) => {
                    io.write_all_buf(&mut Segments::new(pieces)).await?;
                    io.flush().await?;
                    return Ok(());
                }
                Some(Outgoing::Ready) => return Ok(()),
                Some(Outgoing::Close) | None => return Err(End::Quiet),
            },
            read = read_ahead(io, buffer), if !has_left && buffer.len() < READ_BYTES => {
                has_left = read? == 0;
                if has_left && !begins_with_frame(buffer, max_frame) {
                    return Err(End::Quiet);
                }
            }
        }
    }
}

/// Whether a whole frame came.
fn begins_with_frame(buffer: &[u8], max_frame: usize) -> bool {
    let len = frame::frame_len(buffer, max_frame).ok().flatten();
    len.is_some_and(|len| buffer.len().saturating_sub(4) >= len)
}

async fn read_ahead(io: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> std::io::Result<usize> {
    buffer.reserve(READ_BYTES);
    io.read_buf(buffer).await
}
