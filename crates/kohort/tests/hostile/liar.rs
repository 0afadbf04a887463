//! A liar between a client and a broker: it changes what the broker answers, message by message. What it says is well formed
//! on the wire; bytes that are not are `Fault::Lie`'s.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use kohort::transport::Transport;
use kohort_broker::{ApiKey, Broker};
use kohort_protocol::ResponseBody;
use kohort_protocol::frame::{decode_response, encode_response, peek_request, split_frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Changes an answer.
pub(crate) type Lie = Arc<dyn Fn(&mut Answer) + Send + Sync>;

/// What a broker answers, and how it is passed on.
pub(crate) struct Answer {
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) body: ResponseBody,
    pub(crate) wire: Wire,
}

/// How an answer is written.
pub(crate) enum Wire {
    /// As it is.
    Whole,
    /// Its frame ends after so many bytes, and says so.
    Short(usize),
    /// The connection ends after so many bytes, the length included.
    Ends(usize),
    /// These bytes instead of the header's tags, if it has any, and the body.
    Bytes(Bytes),
    /// Its correlation id is larger by so much.
    Id(i32),
    /// Its frame says that it has so many bytes.
    Length(i32),
}

impl Answer {
    /// As it would be written, its length included.
    pub(crate) fn encoded(&self, correlation_id: i32) -> BytesMut {
        encode_response(correlation_id, self.version, &self.body).expect("a lie can be said")
    }
}

/// Every connection to the broker goes by a liar. Nobody is reached by other addresses.
pub(crate) fn transport(broker: &Broker, lie: impl Fn(&mut Answer) + Send + Sync + 'static) -> Transport {
    watched(broker, move |_, answer| lie(answer), |_| {})
}

/// As [`transport`]; the lie is told on which connection it is, counted from 0, and `ended` which one the client has closed.
pub(crate) fn watched(
    broker: &Broker,
    lie: impl Fn(usize, &mut Answer) + Send + Sync + 'static,
    ended: impl Fn(usize) + Send + Sync + 'static,
) -> Transport {
    let (connector, lie, ended) = (broker.connector(), Arc::new(lie), Arc::new(ended));
    let (known, connections) = (broker.bootstrap_servers(), AtomicUsize::new(0));
    Transport::new(move |host: String, port| {
        let number = connections.fetch_add(1, Ordering::Relaxed);
        let (connector, lie, ended) = (connector.clone(), Arc::clone(&lie), Arc::clone(&ended));
        let is_known = known == format!("{host}:{port}");
        async move {
            if !is_known {
                return Err(io::ErrorKind::NotFound.into());
            }
            let far = connector.connect(&host, port).await?;
            let (near, end) = tokio::io::duplex(1 << 16);
            tokio::spawn(async move {
                // An end of either side ends the connection.
                let _ = relay(end, far, Arc::new(move |answer: &mut Answer| lie(number, answer))).await;
                ended(number);
            });
            Ok(near)
        }
    })
}

/// What the broker was asked and has not answered.
type Asked = Mutex<VecDeque<(ApiKey, i16, i32)>>;

/// Carries requests to the broker and changed answers back, until either side ends.
pub(crate) async fn relay(
    near: impl AsyncRead + AsyncWrite,
    far: impl AsyncRead + AsyncWrite,
    lie: Lie,
) -> io::Result<()> {
    let asked = Asked::default();
    let (near_in, near_out) = tokio::io::split(near);
    let (far_in, far_out) = tokio::io::split(far);
    tokio::select! {
        ended = requests(near_in, far_out, &asked) => ended,
        ended = answers(far_in, near_out, &asked, &lie) => ended,
    }
}

async fn requests(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    asked: &Asked,
) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        let frame = next(&mut from, &mut buffer).await?;
        let peeked = peek_request(&frame).expect("the client sends headers");
        let api = ApiKey::from_i16(peeked.key).expect("the client knows its APIs");
        asked
            .lock()
            .expect("nobody panics")
            .push_back((api, peeked.version, peeked.correlation_id));
        to.write_u32(frame.len() as u32).await?;
        to.write_all(&frame).await?;
        to.flush().await?;
    }
}

async fn answers(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    asked: &Asked,
    lie: &Lie,
) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        let frame = next(&mut from, &mut buffer).await?;
        let (api, version, id) = asked
            .lock()
            .expect("nobody panics")
            .pop_front()
            .expect("the broker answers what it is asked");
        let (_, body) = decode_response(frame, api, version).expect("the broker tells the truth");
        let mut answer = Answer {
            api,
            version,
            body,
            wire: Wire::Whole,
        };
        lie(&mut answer);
        let whole = answer.encoded(id);
        match answer.wire {
            Wire::Whole => to.write_all(&whole).await?,
            Wire::Short(len) => {
                let frame = &whole[4..4 + len.min(whole.len() - 4)];
                to.write_u32(frame.len() as u32).await?;
                to.write_all(frame).await?;
            }
            Wire::Ends(len) => {
                to.write_all(&whole[..len.min(whole.len())]).await?;
                to.flush().await?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Wire::Bytes(bytes) => {
                to.write_u32(4 + bytes.len() as u32).await?;
                to.write_i32(id).await?;
                to.write_all(&bytes).await?;
            }
            Wire::Id(by) => to.write_all(&answer_with_id(&whole, id.wrapping_add(by))).await?,
            Wire::Length(len) => {
                to.write_i32(len).await?;
                to.write_all(&whole[4..]).await?;
            }
        }
        to.flush().await?;
    }
}

/// An answer with another correlation id, which comes after its length.
fn answer_with_id(whole: &[u8], id: i32) -> Vec<u8> {
    [&whole[..4], &id.to_be_bytes(), &whole[8..]].concat()
}

async fn next(stream: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> io::Result<Bytes> {
    loop {
        if let Some(frame) = split_frame(buffer, usize::MAX).expect("a length that can be") {
            return Ok(frame);
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
