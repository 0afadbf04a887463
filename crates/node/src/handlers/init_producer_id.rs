//! InitProducerId: ids for idempotent producers. Transactions are not supported.

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use crate::context::{Call, Cx, Outcome};

/// The id and the epoch of a producer that has none.
// Kafka: RecordBatch.NO_PRODUCER_ID, NO_PRODUCER_EPOCH
const NONE: i64 = -1;

// Kafka: TransactionCoordinator.handleInitProducerId
pub(super) fn handle(cx: &mut Cx<'_>, _call: &Call, request: InitProducerIdRequest) -> Outcome {
    // Kafka: KafkaApis.handleInitProducerIdRequest: both or none
    if (request.producer_id == NONE) != (i64::from(request.producer_epoch) == NONE) {
        return refuse(&request, ErrorCode::InvalidRequest).into();
    }
    match request.transactional_id.as_deref() {
        // A producer that names an id and epoch wants to go on after an error; it gets a new id, as from Kafka.
        None => match cx.issue_producer_id() {
            Some(producer_id) => InitProducerIdResponse {
                producer_id,
                producer_epoch: 0,
                ..Default::default()
            }
            .into(),
            // Kafka: ProducerIdControlManager.generateNextProducerId: UnknownServerException
            None => refuse(&request, ErrorCode::UnknownServerError).into(),
        },
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
