//! From bytes to keys and values. How records are read out of batches lives in `kohort-records`.
//!
//! Types that implement [`Decode`] need no further word: `Consumer<String, i64>` reads keys as UTF-8 and values as Java's
//! `LongDeserializer` does. For anything else give the builder a [`Deserializer`], or a closure through [`from_fn`].

mod error;
mod json;
mod native;

pub use error::{BoxError, Origin, RecordDeserializationError};
pub use json::Json;
pub use native::{Decode, DecodeError, Native};

use bytes::Bytes;
use kohort_records::{Headers, RecordView};

/// Turns the bytes of a key or a value into a `T`. It runs inside `poll`, on the caller's task, and must not block.
///
/// ```
/// use kohort::deserialize::{BoxError, Context, Deserializer, Payload};
///
/// /// Reads `amount;currency`.
/// struct Price;
///
/// impl Deserializer<(u32, String)> for Price {
///     fn deserialize(&self, _: &Context<'_>, payload: Payload<'_>) -> Result<(u32, String), BoxError> {
///         let text = std::str::from_utf8(payload.as_slice().ok_or("no price")?)?;
///         let (amount, currency) = text.split_once(';').ok_or("no `;`")?;
///         Ok((amount.parse()?, currency.to_owned()))
///     }
/// }
/// ```
pub trait Deserializer<T>: Send + Sync {
    /// Reads one key or value.
    ///
    /// # Errors
    /// Whatever makes the bytes unreadable. `poll` reports it with topic, partition, offset and the raw record, and the
    /// position stays at that record until `seek`.
    fn deserialize(&self, context: &Context<'_>, payload: Payload<'_>) -> Result<T, BoxError>;

    /// The Java deserializers that read the same bytes, by their whole names: what `key.deserializer` and
    /// `value.deserializer` of a properties file are checked against. `None`: anything is accepted.
    fn java_classes(&self) -> Option<&'static [&'static str]> {
        None
    }
}

/// What surrounds the bytes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Context<'a> {
    /// The topic of the record.
    pub topic: &'a str,
    /// The headers of the record.
    pub headers: Headers<'a>,
    /// Whether this is the key or the value.
    pub origin: Origin,
}

/// The bytes of a key or a value; null is told apart from empty.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    slice: Option<&'a [u8]>,
    record: Option<&'a RecordView<'a>>,
}

impl<'a> Payload<'a> {
    /// These bytes on their own, for tests of a deserializer.
    ///
    /// ```
    /// use kohort::deserialize::Payload;
    ///
    /// assert_eq!(Payload::new(Some(b"abc")).to_bytes().as_deref(), Some(&b"abc"[..]));
    /// assert!(Payload::new(None).is_null());
    /// ```
    pub const fn new(slice: Option<&'a [u8]>) -> Self {
        Self { slice, record: None }
    }

    pub(crate) const fn of(slice: Option<&'a [u8]>, record: &'a RecordView<'a>) -> Self {
        Self {
            slice,
            record: Some(record),
        }
    }

    /// The bytes; `None` for null.
    pub const fn as_slice(&self) -> Option<&'a [u8]> {
        self.slice
    }

    /// Whether it is null (a value that is null is a tombstone in a compacted topic).
    pub const fn is_null(&self) -> bool {
        self.slice.is_none()
    }

    /// The bytes as a handle that lives on its own. Nothing is copied: the handle keeps the record's batch in memory.
    pub fn to_bytes(&self) -> Option<Bytes> {
        let slice = self.slice?;
        Some(match self.record {
            Some(record) => record.share(slice),
            None => Bytes::copy_from_slice(slice),
        })
    }
}

/// A [`Deserializer`] made of a closure.
///
/// ```
/// use kohort::deserialize::{from_fn, Deserializer};
///
/// let length = from_fn(|_, payload| Ok(payload.as_slice().map_or(0, <[u8]>::len)));
/// # fn check(_: impl Deserializer<usize>) {}
/// # check(length);
/// ```
pub const fn from_fn<T, F>(f: F) -> FromFn<F>
where
    F: Fn(&Context<'_>, Payload<'_>) -> Result<T, BoxError> + Send + Sync + 'static,
{
    FromFn(f)
}

/// The closure of [`from_fn`].
#[derive(Debug, Clone, Copy)]
pub struct FromFn<F>(F);

impl<T, F> Deserializer<T> for FromFn<F>
where
    F: Fn(&Context<'_>, Payload<'_>) -> Result<T, BoxError> + Send + Sync + 'static,
{
    fn deserialize(&self, context: &Context<'_>, payload: Payload<'_>) -> Result<T, BoxError> {
        (self.0)(context, payload)
    }
}
