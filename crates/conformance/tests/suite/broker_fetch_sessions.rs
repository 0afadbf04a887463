//! Incremental fetch sessions (KIP-227): which partitions are told, in which order, and which requests are refused.

use kohort_conformance::{Wire, unique};
use kohort_protocol::messages::{
    FetchRequest, FetchResponse,
    fetch::{FetchTopic, ForgottenTopic},
};
use kohort_protocol::{ErrorCode, Uuid};

use crate::broker_fetch::fetch_request;
use crate::broker_produce::produce;
use crate::setup::{batch, code, metadata, topic, wire};

const VERSION: i16 = 12;

/// A request in a session; `partitions` are those that it adds or moves.
fn in_session(id: i32, epoch: i32, topic: &str, partitions: &[(i32, i64)]) -> FetchRequest {
    let mut request = fetch_request(topic, partitions);
    (request.session_id, request.session_epoch) = (id, epoch);
    if partitions.is_empty() {
        request.topics.clear();
    }
    request
}

/// A session over the first `partitions` partitions of a new topic, all read from 0 and told as empty.
async fn session(partitions: i32) -> (Wire, String, i32) {
    let mut wire = wire().await;
    let topic = topic(&mut wire, partitions).await;
    let all: Vec<(i32, i64)> = (0..partitions).map(|partition| (partition, 0)).collect();
    let opened = wire.call(VERSION, in_session(0, 0, &topic, &all)).await;
    assert_eq!(opened.error_code, 0);
    assert!(opened.session_id > 0, "{}", opened.session_id);
    assert_eq!(told(&opened).len(), all.len());
    (wire, topic, opened.session_id)
}

/// The partitions in an answer, in its order.
fn told(response: &FetchResponse) -> Vec<i32> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|data| data.partition_index).collect()
}

async fn error_of(wire: &mut Wire, request: FetchRequest) -> i16 {
    let response = wire.call(VERSION, request).await;
    assert!(told(&response).is_empty());
    response.error_code
}

// Kafka: FetchContext.SessionlessFetchContext
#[tokio::test]
async fn a_fetch_at_the_final_epoch_gets_no_session() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    let response = wire.call(VERSION, in_session(0, -1, &topic, &[(0, 0)])).await;
    assert_eq!((response.session_id, told(&response)), (0, vec![0]));
}

// Kafka: FetchSession.CachedPartition.maybeUpdateResponseData
#[tokio::test]
async fn only_partitions_with_news_are_told() {
    let (mut wire, topic, id) = session(3).await;
    let nothing = wire.call(VERSION, in_session(id, 1, &topic, &[])).await;
    assert_eq!(
        (nothing.error_code, nothing.session_id, told(&nothing)),
        (0, id, vec![])
    );
    produce(&mut wire, &topic, 1, batch(&["a"])).await;
    let news = wire.call(VERSION, in_session(id, 2, &topic, &[])).await;
    assert_eq!(told(&news), [1]);
    // Its position did not move, so its records are told again.
    let again = wire.call(VERSION, in_session(id, 3, &topic, &[])).await;
    assert_eq!(told(&again), [1]);
    let moved = wire.call(VERSION, in_session(id, 4, &topic, &[(1, 1)])).await;
    assert!(told(&moved).is_empty());
}

// Kafka: FetchContext.IncrementalFetchContext.PartitionIterator
#[tokio::test]
async fn a_partition_that_gave_records_goes_behind_the_others() {
    let (mut wire, topic, id) = session(3).await;
    for partition in 0..3 {
        produce(&mut wire, &topic, partition, batch(&["a"])).await;
    }
    // A limit of one byte lets one batch through, that of the partition whose turn it is.
    let mut turns = Vec::new();
    for epoch in 1..=4 {
        let mut request = in_session(id, epoch, &topic, &[]);
        request.max_bytes = 1;
        let response = wire.call(VERSION, request).await;
        let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
        let with_records =
            partitions.filter(|data| data.records.as_ref().is_some_and(|bytes| !bytes.is_empty()));
        turns.extend(with_records.map(|data| data.partition_index));
    }
    assert_eq!(turns, [0, 1, 2, 0]);
}

// Kafka: FetchSession.update
#[tokio::test]
async fn a_session_takes_partitions_in_and_forgets_them() {
    let (mut wire, topic, id) = session(2).await;
    let mut forget = in_session(id, 1, &topic, &[]);
    forget.forgotten_topics_data = vec![ForgottenTopic {
        topic: topic.clone(),
        partitions: vec![0],
        ..ForgottenTopic::default()
    }];
    assert_eq!(wire.call(VERSION, forget).await.error_code, 0);
    for partition in 0..2 {
        produce(&mut wire, &topic, partition, batch(&["a"])).await;
    }
    let without = wire.call(VERSION, in_session(id, 2, &topic, &[])).await;
    assert_eq!(told(&without), [1]);
    let added = wire.call(VERSION, in_session(id, 3, &topic, &[(0, 0)])).await;
    let mut both = told(&added);
    both.sort_unstable();
    assert_eq!(both, [0, 1]);
}

// Kafka: FetchManager.newContext
#[tokio::test]
async fn a_session_that_is_not_there_is_not_found() {
    let (mut wire, topic, id) = session(1).await;
    let unknown = if id == i32::MAX { 1 } else { id + 1 };
    assert_eq!(
        error_of(&mut wire, in_session(unknown, 1, &topic, &[])).await,
        code(ErrorCode::FetchSessionIdNotFound)
    );
}

// Kafka: FetchManager.newContext
#[tokio::test]
async fn another_epoch_than_the_next_is_invalid_and_does_not_end_the_session() {
    let (mut wire, topic, id) = session(1).await;
    for epoch in [2, 7] {
        assert_eq!(
            error_of(&mut wire, in_session(id, epoch, &topic, &[])).await,
            code(ErrorCode::InvalidFetchSessionEpoch)
        );
    }
    assert_eq!(error_of(&mut wire, in_session(id, 1, &topic, &[])).await, 0);
    assert_eq!(
        error_of(&mut wire, in_session(id, 1, &topic, &[])).await,
        code(ErrorCode::InvalidFetchSessionEpoch)
    );
}

// Kafka: FetchManager.newContext
#[tokio::test]
async fn a_full_fetch_that_names_a_session_ends_it() {
    for epoch in [0, -1] {
        let (mut wire, topic, id) = session(1).await;
        let full = wire.call(VERSION, in_session(id, epoch, &topic, &[(0, 0)])).await;
        assert_eq!((full.error_code, told(&full)), (0, vec![0]));
        assert_eq!(
            full.session_id > 0,
            epoch == 0,
            "a new one only when it is wanted"
        );
        assert_eq!(
            error_of(&mut wire, in_session(id, 1, &topic, &[])).await,
            code(ErrorCode::FetchSessionIdNotFound)
        );
    }
}

// Kafka: FetchManager.newContext
#[tokio::test]
async fn a_session_without_partitions_ends() {
    let (mut wire, topic, id) = session(1).await;
    let mut forget = in_session(id, 1, &topic, &[]);
    forget.forgotten_topics_data = vec![ForgottenTopic {
        topic: topic.clone(),
        partitions: vec![0],
        ..ForgottenTopic::default()
    }];
    let last = wire.call(VERSION, forget).await;
    assert_eq!((last.error_code, last.session_id, told(&last)), (0, 0, vec![]));
    assert_eq!(
        error_of(&mut wire, in_session(id, 2, &topic, &[])).await,
        code(ErrorCode::FetchSessionIdNotFound)
    );
}

// KIP-516: Kafka: FetchManager.newContext
#[tokio::test]
async fn a_session_by_names_is_not_continued_by_ids() {
    let (mut wire, topic, id) = session(1).await;
    let response = wire.call(13, in_session(id, 1, &topic, &[])).await;
    assert_eq!(response.error_code, code(ErrorCode::FetchSessionTopicIdError));
}

// Kafka: FetchSession.CachedPartition.maybeUpdateResponseData: errors are told each time
#[tokio::test]
async fn a_partition_with_an_error_is_told_each_time() {
    let (mut wire, topic, id) = session(2).await;
    for (epoch, moved) in [(1, &[(0, 9)][..]), (2, &[])] {
        let response = wire.call(VERSION, in_session(id, epoch, &topic, moved)).await;
        assert_eq!(told(&response), [0]);
        assert_eq!(
            response.responses[0].partitions[0].error_code,
            code(ErrorCode::OffsetOutOfRange)
        );
    }
    let recovered = wire.call(VERSION, in_session(id, 3, &topic, &[(0, 0)])).await;
    assert_eq!(told(&recovered), [0]);
    assert_eq!(recovered.responses[0].partitions[0].error_code, 0);
}

// Kafka: KafkaApis.handleFetchRequest, ReplicaManager.fetchMessages
#[tokio::test]
async fn a_session_waits_for_data_of_any_of_its_partitions() {
    let (mut reader, topic, id) = session(2).await;
    let mut request = in_session(id, 1, &topic, &[]);
    (request.min_bytes, request.max_wait_ms) = (1, 30_000);
    let began = std::time::Instant::now();
    reader.send(VERSION, request).await;
    let mut writer = wire().await;
    produce(&mut writer, &topic, 1, batch(&["a"])).await;
    let (_, response) = reader.receive::<FetchRequest>(VERSION).await.expect("an answer");
    assert_eq!(told(&response), [1]);
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}

// Kafka: KafkaApis.handleFetchRequest: what does not exist is answered behind the rest and is in the session
#[tokio::test]
async fn an_unknown_topic_comes_last_and_is_told_each_time() {
    let mut wire = wire().await;
    let known = topic(&mut wire, 1).await;
    let id_of_known = metadata(&mut wire, &known).await.topics[0].topic_id;
    let mut request = fetch_request("", &[(0, 0)]);
    request.session_epoch = 0;
    let named = |topic_id| FetchTopic {
        topic_id,
        ..request.topics[0].clone()
    };
    let unknown = Uuid([9; 16]);
    request.topics = vec![named(unknown), named(id_of_known)];
    let opened = wire.call(13, request).await;
    let ids: Vec<Uuid> = opened.responses.iter().map(|topic| topic.topic_id).collect();
    assert_eq!(ids, [id_of_known, unknown]);
    let next = wire
        .call(13, in_session(opened.session_id, 1, &unique("t"), &[]))
        .await;
    let ids: Vec<Uuid> = next.responses.iter().map(|topic| topic.topic_id).collect();
    assert_eq!(ids, [unknown]);
    assert_eq!(
        next.responses[0].partitions[0].error_code,
        code(ErrorCode::UnknownTopicId)
    );
}
