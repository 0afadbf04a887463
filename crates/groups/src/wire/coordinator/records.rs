//! The durable records to and from the keys and values of `__consumer_offsets`.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::{Buf, Bytes};
use kohort_protocol::consumer_protocol::ConsumerProtocolSubscription;
use kohort_protocol::group_records::{
    GroupMetadataKey, GroupMetadataValue, GroupRecordKey, LegacyOffsetCommitValue, OffsetCommitKey,
    OffsetCommitValue, decode_versioned, encode_versioned, group_metadata,
};
use kohort_protocol::{DecodeError, EncodeError, Message, Reader};
use thiserror::Error;

use super::{owned, shared, topic_id, uuid};
use crate::OffsetAndMetadata;
use crate::coordinator::{CoordinatorRecord, StoredGroup, StoredMember, StoredOffset};

/// The version of a stored group.
// Kafka: GroupCoordinatorRecordHelpers.GROUP_METADATA_VALUE_VERSION
const GROUP_VERSION: i16 = 3;
/// The version of a stored offset.
// Kafka: GroupCoordinatorRecordHelpers.offsetCommitValueVersion
const OFFSET_VERSION: i16 = 4;
/// The version of a stored offset with an expiry of its own, the only one that has room for it.
const EXPIRING_OFFSET_VERSION: i16 = 1;
/// The longest subscription that is read.
const LARGEST_SUBSCRIPTION: usize = 1 << 20;
/// The most topics of one that is read.
const MOST_TOPICS: i32 = 50_000;
/// A timestamp or epoch that is not there.
const NONE: i64 = -1;
const NO_EPOCH: i32 = -1;

/// A record of `__consumer_offsets` that cannot be read.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The key is no key.
    #[error("the key of a coordinator record cannot be read: {0}")]
    Key(DecodeError),
    /// The value is not one of its key.
    #[error("the value of a coordinator record cannot be read: {0}")]
    Value(DecodeError),
}

/// Key and value of a record; the value of a tombstone is `None`.
///
/// # Errors
///
/// A name is longer than the format can say (32,767 bytes).
pub fn encode_record(record: &CoordinatorRecord) -> Result<(Bytes, Option<Bytes>), EncodeError> {
    match record {
        CoordinatorRecord::Offset {
            group_id,
            topic,
            partition,
            value,
        } => {
            let key = GroupRecordKey::OffsetCommit(OffsetCommitKey {
                group: group_id.to_string(),
                topic: topic.to_string(),
                partition: *partition,
            });
            let value = value.as_ref().map(encode_offset).transpose()?;
            Ok((key.encode()?, value))
        }
        CoordinatorRecord::Group { group_id, value } => {
            let group = group_id.to_string();
            let key = GroupRecordKey::GroupMetadata(GroupMetadataKey { group });
            let value = value.as_ref().map(encode_group).transpose()?;
            Ok((key.encode()?, value))
        }
    }
}

fn encode_offset(stored: &StoredOffset) -> Result<Bytes, EncodeError> {
    let version = match stored.expire_timestamp_ms {
        Some(_) => EXPIRING_OFFSET_VERSION,
        None => OFFSET_VERSION,
    };
    let is_expiring = version == EXPIRING_OFFSET_VERSION;
    let value = OffsetCommitValue {
        offset: stored.offset.offset,
        // Version 1 has neither leader epoch nor topic id.
        leader_epoch: stored
            .offset
            .leader_epoch
            .filter(|_| !is_expiring)
            .unwrap_or(NO_EPOCH),
        metadata: stored.offset.metadata.clone(),
        commit_timestamp: stored.commit_timestamp_ms,
        expire_timestamp: stored.expire_timestamp_ms.unwrap_or(NONE),
        topic_id: uuid(stored.topic_id.filter(|_| !is_expiring)),
    };
    encode_versioned(&value, version)
}

fn encode_group(stored: &StoredGroup) -> Result<Bytes, EncodeError> {
    let member = |member: &StoredMember| group_metadata::MemberMetadata {
        member_id: member.member_id.to_string(),
        group_instance_id: owned(member.group_instance_id.clone()),
        client_id: member.client_id.to_string(),
        client_host: member.client_host.to_string(),
        rebalance_timeout: member.rebalance_timeout_ms,
        session_timeout: member.session_timeout_ms,
        subscription: member.subscription.clone(),
        assignment: member.assignment.clone(),
    };
    let value = GroupMetadataValue {
        protocol_type: stored.protocol_type.to_string(),
        generation: stored.generation,
        protocol: owned(stored.protocol.clone()),
        leader: owned(stored.leader.clone()),
        current_state_timestamp: stored.state_timestamp_ms.unwrap_or(NONE),
        members: stored.members.iter().map(member).collect(),
    };
    encode_versioned(&value, GROUP_VERSION)
}

/// The record of a key and a value; `None` where the record type is not one of classic groups or offsets, which a reader of the
/// log skips.
///
/// # Errors
///
/// The bytes are no such record: the log is damaged, or written by a newer broker.
pub fn decode_record(key: Bytes, value: Option<Bytes>) -> Result<Option<CoordinatorRecord>, RecordError> {
    let record = match GroupRecordKey::decode(key).map_err(RecordError::Key)? {
        Some(GroupRecordKey::LegacyOffsetCommit(key)) => CoordinatorRecord::Offset {
            group_id: key.group.into(),
            topic: key.topic.into(),
            partition: key.partition,
            value: value.map(decode_legacy_offset).transpose()?,
        },
        Some(GroupRecordKey::OffsetCommit(key)) => CoordinatorRecord::Offset {
            group_id: key.group.into(),
            topic: key.topic.into(),
            partition: key.partition,
            value: value.map(decode_offset).transpose()?,
        },
        Some(GroupRecordKey::GroupMetadata(key)) => CoordinatorRecord::Group {
            group_id: key.group.into(),
            value: value.map(decode_group).transpose()?,
        },
        _ => return Ok(None),
    };
    Ok(Some(record))
}

fn decode_legacy_offset(bytes: Bytes) -> Result<StoredOffset, RecordError> {
    let (_, value) = decode_versioned::<LegacyOffsetCommitValue>(bytes).map_err(RecordError::Value)?;
    Ok(StoredOffset {
        offset: OffsetAndMetadata {
            offset: value.offset,
            leader_epoch: None,
            metadata: value.metadata,
        },
        commit_timestamp_ms: value.commit_timestamp,
        expire_timestamp_ms: None,
        topic_id: None,
    })
}

fn decode_offset(bytes: Bytes) -> Result<StoredOffset, RecordError> {
    let (_, value) = decode_versioned::<OffsetCommitValue>(bytes).map_err(RecordError::Value)?;
    Ok(StoredOffset {
        offset: OffsetAndMetadata {
            offset: value.offset,
            leader_epoch: Some(value.leader_epoch).filter(|epoch| *epoch != NO_EPOCH),
            metadata: value.metadata,
        },
        commit_timestamp_ms: value.commit_timestamp,
        expire_timestamp_ms: Some(value.expire_timestamp).filter(|at_ms| *at_ms != NONE),
        topic_id: topic_id(value.topic_id),
    })
}

fn decode_group(bytes: Bytes) -> Result<StoredGroup, RecordError> {
    let (_, value) = decode_versioned::<GroupMetadataValue>(bytes).map_err(RecordError::Value)?;
    let member = |member: group_metadata::MemberMetadata| StoredMember {
        member_id: member.member_id.into(),
        group_instance_id: shared(member.group_instance_id),
        client_id: member.client_id.into(),
        client_host: member.client_host.into(),
        rebalance_timeout_ms: member.rebalance_timeout,
        session_timeout_ms: member.session_timeout,
        subscription: member.subscription,
        assignment: member.assignment,
    };
    Ok(StoredGroup {
        protocol_type: value.protocol_type.into(),
        generation: value.generation,
        protocol: shared(value.protocol),
        leader: shared(value.leader),
        state_timestamp_ms: Some(value.current_state_timestamp).filter(|at_ms| *at_ms != NONE),
        members: value.members.into_iter().map(member).collect(),
    })
}

/// The topics of a member's metadata; `None` when it is no subscription of a consumer. Later versions append to version 0,
/// so its topics are read whatever the version. Of one that is very long nothing is read: its names would take several times as
/// much memory.
// Kafka: ClassicGroup.computeSubscribedTopics
pub(crate) fn subscribed_topics(mut metadata: Bytes) -> Option<Vec<Arc<str>>> {
    if metadata.len() > LARGEST_SUBSCRIPTION || metadata.try_get_i16().ok()? < 0 {
        return None;
    }
    if metadata.clone().try_get_i32().ok()? > MOST_TOPICS {
        return None;
    }
    let mut reader = Reader::new(metadata);
    let subscription = ConsumerProtocolSubscription::decode(&mut reader, 0).ok()?;
    Some(subscription.topics.into_iter().map(Arc::from).collect())
}
