//! Building clients: what is refused, and where.

use kohort::config::ConfigError;
use kohort::consumer::{BuildError, ConsumerBuilder, NoRuntime, SubscribeError};
use kohort::{Consumer, TopicPartition};

fn properties(more: &str) -> String {
    format!("bootstrap.servers=localhost:9092\n{more}")
}

#[test]
fn outside_of_a_runtime_building_is_a_typed_error() {
    let builder = ConsumerBuilder::<String, String>::from_properties(&properties("")).expect("valid");
    assert!(matches!(
        builder.build(),
        Err(BuildError::Runtime(NoRuntime::NoAmbient))
    ));
}

#[test]
fn a_runtime_of_its_own_needs_no_other() {
    let text = properties("kohort.runtime=own");
    let builder = ConsumerBuilder::<String, String>::from_properties(&text).expect("valid");
    builder.build().expect("it has its own thread");
}

struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits as an executor does that knows nothing of tokio.
fn wait<F: Future>(future: F) -> F::Output {
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn with_a_runtime_of_its_own_a_client_works_on_any_executor() {
    let text = properties("kohort.runtime=own");
    let builder = ConsumerBuilder::<String, String>::from_properties(&text).expect("valid");
    let mut consumer = builder
        .transport(nowhere())
        .build()
        .expect("it has its own thread");
    consumer
        .assign([TopicPartition::new("t", 0)])
        .expect("a partition");
    let records = wait(consumer.poll(std::time::Duration::from_millis(20))).expect("no error");
    assert!(records.is_empty());
    wait(consumer.close(std::time::Duration::from_millis(20))).expect("it closes");

    let text = properties("kohort.runtime=own\nmax.block.ms=20");
    let builder = kohort::producer::ProducerBuilder::<(), String>::from_properties(&text).expect("valid");
    let producer = builder
        .transport(nowhere())
        .build()
        .expect("it has its own thread");
    wait(producer.send(kohort::ProducerRecord::new("t", (), "v".to_owned()))).expect_err("no broker");
}

/// A way to a broker that never answers.
fn nowhere() -> kohort::transport::Transport {
    kohort::transport::Transport::new(|_, _| {
        std::future::pending::<std::io::Result<tokio::io::DuplexStream>>()
    })
}

#[tokio::test]
async fn a_java_class_that_does_not_fit_the_type_is_refused() {
    let text = properties("value.deserializer=org.apache.kafka.common.serialization.StringDeserializer");
    let text_consumer = ConsumerBuilder::<String, String>::from_properties(&text).expect("valid");
    text_consumer.build().expect("it fits");
    let number_consumer = ConsumerBuilder::<String, i64>::from_properties(&text).expect("valid");
    assert!(matches!(
        number_consumer.build(),
        Err(BuildError::Config(ConfigError::ClassMismatch {
            key: "value.deserializer",
            ..
        }))
    ));
}

#[tokio::test]
async fn subscribing_needs_a_group_and_excludes_assigning() {
    let builder = || Consumer::<String, String>::builder().bootstrap_servers("localhost:9092");
    let mut alone = builder().build().expect("valid");
    assert_eq!(alone.subscribe(["t"]), Err(SubscribeError::NoGroup));
    let mut member = builder().group_id("g").build().expect("valid");
    assert_eq!(
        member.subscribe(Vec::<String>::new()),
        Err(SubscribeError::NoTopic)
    );
    assert_eq!(member.subscribe([" "]), Err(SubscribeError::NoTopic));
    assert_eq!(member.subscribe(["t", "u", "t"]), Ok(()));
    assert_eq!(member.subscription().len(), 2);
    assert_eq!(
        member.assign([TopicPartition::new("t", 0)]),
        Err(SubscribeError::Exclusive)
    );
    let mut assigned = builder().group_id("g").build().expect("valid");
    let wrong = TopicPartition::new("t", -1);
    assert_eq!(
        assigned.assign([wrong.clone()]),
        Err(SubscribeError::NoPartition(wrong))
    );
    assert_eq!(assigned.assign([TopicPartition::new("t", 0)]), Ok(()));
    assert_eq!(assigned.subscribe(["t"]), Err(SubscribeError::Exclusive));
}

#[tokio::test]
async fn a_client_id_is_made_of_the_group() {
    let builder = || {
        Consumer::<String, String>::builder()
            .bootstrap_servers("localhost:9092")
            .group_id("g")
    };
    let first = builder().build().expect("valid");
    let second = builder().build().expect("valid");
    assert!(
        first.client_id().starts_with("consumer-g-"),
        "{}",
        first.client_id()
    );
    assert_ne!(first.client_id(), second.client_id());
    let fixed = builder().group_instance_id("i").build().expect("valid");
    assert_eq!(fixed.client_id(), "consumer-g-i");
    let named = builder().client_id("mine").build().expect("valid");
    assert_eq!(named.client_id(), "mine");
}
