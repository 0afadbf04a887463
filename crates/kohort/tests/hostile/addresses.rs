//! Addresses that are none, in Metadata and in FindCoordinator: nobody is reached by them, and nothing else is hurt. Once a
//! broker tells the truth, all is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kohort_protocol::ResponseBody;
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// How many answers lie.
const LIES: usize = 3;

fn hosts() -> Vec<String> {
    let hosts = [
        "",
        "\0",
        "a\0b",
        " ",
        "..",
        "-",
        "[::1",
        "256.256.256.256",
        "a b",
        "%",
        "\u{202e}x",
    ];
    let mut hosts: Vec<String> = hosts.into_iter().map(str::to_owned).collect();
    // As long as a text of older versions can be, and longer than any name.
    hosts.push("x".repeat(32_767));
    hosts
}

const PORTS: [i32; 6] = [-1, 0, 70_000, 65_536, i32::MIN, i32::MAX];

fn addresses() -> Vec<(String, i32)> {
    let with_port = hosts().into_iter().map(|host| (host, 9092));
    with_port
        .chain(PORTS.map(|port| ("broker".to_owned(), port)))
        .collect()
}

/// Changes the addresses in an answer; whether there was one.
fn change(body: &mut ResponseBody, is_metadata: bool, host: &str, port: i32) -> bool {
    match body {
        ResponseBody::Metadata(response) if is_metadata => {
            for broker in &mut response.brokers {
                (broker.host, broker.port) = (host.to_owned(), port);
            }
            true
        }
        ResponseBody::FindCoordinator(response) if !is_metadata => {
            // Older versions than 4 know of one only.
            if response.coordinators.is_empty() {
                (response.host, response.port) = (host.to_owned(), port);
            }
            for coordinator in &mut response.coordinators {
                (coordinator.host, coordinator.port) = (host.to_owned(), port);
            }
            true
        }
        _ => false,
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_none_is_given_up_and_the_brokers_are_asked_again() {
    for is_metadata in [true, false] {
        for (host, port) in addresses() {
            let what = format!(
                "metadata: {is_metadata}, host {:.40}, port {port}",
                host.escape_debug().to_string()
            );
            let broker = broker().await;
            let told = Arc::new(AtomicUsize::new(0));
            let transport = {
                let told = Arc::clone(&told);
                liar::transport(&broker, move |answer| {
                    if told.load(Ordering::Relaxed) < LIES
                        && change(&mut answer.body, is_metadata, &host, port)
                    {
                        told.fetch_add(1, Ordering::Relaxed);
                    }
                })
            };
            let mut reader = consumer(broker.bootstrap_servers(), transport)
                .group_id("g")
                .build()
                .expect("valid settings");
            reader.subscribe(["t"]).expect("a group");
            read_all(&mut reader, &what, (10_000, 900 * SECOND)).await;
            assert_eq!(told.load(Ordering::Relaxed), LIES, "{what}");
            reader.close(60 * SECOND).await.expect(&what);
        }
    }
}

/// The same with the system's resolver and real sockets.
#[tokio::test]
async fn names_that_no_system_can_resolve_cost_one_attempt_each() {
    let broker = Broker::builder()
        .topic("t", 1)
        .listen("127.0.0.1:0")
        .start()
        .await
        .expect("it starts");
    fill(&broker).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let own = listener.local_addr().expect("bound");
    let told = Arc::new(AtomicUsize::new(0));
    // Those that a resolver refuses by itself, without asking anybody.
    let is_local =
        |host: &str| host.is_empty() || host.contains('\0') || host.len() > 255 || host == "broker";
    let mut addresses = addresses();
    addresses.retain(|(host, port)| is_local(host) && (host != "broker" || u16::try_from(*port).is_err()));
    let addresses = Arc::new(addresses);
    let count = addresses.len();
    let lie: liar::Lie = {
        let told = Arc::clone(&told);
        Arc::new(move |answer| {
            let at = told.load(Ordering::Relaxed);
            // Each in turn, then the liar's own address.
            let (host, port) = match addresses.get(at) {
                Some((host, port)) => (host.as_str(), *port),
                None => ("127.0.0.1", i32::from(own.port())),
            };
            let is_coordinator = change(&mut answer.body, false, "127.0.0.1", i32::from(own.port()));
            if !is_coordinator && change(&mut answer.body, true, host, port) {
                told.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let far = broker.bootstrap_servers();
    let serving = tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let (far, lie) = (far.clone(), Arc::clone(&lie));
            tokio::spawn(async move {
                if let Ok(far) = TcpStream::connect(far).await {
                    let _ = liar::relay(near, far, lie).await;
                }
            });
        }
    });
    let mut reader: Consumer<Option<String>, String> = Consumer::builder()
        .bootstrap_servers(own.to_string())
        .auto_offset_reset(AutoOffsetReset::Earliest)
        .group_id("g")
        .reconnect_backoff_ms(10)
        .reconnect_backoff_max_ms(20)
        .retry_backoff_ms(10)
        .retry_backoff_max_ms(20)
        .build()
        .expect("valid settings");
    reader.subscribe(["t"]).expect("a group");
    read_all(&mut reader, "tcp", (10_000, 900 * SECOND)).await;
    assert!(told.load(Ordering::Relaxed) > count);
    reader.close(10 * SECOND).await.expect("it closes");
    serving.abort();
}
