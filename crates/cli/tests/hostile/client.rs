//! Clients over plain sockets: one that sends any bytes, and one that does nothing wrong and looks at how it is served.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kohort_protocol::messages::fetch::{FetchPartition, FetchTopic};
use kohort_protocol::messages::produce::{PartitionProduceData, TopicProduceData};
use kohort_protocol::messages::{FetchRequest, ProduceRequest, RequestHeader};
use kohort_protocol::{Request, RequestBody, ResponseBody, frame};
use kohort_records::{BatchBuilder, Compression};

/// How long anyone waits for an answer, or for a connection to be closed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Client(TcpStream);

impl Client {
    pub(crate) fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the broker accepts connections");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.set_nodelay(true).expect("no delay");
        Self(stream)
    }

    /// Writes bytes; the broker may close the connection before it has read all of them.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }

    /// The next answer without its length; none when the broker closed the connection.
    pub(crate) fn answer(&mut self) -> Option<Bytes> {
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.fill(&mut answer)?;
        Some(answer.into())
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Option<()> {
        let began = Instant::now();
        let is_read = self.0.read_exact(bytes).is_ok();
        assert!(
            is_read || began.elapsed() < PATIENCE,
            "neither an answer nor an end"
        );
        is_read.then_some(())
    }

    pub(crate) fn ask<R>(&mut self, version: i16, request: R) -> R::Response
    where
        R: Request + Into<RequestBody>,
        R::Response: TryFrom<ResponseBody, Error: std::fmt::Debug>,
    {
        self.send(&framed(version, request));
        let answer = self.answer().expect("the broker answers");
        let (_, body) = frame::decode_response(answer, R::KEY, version).expect("an answer");
        body.try_into().expect("the answer to what was asked")
    }
}

/// A request with its length.
pub(crate) fn framed(version: i16, request: impl Into<RequestBody>) -> Vec<u8> {
    let frame = frame::encode_request(&RequestHeader::default(), version, &request.into());
    frame.expect("a request").to_vec()
}

/// Writes each of the batches to partition 0 of the topic.
pub(crate) fn produce(topic: &str, batches: Vec<Bytes>) -> ProduceRequest {
    let partition = |records| PartitionProduceData {
        index: 0,
        records: Some(records),
    };
    ProduceRequest {
        acks: -1,
        topic_data: vec![TopicProduceData {
            name: topic.into(),
            partition_data: batches.into_iter().map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// A client that writes a record and reads it on another connection, again and again.
pub(crate) struct Others {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(usize, Duration)>,
}

impl Others {
    pub(crate) fn begin(address: &str) -> Self {
        let (mut writer, mut reader) = (Client::connect(address), Client::connect(address));
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut rounds, mut longest) = (0, Duration::ZERO);
            while !is_over.load(Ordering::Relaxed) || rounds == 0 {
                longest = longest.max(round(&mut writer, &mut reader));
                rounds += 1;
                // Often enough to be in the way of every attack, and no load by itself.
                std::thread::sleep(Duration::from_millis(20));
            }
            (rounds, longest)
        });
        Self { stop, thread }
    }

    /// How often it was served, and how long the answer to a request took at most.
    pub(crate) fn end(self) -> (usize, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("others are served")
    }
}

/// Writes a record and reads it; gives the longer time that an answer took.
fn round(writer: &mut Client, reader: &mut Client) -> Duration {
    let mut builder = BatchBuilder::new(Compression::None, None).expect("no level");
    builder.append(0, None, Some(b"value"), &[]).expect("it fits");
    let began = Instant::now();
    let written = writer.ask(9, produce("t", vec![builder.build(0).expect("a record")]));
    let wrote = began.elapsed();
    let written = &written.responses[0].partition_responses[0];
    assert_eq!(written.error_code, 0);
    let partition = FetchPartition {
        fetch_offset: written.base_offset,
        current_leader_epoch: -1,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let fetch = FetchRequest {
        max_wait_ms: 1_000,
        min_bytes: 1,
        topics: vec![FetchTopic {
            topic: "t".into(),
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    };
    let began = Instant::now();
    let read = reader.ask(12, fetch);
    let waited = began.elapsed().max(wrote);
    let records = read.responses[0].partitions[0].records.as_ref();
    assert!(records.is_some_and(|records| !records.is_empty()), "{read:?}");
    waited
}
