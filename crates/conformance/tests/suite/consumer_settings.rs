//! Settings as far as they show at the broker or on the network, and no other file is about them.

use std::time::{Duration, Instant};

use kohort::consumer::{MemberError, PollError, ReadError};
use kohort_conformance::{cluster, unique};

use crate::consumer_setup::{
    SOON, assigned, built, failure, new_topic, of_group, offsets, read, settings, soon, write,
};

// Kafka: ConsumerConfig: receive.buffer.bytes, send.buffer.bytes; -1: the system's
#[tokio::test]
async fn any_size_of_socket_buffers_reads_everything() {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..2_000).await;
    for bytes in [-1, 4_096, 1_048_576] {
        let buffers = settings().receive_buffer_bytes(bytes).send_buffer_bytes(bytes);
        let mut reader = assigned(buffers, &topic, 0..1);
        assert_eq!(
            offsets(&read(&mut reader, 2_000).await),
            (0..2_000).collect::<Vec<_>>()
        );
    }
}

// Kafka: GroupCoordinatorService.joinGroup: group.min.session.timeout.ms is 6000
#[tokio::test]
async fn a_session_timeout_that_the_broker_forbids_is_a_typed_error() {
    let topic = new_topic(1).await;
    let mut reader = built(of_group(&unique("group")).session_timeout_ms(5_999));
    reader.subscribe([&*topic]).expect("a topic");
    let error = failure(&mut reader).await;
    let PollError::Read(ReadError::Membership(error)) = error else {
        panic!("{error:?}");
    };
    assert!(
        matches!(
            *error,
            MemberError::InvalidSessionTimeout {
                session_timeout_ms: 5_999,
                ..
            }
        ),
        "{error:?}"
    );
}

// Kafka: NetworkClient.handleTimedOutRequests: request.timeout.ms, then another broker
#[tokio::test]
async fn a_broker_that_does_not_answer_is_given_up_after_request_timeout_ms() {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..3).await;
    // It accepts connections and never answers. The time is one that the other keeps when it is busy, too.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("bound").to_string();
    let servers = [address, cluster().bootstrap];
    let mut reader = assigned(
        settings()
            .bootstrap_servers(servers.join(",").as_str())
            .request_timeout_ms(2_000),
        &topic,
        0..1,
    );
    let began = Instant::now();
    assert_eq!(offsets(&read(&mut reader, 3).await), [0, 1, 2]);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

// Kafka: ClientUtils.parseAndValidateAddresses: any of bootstrap.servers is enough
#[tokio::test]
async fn one_broker_of_bootstrap_servers_that_answers_is_enough() {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..3).await;
    // Nobody listens here: the port was free and is closed again.
    let unused = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a free port")
        .local_addr()
        .expect("bound");
    let servers = format!("{unused},{}", cluster().bootstrap);
    let mut reader = assigned(settings().bootstrap_servers(servers.as_str()), &topic, 0..1);
    assert_eq!(offsets(&read(&mut reader, 3).await), [0, 1, 2]);
}

// Kafka: a consumer's .properties file, as Java reads it
#[tokio::test]
async fn a_java_properties_file_makes_a_consumer() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    write(&topic, 0, 0..3).await;
    let text = format!(
        "bootstrap.servers={}\ngroup.id={group}\nauto.offset.reset=earliest\nheartbeat.interval.ms=200\n\
         enable.auto.commit=false\n\
         key.deserializer=org.apache.kafka.common.serialization.StringDeserializer\n\
         value.deserializer=org.apache.kafka.common.serialization.StringDeserializer\n\
         partition.assignment.strategy=org.apache.kafka.clients.consumer.RoundRobinAssignor\n",
        cluster().bootstrap
    );
    let builder =
        kohort::ConsumerBuilder::<Option<String>, String>::from_properties(&text).expect("no mistake");
    let mut reader = built(builder);
    reader.subscribe([&*topic]).expect("a topic");
    assert_eq!(offsets(&read(&mut reader, 3).await), [0, 1, 2]);
    soon("closing", reader.close(SOON)).await.expect("it leaves");
}
