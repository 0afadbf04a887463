//! The lines of golden.tsv.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

/// Message, version, variant, bytes, JSON.
pub(crate) type Line = (&'static str, i16, &'static str, Bytes, &'static str);

pub(crate) fn lines() -> Vec<Line> {
    let mut last = "";
    include_str!("golden.tsv")
        .lines()
        .map(|line| {
            let [message, version, variant, bytes, json]: [&str; 5] =
                line.split('\t').collect::<Vec<_>>().try_into().unwrap();
            if json != "=" {
                last = json;
            }
            let bytes = BASE64_STANDARD.decode(bytes).unwrap().into();
            (message, version.parse().unwrap(), variant, bytes, last)
        })
        .collect()
}
