//! What people ask of sagas, and how: each becomes one request with an id; asked twice with one id, it is asked once.

use std::io::Read;
use std::time::{Duration, Instant};

use sagaline_node::api::model::{Ask, Asked, Outcome, SagaDetail, Status, Wish};
use sagaline_schemas::{SagaId, Value};

use crate::args::{About, Close, Common, Start};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::print;

/// How long the answer to a request is awaited.
const ANSWER: Duration = Duration::from_secs(10);
/// Between two looks at a saga whose end is awaited.
const LOOK: Duration = Duration::from_millis(50);

/// `sagaline start`
pub fn start(start: &Start, common: &Common, client: &Client) -> Result<(), Failure> {
    let begun = Instant::now();
    let ask = Ask {
        definition: Some(start.definition.clone()),
        key: Some(start.key.clone()),
        input: start.input.as_deref().map(input).transpose()?,
        ..nothing(Wish::Start, common)
    };
    let saga = asked(start.id.as_deref(), &ask, common, client, !start.wait)?;
    let Some(saga) = saga.filter(|_| start.wait) else { return Ok(()) };
    let detail = wait_for_end(client, saga, start.timeout.saturating_sub(begun.elapsed()))?;
    if common.json {
        print::json(&detail)?;
    } else {
        super::show::print_saga(&detail)?;
    }
    let line = &detail.line;
    let why = line.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    match line.status {
        Status::Completed => Ok(()),
        other => Err(Failure::new(Exit::Refused, format_args!("saga {} is {}{why}", line.id, other.word()))),
    }
}

/// `sagaline cancel`
pub fn cancel(about: &About, common: &Common, client: &Client) -> Result<(), Failure> {
    ask_about(about, nothing(Wish::Cancel, common), common, client)
}

/// `sagaline close`
pub fn close(close: &Close, common: &Common, client: &Client) -> Result<(), Failure> {
    let ask = Ask { evidence: Some(close.evidence.clone()), ..nothing(Wish::Close, common) };
    ask_about(&close.about, ask, common, client)
}

/// A request that says who asks and what, and nothing else yet.
pub fn nothing(kind: Wish, common: &Common) -> Ask {
    Ask::new(kind, common.by())
}

/// Asks it of one saga, and tells what became of it.
///
/// # Errors
/// When it is refused, or nobody answers.
pub fn ask_about(about: &About, mut ask: Ask, common: &Common, client: &Client) -> Result<(), Failure> {
    match Whom::parse(&about.saga)? {
        Whom::Id(id) => ask.saga = Some(id),
        Whom::Key { definition, key } => (ask.definition, ask.key) = (Some(definition), Some(key)),
    }
    ask.reason = Some(about.reason.clone());
    asked(about.id.as_deref(), &ask, common, client, true).map(|_| ())
}

/// How people name a saga.
pub enum Whom {
    /// By its id.
    Id(SagaId),
    /// By definition and key.
    Key {
        /// The definition's name.
        definition: String,
        /// The correlation id.
        key: String,
    },
}

impl Whom {
    /// `ID` or `DEFINITION/KEY`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        if let Some((definition, key)) = text.split_once('/') {
            return Ok(Self::Key { definition: definition.to_owned(), key: key.to_owned() });
        }
        let wrong = |_| Failure::usage(format_args!("{text:?} names no saga: give its id, or DEFINITION/KEY"));
        text.parse().map(Self::Id).map_err(wrong)
    }

    /// The saga of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(&self, client: &Client) -> Result<SagaDetail, Failure> {
        match self {
            Self::Id(id) => client.get(&format!("/v1/sagas/{id}"), &[]),
            Self::Key { definition, key } => {
                client.get("/v1/sagas/by-key", &[("definition", definition.clone()), ("key", key.clone())])
            }
        }
    }
}

/// Asks, and tells what became of it. The saga it concerned; none: no single one.
///
/// # Errors
/// When it is refused, or nobody answers.
pub fn asked(
    id: Option<&str>,
    ask: &Ask,
    common: &Common,
    client: &Client,
    tell: bool,
) -> Result<Option<SagaId>, Failure> {
    let id = id.map_or_else(random_id, |id| Ok(id.to_owned()))?;
    let asked: Asked = client.ask(&id, ask, ANSWER)?;
    if common.json && tell {
        print::json(&asked)?;
    }
    let (saga, what) = match &asked.outcome {
        Some(Outcome::Taken { saga }) => (Some(*saga), "taken"),
        Some(Outcome::Exists { saga }) => (Some(*saga), "there already"),
        Some(Outcome::Done) => (None, "taken"),
        Some(Outcome::Refused { reason }) => {
            return Err(Failure::new(Exit::Refused, format_args!("refused: {reason}")));
        }
        None => {
            let message =
                format!("request {} lies in the log and is not folded yet: ask again with --id {}", asked.id, asked.id);
            return Err(Failure::new(Exit::Timeout, message));
        }
    };
    if tell && !common.json {
        let whom = saga.map_or_else(String::new, |saga| format!(": saga {saga}"));
        print::line(format_args!("{what}{whom}"))?;
    }
    Ok(saga)
}

fn random_id() -> Result<String, Failure> {
    let mut random = [0; 16];
    let filled = getrandom::fill(&mut random);
    filled
        .map_err(|error| Failure::usage(format_args!("the system gives no random numbers: {error}. Give an --id")))?;
    Ok(uuid::Builder::from_random_bytes(random).into_uuid().to_string())
}

fn wait_for_end(client: &Client, saga: SagaId, patience: Duration) -> Result<SagaDetail, Failure> {
    let begun = Instant::now();
    loop {
        let detail = Whom::Id(saga).find(client)?;
        let status = detail.line.status;
        if status.is_ended() || status == Status::Stuck {
            return Ok(detail);
        }
        if begun.elapsed() >= patience {
            let waits = detail.line.waiting_on.join(", ");
            let message = format!("saga {saga} is {} and waits on {waits}: `sagaline show {saga}`", status.word());
            return Err(Failure::new(Exit::Timeout, message));
        }
        std::thread::sleep(LOOK);
    }
}

/// JSON that is written out, in a file, or comes by standard input.
///
/// # Errors
/// When it can't be read, or is none.
pub fn input(text: &str) -> Result<Value, Failure> {
    let json = match (text, text.strip_prefix('@')) {
        ("-", _) => {
            let mut json = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut json);
            read.map_err(|error| Failure::usage(format_args!("standard input: {error}")))?;
            json
        }
        (_, Some(file)) => std::fs::read(file).map_err(|error| Failure::file(file.as_ref(), &error))?,
        (json, None) => json.as_bytes().to_vec(),
    };
    Value::parse(&json).map_err(|error| Failure::usage(format_args!("the input is no JSON: {error}")))
}
