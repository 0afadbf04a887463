//! Enums of all requests and of all responses, for what handles more than one API.

use alloc::boxed::Box;

use bytes::BytesMut;
use thiserror::Error;

use crate::api_key::ApiKey;
use crate::messages;
use crate::wire::{DecodeError, EncodeError, Message, Reader, Reason, Writer, append};

/// A message that asks, and the one that answers it.
pub trait Request: Message {
    /// The API that both belong to.
    const KEY: ApiKey;
    /// What answers it, in the same version.
    type Response: Message;
}

/// The body is of another API than the one wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the body is of {got}, not of {wanted}")]
pub struct UnexpectedBody {
    /// The API asked for.
    pub wanted: ApiKey,
    /// The API of the body.
    pub got: ApiKey,
}

macro_rules! conversions {
    ($body:ident, $api:ident, $message:ident) => {
        impl From<messages::$message> for $body {
            fn from(message: messages::$message) -> Self {
                Self::$api(Box::new(message))
            }
        }

        impl TryFrom<$body> for messages::$message {
            type Error = UnexpectedBody;

            fn try_from(body: $body) -> Result<Self, UnexpectedBody> {
                match body {
                    $body::$api(message) => Ok(*message),
                    other => Err(UnexpectedBody {
                        wanted: ApiKey::$api,
                        got: other.api_key(),
                    }),
                }
            }
        }
    };
}

include!(concat!(env!("OUT_DIR"), "/body.rs"));
