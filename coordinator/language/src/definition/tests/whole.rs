//! The sketch of the whole language: everything it shows is said, and lowered as it is meant.

use expect_test::expect;
use sagaline_definition::model::{Compensate, FactClause, Patience, Sleep, Verb, Word};
use sagaline_definition::types::Type;

use super::*;
use crate::{Checked, Child, Definitions};

/// Contracts of the sketch.
pub const CONTRACTS: [&str; 4] = [
    include_str!("sketch/inventory.yaml"),
    include_str!("sketch/payment.yaml"),
    include_str!("sketch/shipping.yaml"),
    include_str!("sketch/mail.yaml"),
];
/// The sketch's child saga.
pub const CHILD: &str = include_str!("sketch/deliver-parcel.yaml");
/// The sketch.
pub const SKETCH: &str = include_str!("sketch/order-fulfilment.yaml");

pub fn child() -> Child {
    crate::definition_with("child.yaml", CHILD, &Contracts::default(), &Definitions::default())
        .unwrap_or_else(|r| panic!("{r}"))
        .value
}

fn sketch() -> Checked<Child> {
    let contracts = CONTRACTS.into_iter().map(contract).collect();
    let mut children = Definitions::default();
    children.insert(child());
    crate::definition_with("sketch.yaml", SKETCH, &contracts, &children).unwrap_or_else(|report| panic!("{report}"))
}

fn step(name: &str) -> sagaline_definition::model::Step {
    let definition = sketch().value.definition;
    let index = definition.step_index(name).expect("it is there");
    definition.steps[index].clone()
}

#[test]
fn all_of_it_is_right() {
    expect![[""]].assert_eq(&sketch().warnings.plain());
}

// shows: head.constants, head.owner, head.saga, head.types, head.use, head.version x restart
// shows: start.topic, start.if, start.key, start.input, facts.topic, facts.if x restart
// shows: step, with x restart
#[test]
fn its_normal_form_reads_back() {
    let definition = sketch().value.definition;
    let again = Definition::from_normal_form(&definition.normal_form()).expect("it reads back");
    assert_eq!(again, definition);
    assert_eq!(again.digest(), definition.digest());
}

// shows: facts.topic, facts.if, facts.for x success
#[test]
fn facts_know_who_tells_them() {
    let definition = sketch().value.definition;
    let shown =
        definition.facts.iter().map(|FactClause { fact, topic, condition, key, of, value, seq, initial, .. }| {
            format!("{fact}: {topic:?} {condition:?} {key:?} {of:?} {value:?} {seq:?} {initial:?}\n")
        });
    expect![[r#"
        status: Some("orders") Some(Expr(event.type == 'status')) Some(Expr(event.order_id)) None Some(Expr(event.status)) Some(Expr(event.seq)) String("placed")
        address: Some("addresses") None Some(Expr(event.order_id)) None Some(Expr(event.address)) Some(Expr(event.rev)) Null
        rate: Some("rates") None Some(Expr(event.product)) Some(Expr(input.product)) Some(Expr(event.rate)) Some(Expr(event.seq)) Null
    "#]].assert_eq(&shown.collect::<String>());
}

#[test]
fn reactions_and_checks_are_kept() {
    let definition = sketch().value.definition;
    let [react] = definition.react.as_slice() else { panic!("one reaction") };
    assert_eq!(
        (react.condition.source(), &react.then, &react.after_pivot),
        ("facts.status == 'cancelled'", &Word::Compensate, &Word::Stuck)
    );
    let completed = definition.ensure.completed.as_ref().expect("there is a check");
    let compensated = definition.ensure.compensated.as_ref().expect("there is a check");
    let charge = definition.step_index("charge").expect("it is there");
    assert_eq!((completed.within, completed.probes.as_slice()), (3_600_000, [charge].as_slice()));
    assert_eq!((compensated.within, compensated.probes.as_slice()), (0, [charge].as_slice()));
}

#[test]
fn steps_are_lowered() {
    let Verb::Until(complete) = step("complete").verb else { panic!("a wait") };
    assert_eq!(complete.condition.source(), "facts.address != null");
    let patience = Patience { within: 3 * 86_400_000, remind: Some(86_400_000), otherwise: Word::Compensate };
    assert_eq!(complete.patience, patience);

    let Verb::Decide(route) = step("route").verb else { panic!("a decision") };
    assert_eq!(route.arms[0].condition.as_ref().map(|c| c.source()), Some("input.total > 1000000"));
    assert_eq!(route.arms[1].condition, None);

    let Verb::Approve(approval) = step("approval").verb else { panic!("an approval") };
    assert_eq!(approval.by, ["role/manager"]);
    assert_eq!(approval.escalate, [(86_400_000, "role/director".to_owned())]);
    assert_eq!(approval.choices["question"], Word::Hold);
    assert_eq!(approval.quorum, 1);

    let reserve = step("reserve");
    let each = reserve.for_each.expect("for each line");
    assert_eq!(
        (each.item.as_str(), each.list.source(), each.at_once, each.most, each.enough),
        ("line", "input.lines", 5, 1000, None)
    );

    let charge = step("charge");
    assert_eq!(charge.guard.map(|guard| guard.otherwise), Some(Word::Compensate));
    assert_eq!(charge.alias["psp_ref"].source(), "charge.reference");
    assert_eq!(charge.expected, Some(7_200_000));
    let Verb::Call(call) = charge.verb else { panic!("a call") };
    assert_eq!(
        (call.refused["CardExpired"].clone(), call.refused_else, call.probe.as_deref()),
        (Word::Hold, Word::Compensate, Some("status"))
    );

    let Verb::Wait(settled) = step("settled").verb else { panic!("a wait") };
    assert_eq!((settled.via.as_deref(), settled.key.source()), (Some("psp_ref"), "event.reference"));

    let parcels = step("parcels");
    let Verb::Saga(parcel) = parcels.verb else { panic!("a saga") };
    assert_eq!(parcel.definition, child().definition.digest());
    assert_eq!((parcel.compensate, parcel.failed), (true, Word::Stuck));

    let Verb::Call(thank) = step("thank").verb else { panic!("a call") };
    assert_eq!(thank.compensate, Compensate::Never);
    let Verb::Sleep(calm) = step("calm").verb else { panic!("a sleep") };
    assert_eq!(calm, Sleep::Workdays { calendar: "office".to_owned(), days: 3 });
}

#[test]
fn what_a_child_returns_has_a_type() {
    let Type::Record(_, members) = child().result else { panic!("a record") };
    assert_eq!(members["signed_by"], Type::String);
    assert_eq!(members["at"], Type::Int);
}

/// The sketch with one change, read. Whatever is written, there is a definition or a mistake that is told; never a panic.
fn read_changed(text: &str) {
    let contracts: Contracts = CONTRACTS.into_iter().map(contract).collect();
    let mut children = Definitions::default();
    children.insert(child());
    if let Err(report) = crate::definition_with("sketch.yaml", text, &contracts, &children) {
        assert!(report.has_errors(), "refused without a reason:\n{text}");
    }
}

#[test]
fn a_missing_line_is_told() {
    let lines: Vec<&str> = SKETCH.lines().collect();
    for missing in 0..lines.len() {
        let rest: Vec<&str> =
            lines.iter().enumerate().filter(|(at, _)| *at != missing).map(|(_, line)| *line).collect();
        read_changed(&rest.join("\n"));
    }
}

#[test]
fn a_value_of_another_kind_is_told() {
    let values = SKETCH.match_indices(": ").map(|(at, _)| at + 2);
    for at in values {
        let end = SKETCH[at..].find([',', '}', ']', '#', '\n']).map_or(SKETCH.len(), |length| at + length);
        for other in ["7", "[]", "{}", "~", "x", "[{}]", "{ x: [y] }", "\"${\"", "a.b.c > 'd'"] {
            read_changed(&format!("{}{other}{}", &SKETCH[..at], &SKETCH[end..]));
        }
    }
}

#[test]
fn steps_in_another_order_are_told() {
    let (head, rest) = SKETCH.split_once("steps:\n").expect("there are steps");
    let (steps, tail) = rest.split_once("ensure:").expect("there is a check");
    let steps: Vec<&str> = steps.split_inclusive('\n').collect();
    for begin in (1..steps.len()).filter(|at| steps[*at].starts_with("  - step:")) {
        let (first, last) = steps.split_at(begin);
        read_changed(&format!("{head}steps:\n{}{}ensure:{tail}", last.concat(), first.concat()));
    }
}
