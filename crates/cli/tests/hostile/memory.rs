//! Requests that would be far larger in memory than on the wire, from several connections at once: each is refused, the peak of
//! the broker's resident memory stays below what its bounds allow, and another client is served meanwhile. The bounds are in
//! docs/hostile.md.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kohort_protocol::ErrorCode;
use kohort_protocol::frame::MOST_ELEMENTS_OF_REQUEST;
use kohort_protocol::messages::CreateTopicsRequest;
use kohort_protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig};
use kohort_records::{BatchBuilder, Compression};

use crate::broker::Broker;
use crate::client::{Client, Others, PATIENCE, produce};
use crate::crowds::{self, Crowd};

pub(crate) const MIB: u64 = 1024;
/// How many connections attack at once.
pub(crate) const AT_ONCE: usize = 4;
/// The program itself, and what others wrote.
pub(crate) const BESIDE: u64 = 64 * MIB;
/// `queued.max.request.bytes`: what all requests may hold that come or wait for their answer, and what all answers may that
/// nobody reads.
pub(crate) const QUEUED: u64 = 256 * MIB;
/// One request is carried out at a time. An element of it takes at most 80 bytes, half as much again while its array grows, and
/// about as much in the answer as it is made and as it is encoded.
pub(crate) const ONE_REQUEST: u64 = (MOST_ELEMENTS_OF_REQUEST as u64 * 384) >> 10;

pub(crate) const CODECS: [Compression; 4] = [
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

/// How long another client waits for an answer at most. Requests are carried out one after another, and who attacks has one at a time
/// on each of [`AT_ONCE`] connections, so that no more than these are before it. Several times what docs/hostile.md has measured,
/// for machines under other load.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// Carries out every task, some at once, each with the address of the broker.
pub(crate) fn at_once<T: Send, R: Send>(tasks: Vec<T>, carry_out: impl Fn(T) -> R + Sync) -> Vec<R> {
    let tasks = Mutex::new(tasks);
    let next = || tasks.lock().expect("no task fails").pop();
    std::thread::scope(|scope| {
        let work = || std::iter::from_fn(next).map(&carry_out).collect::<Vec<_>>();
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().map(|worker| worker.join());
        done.flat_map(|done| done.expect("no task fails")).collect()
    })
}

/// Attacks while others are served; gives what the attack gave and the log, when the memory stayed below `most` KiB and nobody waited
/// longer than [`LONGEST_WAIT`].
pub(crate) fn within<R>(most: u64, broker: &Broker, attack: impl FnOnce() -> R) -> (R, String) {
    let began = Instant::now();
    let before = broker.kib("VmHWM:").expect("/proc");
    let others = Others::begin(&broker.address);
    let gave = attack();
    let (rounds, longest) = others.end();
    let peak = broker.kib("VmHWM:").expect("/proc");
    println!(
        "memory at most {} MiB, {} before; others were served {rounds} times, in {longest:.1?} at most; {:.1?} in all",
        peak / MIB,
        before / MIB,
        began.elapsed()
    );
    assert!(peak < most, "{peak} KiB, more than {most}");
    assert!(
        longest < LONGEST_WAIT,
        "somebody waited {longest:.1?} for an answer"
    );
    let log = std::fs::read_to_string(&broker.stderr).expect("the log");
    assert!(!log.contains("panicked"), "{log}");
    (gave, log)
}

/// Sends each on a connection of its own; gives how many of them were answered.
fn answered(broker: &Broker, crowds: Vec<Crowd>) -> usize {
    let answers = at_once(crowds, |crowd| {
        let mut client = Client::connect(&broker.address);
        client.send(&crowd.frame);
        let answer = client.answer();
        println!(
            "{}: {} bytes, {:?} of answer",
            crowd.what,
            crowd.frame.len(),
            answer.as_ref().map(Bytes::len)
        );
        answer.is_some()
    });
    answers.into_iter().filter(|is_answered| *is_answered).count()
}

#[test]
fn requests_of_many_millions_of_tagged_fields_or_elements_end_their_connections_within_bounded_memory() {
    const FRAME: usize = 24 << 20;
    let broker = Broker::start("crowds", &[]);
    let mut crowds = crowds::arrays(|each| FRAME / each);
    crowds.extend(crowds::tagged_fields(FRAME / 2));
    let count = crowds.len();
    // They are refused where they announce how many they are, so that nothing is held but their bytes.
    let (answered, log) = within(QUEUED + BESIDE, &broker, || answered(&broker, crowds));
    assert_eq!(answered, 0);
    let lines = log
        .lines()
        .filter(|line| line.contains("closing the connection of"))
        .filter(|line| line.contains("more than 1048576 elements"));
    assert_eq!(lines.count(), count, "{log}");
}

#[test]
fn requests_of_as_many_elements_as_are_allowed_are_answered_within_bounded_memory() {
    // What is around them has elements, too.
    const COUNT: usize = MOST_ELEMENTS_OF_REQUEST - 8;
    let broker = Broker::start("elements", &[]);
    let mut crowds = crowds::arrays(|_| COUNT);
    crowds.extend(crowds::tagged_fields(COUNT));
    let count = crowds.len();
    let (answered, _) = within(2 * QUEUED + ONE_REQUEST + BESIDE, &broker, || {
        answered(&broker, crowds)
    });
    assert_eq!(answered, count);
}

/// A batch of one record of so many zeros.
fn zeros(codec: Compression, count: usize) -> Bytes {
    let mut builder = BatchBuilder::new(codec, None).expect("no level");
    let value = vec![0; count];
    builder.append(0, None, Some(&value), &[]).expect("it fits");
    builder.build(0).expect("a record")
}

fn create(client: &mut Client, name: &str, settings: &[(&str, &str)]) {
    create_with(client, name, 1, settings);
}

pub(crate) fn create_with(client: &mut Client, name: &str, num_partitions: i32, settings: &[(&str, &str)]) {
    let configs = settings.iter().map(|(name, value)| CreatableTopicConfig {
        name: (*name).into(),
        value: Some((*value).into()),
    });
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: name.into(),
            num_partitions,
            replication_factor: 1,
            configs: configs.collect(),
            ..Default::default()
        }],
        timeout_ms: 1_000,
        ..Default::default()
    };
    assert_eq!(client.ask(7, request).topics[0].error_code, 0, "{name}");
}

#[test]
fn decompression_bombs_of_every_codec_are_refused_within_bounded_memory() {
    let broker = Broker::start("bombs", &[]);
    let mut client = Client::connect(&broker.address);
    create(&mut client, "kept", &[("compression.type", "producer")]);
    create(
        &mut client,
        "stamped",
        &[("message.timestamp.type", "LogAppendTime")],
    );
    // Large enough for the bomb of snappy, which saves least.
    create(&mut client, "roomy", &[("max.message.bytes", "20000000")]);
    let bombs = at_once(CODECS.to_vec(), |codec| (codec, zeros(codec, 257 << 20)));
    let tasks = ["kept", "stamped", "roomy"].iter().flat_map(|topic| {
        bombs
            .iter()
            .map(move |(codec, bomb)| (*topic, *codec, bomb.clone()))
    });
    let tasks = tasks.collect();
    // One is opened at a time, up to 256 MiB in `roomy`; a buffer that grows may hold its old block until the new one is filled.
    let most = QUEUED + 2 * 256 * MIB + BESIDE;
    within(most, &broker, || {
        at_once(tasks, |(topic, codec, bomb)| {
            let mut client = Client::connect(&broker.address);
            let answer = client.ask(9, produce(topic, vec![bomb]));
            let code = ErrorCode::from_code(answer.responses[0].partition_responses[0].error_code);
            assert_eq!(code, ErrorCode::MessageTooLarge, "{codec} in {topic}");
        })
    });
}

#[test]
fn batches_that_a_topic_keeps_in_another_codec_are_written_anew_within_bounded_memory() {
    let broker = Broker::start("anew", &[]);
    let mut client = Client::connect(&broker.address);
    for codec in ["uncompressed", "lz4"] {
        create(&mut client, codec, &[("compression.type", codec)]);
    }
    let batch = zeros(Compression::Zstd, 60 << 20);
    let tasks = ["uncompressed", "lz4"].repeat(AT_ONCE);
    let tasks = tasks.into_iter().map(|topic| (topic, batch.clone())).collect();
    // One at a time: its records, and what is made of them, each in a buffer that grows.
    within(4 * 64 * MIB + BESIDE, &broker, || {
        at_once(tasks, |(topic, batch)| {
            let mut client = Client::connect(&broker.address);
            let answer = client.ask(9, produce(topic, vec![batch]));
            let code = ErrorCode::from_code(answer.responses[0].partition_responses[0].error_code);
            let expected = match topic {
                "lz4" => ErrorCode::None,
                _ => ErrorCode::MessageTooLarge,
            };
            assert_eq!(code, expected, "{topic}");
        })
    });
}

/// A batch of some hundred bytes with 10,000 records, each of which is at fault: none has a key.
fn faulty() -> Bytes {
    let mut builder = BatchBuilder::new(Compression::Zstd, None).expect("no level");
    for _ in 0..10_000 {
        builder.append(0, None, None, &[]).expect("it fits");
    }
    builder.build(0).expect("records")
}

#[test]
fn batches_of_records_that_are_all_at_fault_are_refused_within_bounded_memory() {
    let broker = Broker::start("faulty", &[]);
    let mut client = Client::connect(&broker.address);
    create(&mut client, "compacted", &[("cleanup.policy", "compact")]);
    let batch = faulty();
    // 20 KB. Were all records named, each request would take 150 MiB.
    let requests = vec![vec![batch; 100]; AT_ONCE];
    within(BESIDE, &broker, || {
        at_once(requests, |batches| {
            let mut client = Client::connect(&broker.address);
            let answer = client.ask(9, produce("compacted", batches));
            let answers = &answer.responses[0].partition_responses;
            let is_refused = |code| ErrorCode::from_code(code) == ErrorCode::InvalidRecord;
            assert!(answers.iter().all(|answer| is_refused(answer.error_code)));
            let named: usize = answers.iter().map(|answer| answer.record_errors.len()).sum();
            assert_eq!(named, 10_000);
        })
    });
}

#[test]
fn answers_that_nobody_reads_share_one_bound() {
    const ELEMENTS: usize = 250_000;
    const CONNECTIONS: usize = 12;
    let broker = Broker::start("unread", &["-X", "queued.max.request.bytes=67108864"]);
    let produce = crowds::arrays(|_| ELEMENTS)
        .into_iter()
        .find(|crowd| crowd.what.ends_with("Produce"));
    let frame = produce.expect("one of them").frame;
    // Each answer has 13 MB, of which the system takes some.
    let most = 2 * 64 * MIB + ONE_REQUEST / 4 + BESIDE;
    let began = Instant::now();
    let is_told = || {
        let log = std::fs::read_to_string(&broker.stderr).expect("the log");
        log.contains("the reply is not read")
    };
    within(most, &broker, || {
        let mut clients: Vec<Client> = (0..CONNECTIONS)
            .map(|_| Client::connect(&broker.address))
            .collect();
        clients.iter_mut().for_each(|client| client.send(&frame));
        while !is_told() {
            assert!(began.elapsed() < PATIENCE, "all answers are kept");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    });
}

#[test]
fn frames_that_announce_much_and_bring_little_are_closed_and_cost_what_they_brought() {
    const CONNECTIONS: usize = 200;
    // A little more than what each connection has of its own, so that it counts.
    const BROUGHT: usize = 80 << 10;
    let broker = Broker::start("announced", &["-X", "connections.max.idle.ms=2000"]);
    let most = CONNECTIONS as u64 * 256 + BESIDE;
    let (_, log) = within(most, &broker, || {
        let mut clients: Vec<Client> = (0..CONNECTIONS)
            .map(|_| Client::connect(&broker.address))
            .collect();
        for client in &mut clients {
            client.send(&(100u32 << 20).to_be_bytes());
            client.send(&vec![0; BROUGHT]);
        }
        for client in &mut clients {
            assert!(client.answer().is_none(), "it is closed");
        }
    });
    let lines = log
        .lines()
        .filter(|line| line.contains("a request stopped coming after"));
    assert_eq!(lines.count(), CONNECTIONS, "{log}");
}
