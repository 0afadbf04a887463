//! `kohort consume`: records of a topic as text. Where each partition begins and ends is decided here; how a record looks is
//! `format`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kohort::consumer::{Callbacks, OffsetError, PollError, RawRecords};
use kohort::{Consumer, TopicPartition};

use super::{insist, reach, told_to_stop};
use crate::args::ConsumeArgs;
use crate::escape::Delimiter;
use crate::failure::Failure;
use crate::format::{Format, Printed};
use crate::json;
use crate::offset::{Bounds, StartOffset};
use crate::output::Output;

/// How long one poll waits before the ends are looked at again.
const POLL_TIMEOUT: Duration = Duration::from_millis(100);

const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

const TIMES_WITH_GROUP: &str =
    "-o s@ and e@ need partitions of one's own; with -G use beginning, end or stored";

/// How long a member that got nothing waits for more before that is the end: in a cooperative group what it is to get is given up
/// by others first, who hear of that within a heartbeat's interval (3 s), and join once more.
const NOTHING_FOR: Duration = Duration::from_secs(10);

/// A record is printed as it came: neither key nor value is decoded.
type BytesConsumer = Consumer<Option<Bytes>, Option<Bytes>>;

/// Prints records until the count, the end, or ctrl-c.
pub(crate) async fn run(args: ConsumeArgs) -> Result<(), Failure> {
    let bounds = Bounds::of(&args.offset).map_err(Failure::Usage)?;
    let mut consumer = build(&args, bounds)?;
    let begun = match reach(&args.cluster).await {
        Ok(_admin) => Reading::begin(&mut consumer, &args, bounds).await,
        Err(failure) => Err(failure),
    };
    let mut reading = match begun {
        Ok(reading) => reading,
        Err(failure) => {
            // There is nothing to leave and nothing to commit; what failed before is worth telling.
            let _ = consumer.close(Duration::ZERO).await;
            return Err(failure);
        }
    };
    let stop = consumer.wakeup_handle();
    let stopped = told_to_stop();
    tokio::spawn(async move {
        stopped.await;
        stop.wakeup();
        insist().await;
    });
    let read = reading.run(&mut consumer).await;
    let closed = consumer
        .close(CLOSE_TIMEOUT)
        .await
        .map_err(|error| Failure::because("closing", &error));
    read.and(closed)
}

fn build(args: &ConsumeArgs, bounds: Bounds) -> Result<BytesConsumer, Failure> {
    let wrong = |why: &str| Err(Failure::Usage(why.to_owned()));
    let mut builder = Consumer::builder()
        .set("bootstrap.servers", &args.cluster.bootstrap)
        .set("client.id", "kohort-cli")
        .set("max.poll.records", "5000")
        // A misspelt name must not become a topic.
        .set("allow.auto.create.topics", "false");
    if let Some(group) = &args.group {
        builder = builder.set("group.id", group);
        let reset = match bounds.start {
            Some(StartOffset::Beginning) => Some("earliest"),
            Some(StartOffset::End) => Some("latest"),
            Some(StartOffset::Stored) | None => None,
            Some(StartOffset::At(_) | StartOffset::Last(_)) => {
                return wrong(
                    "-o with an offset needs partitions of one's own; with -G use beginning, end or stored",
                );
            }
            Some(StartOffset::Since(_)) => return wrong(TIMES_WITH_GROUP),
        };
        if bounds.stop.is_some() {
            return wrong(TIMES_WITH_GROUP);
        }
        if let Some(reset) = reset {
            builder = builder.set("auto.offset.reset", reset);
        }
    } else if is_pattern(&args.topic) {
        return wrong("a pattern (-t ^…) needs -G: a group shares out the topics that match");
    } else if bounds.start == Some(StartOffset::Stored) {
        return wrong("-o stored needs -G: offsets are stored by a group");
    }
    for (key, value) in &args.cluster.properties {
        builder = builder.set(key, value);
    }
    builder
        .build()
        .map_err(|error| Failure::building("consumer", &error))
}

/// How a record is printed.
enum Layout {
    Text(Format),
    Json,
}

impl Layout {
    fn of(args: &ConsumeArgs) -> Self {
        if args.json {
            return Self::Json;
        }
        let format = args.format.clone().unwrap_or_else(|| {
            let end = args.delimiter.clone().unwrap_or_else(Delimiter::line_end);
            Format::line(args.key_delimiter.as_ref(), &end)
        });
        Self::Text(match args.show_null {
            true => format.show_null(),
            false => format,
        })
    }

    fn write(&self, out: &mut impl Write, record: &Printed<'_>) -> io::Result<()> {
        match self {
            Self::Text(format) => format.write(out, record),
            Self::Json => json::write(out, record),
        }
    }
}

/// What is still to be read, and how it is printed.
struct Reading {
    layout: Layout,
    output: Output,
    /// How many records may still be printed.
    remaining: u64,
    /// With `-e`: the end of each partition that is read, as it was when its reading began.
    ends: Option<BTreeMap<TopicPartition, i64>>,
    /// With `-o e@TIME`: that time, ms since 1970.
    stop: Option<i64>,
    /// The partitions that have reached it.
    stopped: BTreeSet<TopicPartition>,
    /// With `-G`: a sign each time that the group assigned something to this member, be that nothing.
    assigned: Option<mpsc::Receiver<()>>,
    /// Since when this member has nothing, having been assigned nothing.
    idle_since: Option<Instant>,
}

impl Reading {
    async fn begin(
        consumer: &mut BytesConsumer,
        args: &ConsumeArgs,
        bounds: Bounds,
    ) -> Result<Self, Failure> {
        let mut reading = Self {
            layout: Layout::of(args),
            output: Output::stdout(),
            remaining: args.count.unwrap_or(u64::MAX),
            ends: args.exit_at_end.then(BTreeMap::new),
            stop: bounds.stop,
            stopped: BTreeSet::new(),
            assigned: None,
            idle_since: None,
        };
        if args.group.is_some() {
            if !is_pattern(&args.topic) {
                partitions(consumer, &args.topic).await?;
            }
            reading.assigned = Some(subscribe(consumer, &args.topic)?);
        } else {
            let known = partitions(consumer, &args.topic).await?;
            let start = bounds.start.unwrap_or(StartOffset::Beginning);
            let partitions = assign(consumer, args, &known, start).await?;
            reading.note_ends(consumer, &partitions).await?;
        }
        Ok(reading)
    }

    /// Remembers where these partitions end now, if that is where reading ends and it is not known of them yet. Others are not
    /// waited for any more.
    async fn note_ends(
        &mut self,
        consumer: &mut BytesConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), Failure> {
        if let Some(ends) = &mut self.ends {
            ends.retain(|partition, _| partitions.contains(partition));
            let new = partitions
                .iter()
                .filter(|partition| !ends.contains_key(partition));
            let found = consumer
                .end_offsets(new.cloned().collect::<Vec<_>>())
                .await
                .map_err(|error| asked("end offsets", error))?;
            ends.extend(found);
        }
        Ok(())
    }

    async fn run(&mut self, consumer: &mut BytesConsumer) -> Result<(), Failure> {
        while self.remaining > 0 {
            if self.is_at_the_end(consumer).await? {
                return Ok(());
            }
            match consumer.poll_raw(POLL_TIMEOUT).await {
                Ok(records) => self.print(consumer, &records)?,
                Err(PollError::Wakeup) => return Err(Failure::Interrupted),
                Err(error) if error.is_retriable() => anstream::eprintln!("kohort: {error}"),
                Err(error) => return Err(Failure::because("reading", &error)),
            }
        }
        Ok(())
    }

    async fn is_at_the_end(&mut self, consumer: &mut BytesConsumer) -> Result<bool, Failure> {
        if self.ends.is_none() && self.stop.is_none() {
            return Ok(false);
        }
        if let Some(assigned) = &self.assigned
            && assigned.try_iter().last().is_some()
        {
            let has = consumer.assignment();
            self.idle_since = has.is_empty().then(Instant::now);
            self.note_ends(consumer, &has).await?;
        }
        let has_none = self.assigned.is_some() && self.ends.as_ref().is_none_or(BTreeMap::is_empty);
        if has_none {
            return Ok(self
                .idle_since
                .is_some_and(|since| since.elapsed() >= NOTHING_FOR));
        }
        let assigned = consumer.assignment();
        let partitions = match &self.ends {
            Some(ends) => ends.keys().cloned().collect(),
            None => assigned.clone(),
        };
        for partition in partitions {
            if self.stopped.contains(&partition) {
                continue;
            }
            let end = self.ends.as_ref().and_then(|ends| ends.get(&partition));
            // While the group rebalances, what is to be read is not known.
            let Some(end) = end.filter(|_| assigned.contains(&partition)) else {
                return Ok(false);
            };
            let position = consumer.position(&partition).await;
            if position.map_err(|error| asked(format!("position of {partition}"), error))? < *end {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Prints what is to be printed. What is not is for the next reader: the position goes back to it, so that it is not
    /// committed.
    // Kafka: ConsoleConsumer.ConsumerWrapper.resetUnconsumedOffsets
    fn print(&mut self, consumer: &mut BytesConsumer, records: &RawRecords) -> Result<(), Failure> {
        if records.is_empty() {
            return Ok(());
        }
        let Self {
            layout,
            output,
            remaining,
            ends,
            stop,
            stopped,
            ..
        } = self;
        let mut left: BTreeMap<TopicPartition, i64> = BTreeMap::new();
        let printed = output.write(|out| {
            for (partition, record) in records.iter() {
                let beyond = ends
                    .as_ref()
                    .and_then(|ends| ends.get(partition))
                    .is_some_and(|end| record.offset >= *end);
                // kcat: the first record of that time or later ends its partition, whatever the times of later ones.
                if stop.is_some_and(|stop| record.timestamp >= stop) && !stopped.contains(partition) {
                    stopped.insert(partition.clone());
                }
                if *remaining == 0 || beyond || stopped.contains(partition) {
                    leave(&mut left, partition, record.offset);
                    continue;
                }
                *remaining -= 1;
                let printed = Printed {
                    topic: &partition.topic,
                    partition: partition.partition,
                    offset: record.offset,
                    timestamp: record.timestamp,
                    timestamp_type: record.timestamp_type,
                    key: record.key,
                    value: record.value,
                    headers: record.headers.clone(),
                };
                layout.write(out, &printed)?;
            }
            Ok(())
        });
        if printed.is_err() {
            // How much of this the reader of stdout took is not known.
            left.clear();
            for (partition, record) in records.iter() {
                leave(&mut left, partition, record.offset);
            }
        }
        let partitions: Vec<&TopicPartition> = left.keys().collect();
        let gone_back = left
            .iter()
            .try_for_each(|(partition, offset)| consumer.seek(partition, *offset))
            .and_then(|()| consumer.pause(partitions));
        printed.and(gone_back.map_err(|error| Failure::because("going back", &error)))
    }
}

/// Why something about offsets was not answered; ctrl-c wakes whoever waits for the answer.
fn asked(what: impl std::fmt::Display, error: OffsetError) -> Failure {
    match error {
        OffsetError::Wakeup => Failure::Interrupted,
        error => Failure::because(what, &error),
    }
}

/// Remembers the first record of a partition that was not printed.
fn leave(left: &mut BTreeMap<TopicPartition, i64>, partition: &TopicPartition, offset: i64) {
    if !left.contains_key(partition) {
        left.insert(partition.clone(), offset);
    }
}

/// As librdkafka tells a pattern from a name, which never begins so.
fn is_pattern(topic: &str) -> bool {
    topic.starts_with('^')
}

fn subscribe(consumer: &mut BytesConsumer, topic: &str) -> Result<mpsc::Receiver<()>, Failure> {
    let (tell, told) = mpsc::channel();
    let listener = Callbacks::new().on_assigned(move |_context, _added| {
        // The receiver is gone only while the command ends.
        let _ = tell.send(());
        Box::pin(async { Ok(()) })
    });
    let subscribed = match is_pattern(topic) {
        true => consumer.subscribe_pattern_with(topic, listener),
        false => consumer.subscribe_with([topic], listener),
    };
    subscribed.map_err(|error| Failure::because("subscribing", &error))?;
    Ok(told)
}

/// The numbers of the topic's partitions.
async fn partitions(consumer: &mut BytesConsumer, topic: &str) -> Result<Vec<i32>, Failure> {
    let known = consumer
        .partitions_for(topic)
        .await
        .map_err(|error| Failure::because(format!("partitions of {topic}"), &error))?;
    if known.is_empty() {
        return Err(Failure::Failed(format!("there is no topic {topic}")));
    }
    Ok(known.iter().map(|partition| partition.partition).collect())
}

/// Assigns those of the `known` partitions that are asked for, and moves each to where it begins.
async fn assign(
    consumer: &mut BytesConsumer,
    args: &ConsumeArgs,
    known: &[i32],
    start: StartOffset,
) -> Result<Vec<TopicPartition>, Failure> {
    if let Some(unknown) = args.partition.iter().find(|number| !known.contains(number)) {
        return Err(Failure::Failed(format!(
            "{} has no partition {unknown}",
            args.topic
        )));
    }
    let partitions: Vec<TopicPartition> = known
        .iter()
        .filter(|number| args.partition.is_empty() || args.partition.contains(number))
        .map(|number| TopicPartition::new(args.topic.as_str(), *number))
        .collect();
    consumer
        .assign(partitions.clone())
        .map_err(|error| Failure::because("assigning", &error))?;
    begin_at(consumer, &partitions, start).await?;
    Ok(partitions)
}

async fn begin_at(
    consumer: &mut BytesConsumer,
    partitions: &[TopicPartition],
    start: StartOffset,
) -> Result<(), Failure> {
    let refused = |error| Failure::because("-o", &error);
    match start {
        StartOffset::Beginning => consumer.seek_to_beginning(partitions).map_err(refused),
        StartOffset::End => consumer.seek_to_end(partitions).map_err(refused),
        // Refused with the command line: there is no group here.
        StartOffset::Stored => Ok(()),
        StartOffset::At(offset) => partitions
            .iter()
            .try_for_each(|partition| consumer.seek(partition, offset))
            .map_err(refused),
        StartOffset::Since(time) => {
            let asked = partitions.iter().map(|partition| (partition.clone(), time));
            let found = consumer
                .offsets_for_times(asked)
                .await
                .map_err(|error| Failure::because("offsets", &error))?;
            for partition in partitions {
                match found.get(partition) {
                    Some(Some(found)) => consumer.seek(partition, found.offset),
                    _ => consumer.seek_to_end([partition]),
                }
                .map_err(refused)?;
            }
            Ok(())
        }
        StartOffset::Last(count) => {
            let unknown = |error| Failure::because("offsets", &error);
            let first = consumer
                .beginning_offsets(partitions.to_vec())
                .await
                .map_err(unknown)?;
            let end = consumer.end_offsets(partitions.to_vec()).await.map_err(unknown)?;
            for (partition, end) in &end {
                let first = first.get(partition).copied().unwrap_or(0);
                consumer
                    .seek(partition, end.saturating_sub(count).max(first))
                    .map_err(refused)?;
            }
            Ok(())
        }
    }
}
