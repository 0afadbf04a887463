//! Requests of every API that end too early, at every byte: none is carried out, not in part either.

use kohort_broker::ApiKey;
use tokio::task::JoinSet;

use super::every_api::{World, changes, fine, served, written};
use super::*;

/// How many connections are open at a time.
const AT_ONCE: usize = 64;

/// Cuts a request of every API at every byte, each in a way of its own; then shows that the whole one is carried out.
async fn cut_all<F, R>(cut: F)
where
    F: Fn(TcpStream, ApiKey, i16, Vec<u8>, usize) -> R + Copy,
    R: Future<Output = ()> + Send + 'static,
{
    let every = served(&mut Bed::new().await.good).await;
    assert!(every.len() > 60, "{every:?}");
    let mut cuts = 0;
    for (api, version) in every {
        let mut bed = Bed::with(&[
            ("group.initial.rebalance.delay.ms", "0"),
            ("offsets.topic.num.partitions", "1"),
        ])
        .await;
        let mut world = World::new(&mut bed.good).await;
        let whole = written(api, version, &world.request(api, version));
        let before = world.seen(&mut bed.good).await;
        let mut under_way = JoinSet::new();
        cuts += whole.len();
        for len in 0..whole.len() {
            if under_way.len() == AT_ONCE {
                under_way.join_next().await.unwrap().unwrap();
            }
            under_way.spawn(cut(bed.connect().await, api, version, whole.clone(), len));
        }
        under_way.join_all().await;
        bed.others_are_served().await;
        assert_eq!(world.seen(&mut bed.good).await, before, "{api} {version}");

        // All this proves nothing unless the whole one does what it should.
        let mut client = bed.client().await;
        client.stream.write_all(&whole).await.unwrap();
        let answer = timeout(SOON, client.frame()).await.expect("no silence");
        let answer = answer.unwrap_or_else(|| panic!("{api} {version}: the whole request is answered"));
        fine(&frame::decode_response(answer, api, version).unwrap().1);
        let is_changed = world.seen(&mut bed.good).await != before;
        assert_eq!(is_changed, changes(api), "{api} {version}");
    }
    assert!(cuts > 5_000, "only {cuts} cuts");
}

#[tokio::test]
async fn a_request_of_any_api_whose_bytes_stop_anywhere_is_never_carried_out() {
    cut_all(|mut stream, api, version, whole, len| async move {
        stream.write_all(&whole[..len]).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut got = Vec::new();
        let ended = timeout(SOON, stream.read_to_end(&mut got)).await;
        ended.expect("it is closed").unwrap();
        assert!(got.is_empty(), "{api} {version} cut at {len}");
    })
    .await;
}

#[tokio::test]
async fn a_request_of_any_api_whose_client_leaves_anywhere_is_never_carried_out() {
    cut_all(|mut stream, _, _, whole, len| async move {
        stream.write_all(&whole[..len]).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_request_of_any_api_whose_length_says_less_than_it_has_is_never_carried_out() {
    cut_all(|stream, api, version, whole, len| async move {
        let cut = Bytes::copy_from_slice(&whole[4..]).slice(..len.saturating_sub(4));
        let mut client = Client::new(stream);
        let _ = client.stream.write_all(&prefixed(&cut)).await;
        let answer = timeout(SOON, client.frame_or_reset()).await.expect("no silence");
        // What is a request by chance is answered.
        let is_request = frame::decode_request(cut).is_ok();
        assert_eq!(answer.is_some(), is_request, "{api} {version} cut at {len}");
    })
    .await;
}
