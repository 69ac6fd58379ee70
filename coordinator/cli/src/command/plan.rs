//! `plan`: what would be undone if a step failed, in words and as a drawing.

use std::fs;

use sagaline_checker::draw;
use sagaline_definition::Definition;
use sagaline_definition::model::{Step, StepIndex, Verb};
use sagaline_schemas::Value;
use serde_json::json;

use crate::args::{Common, Plan};
use crate::command::{ask, check};
use crate::exit::Failure;
use crate::print;

/// `sagaline plan`
pub fn plan(plan: &Plan, common: &Common) -> Result<(), Failure> {
    let loaded = check::load(&plan.files, common)?;
    let first = plan.files.first().and_then(|file| loaded.definitions.get(file));
    let Some(definition) = first else {
        return Err(Failure::usage("the first file is no definition: name one, then those of its child sagas"));
    };
    if plan.if_failed_at.is_none() && plan.svg.is_none() {
        return Err(Failure::usage("say --if-failed-at STEP, --svg FILE.svg, or both"));
    }
    let contracts = loaded.contracts.iter().map(|contract| (contract.participant.clone(), contract.clone())).collect();
    let planned = match &plan.if_failed_at {
        None => None,
        Some(name) => {
            let step = step_of(definition, name)?;
            let input = plan.input.as_deref().map(|input| input_of(definition, input)).transpose()?;
            let planned = sagaline_checker::plan_with(definition, &contracts, step, input.as_ref());
            Some(planned.ok_or_else(|| never(definition, step, input.is_some()))?)
        }
    };
    if let Some(path) = &plan.svg {
        let drawing = draw(definition, planned.as_ref());
        fs::write(path, drawing).map_err(|error| Failure::file(path, &error))?;
    }
    match planned {
        Some(planned) if common.json => {
            let undone: Vec<_> =
                planned.undone.iter().map(|(place, _, by)| json!({ "place": place, "by": by })).collect();
            print::json(
                &json!({ "before": planned.before, "undone": undone, "stays": planned.stays, "end": planned.end }),
            )
        }
        Some(planned) => print::line(format_args!("{}", planned.text(definition).trim_end())),
        None => Ok(()),
    }
}

fn input_of(definition: &Definition, input: &str) -> Result<Value, Failure> {
    let input = ask::input(input)?;
    let fits = definition.start.shape.as_ref().map_or(Ok(()), |shape| shape.check(&input));
    fits.map_err(|wrong| Failure::usage(format_args!("the input is not what `start.type` says: {wrong}")))?;
    Ok(input)
}

fn never(definition: &Definition, step: StepIndex, given: bool) -> Failure {
    let Step { step: name, verb, .. } = &definition.steps[step];
    match (verb, given) {
        (Verb::Sleep(_) | Verb::Decide(_), _) => Failure::usage(format_args!("{name:?} does nothing that can fail")),
        (_, true) => {
            Failure::usage(format_args!("with this input, no answers and news that were tried lead to {name:?}"))
        }
        (_, false) => Failure::usage(format_args!("no input that was tried leads to {name:?}: give one, --input JSON")),
    }
}

fn step_of(definition: &Definition, name: &str) -> Result<usize, Failure> {
    definition.step_index(name).ok_or_else(|| {
        let names: Vec<&str> = definition.steps.iter().map(|step| step.step.as_str()).collect();
        Failure::usage(format_args!("there is no step {name:?}: the definition has {}", names.join(", ")))
    })
}
