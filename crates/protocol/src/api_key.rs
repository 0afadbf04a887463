//! The APIs: their numbers, names, and versions.

use crate::messages;
use crate::wire::Message;

include!(concat!(env!("OUT_DIR"), "/api_key.rs"));

/// Versions from `min` to `max`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VersionRange {
    /// The oldest version.
    pub min: i16,
    /// The newest version.
    pub max: i16,
}

impl VersionRange {
    /// Whether the version is in the range.
    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// What both ranges have, if anything.
    pub fn intersect(self, other: Self) -> Option<Self> {
        let both = Self {
            min: self.min.max(other.min),
            max: self.max.min(other.max),
        };
        (both.min <= both.max).then_some(both)
    }
}

struct ApiRow {
    key: ApiKey,
    name: &'static str,
    served: Option<VersionRange>,
    message: Option<VersionRange>,
    latest_unstable: bool,
    first_flexible: i16,
}

impl ApiKey {
    /// All APIs, by number.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.key)
    }

    /// The API with this number on the wire.
    pub fn from_i16(key: i16) -> Option<Self> {
        usize::try_from(key)
            .ok()
            .and_then(|index| ROWS.get(index))
            .map(|row| row.key)
    }

    /// The number on the wire.
    pub const fn code(self) -> i16 {
        self as i16
    }

    fn row(self) -> &'static ApiRow {
        // The numbers have no gaps: a test holds it.
        ROWS.get(self as usize)
            .expect("a row for each API, in the order of their numbers")
    }

    /// Kafka's name of the API.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// What a broker of Kafka 4.3.1 advertises with its default settings; none where it advertises nothing.
    /// Produce is advertised from 0 for the sake of old clients, but its messages begin at 3.
    pub fn served_versions(self) -> Option<VersionRange> {
        self.row().served
    }

    /// The versions whose messages this crate has; none where the API is not in it.
    pub fn message_versions(self) -> Option<VersionRange> {
        self.row().message
    }

    /// The versions that are both served by Kafka 4.3.1 and in this crate.
    pub fn supported_versions(self) -> Option<VersionRange> {
        self.served_versions()?.intersect(self.message_versions()?)
    }

    /// Whether the newest version of the messages is not stable yet: a broker then does not advertise it.
    pub fn latest_unstable(self) -> bool {
        self.row().latest_unstable
    }

    /// Version of the header before a request.
    pub fn request_header_version(self, version: i16) -> i16 {
        if version >= self.row().first_flexible {
            2
        } else {
            1
        }
    }

    /// Version of the header before a response.
    pub fn response_header_version(self, version: i16) -> i16 {
        // KIP-511: a client must be able to read the answer to a version that the broker does not know.
        if self == Self::ApiVersions {
            return 0;
        }
        if version >= self.row().first_flexible {
            1
        } else {
            0
        }
    }
}

impl core::fmt::Display for ApiKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_stand_in_the_order_of_the_numbers() {
        for (number, key) in ApiKey::all().enumerate() {
            assert_eq!(usize::try_from(key.code()).ok(), Some(number), "{key}");
            assert_eq!(ApiKey::from_i16(key.code()), Some(key));
        }
        assert_eq!(ApiKey::from_i16(-1), None);
        assert_eq!(ApiKey::from_i16(93), None);
    }

    #[test]
    fn header_versions_follow_the_flexible_versions_except_for_the_answer_to_api_versions() {
        assert_eq!(
            (
                ApiKey::Fetch.request_header_version(11),
                ApiKey::Fetch.response_header_version(11)
            ),
            (1, 0)
        );
        assert_eq!(
            (
                ApiKey::Fetch.request_header_version(12),
                ApiKey::Fetch.response_header_version(12)
            ),
            (2, 1)
        );
        assert_eq!(ApiKey::ApiVersions.request_header_version(3), 2);
        assert_eq!(ApiKey::ApiVersions.response_header_version(3), 0);
        assert_eq!(ApiKey::SaslHandshake.request_header_version(1), 1);
        assert_eq!(ApiKey::OffsetDelete.response_header_version(0), 0);
    }

    #[test]
    fn what_is_served_may_be_more_and_less_than_the_messages_have() {
        // Kafka: ApiKeys.PRODUCE_API_VERSIONS_RESPONSE_MIN_VERSION
        assert_eq!(
            ApiKey::Produce.served_versions(),
            Some(VersionRange { min: 0, max: 13 })
        );
        assert_eq!(
            ApiKey::Produce.supported_versions(),
            Some(VersionRange { min: 3, max: 13 })
        );
        assert!(ApiKey::InitProducerId.latest_unstable());
        assert_eq!(
            ApiKey::InitProducerId.message_versions(),
            Some(VersionRange { min: 0, max: 6 })
        );
        assert_eq!(
            ApiKey::InitProducerId.supported_versions(),
            Some(VersionRange { min: 0, max: 5 })
        );
        assert_eq!(ApiKey::Vote.served_versions(), None);
        assert_eq!(ApiKey::Envelope.supported_versions(), None);
    }
}
