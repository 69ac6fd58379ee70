//! What people give by hand in a participant's or an expression's place, a step's result or input: held against what contracts and child
//! definitions say before a saga takes it. Null is a result only where nothing is returned: else later steps, and whatever undoes the step,
//! would meet what they were never written for.

use sagaline_definition::Contract;
use sagaline_definition::model::{Call, Definition, Template, Verb};
use sagaline_definition::types::Type;
use sagaline_engine::{Asked, Phase, PlaceName, Saga, Stuck};
use sagaline_schemas::request::Finding;
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{SagaId, Value};

use crate::fold::Partition;
use crate::halt::Halt;
use crate::progress::corrupt;
use crate::state::KnownContract;
use crate::store::Family;

impl Partition {
    /// What was asked; where it gives what can't be taken, that it is refused and why: the saga's history tells of it, too.
    pub(crate) fn held_against_contracts(&mut self, id: SagaId, asked: Asked) -> Result<Asked, Halt> {
        let Some(saga) = self.over.saga(id)?.cloned() else { return Ok(asked) };
        let definition = self.definition_of(&saga)?;
        let (what, reason, why) = match &asked {
            Asked::Confirm { place, finding: Finding::Done, result, reason, .. } => {
                ("confirm", reason, self.why_not_result(&definition, &saga, place, result.as_ref())?)
            }
            Asked::Retry { place, input: Some(input), reason } => {
                ("retry", reason, self.why_not_input(&definition, &saga, place.as_ref(), input)?)
            }
            _ => return Ok(asked),
        };
        Ok(match why {
            None => asked,
            Some(why) => Asked::Unfit { what: what.to_owned(), why, reason: reason.clone() },
        })
    }

    fn why_not_result(
        &mut self,
        definition: &Definition,
        saga: &Saga,
        place: &PlaceName,
        result: Option<&Bytes>,
    ) -> Result<Option<String>, Halt> {
        let Some(step) = definition.step_index(&place.step) else { return Ok(None) };
        let effect = saga.effect_meant(step as u32, place).and_then(|effect| saga.effects.get(effect as usize));
        if effect.is_none_or(|effect| !effect.outcome.is_undecided()) {
            // Nothing is to be confirmed, or its participant has said the result.
            return Ok(None);
        }
        let Ok(given) = result.map_or(Ok(Value::Null), |result| Value::parse(result)) else { return Ok(None) };
        Ok(match &definition.steps[step].verb {
            Verb::Call(call) => {
                let Some(returns) = self.type_of(definition, call, Of::Result)? else { return Ok(None) };
                let name = format!("{}.{}", call.participant, call.operation);
                returns.check(&given).err().map(|wrong| match given {
                    Value::Null => format!("{name} returns {}: give it, --result JSON", sketch(&returns)),
                    _ => format!("the result is not what {name} returns, {}: {wrong}: --result JSON", sketch(&returns)),
                })
            }
            Verb::Saga(child) => {
                let Some(of) = self.definition(child.definition)? else { return Ok(None) };
                let Some(returns) = &of.result else { return Ok(None) };
                let missing = match result {
                    Some(_) => missing(returns, &given, &place.step),
                    None => Some(format!("the result of {}", place.step)),
                };
                missing
                    .map(|what| format!("{what} is missing: the child saga {:?} returns it: --result JSON", child.saga))
            }
            Verb::Sleep(_) | Verb::Wait(_) | Verb::Until(_) | Verb::Approve(_) | Verb::Decide(_) => None,
        })
    }

    fn why_not_input(
        &mut self,
        definition: &Definition,
        saga: &Saga,
        place: Option<&PlaceName>,
        input: &Bytes,
    ) -> Result<Option<String>, Halt> {
        let stuck_at = match &saga.phase {
            Phase::Stuck { stuck: Stuck::Step { spot, .. }, .. } => Some(spot.step as usize),
            Phase::Running { .. } | Phase::Stuck { .. } | Phase::Ended { .. } => None,
        };
        let step = place.map_or(stuck_at, |place| definition.step_index(&place.step));
        let (Some(step), Ok(given)) = (step, Value::parse(input)) else { return Ok(None) };
        let (name, takes) = match &definition.steps[step].verb {
            Verb::Call(call) => {
                (format!("{}.{}", call.participant, call.operation), self.type_of(definition, call, Of::Input)?)
            }
            Verb::Saga(child) => {
                let of = self.definition(child.definition)?;
                (format!("the child saga {:?}", child.saga), of.and_then(|of| of.start.shape.clone()))
            }
            Verb::Sleep(_) | Verb::Wait(_) | Verb::Until(_) | Verb::Approve(_) | Verb::Decide(_) => return Ok(None),
        };
        let wrong = takes.and_then(|takes| Some((takes.check(&given).err()?, takes)));
        Ok(wrong.map(|(wrong, takes)| format!("the input is not what {name} takes, {}: {wrong}", sketch(&takes))))
    }

    /// None: its contract says nothing of it.
    fn type_of(&self, definition: &Definition, call: &Call, of: Of) -> Result<Option<Type>, Halt> {
        let Some(digest) = definition.contracts.get(&call.participant) else { return Ok(None) };
        let Some(known) = self.over.read::<KnownContract>(Family::Contracts, &digest.0)? else { return Ok(None) };
        let contract = Contract::from_normal_form(&known.normal_form).map_err(|_| corrupt("contracts"))?;
        let Some(operation) = contract.operations.get(&call.operation) else { return Ok(None) };
        let name = match of {
            Of::Input => Some(&operation.input),
            Of::Result => operation.output.as_ref(),
        };
        Ok(name.and_then(|name| contract.type_of(name)))
    }
}

#[derive(Clone, Copy)]
enum Of {
    Input,
    Result,
}

/// The first part that a template always makes, and the value has not.
fn missing(template: &Template, value: &Value, path: &str) -> Option<String> {
    match (template, value) {
        (Template::Map(members), Value::Map(map)) => members.iter().find_map(|(name, member)| {
            let path = format!("{path}.{name}");
            match map.get(name) {
                Some(value) => missing(member, value, &path),
                None => Some(path),
            }
        }),
        (Template::Map(members), _) => {
            Some(members.keys().next().map_or_else(|| path.to_owned(), |first| format!("{path}.{first}")))
        }
        // What an expression gives may be null.
        (Template::Literal(_) | Template::Expr(_) | Template::Text(_) | Template::List(_), _) => None,
    }
}

/// A type as people write a value of it.
fn sketch(of: &Type) -> String {
    match of {
        Type::Record(_, members) => {
            let members: Vec<String> = members.iter().map(|(name, of)| format!("{name}: {of}")).collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_string(),
    }
}
