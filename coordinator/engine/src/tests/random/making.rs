//! Small definitions of every verb, and whatever may come to their sagas.

use sagaline_definition::model::*;
use sagaline_schemas::record::{
    Answer, Compensated, End, Failed, Happened, Kind, Mark, MarkKind, NothingThere, Probed, Refused, Succeeded, Working,
};
use sagaline_schemas::request::Finding;
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{RequestId, SagaId, Value};

use super::choices::Choices;
use crate::saga::{PlaceState, TimerKind, TimerStart};
use crate::tests::stage::{self, Stage, back_to, expr, fact};
use crate::told::Told;
use crate::turn::{Input, ParentWord};
use crate::{Asked, PlaceName};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

pub fn definition(choices: &mut Choices<'_>) -> Definition {
    let count = 1 + choices.below(NAMES.len());
    let steps = (0..count).map(|number| step(choices, number)).collect::<Vec<_>>();
    let afters: Vec<Vec<usize>> = steps.iter().map(|step| step.after.clone()).collect();
    let mut made = stage::definition(steps);
    for (step, after) in made.steps.iter_mut().zip(afters) {
        step.after = after;
    }
    if choices.one_in(3) {
        let pivot = choices.below(count);
        if let Verb::Call(call) = &mut made.steps[pivot].verb {
            call.compensate = Compensate::Never;
            made.steps[pivot].pivot = true;
        }
    }
    made.facts = vec![fact("ok", Value::Bool(true)), fact("n", Value::Int(0))];
    if choices.one_in(3) {
        let then = word(choices, count - 1);
        let after_pivot = choices.of(&[Word::Stuck, Word::Hold, Word::Continue]);
        let between = choices.one_in(2).then_some((0, count - 1));
        made.react = vec![Reaction { condition: expr("facts.n > 1"), between, then, after_pivot }];
    }
    if choices.one_in(3) {
        made.ensure.completed = Some(check(choices, &made));
    }
    if choices.one_in(3) {
        made.ensure.compensated = Some(check(choices, &made));
    }
    made
}

fn check(choices: &mut Choices<'_>, made: &Definition) -> Check {
    let probed = |step: &Step| matches!(&step.verb, Verb::Call(call) if call.probe.is_some());
    let probes = (0..made.steps.len()).filter(|step| probed(&made.steps[*step])).collect();
    Check { condition: expr("facts.ok"), within: choices.of(&[0, 20_000]), probes }
}

fn step(choices: &mut Choices<'_>, number: usize) -> Step {
    let mut step = stage::step(NAMES[number], verb(choices, number));
    step.after = (0..number).filter(|before| *before + 1 == number || choices.one_in(2)).collect();
    if number > 0 && choices.one_in(4) {
        step.after = vec![];
    }
    if step.after.len() > 1 && choices.one_in(3) {
        step.at_least = Some(1);
    }
    if choices.one_in(6) {
        step.condition = Some(expr("facts.ok"));
    }
    if choices.one_in(4) {
        let enough = choices.one_in(2).then(|| 1 + choices.below(2) as u32);
        let at_once = 1 + choices.below(3) as u32;
        let list = expr(choices.of(&["[1, 2, 3]", "[1, 2]", "[]"]));
        step.for_each = Some(ForEach { item: "item".to_owned(), list, at_once, most: 3, enough });
    }
    if choices.one_in(4) {
        step.guard = Some(Guard { condition: expr("facts.ok"), otherwise: word(choices, number) });
    }
    if choices.one_in(6) {
        step.expected = Some(5_000);
    }
    if choices.one_in(6) {
        step.alias.insert("ref".to_owned(), expr("'r'"));
    }
    step
}

fn word(choices: &mut Choices<'_>, number: usize) -> Word {
    let back = back_to(choices.below(number + 1), 1 + choices.below(2) as u32, Word::Stuck);
    choices.of(&[Word::Compensate, Word::Stuck, Word::Hold, Word::Skip, Word::Continue, back])
}

fn verb(choices: &mut Choices<'_>, number: usize) -> Verb {
    let patience = |choices: &mut Choices<'_>| Patience {
        within: 50_000,
        remind: choices.one_in(2).then_some(20_000),
        otherwise: word(choices, number),
    };
    match choices.below(10) {
        6 => {
            let Verb::Saga(mut child) = stage::child("x").verb else { unreachable!("a child") };
            child.failed = word(choices, number);
            child.compensate = !choices.one_in(4);
            Verb::Saga(child)
        }
        7 => Verb::Sleep(Sleep::For(7_000)),
        8 => match choices.below(3) {
            0 => Verb::Wait(Wait {
                topic: "t".to_owned(),
                via: None,
                key: expr("event.key"),
                condition: choices.one_in(2).then(|| expr("event.n > facts.n")),
                shape: None,
                patience: patience(choices),
            }),
            1 => Verb::Until(Until { condition: expr("facts.n == 1"), patience: patience(choices) }),
            _ => Verb::Decide(Decide { arms: vec![Arm { condition: None, is: Value::Int(1) }] }),
        },
        9 => {
            let no = word(choices, number);
            Verb::Approve(Approve {
                by: vec!["user/ada".to_owned()],
                show: Template::Expr(expr("facts")),
                choices: [("yes".to_owned(), Word::Continue), ("no".to_owned(), no)].into(),
                quorum: 1,
                escalate: vec![(9_000, "role/boss".to_owned())],
                patience: patience(choices),
                void_if: choices.one_in(2).then(|| expr("facts.n != shown.n")),
            })
        }
        _ => call(choices, number),
    }
}

fn call(choices: &mut Choices<'_>, number: usize) -> Verb {
    let mut call = stage::call(NAMES[number]);
    call.participant = choices.of(&["p", "q"]).to_owned();
    call.refused_else = word(choices, number);
    call.failed = word(choices, number);
    call.probe = choices.one_in(3).then(|| "probe".to_owned());
    call.retry.within = choices.one_in(3).then_some(15_000);
    if choices.one_in(4) {
        call.compensate = choices.of(&[Compensate::Never, Compensate::Reads]);
    }
    Verb::Call(call)
}

/// Whatever may come now; and much that may not.
pub fn input(choices: &mut Choices<'_>, stage: &mut Stage) -> Option<Input> {
    Some(match choices.below(16) {
        0..=5 => return answer(choices, stage),
        6 | 7 => return timer(choices, stage),
        8 => return sent(choices, stage),
        9 => {
            let told = |value: &str| Told { value: Bytes::from(value), seq: None, at: stage.now };
            match choices.below(2) {
                0 => Input::Told { fact: 0, told: told(choices.of(&["true", "false"])) },
                _ => Input::Told { fact: 1, told: told(choices.of(&["0", "1", "2", "3"])) },
            }
        }
        10 => Input::Letter {
            step: choices.below(NAMES.len()) as u32,
            event: Bytes::from(choices.of(&[r#"{"n":1}"#, r#"{"n":9}"#])),
        },
        11 => return child_ended(choices, stage),
        12..=14 => request(choices, stage),
        _ => return rare(choices, stage),
    })
}

fn rare(choices: &mut Choices<'_>, stage: &mut Stage) -> Option<Input> {
    let participant = choices.of(&["p", "q"]).to_owned();
    let set = if choices.one_in(2) { &mut stage.gates.closed } else { &mut stage.gates.down };
    match choices.below(6) {
        0 => {
            set.insert(participant);
            None
        }
        1 | 2 => {
            set.remove(&participant);
            Some(Input::Admitted)
        }
        3 => {
            let (alias, value) = ("ref".to_owned(), "r".to_owned());
            Some(Input::AliasTaken { alias, value, holder: SagaId::from_bytes([5; 16]) })
        }
        4 => Some(Input::Fault { offset: 1, reason: "so".to_owned() }),
        _ => {
            let reason = "so".to_owned();
            let word = choices.of(&[
                ParentWord::Cancel { reason: reason.clone() },
                ParentWord::Compensate { reason },
                ParentWord::Release,
            ]);
            Some(Input::Parent { word })
        }
    }
}

fn effect(choices: &mut Choices<'_>, stage: &Stage) -> Option<u32> {
    let count = stage.saga.effects.len();
    // Mostly the newest ones.
    (count > 0).then(|| (count - 1 - choices.below(count.min(4))) as u32)
}

fn command(choices: &mut Choices<'_>, stage: &Stage) -> Option<(u32, Kind, u32)> {
    let effect = effect(choices, stage)?;
    let kind = choices.of(&[Kind::Do, Kind::Compensate, Kind::Probe]);
    let count = stage.saga.effects[effect as usize].tries(kind).map_or(0, |tries| tries.count);
    let attempt = if choices.one_in(5) { 1 + choices.below(3) as u32 } else { count };
    Some((effect, kind, attempt))
}

fn sent(choices: &mut Choices<'_>, stage: &Stage) -> Option<Input> {
    let (effect, kind, attempt) = command(choices, stage)?;
    Some(Input::Sent { effect, kind, attempt, base: choices.one_in(2).then_some(stage.now) })
}

fn answer(choices: &mut Choices<'_>, stage: &Stage) -> Option<Input> {
    let (effect, kind, attempt) = command(choices, stage)?;
    let result = Bytes::from("1");
    let answers = [
        Answer::Succeeded(Succeeded { result: result.clone() }),
        Answer::Compensated(Compensated { result: None }),
        Answer::Probed(Probed { happened: Happened::Yes, found: Some(result.clone()), result: Some(result) }),
        Answer::Refused(Refused { code: "No".to_owned(), detail: String::new() }),
        Answer::NothingThere(NothingThere {}),
        Answer::Probed(Probed { happened: Happened::No, result: None, found: None }),
        Answer::Probed(Probed { happened: Happened::Unknown, result: None, found: None }),
        Answer::Failed(Failed { error: "oh".to_owned(), retry_after: None, outage: false }),
        Answer::Failed(Failed { error: "oh".to_owned(), retry_after: None, outage: false }),
        Answer::Working(Working { until: stage.now + 3_000 }),
        Answer::Mark(Mark { mark: MarkKind::Forgotten }),
        Answer::Mark(Mark { mark: MarkKind::Tombstoned }),
    ];
    Some(Input::Answer { effect, kind, attempt, answer: choices.of(&answers), instance: "i".to_owned() })
}

fn timer(choices: &mut Choices<'_>, stage: &mut Stage) -> Option<Input> {
    stage.saga.begin_durations(stage.now);
    let timers = &stage.saga.timers;
    let timer = timers.get(choices.below(timers.len()))?.clone();
    if timer.kind == TimerKind::Deadline && !choices.one_in(3) {
        return None;
    }
    let TimerStart::Due { at } = timer.start else { unreachable!("begun just now") };
    stage.now = stage.now.max(at);
    Some(Input::Timer { kind: timer.kind, at: timer.at })
}

fn child_ended(choices: &mut Choices<'_>, stage: &Stage) -> Option<Input> {
    let children: Vec<_> = stage.saga.effects.iter().filter(|effect| effect.child_key.is_some()).collect();
    let at = children.get(choices.below(children.len()))?.spot();
    let end = choices.of(&[End::Completed, End::Compensated, End::Cancelled, End::Closed, End::NotStarted]);
    let child = (end != End::NotStarted).then(|| SagaId::from_bytes([3; 16]));
    Some(Input::ChildEnded { at, end, child, result: Bytes::from("1"), reason: String::new() })
}

pub fn ask(asked: Asked) -> Input {
    Input::Request { id: RequestId::from_bytes([1; 16]), by: "ada".to_owned(), roles: vec![], asked }
}

/// A place of the saga; one that is not there where none is.
fn place(choices: &mut Choices<'_>, stage: &Stage) -> PlaceName {
    let number = choices.below(stage.definition.steps.len());
    let step = &stage.definition.steps[number];
    let items = if step.for_each.is_some() { vec![choices.below(3) as u32] } else { vec![] };
    PlaceName { step: step.step.clone(), items, round: None }
}

fn request(choices: &mut Choices<'_>, stage: &Stage) -> Input {
    let reason = "so".to_owned();
    let place = place(choices, stage);
    ask(match choices.below(12) {
        0 | 1 => Asked::Retry { place: None, input: None, reason },
        2 => Asked::Retry { place: Some(place), input: choices.one_in(2).then(|| Bytes::from("7")), reason },
        3 => Asked::Confirm {
            place,
            finding: choices.of(&[Finding::Done, Finding::NotDone, Finding::Undone]),
            result: None,
            reason,
            evidence: String::new(),
        },
        4 => Asked::Skip { place, reason },
        5 => Asked::Hold { reason },
        6 => Asked::Release { place: None, reason },
        7 => Asked::Release { place: Some(place), reason },
        8 | 9 => vote(&place, choices.of(&["yes", "no"]), stage),
        10 => Asked::Signal { step: place.step, event: Bytes::from(r#"{"n":5}"#) },
        _ if choices.one_in(4) => Asked::Close { reason },
        _ => Asked::Cancel { reason },
    })
}

/// On what is shown now.
pub fn vote(place: &PlaceName, choice: &str, stage: &Stage) -> Asked {
    let step = stage.definition.step_index(&place.step).expect("a step of the definition");
    let item = place.items.first().map_or(0, |item| *item as usize);
    let version = match stage.saga.steps[step].state.places().get(item).map(|place| &place.state) {
        Some(PlaceState::Asking { approval }) => approval.version,
        _ => 0,
    };
    Asked::Decide { place: place.clone(), version, choice: choice.to_owned(), reason: String::new() }
}
