//! How a broker treats requests as such: versions, unknown ones, malformed ones, order.

use kohort_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, MetadataRequest};
use kohort_protocol::{ApiKey, ErrorCode, frame};

use crate::setup::{code, wire};

fn versions_of(response: &ApiVersionsResponse, key: ApiKey) -> Option<(i16, i16)> {
    let found = response.api_keys.iter().find(|api| api.api_key == key.code())?;
    Some((found.min_version, found.max_version))
}

// Kafka: ApiVersionsRequestTest.testApiVersionsRequest
#[tokio::test]
async fn api_versions_is_answered_in_each_of_its_versions() {
    for version in 0..=4 {
        let request = ApiVersionsRequest {
            client_software_name: if version >= 3 {
                "kohort".to_owned()
            } else {
                String::new()
            },
            client_software_version: if version >= 3 {
                "1".to_owned()
            } else {
                String::new()
            },
        };
        let response = wire().await.call(version, request).await;
        assert_eq!(response.error_code, 0);
        assert!(
            versions_of(&response, ApiKey::Fetch).is_some(),
            "version {version}"
        );
    }
}

// Kafka: ApiVersionsRequestTest.testApiVersionsRequestWithUnsupportedVersion; KIP-511
#[tokio::test]
async fn an_unknown_version_of_api_versions_is_answered_in_version_0_with_an_error() {
    let mut wire = wire().await;
    let mut bytes = frame::encode_request(
        &kohort_protocol::messages::RequestHeader {
            correlation_id: 7,
            ..Default::default()
        },
        3,
        &ApiVersionsRequest {
            client_software_name: "k".into(),
            client_software_version: "1".into(),
        }
        .into(),
    )
    .expect("a request");
    bytes[6..8].copy_from_slice(&99i16.to_be_bytes());
    wire.send_bytes(&bytes).await;
    let answer = wire.receive_frame().await.expect("an answer");
    let (correlation_id, body) = frame::decode_response(answer, ApiKey::ApiVersions, 0).expect("version 0");
    let response = ApiVersionsResponse::try_from(body).expect("an answer to ApiVersions");
    assert_eq!(
        (correlation_id, response.error_code),
        (7, code(ErrorCode::UnsupportedVersion))
    );
    assert!(
        versions_of(&response, ApiKey::ApiVersions).is_some(),
        "it says which versions it has"
    );
}

// Kafka: ApiVersionsRequestTest.testApiVersionsRequestValidationV3
#[tokio::test]
async fn api_versions_with_an_invalid_software_name_is_an_invalid_request() {
    let request = ApiVersionsRequest {
        client_software_name: "no spaces allowed".to_owned(),
        client_software_version: "1".to_owned(),
    };
    assert_eq!(
        wire().await.call(3, request).await.error_code,
        code(ErrorCode::InvalidRequest)
    );
}

async fn request_with(patch: impl FnOnce(&mut bytes::BytesMut)) -> Option<bytes::Bytes> {
    let mut wire = wire().await;
    let header = kohort_protocol::messages::RequestHeader {
        correlation_id: 1,
        ..Default::default()
    };
    let mut bytes = frame::encode_request(&header, 1, &MetadataRequest::default().into()).expect("a request");
    patch(&mut bytes);
    wire.send_bytes(&bytes).await;
    wire.receive_frame().await
}

// Kafka: RequestContext.parseRequest, SocketServer.processException
#[tokio::test]
async fn an_unknown_api_closes_the_connection() {
    assert!(
        request_with(|bytes| bytes[4..6].copy_from_slice(&9999i16.to_be_bytes()))
            .await
            .is_none()
    );
}

// Kafka: RequestContext.parseRequest
#[tokio::test]
async fn a_version_that_is_not_served_closes_the_connection() {
    assert!(
        request_with(|bytes| bytes[6..8].copy_from_slice(&77i16.to_be_bytes()))
            .await
            .is_none()
    );
}

// Kafka: MetadataRequestData.read: an array longer than what is left of the buffer
#[tokio::test]
async fn an_array_that_announces_more_than_is_there_closes_the_connection() {
    let closed = request_with(|bytes| {
        let body = bytes.len() - 4;
        bytes[body..].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
    });
    assert!(closed.await.is_none());
}

// Kafka: NetworkReceive.readFrom
#[tokio::test]
async fn a_negative_frame_length_closes_the_connection() {
    let mut wire = wire().await;
    wire.send_bytes(&(-1i32).to_be_bytes()).await;
    assert!(wire.receive_frame().await.is_none());
}

// Kafka: AbstractRequest.parseRequest ignores what follows the body
#[tokio::test]
async fn bytes_after_the_body_are_ignored() {
    let answered = request_with(|bytes| {
        bytes.extend_from_slice(b"more");
        let len = i32::try_from(bytes.len() - 4).expect("small");
        bytes[..4].copy_from_slice(&len.to_be_bytes());
    });
    assert!(answered.await.is_some());
}

// Kafka: SocketServer mutes a connection until its request is answered
#[tokio::test]
async fn requests_of_one_connection_are_answered_in_order() {
    let mut wire = wire().await;
    let mut sent = Vec::new();
    for _ in 0..20 {
        sent.push(
            wire.send(
                4,
                MetadataRequest {
                    topics: Some(Vec::new()),
                    ..MetadataRequest::default()
                },
            )
            .await,
        );
    }
    for expected in sent {
        let (answered, _) = wire.receive::<MetadataRequest>(4).await.expect("an answer");
        assert_eq!(answered, expected);
    }
}
