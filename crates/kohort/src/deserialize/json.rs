//! JSON keys and values by serde, on both ways.

use bytes::Bytes;
use kohort_records::Header;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{BoxError, Context, Decode, DecodeError, Payload};
use crate::serialize::Encode;

/// A key or value that is JSON on the wire.
///
/// ```
/// use kohort::deserialize::Json;
/// use kohort::Consumer;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Purchase { article: String, pieces: u32 }
///
/// type Purchases = Consumer<String, Json<Purchase>>;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Json<T>(pub T);

impl<T> Json<T> {
    /// What was read.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> core::ops::Deref for Json<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> Decode for Json<T> {
    fn decode(_: &Context<'_>, payload: Payload<'_>) -> Result<Self, BoxError> {
        let slice = payload.as_slice().ok_or(DecodeError::Null)?;
        Ok(Self(serde_json::from_slice(slice)?))
    }

    fn java_classes() -> Option<&'static [&'static str]> {
        None
    }
}

impl<T: Serialize> Encode for Json<T> {
    fn encode(&self, _: &str, _: &mut Vec<Header>) -> Result<Option<Bytes>, BoxError> {
        Ok(Some(serde_json::to_vec(&self.0)?.into()))
    }

    fn java_classes() -> Option<&'static [&'static str]> {
        None
    }
}
