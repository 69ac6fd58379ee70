//! What people ask of sagas: each kind is taken, or refused with the reason.

use expect_test::expect;
use sagaline_definition::model::{Approve, Patience, Template, Verb, Word};
use sagaline_engine::{PlaceState, StepState};
use sagaline_schemas::Value;
use sagaline_schemas::record::{Answer, Refused};
use sagaline_schemas::request::*;
use sagaline_schemas::wire::Bytes;

use crate::events::{fact, wait};
use crate::stage::{Stage, chain, genesis, step};

fn at(step: &str) -> StepTarget {
    StepTarget { step: step.to_owned(), items: vec![], round: None }
}

fn why() -> String {
    "because".to_owned()
}

/// a, then b which is held where it is refused, then an approval by managers, then a wait; a fact.
pub fn stage() -> Stage {
    let (mut definition, contract) = chain(&["a", "b"]);
    let Verb::Call(call) = &mut definition.steps[1].verb else { unreachable!() };
    call.refused_else = Word::Hold;
    let approve = Approve {
        by: vec!["role/manager".to_owned()],
        show: Template::Literal(Value::from("null")),
        choices: [("yes".to_owned(), Word::Continue)].into(),
        quorum: 1,
        escalate: vec![],
        patience: Patience { within: 3_600_000, remind: None, otherwise: Word::Compensate },
        void_if: None,
    };
    definition.steps.push(step(2, "approval", Verb::Approve(approve)));
    definition.steps.push(step(3, "settled", wait(None)));
    definition.facts.push(fact("price"));
    Stage::of(genesis(), &[definition], &contract)
}

/// The version of what those who may approve are shown.
pub fn shown(stage: &mut Stage, key: &str) -> i64 {
    let StepState::Begun { places } = &stage.saga(key).steps[2].state else { panic!("nobody is asked") };
    let PlaceState::Asking { approval } = &places[0].state else { panic!("nobody is asked") };
    approval.version
}

/// Yes, to what is shown in that version.
pub fn decide(version: i64) -> RequestBody {
    let (step, choice, comment) = (at("approval"), "yes".to_owned(), why());
    RequestBody::Decide(DecideRequest { step, version, choice, comment, on_behalf_of: None })
}

#[test]
fn each_kind_is_taken_once_or_refused_with_the_reason() {
    let mut stage = stage();
    stage.start("k");
    let mut said = String::new();
    let mut ask = |stage: &mut Stage, id: u8, what: &str, body: RequestBody| {
        said += &format!("{what}: {}\n", stage.ask(id, "k", body));
    };
    let signal =
        |name: &str, data: &str| RequestBody::Signal(SignalRequest { name: name.to_owned(), data: Bytes::from(data) });
    let hold = |step| RequestBody::Hold(HoldRequest { step, reason: why() });
    let release = |step| RequestBody::Release(ReleaseRequest { step, reason: why() });
    ask(&mut stage, 1, "hold", hold(None));
    stage.ok("a");
    assert_eq!(stage.operations(), "a", "a held saga begins nothing new");
    ask(&mut stage, 2, "hold again", hold(None));
    ask(&mut stage, 3, "hold a step", hold(Some(at("b"))));
    ask(&mut stage, 4, "release", release(None));
    stage.answer("b", Answer::Refused(Refused { code: "No".to_owned(), detail: String::new() }));
    let retry = |input: Option<&str>| {
        RequestBody::Retry(RetryRequest { step: Some(at("b")), input: input.map(Bytes::from), reason: why() })
    };
    ask(&mut stage, 5, "retry with another input", retry(Some("null")));
    assert_eq!(stage.commands().len(), 3);
    stage.ok("b");
    let (name, value) = ("price".to_owned(), Bytes::from("7"));
    let set = SetFactRequest { fact: name, value, seq: Some(4), reason: why() };
    ask(&mut stage, 6, "set a fact", RequestBody::SetFact(set.clone()));
    ask(&mut stage, 7, "set it again", RequestBody::SetFact(set));
    let version = shown(&mut stage, "k");
    ask(&mut stage, 8, "decide what was shown before", decide(version - 1));
    ask(&mut stage, 9, "decide", decide(version));
    ask(&mut stage, 10, "signal what nobody awaits", signal("a", "{}"));
    let assign = AssignRequest { owner: "team-b".to_owned(), reason: why() };
    ask(&mut stage, 11, "assign", RequestBody::Assign(assign));
    ask(&mut stage, 12, "note", RequestBody::Note(NoteRequest { text: why() }));
    let digest = stage.definition;
    let migrate = MigrateRequest { definition: digest, reason: why() };
    ask(&mut stage, 13, "migrate", RequestBody::Migrate(migrate));
    ask(&mut stage, 14, "skip what is done", RequestBody::Skip(SkipRequest { step: at("a"), reason: why() }));
    ask(&mut stage, 15, "close what is not stuck", RequestBody::Close(CloseRequest { reason: why(), evidence: why() }));
    let confirm = ConfirmRequest {
        step: at("a"),
        finding: Finding::Undone,
        result: None,
        reason: why(),
        evidence: "ledger page 4".to_owned(),
    };
    ask(&mut stage, 16, "confirm", RequestBody::Confirm(confirm));
    ask(&mut stage, 17, "pause a saga", RequestBody::Pause(PauseRequest { version: 1, reason: why() }));
    ask(&mut stage, 18, "signal", signal("settled", r#"{"value":"go"}"#));
    expect![[r#"
        hold: taken
        hold again: refused: the saga is held already
        hold a step: refused: a step is held by its definition only: hold the saga
        release: taken
        retry with another input: taken
        set a fact: taken
        set it again: refused: version 4 is known already: give a higher one, or none
        decide what was shown before: refused: what was shown has changed: look at version 12 first
        decide: taken
        signal what nobody awaits: refused: no step of this saga awaits such an event
        assign: taken
        note: taken
        migrate: refused: migrate is not yet part of this version
        skip what is done: refused: the definition does not allow it: none of the step's words is `skip` or `continue`
        close what is not stuck: refused: the saga is not stuck, and no step is held: cancel it instead, and its effects are undone
        confirm: refused: it is not being undone
        pause a saga: refused: pause and resume name a scope; a saga is held and released
        signal: taken
    "#]].assert_eq(&said);
    assert_eq!(stage.saga("k").owner.as_deref(), Some("team-b"));
    stage.refolds_alike();
}

/// What nobody answered, people say instead: of the type that its contract declares, for later steps and compensations read it.
// shows: operations.out, operations.in x success
#[test]
fn what_people_give_is_held_against_the_contract() {
    let (mut definition, mut contract) = chain(&["a", "b"]);
    let charged = r#"{"type":"record","name":"Charged","fields":[{"name":"amount","type":"long"},{"name":"reference","type":"string"}]}"#;
    contract.types.insert("Charged".to_owned(), Value::parse(charged.as_bytes()).unwrap());
    contract.operations.get_mut("a").unwrap().output = Some("Charged".to_owned());
    contract.operations.get_mut("b").unwrap().input = "Charged".to_owned();
    definition.contracts.insert("p".to_owned(), contract.digest());
    for step in &mut definition.steps {
        let Verb::Call(call) = &mut step.verb else { unreachable!() };
        (call.failed, call.refused_else) = (Word::Hold, Word::Hold);
    }
    let mut stage = Stage::of(genesis(), &[definition], &contract);
    stage.start("k");
    stage.pass(60_000, 1_000);
    let mut said = String::new();
    let mut ask = |stage: &mut Stage, id: u8, what: &str, body: RequestBody| {
        said += &format!("{what}: {}\n", stage.ask(id, "k", body));
    };
    let confirm = |step: &str, result: Option<&str>| {
        let (finding, evidence) = (Finding::Done, "ledger page 4".to_owned());
        RequestBody::Confirm(ConfirmRequest {
            step: at(step),
            finding,
            result: result.map(Bytes::from),
            reason: why(),
            evidence,
        })
    };
    let retry = |input: &str| {
        RequestBody::Retry(RetryRequest { step: Some(at("b")), input: Some(Bytes::from(input)), reason: why() })
    };
    let right = r#"{"amount":7,"reference":"r-1"}"#;
    ask(&mut stage, 1, "done", confirm("a", None));
    ask(&mut stage, 2, "done, with null", confirm("a", Some("null")));
    ask(&mut stage, 3, "done, with half of it", confirm("a", Some(r#"{"amount":7}"#)));
    ask(&mut stage, 4, "done, with another type", confirm("a", Some(r#"{"amount":"7","reference":"r-1"}"#)));
    ask(&mut stage, 5, "done, with no JSON", confirm("a", Some("{")));
    assert_eq!(stage.operations(), "a a");
    ask(&mut stage, 6, "done, with it", confirm("a", Some(right)));
    ask(&mut stage, 7, "done once more", confirm("a", None));
    stage.answer("b", Answer::Refused(Refused { code: "No".to_owned(), detail: String::new() }));
    ask(&mut stage, 8, "retry with half of its input", retry(r#"{"amount":7}"#));
    ask(&mut stage, 9, "retry", retry(right));
    assert_eq!(stage.command("b").input, Bytes::from(right));
    stage.pass(60_000, 1_000);
    // Nothing is returned: null is what it returns.
    ask(&mut stage, 10, "done, which returns nothing", confirm("b", None));
    expect![[r#"
        done: refused: p.a returns {amount: int, reference: string}: give it, --result JSON
        done, with null: refused: p.a returns {amount: int, reference: string}: give it, --result JSON
        done, with half of it: refused: the result is not what p.a returns, {amount: int, reference: string}: reference: expected string, got nothing: --result JSON
        done, with another type: refused: the result is not what p.a returns, {amount: int, reference: string}: amount: expected int, got string: --result JSON
        done, with no JSON: refused: the result is no JSON: EOF while parsing an object at line 1 column 1
        done, with it: taken
        done once more: refused: its participant has said what became of it: nothing is to be confirmed
        retry with half of its input: refused: the input is not what p.b takes, {amount: int, reference: string}: reference: expected string, got nothing
        retry: taken
        done, which returns nothing: taken
    "#]].assert_eq(&said);
    assert!(stage.phase("k").contains("Completed"), "{}", stage.phase("k"));
    stage.refolds_alike();
}

/// A child saga that people ended, and that had done what it was for.
// shows: head.result x timeout
#[test]
fn what_a_child_returns_is_given_for_it() {
    let (mut parent, mut child, contract) = crate::mail::family();
    child.result = Some(Template::Map([("of".to_owned(), Template::Expr(crate::events::expr("c.of")))].into()));
    let Verb::Saga(of) = &mut parent.steps[1].verb else { unreachable!() };
    (of.definition, of.failed) = (child.digest(), Word::Hold);
    let mut stage = Stage::of(genesis(), &[parent, child], &contract);
    stage.start("k");
    stage.ok("a");
    stage.pass(1_000, 1_000);
    let confirm = |result: Option<&str>| {
        let (finding, evidence) = (Finding::Done, "ledger page 4".to_owned());
        RequestBody::Confirm(ConfirmRequest {
            step: at("child"),
            finding,
            result: result.map(Bytes::from),
            reason: why(),
            evidence,
        })
    };
    let mut said = String::new();
    for (id, result) in [(1, None), (2, Some("null")), (3, Some("{}")), (4, Some(r#"{"of":"c"}"#))] {
        said += &format!("{result:?}: {}\n", stage.ask(id, "k", confirm(result)));
    }
    expect![[r#"
        None: refused: the result of child is missing: the child saga "child" returns it: --result JSON
        Some("null"): refused: child.of is missing: the child saga "child" returns it: --result JSON
        Some("{}"): refused: child.of is missing: the child saga "child" returns it: --result JSON
        Some("{\"of\":\"c\"}"): taken
    "#]]
    .assert_eq(&said);
}
