//! What the gateway answers to calls that fail: gRPC's codes as HTTP has them. It does not know
//! why they fail.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tonic::{Code, Status};

/// HTTP has it: the client went away before the answer.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// The answer to a call that failed before anything was answered.
pub(super) fn response(status: &Status) -> Response {
    let code = status.code();
    let body = json!({
        "error": status.message(),
        "code": i32::from(code),
        "message": status.message(),
    });
    let content = [(CONTENT_TYPE, "application/json")];
    (http_status(code), content, body.to_string()).into_response()
}

/// The last line of answers that come as lines.
pub(super) fn line(status: &Status) -> Value {
    let code = i32::from(status.code());
    let http = http_status(status.code());
    json!({
        "error": {
            "code": code,
            "grpc_code": code,
            "http_code": http.as_u16(),
            "http_status": http.canonical_reason().unwrap_or_default(),
            "message": status.message(),
        }
    })
}

fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::Cancelled => {
            StatusCode::from_u16(CLIENT_CLOSED_REQUEST).unwrap_or(StatusCode::REQUEST_TIMEOUT)
        }
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_the_status_that_clients_of_gateways_know() {
        let expected = [
            200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
        ];
        for (code, expected) in (0..).zip(expected) {
            let code = Code::from_i32(code);
            assert_eq!(http_status(code).as_u16(), expected, "{code:?}");
        }
    }
}
