//! Messages between partitions: child sagas, aliases, broadcasts; repeats and holes in their channels.

use expect_test::expect;
use sagaline_definition::Contract;
use sagaline_definition::model::{Child, Definition, Template, Verb, Word};
use sagaline_partition::{FaultNote, Faults, LogRecord, Partition, view};
use sagaline_schemas::hash::{alias_home, partition_of};
use sagaline_schemas::proof;
use sagaline_schemas::record::{
    AliasTaken, Answer, Body, Broadcast, BroadcastKind, CancelChild, ChildEnded, ClauseKind, CompensateChild,
    DeliverEvent, End, Genesis, Message, MessageBody, MessageOrigin, Refused, ReleaseChild, StartChild, StepAddress,
    Succeeded, Target, UnbindAlias,
};
use sagaline_schemas::request::{ConfirmRequest, Finding, RequestBody, StepTarget};
use sagaline_schemas::schema::INBOX;
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{OutputId, Position, SagaId};
use sagaline_store::MemoryStore;

use crate::events::{expr, wait};
use crate::stage::{Stage, chain, genesis, key, step};

/// A step `a`, then the saga `child` of two calls, then a step `b`.
pub fn family() -> (Definition, Definition, Contract) {
    let (mut parent, contract) = chain(&["a", "c", "d", "b"]);
    let mut child = parent.clone();
    child.saga = "child".to_owned();
    child.steps = child.steps[1..3].to_vec();
    child.steps[0].after = vec![];
    child.steps[1].after = vec![0];
    child.result = Some(Template::Expr(expr("c")));
    let verb = Verb::Saga(Child {
        saga: child.saga.clone(),
        definition: child.digest(),
        key: None,
        with: Template::Expr(expr("a")),
        failed: Word::Compensate,
        compensate: true,
    });
    let mut last = parent.steps[3].clone();
    last.after = vec![1];
    parent.steps.truncate(1);
    parent.steps.push(step(1, "child", verb));
    parent.steps.push(last);
    (parent, child, contract)
}

/// All partitions of an inbox, and whatever is under way between them.
pub struct Post {
    pub stages: Vec<Stage>,
}

impl Post {
    pub fn new(partitions: u32, definitions: &[Definition], contract: &Contract) -> Self {
        let genesis = |partition| Genesis { partition, partitions, ..genesis() };
        Self { stages: (0..partitions).map(|partition| Stage::of(genesis(partition), definitions, contract)).collect() }
    }

    pub fn home(&mut self, key: &str) -> &mut Stage {
        let partitions = self.stages.len() as u32;
        &mut self.stages[partition_of(key, partitions) as usize]
    }

    /// Everything that is under way arrives, each message twice: as after a takeover.
    fn arrive(&mut self) {
        loop {
            let mail: Vec<(u32, Vec<u8>)> = self.stages.iter_mut().flat_map(Stage::take_mail).collect();
            if mail.is_empty() {
                return;
            }
            for _ in 0..2 {
                for (to, value) in &mail {
                    self.stages[*to as usize].raw(value.clone());
                }
            }
        }
    }

    /// The partition that commanded it answers.
    pub fn ok(&mut self, operation: &str) {
        let asked = |stage: &&mut Stage| stage.commands().iter().any(|command| command.operation == operation);
        let stage = self.stages.iter_mut().find(asked).unwrap();
        let result = format!(r#"{{"of":"{operation}"}}"#);
        stage.answer(operation, Answer::Succeeded(Succeeded { result: Bytes::from(result.as_str()) }));
        self.arrive();
    }

    pub fn undone(&mut self, operation: &str) {
        let asked = |stage: &&mut Stage| stage.commands().iter().any(|command| command.operation == operation);
        self.stages.iter_mut().find(asked).unwrap().undone(operation);
        self.arrive();
    }

    pub fn refused(&mut self, operation: &str) {
        let asked = |stage: &&mut Stage| stage.commands().iter().any(|command| command.operation == operation);
        let refused = Answer::Refused(Refused { code: "No".to_owned(), detail: String::new() });
        self.stages.iter_mut().find(asked).unwrap().answer(operation, refused);
        self.arrive();
    }

    /// Every saga with how it stands.
    fn sagas(&mut self) -> String {
        let mut told = Vec::new();
        for stage in &mut self.stages {
            stage.partition.commit().unwrap();
            let sagas = view::sagas(stage.partition.reader().as_ref(), None, usize::MAX).unwrap();
            told.extend(sagas.iter().map(|saga| format!("{}: {:?}\n", saga.key, saga.phase)));
            assert!(stage.parked().is_empty(), "{:?}", stage.parked()[0].detail);
            stage.refolds_alike();
        }
        told.sort();
        told.concat().replace(&crate::stage::T0.to_string(), "T0")
    }
}

fn begun(partitions: u32) -> Post {
    let (parent, child, contract) = family();
    let mut post = Post::new(partitions, &[parent, child], &contract);
    post.home("k").start("k");
    post.ok("a");
    post
}

#[test]
fn a_child_begins_with_what_it_is_given_and_its_parent_goes_on_with_what_it_returns() {
    let [one, two, five] = [1, 2, 5].map(|partitions| {
        let mut post = begun(partitions);
        assert_eq!(post.home("k/child").command("c").saga, "child/k/child");
        post.ok("c");
        post.ok("d");
        post.ok("b");
        post.sagas()
    });
    expect![[r#"
        k/child: Ended { end: Completed, at: T0, cause: None }
        k: Ended { end: Completed, at: T0, cause: None }
    "#]]
    .assert_eq(&one);
    assert_eq!((&one, &one), (&two, &five), "whether or not they live in one partition");
}

#[test]
fn a_parent_that_goes_back_undoes_its_completed_child() {
    let mut post = begun(3);
    post.ok("c");
    post.ok("d");
    post.refused("b");
    post.undone("un-d");
    post.undone("un-c");
    post.undone("un-a");
    expect![[r#"
        k/child: Ended { end: Compensated, at: T0, cause: Some(Parent { reason: "b was refused: No" }) }
        k: Ended { end: Compensated, at: T0, cause: Some(Refused { step: "b", code: "No" }) }
    "#]]
    .assert_eq(&post.sagas());
}

#[test]
fn a_parent_that_is_cancelled_cancels_its_running_child() {
    let mut post = begun(3);
    post.home("k").cancel(1, "k");
    post.arrive();
    post.undone("un-c");
    post.undone("un-a");
    expect![[r#"
        k/child: Ended { end: Compensated, at: T0, cause: Some(Parent { reason: "ada asked: why not" }) }
        k: Ended { end: Cancelled, at: T0, cause: Some(Cancelled { by: "ada", reason: "why not" }) }
    "#]]
    .assert_eq(&post.sagas());
}

/// A person may err: whoever is said to be done and still runs is told, too.
#[test]
fn a_parent_that_is_cancelled_cancels_a_child_that_runs_though_a_person_confirmed_it() {
    let mut post = begun(3);
    let confirm = ConfirmRequest {
        step: StepTarget { step: "child".to_owned(), items: vec![], round: None },
        finding: Finding::Done,
        result: Some(Bytes::from("{}")),
        reason: "it looked done".to_owned(),
        evidence: "a screenshot".to_owned(),
    };
    assert_eq!(post.home("k").ask(1, "k", RequestBody::Confirm(confirm)), "taken");
    post.arrive();
    post.home("k").cancel(2, "k");
    post.arrive();
    post.undone("un-b");
    post.undone("un-c");
    post.undone("un-a");
    expect![[r#"
        k/child: Ended { end: Compensated, at: T0, cause: Some(Parent { reason: "ada asked: why not" }) }
        k: Ended { end: Cancelled, at: T0, cause: Some(Cancelled { by: "ada", reason: "why not" }) }
    "#]]
    .assert_eq(&post.sagas());
}

#[test]
fn a_child_that_goes_back_takes_its_parent_along() {
    let mut post = begun(3);
    post.refused("c");
    post.undone("un-a");
    expect![[r#"
        k/child: Ended { end: Compensated, at: T0, cause: Some(Refused { step: "c", code: "No" }) }
        k: Ended { end: Compensated, at: T0, cause: Some(Child { step: "child", end: Compensated, reason: "c was refused: No" }) }
    "#]].assert_eq(&post.sagas());
}

#[test]
fn a_child_that_cannot_begin_says_why() {
    let (mut parent, child, contract) = family();
    let mut unknown = Post::new(2, &[parent.clone()], &contract);
    unknown.home("k").start("k");
    unknown.ok("a");
    unknown.undone("un-a");
    expect![[r#"
        k: Ended { end: Compensated, at: T0, cause: Some(Child { step: "child", end: NotStarted, reason: "the definition DIGEST is not known in partition 0: apply it" }) }
    "#]].assert_eq(&unknown.sagas().replace(&child.digest().to_string(), "DIGEST"));
    let Verb::Saga(wanted) = &mut parent.steps[1].verb else { unreachable!() };
    wanted.key = Some(Template::Expr(expr("'same'")));
    let mut taken = Post::new(2, &[parent, child], &contract);
    for key in ["k", "l"] {
        taken.home(key).start(key);
        taken.home(key).ok("a");
        taken.arrive();
    }
    let sagas = taken.sagas();
    assert!(
        sagas.contains("l: Running { direction: Back { cause: Child { step: \"child\", end: NotStarted"),
        "{sagas}"
    );
    assert!(sagas.contains("the key \\\"same\\\" of child belongs to the saga"), "{sagas}");
}

#[test]
fn a_hole_between_messages_is_not_jumped() {
    let mut post = begun(1);
    post.stages[0].cancel(1, "k");
    let first = post.stages[0].take_mail();
    post.stages[0].now += 1;
    let sealed = |prev, value: &[u8]| {
        let opened = proof::open(INBOX.fingerprint, value).unwrap();
        let Body::Message(mut message) = opened.inbox.body else { unreachable!() };
        message.origin.prev = Some(prev);
        message.origin.at.offset += 1_000;
        proof::seal(INBOX.fingerprint, &key(), crate::stage::LOG, 0, &Body::Message(message))
    };
    let far = Position { offset: 900, timer: 0, index: 0 };
    let jump = sealed(far, &first[0].1);
    post.stages[0].raw(jump);
    let parked = post.stages[0].parked();
    assert_eq!(format!("{:?}", parked[0].reason), "Gap", "{}", parked[0].detail);
    post.stages[0].raw(first[0].1.clone());
    assert_eq!(post.stages[0].operations(), "a c un-c", "the next in order is taken");
}

/// A call whose result names the saga `ref`, then a wait for an event by that name.
fn named() -> (Definition, Contract) {
    let (mut definition, contract) = chain(&["a"]);
    definition.steps[0].alias.insert("ref".to_owned(), expr("a.of"));
    definition.steps.push(step(1, "settled", wait(Some("ref"))));
    (definition, contract)
}

fn by_name(post: &mut Post, value: &str) {
    let partitions = post.stages.len() as u32;
    let home = alias_home("test", "ref", value, partitions) as usize;
    let stage = &mut post.stages[home];
    let target = Target { via: Some("ref".to_owned()), ..stage.target(ClauseKind::Wait, "settled", value) };
    stage.tell("world", &format!(r#"{{"key":"{value}","value":"go"}}"#), &[target]);
    post.arrive();
}

// shows: wait.via x success
#[test]
fn an_event_finds_its_saga_by_another_name_even_before_that_is_bound() {
    for early in [true, false] {
        let (definition, contract) = named();
        let mut post = Post::new(4, &[definition], &contract);
        post.home("k").start("k");
        if early {
            by_name(&mut post, "a");
        }
        post.ok("a");
        if !early {
            by_name(&mut post, "a");
        }
        let sagas = post.sagas();
        assert!(sagas.contains("k: Ended { end: Completed"), "{sagas}");
    }
}

#[test]
fn a_name_is_taken_by_the_first_and_free_once_that_is_forgotten() {
    let (definition, contract) = named();
    let mut post = Post::new(1, &[definition], &contract);
    for key in ["k", "l"] {
        post.home(key).start(key);
        post.ok("a");
    }
    let sagas = post.sagas();
    assert!(sagas.contains("l: Stuck") && sagas.contains("AliasTaken"), "{sagas}");
    by_name(&mut post, "a");
    post.stages[0].progress();
    let keep = post.stages[0].genesis.settings.keep_ended;
    post.stages[0].pass(keep, keep);
    post.arrive();
    assert_eq!(post.stages[0].phase("k"), "none");
    post.home("m").start("m");
    post.ok("a");
    assert!(post.sagas().contains("m: Running"), "{}", post.sagas());
}

/// The participant says the same reference for the same key: a second run is found by it, and what comes for it is not the first one's.
// shows: start.again, alias x cancel
#[test]
fn a_second_run_takes_over_the_names_of_the_first() {
    let (mut definition, contract) = named();
    definition.start.again = sagaline_definition::model::Again::Ended;
    let mut post = Post::new(4, &[definition], &contract);
    post.home("k").start("k");
    post.ok("a");
    post.home("k").cancel(1, "k");
    post.undone("un-a");
    assert!(post.sagas().contains("k: Ended { end: Cancelled"), "{}", post.sagas());
    post.home("k").start("k");
    post.ok("a");
    let sagas = post.sagas();
    assert!(sagas.contains("k: Running"), "{sagas}");
    by_name(&mut post, "a");
    let sagas = post.sagas();
    assert!(sagas.contains("k: Ended { end: Completed"), "{sagas}");
}

/// A completed child is kept while its parent may go back: its key is not free, and whoever wants it hears why.
// shows: start.again x success, cancel
#[test]
fn a_start_beside_a_child_that_may_be_undone_yet_is_set_aside() {
    let (mut parent, mut child, contract) = family();
    child.start.again = sagaline_definition::model::Again::Ended;
    let definition = child.digest();
    let Verb::Saga(of) = &mut parent.steps[1].verb else { unreachable!() };
    of.definition = definition;
    let mut post = Post::new(2, &[parent, child], &contract);
    post.home("k").start("k");
    ["a", "c", "d"].into_iter().for_each(|operation| post.ok(operation));
    let key = "k/child".to_owned();
    let start = Target { definition, clause: ClauseKind::Start, name: String::new(), key, via: None };
    let told = |post: &mut Post| {
        let home = post.home("k/child");
        home.tell("orders", "{}", std::slice::from_ref(&start));
        home.parked().last().unwrap().detail.split("\" ").last().unwrap().to_owned()
    };
    let kept = "has ended and is kept for its parent: a start is taken again when the parent has ended";
    assert_eq!(told(&mut post), kept);
    post.refused("b");
    assert_eq!(told(&mut post), "is still going back: a start is taken again when it has ended");
}

/// A parent whose child's key is not free yet is told so: its history says what to wait for.
// shows: start.again x cancel
#[test]
fn a_child_that_begins_too_early_tells_its_parent_why() {
    let (mut parent, mut child, contract) = family();
    child.start.again = sagaline_definition::model::Again::Ended;
    let Verb::Saga(of) = &mut parent.steps[1].verb else { unreachable!() };
    (of.definition, of.key) = (child.digest(), Some(Template::Expr(expr("'shared'"))));
    let mut post = Post::new(1, &[parent, child], &contract);
    post.home("k").start("k");
    post.ok("a");
    post.home("k").cancel(1, "k");
    post.arrive();
    post.home("l").start("l");
    post.ok("a");
    let told = post.home("l").phase("l");
    assert!(told.contains(", which is still going back: a start is taken again when it has ended"), "{told}");
}

#[test]
fn a_message_that_is_passed_over_leaves_no_hole_and_makes_its_saga_stuck() {
    let mut post = begun(1);
    post.ok("c");
    post.stages[0].ok("d");
    let ended = post.stages[0].take_mail();
    let note = FaultNote { by: "ada".to_owned(), reason: "it kills the fold".to_owned() };
    let killer = post.stages[0].log.len() as i64;
    post.stages[0].raw(ended[0].1.clone());
    post.stages[0].cancel(1, "k");
    let mut passing =
        Partition::open(0, Box::new(MemoryStore::new()), key(), Faults::from([((killer, 0), note)])).unwrap();
    for (offset, (timestamp, value)) in (0..).zip(&post.stages[0].log) {
        passing.fold(LogRecord { offset, timestamp: *timestamp, value }, 1_000).unwrap();
    }
    passing.commit().unwrap();
    let parent = view::saga_of_key(passing.reader().as_ref(), "test", "k").unwrap().unwrap();
    let repeats = passing.meta().unwrap().counters.repeated_messages;
    passing.fold(LogRecord { offset: passing.next(), timestamp: 0, value: &ended[0].1 }, 1_000).unwrap();
    assert_eq!(passing.meta().unwrap().counters.repeated_messages, repeats + 1, "it counts in its channel");
    let told = view::history(passing.reader().as_ref(), &parent).unwrap();
    assert!(format!("{told:?}").contains("it kills the fold"), "{told:?}");
}

/// Whoever holds the key may have said nonsense: it is set aside or nothing, and never stops the fold.
#[test]
fn messages_about_nobody_are_set_aside_or_nothing() {
    let (definition, contract) = chain(&["a"]);
    let mut stage = Stage::of(Genesis { partitions: 2, ..genesis() }, &[definition], &contract);
    let nobody = SagaId::from_bytes([7; 16]);
    let parent = StepAddress { saga: nobody, step: "a".to_owned(), items: vec![], round: 0 };
    let (text, null) = (|| "x".to_owned(), Bytes::from("null"));
    let target = Target { via: Some(text()), ..stage.target(ClauseKind::Wait, "a", "x") };
    let origin = stage.event(-1, 0, "x").origin;
    let broadcast =
        |subject: &str, kind| Broadcast { subject: subject.to_owned(), kind, version: 1, by: text(), reason: text() };
    let (child, deadline, traceparent) = (nobody, None, None);
    let definition = stage.definition;
    let bodies = [
        MessageBody::Start(StartChild {
            parent: parent.clone(),
            parent_partition: 1,
            definition,
            key: String::new(),
            input: null.clone(),
            deadline,
            traceparent: traceparent.clone(),
        }),
        MessageBody::Ended(ChildEnded {
            parent: parent.clone(),
            child: Some(child),
            end: End::Completed,
            result: null.clone(),
            reason: text(),
        }),
        MessageBody::Cancel(CancelChild { parent: parent.clone(), definition, key: text(), reason: text() }),
        MessageBody::Compensate(CompensateChild { parent: parent.clone(), child, reason: text() }),
        MessageBody::Release(ReleaseChild { child }),
        MessageBody::Unbind(UnbindAlias { definition: text(), alias: text(), value: text(), saga: nobody }),
        MessageBody::AliasTaken(AliasTaken { saga: nobody, alias: text(), value: text(), holder: nobody }),
        MessageBody::Deliver(DeliverEvent {
            saga: nobody,
            target,
            origin,
            topic: text(),
            timestamp: 0,
            data: null,
            content_type: text(),
            traceparent,
        }),
        MessageBody::Broadcast(broadcast("world", BroadcastKind::Pause)),
        MessageBody::Broadcast(broadcast("participant/p", BroadcastKind::CircuitOpen)),
    ];
    let mut prev = None;
    for (offset, body) in (1..).zip(bodies) {
        let at = Position { offset, timer: 0, index: 0 };
        let origin = MessageOrigin { partition: 1, prev, at };
        stage.body(&Body::Message(Message { id: OutputId::from_bytes([1; 16]), origin, body }));
        prev = Some(at);
    }
    let parked: Vec<String> =
        stage.parked().iter().map(|parked| format!("{:?}: {}", parked.reason, parked.detail)).collect();
    expect![[r#"
        Unknown: the saga 07070707-0707-0707-0707-070707070707 is no longer remembered
        Refused: "world" is no scope: write participant/NAME, definition/NAME or all
        Refused: CircuitOpen is no matter between partitions in this version"#]]
    .assert_eq(&parked.join("\n"));
    let answers = stage.take_mail().into_iter().map(|(to, value)| {
        let Body::Message(message) = proof::open(INBOX.fingerprint, &value).unwrap().inbox.body else { unreachable!() };
        match message.body {
            MessageBody::Ended(ended) => format!("to {to}: {:?}, {}", ended.end, ended.reason),
            other => format!("to {to}: {other:?}"),
        }
    });
    expect![[r#"
        to 1: NotStarted, a key has between 1 and 1024 bytes, this has 0
        to 1: Release(ReleaseChild { child: SagaId(07070707-0707-0707-0707-070707070707) })
        to 1: NotStarted, it never began
        to 1: Closed, the child saga is no longer remembered: what it did stands"#]]
    .assert_eq(&answers.collect::<Vec<_>>().join("\n"));
    stage.start("k");
    stage.refolds_alike();
}
