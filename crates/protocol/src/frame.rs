//! Frames: a length of four bytes, a header, a body. Which connection a frame came from, and what answers it, is not
//! known here.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use crate::api_key::ApiKey;
use crate::body::{RequestBody, ResponseBody};
use crate::messages::{RequestHeader, ResponseHeader};
use crate::wire::{DecodeError, EncodeError, Message, Reader, Segments, Writer};

/// How many elements the arrays and the sections of tagged fields of a request may have, all together. Kafka has no such
/// bound. What is decoded, and the answer to it, may be some hundred times as large as an element's fewest bytes, so that a
/// bound on the bytes alone would be none on the memory; a client that names a million partitions at once is far from it.
pub const MOST_ELEMENTS_OF_REQUEST: usize = 1 << 20;

/// The same of an answer: enough for what Metadata says of a million partitions with three replicas each.
pub const MOST_ELEMENTS_OF_RESPONSE: usize = 8 << 20;

/// A length prefix that no frame can have. The connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The length is negative.
    #[error("the frame announces a negative length: {len}")]
    Negative {
        /// The length announced.
        len: i32,
    },
    /// The length is over the bound.
    #[error("the frame announces {len} bytes, at most {max} are allowed")]
    TooLarge {
        /// Bytes announced, the prefix not counted.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
}

/// The length of the frame that `bytes` begins with, the prefix of four bytes not counted; none while the prefix is not
/// whole.
///
/// # Errors
/// The length is negative or over `max`.
pub fn frame_len(bytes: &[u8], max: usize) -> Result<Option<usize>, FrameError> {
    let Some(prefix) = bytes.first_chunk() else {
        return Ok(None);
    };
    let announced = i32::from_be_bytes(*prefix);
    let len = usize::try_from(announced).map_err(|_| FrameError::Negative { len: announced })?;
    if len > max {
        return Err(FrameError::TooLarge { len, max });
    }
    Ok(Some(len))
}

/// Takes the first frame off `buf`, without its prefix; none while it is not whole. Nothing is copied, and nothing is
/// reserved for what has not come yet.
///
/// # Errors
/// The length is negative or over `max` bytes; `buf` is left as it is.
pub fn split_frame(buf: &mut BytesMut, max: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(len) = frame_len(buf, max)? else {
        return Ok(None);
    };
    if buf.len().saturating_sub(4) < len {
        return Ok(None);
    }
    buf.advance(4);
    Ok(Some(buf.split_to(len).freeze()))
}

/// A request that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The header itself cannot be read: close the connection.
    #[error("the header of the request cannot be read: {0}")]
    Header(DecodeError),
    /// No API has this number: close the connection, as Kafka does.
    #[error("there is no API {key}")]
    UnknownApi {
        /// The number of the API.
        key: i16,
    },
    /// The version is not served, or the API is not in this crate. To ApiVersions a broker answers version 0 with
    /// UNSUPPORTED_VERSION and the range of ApiVersions alone (KIP-511); else it closes the connection.
    #[error("{key} version {version} is not supported")]
    UnsupportedVersion {
        /// The API.
        key: ApiKey,
        /// The version that the request is in.
        version: i16,
        /// What the answer must carry.
        correlation_id: i32,
    },
    /// The body cannot be read: close the connection, as Kafka does.
    #[error("{key} version {version} cannot be read: {error}")]
    Decode {
        /// The API.
        key: ApiKey,
        /// The version that the request is in.
        version: i16,
        /// What an answer would carry.
        correlation_id: i32,
        /// What is wrong.
        error: DecodeError,
    },
}

/// The fields that every request begins with, in any version of any API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestPeek {
    /// The number of the API, known or not.
    pub key: i16,
    /// The version of the request, supported or not.
    pub version: i16,
    /// What the answer must carry.
    pub correlation_id: i32,
}

/// Reads only the beginning of a request.
///
/// # Errors
/// There are fewer than eight bytes.
pub fn peek_request(frame: &Bytes) -> Result<RequestPeek, DecodeError> {
    let mut reader = Reader::new(frame.clone());
    Ok(RequestPeek {
        key: reader.int16("RequestHeader.RequestApiKey")?,
        version: reader.int16("RequestHeader.RequestApiVersion")?,
        correlation_id: reader.int32("RequestHeader.CorrelationId")?,
    })
}

/// Decodes a request, without its length prefix. Bytes after the body are ignored, as Kafka does.
///
/// # Errors
/// See [`RequestError`]; among them, that there are more than [`MOST_ELEMENTS_OF_REQUEST`].
pub fn decode_request(frame: Bytes) -> Result<(RequestHeader, RequestBody), RequestError> {
    let RequestPeek {
        key,
        version,
        correlation_id,
    } = peek_request(&frame).map_err(RequestError::Header)?;
    let key = ApiKey::from_i16(key).ok_or(RequestError::UnknownApi { key })?;
    if !key
        .supported_versions()
        .is_some_and(|supported| supported.contains(version))
    {
        return Err(RequestError::UnsupportedVersion {
            key,
            version,
            correlation_id,
        });
    }
    let mut reader = Reader::with_most_elements(frame, MOST_ELEMENTS_OF_REQUEST);
    let header = RequestHeader::decode(&mut reader, key.request_header_version(version))
        .map_err(RequestError::Header)?;
    match RequestBody::decode(key, version, &mut reader) {
        Ok(body) => Ok((header, body)),
        Err(error) => Err(RequestError::Decode {
            key,
            version,
            correlation_id,
            error,
        }),
    }
}

/// Decodes the answer to a request of this API and version, without its length prefix: correlation id and body.
///
/// # Errors
/// The bytes are no such response, or one of more than [`MOST_ELEMENTS_OF_RESPONSE`].
pub fn decode_response(frame: Bytes, key: ApiKey, version: i16) -> Result<(i32, ResponseBody), DecodeError> {
    let mut reader = Reader::with_most_elements(frame, MOST_ELEMENTS_OF_RESPONSE);
    let header = ResponseHeader::decode(&mut reader, key.response_header_version(version))?;
    let mut again = reader.clone();
    let body = match ResponseBody::decode(key, version, &mut reader) {
        // Kafka: ApiVersionsResponse.parse; a broker answers version 0 to a version that it does not know (KIP-511).
        Err(_) if key == ApiKey::ApiVersions && version != 0 => ResponseBody::decode(key, 0, &mut again)?,
        result => result?,
    };
    Ok((header.correlation_id, body))
}

/// A request with its length prefix. API and version of `header` are taken from `body` and `version`, whatever they say.
///
/// # Errors
/// As [`Message::write_to`].
pub fn encode_request(
    header: &RequestHeader,
    version: i16,
    body: &RequestBody,
) -> Result<BytesMut, EncodeError> {
    let mut writer = Writer::contiguous(BytesMut::new());
    write_request(&mut writer, header, version, body)?;
    Ok(writer.into_bytes_mut())
}

/// As [`encode_request`], but the records of a Produce request are not copied.
///
/// # Errors
/// As [`Message::write_to`].
pub fn encode_request_segmented(
    header: &RequestHeader,
    version: i16,
    body: &RequestBody,
) -> Result<Segments, EncodeError> {
    let mut writer = Writer::segmented();
    write_request(&mut writer, header, version, body)?;
    Ok(writer.into_segments())
}

fn write_request(
    writer: &mut Writer,
    header: &RequestHeader,
    version: i16,
    body: &RequestBody,
) -> Result<(), EncodeError> {
    let key = body.api_key();
    let header = RequestHeader {
        request_api_key: key.code(),
        request_api_version: version,
        correlation_id: header.correlation_id,
        client_id: header.client_id.clone(),
    };
    writer.int32(0);
    header.write_to(writer, key.request_header_version(version))?;
    body.write_to(writer, version)?;
    writer.set_length_prefix()
}

/// A response with its length prefix.
///
/// # Errors
/// As [`Message::write_to`].
pub fn encode_response(
    correlation_id: i32,
    version: i16,
    body: &ResponseBody,
) -> Result<BytesMut, EncodeError> {
    let mut writer = Writer::contiguous(BytesMut::new());
    write_response(&mut writer, correlation_id, version, body)?;
    Ok(writer.into_bytes_mut())
}

/// As [`encode_response`], but the records of a Fetch response are not copied.
///
/// # Errors
/// As [`Message::write_to`].
pub fn encode_response_segmented(
    correlation_id: i32,
    version: i16,
    body: &ResponseBody,
) -> Result<Segments, EncodeError> {
    let mut writer = Writer::segmented();
    write_response(&mut writer, correlation_id, version, body)?;
    Ok(writer.into_segments())
}

fn write_response(
    writer: &mut Writer,
    correlation_id: i32,
    version: i16,
    body: &ResponseBody,
) -> Result<(), EncodeError> {
    let header = ResponseHeader { correlation_id };
    writer.int32(0);
    header.write_to(writer, body.api_key().response_header_version(version))?;
    body.write_to(writer, version)?;
    writer.set_length_prefix()
}

#[cfg(test)]
mod tests;
