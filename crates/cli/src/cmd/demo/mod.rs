//! `kohort demo`: a broker in the process, real data, and a consumer group that grows and shrinks while it reads. The plot is
//! here; one consumer is in `counter`, what is known of all of them in `scoreboard`.

mod counter;
mod scoreboard;

use std::time::{Duration, Instant};

use kohort::transport::Transport;
use kohort::{Producer, ProducerRecord};
use kohort_broker::Broker;
use serde_json::Value;

use crate::failure::Failure;
use crate::output::Output;
use counter::Counter;
use scoreboard::{Expected, Scoreboard};

/// 2,000 flights, one JSON object a line; `data/README.md` names source and licence.
const FLIGHTS: &str = include_str!("../../../data/flights-2k.jsonl");
const TOPIC: &str = "flights";
const GROUP: &str = "airports";
const PARTITIONS: i32 = 6;

const BOLD: anstyle::Style = anstyle::Style::new().bold();
const GREEN: anstyle::Style = anstyle::AnsiColor::Green.on_default().bold();
const RED: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();

/// Longer than any step takes; a demo that hangs must end with an error.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the demo's clients find its broker.
#[derive(Clone)]
struct Cluster {
    bootstrap: String,
    transport: Transport,
}

/// Runs the demo; fails when a record was missed or read twice.
pub(crate) async fn run() -> Result<(), Failure> {
    let began = Instant::now();
    let flights = flights()?;
    let expected = Expected::of(flights.iter().map(|(key, _)| key.as_str()));
    let broker = Broker::builder()
        .topic(TOPIC, PARTITIONS)
        .start()
        .await
        .map_err(|error| Failure::because("the broker did not start", &error))?;
    let connect = broker.connector().into_fn();
    let cluster = Cluster {
        bootstrap: broker.bootstrap_servers(),
        transport: Transport::new(connect),
    };
    let mut show = Show {
        output: Output::stdout(),
    };
    show.heading(&format!(
        "{} flights of {} airports, in the topic `{TOPIC}` with {PARTITIONS} partitions, key = airport",
        flights.len(),
        expected.keys()
    ))?;

    let producer = producer(&cluster)?;
    let mut scoreboard = Scoreboard::new(began);
    let mut counters = Vec::new();
    for number in 1..=3 {
        counters.push(Counter::start(number, &cluster, scoreboard.reports())?);
    }
    let names = |counters: &[Counter]| {
        counters
            .iter()
            .map(|counter| counter.name.clone())
            .collect::<Vec<_>>()
    };
    let thirds = flights.len() / 3;

    load(&producer, &flights[..thirds]).await?;
    scoreboard
        .until_settled(&names(&counters), thirds, STEP_TIMEOUT)
        .await?;
    show.owners(&format!("Three consumers share the group `{GROUP}`"), &scoreboard)?;

    counters.push(Counter::start(4, &cluster, scoreboard.reports())?);
    load(&producer, &flights[thirds..2 * thirds]).await?;
    scoreboard
        .until_settled(&names(&counters), 2 * thirds, STEP_TIMEOUT)
        .await?;
    show.owners("A fourth joins: the group rebalances", &scoreboard)?;

    let leaving = counters.remove(0);
    let left = leaving.name.clone();
    leaving.stop().await?;
    load(&producer, &flights[2 * thirds..]).await?;
    scoreboard
        .until_settled(&names(&counters), flights.len(), STEP_TIMEOUT)
        .await?;
    show.owners(&format!("{left} closes: the group rebalances again"), &scoreboard)?;

    for counter in counters {
        counter.stop().await?;
    }
    scoreboard.drain();
    broker.shutdown().await;
    show.totals(&scoreboard, began)?;
    show.verdict(&scoreboard, &expected)
}

/// Key and value of each record: the airport of origin, and the whole line.
fn flights() -> Result<Vec<(String, String)>, Failure> {
    let mut flights = Vec::new();
    for line in FLIGHTS.lines() {
        let flight: Value =
            serde_json::from_str(line).map_err(|error| Failure::because("the data set", &error))?;
        let origin = flight.get("origin").and_then(Value::as_str).unwrap_or_default();
        flights.push((origin.to_owned(), line.to_owned()));
    }
    Ok(flights)
}

fn producer(cluster: &Cluster) -> Result<Producer<String, String>, Failure> {
    Producer::builder()
        .set("bootstrap.servers", &cluster.bootstrap)
        .transport(cluster.transport.clone())
        .build()
        .map_err(|error| Failure::because("producer", &error))
}

async fn load(producer: &Producer<String, String>, flights: &[(String, String)]) -> Result<(), Failure> {
    let failed = |error| Failure::because("writing a flight", &error);
    let mut sendings = Vec::with_capacity(flights.len());
    for (key, value) in flights {
        let record = ProducerRecord::new(TOPIC, key.clone(), value.clone());
        sendings.push(producer.send_soon(record).await.map_err(failed)?);
    }
    for sending in sendings {
        sending.await.map_err(failed)?;
    }
    Ok(())
}

/// What the demo prints.
struct Show {
    output: Output,
}

impl Show {
    fn heading(&mut self, text: &str) -> Result<(), Failure> {
        self.styled(BOLD, text)
    }

    fn owners(&mut self, heading: &str, scoreboard: &Scoreboard) -> Result<(), Failure> {
        self.output.line("")?;
        self.heading(heading)?;
        self.output.write(|out| scoreboard.owners().write(out, "  "))
    }

    fn totals(&mut self, scoreboard: &Scoreboard, began: Instant) -> Result<(), Failure> {
        self.output.line("")?;
        self.heading("Busiest airports")?;
        self.output.write(|out| scoreboard.busiest(5).write(out, "  "))?;
        self.output.line("")?;
        let first = scoreboard
            .first_record()
            .map_or(0.0, |first| first.as_secs_f64() * 1000.0);
        self.output.line(&format!(
            "First record {first:.0} ms after the start, all done after {:.1} s.",
            began.elapsed().as_secs_f64()
        ))
    }

    fn verdict(&mut self, scoreboard: &Scoreboard, expected: &Expected) -> Result<(), Failure> {
        let verdict = scoreboard.compare(expected);
        if verdict.is_exact() {
            self.styled(GREEN, &format!("OK: {verdict}"))
        } else {
            self.styled(RED, &format!("WRONG: {verdict}"))?;
            Err(Failure::Failed(format!(
                "the group did not read each record once: {}",
                verdict.difference()
            )))
        }
    }

    fn styled(&mut self, style: anstyle::Style, text: &str) -> Result<(), Failure> {
        if anstream::AutoStream::choice(&std::io::stdout()) == anstream::ColorChoice::Never {
            self.output.line(text)
        } else {
            self.output.line(&format!("{style}{text}{style:#}"))
        }
    }
}
