//! One consumer of the group: the poll loop of the book's chapter. It counts records by key, commits after processing, and
//! reports what it owns and what it counted.

use std::collections::BTreeMap;
use std::time::Duration;

use kohort::consumer::{Callbacks, CommitError, PollError, WakeupHandle};
use kohort::{Consumer, ConsumerRecords};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use super::scoreboard::{Read, Report, What};
use super::{Cluster, GROUP, TOPIC};
use crate::failure::Failure;

const POLL_TIMEOUT: Duration = Duration::from_millis(100);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// A consumer on a task of its own.
pub(super) struct Counter {
    /// Its name, which is its `client.id`.
    pub(super) name: String,
    wakeup: WakeupHandle,
    task: JoinHandle<Result<(), Failure>>,
}

impl Counter {
    /// Starts the consumer `counter-NUMBER`.
    pub(super) fn start(
        number: u32,
        cluster: &Cluster,
        reports: UnboundedSender<Report>,
    ) -> Result<Self, Failure> {
        let name = format!("counter-{number}");
        let mut consumer: Consumer<String, String> = build(&name, cluster)?;
        let listener = listener(&name, &reports);
        consumer
            .subscribe_with([TOPIC], listener)
            .map_err(|error| Failure::because("subscribing", &error))?;
        let wakeup = consumer.wakeup_handle();
        let task = tokio::spawn(count(consumer, name.clone(), reports));
        Ok(Self { name, wakeup, task })
    }

    /// Ends the poll loop and waits until the consumer has left the group.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        self.wakeup.wakeup();
        self.task
            .await
            .map_err(|error| Failure::because(self.name, &error))?
    }
}

fn build(name: &str, cluster: &Cluster) -> Result<Consumer<String, String>, Failure> {
    let settings = [
        ("bootstrap.servers", cluster.bootstrap.as_str()),
        ("group.id", GROUP),
        ("client.id", name),
        ("auto.offset.reset", "earliest"),
        ("enable.auto.commit", "false"),
        // The others notice a rebalance at their next heartbeat; with Kafka's 3 s the demo would mostly wait.
        ("heartbeat.interval.ms", "300"),
    ];
    let mut builder = Consumer::builder();
    for (key, value) in settings {
        builder = builder.set(key, value);
    }
    builder
        .transport(cluster.transport.clone())
        .build()
        .map_err(|error| Failure::because(name, &error))
}

fn listener(name: &str, reports: &UnboundedSender<Report>) -> Callbacks {
    let report = |what: fn(Vec<i32>) -> What| {
        let (name, reports) = (name.to_owned(), reports.clone());
        move |partitions: &[kohort::TopicPartition]| {
            let numbers = partitions.iter().map(|partition| partition.partition).collect();
            // Nobody listens any more only while the demo ends.
            let _ = reports.send(Report {
                from: name.clone(),
                what: what(numbers),
            });
        }
    };
    let (assigned, revoked) = (report(What::Assigned), report(What::Revoked));
    Callbacks::new()
        .on_assigned(move |_context, partitions| {
            assigned(partitions);
            Box::pin(async { Ok(()) })
        })
        .on_revoked(move |_context, partitions| {
            revoked(partitions);
            Box::pin(async { Ok(()) })
        })
}

/// The poll loop.
async fn count(
    mut consumer: Consumer<String, String>,
    name: String,
    reports: UnboundedSender<Report>,
) -> Result<(), Failure> {
    let read = loop {
        match consumer.poll(POLL_TIMEOUT).await {
            Ok(records) if records.is_empty() => {}
            Ok(records) => {
                let _ = reports.send(Report {
                    from: name.clone(),
                    what: What::Counted(tally(&records)),
                });
                let mut committed = consumer.commit_sync().await;
                let is_stopped = matches!(committed, Err(CommitError::Wakeup));
                if is_stopped {
                    // What was counted is committed all the same, so that nobody counts it again.
                    committed = consumer.commit_sync().await;
                }
                match committed {
                    Ok(()) if is_stopped => break Ok(()),
                    Ok(()) => {}
                    Err(error) => break Err(Failure::because(format!("{name} cannot commit"), &error)),
                }
            }
            Err(PollError::Wakeup) => break Ok(()),
            Err(error) => break Err(Failure::because(format!("{name} cannot read"), &error)),
        }
    };
    let closed = consumer
        .close(CLOSE_TIMEOUT)
        .await
        .map_err(|error| Failure::because(format!("{name} cannot close"), &error));
    read.and(closed)
}

fn tally(records: &ConsumerRecords<String, String>) -> Read {
    let mut by_key = BTreeMap::new();
    for record in records {
        *by_key.entry(record.key.clone()).or_default() += 1;
    }
    Read {
        by_key,
        offsets: records
            .iter()
            .map(|record| (record.partition(), record.offset))
            .collect(),
    }
}
