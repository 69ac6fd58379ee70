//! One effect of one saga against the store: every command again at any time, rows dropped at any time, crashes at any point. The effect must
//! happen at most once, be undone at most once, and no answer may lie. The saga's side is as simple as the protocol allows.

use std::time::Duration;

use proptest::prelude::*;
use sagaline_schemas::command::{KnownOutcome, KnownSucceeded, KnownUnknown};
use sagaline_schemas::record::{Happened, MarkKind, Refused, Succeeded};

use super::tests::command;
use super::*;
use crate::handler::HandlerError;

/// What the saga knows of its effect.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Ledger {
    Nothing,
    Sent,
    Unknown,
    Succeeded,
    Refused,
}

/// How far it is with undoing it.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Undoing {
    No,
    Open,
    Compensated,
    NothingThere,
    Stuck,
}

/// What the handler does when it is asked to do.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Fate {
    Works,
    Refuses,
    ComesAgain,
    FailsBefore,
    IsOut,
    FailsAfter,
    /// It looks the key up first, then refuses with a code that it promised to refuse for good.
    RefusesForGood,
    /// The work goes on elsewhere: it lands later, and its outcome comes by a callback.
    HandsOn,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Crash {
    No,
    /// The machine loses power before the intent is synced.
    BeforeIntent,
    /// The process dies after the handler and before its outcome is recorded.
    AfterHandler,
    /// The machine loses power after the outcome was recorded and before it is synced.
    BeforeSync,
    /// The process dies before the answer leaves.
    BeforeAnswer,
}

#[derive(Clone, Copy, Debug)]
enum Move {
    TimePasses,
    Do,
    GiveUp,
    Compensate,
    Probe,
    Deliver(usize, Fate, Crash),
    /// What was handed on comes to its end.
    Land(Fate),
    Take(usize),
    DropRow,
    DropOthers,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let fate = prop_oneof![
        4 => Just(Fate::Works),
        1 => Just(Fate::Refuses),
        1 => Just(Fate::ComesAgain),
        1 => Just(Fate::FailsBefore),
        1 => Just(Fate::IsOut),
        1 => Just(Fate::FailsAfter),
        1 => Just(Fate::RefusesForGood),
        1 => Just(Fate::HandsOn),
    ];
    let landed = prop_oneof![2 => Just(Fate::Works), 1 => Just(Fate::RefusesForGood), 1 => Just(Fate::FailsAfter)];
    let crash = prop_oneof![
        6 => Just(Crash::No),
        1 => Just(Crash::BeforeIntent),
        1 => Just(Crash::AfterHandler),
        1 => Just(Crash::BeforeSync),
        1 => Just(Crash::BeforeAnswer),
    ];
    let one = prop_oneof![
        2 => Just(Move::TimePasses),
        3 => Just(Move::Do),
        1 => Just(Move::GiveUp),
        2 => Just(Move::Compensate),
        1 => Just(Move::Probe),
        8 => (any::<usize>(), fate, crash).prop_map(|(n, fate, crash)| Move::Deliver(n, fate, crash)),
        2 => landed.prop_map(Move::Land),
        5 => any::<usize>().prop_map(Move::Take),
        1 => Just(Move::DropRow),
        1 => Just(Move::DropOthers),
    ];
    prop::collection::vec(one, 1..50)
}

/// What the participant's business did. Its own data survives every crash.
#[derive(Default)]
struct Business {
    by_key: bool,
    /// Whether a refusal for good is remembered under the key, as was promised.
    remembers: bool,
    done: u32,
    undone: u32,
    closed: bool,
    refused: bool,
    /// Calls that were handed on and have not landed.
    under_way: u32,
}

const FOR_GOOD: &str = "Gone";

impl Business {
    fn act(&mut self, fate: Fate) -> HandlerOutcome {
        match fate {
            Fate::Refuses => return Err(HandlerError::refused("No", "")),
            Fate::ComesAgain => return Err(HandlerError::retry(Duration::ZERO, "")),
            Fate::FailsBefore => return Err(HandlerError::failed("before")),
            Fate::IsOut => return Err(HandlerError::unavailable("the bank is down")),
            Fate::HandsOn => {
                self.under_way += 1;
                return Err(HandlerError::Working { until: Millis::MAX });
            }
            Fate::Works | Fate::FailsAfter | Fate::RefusesForGood => {}
        }
        if self.by_key && self.closed {
            return Err(HandlerError::failed("the key is closed"));
        }
        if self.refused || (fate == Fate::RefusesForGood && self.done == 0) {
            self.refused = self.remembers;
            return Err(HandlerError::refused(FOR_GOOD, ""));
        }
        if !(self.by_key && self.done > 0) {
            self.done += 1;
        }
        if matches!(fate, Fate::FailsAfter) { Err(HandlerError::failed("after")) } else { Ok("1".into()) }
    }

    /// Compensations are always safe to repeat.
    fn undo(&mut self, fate: Fate) -> HandlerOutcome {
        match fate {
            Fate::IsOut => return Err(HandlerError::unavailable("the bank is down")),
            Fate::ComesAgain | Fate::FailsBefore | Fate::Refuses | Fate::RefusesForGood | Fate::HandsOn => {
                return Err(HandlerError::failed("not now"));
            }
            Fate::Works | Fate::FailsAfter => {}
        }
        if self.done > 0 && !self.closed {
            self.undone += 1;
        }
        self.closed = true;
        if matches!(fate, Fate::FailsAfter) { Err(HandlerError::failed("after")) } else { Ok("2".into()) }
    }
}

type Open = Box<dyn Fn(&MemoryRows) -> Box<dyn EffectRows>>;

struct World {
    declared: Idempotence,
    rows: MemoryRows,
    /// Over `rows`, as a process sees them.
    open: Open,
    store: EffectStore,
    business: Business,
    time: Millis,
    decided: Option<Millis>,
    undo_first: Option<Millis>,
    published: Vec<Command>,
    answers: Vec<Answer>,
    ledger: Ledger,
    undoing: Undoing,
}

impl World {
    fn new(declared: Idempotence, open: impl Fn(&MemoryRows) -> Box<dyn EffectRows> + 'static) -> Self {
        let rows = MemoryRows::new();
        Self {
            declared,
            store: EffectStore::new(open(&rows), Duration::from_secs(1)),
            open: Box::new(open),
            rows,
            business: Business { by_key: declared == Idempotence::ByKey, remembers: true, ..Business::default() },
            time: 1,
            decided: None,
            undo_first: None,
            published: Vec::new(),
            answers: Vec::new(),
            ledger: Ledger::Nothing,
            undoing: Undoing::No,
        }
    }

    fn restart(&mut self) {
        self.store = EffectStore::new((self.open)(&self.rows), Duration::from_secs(1));
    }

    fn play(&mut self, step: Move) {
        match step {
            Move::TimePasses => self.time += 1,
            Move::Do => self.decide_do(),
            Move::GiveUp if self.ledger == Ledger::Sent => self.ledger = Ledger::Unknown,
            Move::Compensate => self.decide_compensation(),
            Move::Probe if matches!(self.ledger, Ledger::Sent | Ledger::Unknown) && self.undoing == Undoing::No => {
                self.publish(Kind::Probe, None, self.time);
            }
            Move::GiveUp | Move::Probe => {}
            Move::Deliver(n, fate, crash) if !self.published.is_empty() => {
                let command = self.published[n % self.published.len()].clone();
                self.deliver(&command, fate, crash);
            }
            Move::Take(n) if !self.answers.is_empty() => {
                let answer = self.answers[n % self.answers.len()].clone();
                self.take(&answer);
            }
            Move::Land(fate) if self.business.under_way > 0 => self.land(fate),
            Move::Deliver(..) | Move::Land(_) | Move::Take(_) => {}
            Move::DropRow => drop(self.rows.drop_through(&self.inbox(), Millis::MAX, 1).unwrap()),
            Move::DropOthers => self.drop_other(),
        }
    }

    fn inbox(&self) -> ReplyPartition {
        ReplyPartition { topic: "inbox".into(), partition: 0 }
    }

    fn drop_other(&mut self) {
        let (inbox, other) = (self.inbox(), EffectId::from_bytes([9; 16]));
        let row = Row { inbox: inbox.clone(), kept: self.time, state: RowState::Intent(Intent {}) };
        let own = self.rows.row(EffectId::from_bytes([3; 16])).unwrap();
        self.rows.put(other, &row).unwrap();
        self.rows.drop_through(&inbox, self.time, 2).unwrap();
        // Only the other row was old enough in this move.
        if let Some(own) = own {
            self.rows.put(EffectId::from_bytes([3; 16]), &own).unwrap();
        }
        self.rows.sync().unwrap();
    }

    fn publish(&mut self, kind: Kind, known: Option<KnownOutcome>, first: Millis) {
        let decided = self.decided.expect("nothing comes before the first do");
        self.published.push(command(kind, known, decided, first));
    }

    fn decide_do(&mut self) {
        if !matches!(self.ledger, Ledger::Nothing | Ledger::Sent) || self.undoing != Undoing::No {
            return;
        }
        let decided = *self.decided.get_or_insert(self.time);
        self.ledger = Ledger::Sent;
        self.publish(Kind::Do, None, decided);
    }

    fn decide_compensation(&mut self) {
        let listed = matches!(self.ledger, Ledger::Sent | Ledger::Unknown | Ledger::Succeeded);
        let again = matches!(self.undoing, Undoing::Open | Undoing::Stuck);
        if again || (listed && self.undoing == Undoing::No) {
            let first = *self.undo_first.get_or_insert(self.time);
            let known = if self.ledger == Ledger::Succeeded {
                KnownOutcome::Succeeded(KnownSucceeded { result: "1".into() })
            } else {
                KnownOutcome::Unknown(KnownUnknown {})
            };
            self.undoing = Undoing::Open;
            self.publish(Kind::Compensate, Some(known), first);
        }
    }

    fn deliver(&mut self, command: &Command, fate: Fate, crash: Crash) {
        let promise = Promise { idempotence: self.declared, refuses_for_good: Arc::new([FOR_GOOD.to_owned()]) };
        let begun = self.store.begin(command, promise).unwrap();
        if crash == Crash::BeforeIntent {
            self.rows.crash();
            return self.restart();
        }
        self.store.sync().unwrap();
        let answer = match begun {
            Begin::Answer(answer) => answer,
            Begin::Run(run) => {
                let fate = self.possible(fate, &run);
                let outcome = match run.task {
                    Task::Undo => self.business.undo(fate),
                    Task::Probe(_) => Ok("null".into()),
                    Task::First | Task::Again | Task::Ask => self.business.act(fate),
                };
                if crash == Crash::AfterHandler {
                    return self.restart();
                }
                let answer = self.store.finish(run, outcome).unwrap();
                if crash == Crash::BeforeSync {
                    self.rows.crash();
                    return self.restart();
                }
                self.store.sync().unwrap();
                answer
            }
        };
        if crash == Crash::BeforeAnswer {
            return self.restart();
        }
        self.answers.push(answer);
    }

    /// The partner's work, and its callback. The effect store is not told.
    fn land(&mut self, fate: Fate) {
        self.business.under_way -= 1;
        match self.business.act(fate) {
            Ok(result) => self.answers.push(Answer::Succeeded(Succeeded { result })),
            Err(HandlerError::Refused { code, detail }) => self.answers.push(Answer::Refused(Refused { code, detail })),
            Err(
                HandlerError::Retry { .. }
                | HandlerError::Failed { .. }
                | HandlerError::Unavailable { .. }
                | HandlerError::Working { .. },
            ) => {}
        }
    }

    /// An honest handler refuses or comes again only where nothing was done, except on a repeat, where it may not know (V7).
    fn possible(&self, fate: Fate, run: &Run) -> Fate {
        match fate {
            Fate::Refuses | Fate::ComesAgain if run.task == Task::First && self.business.done > 0 => Fate::Works,
            _ => fate,
        }
    }

    fn take(&mut self, answer: &Answer) {
        let open = matches!(self.ledger, Ledger::Sent | Ledger::Unknown);
        let undoing = matches!(self.undoing, Undoing::Open | Undoing::Stuck);
        match answer {
            Answer::Succeeded(_) if open => self.succeed(),
            Answer::Probed(probed) if open && probed.happened == Happened::Yes => self.succeed(),
            Answer::Probed(probed) if open && probed.happened == Happened::No && self.undoing == Undoing::No => {
                self.ledger = Ledger::Refused;
            }
            Answer::Refused(_) if open => self.ledger = Ledger::Refused,
            Answer::Compensated(_) if undoing => self.undoing = Undoing::Compensated,
            Answer::NothingThere(_) if undoing => self.undoing = Undoing::NothingThere,
            Answer::Mark(mark) if mark.mark == MarkKind::Forgotten && self.ledger == Ledger::Sent => {
                self.ledger = Ledger::Unknown;
            }
            Answer::Succeeded(_)
            | Answer::Refused(_)
            | Answer::Failed(_)
            | Answer::Working(_)
            | Answer::Compensated(_)
            | Answer::NothingThere(_)
            | Answer::Probed(_)
            | Answer::Mark(_) => {}
        }
    }

    fn succeed(&mut self) {
        self.ledger = Ledger::Succeeded;
        if self.undoing == Undoing::NothingThere {
            self.undoing = Undoing::Stuck;
        }
    }

    /// What must hold after every move.
    fn lie(&self) -> Option<&'static str> {
        let Business { done, undone, .. } = self.business;
        let said_undone = |answer: &Answer| matches!(answer, Answer::Compensated(_) | Answer::NothingThere(_));
        let checks = [
            (done > 1, "the effect happened twice"),
            (undone > 1, "it was undone twice"),
            (undone > done, "what never happened was undone"),
            (self.answers.iter().any(said_undone) && done != undone, "it was said to be undone, and stands"),
            (
                matches!(self.undoing, Undoing::Compensated | Undoing::NothingThere) && done != undone,
                "the report says undone, the effect stands",
            ),
            (
                self.ledger == Ledger::Refused && self.undoing == Undoing::No && done != 0,
                "it counts as not done, the effect stands",
            ),
            (self.ledger == Ledger::Succeeded && done == 0, "it counts as done, and never was"),
        ];
        checks.into_iter().find_map(|(broken, lie)| broken.then_some(lie))
    }
}

/// The first lie, with the moves that led to it.
fn first_lie(mut world: World, moves: &[Move]) -> Option<(&'static str, Vec<Move>)> {
    for (n, step) in moves.iter().enumerate() {
        world.play(*step);
        if let Some(lie) = world.lie() {
            return Some((lie, moves[..=n].to_vec()));
        }
    }
    None
}

fn faithful(rows: &MemoryRows) -> Box<dyn EffectRows> {
    Box::new(rows.clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6000))]

    #[test]
    fn once_and_never_a_lie_by_key(moves in moves()) {
        prop_assert_eq!(first_lie(World::new(Idempotence::ByKey, faithful), &moves).map(|(lie, moves)| (lie, format!("{moves:?}"))), None);
    }

    #[test]
    fn once_and_never_a_lie_without_idempotence(moves in moves()) {
        prop_assert_eq!(first_lie(World::new(Idempotence::None, faithful), &moves).map(|(lie, moves)| (lie, format!("{moves:?}"))), None);
    }
}

/// Rows with one promise broken.
struct Broken {
    rows: MemoryRows,
    forgets_rows: bool,
    forgets_horizon: bool,
}

impl EffectRows for Broken {
    fn row(&self, effect: EffectId) -> Result<Option<Row>, EffectStoreError> {
        if self.forgets_rows { Ok(None) } else { self.rows.row(effect) }
    }
    fn put(&mut self, effect: EffectId, row: &Row) -> Result<(), EffectStoreError> {
        self.rows.put(effect, row)
    }
    fn remove(&mut self, effect: EffectId) -> Result<(), EffectStoreError> {
        self.rows.remove(effect)
    }
    fn horizon(&self, inbox: &ReplyPartition) -> Result<Option<Millis>, EffectStoreError> {
        if self.forgets_horizon { Ok(None) } else { self.rows.horizon(inbox) }
    }
    fn latest_horizon(&self, except: &str) -> Result<Option<Millis>, EffectStoreError> {
        if self.forgets_horizon { Ok(None) } else { self.rows.latest_horizon(except) }
    }
    fn drop_through(
        &mut self,
        inbox: &ReplyPartition,
        through: Millis,
        most: usize,
    ) -> Result<usize, EffectStoreError> {
        self.rows.drop_through(inbox, through, most)
    }
    fn sync(&mut self) -> Result<(), EffectStoreError> {
        self.rows.sync()
    }
    fn reach(&self) -> Reach {
        Reach::ThisInstance
    }
}

const DELIVER: Move = Move::Deliver(0, Fate::Works, Crash::No);

#[test]
fn a_refusal_that_is_not_remembered_is_not_for_good() {
    let first = Move::Deliver(0, Fate::HandsOn, Crash::AfterHandler);
    let again = Move::Deliver(0, Fate::RefusesForGood, Crash::No);
    let moves = [Move::Do, first, again, Move::Take(0), Move::Land(Fate::Works)];
    let mut forgetful = World::new(Idempotence::ByKey, faithful);
    forgetful.business.remembers = false;
    let lie = first_lie(forgetful, &moves).map(|(lie, _)| lie);
    assert_eq!(lie, Some("it counts as not done, the effect stands"));
    assert!(first_lie(World::new(Idempotence::ByKey, faithful), &moves).is_none());
}

#[test]
fn the_world_catches_a_store_that_forgets_rows() {
    let broken = |rows: &MemoryRows| -> Box<dyn EffectRows> {
        Box::new(Broken { rows: rows.clone(), forgets_rows: true, forgets_horizon: false })
    };
    let moves = [Move::Do, DELIVER, DELIVER];
    let lie = first_lie(World::new(Idempotence::None, broken), &moves).map(|(lie, _)| lie);
    assert_eq!(lie, Some("the effect happened twice"));
    assert!(first_lie(World::new(Idempotence::None, faithful), &moves).is_none());
}

#[test]
fn the_world_catches_a_store_that_forgets_its_horizon() {
    let broken = |rows: &MemoryRows| -> Box<dyn EffectRows> {
        Box::new(Broken { rows: rows.clone(), forgets_rows: false, forgets_horizon: true })
    };
    let moves = [Move::Do, DELIVER, Move::DropRow, Move::Compensate, Move::Deliver(1, Fate::Works, Crash::No)];
    let lie = first_lie(World::new(Idempotence::None, broken), &moves).map(|(lie, _)| lie);
    assert_eq!(lie, Some("it was said to be undone, and stands"));
    assert!(first_lie(World::new(Idempotence::None, faithful), &moves).is_none());
}
