//! `kohort produce`: lines of a file or of stdin as records.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use kohort::producer::Sending;
use kohort::{Admin, Producer, ProducerRecord};
use tokio::sync::mpsc;

use super::{insist, reach, told_to_stop};
use crate::args::ProduceArgs;
use crate::escape::Delimiter;
use crate::failure::Failure;
use crate::progress::{self, Counts};

/// Lines read ahead of the producer: chunks in the channel, bytes in a chunk.
const CHUNKS_AHEAD: usize = 4;
const CHUNK_SIZE: usize = 256 << 10;

/// Records on their way before the oldest is waited for; the producer's `buffer.memory` bounds their bytes.
const UNACKNOWLEDGED_MAX: usize = 100_000;

const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Key and value are bytes, either may be null.
type LineProducer = Producer<Option<Bytes>, Option<Bytes>>;
type LineRecord = ProducerRecord<Option<Bytes>, Option<Bytes>>;

/// Produces every line, and waits until each is acknowledged.
pub(crate) async fn run(args: ProduceArgs) -> Result<(), Failure> {
    let producer = build(&args)?;
    let admin = reach(&args.cluster).await?;
    if let Some(partition) = args.partition {
        check_partition(&admin, &args.topic, partition).await?;
    }
    let end = args.delimiter.clone().unwrap_or_else(Delimiter::line_end);
    let lines = read_lines(args.file.clone(), end)?;
    let counts = Counts::default();
    let mut sent = Sent::new(&counts);
    let done = tokio::select! {
        done = send_all(&producer, &args, lines, &mut sent) => done,
        () = told_to_stop() => Err(Failure::Interrupted),
        never = progress::show(&counts) => match never {},
    };
    match &done {
        Ok(()) => producer
            .close(CLOSE_TIMEOUT)
            .await
            .map_err(|error| Failure::because("closing", &error))?,
        Err(Failure::Interrupted) => {
            tokio::spawn(insist());
            sent.settle(0).await?;
        }
        Err(_) => return done,
    }
    anstream::eprintln!(
        "kohort: {} records written to {}",
        counts.acknowledged.get(),
        args.topic
    );
    done
}

/// Fails when the topic is there and has no such partition: the producer would wait a minute for it to come.
async fn check_partition(admin: &Admin, topic: &str, partition: i32) -> Result<(), Failure> {
    let described = admin
        .describe_topics([topic])
        .await
        .map_err(|error| Failure::because(format!("partitions of {topic}"), &error))?;
    match described.get(topic) {
        Some(Ok(found)) if !found.partitions.contains_key(&partition) => {
            Err(Failure::Failed(format!("{topic} has no partition {partition}")))
        }
        // A topic that is not there is created by writing to it.
        _ => Ok(()),
    }
}

/// Sends every line, and waits until each is acknowledged. When dropped, what was sent is in `sent`.
async fn send_all(
    producer: &LineProducer,
    args: &ProduceArgs,
    mut lines: mpsc::Receiver<Chunk>,
    sent: &mut Sent<'_>,
) -> Result<(), Failure> {
    let max = args.count.unwrap_or(u64::MAX);
    while sent.total() < max {
        let chunk = tokio::select! {
            chunk = lines.recv() => chunk,
            // While no line comes what was sent is acknowledged, or fails.
            settled = sent.settle(0), if !sent.is_settled() => {
                settled?;
                continue;
            }
        };
        let Some(chunk) = chunk else {
            break;
        };
        for line in chunk.map_err(|error| Failure::because("reading lines", &error))? {
            if sent.total() >= max {
                break;
            }
            let record = record(args, line);
            let size = size(&record);
            let sending = producer
                .send_soon(record)
                .await
                .map_err(|error| Failure::because(format!("record {}", sent.total() + 1), &error))?;
            sent.began(sending, size);
            sent.settle(UNACKNOWLEDGED_MAX).await?;
        }
    }
    sent.settle(0).await
}

fn build(args: &ProduceArgs) -> Result<LineProducer, Failure> {
    let mut builder = Producer::builder()
        .set("bootstrap.servers", &args.cluster.bootstrap)
        .set("client.id", "kohort-cli");
    if let Some(codec) = args.codec {
        builder = builder.set("compression.type", codec.kafka_name());
    }
    for (key, value) in &args.cluster.properties {
        builder = builder.set(key, value);
    }
    builder
        .build()
        .map_err(|error| Failure::building("producer", &error))
}

fn record(args: &ProduceArgs, line: Bytes) -> LineRecord {
    let delimiter = args.key_delimiter.as_ref().map(Delimiter::as_bytes);
    let (key, value) = split(line, delimiter.unwrap_or_default());
    // kcat: an empty key becomes null, too, and a null key is the one of -k.
    let is_kept = |bytes: &Bytes| !(args.empty_is_null && bytes.is_empty());
    let key = key.filter(is_kept).or_else(|| args.key.clone().map(Bytes::from));
    let mut record = ProducerRecord::new(args.topic.as_str(), key, Some(value).filter(is_kept));
    record.partition = args.partition;
    record.headers = args.headers.iter().map(|header| header.0.clone()).collect();
    record
}

/// Bytes of key and value.
fn size(record: &LineRecord) -> usize {
    let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
    length(&record.key) + length(&record.value)
}

/// Key and value of a line: what is before and after the first `delimiter`.
fn split(line: Bytes, delimiter: &[u8]) -> (Option<Bytes>, Bytes) {
    if delimiter.is_empty() {
        return (None, line);
    }
    match line
        .windows(delimiter.len())
        .position(|window| window == delimiter)
    {
        Some(at) => (Some(line.slice(..at)), line.slice(at + delimiter.len()..)),
        None => (None, line),
    }
}

/// Records that were handed to the producer.
struct Sent<'a> {
    counts: &'a Counts,
    pending: VecDeque<Sending>,
}

impl<'a> Sent<'a> {
    fn new(counts: &'a Counts) -> Self {
        Self {
            counts,
            pending: VecDeque::new(),
        }
    }

    fn total(&self) -> u64 {
        self.counts.acknowledged.get() + self.counts.in_flight.get()
    }

    fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    fn began(&mut self, sending: Sending, size: usize) {
        self.pending.push_back(sending);
        let Counts { in_flight, bytes, .. } = self.counts;
        in_flight.set(in_flight.get() + 1);
        bytes.set(bytes.get() + size as u64);
    }

    /// Waits for the oldest records until at most `remain` are on their way. Cancel safe.
    async fn settle(&mut self, remain: usize) -> Result<(), Failure> {
        let Counts {
            acknowledged,
            in_flight,
            ..
        } = self.counts;
        while self.pending.len() > remain
            && let Some(oldest) = self.pending.front_mut()
        {
            oldest.await.map_err(|error| {
                Failure::because(
                    format!("record {} was not written", acknowledged.get() + 1),
                    &error,
                )
            })?;
            self.pending.pop_front();
            acknowledged.set(acknowledged.get() + 1);
            in_flight.set(in_flight.get() - 1);
        }
        Ok(())
    }
}

type Chunk = io::Result<Vec<Bytes>>;

/// Reads what ends with `end` on a thread of its own, since a terminal or a pipe may let it wait for ever.
fn read_lines(file: Option<PathBuf>, end: Delimiter) -> Result<mpsc::Receiver<Chunk>, Failure> {
    let named = file.filter(|path| path.as_os_str() != "-");
    let source: Box<dyn Read + Send> = match named {
        Some(path) => Box::new(File::open(&path).map_err(|error| Failure::because(path.display(), &error))?),
        None => Box::new(io::stdin()),
    };
    let mut reader = BufReader::with_capacity(CHUNK_SIZE, source);
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    std::thread::spawn(move || {
        loop {
            let chunk = read_chunk(&mut reader, end.as_bytes());
            let last = !matches!(&chunk, Ok(lines) if !lines.is_empty());
            if chunk.as_ref().is_ok_and(Vec::is_empty) || sender.blocking_send(chunk).is_err() || last {
                return;
            }
        }
    });
    Ok(receiver)
}

/// The lines that are there without waiting, at least one; none at the end.
fn read_chunk(reader: &mut BufReader<impl Read>, end: &[u8]) -> Chunk {
    // A delimiter has at least one byte.
    let last = end.last().copied().unwrap_or(b'\n');
    let mut text = Vec::new();
    let mut ends = Vec::new();
    let mut begin = 0;
    loop {
        if reader.read_until(last, &mut text)? == 0 {
            break;
        }
        if !text.get(begin..).is_some_and(|line| line.ends_with(end)) {
            continue;
        }
        begin = text.len();
        ends.push(begin);
        // A line that was typed must not wait for the next one.
        if text.len() >= CHUNK_SIZE || reader.buffer().is_empty() {
            break;
        }
    }
    if begin < text.len() {
        ends.push(text.len());
    }
    let text = Bytes::from(text);
    let mut begin = 0;
    let mut lines = Vec::with_capacity(ends.len());
    for until in ends {
        let line = text.slice(begin..until);
        lines.push(
            line.strip_suffix(end)
                .map_or_else(|| line.clone(), |stripped| line.slice_ref(stripped)),
        );
        begin = until;
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &'static [u8], end: &[u8]) -> Vec<Bytes> {
        let mut reader = BufReader::with_capacity(4, text);
        let mut all = Vec::new();
        loop {
            let chunk = read_chunk(&mut reader, end).unwrap();
            if chunk.is_empty() {
                return all;
            }
            all.extend(chunk);
        }
    }

    #[test]
    fn lines_keep_every_byte_but_their_end() {
        assert_eq!(
            lines(b"one\n\ntwo\r\n\xff last", b"\n"),
            ["one".as_bytes(), b"", b"two\r", b"\xff last"]
        );
        assert!(lines(b"", b"\n").is_empty());
    }

    #[test]
    fn records_may_end_with_more_than_one_byte() {
        assert_eq!(
            lines(b"one\n--two;-\n-;--\n--three", b"\n--"),
            ["one".as_bytes(), b"two;-\n-;--", b"three"]
        );
    }

    #[test]
    fn a_line_is_split_at_its_first_delimiter() {
        let split = |line: &'static str, delimiter: &str| split(Bytes::from(line), delimiter.as_bytes());
        assert_eq!(split("k:v:w", ":"), (Some(Bytes::from("k")), Bytes::from("v:w")));
        assert_eq!(split("k", ":"), (None, Bytes::from("k")));
        assert_eq!(split("k::v", "::"), (Some(Bytes::from("k")), Bytes::from("v")));
        assert_eq!(split("k:v", ""), (None, Bytes::from("k:v")));
        assert_eq!(split("", ":"), (None, Bytes::new()));
    }
}
