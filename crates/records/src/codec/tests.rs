//! Limits and hostile input of each codec.

use bytes::Bytes;

use super::*;

const COMPRESSED: [Compression; 4] = [
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

fn compress(codec: Compression, input: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    Compressor::new(codec, None)
        .unwrap()
        .run(input, &mut output)
        .unwrap();
    output
}

fn decompress(codec: Compression, input: &[u8], limit: usize) -> Result<Vec<u8>, Failure> {
    Decompressor::new().run(codec, input, limit).map(Vec::from)
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|i| b"consumer group"[(i * i / 7) % 14]).collect()
}

#[test]
fn every_length_comes_back() {
    for codec in Compression::ALL {
        for length in [0, 1, 2, 63, 64, 1_000, 32_768, 32_769, 65_536, 65_537, 200_000] {
            let input = text(length);
            assert_eq!(
                decompress(codec, &compress(codec, &input), length),
                Ok(input),
                "{codec} {length}"
            );
        }
    }
}

#[test]
fn what_was_compressed_before_has_no_influence() {
    for codec in Compression::ALL {
        let mut compressor = Compressor::new(codec, None).unwrap();
        for length in [200_000, 0, 1_000, 65_537, 1] {
            let input = text(length);
            let mut output = b"before".to_vec();
            compressor.run(&input, &mut output).unwrap();
            assert_eq!(output[6..], compress(codec, &input), "{codec} {length}");
        }
    }
}

#[test]
fn decompression_stops_at_the_limit() {
    for codec in Compression::ALL {
        for length in [1_usize, 1_000, 100_000, 5_000_000] {
            let compressed = compress(codec, &text(length));
            assert_eq!(
                decompress(codec, &compressed, length - 1),
                Err(Failure::TooLarge),
                "{codec} {length}"
            );
        }
    }
}

#[test]
fn a_bomb_never_grows_the_buffer_past_the_limit() {
    let zeros = vec![0; 64 << 20];
    for codec in COMPRESSED {
        let bomb = compress(codec, &zeros);
        assert!(bomb.len() < zeros.len() / 20, "{codec}: {}", bomb.len());
        let mut output = Vec::new();
        let limit = 100_000;
        let result = match codec {
            Compression::Gzip => gzip::Inflater::default().run(&bomb, &mut output, limit),
            Compression::Snappy => {
                snappy::decompress(&mut snap::raw::Decoder::new(), &bomb, &mut output, limit)
            }
            Compression::Lz4 => lz4::decompress(&mut lz4::Growth::default(), &bomb, &mut output, limit),
            _ => zstd::decompress(&mut zrip::DecompressContext::new(), &bomb, &mut output, limit),
        };
        assert_eq!(result, Err(Failure::TooLarge), "{codec}");
        assert!(
            output.capacity() <= limit + 140_000,
            "{codec}: {}",
            output.capacity()
        );
    }
}

#[test]
fn an_announced_length_is_not_believed() {
    // Snappy: 2 GiB announced, 3 bytes there.
    let announced = [0xff, 0xff, 0xff, 0xff, 0x07, 0x00, 0x61];
    let result = decompress(Compression::Snappy, &announced, usize::MAX);
    assert!(matches!(result, Err(Failure::Corrupt { .. })), "{result:?}");
    // Zstd: a single-segment frame that announces 2^60 bytes.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
    frame.extend((1_u64 << 60).to_le_bytes());
    frame.extend([0x01, 0x00, 0x00]);
    let result = decompress(Compression::Zstd, &frame, usize::MAX);
    assert!(matches!(result, Err(Failure::Corrupt { .. })), "{result:?}");
}

#[test]
fn an_lz4_frame_of_large_blocks_does_not_reserve_them() {
    let mut frame = lz4_frame_with_everything(&[b"a few bytes"]);
    let mut output = Vec::new();
    lz4::decompress(&mut lz4::Growth::default(), &frame, &mut output, usize::MAX).unwrap();
    assert!(output.capacity() < 8_192, "{}", output.capacity());
    // A block that is not what it says has no more influence.
    frame[19] ^= 0xff;
    let mut output = Vec::new();
    assert!(lz4::decompress(&mut lz4::Growth::default(), &frame, &mut output, usize::MAX).is_err());
    assert!(output.capacity() < 8_192, "{}", output.capacity());
}

#[test]
fn input_cut_anywhere_is_an_error() {
    let input = text(3_000);
    for codec in COMPRESSED {
        let compressed = compress(codec, &input);
        for length in 0..compressed.len() {
            // What ends between frames or blocks is whole as far as it goes; the batch's record count tells.
            if let Ok(output) = decompress(codec, &compressed[..length], 1 << 20) {
                assert!(input.starts_with(&output), "{codec} {length}");
                assert!(
                    output.len() < input.len() || length + 4 >= compressed.len(),
                    "{codec} {length}"
                );
            }
        }
    }
}

#[test]
fn snappy_is_read_raw_and_in_concatenated_frames() {
    let input = text(40_000);
    let raw = snap::raw::Encoder::new().compress_vec(&input).unwrap();
    assert_eq!(
        decompress(Compression::Snappy, &raw, 1 << 20).as_deref(),
        Ok(&input[..])
    );
    let twice = [
        compress(Compression::Snappy, &input),
        compress(Compression::Snappy, &input),
    ]
    .concat();
    assert_eq!(
        decompress(Compression::Snappy, &twice, 1 << 20),
        Ok([input.clone(), input].concat())
    );
}

#[test]
fn gzip_is_read_in_concatenated_members() {
    let twice = [
        compress(Compression::Gzip, b"one "),
        compress(Compression::Gzip, b"two"),
    ]
    .concat();
    assert_eq!(
        decompress(Compression::Gzip, &twice, 100).as_deref(),
        Ok(&b"one two"[..])
    );
}

#[test]
fn what_follows_a_gzip_member_and_is_none_is_ignored_as_in_java() {
    let padded = [compress(Compression::Gzip, b"one"), vec![0; 7]].concat();
    assert_eq!(
        decompress(Compression::Gzip, &padded, 100).as_deref(),
        Ok(&b"one"[..])
    );
}

#[test]
fn levels_are_those_of_kafka() {
    let allowed = |codec: Compression, level| codec.check_level(Some(level)).is_ok();
    assert!(
        Compression::ALL
            .iter()
            .all(|codec| codec.check_level(None).is_ok())
    );
    assert!(!allowed(Compression::None, 0) && !allowed(Compression::Snappy, 1));
    assert!(
        allowed(Compression::Gzip, -1) && allowed(Compression::Gzip, 9) && !allowed(Compression::Gzip, 0)
    );
    assert!(allowed(Compression::Lz4, 17) && !allowed(Compression::Lz4, 0) && !allowed(Compression::Lz4, 18));
    assert!(
        allowed(Compression::Zstd, -131_072)
            && allowed(Compression::Zstd, 22)
            && !allowed(Compression::Zstd, 23)
    );
}

#[test]
fn every_level_is_read_back() {
    let input = text(20_000);
    for (codec, levels) in [
        (Compression::Gzip, vec![-1, 1, 6, 9]),
        (Compression::Lz4, vec![1, 9, 17]),
        (Compression::Zstd, vec![-131_072, -7, -1, 0, 1, 3, 4, 19, 22]),
    ] {
        for level in levels {
            let mut output = Vec::new();
            Compressor::new(codec, Some(level))
                .unwrap()
                .run(&input, &mut output)
                .unwrap();
            assert_eq!(
                decompress(codec, &output, 1 << 20).as_deref(),
                Ok(&input[..]),
                "{codec} {level}"
            );
        }
    }
}

/// An LZ4 frame with blocks of 4 MiB at most, each with a checksum, and with content size and content checksum.
fn lz4_frame_with_everything(blocks: &[&[u8]]) -> Vec<u8> {
    let descriptor = [&[0x7c, 0x70][..], &1_000_u64.to_le_bytes()].concat();
    let mut frame = [&0x184d_2204_u32.to_le_bytes()[..], &descriptor].concat();
    frame.push((twox_hash::XxHash32::oneshot(0, &descriptor) >> 8) as u8);
    for block in blocks {
        let compressed = lz4_flex::block::compress(block);
        frame.extend((compressed.len() as u32).to_le_bytes());
        frame.extend(&compressed);
        frame.extend(twox_hash::XxHash32::oneshot(0, &compressed).to_le_bytes());
    }
    frame.extend([0; 8]);
    frame
}

#[test]
fn lz4_frames_with_checksums_and_sizes_are_read() {
    let (first, second) = (text(300_000), text(10));
    let frame = lz4_frame_with_everything(&[&first, &second]);
    assert_eq!(
        decompress(Compression::Lz4, &frame, 1 << 20),
        Ok([first, second].concat())
    );
}

#[test]
fn lz4_blocks_that_grow_differently_are_read_one_after_another() {
    let mut decompressor = Decompressor::new();
    let noise: Vec<u8> = (0..5_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for input in [
        text(100_000),
        noise.clone(),
        vec![0; 60_000],
        noise,
        vec![0; 60_000],
    ] {
        let compressed = compress(Compression::Lz4, &input);
        assert_eq!(
            decompressor.run(Compression::Lz4, &compressed, input.len()),
            Ok(Bytes::from(input))
        );
    }
}

#[test]
fn a_damaged_lz4_block_or_header_is_found_by_its_checksum() {
    let frame = lz4_frame_with_everything(&[b"some text"]);
    for at in 0..frame.len() - 8 {
        let mut damaged = frame.clone();
        damaged[at] ^= 0x01;
        assert!(
            matches!(
                decompress(Compression::Lz4, &damaged, 1 << 20),
                Err(Failure::Corrupt { .. })
            ),
            "{at}"
        );
    }
}

#[test]
fn an_lz4_frame_of_dependent_blocks_is_refused_as_kafka_does() {
    let mut frame = compress(Compression::Lz4, &text(100));
    frame[4] = 0x40;
    let checksum = (twox_hash::XxHash32::oneshot(0, &frame[4..6]) >> 8) as u8;
    frame[6] = checksum;
    assert!(matches!(
        decompress(Compression::Lz4, &frame, 1_000),
        Err(Failure::Corrupt { position: 0, .. })
    ));
}

#[test]
fn what_a_batch_keeps_is_not_far_larger_than_its_records() {
    for codec in COMPRESSED {
        let output = decompress(codec, &compress(codec, &text(20_000)), 1 << 20).unwrap();
        assert!(output.capacity() < 27_000, "{codec}: {}", output.capacity());
    }
}
