//! Poll: what it returns and when, and that nothing is lost when it is dropped.

use std::time::Duration;

use kohort::consumer::PollError;
use tokio::time::Instant;

use crate::support::{SOON, broker, consumer, fill, next_values, partition, producer, reader};

#[tokio::test(start_paused = true)]
async fn poll_returns_nothing_when_its_time_is_over() {
    let broker = broker("t", 1).await;
    let mut reader = reader(&broker);
    let start = Instant::now();
    let records = reader.poll(Duration::from_millis(700)).await.expect("no error");
    assert!(records.is_empty());
    assert_eq!(start.elapsed().as_millis() / 10, 70);
}

#[tokio::test(start_paused = true)]
async fn poll_returns_as_soon_as_there_is_a_record() {
    let broker = broker("t", 1).await;
    let mut reader = reader(&broker);
    assert!(
        reader
            .poll(Duration::from_secs(1))
            .await
            .expect("no error")
            .is_empty()
    );
    let producer = producer(&broker).linger_ms(0).build().expect("valid settings");
    let start = Instant::now();
    let (sent, records) = tokio::join!(
        producer.send(kohort::ProducerRecord::new("t", None, "x".to_owned())),
        reader.poll(Duration::from_secs(60))
    );
    sent.expect("it is written");
    assert_eq!(records.expect("no error").count(), 1);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn poll_returns_at_most_max_poll_records() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 25).await;
    let mut reader = consumer(&broker)
        .max_poll_records(10)
        .build()
        .expect("valid settings");
    reader.assign([partition(0)]).expect("a partition");
    let mut counts = Vec::new();
    while counts.iter().sum::<usize>() < 25 {
        counts.push(next_values(&mut reader).await.len());
    }
    assert_eq!(counts, [10, 10, 5]);
}

#[tokio::test(start_paused = true)]
async fn poll_without_anything_to_read_says_so() {
    let broker = broker("t", 1).await;
    let mut idle = consumer(&broker).build().expect("valid settings");
    assert!(matches!(idle.poll(SOON).await, Err(PollError::NotSubscribed)));
}

#[tokio::test(start_paused = true)]
async fn a_poll_dropped_halfway_loses_no_record() {
    let broker = broker("t", 1).await;
    let mut reader = reader(&broker);
    let mut read = Vec::new();
    let writing = async {
        for first in 0..50 {
            fill(&broker, "t", 1, first, 1).await;
            tokio::time::sleep(Duration::from_millis(7)).await;
        }
    };
    tokio::pin!(writing);
    let mut is_written = false;
    while read.len() < 50 {
        tokio::select! {
            biased;
            () = &mut writing, if !is_written => is_written = true,
            () = tokio::time::sleep(Duration::from_millis(3)) => {}
            records = reader.poll(Duration::from_secs(60)) => {
                read.extend(records.expect("no error").into_iter().map(|record| record.value));
            }
        }
    }
    let expected: Vec<_> = (0..50).map(|value| value.to_string()).collect();
    assert_eq!(read, expected);
}

#[tokio::test(start_paused = true)]
async fn wakeup_ends_the_waiting_poll_once() {
    let broker = broker("t", 1).await;
    let mut reader = reader(&broker);
    let wakeup = reader.wakeup_handle();
    let start = Instant::now();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        wakeup.wakeup();
    });
    assert!(matches!(
        reader.poll(Duration::from_secs(60)).await,
        Err(PollError::Wakeup)
    ));
    assert_eq!(start.elapsed().as_secs(), 3);
    assert!(
        reader
            .poll(Duration::from_millis(10))
            .await
            .expect("no error")
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn wakeup_before_a_poll_ends_the_next_one() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 1).await;
    let mut reader = reader(&broker);
    reader.wakeup_handle().wakeup();
    assert!(matches!(reader.poll(SOON).await, Err(PollError::Wakeup)));
    assert_eq!(next_values(&mut reader).await, ["0"]);
}

#[tokio::test(start_paused = true)]
async fn a_loop_of_polls_without_time_gets_its_records() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 3).await;
    let mut reader = reader(&broker);
    let mut polls = 0;
    while reader.poll(Duration::ZERO).await.expect("no error").is_empty() {
        polls += 1;
        assert!(polls < 10_000, "the network task never ran");
    }
}

#[tokio::test(start_paused = true)]
async fn raw_records_borrow_what_typed_ones_decode() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 3).await;
    let mut reader = reader(&broker);
    let records = reader.poll_raw(SOON).await.expect("no error");
    let values: Vec<_> = records
        .iter()
        .map(|(partition, record)| (partition.partition, record.value))
        .collect();
    assert_eq!(
        values,
        [(0, Some(&b"0"[..])), (0, Some(&b"1"[..])), (0, Some(&b"2"[..]))]
    );
    // The consumer is free while the records live.
    assert_eq!(reader.position(&partition(0)).await.expect("a position"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_stream_gives_the_records_one_by_one() {
    use futures_core::Stream;
    use std::pin::Pin;

    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 3).await;
    let mut stream = reader(&broker).into_stream();
    for expected in 0..3 {
        let next = std::future::poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await;
        assert_eq!(
            next.expect("no end").expect("no error").value,
            expected.to_string()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_gives_its_consumer_back_in_the_middle_of_a_poll() {
    use futures_core::Stream;
    use std::pin::Pin;
    use std::task::{Context, Waker};

    let broker = broker("t", 1).await;
    let mut stream = reader(&broker).into_stream();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut stream).poll_next(&mut cx).is_pending());
    let mut consumer = stream.into_consumer();
    fill(&broker, "t", 1, 0, 2).await;
    assert_eq!(next_values(&mut consumer).await, ["0", "1"]);
    consumer.close(SOON).await.expect("it closes");
}

#[tokio::test(start_paused = true)]
async fn a_consumer_back_from_a_stream_goes_on_behind_what_the_stream_gave_out() {
    use futures_core::Stream;
    use std::pin::Pin;

    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 4).await;
    let mut stream = reader(&broker).into_stream();
    let next = std::future::poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await;
    assert_eq!(next.expect("no end").expect("no error").value, "0");
    let mut consumer = stream.into_consumer();
    assert_eq!(consumer.position(&partition(0)).await.expect("known"), 1);
    assert_eq!(next_values(&mut consumer).await, ["1", "2", "3"]);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_wakeups_before_a_poll_end_one_poll() {
    let broker = broker("t", 1).await;
    let mut reader = reader(&broker);
    let wakeup = reader.wakeup_handle();
    (0..100).for_each(|_| wakeup.wakeup());
    assert!(matches!(reader.poll(SOON).await, Err(PollError::Wakeup)));
    assert!(reader.poll(SOON).await.expect("no error").is_empty());
}
