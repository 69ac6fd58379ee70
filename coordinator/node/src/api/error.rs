//! Answers that are no answers: `{error: {code, message, help}}` with the status that fits. Every refusal says what a person can do.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sagaline_partition::store::StoreError;

use super::model::{ErrorBody, ErrorCode, ErrorDetail};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    code: ErrorCode,
    message: String,
    help: String,
}

impl ApiError {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: help.into() }
    }

    pub(super) fn bad(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadRequest, message, help)
    }

    pub(super) fn not_found(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message, help)
    }

    fn status(&self) -> StatusCode {
        match self.code {
            ErrorCode::BadRequest => StatusCode::BAD_REQUEST,
            ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::Forbidden => StatusCode::FORBIDDEN,
            ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::Refused => StatusCode::CONFLICT,
            ErrorCode::Busy | ErrorCode::Halted | ErrorCode::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Timeout => StatusCode::GATEWAY_TIMEOUT,
            ErrorCode::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let Self { code, message, help } = self;
        (status, Json(ErrorBody { error: ErrorDetail { code, message, help } })).into_response()
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::new(
            ErrorCode::Broken,
            error.to_string(),
            "the store is a cache: `sagaline rebuild` makes it anew from the log",
        )
    }
}
