//! Bytes that are no requests.

use super::*;

#[tokio::test]
async fn a_frame_size_that_cannot_be_ends_the_connection() {
    let mut bed = Bed::new().await;
    let over = (100 << 20) + 1;
    for size in [-1, i32::MIN, i32::MAX, over, 0] {
        let bytes = [&size.to_be_bytes()[..], &[0; 64]].concat();
        assert!(bed.closes_on(&bytes).await.is_empty(), "{size}");
        bed.others_are_served().await;
    }
}

#[tokio::test]
async fn other_protocols_are_hung_up_on() {
    let mut bed = Bed::new().await;
    let tls_hello = [
        &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03][..],
        &[7; 501],
    ]
    .concat();
    let spoken: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: localhost:9092\r\nConnection: keep-alive\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &tls_hello,
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"*1\r\n$4\r\nPING\r\n",
    ];
    for bytes in spoken {
        assert!(bed.closes_on(bytes).await.is_empty());
        bed.others_are_served().await;
    }
}

#[tokio::test]
async fn a_request_cut_at_any_byte_is_never_carried_out() {
    let mut bed = Bed::new().await;
    for codec in [Compression::None, Compression::Lz4] {
        let whole = framed(9, produce(batch(codec, 2)));
        for len in 0..whole.len() {
            // The client leaves in the middle.
            let mut stream = bed.connect().await;
            stream.write_all(&whole[..len]).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut got = Vec::new();
            timeout(SOON, stream.read_to_end(&mut got))
                .await
                .expect("it is closed")
                .unwrap();
            assert!(got.is_empty(), "{len}");
        }
        for len in 0..whole.len() - 4 {
            // The length fits, the contents do not: refused or, where records are short, answered with an error.
            let mut client = bed.client().await;
            let _ = client.stream.write_all(&prefixed(&whole[4..4 + len])).await;
            let answer = timeout(SOON, client.frame_or_reset()).await.expect("no silence");
            if let Some(frame) = answer {
                let body = frame::decode_response(frame, kohort_broker::ApiKey::Produce, 9)
                    .unwrap()
                    .1;
                let body: kohort_protocol::messages::ProduceResponse = body.try_into().unwrap();
                assert_ne!(body.responses[0].partition_responses[0].error_code, 0, "{len}");
            }
        }
        bed.others_are_served().await;
    }
    // Nothing but the good client's records is there.
    assert_eq!(bed.produced, 2);
}

#[tokio::test]
async fn requests_of_no_api_or_version_end_the_connection() {
    let mut bed = Bed::new().await;
    for (key, version) in [
        (-1i16, 0i16),
        (93, 0),
        (1000, 0),
        (i16::MAX, i16::MAX),
        (0, 99),
        (1, -1),
        (3, i16::MIN),
        (62, 0),
    ] {
        let body = [
            &key.to_be_bytes()[..],
            &version.to_be_bytes(),
            &[0, 0, 0, 1, 0xff, 0xff, 0, 0],
        ]
        .concat();
        assert!(
            bed.closes_on(&prefixed(&body)).await.is_empty(),
            "{key} {version}"
        );
    }
    bed.others_are_served().await;
}
