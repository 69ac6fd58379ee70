//! Taking questions apart: JSON bodies and query parameters with errors of our own form, and the door: this machine only, and no browser's
//! cross-site form. Blocking work leaves the async threads here, and nowhere else.

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use tokio_stream::StreamExt;

use super::error::ApiError;
use super::model::ErrorCode;

/// Largest body unless said, bytes; and of events and definitions.
const MAX_BODY: usize = 1 << 20;
pub(super) const LARGE: usize = 16 << 20;
/// Of a body that is too large, so much is read and thrown away: whoever is still sending when we hang up hears no answer.
const MAX_THROWN_AWAY: usize = 256 << 20;

/// A JSON body of at most `MAX` bytes.
pub(super) struct Body<T, const MAX: usize = MAX_BODY>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned, const MAX: usize> FromRequest<S> for Body<T, MAX> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let bytes = read(request, MAX).await?;
        let parsed = serde_json::from_slice(&bytes);
        let parsed = parsed
            .map_err(|error| ApiError::bad(format!("the body: {error}"), "see docs/operations.md for its form"))?;
        Ok(Self(parsed))
    }
}

async fn read(request: Request, max: usize) -> Result<Vec<u8>, ApiError> {
    let mut chunks = request.into_body().into_data_stream();
    let (mut bytes, mut length) = (Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| ApiError::bad(format!("the body: {error}"), "send the body whole"))?;
        length += chunk.len();
        if length <= max {
            bytes.extend_from_slice(&chunk);
        } else if length > MAX_THROWN_AWAY {
            break;
        }
    }
    if length <= max {
        return Ok(bytes);
    }
    let message = format!("the body has {length} bytes or more, at most {max} are taken");
    Err(ApiError::new(ErrorCode::TooLarge, message, "send it in smaller pieces"))
}

/// Query parameters.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Query(params) = Query::try_from_uri(&parts.uri)
            .map_err(|rejected| ApiError::bad(rejected.body_text(), "see docs/operations.md for the parameters"))?;
        Ok(Self(params))
    }
}

/// The API is for programs of this machine. A page in a browser must neither reach it by a name of its own (`Host`) nor by a form.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    match admitted(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn admitted(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let host = text(header::HOST);
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if !matches!(name, "127.0.0.1" | "localhost" | "[::1]") {
        let message = format!("the host {host:?} is not this machine");
        return Err(ApiError::new(
            ErrorCode::Forbidden,
            message,
            "ask http://127.0.0.1:PORT: the API is for this machine only",
        ));
    }
    if method == Method::POST && !text(header::CONTENT_TYPE).starts_with("application/json") {
        return Err(ApiError::bad("the content type is not application/json", "send `content-type: application/json`"));
    }
    Ok(())
}

/// Runs what reads stores or waits for the log.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let broken =
        |_| ApiError::new(ErrorCode::Broken, "the answer's thread panicked", "the node's log says where: report it");
    tokio::task::spawn_blocking(work).await.map_err(broken)?
}
