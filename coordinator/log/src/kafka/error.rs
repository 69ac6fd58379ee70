//! What librdkafka's codes mean to a caller: which say for certain that a record was not taken, and which leave it open.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::LogError;

/// A client that finds no broker says so several times a second. It is heard so often.
const HEARD_EVERY: Duration = Duration::from_secs(10);

/// The last thing that librdkafka said about its connections: "timed out" alone helps nobody.
#[derive(Default)]
pub(super) struct LastWord {
    word: Mutex<Option<String>>,
    heard: Mutex<Option<Instant>>,
}

impl LastWord {
    fn set(&self, word: &str) {
        *self.word.lock().unwrap_or_else(PoisonError::into_inner) = Some(word.to_owned());
    }

    /// Whether people have not heard of this client's connections for a while.
    fn is_news(&self, now: Instant) -> bool {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let news = heard.is_none_or(|at| now.duration_since(at) >= HEARD_EVERY);
        if news {
            *heard = Some(now);
        }
        news
    }

    pub(super) fn is_none(&self) -> bool {
        self.word.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// `otherwise`, unless there is something better.
    pub(super) fn or(&self, otherwise: &str) -> String {
        self.word.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_else(|| otherwise.to_owned())
    }
}

/// Keeps the last word; for clients that need no callbacks otherwise.
#[derive(Default)]
pub(super) struct Listening {
    pub last_word: LastWord,
}

impl ClientContext for Listening {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        heard(&self.last_word, &error, reason);
    }
}

impl ConsumerContext for Listening {}

/// librdkafka's log lines go where ours go.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::error!(target: "kafka", facility, message);
        }
        RDKafkaLogLevel::Warning => tracing::warn!(target: "kafka", facility, message),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(target: "kafka", facility, message),
        RDKafkaLogLevel::Debug => tracing::debug!(target: "kafka", facility, message),
    }
}

pub(super) fn heard(last_word: &LastWord, error: &KafkaError, reason: &str) {
    let connection = error.rdkafka_error_code().is_some_and(is_connection);
    if connection {
        last_word.set(reason);
    }
    if connection && !last_word.is_news(Instant::now()) {
        tracing::debug!(target: "kafka", %error, reason);
    } else {
        tracing::warn!(target: "kafka", %error, reason);
    }
}

/// The client goes on trying by itself.
pub(super) fn is_connection(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::AllBrokersDown
            | Code::BrokerTransportFailure
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::Resolve
            | Code::Authentication
            | Code::SSL
            | Code::TimedOutQueue
    )
}

/// Codes after which a record certainly is not in the log, and never will be; everything else leaves it open.
pub(super) fn undelivered(code: RDKafkaErrorCode, topic: &str) -> LogError {
    use RDKafkaErrorCode as Code;
    match code {
        Code::UnknownTopic | Code::UnknownTopicOrPartition => LogError::NoTopic { topic: topic.to_owned() },
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => {
            LogError::Forbidden { topic: topic.to_owned(), detail: code.to_string() }
        }
        code => LogError::OutcomeUnknown { detail: format!("{topic}: {code}") },
    }
}

/// Why the client did not even take a record.
pub(super) fn unsent(code: RDKafkaErrorCode, topic: &str) -> LogError {
    match code {
        RDKafkaErrorCode::UnknownPartition => LogError::NoTopic { topic: topic.to_owned() },
        code => undelivered(code, topic),
    }
}

/// What a question to the cluster failed with.
pub(super) fn refused(code: RDKafkaErrorCode, place: &str, bootstrap: &str, last_word: &LastWord) -> LogError {
    use RDKafkaErrorCode as Code;
    match code {
        code if is_connection(code) => {
            LogError::Unreachable { address: bootstrap.to_owned(), detail: last_word.or(&code.to_string()) }
        }
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
            LogError::NoTopic { topic: place.to_owned() }
        }
        Code::TopicAlreadyExists => LogError::TopicExists { topic: place.to_owned() },
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed | Code::GroupAuthorizationFailed => {
            LogError::Forbidden { topic: place.to_owned(), detail: code.to_string() }
        }
        Code::FencedInstanceId => LogError::InUse { place: place.to_owned() },
        code => LogError::Io { place: place.to_owned(), detail: code.to_string() },
    }
}

/// As [`refused`], for errors of the crate that may carry no code.
pub(super) fn failed(error: &KafkaError, place: &str, bootstrap: &str, last_word: &LastWord) -> LogError {
    match (error, error.rdkafka_error_code()) {
        // Its own text repeats the value, which may be a secret.
        (KafkaError::ClientConfig(_, _, name, _), _) => LogError::Io {
            place: format!("kafka property {name:?}"),
            detail: "the Kafka client does not take it".to_owned(),
        },
        (KafkaError::AdminOp(code), _) => refused(*code, place, bootstrap, last_word),
        (_, Some(code)) => refused(code, place, bootstrap, last_word),
        (error, None) => LogError::Io { place: place.to_owned(), detail: error.to_string() },
    }
}
