//! The modes that read a number of records and end.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use kohort::{Consumer, TopicPartition};

use crate::tally::Tally;
use crate::{Api, Arguments, Mode};

/// How long one poll waits.
const WAIT: Duration = Duration::from_secs(5);
/// How many polls in a row may come back empty.
const PATIENCE: u32 = 6;

pub(crate) async fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut tally = Tally::begin();
    let mut consumer = arguments.consumer()?;
    match arguments.mode {
        Mode::Assign => assign(&mut consumer, &arguments.topic).await?,
        _ => consumer.subscribe([&*arguments.topic])?,
    }
    match arguments.api {
        Api::Raw => read_raw(&mut consumer, arguments.records, &mut tally).await?,
        Api::Typed => read_typed(&mut consumer, arguments.records, &mut tally).await?,
    }
    writeln!(std::io::stdout(), "{}", tally.end()?)?;
    match arguments.mode {
        Mode::Join => Ok(consumer.close(WAIT).await?),
        _ => std::process::exit(0),
    }
}

async fn assign(
    consumer: &mut Consumer<Option<Bytes>, Option<Bytes>>,
    topic: &str,
) -> Result<(), Box<dyn Error>> {
    let described = consumer.partitions_for(topic).await?;
    let all: Vec<_> = described
        .iter()
        .map(|it| TopicPartition::new(topic, it.partition))
        .collect();
    consumer.assign(all.clone())?;
    Ok(consumer.seek_to_beginning(&all)?)
}

async fn read_raw(
    consumer: &mut Consumer<Option<Bytes>, Option<Bytes>>,
    records: u64,
    tally: &mut Tally,
) -> Result<(), Box<dyn Error>> {
    let mut empty = 0;
    while tally.records < records && empty < PATIENCE {
        let polled = consumer.poll_raw(WAIT).await?;
        if polled.is_empty() {
            empty += 1;
            continue;
        }
        tally.poll()?;
        for (_partition, record) in polled.iter() {
            tally.record(record.key, record.value);
        }
    }
    Ok(())
}

async fn read_typed(
    consumer: &mut Consumer<Option<Bytes>, Option<Bytes>>,
    records: u64,
    tally: &mut Tally,
) -> Result<(), Box<dyn Error>> {
    let mut empty = 0;
    while tally.records < records && empty < PATIENCE {
        let polled = consumer.poll(WAIT).await?;
        if polled.is_empty() {
            empty += 1;
            continue;
        }
        tally.poll()?;
        for record in &polled {
            tally.record(record.key.as_deref(), record.value.as_deref());
        }
    }
    Ok(())
}
