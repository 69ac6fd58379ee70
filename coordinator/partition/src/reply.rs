//! A participant's answer: its address must be known and its token right; then it is the saga's.

use sagaline_definition::model::{Definition, FactClause};
use sagaline_engine::{Input, Saga, shortened};
use sagaline_schemas::output::ParkedReason;
use sagaline_schemas::record::{Answer, Failed, Kind, Refused, Reply};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{CommandId, Content, Value, hash};

use crate::command::{call_of, fact_path, operation};
use crate::fold::{LogRecord, Partition};
use crate::halt::Halt;
use crate::keys;
use crate::sagas::Turned;
use crate::state::Asked;
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
        let Reply { address, answer, instance, .. } = reply;
        let (answer, instance) = (with_short_texts(answer), shortened(instance));
        self.an_answer(&found.participant)?;
        let input = match found.about {
            About::Effect(effect) => {
                Input::Answer { effect, kind: address.kind, attempt: address.attempt, answer, instance }
            }
            About::Fact(fact) => Input::FactAnswer { fact, answer },
        };
        if let Turned::Rejected(detail) = self.turn(address.saga, input)? {
            return self.park(record.value, ParkedReason::Refused, detail);
        }
        if is_last {
            self.unanswered.remove(&found.command);
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
        let Some(saga) = self.over.saga(address.saga)? else {
            return Ok(unknown("no such saga is remembered"));
        };
        let found = match address.kind {
            Kind::Do | Kind::Compensate | Kind::Probe => find_effect(&definition, saga, reply),
            Kind::Ask => self.find_question(&definition, reply)?,
        };
        let Some((found, content)) = found else { return Ok(unknown("no such command was sent")) };
        if self.key.token(log_id, number, found.command, content) != reply.token {
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
        Ok(Some((Found { about, participant, command: hash::addressed_command(address) }, asked.content)))
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
    pub command: CommandId,
}

fn find_effect(definition: &Definition, saga: &Saga, reply: &Reply) -> Option<(Found, Content)> {
    let address = &reply.address;
    let step = definition.step_index(&address.step)?;
    let effect = saga.effect_at(step as u32, &address.items, address.round)?;
    let (of, call) = (saga.effects.get(effect as usize)?, call_of(definition, saga, effect)?);
    let content = hash::content(operation(call, address.kind), of.input(address.kind));
    let (about, participant) = (About::Effect(effect), call.participant.clone());
    let found = Found { about, participant, command: hash::addressed_command(address) };
    (1..=of.tries(address.kind)?.count).contains(&address.attempt).then_some((found, content))
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
        Answer::Failed(Failed { error, retry_after }) => {
            Answer::Failed(Failed { error: shortened(error), retry_after })
        }
        Answer::Succeeded(_)
        | Answer::Working(_)
        | Answer::Compensated(_)
        | Answer::NothingThere(_)
        | Answer::Probed(_)
        | Answer::Mark(_) => answer,
    }
}

fn check_payload(answer: &Answer, limit: usize) -> Result<(), Unfit> {
    let payload: Option<&Bytes> = match answer {
        Answer::Succeeded(said) => Some(&said.result),
        Answer::Compensated(said) => said.result.as_ref(),
        Answer::Probed(said) => said.result.as_ref(),
        Answer::Refused(_) | Answer::Failed(_) | Answer::Working(_) | Answer::NothingThere(_) | Answer::Mark(_) => None,
    };
    let Some(payload) = payload else {
        return Ok(());
    };
    if payload.len() > limit {
        return Err((
            ParkedReason::TooLarge,
            format!("its result has {} bytes, the settings allow {limit}", payload.len()),
        ));
    }
    match Value::parse(payload) {
        Ok(_) => Ok(()),
        Err(error) => Err((ParkedReason::Undecodable, format!("its result is no JSON: {error}"))),
    }
}
