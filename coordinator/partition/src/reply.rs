//! A participant's answer: its address must be known and its token right; then it is the saga's.

use sagaline_definition::model::{Definition, FactClause};
use sagaline_engine::{Input, Saga, shortened};
use sagaline_schemas::output::ParkedReason;
use sagaline_schemas::record::{Address, Answer, Failed, Kind, Refused, Reply};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Content, Value, hash};

use crate::command::{call_of, fact_path, operation};
use crate::fold::{LogRecord, Partition};
use crate::halt::Halt;
use crate::keys;
use crate::sagas::Turned;
use crate::state::{Asked, Attempt};
use crate::store::Family;

/// Why a reply is set aside.
pub(crate) type Unfit = (ParkedReason, String);

impl Partition {
    pub(crate) fn reply(&mut self, record: LogRecord<'_>, reply: Reply) -> Result<(), Halt> {
        let found = match self.find_command(&reply)? {
            Ok(found) => found,
            Err((reason, detail)) => return self.park(record.value, reason, detail),
        };
        if let Err((reason, detail)) = check_payload(&reply.answer, self.begun().settings.max_payload as usize) {
            return self.park(record.value, reason, detail);
        }
        let is_last = answers_for_good(&reply.answer);
        let attempt = found.attempt(&reply.address);
        let Reply { address, answer, instance, .. } = reply;
        let (answer, instance) = (with_short_texts(answer), shortened(instance));
        match &answer {
            Answer::Failed(said) if said.outage => self.says_it_is_out(&found.participant, said)?,
            _ => self.an_answer(&found.participant)?,
        }
        let input = match found.about {
            About::Effect(effect) => {
                Input::Answer { effect, kind: address.kind, attempt: address.attempt, answer, instance }
            }
            About::Fact(fact) => Input::FactAnswer { fact, attempt: address.attempt, answer },
        };
        if let Turned::Rejected(detail) = self.turn(address.saga, input)? {
            return self.park(record.value, ParkedReason::Refused, detail);
        }
        if is_last && let Some(attempt) = attempt {
            self.unanswered.remove(&attempt);
            self.tokens.remove(&attempt);
        }
        Ok(())
    }

    /// What the reply is about, if there is such a command and the token is the one it carried.
    pub(crate) fn find_command(&mut self, reply: &Reply) -> Result<Result<Found, Unfit>, Halt> {
        let address = &reply.address;
        let unknown = |what: &str| {
            Err((ParkedReason::Unknown, format!("{what}: saga {}, step {:?}", address.saga, address.step)))
        };
        let Some(saga) = self.over.saga(address.saga)?.map(|saga| saga.definition) else {
            return Ok(unknown("no such saga is remembered"));
        };
        let Some(definition) = self.definition(saga)? else {
            return Ok(unknown("the saga's definition is not known"));
        };
        let (log_id, number) = (self.begun().log_id, self.number);
        let Some(saga) = self.over.cached(address.saga) else {
            return Ok(unknown("no such saga is remembered"));
        };
        let token = |content| self.key.token(log_id, number, hash::addressed_command(address), content);
        let found = match address.kind {
            Kind::Do | Kind::Compensate | Kind::Probe => find_effect(&definition, saga, reply).map(|found| {
                let known = found.attempt(address).and_then(|attempt| self.tokens.get(&attempt)).copied();
                let carried = known.or_else(|| content_of(&definition, saga, &found, address.kind).map(token));
                (found, carried)
            }),
            Kind::Ask => self.find_question(&definition, reply)?.map(|(found, content)| (found, Some(token(content)))),
        };
        let Some((found, carried)) = found else { return Ok(unknown("no such command was sent")) };
        if carried != Some(reply.token) {
            return Ok(Err((ParkedReason::Unproven, "its token is not the one that the command carried".to_owned())));
        }
        Ok(Ok(found))
    }

    /// Only the newest question has an answer: what an older one asked is not known any more.
    fn find_question(&self, definition: &Definition, reply: &Reply) -> Result<Option<(Found, Content)>, Halt> {
        let address = &reply.address;
        let named = |clause: &FactClause| fact_path(&clause.fact) == address.step;
        let Some(fact) = definition.facts.iter().position(named) else { return Ok(None) };
        let Some(ask) = &definition.facts[fact].ask else { return Ok(None) };
        let asked = self.over.read::<Asked>(Family::Asks, &keys::ask(address.saga, fact as u32))?;
        let Some(asked) = asked.filter(|asked| asked.attempt == address.attempt) else { return Ok(None) };
        let (about, participant) = (About::Fact(fact as u32), ask.participant.clone());
        Ok(Some((Found { about, participant }, asked.content)))
    }
}

/// What a reply is about.
pub(crate) enum About {
    /// An effect, by its number.
    Effect(u32),
    /// A fact, by its number.
    Fact(u32),
}

/// The command that a reply answers.
pub(crate) struct Found {
    pub about: About,
    pub participant: String,
}

impl Found {
    /// Which attempt the reply answers; none: it is about a fact.
    fn attempt(&self, address: &Address) -> Option<Attempt> {
        match self.about {
            About::Effect(effect) => {
                Some(Attempt { saga: address.saga, effect, kind: address.kind, number: address.attempt })
            }
            About::Fact(_) => None,
        }
    }
}

fn find_effect(definition: &Definition, saga: &Saga, reply: &Reply) -> Option<Found> {
    let address = &reply.address;
    let step = definition.step_index(&address.step)?;
    let effect = saga.effect_at(step as u32, &address.items, address.round)?;
    let (of, call) = (saga.effects.get(effect as usize)?, call_of(definition, saga, effect)?);
    let found = Found { about: About::Effect(effect), participant: call.participant.clone() };
    (1..=of.tries(address.kind)?.count).contains(&address.attempt).then_some(found)
}

/// What the command said.
fn content_of(definition: &Definition, saga: &Saga, found: &Found, kind: Kind) -> Option<Content> {
    let About::Effect(effect) = found.about else { return None };
    let (of, call) = (saga.effects.get(effect as usize)?, call_of(definition, saga, effect)?);
    Some(hash::content(operation(call, kind), of.input(kind)))
}

/// Whether the attempt's clock need not begin any more.
fn answers_for_good(answer: &Answer) -> bool {
    match answer {
        Answer::Succeeded(_)
        | Answer::Refused(_)
        | Answer::Failed(_)
        | Answer::Compensated(_)
        | Answer::NothingThere(_) => true,
        Answer::Working(_) | Answer::Probed(_) | Answer::Mark(_) => false,
    }
}

/// What a participant says for people is cut; what it says for the saga is not.
fn with_short_texts(answer: Answer) -> Answer {
    match answer {
        Answer::Refused(Refused { code, detail }) => {
            Answer::Refused(Refused { code: shortened(code), detail: shortened(detail) })
        }
        Answer::Failed(said) => Answer::Failed(Failed { error: shortened(said.error), ..said }),
        Answer::Succeeded(_)
        | Answer::Working(_)
        | Answer::Compensated(_)
        | Answer::NothingThere(_)
        | Answer::Probed(_)
        | Answer::Mark(_) => answer,
    }
}

/// What an answer carries for the saga: JSON, and no larger than the settings allow.
fn check_payload(answer: &Answer, limit: usize) -> Result<(), Unfit> {
    let payloads: [Option<&Bytes>; 2] = match answer {
        Answer::Succeeded(said) => [Some(&said.result), None],
        Answer::Compensated(said) => [said.result.as_ref(), None],
        Answer::Probed(said) => [said.result.as_ref(), said.found.as_ref()],
        Answer::Refused(_) | Answer::Failed(_) | Answer::Working(_) | Answer::NothingThere(_) | Answer::Mark(_) => {
            [None, None]
        }
    };
    for (what, payload) in ["its result", "what it found"].into_iter().zip(payloads) {
        let Some(payload) = payload else { continue };
        if payload.len() > limit {
            let detail = format!("{what} has {} bytes, the settings allow {limit}", payload.len());
            return Err((ParkedReason::TooLarge, detail));
        }
        if !Value::is_json(payload) {
            let why = Value::parse(payload).map_or_else(|error| error.to_string(), |_| String::new());
            return Err((ParkedReason::Undecodable, format!("{what} is no JSON: {why}")));
        }
    }
    Ok(())
}
