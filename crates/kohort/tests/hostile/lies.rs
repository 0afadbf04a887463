//! Replies that are changed. The connection is given up or the answer is refused, the request is made again, and nothing is
//! lost or doubled. The consumer here; `producer` and `admin` have the others.

mod admin;
mod producer;

use kohort::TopicPartition;
use kohort_broker::{ApiKey, Fault, FaultRule, Lie};
use tokio::time::{Instant, timeout};

use super::*;

pub(super) const APIS: [ApiKey; 10] = [
    ApiKey::ApiVersions,
    ApiKey::Metadata,
    ApiKey::FindCoordinator,
    ApiKey::JoinGroup,
    ApiKey::SyncGroup,
    ApiKey::Heartbeat,
    ApiKey::OffsetFetch,
    ApiKey::ListOffsets,
    ApiKey::Fetch,
    ApiKey::OffsetCommit,
];

const LIES: [Lie; 10] = [
    Lie::CorrelationId { by: 1 },
    Lie::CorrelationId { by: -1 },
    Lie::CorrelationId { by: i32::MIN },
    Lie::Twice,
    Lie::Short { body: 0 },
    Lie::Short { body: 3 },
    Lie::Length { announced: -1 },
    Lie::Length { announced: 0 },
    Lie::Length { announced: i32::MAX },
    // The client waits for bytes that never come.
    Lie::Length { announced: 100_000 },
];

#[tokio::test(start_paused = true)]
async fn a_changed_reply_of_any_api_costs_a_connection_and_no_record() {
    for api in APIS {
        for lie in LIES {
            let broker = broker().await;
            let mut rule = FaultRule::next(api, Fault::Lie(lie));
            rule.times = 2;
            broker.inject(rule).await.expect("the broker runs");
            let mut reader = consumer(
                broker.bootstrap_servers(),
                Transport::new(broker.connector().into_fn()),
            )
            .group_id("g")
            .enable_auto_commit(false)
            .build()
            .expect("valid settings");
            reader.subscribe(["t"]).expect("a group");
            let began = Instant::now();
            let mut values = Vec::new();
            while values.len() < 20 {
                assert!(began.elapsed() < 900 * SECOND, "{api} {lie:?}: {values:?}");
                match reader.poll(10 * SECOND).await {
                    Ok(records) => values.extend(records.into_iter().map(|record| record.value)),
                    // It says what was wrong, once, and goes on.
                    Err(error) => assert!(!error.to_string().is_empty()),
                }
            }
            let expected: Vec<String> = (0..20).map(|value| value.to_string()).collect();
            assert_eq!(values, expected, "{api} {lie:?}");
            // Time for heartbeats, whose answers are changed, too. A member that loses its place joins again, and may read again.
            for _ in 0..10 {
                let _ = reader.poll(SECOND).await;
            }
            let mut tries = 0;
            while let Err(error) = timeout(900 * SECOND, reader.commit_sync())
                .await
                .expect("it ends")
            {
                tries += 1;
                assert!(tries < 10, "{api} {lie:?}: {error}");
                let _ = reader.poll(SECOND).await;
            }
            let partition = TopicPartition::new("t", 0);
            let committed = reader.committed([partition]).await.expect("it is answered");
            let committed = committed.values().flatten().map(|it| it.offset);
            assert_eq!(committed.collect::<Vec<_>>(), [20], "{api} {lie:?}");
            let _ = timeout(120 * SECOND, reader.close(60 * SECOND))
                .await
                .expect("closing ends");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn noise_in_any_reply_neither_stops_nor_kills_the_client() {
    for api in APIS {
        for seed in 0..20 {
            let broker = broker().await;
            let mut rule = FaultRule::next(
                api,
                Fault::Lie(Lie::Noise {
                    seed,
                    bytes: 1 + seed as u32 % 8,
                }),
            );
            rule.times = 3;
            broker.inject(rule).await.expect("the broker runs");
            let mut reader = consumer(
                broker.bootstrap_servers(),
                Transport::new(broker.connector().into_fn()),
            )
            .group_id("g")
            .build()
            .expect("valid settings");
            reader.subscribe(["t"]).expect("a group");
            // What is changed and still well formed is believed: an offset, a name. So nothing is asked of the records.
            let began = Instant::now();
            let mut polls = 0;
            while began.elapsed() < 120 * SECOND {
                polls += 1;
                assert!(polls < 2_000, "{api} {seed}: poll spins");
                match reader.poll(5 * SECOND).await {
                    Ok(records) if !records.is_empty() => break,
                    Ok(_) => {}
                    // A broker that seems to know no such API is an error of each poll.
                    Err(error) => {
                        assert!(!error.to_string().is_empty());
                        tokio::time::sleep(SECOND).await;
                    }
                }
            }
            let _ = timeout(120 * SECOND, reader.close(60 * SECOND))
                .await
                .expect("closing ends");
        }
    }
}
