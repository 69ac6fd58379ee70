//! Questions about facts at their participant's gate: they have seats as commands have, nobody waits for ever, and silence gives a seat back.

use sagaline_definition::contract::Limits;
use sagaline_definition::model::{AskFact, Compensate, Definition, Sleep, Template, Verb};
use sagaline_engine::{Asking, Phase, Saga};
use sagaline_partition::gate::Gate;
use sagaline_partition::view;
use sagaline_schemas::command::Command;
use sagaline_schemas::record::{Answer, ClauseKind, Failed, Succeeded, Target};
use sagaline_schemas::request::{PauseRequest, RequestBody, RequestTarget, ResumeRequest, ScopeTarget};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Digest, Value};

use crate::events::{expr, fact};
use crate::stage::{Stage, chain, genesis, reply, step};

const HOUR: i64 = 3_600_000;

/// Beside sagas of two commands, sagas that do nothing but ask for a fact every so often, all of them of one participant.
struct Asked {
    stage: Stage,
    asker: Digest,
    /// Commands and questions that the participant has, and since when: the round.
    has: Vec<(usize, Command)>,
    seen: usize,
    round: usize,
}

impl Asked {
    fn new(limits: Limits, every: i64) -> Self {
        Self::of(limits, every, |_| {})
    }

    fn of(limits: Limits, every: i64, change: impl FnOnce(&mut Definition)) -> Self {
        let (mut commander, mut contract) = chain(&["a", "b"]);
        change(&mut commander);
        contract.limits = limits;
        commander.contracts.insert("p".to_owned(), contract.digest());
        let mut asker = commander.clone();
        asker.saga = "asker".to_owned();
        asker.steps = vec![step(0, "rest", Verb::Sleep(Sleep::For(HOUR)))];
        let mut known = fact("known");
        (known.topic, known.key, known.value, known.seq) = (None, None, None, None);
        known.ask = Some(AskFact {
            participant: "p".to_owned(),
            operation: "look".to_owned(),
            with: Template::Literal(Value::Null),
            every,
            value: expr("answer.at"),
        });
        asker.facts = vec![known];
        let digest = asker.digest();
        let stage = Stage::of(genesis(), &[commander, asker], &contract);
        Self { stage, asker: digest, has: vec![], seen: 0, round: 0 }
    }

    fn begin_to_ask(&mut self, keys: impl Iterator<Item = usize>) {
        for key in keys {
            let (definition, key) = (self.asker, format!("asks{key}"));
            let target = Target { definition, clause: ClauseKind::Start, name: String::new(), key, via: None };
            self.stage.tell("orders", "{}", &[target]);
        }
    }

    /// What has come since lies before the participant. Gives how much it has to do.
    fn take(&mut self) -> usize {
        let commands = self.stage.commands();
        let new = commands[self.seen..].iter().cloned().map(|command| (self.round, command));
        self.has.extend(new);
        self.seen = commands.len();
        self.has.len()
    }

    /// A tenth of a second: it answers what it had before. Gives how much it has then.
    fn round(&mut self) -> usize {
        self.round += 1;
        for (_, command) in std::mem::take(&mut self.has) {
            let at = format!(r#"{{"at":{}}}"#, self.stage.now);
            let answer = Answer::Succeeded(Succeeded { result: Bytes::from(at.as_str()) });
            self.stage.raw(reply(&command, answer));
        }
        self.stage.pass(100, 100);
        self.take()
    }

    fn asker(&mut self, key: &str) -> Saga {
        self.stage.partition.commit().unwrap();
        view::saga_of_key(self.stage.partition.reader().as_ref(), "asker", key).unwrap().unwrap()
    }

    /// How often each was asked for the fact.
    fn askings(&mut self, keys: std::ops::Range<usize>) -> Vec<u32> {
        keys.map(|key| self.asker(&format!("asks{key}")).facts[0].asked).collect()
    }

    fn is_complete(&mut self, key: &str) -> bool {
        matches!(self.stage.saga(key).phase, Phase::Ended { end: sagaline_schemas::record::End::Completed, .. })
    }

    fn gate(&mut self, subject: &str) -> Option<Gate> {
        self.stage.partition.commit().unwrap();
        view::gates(self.stage.partition.reader().as_ref()).unwrap().remove(subject)
    }

    fn pause(&mut self, id: u8, subject: &str, pause: bool) {
        let (version, reason) = (i64::from(id), "maintenance".to_owned());
        let body = match pause {
            true => RequestBody::Pause(PauseRequest { version, reason }),
            false => RequestBody::Resume(ResumeRequest { version, reason }),
        };
        let target = RequestTarget::Scope(ScopeTarget { subject: subject.to_owned() });
        assert_eq!(self.stage.request(id, target, body), "done");
    }
}

/// Twenty that ask every second, where ten answers a second are all there are: the questions alone are too many.
// shows: limits.in_flight x success
#[test]
fn questions_and_commands_have_one_in_flight_together_and_all_go_on() {
    let mut asked = Asked::new(Limits { in_flight: Some(1), rate: None }, 1_000);
    asked.begin_to_ask(0..20);
    assert_eq!(asked.take(), 1);
    for _ in 0..30 {
        assert!(asked.round() <= 1);
    }
    (0..10).for_each(|key| _ = asked.stage.start(&format!("k{key}")));
    // Twenty commands, every other seat.
    for round in 0..50 {
        assert!(asked.round() <= 1, "round {round}");
    }
    let all = (0..10).all(|key| asked.is_complete(&format!("k{key}")));
    assert!(all, "questions do not keep commands away: {:?}", asked.gate("participant/p"));
    let askings = asked.askings(0..20);
    assert!(askings.iter().all(|asked| (2..=4).contains(asked)), "who waits longest asks first: {askings:?}");
    asked.stage.refolds_alike();
}

/// Commands come in a stream that never ends, as many as there is room for.
#[test]
fn commands_do_not_keep_questions_away() {
    let mut asked = Asked::new(Limits { in_flight: Some(1), rate: None }, 1_000);
    for round in 0..60 {
        asked.stage.start(&format!("k{round}"));
        if round == 20 {
            asked.begin_to_ask(0..3);
        }
        assert!(asked.round() <= 1, "round {round}");
    }
    let gate = asked.gate("participant/p").unwrap();
    assert!(gate.held > 20, "more commands wait than ever go: {gate:?}");
    let askings = asked.askings(0..3);
    assert!(askings.iter().all(|asked| *asked >= 3), "{askings:?}");
    asked.stage.refolds_alike();
}

// shows: limits.rate x success
#[test]
fn questions_count_among_what_goes_in_a_second() {
    let mut asked = Asked::new(Limits { in_flight: None, rate: Some(5) }, 1_000);
    asked.stage.progress();
    asked.begin_to_ask(0..10);
    (0..10).for_each(|key| _ = asked.stage.start(&format!("k{key}")));
    asked.take();
    let mut sent = vec![asked.seen];
    for _ in 0..12 {
        (0..10).for_each(|_| _ = asked.round());
        sent.push(asked.seen);
    }
    assert_eq!(sent, (1..=13).map(|second| 5 * second).collect::<Vec<_>>(), "always at its limit, never above");
    assert!((0..10).all(|key| asked.is_complete(&format!("k{key}"))));
    let askings = asked.askings(0..10);
    assert!(askings.iter().all(|asked| *asked >= 3), "{askings:?}");
    asked.stage.refolds_alike();
}

/// After half a minute, or when the next asking is due. The answer still counts, where it is the newest's.
// shows: limits.in_flight x timeout
#[test]
fn silence_gives_the_seat_back() {
    for (every, free_after) in [(600_000, 30_000), (20_000, 20_000)] {
        let mut asked = Asked::new(Limits { in_flight: Some(1), rate: None }, every);
        asked.begin_to_ask(0..1);
        asked.stage.start("k");
        assert_eq!(asked.take(), 1, "the command waits");
        asked.stage.progress();
        asked.stage.pass(free_after - 1_000, 500);
        assert_eq!(asked.take(), 1, "{every}");
        asked.stage.pass(1_500, 500);
        assert_eq!(asked.take(), 2, "{every}");
        assert_eq!(asked.has[1].1.operation, "a");
        assert_eq!(asked.gate("participant/p").map(|gate| gate.in_flight), Some(1));
        let question = asked.has.remove(0).1;
        let late = Answer::Succeeded(Succeeded { result: Bytes::from(r#"{"at":7}"#) });
        asked.stage.raw(reply(&question, late.clone()));
        asked.stage.raw(reply(&question, late));
        let known = asked.asker("asks0").facts[0].clone();
        assert_eq!(known.value, Bytes::from("7"), "{every}: a late answer is an answer");
        assert!(!known.asking.is_open(), "{every}");
        for _ in 0..20 {
            asked.round();
        }
        assert!(asked.is_complete("k"), "{every}");
        asked.stage.refolds_alike();
    }
}

/// A pause holds questions, too: they are asked when it is over, and who has ended asks no more.
#[test]
fn a_pause_holds_questions() {
    for subject in ["participant/p", "definition/asker", "all"] {
        let mut asked = Asked::new(Limits::default(), 60_000);
        asked.pause(1, subject, true);
        asked.begin_to_ask(0..2);
        asked.stage.pass(HOUR / 2, 60_000);
        assert_eq!(asked.take(), 0, "{subject}");
        assert!(matches!(asked.asker("asks0").facts[0].asking, Asking::Waits { open: false, .. }));
        assert_eq!(asked.gate(subject).map(|gate| (gate.held, gate.asking)), Some((0, 2)), "{subject}");
        asked.pause(2, subject, false);
        asked.stage.pass(1_000, 1_000);
        assert_eq!(asked.take(), 2, "{subject}");
        asked.round();
        let known = asked.asker("asks0").facts[0].clone();
        assert_eq!((known.asking, known.asked), (Asking::Idle, 1), "{subject}");
        asked.pause(3, subject, true);
        asked.stage.pass(120_000, 60_000);
        assert_eq!(asked.gate(subject).map(|gate| gate.asking), Some(2), "{subject}");
        asked.stage.pass(HOUR, 60_000);
        assert!(asked.asker("asks0").is_ended(), "its sleep is over");
        assert_eq!(asked.gate(subject).map(|gate| gate.asking), Some(0), "{subject}");
        asked.stage.refolds_alike();
    }
}

/// Its circuit is open, and nobody commands it any more: a question finds out that it is back.
// shows: facts.ask.operation x success
#[test]
fn a_question_finds_out_that_its_participant_is_back() {
    let mut asked = Asked::of(Limits::default(), 60_000, |commander| {
        for step in &mut commander.steps {
            let Verb::Call(call) = &mut step.verb else { unreachable!() };
            call.compensate = Compensate::Never;
        }
    });
    asked.begin_to_ask(0..1);
    asked.take();
    asked.round();
    asked.stage.start("k");
    asked.take();
    let (_, command) = asked.has.pop().unwrap();
    let outage = Failed { error: "the bank is down".to_owned(), retry_after: None, outage: true };
    asked.stage.raw(reply(&command, Answer::Failed(outage)));
    asked.stage.cancel(1, "k");
    assert!(asked.gate("participant/p").is_some_and(|gate| gate.is_down() && !gate.is_awaited()));
    asked.stage.pass(61_000, 1_000);
    assert_eq!(asked.take(), 1);
    assert_eq!(asked.has[0].1.operation, "look");
    asked.round();
    assert_eq!(asked.gate("participant/p"), None, "it is back");
    assert_eq!(asked.askings(0..1), [2]);
    asked.stage.refolds_alike();
}
