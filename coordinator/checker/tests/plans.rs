//! What would be undone if a step failed, in words and as a drawing.

mod build;

use std::collections::BTreeMap;

use build::{approve, call, call_of, calls, chain, fact, for_each, pivot, until, wait};
use expect_test::expect;
use sagaline_checker::{draw, plan};
use sagaline_definition::Contract;
use sagaline_definition::model::{Verb, Word};
use sagaline_language::load;
use sagaline_schemas::Value;

#[test]
fn the_exact_reverse_over_branches_and_items() {
    let mut definition = chain(vec![call("a"), call("b"), call("c"), approve("ok"), call("d"), call("e")]);
    definition.steps[2].after = vec![0];
    definition.steps[3].after = vec![1, 2];
    definition.steps[1].for_each = for_each("input.lines", 2, None);
    let plan = plan(&definition, &BTreeMap::new(), 5).expect("it comes to e");
    expect![[r#"
        If e fails:
           1. e is undone by p.un-e
           2. d is undone by p.un-d
           3. c is undone by p.un-c
           4. b[1] is undone by p.un-b
           5. b[0] is undone by p.un-b
           6. a is undone by p.un-a
              and then: compensated
    "#]]
    .assert_eq(&plan.text(&definition));
}

#[test]
fn after_the_pivot_nothing_is_undone() {
    let mut definition = chain(vec![call("a"), wait("w", Word::Compensate), pivot("b"), call("c")]);
    call_of(&mut definition.steps[3]).failed = Word::Stuck;
    let plan = plan(&definition, &BTreeMap::new(), 3).expect("it comes to c");
    expect![[r#"
        If c fails:
              nothing is undone
              what stays: a, b
              and then: stuck: it waits for a person
    "#]]
    .assert_eq(&plan.text(&definition));
}

#[test]
fn drawings_show_every_step_and_the_way_back() {
    let definition = calls(&["a", "b", "c"]);
    let plan = plan(&definition, &BTreeMap::new(), 2).expect("it comes to c");
    let svg = draw(&definition, Some(&plan));
    assert_eq!(svg.matches("<rect class=\"box").count(), 3);
    // The step that fails is the first that is undone: the way begins there.
    assert_eq!(svg.matches("class=\"back\"").count(), plan.undone.len() - 1);
    assert_eq!(svg.matches("class=\"edge\"").count(), 2);
}

#[test]
fn a_wait_in_vain_is_a_failure_too() {
    let mut definition = chain(vec![call("a"), until("u", "facts.ready", Word::Compensate), call("b")]);
    definition.facts.push(fact("ready", Value::Bool(false)));
    let waits = plan(&definition, &BTreeMap::new(), 1).expect("it comes to u");
    expect![[r#"
        If u fails:
           1. a is undone by p.un-a
              and then: compensated
    "#]]
    .assert_eq(&waits.text(&definition));
    let calls = plan(&definition, &BTreeMap::new(), 2).expect("it comes to b, once the fact is told");
    expect![[r#"
        If b fails:
           1. b is undone by p.un-b
           2. a is undone by p.un-a
              and then: compensated
    "#]]
    .assert_eq(&calls.text(&definition));
}

/// Facts, answers and results that the stories hold against each other are found to be the same where they must be to come any further.
#[test]
fn every_step_of_the_stories_that_can_fail_has_a_plan() {
    let folder = sagaline_test_sources::root().join("docs/examples");
    let mut without = String::new();
    for story in ["access-request", "changing-order", "customer-onboarding", "order-fulfilment", "three-weeks"] {
        let loaded = load(&[folder.join(story)]).unwrap_or_else(|error| panic!("{error}"));
        let contracts: BTreeMap<String, Contract> =
            loaded.contracts.iter().map(|contract| (contract.participant.clone(), contract.clone())).collect();
        for definition in loaded.definitions.values() {
            for (number, step) in definition.steps.iter().enumerate() {
                let fails = !matches!(step.verb, Verb::Sleep(_) | Verb::Decide(_));
                if fails && plan(definition, &contracts, number).is_none() {
                    without.push_str(&format!("{}: {}\n", definition.saga, step.step));
                }
            }
        }
    }
    // Its event has to be of two kinds on one course: not found.
    expect![[r#"
        deliver-parcel: met
    "#]]
    .assert_eq(&without);
}

#[test]
fn what_must_be_the_same_is_found() {
    let mut definition =
        chain(vec![call("a"), until("same", "facts.n > 100 && facts.n == a.n", Word::Compensate), call("b")]);
    definition.facts.push(fact("n", Value::Int(0)));
    let plan = plan(&definition, &BTreeMap::new(), 2).expect("it comes to b, where a returns what the fact will be");
    expect![[r#"
        If b fails:
           1. b is undone by p.un-b
           2. a is undone by p.un-a
              and then: compensated
    "#]]
    .assert_eq(&plan.text(&definition));
}
