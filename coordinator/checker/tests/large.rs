//! A definition as people write them takes seconds: fourteen steps, two approvals, two parallel branches.

mod build;

use std::time::Instant;

use build::{approve, call, call_of, chain, fact, pivot, prove, reaction, sleeping, until, wait};
use sagaline_definition::model::{Compensate, Word};
use sagaline_schemas::Value;

#[test]
fn fourteen_steps_two_approvals_two_branches() {
    let mut thanks = call("thank");
    call_of(&mut thanks).compensate = Compensate::Never;
    call_of(&mut thanks).failed = Word::Stuck;
    let mut definition = chain(vec![
        call("validate"),
        approve("manager"),
        call("reserve"),
        call("charge"),
        wait("settled", Word::Compensate),
        call("allocate"),
        approve("security"),
        call("provision"),
        until("address", "facts.address != null", Word::Compensate),
        call("label"),
        sleeping("pause"),
        pivot("dispatch"),
        call("invoice"),
        thanks,
    ]);
    // One branch is reserve, charge, settled; the other allocate, security, provision.
    definition.steps[5].after = vec![1];
    definition.steps[8].after = vec![4, 7];
    definition.facts.push(fact("status", Value::from("placed")));
    definition.facts.push(fact("address", Value::Null));
    definition.react.push(reaction("facts.status == 'cancelled'", Word::Compensate));
    let began = Instant::now();
    let proof = prove(&definition);
    println!("{proof}{:?}", began.elapsed());
    assert!(proof.stories.is_empty(), "{proof}");
    assert!(!proof.found.unfinished);
}
