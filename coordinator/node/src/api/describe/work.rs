//! Work items: what of a saga waits for a person, whose it is, and what can be done about it.

use sagaline_definition::model::{Definition, Verb};
use sagaline_engine::{Approval, Direction, Phase, PlaceState, Saga, Stuck};
use sagaline_schemas::{Partition, Value};

use super::super::model::WorkItem;
use super::words::{cause_in_words, step_name, stuck_in_words};
use super::{line, places};

/// Everything of a saga that waits for a person; oldest step first.
pub(in super::super) fn work(partition: Partition, definition: &Definition, saga: &Saga) -> Vec<WorkItem> {
    if saga.is_ended() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let saga_line = line(partition, definition, saga);
    let item = |kind: &str, why: String, actions: &[&str]| WorkItem {
        owner: saga_line.owner.clone(),
        saga: saga_line.clone(),
        kind: kind.to_owned(),
        step: None,
        items: Vec::new(),
        why,
        since: None,
        actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        version: None,
        shown: None,
        votes: Vec::new(),
    };
    if let Phase::Stuck { direction, stuck } = &saga.phase {
        let step = match stuck {
            Stuck::Step { spot, .. } => Some((spot.step, spot.items.clone())),
            _ => None,
        };
        let (step, items) = step.map_or((None, Vec::new()), |(step, items)| (Some(step), items));
        let step = step.map(|step| step_name(definition, step).to_owned());
        found.push(WorkItem {
            step,
            items,
            ..item("stuck", stuck_in_words(definition, saga, stuck), actions(direction))
        });
    }
    if let Some(held) = &saga.held {
        let why = format!("{} holds it: {}", held.by, held.reason);
        found.push(WorkItem { since: Some(held.since), ..item("held", why, &["release", "cancel"]) });
    }
    for (step, place) in places(saga) {
        let name = Some(step_name(definition, step).to_owned());
        let items = item_of(saga, step, place);
        match &place.state {
            PlaceState::Held { cause, .. } => {
                let owner = definition.steps[step as usize].owner.clone();
                let held = item("held", cause_in_words(cause), &["release", "retry", "confirm", "skip", "cancel"]);
                found.push(WorkItem { step: name, items, owner, ..held });
            }
            PlaceState::Asking { approval } => {
                let asked = item("approval", format!("asks {}", approval.by.join(", ")), &[]);
                found.push(approval_item(WorkItem { step: name, items, ..asked }, definition, step, approval));
            }
            _ => {}
        }
    }
    found
}

fn actions(direction: &Direction) -> &'static [&'static str] {
    match direction {
        Direction::Forward | Direction::Aside { .. } => &["retry", "confirm", "skip", "cancel", "close"],
        Direction::Back { .. } => &["retry", "confirm", "close"],
        Direction::Ensure { .. } => &["retry", "close"],
        Direction::Over { .. } => &["confirm", "retry", "close"],
    }
}

fn item_of(saga: &Saga, step: u32, place: &sagaline_engine::Place) -> Vec<u32> {
    let places = saga.steps[step as usize].state.places();
    if place.item.is_none() {
        return Vec::new();
    }
    (0..).zip(places).filter(|(_, other)| std::ptr::eq(*other, place)).map(|(item, _)| item).collect()
}

fn approval_item(item: WorkItem, definition: &Definition, step: u32, approval: &Approval) -> WorkItem {
    let choices = match &definition.steps[step as usize].verb {
        Verb::Approve(approve) => approve.choices.keys().map(|choice| format!("decide {choice}")).collect(),
        _ => Vec::new(),
    };
    let vote =
        |vote: &sagaline_engine::Vote| format!("{}: {} {}", vote.by, vote.choice, vote.comment).trim().to_owned();
    WorkItem {
        owner: approval.by.join(", "),
        since: Some(approval.since),
        actions: choices,
        version: Some(approval.version),
        shown: Some(Value::parse(&approval.shown).unwrap_or_default()),
        votes: approval.votes.iter().map(vote).collect(),
        ..item
    }
}
