//! Settings: a consumer's, a producer's and an admin client's `.properties` files, and the broker's and a topic's keys.

use kohort::AdminBuilder;
use kohort::config::ConfigError;
use kohort::consumer::ConsumerBuilder;
use kohort::producer::ProducerBuilder;
use kohort_node::config::{BROKER_KEYS, Config, TOPIC_KEYS, TopicConfig};

use super::{Shape, Target};

pub(super) const TARGET: Target = Target {
    name: "config",
    run,
    seeds,
    shape: Shape::Bytes,
    memory: |len| 64 * len + (256 << 10),
};

/// The longest text that is read.
const LONGEST: usize = 120;

fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(&input[..input.len().min(LONGEST)]);
    let errors: [Option<ConfigError>; 3] = [
        ConsumerBuilder::<String, String>::from_properties(&text).err(),
        ProducerBuilder::<String, String>::from_properties(&text).err(),
        AdminBuilder::from_properties(&text).err(),
    ];
    for error in errors.into_iter().flatten() {
        assert!(!error.to_string().is_empty());
    }
    let (mut broker, mut topic) = (Config::default(), TopicConfig::default());
    for line in text.lines() {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        if let Err(error) = broker.set(key, value) {
            assert!(!error.to_string().is_empty());
        }
        let _ = topic.set(key, value);
    }
    let _ = topic.log_config(&broker);
    // The others have their defaults, whatever the input is.
    for key in BROKER_KEYS
        .iter()
        .filter(|key| broker.overridden(key.name).is_some())
    {
        let _ = (
            broker.int(key.name),
            broker.size(key.name),
            broker.is_on(key.name),
        );
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let lines = BROKER_KEYS.iter().chain(TOPIC_KEYS);
    let mut seeds: Vec<Vec<u8>> = lines
        .map(|key| format!("{}={}\n", key.name, key.default).into_bytes())
        .collect();
    let texts: [&[u8]; 10] = [
        b"bootstrap.servers = localhost:9092, [::1]:9093\ngroup.id: orders\n! comment\nfetch.min.bytes=1\\\n  0\n",
        b"auto.offset.reset=by_duration:PT1H30M\nisolation.level=read_committed\n",
        b"session.timeout.ms=45000\nheartbeat.interval.ms=3000\nmax.poll.records=500\n",
        b"partition.assignment.strategy=org.apache.kafka.clients.consumer.RangeAssignor,cooperative-sticky\n",
        b"key.deserializer=org.apache.kafka.common.serialization.StringDeserializer\n",
        b"client.id=\\u00e4\\t\ngroup.instance.id=a\nenable.auto.commit=false\n",
        b"acks=all\nlinger.ms=5\ncompression.type=lz4\nbatch.size=16384\n",
        b"kohort.memory.budget=1048576\nkohort.runtime=own\n",
        b"security.protocol=SSL\n",
        b"unknown.key=1\n",
    ];
    seeds.extend(texts.map(<[u8]>::to_vec));
    seeds
}
