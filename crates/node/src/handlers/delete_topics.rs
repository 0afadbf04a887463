//! DeleteTopics, by name and by id.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_protocol::messages::delete_topics::DeletableTopicResult;
use kohort_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use kohort_protocol::{ErrorCode, Uuid};

use crate::context::{Call, Cx, Outcome, Wake};

// Kafka: ControllerApis.deleteTopics
pub(super) fn handle(cx: &mut Cx<'_>, call: &Call, request: DeleteTopicsRequest) -> Outcome {
    // Kafka: below version 3 clients do not know TOPIC_DELETION_DISABLED.
    if !cx.config.is_on("delete.topic.enable") {
        let code = match call.version {
            ..3 => ErrorCode::InvalidRequest,
            _ => ErrorCode::TopicDeletionDisabled,
        };
        return refuse(&request, code).into();
    }
    let wanted = wanted(&request);
    let mut count: BTreeMap<Wanted, usize> = BTreeMap::new();
    for topic in &wanted {
        *count.entry(topic.clone()).or_default() += 1;
    }
    let mut responses = Vec::new();
    for topic in wanted {
        let times = count.insert(topic.clone(), 0).unwrap_or(0);
        if times > 0 {
            responses.push(delete(cx, &topic, times > 1));
        }
    }
    DeleteTopicsResponse {
        responses,
        ..Default::default()
    }
    .into()
}

pub(super) fn refuse(request: &DeleteTopicsRequest, code: ErrorCode) -> DeleteTopicsResponse {
    let responses = wanted(request).into_iter().map(|(name, id)| DeletableTopicResult {
        name,
        topic_id: Uuid(id),
        error_code: code.code(),
        ..Default::default()
    });
    DeleteTopicsResponse {
        responses: responses.collect(),
        ..Default::default()
    }
}

/// A name or an id, as the request gives it.
type Wanted = (Option<String>, [u8; 16]);

fn wanted(request: &DeleteTopicsRequest) -> Vec<Wanted> {
    let names = request
        .topic_names
        .iter()
        .map(|name| (Some(name.clone()), Uuid::default().0));
    let topics = request.topics.iter().map(|topic| (topic.name.clone(), topic.topic_id.0));
    names.chain(topics).collect()
}

fn delete(cx: &mut Cx<'_>, (name, id): &Wanted, is_duplicate: bool) -> DeletableTopicResult {
    let id = Uuid(*id);
    let mut result = DeletableTopicResult {
        name: name.clone(),
        topic_id: id,
        ..Default::default()
    };
    let has_id = id != Uuid::default();
    let found: Result<Arc<str>, (ErrorCode, &str)> = match name {
        None if !has_id => Err((ErrorCode::InvalidRequest, "Neither topic name nor id were specified.")),
        Some(_) if has_id => Err((
            ErrorCode::InvalidRequest,
            "You may not specify both topic name and topic id.",
        )),
        _ if is_duplicate => Err((ErrorCode::InvalidRequest, "The topic comes more than once.")),
        Some(name) => match cx.topics.get(name) {
            Some(topic) => Ok(topic.name.clone()),
            None => Err((
                ErrorCode::UnknownTopicOrPartition,
                "This server does not host this topic-partition.",
            )),
        },
        None => cx.topics.name_of(id).ok_or((
            ErrorCode::UnknownTopicId,
            "This server does not host this topic ID.",
        )),
    };
    match found {
        Ok(name) => {
            result.name = Some(name.to_string());
            match cx.topics.delete(&name, cx.wall_ms) {
                Some(Ok(id)) => {
                    result.topic_id = id;
                    cx.wakes.push(Wake::Changed { topic_id: id.0 });
                    cx.forget_offsets(&name, id);
                    cx.topic_is_gone(id.0);
                }
                Some(Err(error)) => result.error_code = cx.storage_failed(&name, &error).code(),
                None => result.error_code = ErrorCode::UnknownTopicOrPartition.code(),
            }
        }
        Err((code, message)) => {
            result.error_code = code.code();
            result.error_message = Some(message.into());
        }
    }
    result
}
