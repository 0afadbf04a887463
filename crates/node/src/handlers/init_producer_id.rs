//! InitProducerId: ids for idempotent producers. Transactions are not supported.

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use crate::context::{Call, Cx, Outcome};

// Kafka: TransactionCoordinator.handleInitProducerId
pub(super) fn handle(cx: &mut Cx<'_>, _call: &Call, request: InitProducerIdRequest) -> Outcome {
    match request.transactional_id.as_deref() {
        // A producer that names an id and epoch wants to go on after an error; it gets a new id, as from Kafka.
        None => InitProducerIdResponse {
            producer_id: cx.producer_ids.issue(),
            producer_epoch: 0,
            ..Default::default()
        }
        .into(),
        Some("") => refuse(&request, ErrorCode::InvalidRequest).into(),
        Some(_) => refuse(&request, ErrorCode::TransactionalIdNotFound).into(),
    }
}

pub(super) fn refuse(_request: &InitProducerIdRequest, code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse {
        error_code: code.code(),
        producer_epoch: -1,
        ..Default::default()
    }
}
