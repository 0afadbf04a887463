//! Record batches that lie: answered with an error, on a connection that goes on.

use bytes::BytesMut;
use kohort_protocol::messages::FetchRequest;
use kohort_protocol::messages::fetch::{FetchPartition, FetchTopic};
use kohort_records::{BATCH_OVERHEAD, Batch};

use super::*;

/// A batch with some bytes changed; its checksum is right afterwards if `sealed`.
fn changed(at: usize, bytes: &[u8], sealed: bool) -> Bytes {
    let mut batch = BytesMut::from(&batch(Compression::None, 3)[..]);
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    if sealed {
        seal(&mut batch);
    }
    batch.freeze()
}

fn seal(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

#[tokio::test]
async fn a_batch_that_lies_is_refused_with_its_error_and_the_connection_goes_on() {
    let mut bed = Bed::new().await;
    let mut client = bed.client().await;
    let minus = (-1i32).to_be_bytes();
    let most = i32::MAX.to_be_bytes();
    let hostile = [
        (
            "a wrong checksum",
            changed(17, &[1, 2, 3, 4], false),
            ErrorCode::CorruptMessage,
        ),
        (
            "a length of -1",
            changed(8, &minus, true),
            ErrorCode::CorruptMessage,
        ),
        (
            "a length of 0",
            changed(8, &[0; 4], true),
            ErrorCode::CorruptMessage,
        ),
        (
            "a length beyond the end",
            changed(8, &most, true),
            ErrorCode::InvalidRecord,
        ),
        ("magic 0", changed(16, &[0], true), ErrorCode::InvalidRecord),
        ("magic 1", changed(16, &[1], true), ErrorCode::InvalidRecord),
        ("magic 3", changed(16, &[3], true), ErrorCode::CorruptMessage),
        ("magic -1", changed(16, &[0xff], true), ErrorCode::CorruptMessage),
        (
            "codec 5",
            changed(22, &[5], true),
            ErrorCode::UnsupportedCompressionType,
        ),
        (
            "codec 7",
            changed(22, &[7], true),
            ErrorCode::UnsupportedCompressionType,
        ),
        (
            "a codec that it is not compressed by",
            changed(22, &[2], true),
            ErrorCode::CorruptMessage,
        ),
        ("-1 records", changed(57, &minus, true), ErrorCode::CorruptMessage),
        (
            "2^31-1 records",
            changed(57, &most, true),
            ErrorCode::InvalidRecord,
        ),
        ("no records", changed(57, &[0; 4], true), ErrorCode::InvalidRecord),
        (
            "a last offset delta of -1",
            changed(23, &minus, true),
            ErrorCode::CorruptMessage,
        ),
        (
            "a last offset delta of 2^31-1",
            changed(23, &most, true),
            ErrorCode::InvalidRecord,
        ),
        (
            "a base offset of -1",
            changed(0, &[0xff; 8], true),
            ErrorCode::CorruptMessage,
        ),
        (
            "a record of length -1",
            changed(61, &[1], true),
            ErrorCode::CorruptMessage,
        ),
        (
            "a record beyond the end",
            changed(61, &[0xff, 0x7f], true),
            ErrorCode::CorruptMessage,
        ),
        (
            "control records",
            changed(22, &[0x20], true),
            ErrorCode::InvalidRecord,
        ),
        ("nothing", Bytes::new(), ErrorCode::InvalidRecord),
        (
            "half a header",
            batch(Compression::None, 1).slice(..30),
            ErrorCode::InvalidRecord,
        ),
    ];
    for (what, records, expected) in hostile {
        let response = timeout(SOON, client.ask(9, produce(records))).await.expect(what);
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(ErrorCode::from_code(partition.error_code), expected, "{what}");
        bed.others_are_served().await;
    }
}

/// A small batch that decompresses to `size` zeros.
fn bomb(codec: Compression, size: usize) -> Bytes {
    let mut builder = BatchBuilder::new(codec, None).unwrap();
    let value = vec![0; size];
    builder.append(0, None, Some(&value), &[]).unwrap();
    builder.build(0).unwrap()
}

#[tokio::test]
async fn a_batch_that_decompresses_without_end_is_refused() {
    let mut bed = Bed::with(&[("message.max.bytes", "20000000")]).await;
    let mut client = bed.client().await;
    for codec in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let records = bomb(codec, (256 << 20) + 1);
        assert!(records.len() < 20_000_000, "{codec}: {}", records.len());
        let response = timeout(SOON * 3, client.ask(9, produce(records)))
            .await
            .expect("an answer");
        let partition = &response.responses[0].partition_responses[0];
        let code = ErrorCode::from_code(partition.error_code);
        assert_eq!(code, ErrorCode::MessageTooLarge, "{codec}");
        bed.others_are_served().await;
    }
}

#[tokio::test]
async fn a_bomb_within_max_message_bytes_is_refused_at_64_times_that() {
    let mut bed = Bed::new().await;
    let mut client = bed.client().await;
    for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
        let records = bomb(codec, 65 << 20);
        assert!(records.len() < 1_048_588, "{codec}: {}", records.len());
        let response = timeout(SOON * 3, client.ask(9, produce(records)))
            .await
            .expect("an answer");
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(
            ErrorCode::from_code(partition.error_code),
            ErrorCode::MessageTooLarge,
            "{codec}"
        );
        bed.others_are_served().await;
    }
    // What a producer may well send is taken.
    let records = bomb(Compression::Lz4, 32 << 20);
    let response = client.ask(9, produce(records)).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

#[tokio::test]
async fn compressed_bytes_changed_anywhere_are_refused_or_stored_whole() {
    let mut bed = Bed::new().await;
    let mut client = bed.client().await;
    for codec in Compression::ALL {
        let whole = batch(codec, 5);
        let mut stored = Vec::new();
        for at in BATCH_OVERHEAD..whole.len() {
            let mut hostile = BytesMut::from(&whole[..]);
            hostile[at] ^= 0x55;
            seal(&mut hostile);
            let answer = timeout(SOON, client.ask(9, produce(hostile.freeze())))
                .await
                .expect("an answer");
            let partition = &answer.responses[0].partition_responses[0];
            match ErrorCode::from_code(partition.error_code) {
                ErrorCode::None => stored.push(partition.base_offset),
                ErrorCode::CorruptMessage | ErrorCode::InvalidRecord | ErrorCode::MessageTooLarge => {}
                code => panic!("{codec} at {at}: {code}"),
            }
        }
        // Whoever reads what was stored can read all of it.
        for offset in stored {
            let answer = client.ask(11, fetch(offset)).await;
            let records = answer.responses[0].partitions[0].records.clone();
            let batch = Batch::decode(records.unwrap_or_default(), 0);
            let batch = batch.expect("sound").expect("whole");
            assert_eq!(batch.base_offset(), offset, "{codec}");
            batch.verify_crc().expect("the checksum is that of the bytes");
            let open = batch.open(1 << 20).expect("sound records");
            assert_eq!(open.iter().count(), 5, "{codec} at {offset}");
        }
        bed.others_are_served().await;
    }
}

fn fetch(fetch_offset: i64) -> FetchRequest {
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        max_bytes: 1 << 20,
        session_epoch: -1,
        topics: vec![FetchTopic {
            topic: "t".into(),
            partitions: vec![FetchPartition {
                fetch_offset,
                current_leader_epoch: -1,
                log_start_offset: -1,
                partition_max_bytes: 1,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}
