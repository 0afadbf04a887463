//! A request from the moment it is made to the moment it is answered, and its answer.

use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;

use kohort_machine::{Instant, Token};
use kohort_protocol::{ApiKey, RequestBody, ResponseBody};

use super::failure::RequestFailure;
use super::net::LinkId;
use super::target::{RequestId, Target};

/// The one answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The request.
    pub id: RequestId,
    /// The response, or why there is none.
    pub result: Result<ResponseBody, RequestFailure>,
    /// The version that was spoken; 0 when nothing was sent.
    pub version: i16,
    /// Node id of the broker that answered or was to answer; none when it is not known.
    pub node: Option<i32>,
}

/// Builds a request once the version is known; none when it cannot be said in that version.
pub type BuildRequest = Box<dyn FnOnce(i16) -> Option<RequestBody> + Send>;

pub(super) enum Body {
    Ready(RequestBody),
    PerVersion(BuildRequest),
}

impl Body {
    pub(super) fn build(self, version: i16) -> Option<RequestBody> {
        match self {
            Self::Ready(body) => Some(body),
            Self::PerVersion(build) => build(version),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(body) => body.fmt(f),
            Self::PerVersion(_) => f.write_str("PerVersion"),
        }
    }
}

/// Who made a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Caller,
    Metadata,
    Finder(Token),
}

#[derive(Debug)]
pub(super) enum Stage {
    Queued(Body),
    Sent { link: LinkId, version: i16 },
}

#[derive(Debug)]
pub(super) struct Pending {
    pub(super) owner: Owner,
    pub(super) target: Target,
    pub(super) api: ApiKey,
    pub(super) timeout: Duration,
    pub(super) deadline: Instant,
    pub(super) stage: Stage,
}
