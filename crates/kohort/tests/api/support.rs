//! A broker in memory, and clients that reach it.

use std::time::Duration;

use kohort::config::AutoOffsetReset;
use kohort::consumer::ConsumerBuilder;
use kohort::producer::ProducerBuilder;
use kohort::transport::Transport;
use kohort::{Consumer, Producer, ProducerRecord, TopicPartition};
use kohort_broker::Broker;

/// Long enough for everything that happens at once, and no time at all on a paused clock.
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) async fn broker(topic: &str, partitions: i32) -> Broker {
    Broker::builder()
        .topic(topic, partitions)
        .start()
        .await
        .expect("it starts")
}

pub(crate) fn transport(broker: &Broker) -> Transport {
    Transport::new(broker.connector().into_fn())
}

pub(crate) fn consumer(broker: &Broker) -> ConsumerBuilder<Option<String>, String> {
    Consumer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .auto_offset_reset(AutoOffsetReset::Earliest)
        .transport(transport(broker))
}

pub(crate) fn producer(broker: &Broker) -> ProducerBuilder<Option<String>, String> {
    Producer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .transport(transport(broker))
}

/// Writes values `first..first + count` in turn to the partitions of a topic.
pub(crate) async fn fill(broker: &Broker, topic: &str, partitions: i32, first: i32, count: i32) {
    let producer = producer(broker).build().expect("valid settings");
    let mut sending = Vec::new();
    for value in first..first + count {
        let record = ProducerRecord::new(topic, None, value.to_string()).partition(value % partitions);
        sending.push(producer.send_soon(record).await.expect("there is room"));
    }
    for each in sending {
        each.await.expect("it is written");
    }
    producer.close(SOON).await.expect("it closes");
}

pub(crate) fn partition(number: i32) -> TopicPartition {
    TopicPartition::new("t", number)
}

/// A standalone consumer of partition 0 of `t`.
pub(crate) fn reader(broker: &Broker) -> Consumer<Option<String>, String> {
    let mut reader = consumer(broker).build().expect("valid settings");
    reader.assign([partition(0)]).expect("a partition");
    reader
}

/// Polls until there are records.
pub(crate) async fn next_values(consumer: &mut Consumer<Option<String>, String>) -> Vec<String> {
    loop {
        let records = consumer.poll(SOON).await.expect("no error");
        if !records.is_empty() {
            return records.into_iter().map(|record| record.value).collect();
        }
    }
}

/// A way to a broker that can be cut: connections end, new ones are not made.
pub(crate) struct Cable {
    transport: Transport,
    cut: tokio::sync::watch::Sender<bool>,
}

impl Cable {
    pub(crate) fn new(broker: &Broker) -> Self {
        let connector = broker.connector();
        let (cut, is_cut) = tokio::sync::watch::channel(false);
        let transport = Transport::new(move |host: String, port| {
            let (connector, mut is_cut) = (connector.clone(), is_cut.clone());
            async move {
                if *is_cut.borrow() {
                    return std::future::pending().await;
                }
                let mut far = connector.connect(&host, port).await?;
                let (near, mut end) = tokio::io::duplex(64 * 1024);
                tokio::spawn(async move {
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut end, &mut far) => {}
                        _ = is_cut.wait_for(|cut| *cut) => {}
                    }
                });
                Ok(near)
            }
        });
        Self { transport, cut }
    }

    pub(crate) fn transport(&self) -> Transport {
        self.transport.clone()
    }

    pub(crate) fn cut(&self) {
        self.cut.send_replace(true);
    }
}
