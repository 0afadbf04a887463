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
use crate::failure::Failure;

/// Lines read ahead of the producer: chunks in the channel, bytes in a chunk.
const CHUNKS_AHEAD: usize = 4;
const CHUNK_SIZE: usize = 256 << 10;

/// Records on their way before the oldest is waited for; the producer's `buffer.memory` bounds their bytes.
const UNACKNOWLEDGED_MAX: usize = 100_000;

const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Key and value are bytes, either may be null.
type LineProducer = Producer<Option<Bytes>, Option<Bytes>>;

/// Produces every line, and waits until each is acknowledged.
pub(crate) async fn run(args: ProduceArgs) -> Result<(), Failure> {
    let admin = reach(&args.cluster).await?;
    if let Some(partition) = args.partition {
        check_partition(&admin, &args.topic, partition).await?;
    }
    let producer = build(&args)?;
    let lines = read_lines(args.file.clone())?;
    let mut sent = Sent::default();
    let done = tokio::select! {
        done = send_all(&producer, &args, lines, &mut sent) => done,
        () = told_to_stop() => Err(Failure::Interrupted),
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
    anstream::eprintln!("kohort: {} records written to {}", sent.acknowledged, args.topic);
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
    sent: &mut Sent,
) -> Result<(), Failure> {
    while let Some(chunk) = lines.recv().await {
        for line in chunk.map_err(|error| Failure::because("reading lines", &error))? {
            let sending = producer
                .send_soon(record(args, line))
                .await
                .map_err(|error| Failure::because(format!("record {}", sent.total() + 1), &error))?;
            sent.pending.push_back(sending);
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
        .map_err(|error| Failure::because("producer", &error))
}

fn record(args: &ProduceArgs, line: Bytes) -> ProducerRecord<Option<Bytes>, Option<Bytes>> {
    let (key, value) = split(line, args.key_delimiter.as_deref().unwrap_or_default().as_bytes());
    let record = ProducerRecord::new(args.topic.as_str(), key, Some(value));
    match args.partition {
        Some(partition) => record.partition(partition),
        None => record,
    }
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
#[derive(Default)]
struct Sent {
    acknowledged: u64,
    pending: VecDeque<Sending>,
}

impl Sent {
    fn total(&self) -> u64 {
        self.acknowledged + self.pending.len() as u64
    }

    /// Waits for the oldest records until at most `remain` are on their way. Cancel safe.
    async fn settle(&mut self, remain: usize) -> Result<(), Failure> {
        while self.pending.len() > remain
            && let Some(oldest) = self.pending.front_mut()
        {
            oldest.await.map_err(|error| {
                Failure::because(
                    format!("record {} was not written", self.acknowledged + 1),
                    &error,
                )
            })?;
            self.pending.pop_front();
            self.acknowledged += 1;
        }
        Ok(())
    }
}

type Chunk = io::Result<Vec<Bytes>>;

/// Reads lines on a thread of its own, since a terminal or a pipe may let it wait for ever.
fn read_lines(file: Option<PathBuf>) -> Result<mpsc::Receiver<Chunk>, Failure> {
    let named = file.filter(|path| path.as_os_str() != "-");
    let source: Box<dyn Read + Send> = match named {
        Some(path) => Box::new(File::open(&path).map_err(|error| Failure::because(path.display(), &error))?),
        None => Box::new(io::stdin()),
    };
    let mut reader = BufReader::with_capacity(CHUNK_SIZE, source);
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    std::thread::spawn(move || {
        loop {
            let chunk = read_chunk(&mut reader);
            let last = !matches!(&chunk, Ok(lines) if !lines.is_empty());
            if chunk.as_ref().is_ok_and(Vec::is_empty) || sender.blocking_send(chunk).is_err() || last {
                return;
            }
        }
    });
    Ok(receiver)
}

/// The lines that are there without waiting, at least one; none at the end.
fn read_chunk(reader: &mut BufReader<impl Read>) -> Chunk {
    let mut text = Vec::new();
    let mut ends = Vec::new();
    loop {
        if reader.read_until(b'\n', &mut text)? == 0 {
            break;
        }
        ends.push(text.len());
        // A line that was typed must not wait for the next one.
        if text.len() >= CHUNK_SIZE || reader.buffer().is_empty() {
            break;
        }
    }
    let text = Bytes::from(text);
    let mut begin = 0;
    let mut lines = Vec::with_capacity(ends.len());
    for end in ends {
        let line = text.slice(begin..end);
        lines.push(
            line.strip_suffix(b"\n")
                .map_or_else(|| line.clone(), |stripped| line.slice_ref(stripped)),
        );
        begin = end;
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &'static [u8]) -> Vec<Bytes> {
        let mut reader = BufReader::with_capacity(4, text);
        let mut all = Vec::new();
        loop {
            let chunk = read_chunk(&mut reader).unwrap();
            if chunk.is_empty() {
                return all;
            }
            all.extend(chunk);
        }
    }

    #[test]
    fn lines_keep_every_byte_but_their_end() {
        assert_eq!(
            lines(b"one\n\ntwo\r\n\xff last"),
            ["one".as_bytes(), b"", b"two\r", b"\xff last"]
        );
        assert!(lines(b"").is_empty());
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
