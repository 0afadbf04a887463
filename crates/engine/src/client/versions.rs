//! Which version of an API to speak with a broker.

use alloc::collections::BTreeMap;

use kohort_protocol::messages::ApiVersionsResponse;
use kohort_protocol::{ApiKey, VersionRange};

/// What one broker said it supports.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct BrokerVersions {
    ranges: BTreeMap<i16, VersionRange>,
}

impl BrokerVersions {
    pub(super) fn new(response: &ApiVersionsResponse) -> Self {
        let ranges = response.api_keys.iter().map(|api| {
            let range = VersionRange {
                min: api.min_version,
                max: api.max_version,
            };
            (api.api_key, range)
        });
        Self {
            ranges: ranges.collect(),
        }
    }

    /// The versions that both sides have.
    pub(super) fn common(&self, api: ApiKey) -> Option<VersionRange> {
        let theirs = self.ranges.get(&api.code())?;
        api.supported_versions()?.intersect(*theirs)
    }

    /// The newest version that both sides have.
    // Kafka: NodeApiVersions.latestUsableVersion
    pub(super) fn newest_common(&self, api: ApiKey) -> Option<i16> {
        Some(self.common(api)?.max)
    }
}

/// The version to say ApiVersions in after a broker refused `tried`; none when there is nothing left to try.
// KIP-511: the refusal has the form of version 0 and says which versions of ApiVersions the broker has.
pub(super) fn handshake_version_after(tried: i16, refusal: &ApiVersionsResponse) -> Option<i16> {
    let theirs = BrokerVersions::new(refusal).newest_common(ApiKey::ApiVersions);
    Some(theirs.unwrap_or(0)).filter(|version| *version < tried)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use kohort_protocol::messages::api_versions::ApiVersion;

    use super::*;

    fn advertises(apis: &[(ApiKey, i16, i16)]) -> ApiVersionsResponse {
        let api_keys: Vec<ApiVersion> = apis
            .iter()
            .map(|(api, min_version, max_version)| ApiVersion {
                api_key: api.code(),
                min_version: *min_version,
                max_version: *max_version,
            })
            .collect();
        ApiVersionsResponse {
            api_keys,
            ..Default::default()
        }
    }

    #[test]
    fn the_newest_version_that_both_have_is_spoken() {
        let versions = BrokerVersions::new(&advertises(&[
            (ApiKey::Fetch, 0, 11),
            (ApiKey::Metadata, 9, 99),
            (ApiKey::ListOffsets, 0, 0),
        ]));
        assert_eq!(versions.newest_common(ApiKey::Fetch), Some(11));
        assert_eq!(versions.newest_common(ApiKey::Metadata), Some(13));
        assert_eq!(
            versions.newest_common(ApiKey::ListOffsets),
            None,
            "ours begin at 1"
        );
        assert_eq!(versions.newest_common(ApiKey::Produce), None, "not advertised");
    }

    #[test]
    fn a_range_turned_upside_down_has_no_common_version() {
        let versions = BrokerVersions::new(&advertises(&[(ApiKey::Fetch, 11, 4)]));
        assert_eq!(versions.newest_common(ApiKey::Fetch), None);
    }

    #[test]
    fn a_refused_handshake_goes_on_with_the_brokers_version_or_with_0() {
        let says_two = advertises(&[(ApiKey::ApiVersions, 0, 2)]);
        assert_eq!(handshake_version_after(4, &says_two), Some(2));
        assert_eq!(handshake_version_after(4, &advertises(&[])), Some(0));
        assert_eq!(handshake_version_after(0, &advertises(&[])), None);
        assert_eq!(
            handshake_version_after(2, &says_two),
            None,
            "it must get older each time"
        );
    }
}
