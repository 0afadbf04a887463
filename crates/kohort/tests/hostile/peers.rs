//! Peers that are no broker: what they say is refused, and the client goes on asking at its backoff, without spinning and
//! without memory that grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

/// A way to a peer that does this with each connection; and how many connections were made.
fn way<F, R>(serve: F) -> (Transport, Arc<AtomicUsize>)
where
    F: Fn(DuplexStream) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let transport = Transport::new(move |_host: String, _port| {
        let serve = serve.clone();
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            let (near, far) = tokio::io::duplex(1 << 16);
            tokio::spawn(serve(far));
            Ok(near)
        }
    });
    (transport, connections)
}

/// Polls for a minute against such a peer: nothing comes, nothing fails, and no more connections are made than the backoff
/// allows.
async fn poll_for_a_minute(transport: Transport, connections: &AtomicUsize) {
    let mut reader = consumer("liar:9092".into(), transport)
        .group_id("g")
        .build()
        .expect("valid settings");
    reader.subscribe(["t"]).expect("a group");
    for _ in 0..6 {
        let records = reader.poll(10 * SECOND).await;
        assert!(
            records
                .expect("as in Java, a broker that is not one is no error of poll")
                .is_empty()
        );
    }
    // reconnect.backoff.ms is 50 ms and doubles to a second; it begins anew after a handshake, which a peer may guess.
    let made = connections.load(Ordering::Relaxed);
    assert!((1..=300).contains(&made), "{made} connections");
    reader.close(SECOND).await.ok();
}

/// Answers whatever comes with these bytes, once a connection.
async fn say(bytes: &'static [u8]) {
    let (transport, connections) = way(move |mut stream: DuplexStream| async move {
        let mut asked = [0; 1024];
        let _ = stream.read(&mut asked).await;
        let _ = stream.write_all(bytes).await;
        // It keeps the connection open.
        let _ = stream.read(&mut asked).await;
    });
    poll_for_a_minute(transport, &connections).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_speaks_something_else_is_hung_up_on() {
    say(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    // A fatal alert of TLS.
    say(&[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x0a]).await;
    say(b"SSH-2.0-OpenSSH_9.6\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn frame_sizes_that_cannot_be_end_the_connection() {
    say(&[0xff; 64]).await;
    say(&[0x80, 0, 0, 0]).await;
    say(&[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]).await;
    say(&[0; 64]).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_hangs_up_at_once_or_never_speaks_is_tried_again_at_the_backoff() {
    let (transport, connections) = way(|stream: DuplexStream| async move { drop(stream) });
    poll_for_a_minute(transport, &connections).await;
    let (transport, connections) = way(|stream: DuplexStream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    });
    poll_for_a_minute(transport, &connections).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_closes_its_writing_half_and_goes_on_reading_is_hung_up_on() {
    let (transport, connections) = way(|stream: DuplexStream| async move {
        let (mut reading, mut writing) = tokio::io::split(stream);
        let _ = writing.shutdown().await;
        let _ = tokio::io::copy(&mut reading, &mut tokio::io::sink()).await;
    });
    poll_for_a_minute(transport, &connections).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_speaks_without_being_asked_is_hung_up_on() {
    let (transport, connections) = way(|mut stream: DuplexStream| async move {
        // Replies with the right correlation ids for requests that nobody made.
        for id in 0u8..=255 {
            let reply = [0, 0, 0, 10, 0, 0, 0, id, 0, 0, 0, 0, 0, 0];
            if stream.write_all(&reply).await.is_err() {
                return;
            }
        }
        let mut asked = [0; 1024];
        let _ = stream.read(&mut asked).await;
    });
    poll_for_a_minute(transport, &connections).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_echoes_what_it_is_asked_is_hung_up_on() {
    let (transport, connections) = way(|stream: DuplexStream| async move {
        let (mut from, mut to) = tokio::io::split(stream);
        let _ = tokio::io::copy(&mut from, &mut to).await;
    });
    poll_for_a_minute(transport, &connections).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_announces_much_and_sends_it_slowly_is_hung_up_on() {
    let (transport, connections) = way(|mut stream: DuplexStream| async move {
        // A frame of 200 MB that comes slowly, byte by byte.
        let _ = stream.write_all(&200_000_000u32.to_be_bytes()).await;
        while stream.write_all(&[7; 16]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    poll_for_a_minute(transport, &connections).await;
}
