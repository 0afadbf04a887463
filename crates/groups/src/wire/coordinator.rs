//! The coordinator's requests, responses and durable records to and from Kafka's messages.
//!
//! OffsetCommit and OffsetFetch from version 10 name topics by id: [`request`] leaves their names empty, and who knows the
//! topics fills them in before the coordinator sees the request.
//!
//! ```
//! use kohort_groups::coordinator::{GroupRequest, GroupResponse, Refusal};
//! use kohort_groups::wire::coordinator::{request, response};
//! use kohort_protocol::messages::{HeartbeatRequest, HeartbeatResponse};
//! use kohort_protocol::{ErrorCode, ResponseBody};
//!
//! let message = HeartbeatRequest { group_id: "app".into(), ..Default::default() };
//! assert!(matches!(request(message.into(), 4), Some(GroupRequest::Heartbeat(_))));
//!
//! let body = response(GroupResponse::Heartbeat(Err(Refusal::RebalanceInProgress)), 4);
//! let ResponseBody::Heartbeat(message) = body else { unreachable!() };
//! assert_eq!(message.error_code, ErrorCode::RebalanceInProgress.code());
//! ```

mod offsets;
mod records;
mod request;
mod response;
#[cfg(test)]
mod tests;

use alloc::string::{String, ToString};
use alloc::sync::Arc;

use kohort_protocol::{ErrorCode, Uuid};

pub(crate) use records::subscribed_topics;
pub use records::{RecordError, decode_record, encode_record};
pub use request::request;
pub use response::response;

use crate::coordinator::{Refusal, TopicId};

/// Kafka's error for a refusal.
pub fn error_code(refusal: Refusal) -> ErrorCode {
    match refusal {
        Refusal::InvalidGroupId => ErrorCode::InvalidGroupId,
        Refusal::InvalidSessionTimeout => ErrorCode::InvalidSessionTimeout,
        Refusal::LoadInProgress => ErrorCode::CoordinatorLoadInProgress,
        Refusal::NotAvailable => ErrorCode::CoordinatorNotAvailable,
        Refusal::NotCoordinator => ErrorCode::NotCoordinator,
        Refusal::UnknownMemberId => ErrorCode::UnknownMemberId,
        Refusal::MemberIdRequired => ErrorCode::MemberIdRequired,
        Refusal::FencedInstanceId => ErrorCode::FencedInstanceId,
        Refusal::IllegalGeneration => ErrorCode::IllegalGeneration,
        Refusal::InconsistentGroupProtocol => ErrorCode::InconsistentGroupProtocol,
        Refusal::RebalanceInProgress => ErrorCode::RebalanceInProgress,
        Refusal::GroupMaxSizeReached => ErrorCode::GroupMaxSizeReached,
        Refusal::GroupIdNotFound => ErrorCode::GroupIdNotFound,
        Refusal::NonEmptyGroup => ErrorCode::NonEmptyGroup,
        Refusal::GroupSubscribedToTopic => ErrorCode::GroupSubscribedToTopic,
        Refusal::OffsetMetadataTooLarge => ErrorCode::OffsetMetadataTooLarge,
        Refusal::Unexpected => ErrorCode::UnknownServerError,
    }
}

fn code(result: Result<(), Refusal>) -> i16 {
    result.map_or_else(error_code, |()| ErrorCode::None).code()
}

fn owned(text: Option<Arc<str>>) -> Option<String> {
    text.map(|text| text.to_string())
}

fn shared(text: Option<String>) -> Option<Arc<str>> {
    text.map(Arc::from)
}

/// The zero id is none.
fn topic_id(id: Uuid) -> Option<TopicId> {
    (!id.is_zero()).then_some(TopicId(id.0))
}

fn uuid(id: Option<TopicId>) -> Uuid {
    id.map_or(Uuid::ZERO, |id| Uuid(id.0))
}
