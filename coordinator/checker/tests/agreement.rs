//! The reduced search and the exhaustive one agree on every definition of three steps that a generator makes: the same ends and rests, each
//! with the same effects standing, and the same violations. Also with a broken engine: a reduction must not hide what it should find.

mod build;

use std::collections::BTreeSet;
use std::time::Instant;

use build::{
    POLICY, approve, back_to, call, call_of, chain, decide, explore, expr, fact, guard, pivot, reaction, sleeping,
    until, wait,
};
use sagaline_checker::{Engine, Proof, Search, real};
use sagaline_definition::Definition;
use sagaline_definition::model::{Check, Compensate, Reaction, Step, Template, Verb, Word};
use sagaline_engine::{Input, Limits, Moment, Outgoing, Saga, Undo};
use sagaline_schemas::Value;
use sagaline_schemas::record::Kind;

/// One step of each kind that the generator knows; `a` names it, `first` is a step to go back to.
fn kinds(name: &str) -> Vec<(&'static str, Step)> {
    let with = |change: &dyn Fn(&mut Step)| {
        let mut step = call(name);
        change(&mut step);
        step
    };
    vec![
        ("call", call(name)),
        ("probed", with(&|step| call_of(step).probe = Some("status".to_owned()))),
        ("skip", with(&|step| call_of(step).failed = Word::Skip)),
        ("stuck", with(&|step| call_of(step).failed = Word::Stuck)),
        ("hold", with(&|step| call_of(step).refused_else = Word::Hold)),
        ("continue", with(&|step| call_of(step).refused_else = Word::Continue)),
        ("back", with(&|step| call_of(step).refused_else = back_to(0))),
        ("never", with(&|step| call_of(step).compensate = Compensate::Never)),
        ("guarded", with(&|step| step.guard = guard("facts.ok", Word::Hold))),
        ("pivot", pivot(name)),
        ("wait", wait(name, Word::Compensate)),
        ("approve", approve(name)),
        ("until", until(name, "facts.ok", Word::Continue)),
        ("sleep", sleeping(name)),
    ]
}

/// The shapes: a chain, a fork, a join, three beside each other.
const SHAPES: [(&str, [&[usize]; 3]); 4] = [
    ("chain", [&[], &[0], &[1]]),
    ("fork", [&[], &[0], &[0]]),
    ("join", [&[], &[], &[0, 1]]),
    ("beside", [&[], &[], &[]]),
];

/// Every definition whose kinds and shape are taken by `takes`.
fn definitions(takes: impl Fn(usize, [usize; 3]) -> bool) -> Vec<(String, Definition)> {
    let count = kinds("x").len();
    let mut made = Vec::new();
    for (number, (shape, after)) in SHAPES.iter().enumerate() {
        for of in 0..count.pow(3) {
            let of = [of % count, of / count % count, of / count / count];
            if takes(number, of) {
                let mut steps = Vec::new();
                let mut name = (*shape).to_owned();
                for (at, letter) in ["a", "b", "c"].into_iter().enumerate() {
                    let (kind, step) = kinds(letter).swap_remove(of[at]);
                    steps.push(step);
                    name.push_str(&format!(" {kind}"));
                }
                let mut definition = chain(steps);
                after.iter().enumerate().for_each(|(at, after)| definition.steps[at].after = after.to_vec());
                definition.facts.push(fact("ok", Value::Bool(true)));
                if of[0] % 2 == 1 {
                    definition.react.push(reaction("!facts.ok", Word::Compensate));
                }
                if is_allowed(&definition) {
                    made.push((name, definition));
                }
            }
        }
    }
    made
}

/// What the language refuses: two pivots, and going back to a step that does not come before.
fn is_allowed(definition: &Definition) -> bool {
    let pivots = definition.steps.iter().filter(|step| step.pivot).count();
    let back = |step: &Step| matches!(&step.verb, Verb::Call(call) if matches!(call.refused_else, Word::BackTo(_)));
    let loops = definition.steps.iter().any(back);
    let dominated = definition
        .steps
        .iter()
        .enumerate()
        .all(|(number, step)| number == 0 || step.after.contains(&0) || step.after == [1]);
    pivots <= 1 && (!loops || dominated && pivots == 0 && definition.steps[1].after == [0])
}

/// What both searches must agree on.
fn essence(proof: &Proof) -> (Vec<String>, Vec<&'static str>) {
    let mut rules: Vec<&'static str> = proof.stories.iter().map(|story| story.violation.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    // Which round stands is one to the reduced search.
    let round =
        |outcome: &String| (1..9).fold(outcome.clone(), |it, round| it.replace(&format!(" (round {round})"), ""));
    let outcomes: BTreeSet<String> = proof.found.outcomes.iter().map(round).collect();
    let outcomes = if rules.is_empty() { outcomes.into_iter().collect() } else { Vec::new() };
    (outcomes, rules)
}

/// Stories of a broken engine that are printed; all are alike.
const TOLD: usize = 3;

fn agree(definitions: &[(String, Definition)], trouble: u8, engine: Engine) -> (usize, usize, usize) {
    let (mut reduced_scenes, mut all_scenes, mut violated) = (0, 0, 0);
    for (name, definition) in definitions {
        let reduced = explore(definition, trouble, Search::Reduced, engine);
        let all = explore(definition, trouble, Search::Exhaustive, engine);
        assert_eq!(essence(&reduced), essence(&all), "{name}\n{reduced}\n{all}");
        reduced_scenes += reduced.found.scenes;
        all_scenes += all.found.scenes;
        if !all.stories.is_empty() {
            violated += 1;
            if violated <= TOLD {
                println!("{name}\n{}", all.stories[0]);
            }
        }
    }
    (reduced_scenes, all_scenes, violated)
}

/// The whole generator takes minutes: `make prove` runs it, the tests take every so many of its definitions.
fn every(so_many: usize) -> Vec<(String, Definition)> {
    let step = if std::env::var("SAGALINE_PROVE").is_ok_and(|value| value == "1") { 1 } else { so_many };
    definitions(|shape, of| (shape + of[0] * 3 + of[1] * 5 + of[2] * 11) % step == 0)
}

#[test]
fn on_all_definitions_of_three_steps_with_one_trouble() {
    let began = Instant::now();
    let definitions = every(17);
    let (reduced, all, violated) = agree(&definitions, 1, &real);
    println!("{} definitions: {reduced} scenes instead of {all}, {:?}", definitions.len(), began.elapsed());
    assert_eq!(violated, 0);
}

#[test]
fn with_two_troubles() {
    let began = Instant::now();
    let definitions: Vec<(String, Definition)> =
        every(211).into_iter().step_by(if every(2).len() > 9_000 { 17 } else { 1 }).collect();
    let (reduced, all, violated) = agree(&definitions, 2, &real);
    println!("{} definitions: {reduced} scenes instead of {all}, {:?}", definitions.len(), began.elapsed());
    assert_eq!(violated, 0);
}

/// What is read long after it came, or never again: by reactions, rounds, checks of an end, what undoes, what was approved.
fn reading() -> Vec<(String, Definition)> {
    let numbered = |steps: Vec<Step>| {
        let mut definition = chain(steps);
        definition.facts.push(fact("n", Value::Int(1)));
        definition
    };
    let soft = |name: &str, to: usize| {
        let mut step = call(name);
        call_of(&mut step).refused.insert("Soft".to_owned(), back_to(to));
        step
    };
    let reacts = |between: Option<(usize, usize)>, steps: Vec<Step>| {
        let mut definition = numbered(steps);
        let condition = expr("a != null && facts.n != a.sum");
        definition.react.push(Reaction { condition, between, then: back_to(0), after_pivot: Word::Hold });
        definition
    };
    let probed = |steps: Vec<Step>| {
        let mut definition = numbered(steps);
        call_of(&mut definition.steps[0]).probe = Some("status".to_owned());
        let check = |condition| Some(Check { condition: expr(condition), within: 60_000, probes: vec![0] });
        definition.ensure.completed = check("probe.a.sum == facts.n");
        definition.ensure.compensated = check("probe.a == null || probe.a.sum == 0");
        definition
    };
    let mut undoes = soft("b", 0);
    let with = Some(Template::Expr(expr("a.sum > 1")));
    call_of(&mut undoes).compensate = Compensate::By { operation: "un-b".to_owned(), retry: POLICY, with };
    let shows = |name: &str, reject: Word| {
        let mut step = approve(name);
        let Verb::Approve(approval) = &mut step.verb else { panic!("an approval") };
        approval.show = Template::Expr(expr("facts.n"));
        approval.void_if = Some(expr("shown != facts.n"));
        approval.choices.insert("reject".to_owned(), reject);
        step
    };
    let beside = |mut definition: Definition, approval: usize| {
        definition.steps[approval + 1].after = definition.steps[approval].after.clone();
        definition.steps[approval + 2].after = vec![approval, approval + 1];
        definition
    };
    let waits = || wait("w", Word::Compensate);
    let approved = beside(numbered(vec![shows("b", Word::Compensate), waits(), call("c")]), 0);
    let decides = vec![decide("d", "input.big && facts.n > 1"), shows("b", back_to(0)), waits()];
    let mut decided = call("c");
    decided.condition = Some(expr("d == 'yes'"));
    let sent_back = beside(numbered(decides.into_iter().chain([decided]).collect()), 1);
    let mut guarded = call("c");
    guarded.guard = guard("facts.n > 1 || a.sum > 1", Word::Hold);
    let mut conditional = call("b");
    conditional.condition = Some(expr("d == 'yes'"));
    let made = vec![
        ("a reaction sends back", reacts(Some((0, 2)), vec![call("a"), call("b"), pivot("c")])),
        ("a reaction sends back at any time", reacts(Some((0, 1)), vec![call("a"), call("b")])),
        ("an end is looked at", probed(vec![call("a"), call("b")])),
        ("an end is looked at after a second round", probed(vec![call("a"), soft("b", 0)])),
        ("a result is read to undo", numbered(vec![call("a"), undoes, call("c")])),
        ("what was approved must stay true", numbered(vec![call("a"), shows("b", Word::Compensate), call("c")])),
        ("what was approved may become void beside a wait", approved),
        ("an approval sends back", sent_back),
        ("a guard reads both", numbered(vec![call("a"), soft("b", 1), guarded])),
        ("a decision is read later", numbered(vec![call("a"), decide("d", "a.sum > 1"), conditional, soft("c", 1)])),
        ("a wait in a loop", numbered(vec![wait("a", Word::Compensate), until("b", "a.sum == facts.n", back_to(0))])),
    ];
    made.into_iter().map(|(name, definition)| (name.to_owned(), definition)).collect()
}

#[test]
fn where_values_are_read_late_or_never_again() {
    for (name, definition) in reading() {
        let began = Instant::now();
        let (reduced, all, violated) = agree(&[(name.clone(), definition)], 1, &real);
        println!("{name}: {reduced} scenes instead of {all}, {:?}", began.elapsed());
        assert_eq!(violated, 0);
    }
}

#[test]
fn with_an_engine_that_forgets_to_undo() {
    let forgets = |definition: &Definition, saga: &mut Saga, input: Input, moment: Moment, limits: Limits| {
        let transition = real(definition, saga, input, moment, limits);
        // Once two effects are there, the older one is taken for undone when its turn comes.
        if let [older, newer] = &mut saga.effects[..]
            && newer.undo.is_void()
            && older.undo == Undo::Decided
        {
            older.undo = Undo::NothingThere;
        }
        transition
    };
    let (.., violated) = agree(&every(97), 1, &forgets);
    assert!(violated > 0);
}

#[test]
fn with_an_engine_that_repeats_what_is_undone() {
    let repeats = |definition: &Definition, saga: &mut Saga, input: Input, moment: Moment, limits: Limits| {
        let mut transition = real(definition, saga, input, moment, limits);
        let undone = transition.out.iter().any(|out| matches!(out, Outgoing::Command { kind: Kind::Compensate, .. }));
        if undone && saga.effects.len() > 1 && saga.effects[0].undo == Undo::Listed {
            let attempt = saga.effects[0].tries.count;
            transition.out.push(Outgoing::Command { effect: 0, kind: Kind::Do, attempt, deadline: 0 });
        }
        transition
    };
    let (.., violated) = agree(&every(97), 1, &repeats);
    assert!(violated > 0);
}
