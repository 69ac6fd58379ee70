//! A participant's answer: its address must be known and its token right; then it is the saga's.

use sagaline_engine::{Input, Rejected, Saga, shortened};
use sagaline_schemas::output::ParkedReason;
use sagaline_schemas::record::{Answer, Failed, Refused, Reply};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{CommandId, Value, hash};

use crate::fold::{LogRecord, Partition};
use crate::halt::Halt;
use crate::sagas::operation;

/// Why a reply is set aside.
pub(crate) type Unfit = (ParkedReason, String);

impl Partition {
    pub(crate) fn reply(&mut self, record: LogRecord<'_>, reply: Reply) -> Result<(), Halt> {
        let (effect, command) = match self.find_effect(&reply)? {
            Ok(found) => found,
            Err((reason, detail)) => return self.park(record.value, reason, detail),
        };
        if let Err((reason, detail)) = check_payload(&reply.answer, self.begun().settings.max_payload as usize) {
            return self.park(record.value, reason, detail);
        }
        let is_last = answers_for_good(&reply.answer);
        let Reply { address, answer, instance, .. } = reply;
        let (answer, instance) = (with_short_texts(answer), shortened(instance));
        let input = Input::Answer { effect, kind: address.kind, attempt: address.attempt, answer, instance };
        if let Some(Some(Rejected::Answer(detail) | Rejected::Request(detail))) = self.turn(address.saga, input)? {
            return self.park(record.value, ParkedReason::Refused, detail);
        }
        if is_last {
            self.unanswered.remove(&command);
        }
        Ok(())
    }

    /// The effect that the reply is about, if there is such a command and the token is the one it carried.
    pub(crate) fn find_effect(&mut self, reply: &Reply) -> Result<Result<(u32, CommandId), Unfit>, Halt> {
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
        let Some(effect) = definition.step_index(&address.step).and_then(|step| find(saga, step as u32, reply)) else {
            return Ok(unknown("no such command was sent"));
        };
        let input = &saga.effects[effect as usize].input;
        let content = hash::content(operation(&definition, saga, effect, address.kind), input);
        let command = hash::addressed_command(address);
        if self.key.token(log_id, number, command, content) != reply.token {
            return Ok(Err((ParkedReason::Unproven, "its token is not the one that the command carried".to_owned())));
        }
        Ok(Ok((effect, command)))
    }
}

fn find(saga: &Saga, step: u32, reply: &Reply) -> Option<u32> {
    let address = &reply.address;
    let effect = saga.effect_at(step, &address.items, address.round)?;
    let tries = saga.tries(effect, address.kind)?;
    (1..=tries.count).contains(&address.attempt).then_some(effect)
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
