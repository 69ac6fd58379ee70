//! Asking the API. What goes wrong becomes a `Failure` with the code that fits; nobody else knows ureq.

use std::time::Duration;

use sagaline_node::api::model::ErrorBody;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::exit::{Exit, Failure};

/// How long an answer may take beyond what it is told to wait.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where the API is unless said.
pub const DEFAULT_API: &str = "http://127.0.0.1:7410";

/// A coordinator's API.
pub struct Client {
    base: String,
    agent: ureq::Agent,
}

impl Client {
    /// The API at a base address.
    ///
    /// # Errors
    /// When that is no address of one.
    pub fn new(base: &str) -> Result<Self, Failure> {
        if !base.starts_with("http://") {
            return Err(Failure::usage(format_args!("--api {base}: an API is at http://127.0.0.1:PORT")));
        }
        // A proxy for the world is no proxy for this machine.
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build();
        Ok(Self { base: base.trim_end_matches('/').to_owned(), agent: config.new_agent() })
    }

    /// Reads something.
    ///
    /// # Errors
    /// When nobody answers, or the answer is an error.
    pub fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, Failure> {
        self.get_within(path, query, Duration::ZERO)
    }

    /// Reads something that may take `wait` and the usual patience.
    ///
    /// # Errors
    /// As `get`.
    pub fn get_within<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        wait: Duration,
    ) -> Result<T, Failure> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        for (name, value) in query {
            request = request.query(*name, value);
        }
        let request = request.config().timeout_global(Some(wait + PATIENCE)).build();
        self.understand(request.call())
    }

    /// Asks for something to be done, for at most `wait` and the usual patience.
    ///
    /// # Errors
    /// When nobody answers, or the answer is an error.
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize, wait: Duration) -> Result<T, Failure> {
        let request = self.agent.post(format!("{}{path}", self.base));
        self.understand(request.config().timeout_global(Some(wait + PATIENCE)).build().send_json(body))
    }

    /// As `post`, under a name of the client's own: asking twice is asking once.
    ///
    /// # Errors
    /// When nobody answers, or the answer is an error.
    pub fn ask<T: DeserializeOwned>(&self, id: &str, body: &impl Serialize, wait: Duration) -> Result<T, Failure> {
        let request = self.agent.post(format!("{}/v1/requests", self.base));
        let request = request.header("idempotency-key", id).query("wait", wait.as_millis().to_string());
        self.understand(request.config().timeout_global(Some(wait + PATIENCE)).build().send_json(body))
    }

    fn understand<T: DeserializeOwned>(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<T, Failure> {
        let mut answer = answer.map_err(|error| self.unanswered(&error))?;
        let foreign = |error: &dyn std::fmt::Display| {
            Failure::new(
                Exit::Unreachable,
                format_args!("{} is no API of this version of Sagaline: {error}", self.base),
            )
        };
        let limited = answer.body_mut().with_config().limit(256 << 20);
        let json: Json = limited.read_json().map_err(|error| foreign(&error))?;
        if json.get("error").is_some_and(Json::is_object) {
            let ErrorBody { error } = serde_json::from_value(json).map_err(|error| foreign(&error))?;
            return Err(error.into());
        }
        serde_json::from_value(json).map_err(|error| foreign(&error))
    }

    fn unanswered(&self, error: &ureq::Error) -> Failure {
        match error {
            ureq::Error::Timeout(_) => {
                Failure::new(Exit::Timeout, format_args!("{} did not answer in time", self.base))
            }
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                Failure::usage(format_args!("--api {}: {error}", self.base))
            }
            other => Failure::new(
                Exit::Unreachable,
                format_args!(
                    "no coordinator answers at {} ({other}): start one with `sagaline dev` or `sagaline serve --config FILE`, or name another with --api URL",
                    self.base
                ),
            ),
        }
    }
}
