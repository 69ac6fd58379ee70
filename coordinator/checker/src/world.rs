//! The world beside the saga: what participants really did, what they still have to say, and what has reached the saga. Kept by what the
//! engine sends and what it is told, never by what it writes down: so that its own books can be held against it.

use sagaline_engine::Spot;
use sagaline_schemas::Value;
use sagaline_schemas::record::{
    Answer, Compensated, Failed, Happened, Kind, Mark, MarkKind, NothingThere, Probed, Refused, Succeeded,
};
use sagaline_schemas::wire::Bytes;

/// What a participant's effect store holds of one effect (docs/protocol.md, the table of a participant's effect store).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Row {
    /// Nothing: no command has come.
    #[default]
    Empty,
    /// It happened, with that result of those that are tried.
    Done(u8),
    /// It was refused, with that code of those that are tried.
    Refused(u8),
    /// It was undone.
    Undone,
    /// It never happened, and never will.
    Tombstone,
    /// People ended a child saga: nobody can say.
    Vague,
}

/// Commands of one kind that no answer has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Open {
    /// The newest attempt.
    pub newest: bool,
    /// Any before it.
    pub older: bool,
    /// The log has not acknowledged the newest attempt.
    pub unsent: bool,
}

/// How far a child saga is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ChildIs {
    /// Not a child, or not begun.
    #[default]
    Nothing,
    /// It runs.
    Running,
    /// It was told to go back while it ran.
    Cancelling,
    /// It completed.
    Completed,
    /// It was told to go back after it completed.
    Undoing,
    /// It is over, and nothing is left of it.
    Over,
}

/// One effect, as the world has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Deed {
    /// What its participant knows.
    pub row: Row,
    /// Commands under way: do, compensate, probe.
    pub open: [Open; 3],
    /// Commands that ever left: do, compensate, probe.
    pub commanded: [bool; 3],
    /// The saga was told that it happened.
    pub told_done: bool,
    /// The saga was told that it did not.
    pub told_refused: bool,
    /// The saga was told that it is undone, or never was.
    pub told_void: bool,
    /// Its undoing was commanded and has not been answered.
    pub undoing: bool,
    /// The child saga, where it is one.
    pub child: ChildIs,
}

/// Everything outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// One per effect of the saga, in its order.
    pub deeds: Vec<Deed>,
    /// Effects in the order in which they were first commanded.
    pub order: Vec<u32>,
    /// Approvals that are decided.
    pub decided: Vec<Spot>,
    /// Somebody asked for a cancellation, and it was taken.
    pub cancelled: bool,
}

/// What a participant says, in the checker's few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Said {
    /// Done, with that result.
    Done(u8),
    /// Refused, with that code.
    Refused(u8),
    /// This attempt brought nothing.
    Failed,
    /// Undone.
    Undone,
    /// There was nothing to undo.
    NothingThere,
    /// The effect store holds a tombstone, or the effect is undone already.
    Marked,
    /// A probe found it, with that result.
    Yes(u8),
    /// A probe found that it never happened.
    No,
    /// A probe does not know.
    Unknown,
}

/// Number of a kind in the arrays above.
pub fn slot(kind: Kind) -> usize {
    match kind {
        Kind::Do | Kind::Ask => 0,
        Kind::Compensate => 1,
        Kind::Probe => 2,
    }
}

impl Deed {
    /// The participant takes a command: the table of its effect store. `chosen`: what becomes of it if it is new.
    pub fn serve(&mut self, kind: Kind, chosen: Said) -> Said {
        let (row, said) = match (kind, self.row) {
            (_, row) if matches!(chosen, Said::Failed) => (row, Said::Failed),
            (Kind::Do | Kind::Ask, Row::Empty) => match chosen {
                Said::Refused(code) => (Row::Refused(code), chosen),
                Said::Done(result) => (Row::Done(result), chosen),
                _ => (Row::Done(0), Said::Done(0)),
            },
            (Kind::Do | Kind::Ask, Row::Done(result)) => (self.row, Said::Done(result)),
            (Kind::Do | Kind::Ask, Row::Refused(code)) => (self.row, Said::Refused(code)),
            (Kind::Do | Kind::Ask, Row::Undone | Row::Tombstone | Row::Vague) => (self.row, Said::Marked),
            (Kind::Compensate, Row::Empty) => (Row::Tombstone, Said::NothingThere),
            (Kind::Compensate, Row::Done(_) | Row::Undone) => (Row::Undone, Said::Undone),
            (Kind::Compensate, Row::Refused(_) | Row::Tombstone | Row::Vague) => (self.row, Said::NothingThere),
            (Kind::Probe, row) if chosen == Said::Unknown => (row, chosen),
            (Kind::Probe, Row::Done(result)) => match chosen {
                Said::Yes(other) => (self.row, Said::Yes(other)),
                _ => (self.row, Said::Yes(result)),
            },
            (Kind::Probe, Row::Empty) => (Row::Tombstone, Said::No),
            (Kind::Probe, Row::Refused(_) | Row::Undone | Row::Tombstone | Row::Vague) => (self.row, Said::No),
        };
        self.row = row;
        said
    }

    /// What the saga knows from now on, because it was told.
    pub fn hears(&mut self, said: Said) {
        match said {
            Said::Done(_) | Said::Yes(_) => self.told_done = true,
            Said::Refused(_) | Said::No if !self.told_done => self.told_refused = true,
            Said::Undone | Said::NothingThere => {
                self.told_void = true;
                self.undoing = false;
            }
            Said::Refused(_) | Said::No | Said::Failed | Said::Marked | Said::Unknown => {}
        }
    }

    /// Whether it is for sure that it happened, did not happen and never will, or neither.
    pub fn stands(&self) -> Option<bool> {
        match self.row {
            Row::Done(_) => Some(true),
            Row::Refused(_) | Row::Undone | Row::Tombstone => Some(false),
            // A command under way may still do it.
            Row::Empty | Row::Vague => None,
        }
    }

    /// Whether it must be undone when its saga goes back: it was commanded, and nobody said that it did not happen or is void.
    pub fn must_be_undone(&self) -> bool {
        self.commanded[0] && !self.told_refused && !self.told_void
    }
}

impl Said {
    /// As a participant's reply.
    pub fn answer(self, results: &[Value], codes: &[String], retry_after: Option<i64>) -> Answer {
        let result = |number: u8| Bytes(results.get(usize::from(number)).cloned().unwrap_or_default().to_json());
        match self {
            Self::Done(number) => Answer::Succeeded(Succeeded { result: result(number) }),
            Self::Refused(number) => Answer::Refused(Refused {
                code: codes.get(usize::from(number)).cloned().unwrap_or_else(|| OTHER_CODE.to_owned()),
                detail: String::new(),
            }),
            Self::Failed => Answer::Failed(Failed { error: "it failed".to_owned(), retry_after, outage: false }),
            Self::Undone => Answer::Compensated(Compensated { result: None }),
            Self::NothingThere => Answer::NothingThere(NothingThere {}),
            Self::Marked => Answer::Mark(Mark { mark: MarkKind::Tombstoned }),
            Self::Yes(number) => probed(Happened::Yes, Some(result(number))),
            Self::No => probed(Happened::No, None),
            Self::Unknown => probed(Happened::Unknown, None),
        }
    }
}

/// What is known of the effect's result is what the business knows of it, too.
fn probed(happened: Happened, result: Option<Bytes>) -> Answer {
    Answer::Probed(Probed { happened, found: result.clone(), result })
}

/// Stands for every code of a refusal that the definition does not name.
pub const OTHER_CODE: &str = "AnyOther";
