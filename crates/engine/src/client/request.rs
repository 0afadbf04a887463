//! A request from the moment it is made to the moment it is answered, and its answer.

use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;

use kohort_machine::{Instant, Token};
use kohort_protocol::{ApiKey, RequestBody, ResponseBody, VersionRange};

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

/// Builds a request once the versions are known; none when it cannot be said in that version, and an older one is to be tried.
pub type BuildRequest = Box<dyn FnMut(i16) -> Option<RequestBody> + Send>;

pub(super) enum Body {
    Ready(RequestBody),
    PerVersion(BuildRequest),
}

impl Body {
    /// The request in the newest of these versions in which it can be said, with that version.
    pub(super) fn build(self, versions: VersionRange) -> Option<(i16, RequestBody)> {
        match self {
            Self::Ready(body) => Some((versions.max, body)),
            Self::PerVersion(mut build) => {
                let mut newest_first = (versions.min..=versions.max).rev();
                newest_first.find_map(|version| Some((version, build(version)?)))
            }
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
