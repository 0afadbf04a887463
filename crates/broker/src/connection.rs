//! One task per connection: reads a frame, hands it to the node, writes the reply, reads the next. How much memory and
//! patience a client gets is in [`crate::limits`].

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kohort_protocol::frame::{self, FrameError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use crate::admission::Place;
use crate::limits::{BEFORE_OVERDUE, Held, Limits, READ_BYTES, Reply};
use crate::node_task::Input;

/// What is asked of the socket of a connection on which nothing comes.
const IDLE_READ_BYTES: usize = 512;

/// How long a request may wait for its answer and still count as work.
const BEFORE_WAITING: Duration = Duration::from_secs(1);

/// What the node wants of a connection.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// Write a reply, then read the next request.
    Write(Reply),
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
    pub(crate) limits: Limits,
}

/// Who is connected to whom.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) place: Place,
    pub(crate) broker: i32,
    pub(crate) peer: Arc<str>,
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum End {
    /// The client left between two requests, or the node closes the connection, or the broker stops.
    #[error("the connection is over")]
    Quiet,
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("{error}{hint}")]
    Frame { error: FrameError, hint: &'static str },
    #[error("the client left in the middle of a request, after {got} bytes of it")]
    CutShort { got: usize },
    #[error("nothing came for {ms} ms (connections.max.idle.ms)")]
    Idle { ms: u128 },
    #[error("max.connections are open, another client wants in, and this one has waited longest")]
    Displaced,
    #[error("a request stopped coming after {got} bytes, or comes too slowly")]
    Stalled { got: usize },
    #[error("the reply was not read for {ms} ms (connections.max.idle.ms)")]
    Unread { ms: u128 },
    #[error("the reply is not read, while more than queued.max.request.bytes of replies wait for that")]
    Overdue,
    #[error(
        "all of queued.max.request.bytes is held by requests that are not yet complete or not yet answered"
    )]
    Crowded,
}

/// Serves a connection until it ends.
pub(crate) async fn serve(mut io: impl AsyncRead + AsyncWrite + Unpin, accepted: Accepted, shared: Shared) {
    let Accepted { place, broker, peer } = accepted;
    let conn = place.conn;
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
        biased;
        end = run(&mut io, &place, &shared, &mut from_node) => end,
        _ = stop.wait_for(|stop| *stop) => End::Quiet,
    };
    match end {
        End::Quiet => {}
        End::Io(error) => tracing::debug!(%peer, %error, "connection lost"),
        reason @ (End::CutShort { .. } | End::Idle { .. }) => {
            tracing::info!(%peer, %reason, "closing the connection");
        }
        reason @ (End::Frame { .. }
        | End::Displaced
        | End::Stalled { .. }
        | End::Unread { .. }
        | End::Overdue
        | End::Crowded) => {
            tracing::warn!(%peer, %reason, "closing the connection");
        }
    }
    // The other end may be gone already.
    let _ = io.shutdown().await;
    let _ = shared.node.send(Input::Disconnected { conn }).await;
    drop(place);
}

async fn run(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    place: &Place,
    shared: &Shared,
    from_node: &mut mpsc::UnboundedReceiver<Outgoing>,
) -> End {
    let mut buffer = BytesMut::new();
    let mut held = Held::default();
    let conn = place.conn;
    loop {
        // A request that is here already is at work.
        if !begins_with_frame(&buffer, shared.limits.max_frame) {
            place.wait();
        }
        let bytes = tokio::select! {
            biased;
            // The node speaks without being asked only to close.
            _ = from_node.recv() => return End::Quiet,
            () = place.goes() => return End::Displaced,
            frame = next_frame(io, &mut buffer, &mut held, &shared.limits) => match frame {
                Ok(bytes) => bytes,
                Err(end) => return end,
            },
        };
        if !place.work() {
            return End::Displaced;
        }
        held.complete(&bytes);
        if shared.node.send(Input::Frame { conn, bytes }).await.is_err() {
            return End::Quiet;
        }
        if let Err(end) = answer(io, place, &mut buffer, &mut held, from_node, &shared.limits).await {
            return end;
        }
        held.settle(&mut buffer);
    }
}

/// Reads until a frame is whole. Cancel safe: what was read stays in the buffer. Memory grows with the bytes that came, not
/// with the length that was announced.
async fn next_frame(
    io: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
    held: &mut Held,
    limits: &Limits,
) -> Result<Bytes, End> {
    loop {
        if let Some(bytes) = split(buffer, limits)? {
            return Ok(bytes);
        }
        let is_asleep = buffer.is_empty() && buffer.capacity() == 0;
        let room = match is_asleep {
            true => IDLE_READ_BYTES,
            // As much as every connection may hold.
            false if buffer.len() < READ_BYTES => READ_BYTES - buffer.len(),
            false => buffer.len().clamp(READ_BYTES, limits.max_frame.max(READ_BYTES)),
        };
        if !held.cover(buffer.len().saturating_add(room), limits) {
            return Err(End::Crowded);
        }
        buffer.reserve(room);
        let got = buffer.len();
        let patience = match (got, is_asleep) {
            (0, true) => limits.idle,
            (0, false) => limits.before_sleep(),
            _ if held.is_some() => Some(held.patience(got, limits)),
            _ => limits.idle,
        };
        match limits.within(patience, io.read_buf(buffer)).await.transpose()? {
            Some(0) if got == 0 => return Err(End::Quiet),
            Some(0) => return Err(End::CutShort { got }),
            Some(_) => {}
            // Nothing comes: no memory is kept for it.
            None if got == 0 && !is_asleep => *buffer = BytesMut::new(),
            None if held.is_some() => return Err(End::Stalled { got }),
            None => return Err(End::Idle { ms: limits.idle_ms() }),
        }
    }
}

fn split(buffer: &mut BytesMut, limits: &Limits) -> Result<Option<Bytes>, End> {
    frame::split_frame(buffer, limits.max_frame).map_err(|error| End::Frame {
        error,
        hint: spoken(buffer),
    })
}

/// What a client probably speaks that does not speak Kafka's protocol.
fn spoken(bytes: &[u8]) -> &'static str {
    let is_http = ["GET ", "HEAD", "POST", "PUT ", "OPTI", "PRI "]
        .iter()
        .any(|method| bytes.starts_with(method.as_bytes()));
    match bytes {
        // A handshake record of TLS 1.x.
        [0x16, 0x03, ..] => "; the client speaks TLS, which this listener does not",
        _ if is_http => "; the client speaks HTTP",
        _ => "",
    }
}

/// Waits for what the node wants, and does it. A client that leaves meanwhile is noticed; what it sent before is still
/// carried out, since a producer that wants no acknowledgement closes right after its last request.
// Kafka: Selector.maybeReadFromClosingChannel
async fn answer(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    place: &Place,
    buffer: &mut BytesMut,
    held: &mut Held,
    from_node: &mut mpsc::UnboundedReceiver<Outgoing>,
    limits: &Limits,
) -> Result<(), End> {
    let mut has_left = false;
    let mut release = std::pin::pin!(limits.expire(held.before_release()));
    let mut long = std::pin::pin!(limits.expire(Some(BEFORE_WAITING)));
    // It does not leave a request behind that waits for days.
    let mut patience = std::pin::pin!(limits.expire(None));
    loop {
        tokio::select! {
            biased;
            outgoing = from_node.recv() => match outgoing {
                Some(_) if !place.work() => return Err(End::Displaced),
                Some(Outgoing::Write(reply)) => return write(io, reply, buffer, held, limits).await,
                Some(Outgoing::Ready) => return Ok(()),
                Some(Outgoing::Close) | None => return Err(End::Quiet),
            },
            () = place.goes() => return Err(End::Displaced),
            read = read_ahead(io, buffer), if !has_left && buffer.len() < READ_BYTES => {
                has_left = read? == 0;
                if has_left {
                    patience.set(limits.expire(match begins_with_frame(buffer, limits.max_frame) {
                        true => limits.idle,
                        false => limits.before_gone(),
                    }));
                }
            }
            () = &mut patience => return Err(End::Quiet),
            () = &mut long => {
                place.wait();
                long.set(limits.expire(None));
            }
            () = &mut release => {
                held.release(buffer);
                release.set(limits.expire(held.before_release()));
            }
        }
    }
}

/// Writes a reply, as long as it is taken.
async fn write(
    io: &mut (impl AsyncWrite + Unpin),
    mut reply: Reply,
    buffer: &mut BytesMut,
    held: &mut Held,
    limits: &Limits,
) -> Result<(), End> {
    let began = Instant::now();
    let mut still = Duration::ZERO;
    while reply.segments.has_remaining() {
        let written = timeout(limits.step(), io.write_buf(&mut reply.segments)).await;
        match written.ok().transpose()? {
            Some(0) => return Err(End::Io(std::io::ErrorKind::WriteZero.into())),
            Some(_) => still = Duration::ZERO,
            None => still = still.saturating_add(limits.step()),
        }
        if held
            .before_release()
            .is_some_and(|after| began.elapsed() >= after)
        {
            held.release(buffer);
        }
        if limits.idle.is_some_and(|idle| still >= idle) {
            return Err(End::Unread { ms: limits.idle_ms() });
        }
        // Who reads records may pause for long; their bound is kept by giving fewer of them.
        let is_slow = || !still.is_zero() || began.elapsed() >= BEFORE_OVERDUE;
        if reply.is_large && limits.is_crowded() && is_slow() {
            return Err(End::Overdue);
        }
    }
    Ok(io.flush().await?)
}

/// Whether a whole frame came.
fn begins_with_frame(buffer: &[u8], max_frame: usize) -> bool {
    let len = frame::frame_len(buffer, max_frame).ok().flatten();
    len.is_some_and(|len| buffer.len().saturating_sub(4) >= len)
}

async fn read_ahead(io: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> std::io::Result<usize> {
    // Most clients send nothing before they have their answer.
    buffer.reserve(if buffer.is_empty() {
        IDLE_READ_BYTES
    } else {
        READ_BYTES
    });
    io.read_buf(buffer).await
}

#[cfg(test)]
mod tests {
    use kohort_node::config::Config;

    use super::*;

    const LEN: usize = 1_000_000;

    fn limits() -> Limits {
        let mut config = Config::default();
        config.set("queued.max.request.bytes", "100000").unwrap();
        Limits::new(&config)
    }

    /// Writes a reply to a client that takes 100 bytes every 500 ms.
    async fn written_slowly(limits: &Limits, records: usize) -> Option<Result<(), End>> {
        let (mut io, mut client) = tokio::io::duplex(1_000);
        let reader = tokio::spawn(async move {
            let mut some = [0; 100];
            while client.read_exact(&mut some).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        let reply = limits.reply(vec![Bytes::from(vec![0; LEN])], records);
        let (mut buffer, mut held) = (BytesMut::new(), Held::default());
        let written = write(&mut io, reply, &mut buffer, &mut held, limits);
        let ended = timeout(Duration::from_secs(60), written).await;
        reader.abort();
        ended.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_reply_may_not_be_read_ever_so_slowly_while_too_much_is_unread() {
        let limits = limits();
        let began = Instant::now();
        let ended = written_slowly(&limits, 0).await;
        assert!(matches!(ended, Some(Err(End::Overdue))), "{ended:?}");
        assert!(began.elapsed() < BEFORE_OVERDUE * 2);
        assert!(!limits.is_crowded(), "nothing of it is left");
    }

    #[tokio::test(start_paused = true)]
    async fn records_may_be_read_as_slowly_as_their_reader_likes() {
        let limits = limits();
        assert!(written_slowly(&limits, LEN).await.is_none());
        assert_eq!(limits.records_room(), 100_000);
        let reply = limits.reply(vec![Bytes::from(vec![0; LEN])], LEN);
        assert_eq!(limits.records_room(), 0);
        drop(reply);
        assert_eq!(limits.records_room(), 100_000);
    }

    #[test]
    fn what_a_reply_has_beside_its_records_counts_as_such_however_it_is_cut() {
        let limits = limits();
        let pieces = vec![Bytes::from(vec![0; LEN]), Bytes::from(vec![0; LEN])];
        let reply = limits.reply(pieces, LEN);
        assert!(reply.is_large && limits.is_crowded());
        let around = limits.reply(vec![Bytes::from(vec![0; 2_000])], 1_000);
        assert!(!around.is_large);
    }
}
