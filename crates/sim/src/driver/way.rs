//! The two directions of a cable: whole messages, one after the other, which are listened to on the way.

use core::time::Duration;
use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use kohort_machine::Prng;
use kohort_node::ConnId;
use kohort_protocol::frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, split};
use tokio::sync::watch;
use tokio::time::sleep;

use super::cable::{Cables, Health, lag};
use super::run::Run;
use crate::messages::Client;

/// What is read at once, at most.
const READ_BYTES: usize = 16 * 1024;

/// Who listens at one cable.
#[derive(Debug, Clone)]
pub(super) struct Ear {
    pub(super) cables: Cables,
    pub(super) run: Run,
    pub(super) client: Client,
    pub(super) cable: ConnId,
}

impl Ear {
    /// The client has sent this. A commit that is to arrive late goes on its way when the client has its end already.
    fn sent(&self, pieces: &[Piece]) {
        for piece in pieces {
            if let Piece::Frame(frame) = piece
                && let Some(late) = self.run.lateness(self.client, frame)
            {
                self.run
                    .note(|| format!("** a commit of {:?} is late by {late:?}", self.client));
                self.cables.set(self.cable.0, Health::CutLate(late));
            }
        }
    }

    /// The broker is about to be given this; what it is given.
    fn up(&self, piece: Piece) -> Piece {
        match piece {
            Piece::Frame(frame) => Piece::Frame(self.run.request(self.cable, frame)),
            torn => torn,
        }
    }

    /// The broker has sent this; what is carried to the client.
    fn down(&self, pieces: Vec<Piece>) -> Vec<Piece> {
        let heard = |piece| match piece {
            Piece::Frame(frame) => self.run.reply(self.client, self.cable, frame).map(Piece::Frame),
            torn => Some(torn),
        };
        pieces.into_iter().filter_map(heard).collect()
    }
}

/// What is carried at a time.
#[derive(Debug)]
enum Piece {
    /// A message without its length.
    Frame(Bytes),
    /// What is left when a connection ends in the middle of a message.
    Torn(Bytes),
}

impl Piece {
    /// As it is on the way.
    fn into_bytes(self) -> Bytes {
        match self {
            Self::Frame(frame) => {
                let mut bytes = BytesMut::with_capacity(frame.len() + 4);
                bytes.put_u32(u32::try_from(frame.len()).unwrap_or(u32::MAX));
                bytes.put_slice(&frame);
                bytes.freeze()
            }
            Self::Torn(bytes) => bytes,
        }
    }
}

/// What came at once; nothing at the end. Cancel safe: what was read stays in the buffer.
async fn next_pieces(from: &mut ReadHalf<DuplexStream>, buffer: &mut BytesMut) -> Vec<Piece> {
    loop {
        let mut pieces = Vec::new();
        while let Ok(Some(frame)) = frame::split_frame(buffer, usize::MAX) {
            pieces.push(Piece::Frame(frame));
        }
        if !pieces.is_empty() {
            return pieces;
        }
        buffer.reserve(READ_BYTES);
        if from.read_buf(buffer).await.unwrap_or(0) == 0 {
            let left = buffer.split().freeze();
            return match left.is_empty() {
                true => Vec::new(),
                false => vec![Piece::Torn(left)],
            };
        }
    }
}

/// Carries messages both ways until one end is closed or the cable breaks.
pub(super) async fn relay(
    near: DuplexStream,
    far: DuplexStream,
    health: watch::Receiver<Health>,
    mut prng: Prng,
    delay: Duration,
    ear: Ear,
) {
    let (near_read, near_write) = split(near);
    let (far_read, far_write) = split(far);
    let other = Prng::from_seed(prng.next_u64());
    let up = Way {
        ear: ear.clone(),
        prng,
        delay,
        is_up: true,
    };
    let down = Way {
        ear,
        prng: other,
        delay,
        is_up: false,
    };
    // What the broker is sent late goes on its way when the client has its end already.
    tokio::join!(
        up.carry(near_read, far_write, health.clone()),
        down.carry(far_read, near_write, health)
    );
}

/// One direction of a cable.
struct Way {
    ear: Ear,
    prng: Prng,
    delay: Duration,
    is_up: bool,
}

impl Way {
    async fn carry(
        mut self,
        mut from: ReadHalf<DuplexStream>,
        mut to: WriteHalf<DuplexStream>,
        mut health: watch::Receiver<Health>,
    ) {
        let mut buffer = BytesMut::new();
        // What is late is late once: the rest follows at its heels.
        let mut was_late = false;
        loop {
            let pieces = tokio::select! {
                biased;
                pieces = next_pieces(&mut from, &mut buffer) => Some(pieces),
                _ = health.changed() => None,
            };
            let Some(pieces) = pieces else {
                let now = *health.borrow();
                match now {
                    Health::Cut | Health::CutLate(_) => break,
                    Health::Well(_) | Health::Silent => continue,
                }
            };
            if pieces.is_empty() {
                break;
            }
            if self.is_up {
                self.ear.sent(&pieces);
            }
            let now = *health.borrow();
            let more = match now {
                Health::Well(more) => more,
                Health::CutLate(_) if self.is_up => Duration::ZERO,
                Health::Cut | Health::CutLate(_) => break,
                Health::Silent => continue,
            };
            // What the broker answers it has done, whether or not anybody learns of it.
            let pieces = match self.is_up {
                true => pieces,
                false => self.ear.down(pieces),
            };
            sleep(lag(&mut self.prng, self.delay) + more).await;
            let now = *health.borrow();
            match now {
                Health::Cut => break,
                Health::CutLate(late) if self.is_up => {
                    if !core::mem::replace(&mut was_late, true) {
                        sleep(late).await;
                    }
                }
                Health::CutLate(_) => break,
                Health::Silent => continue,
                Health::Well(_) => {}
            }
            if self.bring(pieces, &mut to).await.is_err() {
                break;
            }
        }
        self.ear.run.step();
        // The end that was written to is closed; the other direction notices by itself.
        let _ = to.shutdown().await;
    }

    async fn bring(&self, pieces: Vec<Piece>, to: &mut WriteHalf<DuplexStream>) -> io::Result<()> {
        for piece in pieces {
            let piece = match self.is_up {
                true => self.ear.up(piece),
                false => piece,
            };
            self.ear.run.step();
            to.write_all(&piece.into_bytes()).await?;
        }
        Ok(())
    }
}
