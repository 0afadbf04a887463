//! What an answer says of an error beside its code.

use alloc::string::String;

/// No message of an error is longer, in bytes. It may quote what came, and a string of an answer, as one of a request, has at most
/// 32,767 bytes: what is said around a quoted one must not make the answer impossible.
pub const LONGEST_ERROR_MESSAGE: usize = 4096;

/// The message of an error as a field of an answer, cut after [`LONGEST_ERROR_MESSAGE`] bytes.
///
/// ```
/// use kohort_protocol::error_message;
///
/// assert_eq!(error_message("too short").as_deref(), Some("too short"));
/// assert_eq!(error_message("ä".repeat(20_000)).map(|text| text.len()), Some(4096));
/// ```
pub fn error_message(message: impl Into<String>) -> Option<String> {
    let mut message = message.into();
    message.truncate(message.floor_char_boundary(LONGEST_ERROR_MESSAGE));
    Some(message)
}
