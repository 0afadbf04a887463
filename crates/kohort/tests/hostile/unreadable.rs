//! Answers that cannot be, of every API that the consumer, the producer and `Admin` read: bytes that are no message, a wrong
//! correlation id, a frame size that cannot be. Each ends its connection, with a line in the log at `warn` that names the
//! broker, the API and the reason.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use kohort::admin::AdminError;
use kohort_broker::ApiKey;
use tokio::time::timeout;

use super::cuts::admin::{CHANGING, LOOKING, attempt, prepare};
use super::cuts::{admin, honest, member};
use super::liar::{Answer, Wire};
use super::*;

/// What a member asks from its first poll until it has left.
const OF_THE_CONSUMER: [ApiKey; 11] = [
    ApiKey::ApiVersions,
    ApiKey::Metadata,
    ApiKey::FindCoordinator,
    ApiKey::JoinGroup,
    ApiKey::SyncGroup,
    ApiKey::Heartbeat,
    ApiKey::OffsetFetch,
    ApiKey::ListOffsets,
    ApiKey::Fetch,
    ApiKey::OffsetCommit,
    ApiKey::LeaveGroup,
];

const OF_THE_PRODUCER: [ApiKey; 4] = [
    ApiKey::ApiVersions,
    ApiKey::Metadata,
    ApiKey::InitProducerId,
    ApiKey::Produce,
];

/// What is wrong with an answer, how it is written, and the reason in the log.
type Way = (&'static str, fn() -> Wire, &'static str);

const WAYS: [Way; 5] = [
    ("no message", noise, "cannot be decoded"),
    ("another's id", || Wire::Id(1), "is for request"),
    ("an id far away", || Wire::Id(i32::MIN), "is for request"),
    ("a size below 0", || Wire::Length(-1), "is no frame"),
    (
        "a size beyond the limit",
        || Wire::Length(i32::MAX),
        "is no frame",
    ),
];

fn noise() -> Wire {
    Wire::Bytes(Bytes::from_static(&[0xff; 40]))
}

/// Spoils one answer of an API, and looks what becomes of the connection.
struct Spoiler {
    api: ApiKey,
    next: Mutex<Option<Wire>>,
    /// On which connection the answer was.
    spoilt: Mutex<Option<usize>>,
    ended: Mutex<BTreeSet<usize>>,
}

impl Spoiler {
    fn new(api: ApiKey, wire: Wire) -> Arc<Self> {
        Arc::new(Self {
            api,
            next: Mutex::new(Some(wire)),
            spoilt: Mutex::new(None),
            ended: Mutex::new(BTreeSet::new()),
        })
    }

    fn transport(self: &Arc<Self>, broker: &Broker) -> Transport {
        let (spoiler, watching) = (Arc::clone(self), Arc::clone(self));
        liar::watched(
            broker,
            move |connection, answer| spoiler.spoil(connection, answer),
            move |connection| {
                watching.ended.lock().expect("nobody panics").insert(connection);
            },
        )
    }

    fn spoil(&self, connection: usize, answer: &mut Answer) {
        if answer.api == self.api
            && let Some(wire) = self.next.lock().expect("nobody panics").take()
        {
            answer.wire = wire;
            *self.spoilt.lock().expect("nobody panics") = Some(connection);
        }
    }

    /// Whether the connection on which the answer was has been closed.
    fn is_hung_up(&self) -> bool {
        let spoilt = self
            .spoilt
            .lock()
            .expect("nobody panics")
            .expect("it was answered");
        self.ended.lock().expect("nobody panics").contains(&spoilt)
    }
}

/// Lets `run` go on with one spoilt answer, in each way.
async fn spoil_all(api: ApiKey, run: impl AsyncFn(&Broker, Transport, &Spoiler)) {
    for (way, wire, reason) in WAYS {
        let what = format!("{api}: {way}");
        let log = log::Lines::default();
        let _guard = tracing::subscriber::set_default(log.clone());
        let broker = broker().await;
        let spoiler = Spoiler::new(api, wire());
        run(&broker, spoiler.transport(&broker), &spoiler).await;
        let lines = log.take();
        let words = [
            broker.bootstrap_servers(),
            format!("{api} version"),
            reason.to_owned(),
        ];
        assert!(
            lines
                .iter()
                .any(|line| words.iter().all(|word| line.contains(word.as_str()))),
            "{what}: {lines:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_consumer_cannot_read_ends_its_connection_and_is_told() {
    for api in OF_THE_CONSUMER {
        spoil_all(api, async |broker, transport, spoiler| {
            let what = api.name();
            let mut reader = member(broker, transport);
            read_all(&mut reader, what, (2_000, 600 * SECOND)).await;
            let began = Instant::now();
            while began.elapsed() < 10 * SECOND {
                assert!(reader.poll(SECOND).await.expect(what).is_empty(), "{what}");
            }
            reader.commit_sync().await.expect(what);
            assert!(api == ApiKey::LeaveGroup || spoiler.is_hung_up(), "{what}");
            let closed = timeout(120 * SECOND, reader.close(60 * SECOND)).await;
            assert!(closed.is_ok(), "{what}");
            tokio::time::sleep(SECOND).await;
            assert!(spoiler.is_hung_up(), "{what}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_producer_cannot_read_ends_its_connection_and_is_told() {
    for api in OF_THE_PRODUCER {
        spoil_all(api, async |broker, transport, spoiler| {
            let producer: Producer<Option<String>, String> = Producer::builder()
                .bootstrap_servers(broker.bootstrap_servers())
                .transport(transport)
                .build()
                .expect("valid settings");
            let record = ProducerRecord::new("t", None, "20".to_owned()).partition(0);
            let written = timeout(120 * SECOND, producer.send(record)).await;
            let written = written.expect("an answer").expect("it is written");
            assert_eq!(written.offset, Some(20), "{api}");
            assert!(spoiler.is_hung_up(), "{api}");
            producer.close(10 * SECOND).await.expect("it closes");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_administrator_cannot_read_ends_its_connection_and_is_told() {
    let changing = CHANGING.map(|(api, _)| api);
    for api in LOOKING.into_iter().chain(changing) {
        spoil_all(api, async |broker, transport, spoiler| {
            prepare(api, &admin(broker, honest(broker)), broker, 1).await;
            let asking = admin(broker, transport);
            let done = timeout(120 * SECOND, attempt(api, &asking, 1)).await;
            // What is done already is refused when it is asked for again.
            if let Err(error) = done.expect("an answer") {
                assert!(matches!(error, AdminError::Failed(_)), "{api}: {error}");
            }
            assert!(spoiler.is_hung_up(), "{api}");
        })
        .await;
    }
}
