//! Clients that send slowly, stop, never read, or do nothing: what they hold is bounded, and they are let go in the end.

use std::time::Instant;

use kohort_protocol::messages::fetch::{FetchPartition, FetchTopic};
use kohort_protocol::messages::{ApiVersionsRequest, FetchRequest};

use tokio::io::DuplexStream;

use super::*;

fn fetch(max_wait_ms: i32) -> FetchRequest {
    FetchRequest {
        max_wait_ms,
        min_bytes: i32::MAX,
        max_bytes: i32::MAX,
        session_epoch: -1,
        topics: vec![FetchTopic {
            topic: "t".into(),
            partitions: vec![FetchPartition {
                partition_max_bytes: i32::MAX,
                current_leader_epoch: -1,
                last_fetched_epoch: -1,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[tokio::test]
async fn a_request_that_comes_byte_by_byte_is_answered_and_nobody_waits_for_it() {
    let mut bed = Bed::new().await;
    let mut slow = bed.client().await;
    for byte in framed(0, ApiVersionsRequest::default()) {
        slow.stream.write_all(&[byte]).await.unwrap();
        slow.stream.flush().await.unwrap();
        bed.others_are_served().await;
    }
    assert!(timeout(SOON, slow.frame()).await.expect("an answer").is_some());
}

#[tokio::test]
async fn a_client_that_sends_its_last_request_and_half_closes_gets_its_answer() {
    let bed = Bed::new().await;
    let mut client = bed.client().await;
    client.send(0, ApiVersionsRequest::default()).await;
    client.stream.shutdown().await.unwrap();
    assert!(timeout(SOON, client.frame()).await.expect("an answer").is_some());
    assert!(timeout(SOON, client.frame()).await.expect("closed").is_none());
}

#[tokio::test]
async fn a_connection_on_which_nothing_comes_is_closed_and_one_in_use_is_not() {
    let mut bed = Bed::with(&[("connections.max.idle.ms", "400")]).await;
    let began = Instant::now();
    let mut idle = [bed.connect().await, bed.connect().await, bed.connect().await];
    // One never says a word, one stops in a length, one in a request.
    idle[1].write_all(&[0, 0]).await.unwrap();
    let request = framed(9, produce(batch(Compression::None, 1)));
    idle[2].write_all(&request[..20]).await.unwrap();
    for stream in &mut idle {
        let closed = async {
            let mut byte = [0];
            stream.read(&mut byte).await.unwrap_or(0)
        };
        tokio::pin!(closed);
        loop {
            tokio::select! {
                got = &mut closed => break assert_eq!(got, 0),
                () = tokio::time::sleep(Duration::from_millis(50)) => bed.others_are_served().await,
            }
            assert!(began.elapsed() < SOON, "idle connections stay open");
        }
    }
    assert!(began.elapsed() >= Duration::from_millis(400));
    bed.others_are_served().await;
}

#[tokio::test]
async fn a_reply_that_nobody_reads_ends_the_connection() {
    let mut bed = Bed::with(&[("connections.max.idle.ms", "400")]).await;
    let mut good = bed.client().await;
    let value = vec![b'x'; 1_000_000];
    for _ in 0..30 {
        let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
        builder.append(0, None, Some(&value), &[]).unwrap();
        good.ask(9, produce(builder.build(0).unwrap())).await;
    }
    let mut deaf = bed.client().await;
    deaf.send(11, fetch(0)).await;
    // 30 MB are more than the sockets hold. What was written can be read; the rest never comes.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut got = 0;
    let mut buffer = vec![0; 1 << 20];
    while let Ok(read) = timeout(SOON, deaf.stream.read(&mut buffer))
        .await
        .expect("closed")
    {
        if read == 0 {
            break;
        }
        got += read;
    }
    assert!(got < 30_000_000, "{got}");
    bed.good = bed.client().await;
    bed.others_are_served().await;
}

#[tokio::test]
async fn requests_that_are_never_finished_share_one_bound() {
    let mut bed = Bed::with(&[("queued.max.request.bytes", "8388608")]).await;
    // Each announces 50 MB and sends 3 of them: the third is one too many.
    let mut open = Vec::new();
    let mut refused = 0;
    for _ in 0..6 {
        let mut stream = bed.connect().await;
        let _ = stream.write_all(&50_000_000u32.to_be_bytes()).await;
        let _ = stream.write_all(&vec![0; 3_000_000]).await;
        let mut byte = [0];
        match timeout(Duration::from_millis(300), stream.read(&mut byte)).await {
            Ok(_) => refused += 1,
            Err(_) => open.push(stream),
        }
        bed.others_are_served().await;
    }
    assert!(refused >= 3, "{refused}");
    assert!(!open.is_empty());
    // Those that hold it leave: there is room again.
    drop(open);
    let value = vec![b'x'; 1_000_000];
    let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
    builder.append(0, None, Some(&value), &[]).unwrap();
    let records = builder.build(0).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut client = bed.client().await;
    let response = timeout(SOON, client.ask(9, produce(records)))
        .await
        .expect("an answer");
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

/// A broker in memory, on a paused clock, with topic `t` of eight partitions.
async fn broker_in_memory(queued_bytes: usize) -> Broker {
    let builder = Broker::builder().topic("t", 8);
    let queued = queued_bytes.to_string();
    builder
        .config("queued.max.request.bytes", queued)
        .start()
        .await
        .unwrap()
}

async fn in_memory(broker: &Broker) -> Client<DuplexStream> {
    Client::new(broker.connector().connect("localhost", 9092).await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_large_request_of_which_a_byte_comes_now_and_then_is_given_up() {
    let broker = broker_in_memory(8 << 20).await;
    let mut slow = in_memory(&broker).await;
    slow.stream.write_all(&50_000_000u32.to_be_bytes()).await.unwrap();
    slow.stream.write_all(&vec![0; 3_000_000]).await.unwrap();
    let began = tokio::time::Instant::now();
    let mut byte = [0];
    while timeout(Duration::from_secs(25), slow.stream.read(&mut byte))
        .await
        .is_err()
    {
        slow.stream.write_all(&[0]).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(300), "it holds its memory");
    }
    // 30 s, and what 3 MB take at a megabit a second.
    assert!(began.elapsed() > Duration::from_secs(50));
}

#[tokio::test(start_paused = true)]
async fn a_large_request_that_comes_at_more_than_a_megabit_a_second_is_answered() {
    let broker = broker_in_memory(64 << 20).await;
    let mut client = in_memory(&broker).await;
    let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
    builder
        .append(0, None, Some(&vec![b'x'; 1_000_000]), &[])
        .unwrap();
    let records = builder.build(0).unwrap();
    let mut request = produce(records.clone());
    request.topic_data[0].partition_data = (0..8)
        .map(|index| PartitionProduceData {
            index,
            records: Some(records.clone()),
        })
        .collect();
    let began = tokio::time::Instant::now();
    for some in framed(9, request).chunks(16_000) {
        client.stream.write_all(some).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(began.elapsed() > Duration::from_secs(45));
    assert!(client.frame().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_large_fetch_that_waits_gives_back_what_its_request_held() {
    let broker = broker_in_memory(12 << 20).await;
    let mut request = fetch(i32::MAX);
    let partition = request.topics[0].partitions[0].clone();
    // 5.6 MB each, in a buffer that grows by doubling: there is room for one.
    request.topics[0].partitions = vec![partition; 200_000];
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let mut client = in_memory(&broker).await;
        client.send(11, request.clone()).await;
        assert!(timeout(Duration::from_secs(3), client.frame()).await.is_err());
        waiting.push(client);
    }
    // A small one is read by the buffer that is left.
    let mut client = in_memory(&broker).await;
    let response = client.ask(9, produce(batch(Compression::None, 1))).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    for client in &mut waiting {
        assert!(timeout(Duration::from_secs(3), client.frame()).await.is_err());
    }
}

#[tokio::test]
async fn a_client_that_leaves_a_waiting_request_behind_is_forgotten() {
    let mut bed = Bed::with(&[("connections.max.idle.ms", "300"), ("max.connections", "4")]).await;
    for _ in 0..10 {
        let mut client = bed.client().await;
        client.send(11, fetch(i32::MAX)).await;
        // A whole request behind it keeps the broker from closing at once.
        client.send(0, ApiVersionsRequest::default()).await;
        client.stream.shutdown().await.unwrap();
        let mut got = Vec::new();
        timeout(SOON, client.stream.read_to_end(&mut got))
            .await
            .expect("it is closed")
            .unwrap();
    }
    bed.good = bed.client().await;
    bed.others_are_served().await;
}

#[tokio::test]
async fn the_connection_that_has_asked_nothing_for_the_longest_time_makes_room_for_a_newcomer() {
    let mut bed = Bed::with(&[("max.connections", "10")]).await;
    let mut idle = Vec::new();
    for _ in 0..9 {
        let mut client = bed.client().await;
        client.ask(0, ApiVersionsRequest::default()).await;
        // Half a request does not make it busy.
        client.stream.write_all(&[0, 0]).await.unwrap();
        idle.push(client);
    }
    bed.others_are_served().await;
    for _ in 0..3 {
        let mut newcomer = bed.client().await;
        timeout(SOON, newcomer.ask(0, ApiVersionsRequest::default()))
            .await
            .expect("an answer");
        idle.push(newcomer);
        let mut first = idle.remove(0);
        assert_eq!(timeout(SOON, first.frame_or_reset()).await.expect("closed"), None);
    }
    bed.others_are_served().await;
    for client in &mut idle {
        let open = timeout(Duration::from_millis(20), client.frame_or_reset()).await;
        assert!(open.is_err(), "the others stay");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_requests_wait_for_long_on_all_connections_makes_room_for_a_newcomer() {
    let builder = Broker::builder().topic("t", 8).config("max.connections", "4");
    let broker = builder.start().await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let mut client = in_memory(&broker).await;
        client.send(11, fetch(i32::MAX)).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        waiting.push(client);
    }
    let refused = broker.connector().connect("localhost", 9092).await;
    assert!(refused.is_err(), "all of them work");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut newcomer = in_memory(&broker).await;
    newcomer.ask(0, ApiVersionsRequest::default()).await;
    // The one that has waited longest is gone, and the others wait on.
    let first = waiting.remove(0).frame().await;
    assert!(first.is_none(), "{first:?}");
    for client in &mut waiting {
        assert!(timeout(Duration::from_secs(3), client.frame()).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_of_a_few_kilobytes_holds_nothing_that_others_could_take() {
    let broker = broker_in_memory(4 << 20).await;
    let mut small = in_memory(&broker).await;
    // Its buffer is let go after a second of silence.
    small.ask(0, ApiVersionsRequest::default()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut large = Vec::new();
    for _ in 0..4 {
        let mut client = in_memory(&broker).await;
        client
            .stream
            .write_all(&50_000_000u32.to_be_bytes())
            .await
            .unwrap();
        // Until it is closed: others have the rest.
        let _closed = timeout(
            Duration::from_secs(1),
            client.stream.write_all(&vec![0; 4_000_000]),
        )
        .await;
        large.push(client);
    }
    let record = vec![b'x'; 20_000];
    let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
    builder.append(0, None, Some(&record), &[]).unwrap();
    let response = small.ask(9, produce(builder.build(0).unwrap())).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}
