//! From keys and values to bytes, for the producer. How records are put into batches lives in `kohort-records`.

mod native;

pub use native::{Encode, Native};

use bytes::Bytes;
use kohort_records::Header;

use crate::deserialize::BoxError;

/// Turns a `T` into the bytes of a key or a value. It runs inside `send`, on the caller's task, and must not block.
///
/// ```
/// use bytes::Bytes;
/// use kohort::deserialize::BoxError;
/// use kohort::serialize::Serializer;
/// use kohort::Header;
///
/// /// Writes `amount;currency`.
/// struct Price;
///
/// impl Serializer<(u32, String)> for Price {
///     fn serialize(&self, _: &str, _: &mut Vec<Header>, price: &(u32, String)) -> Result<Option<Bytes>, BoxError> {
///         Ok(Some(format!("{};{}", price.0, price.1).into()))
///     }
/// }
/// ```
pub trait Serializer<T>: Send + Sync {
    /// Writes one key or value; `None` is null. Headers may be added.
    ///
    /// # Errors
    /// Whatever makes the value unwritable; `send` returns it.
    fn serialize(&self, topic: &str, headers: &mut Vec<Header>, value: &T)
    -> Result<Option<Bytes>, BoxError>;

    /// The Java serializers that write the same bytes, by their whole names: what `key.serializer` and `value.serializer` of
    /// a properties file are checked against. `None`: anything is accepted.
    fn java_classes(&self) -> Option<&'static [&'static str]> {
        None
    }
}
