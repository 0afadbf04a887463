//! Error codes, as responses carry them.

use core::fmt;

include!(concat!(env!("OUT_DIR"), "/error_code.rs"));

impl ErrorCode {
    /// Whether this is an error at all.
    pub const fn is_error(self) -> bool {
        !matches!(self, Self::None)
    }

    /// Whether a Fetch with this error found its session at fault rather than what it asked for: its answer has no partitions,
    /// and the next Fetch begins another session (KIP-227, KIP-516).
    pub const fn is_of_fetch_session(self) -> bool {
        matches!(
            self,
            Self::FetchSessionIdNotFound | Self::InvalidFetchSessionEpoch | Self::FetchSessionTopicIdError
        )
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "UNKNOWN_ERROR_CODE({})", self.code()),
        }
    }
}

impl core::error::Error for ErrorCode {}

impl From<i16> for ErrorCode {
    fn from(code: i16) -> Self {
        Self::from_code(code)
    }
}

impl From<ErrorCode> for i16 {
    fn from(error: ErrorCode) -> Self {
        error.code()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn every_code_from_minus_one_to_the_last_comes_back_from_its_number() {
        for (error, code) in ErrorCode::ALL.into_iter().zip(-1..) {
            assert_eq!(error.code(), code);
            assert_eq!(ErrorCode::from_code(code), error);
        }
        assert_eq!(ErrorCode::from_code(134), ErrorCode::Unknown(134));
        assert_eq!(ErrorCode::Unknown(134).code(), 134);
    }

    #[test]
    fn errors_print_as_kafka_names_them() {
        assert_eq!(ErrorCode::OffsetOutOfRange.to_string(), "OFFSET_OUT_OF_RANGE");
        assert_eq!(
            ErrorCode::InvalidTopicException.to_string(),
            "INVALID_TOPIC_EXCEPTION"
        );
        assert_eq!(ErrorCode::Unknown(999).to_string(), "UNKNOWN_ERROR_CODE(999)");
    }

    // Kafka: RetriableException, InvalidMetadataException, and Errors.java for which exception an error has.
    #[test]
    fn what_an_error_asks_for_follows_from_its_java_exception() {
        let flags = |e: ErrorCode| {
            (
                e.is_retriable(),
                e.refreshes_metadata(),
                e.refreshes_coordinator(),
            )
        };
        assert_eq!(flags(ErrorCode::NotLeaderOrFollower), (true, true, false));
        assert_eq!(flags(ErrorCode::NotCoordinator), (true, false, true));
        assert_eq!(flags(ErrorCode::CoordinatorNotAvailable), (true, false, true));
        assert_eq!(flags(ErrorCode::CoordinatorLoadInProgress), (true, false, false));
        assert_eq!(flags(ErrorCode::FencedLeaderEpoch), (true, true, false));
        assert_eq!(flags(ErrorCode::RebalanceInProgress), (false, false, false));
        assert_eq!(flags(ErrorCode::OffsetOutOfRange), (false, false, false));
        assert_eq!(flags(ErrorCode::Unknown(999)), (false, false, false));
        assert!(!ErrorCode::None.is_error());
    }
}
