//! `kohort serve`: the embedded broker as a process of its own.

mod properties;

use kohort_broker::{Broker, StartError};

use self::properties::Properties;
use super::told_to_stop;
use crate::args::ServeArgs;
use crate::failure::Failure;
use crate::output::Output;

/// Kafka's default, which the builder sets to 0 for tests.
const INITIAL_REBALANCE_DELAY: (&str, &str) = ("group.initial.rebalance.delay.ms", "3000");

/// Serves until told to stop.
pub(crate) async fn run(args: ServeArgs) -> Result<(), Failure> {
    let mut builder = Broker::builder()
        .config(INITIAL_REBALANCE_DELAY.0, INITIAL_REBALANCE_DELAY.1)
        .listen(args.listen.clone())
        .insecure_listen(args.insecure_listen);
    if let Some(advertise) = &args.advertise {
        let (host, port) = host_and_port(advertise)?;
        builder = builder.advertise(host, port);
    }
    let properties =
        Properties::of(args.properties).map_err(|why| Failure::Usage(format!("cannot serve: {why}")))?;
    let data_dir = match (args.data_dir, properties.data_dir) {
        (Some(_), Some(_)) => {
            let why = "cannot serve: --data-dir and log.dirs are one setting; give one of them";
            return Err(Failure::Usage(why.to_owned()));
        }
        (flag, property) => flag.or(property),
    };
    if let Some(id) = properties.node_id {
        builder = builder.node_id(id);
    }
    let mut kept = "in memory".to_owned();
    if let Some(path) = &data_dir {
        kept = format!("from {}", path.display());
        builder = builder.data_dir(path);
    }
    for (name, partitions) in args.topics {
        builder = builder.topic(name, partitions);
    }
    for (key, value) in properties.settings {
        builder = builder.config(key, value);
    }
    let broker = builder
        .start()
        .await
        .map_err(|error| match error {
            StartError::InsecureAddress { address } => Failure::Failed(format!(
                "cannot serve: {address} can be reached from other machines, and nobody is authenticated: listen on a loopback \
                 address, or allow it with --insecure-listen"
            )),
            StartError::Config(error) => Failure::Usage(format!("cannot serve: {error}")),
            error => Failure::because("cannot serve", &error),
        })?;
    // Whoever reads the first line may stop the broker right away.
    let stopped = told_to_stop();
    Output::stdout().line(&format!("bootstrap.servers={}", broker.bootstrap_servers()))?;
    anstream::eprintln!("kohort: serving {kept}; ctrl-c stops it");
    stopped.await;
    broker.shutdown().await;
    Ok(())
}

fn host_and_port(text: &str) -> Result<(&str, u16), Failure> {
    text.rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)))
        .ok_or_else(|| Failure::Usage(format!("--advertise {text}: expected HOST:PORT")))
}
