//! Kafka's wire messages, as of Apache Kafka 4.3.1.
//!
//! The structs of [`messages`], [`consumer_protocol`] and [`group_records`], and the enums [`ApiKey`], [`ErrorCode`],
//! [`RequestBody`] and [`ResponseBody`], are generated at build time from the tables in `tables/`; the generator is in
//! `build/`. What is written by hand: reading and writing of primitives ([`Reader`], [`Writer`]), and [`frame`].
//!
//! ```
//! use bytes::BytesMut;
//! use kohort_protocol::messages::{MetadataRequest, RequestHeader, metadata::MetadataRequestTopic};
//! use kohort_protocol::{ApiKey, RequestBody, frame};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let request = MetadataRequest {
//!     topics: Some(vec![MetadataRequestTopic { name: Some("orders".into()), ..Default::default() }]),
//!     ..Default::default()
//! };
//! let header = RequestHeader { correlation_id: 7, client_id: Some("me".into()), ..Default::default() };
//! let mut stream: BytesMut = frame::encode_request(&header, 12, &request.clone().into())?;
//!
//! let frame = frame::split_frame(&mut stream, 1 << 20)?.ok_or("the frame is whole")?;
//! let (header, body) = frame::decode_request(frame)?;
//! assert_eq!(header.request_api_version, 12);
//! assert_eq!(body.api_key(), ApiKey::Metadata);
//! assert_eq!(body, RequestBody::from(request));
//! # Ok(())
//! # }
//! ```
//!
//! # Hostile input
//!
//! Decoding never panics, and never allocates by an announced length: a string or byte field must be there before it
//! is copied or sliced, an array of `n` elements must have at least `n` times the smallest element's bytes left, and its
//! vector starts no larger than those bytes, growing only as elements are decoded. So what decoding holds is at
//! most 52 bytes for each byte of the frame and 2 KiB more (`tests/hostile.rs`): an empty string is one byte on the wire
//! and 24 in memory, a group of an OffsetFetch request three bytes and 80, and a vector that grows holds its old block,
//! too. Who reads frames of strangers bounds their size accordingly. [`frame::decode_request`] and [`frame::decode_response`]
//! bound the number of elements as well, [`frame::MOST_ELEMENTS_OF_REQUEST`] and [`frame::MOST_ELEMENTS_OF_RESPONSE`].
#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod api_key;
mod body;
pub mod consumer_protocol;
mod error_code;
mod error_message;
pub mod frame;
pub mod group_records;
pub mod messages;
mod prefixed;
mod uuid;
mod wire;

pub use api_key::{ApiKey, VersionRange};
pub use body::{Request, RequestBody, ResponseBody, UnexpectedBody};
pub use error_code::ErrorCode;
pub use error_message::{LONGEST_ERROR_MESSAGE, error_message};
pub use uuid::{InvalidUuid, Uuid};
pub use wire::{DecodeError, EncodeError, Message, Reader, Reason, Segments, Writer};
