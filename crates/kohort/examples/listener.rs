//! A rebalance listener that commits what was processed before others go on with it.
//!
//! Start it twice: `cargo run --example listener -- localhost:9092 orders`

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::time::Duration;

use kohort::consumer::{CallbackResult, RebalanceContext, RebalanceListener};
use kohort::{Consumer, TopicPartition};

struct CommitOnRevoke;

impl RebalanceListener for CommitOnRevoke {
    async fn assigned(
        &mut self,
        _: &mut RebalanceContext<'_>,
        partitions: &[TopicPartition],
    ) -> CallbackResult {
        println!("assigned: {partitions:?}");
        Ok(())
    }

    async fn revoked(
        &mut self,
        context: &mut RebalanceContext<'_>,
        partitions: &[TopicPartition],
    ) -> CallbackResult {
        println!("revoked: {partitions:?}");
        context.commit_sync().await?;
        Ok(())
    }

    async fn lost(&mut self, _: &mut RebalanceContext<'_>, partitions: &[TopicPartition]) -> CallbackResult {
        // Others own them already: a commit would be refused.
        println!("lost: {partitions:?}");
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next().unwrap_or_else(|| "localhost:9092".to_owned());
    let topic = arguments.next().unwrap_or_else(|| "orders".to_owned());

    let mut consumer: Consumer<Option<String>, String> = Consumer::builder()
        .bootstrap_servers(servers)
        .group_id("billing")
        .enable_auto_commit(false)
        .build()?;
    consumer.subscribe_with([topic], CommitOnRevoke)?;
    for _ in 0..600 {
        for record in consumer.poll(Duration::from_millis(100)).await? {
            println!(
                "{}-{}@{}: {}",
                record.topic(),
                record.partition(),
                record.offset,
                record.value
            );
        }
        consumer.commit_async();
    }
    consumer.close(Duration::from_secs(30)).await?;
    Ok(())
}
