//! Serves Kafka's protocol on a loopback address until Ctrl-C: `cargo run --example serve -- 127.0.0.1:9092`.

use std::time::Instant;

use kohort_broker::Broker;

#[expect(clippy::print_stderr, reason = "an example talks to its user")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9092".into());
    let begin = Instant::now();
    let broker = Broker::builder().listen(address).start().await?;
    eprintln!(
        "bootstrap.servers={} (ready in {:?})",
        broker.bootstrap_servers(),
        begin.elapsed()
    );
    tokio::signal::ctrl_c().await?;
    broker.shutdown().await;
    Ok(())
}
