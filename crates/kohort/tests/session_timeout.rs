//! A test to copy: a member falls silent, and the 45 s of `session.timeout.ms` pass in milliseconds, because the broker is in
//! memory and tokio's clock is paused.
//!
//! ```toml
//! [dev-dependencies]
//! kohort-broker = "0.1"
//! tokio = { version = "1", features = ["io-util", "macros", "rt", "sync", "test-util", "time"] }
//! ```

use std::time::Duration;

use kohort::Consumer;
use kohort::transport::Transport;
use kohort_broker::Broker;
use tokio::sync::watch;
use tokio::time::Instant;

fn member(broker: &Broker, transport: Transport) -> Consumer<String, String> {
    let mut member: Consumer<String, String> = Consumer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .group_id("billing")
        .transport(transport)
        .build()
        .expect("valid settings");
    member.subscribe(["orders"]).expect("a group and a topic");
    member
}

/// The way to the broker, until `unplugged` is true: then all connections end and new ones are never made.
fn plug(broker: &Broker, unplugged: watch::Receiver<bool>) -> Transport {
    let connector = broker.connector();
    Transport::new(move |host: String, port| {
        let (connector, mut unplugged) = (connector.clone(), unplugged.clone());
        async move {
            if *unplugged.borrow() {
                return std::future::pending().await;
            }
            let mut to_broker = connector.connect(&host, port).await?;
            let (client, mut from_client) = tokio::io::duplex(1 << 16);
            tokio::spawn(async move {
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut from_client, &mut to_broker) => {}
                    _ = unplugged.wait_for(|unplugged| *unplugged) => {}
                }
            });
            Ok(client)
        }
    })
}

#[tokio::test(start_paused = true)]
async fn the_partitions_of_a_silent_member_go_to_the_other_one() {
    let real_time = std::time::Instant::now();
    let broker = Broker::builder()
        .topic("orders", 4)
        .start()
        .await
        .expect("it starts");
    let (unplug, unplugged) = watch::channel(false);
    let mut survivor = member(&broker, Transport::new(broker.connector().into_fn()));
    let mut silent = member(&broker, plug(&broker, unplugged));
    while survivor.assignment().len() != 2 || silent.assignment().len() != 2 {
        survivor.poll(Duration::from_millis(100)).await.expect("no error");
        silent.poll(Duration::from_millis(100)).await.expect("no error");
    }

    unplug.send_replace(true);
    let silence = Instant::now();
    while survivor.assignment().len() != 4 {
        survivor.poll(Duration::from_millis(100)).await.expect("no error");
    }

    // The session runs from the last heartbeat, which was up to `heartbeat.interval.ms` (3 s) before.
    let seconds = silence.elapsed().as_secs();
    assert!((42..=46).contains(&seconds), "{seconds} s");
    assert!(real_time.elapsed() < Duration::from_secs(5));
}
