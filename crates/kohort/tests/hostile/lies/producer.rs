//! The same lies told to a producer: what it says is written is in the log once, and in order; what it says is not has an error.

use kohort::TopicPartition;
use kohort::producer::ProduceError;

use super::*;
use crate::cuts::honest;

const OF_THE_PRODUCER: [ApiKey; 4] = [
    ApiKey::ApiVersions,
    ApiKey::Metadata,
    ApiKey::InitProducerId,
    ApiKey::Produce,
];

/// Records of one run, each in a batch of its own.
const RECORDS: usize = 12;

/// What became of records that were given one after the other without waiting.
async fn write(broker: &Broker, is_idempotent: bool, what: &str) -> Vec<Result<(), ProduceError>> {
    let producer: Producer<Option<String>, String> = Producer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .transport(honest(broker))
        .batch_size(0)
        .linger_ms(0)
        .enable_idempotence(is_idempotent)
        // Answers that never come whole are waited for, 30 s each.
        .max_block_ms(240_000)
        .delivery_timeout_ms(240_000)
        .build()
        .expect("valid settings");
    let mut sendings = Vec::new();
    for value in 0..RECORDS {
        let record = ProducerRecord::new("t", None, value.to_string()).partition(0);
        let sending = timeout(300 * SECOND, producer.send_soon(record)).await;
        sendings.push(sending.unwrap_or_else(|_| panic!("{what}: {value} is never taken")));
    }
    let mut results = Vec::new();
    for (value, sending) in sendings.into_iter().enumerate() {
        let result = match sending {
            Ok(sending) => timeout(300 * SECOND, sending)
                .await
                .unwrap_or_else(|_| panic!("{what}: {value} is never answered"))
                .map(drop),
            Err(error) => Err(error),
        };
        results.push(result);
    }
    let closed = timeout(120 * SECOND, producer.close(10 * SECOND)).await;
    closed.expect("closing ends").expect(what);
    results
}

/// The values in the log, once nothing is left of the lies.
async fn log_of(broker: &Broker) -> Vec<usize> {
    broker.clear_faults().await.expect("the broker runs");
    let mut reader = consumer(broker.bootstrap_servers(), honest(broker))
        .build()
        .expect("valid settings");
    reader.assign([TopicPartition::new("t", 0)]).expect("a partition");
    let mut values = Vec::new();
    loop {
        let records = reader.poll(SECOND).await.expect("no error");
        if records.is_empty() {
            return values;
        }
        values.extend(
            records
                .into_iter()
                .map(|record| record.value.parse::<usize>().expect("a number")),
        );
    }
}

async fn lied_to(api: ApiKey, times: u32, lie: Lie) -> Broker {
    let broker = Broker::builder().topic("t", 1).start().await.expect("it starts");
    let mut rule = FaultRule::next(api, Fault::Lie(lie));
    rule.times = times;
    broker.inject(rule).await.expect("the broker runs");
    broker
}

#[tokio::test(start_paused = true)]
async fn a_changed_reply_of_any_api_loses_and_doubles_no_record_of_a_producer() {
    for api in OF_THE_PRODUCER {
        for lie in LIES {
            let what = format!("{api} {lie:?}");
            let broker = lied_to(api, 2, lie).await;
            for (value, result) in write(&broker, true, &what).await.into_iter().enumerate() {
                result.unwrap_or_else(|error| panic!("{what}: {value}: {error}"));
            }
            assert_eq!(log_of(&broker).await, (0..RECORDS).collect::<Vec<_>>(), "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_reply_of_any_api_loses_no_record_of_a_producer_without_idempotence() {
    for api in OF_THE_PRODUCER {
        for lie in LIES {
            let what = format!("{api} {lie:?}");
            let broker = lied_to(api, 2, lie).await;
            for (value, result) in write(&broker, false, &what).await.into_iter().enumerate() {
                result.unwrap_or_else(|error| panic!("{what}: {value}: {error}"));
            }
            let mut log = log_of(&broker).await;
            // One batch at a time: what comes twice comes right behind itself.
            log.dedup();
            assert_eq!(log, (0..RECORDS).collect::<Vec<_>>(), "{what}");
        }
    }
}

/// What is changed and still well formed is believed: a record may be given up that is in the log, and an answer that says so may have
/// been an error before.
#[tokio::test(start_paused = true)]
async fn noise_in_any_reply_doubles_no_record_of_a_producer_and_answers_each() {
    for api in OF_THE_PRODUCER {
        for seed in 0..40 {
            let bytes = 1 + seed as u32 % 8;
            let what = format!("{api} {seed}");
            let broker = lied_to(api, 3, Lie::Noise { seed, bytes }).await;
            let results = write(&broker, true, &what).await;
            let log = log_of(&broker).await;
            for (value, result) in results.into_iter().enumerate() {
                let count = log.iter().filter(|it| **it == value).count();
                match result {
                    Ok(()) => assert_eq!(count, 1, "{what}: {value} in {log:?}"),
                    Err(error) => {
                        assert!(count <= 1, "{what}: {value} in {log:?}");
                        assert!(
                            !error.is_fatal() && !error.to_string().is_empty(),
                            "{what}: {error}"
                        );
                    }
                }
            }
        }
    }
}
