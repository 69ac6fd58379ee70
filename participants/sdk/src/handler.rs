//! What a handler sees of its effect and what it may say of it. The effect store makes answers of it; a handler never sees the log.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sagaline_schemas::callback::Callback;
use sagaline_schemas::command::Command;
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{EffectId, Millis, SagaId, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::effects::Transaction;

/// What a handler brought: the operation's result as canonical JSON, or why there is none.
pub type HandlerOutcome = Result<Bytes, HandlerError>;

/// Why a handler has no result. Any other error becomes `Failed` by `?`; that is why this is not itself a `std::error::Error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandlerError {
    /// Definitely not done, and never will be: one of the contract's `refuses`.
    Refused {
        /// The contract's code.
        code: String,
        /// For people.
        detail: String,
    },
    /// Definitely not done by this attempt: another one may do it.
    Retry {
        /// Not before; none: when the saga's own backoff says.
        after: Option<Duration>,
        /// For people.
        reason: String,
    },
    /// Whether something was done is not known.
    Failed {
        /// For people.
        error: String,
    },
    /// What all operations of this participant need is away: none of them need be asked for a while. Whether something was done is not known.
    Unavailable {
        /// For people.
        error: String,
        /// Not before; none: as the coordinator sees fit, ever more seldom.
        retry_after: Option<Duration>,
    },
    /// Under way elsewhere: whoever holds `Effect::callback` brings what came of it.
    Working {
        /// Until when the attempt is not given up: milliseconds since 1970.
        until: Millis,
    },
}

impl HandlerError {
    /// Definitely not done, and never will be.
    pub fn refused(code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Refused { code: code.into(), detail: detail.into() }
    }

    /// Definitely not done; come again after this time.
    pub fn retry(after: Duration, reason: impl Into<String>) -> Self {
        Self::Retry { after: Some(after), reason: reason.into() }
    }

    /// What all operations of this participant need is away, a database say or a bank, and not only what this effect needs. All commands wait then,
    /// one tries now and then whether it is back, and no attempt is used up. The saga's own deadline goes on.
    ///
    /// Of one effect that fails for reasons of its own this is a lie that holds all others.
    pub fn unavailable(error: impl fmt::Display) -> Self {
        Self::Unavailable { error: error.to_string(), retry_after: None }
    }

    /// Under way elsewhere until then: whoever holds `Effect::callback` says what came of it. The attempt is given up if nobody has said so by then.
    ///
    /// The effect store learns nothing of that: a repeat of the command runs the handler again, as after a crash. So the operation is to be
    /// `ByKey`, and the partner is to be given the effect's id as the key, too.
    pub fn working(until: SystemTime) -> Self {
        Self::Working { until: millis(until) }
    }

    /// Its task ended without a word.
    pub(crate) fn broke_off(error: &tokio::task::JoinError) -> Self {
        Self::failed(format!("the handler broke off: {error}"))
    }

    /// Nobody knows whether it was done.
    pub fn failed(error: impl fmt::Display) -> Self {
        Self::Failed { error: error.to_string() }
    }
}

impl<E: std::error::Error> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self::failed(error)
    }
}

/// What a compensation knows of the effect it undoes. It must work without the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known<T> {
    /// It happened, with this result.
    Succeeded(T),
    /// It may have happened.
    Unknown,
}

/// The effect that a handler works for.
#[derive(Clone)]
pub struct Effect {
    id: EffectId,
    saga_name: String,
    operation: String,
    callback: Callback,
    deadline: Millis,
    traceparent: Option<String>,
    say_working: Arc<dyn Fn(Millis) + Send + Sync>,
}

impl Effect {
    pub(crate) fn new(command: &Command, say_working: Arc<dyn Fn(Millis) + Send + Sync>) -> Self {
        Self {
            id: command.effect_id,
            saga_name: command.saga.clone(),
            operation: command.operation.clone(),
            callback: Callback {
                partition: command.reply_partition,
                address: command.address.clone(),
                token: command.token,
            },
            deadline: command.deadline,
            traceparent: command.traceparent.clone(),
            say_working,
        }
    }

    /// The idempotency key: the same for every attempt of the effect and for its compensation. Hand it to whoever does the work.
    pub fn id(&self) -> EffectId {
        self.id
    }

    /// The saga.
    pub fn saga(&self) -> SagaId {
        self.callback.address.saga
    }

    /// The saga's definition and correlation id, for people.
    pub fn saga_name(&self) -> &str {
        &self.saga_name
    }

    /// The operation that runs.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// The step of the saga that wants it, for people.
    pub fn step(&self) -> &str {
        &self.callback.address.step
    }

    /// Indices of the items that it is done for, outermost first; empty outside `for_each`.
    pub fn items(&self) -> &[u32] {
        &self.callback.address.items
    }

    /// How often the step was begun anew before.
    pub fn round(&self) -> u32 {
        self.callback.address.round
    }

    /// Which attempt this is, from 1. Compensations count their own.
    pub fn attempt(&self) -> u32 {
        self.callback.address.attempt
    }

    /// When the coordinator gives this attempt up, as far as it knew when it sent it.
    pub fn deadline(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(u64::try_from(self.deadline).unwrap_or(0))
    }

    /// W3C trace context.
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }

    /// Tells the coordinator that the work takes until then, so that it does not give the attempt up before.
    pub fn working(&self, until: SystemTime) {
        (self.say_working)(millis(until));
    }

    /// What a partner needs to say what came of this effect: to be put behind `/v1/callbacks/` of the coordinator's API, with the answer as the body.
    /// Hand it out, return `HandlerError::working`, and the callback ends the step. The first one counts, whichever attempt it is of.
    ///
    /// Whoever holds it can answer for this effect: it belongs into no log.
    pub fn callback(&self) -> String {
        self.callback.to_string()
    }
}

fn millis(time: SystemTime) -> Millis {
    let since = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    Millis::try_from(since).unwrap_or(Millis::MAX)
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Effect({} of {}, {} attempt {})", self.id, self.saga_name, self.operation, self.attempt())
    }
}

/// A handler call with its types gone.
pub(crate) struct Call {
    pub input: Bytes,
    pub known: Option<Bytes>,
    pub effect: Effect,
}

pub(crate) type Outcome = Pin<Box<dyn Future<Output = HandlerOutcome> + Send>>;

/// A handler with its types gone.
pub(crate) type Handler = Arc<dyn Fn(Call) -> Outcome + Send + Sync>;

/// A handler that works within a transaction, with its types gone.
pub(crate) type TransactionHandler = Arc<dyn Fn(Call, Transaction) -> Outcome + Send + Sync>;

/// How an operation does its work.
#[derive(Clone)]
pub(crate) enum Work {
    /// With what it brings itself.
    Alone(Handler),
    /// In the transaction in which its effect is recorded.
    InTransaction(TransactionHandler),
}

/// Runs a handler. Its panic is a failure, never a crash.
pub(crate) async fn run(handler: &Handler, call: Call) -> HandlerOutcome {
    tokio::spawn(handler(call)).await.unwrap_or_else(|error| Err(HandlerError::broke_off(&error)))
}

/// A handler of an input alone.
pub(crate) fn handler<I, O, F, W>(handle: F) -> Handler
where
    I: DeserializeOwned + Send + 'static,
    O: Serialize,
    F: Fn(I, Effect) -> W + Send + Sync + 'static,
    W: Future<Output = Result<O, HandlerError>> + Send + 'static,
{
    let handle = Arc::new(handle);
    Arc::new(move |call| {
        let handle = Arc::clone(&handle);
        Box::pin(async move { result(&handle(input(&call.input)?, call.effect).await?) })
    })
}

/// A handler of an input and of what is known of the effect.
pub(crate) fn compensation<I, K, O, F, W>(handle: F) -> Handler
where
    I: DeserializeOwned + Send + 'static,
    K: DeserializeOwned + Send + 'static,
    O: Serialize,
    F: Fn(I, Known<K>, Effect) -> W + Send + Sync + 'static,
    W: Future<Output = Result<O, HandlerError>> + Send + 'static,
{
    let handle = Arc::new(handle);
    Arc::new(move |call| {
        let handle = Arc::clone(&handle);
        Box::pin(async move { result(&handle(input(&call.input)?, known(call.known.as_ref()), call.effect).await?) })
    })
}

/// A handler of an input, within a transaction.
pub(crate) fn transaction_handler<I, O, F, W>(handle: F) -> TransactionHandler
where
    I: DeserializeOwned + Send + 'static,
    O: Serialize,
    F: Fn(I, Effect, Transaction) -> W + Send + Sync + 'static,
    W: Future<Output = Result<O, HandlerError>> + Send + 'static,
{
    let handle = Arc::new(handle);
    Arc::new(move |call, transaction| {
        let handle = Arc::clone(&handle);
        Box::pin(async move { result(&handle(input(&call.input)?, call.effect, transaction).await?) })
    })
}

/// A handler of an input and of what is known of the effect, within a transaction.
pub(crate) fn transaction_compensation<I, K, O, F, W>(handle: F) -> TransactionHandler
where
    I: DeserializeOwned + Send + 'static,
    K: DeserializeOwned + Send + 'static,
    O: Serialize,
    F: Fn(I, Known<K>, Effect, Transaction) -> W + Send + Sync + 'static,
    W: Future<Output = Result<O, HandlerError>> + Send + 'static,
{
    let handle = Arc::new(handle);
    Arc::new(move |call, transaction| {
        let handle = Arc::clone(&handle);
        Box::pin(async move {
            let (input, known) = (input(&call.input)?, known(call.known.as_ref()));
            result(&handle(input, known, call.effect, transaction).await?)
        })
    })
}

/// Nothing has happened yet where the input can't be read: another attempt, perhaps at another version, may.
fn input<I: DeserializeOwned>(json: &[u8]) -> Result<I, HandlerError> {
    serde_json::from_slice(json).map_err(|error| HandlerError::Retry {
        after: None,
        reason: format!("the input is not {}: {error}", std::any::type_name::<I>()),
    })
}

/// A result that this version can't read is as good as none: a compensation must work without it.
fn known<K: DeserializeOwned>(json: Option<&Bytes>) -> Known<K> {
    json.and_then(|json| serde_json::from_slice(json).ok()).map_or(Known::Unknown, Known::Succeeded)
}

fn result(output: &impl Serialize) -> HandlerOutcome {
    let json = serde_json::to_vec(output)?;
    Ok(Bytes(Value::parse(&json)?.to_json()))
}
