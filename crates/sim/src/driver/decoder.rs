//! A deserializer that fails now and then, of one record always, and that panics now and then; and what catches such a panic.

use core::fmt;
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use kohort::deserialize::{BoxError, Context, Deserializer, Payload};

use super::application::Wishes;
use super::run::Run;
use super::tamper::Border;
use crate::logs::{id_of, is_unreadable};

/// Why a record is not taken.
#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it cannot be read")
    }
}

impl std::error::Error for Refused {}

/// What the deserializer panics with: every other panic is a bug.
struct OnPurpose;

/// The deserializer of a member.
pub(super) struct Decoder {
    pub(super) is_picky: bool,
    pub(super) run: Run,
    pub(super) wishes: Arc<Wishes>,
    pub(super) border: Border,
}

impl Deserializer<Vec<u8>> for Decoder {
    fn deserialize(&self, _: &Context<'_>, payload: Payload<'_>) -> Result<Vec<u8>, BoxError> {
        let bytes = payload.as_slice().unwrap_or_default();
        if self.is_picky {
            let id = id_of(Some(bytes));
            if is_unreadable(id) {
                return Err(Refused.into());
            }
            if !self.wishes.calm.load(Ordering::Relaxed) {
                if self.run.chance(1, 150) {
                    self.run
                        .fault("deserializer panics", || format!("at record {id}"));
                    // Nobody is to print it.
                    resume_unwind(Box::new(OnPurpose));
                }
                if self.run.chance(1, 80) {
                    self.run.fault("deserializer fails", || format!("at record {id}"));
                    return Err(Refused.into());
                }
            }
            self.border.decoded(id);
        }
        Ok(bytes.to_vec())
    }
}

/// What comes of this; nothing if a deserializer panics in it.
pub(super) async fn unless_panicked<T>(what: impl Future<Output = T>) -> Option<T> {
    let mut what = pin!(what);
    poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| what.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(done)) => Poll::Ready(Some(done)),
            Err(panic) if panic.is::<OnPurpose>() => Poll::Ready(None),
            Err(panic) => resume_unwind(panic),
        },
    )
    .await
}
