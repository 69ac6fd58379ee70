//! What became of an effect, and of its undoing: two tables, total over every state and everything that can come.
//!
//! | is \ comes  | sent      | Succeeded    | Refused      | Failed       | forgotten | used up   |
//! |-------------|-----------|--------------|--------------|--------------|-----------|-----------|
//! | DECIDED     | SENT      | SUCCEEDED    | REFUSED      | next attempt | UNKNOWN   | UNKNOWN   |
//! | SENT        | -         | SUCCEEDED    | REFUSED      | next attempt | UNKNOWN   | UNKNOWN   |
//! | UNKNOWN     | -         | SUCCEEDED    | REFUSED      | counted      | counted   | -         |
//! | SUCCEEDED   | -         | counted      | CONTRADICTED | counted      | counted   | -         |
//! | REFUSED     | -         | CONTRADICTED | counted      | counted      | counted   | -         |
//! | CONTRADICTED| -         | counted      | counted      | counted      | counted   | -         |
//!
//! An answer belongs to the effect, whichever attempt brought it. What the saga does about a change stands in `answer.rs`.

use sagaline_schemas::wire::Bytes;
use sagaline_schemas::wire_enum;

wire_enum! {
    /// What became of an effect, as far as the log tells.
    pub enum Outcome {
        /// Its command is decided; whether it was sent is not known.
        Decided,
        /// Its command is durably sent.
        Sent,
        /// It happened.
        Succeeded {
            /// What it returned, canonical JSON.
            result: Bytes,
        },
        /// It definitely did not happen.
        Refused {
            /// The refusal's code.
            code: String,
            /// For people.
            detail: String,
        },
        /// Nobody said, and nobody is asked any more.
        Unknown {
            /// What happened last.
            error: String,
        },
        /// The participant said both. Treated as one that happened.
        Contradicted {
            /// The refusal's code.
            code: String,
            /// What it returned, canonical JSON.
            result: Bytes,
        },
    }
}

impl Outcome {
    /// No answer decided it, and attempts go on.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Decided | Self::Sent => true,
            Self::Succeeded { .. } | Self::Refused { .. } | Self::Unknown { .. } | Self::Contradicted { .. } => false,
        }
    }

    /// Nobody has said what became of it.
    pub fn is_undecided(&self) -> bool {
        self.is_open() || matches!(self, Self::Unknown { .. })
    }

    /// It may stand in the world: everything without a recorded refusal.
    pub fn may_stand(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }
}

/// What can come for an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The log has acknowledged its command.
    Sent,
    /// It happened.
    Succeeded(Bytes),
    /// It did not and will not.
    Refused {
        /// The refusal's code.
        code: String,
        /// For people.
        detail: String,
    },
    /// An attempt brought nothing.
    Failed,
    /// The participant is older than its memory of it.
    Forgotten,
    /// Attempts or total time are used up.
    UsedUp {
        /// What happened last.
        error: String,
    },
}

/// What the ledger makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: it was known, or says nothing.
    Counted,
    /// The command is out: the attempt's clock begins.
    ClockBegins,
    /// The attempt is over, the effect is not.
    NextAttempt,
    /// It is known now what became of it.
    Became(Outcome),
}

/// The table at the head of this file.
pub fn next(is: &Outcome, news: News) -> Change {
    use Change::{Became, ClockBegins, Counted, NextAttempt};
    use Outcome::{Contradicted, Decided, Refused, Sent, Succeeded, Unknown};
    match (is, news) {
        (Decided | Sent, News::Sent) => ClockBegins,
        (Unknown { .. } | Succeeded { .. } | Refused { .. } | Contradicted { .. }, News::Sent) => Counted,

        (Decided | Sent | Unknown { .. }, News::Succeeded(result)) => Became(Succeeded { result }),
        (Refused { code, .. }, News::Succeeded(result)) => Became(Contradicted { code: code.clone(), result }),
        (Succeeded { .. } | Contradicted { .. }, News::Succeeded(_)) => Counted,

        (Decided | Sent | Unknown { .. }, News::Refused { code, detail }) => Became(Refused { code, detail }),
        (Succeeded { result }, News::Refused { code, .. }) => Became(Contradicted { code, result: result.clone() }),
        (Refused { .. } | Contradicted { .. }, News::Refused { .. }) => Counted,

        (Decided | Sent, News::Failed) => NextAttempt,
        (Unknown { .. } | Succeeded { .. } | Refused { .. } | Contradicted { .. }, News::Failed) => Counted,

        (Decided | Sent, News::Forgotten) => {
            Became(Unknown { error: "the participant no longer remembers".to_owned() })
        }
        (Unknown { .. } | Succeeded { .. } | Refused { .. } | Contradicted { .. }, News::Forgotten) => Counted,

        (Decided | Sent, News::UsedUp { error }) => Became(Unknown { error }),
        (Unknown { .. } | Succeeded { .. } | Refused { .. } | Contradicted { .. }, News::UsedUp { .. }) => Counted,
    }
}

wire_enum! {
    /// What becomes of an effect when its saga goes back.
    ///
    /// LISTED -> DECIDED -> SENT -> COMPENSATED | NOTHING_THERE | USED_UP (the saga is stuck; a late answer still counts).
    pub enum Undo {
        /// Not to be undone.
        No,
        /// Its turn comes.
        Listed,
        /// Its command is decided.
        Decided,
        /// Its command is durably sent.
        Sent,
        /// Undone.
        Compensated {
            /// What undoing returned, canonical JSON.
            result: Option<Bytes>,
        },
        /// It never happened, and never will.
        NothingThere,
        /// Attempts are used up, or the participant has forgotten it.
        UsedUp,
    }
}

impl Undo {
    /// Whether nothing of the effect stands any more.
    pub fn is_void(&self) -> bool {
        match self {
            Self::Compensated { .. } | Self::NothingThere => true,
            Self::No | Self::Listed | Self::Decided | Self::Sent | Self::UsedUp => false,
        }
    }
}

/// What can come for the undoing of an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UndoNews {
    /// The log has acknowledged its command.
    Sent,
    /// Undone.
    Compensated(Option<Bytes>),
    /// There was nothing to undo.
    NothingThere,
    /// An attempt brought nothing.
    Failed,
    /// The participant is older than its memory of it, or attempts are used up.
    UsedUp,
}

/// What the ledger makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UndoChange {
    /// Nothing: it was known, or says nothing.
    Counted,
    /// The command is out: the attempt's clock begins.
    ClockBegins,
    /// The attempt is over, the undoing is not.
    NextAttempt,
    /// It is known now.
    Became(Undo),
}

/// | is \ comes            | sent | Compensated | NothingThere  | Failed       | used up |
/// |-----------------------|------|-------------|---------------|--------------|---------|
/// | DECIDED, SENT         | SENT | COMPENSATED | NOTHING_THERE | next attempt | USED_UP |
/// | USED_UP               | -    | COMPENSATED | NOTHING_THERE | counted      | -       |
/// | COMPENSATED           | -    | counted     | counted       | counted      | -       |
/// | NOTHING_THERE         | -    | COMPENSATED | counted       | counted      | -       |
/// | NO, LISTED            | -    | counted     | counted       | counted      | -       |
///
/// LISTED has had no command unless it was listed again; an answer to the earlier one says nothing of the later success.
pub fn next_undo(is: &Undo, news: UndoNews) -> UndoChange {
    use UndoChange::{Became, ClockBegins, Counted, NextAttempt};
    match (is, news) {
        (Undo::Decided | Undo::Sent, UndoNews::Sent) => ClockBegins,
        (Undo::Decided | Undo::Sent, UndoNews::Failed) => NextAttempt,
        (Undo::Decided | Undo::Sent, UndoNews::UsedUp) => Became(Undo::UsedUp),
        (Undo::Decided | Undo::Sent | Undo::UsedUp | Undo::NothingThere, UndoNews::Compensated(result)) => {
            Became(Undo::Compensated { result })
        }
        (Undo::Decided | Undo::Sent | Undo::UsedUp, UndoNews::NothingThere) => Became(Undo::NothingThere),
        (Undo::UsedUp, UndoNews::Sent | UndoNews::Failed | UndoNews::UsedUp)
        | (Undo::NothingThere, UndoNews::Sent | UndoNews::NothingThere | UndoNews::Failed | UndoNews::UsedUp)
        | (Undo::No | Undo::Listed | Undo::Compensated { .. }, _) => Counted,
    }
}
