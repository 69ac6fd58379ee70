//! Effects: things wanted of the world, over all their attempts, with their own undoing.

use sagaline_schemas::record::Kind;
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Millis, Offset, SagaId, wire_enum, wire_struct};

use super::Spot;
use crate::ledger::{Outcome, Undo};

wire_struct! {
    /// One thing wanted of the world, over all its attempts, with its own undoing.
    pub struct Effect {
        /// The step's number.
        pub step: u32,
        /// Indices of the items; empty outside `for_each`.
        pub items: Vec<u32>,
        /// How often the place was begun anew before.
        pub round: u32,
        /// Offset of the input by which it was decided.
        pub decided: Offset,
        /// Log time then: what the command carries as `decided`.
        pub decided_at: Millis,
        /// The item that it is for, canonical JSON, where its step goes through a list: the list may be another one when it is undone.
        pub item: Option<Bytes>,
        /// Its input, canonical JSON, the same for every attempt.
        pub input: Bytes,
        /// What became of it.
        pub outcome: Outcome,
        /// How that is known.
        pub known: KnownBy,
        /// Attempts at doing it.
        pub tries: Tries,
        /// What becomes of it when the saga goes back.
        pub undo: Undo,
        /// The compensation's own input, canonical JSON, once it is decided; none: the effect's.
        pub undo_input: Option<Bytes>,
        /// Attempts at undoing it.
        pub undo_tries: Tries,
        /// Attempts at finding out whether it happened, or how it stands.
        pub probe_tries: Tries,
        /// What is being probed for.
        pub probing: Probing,
        /// What the last probe found, canonical JSON.
        pub probed: Option<Bytes>,
        /// The child saga, where the effect is one and it has said so.
        pub child: Option<SagaId>,
        /// The child saga's correlation id, where the effect is one.
        pub child_key: Option<String>,
        /// Answers that decided nothing: repeats, marks, late failures.
        pub repeats: u32,
    }
}

wire_enum! {
    /// How an outcome is known.
    pub enum KnownBy {
        /// A participant's reply, or nobody yet.
        Reply,
        /// A probe.
        Probe,
        /// A person has found out.
        Person {
            /// Who.
            by: String,
            /// Why they think so.
            reason: String,
            /// Where the proof lies.
            evidence: String,
        },
    }
}

wire_enum! {
    /// What a probe is for.
    #[derive(Copy)]
    pub enum Probing {
        /// None is under way.
        No,
        /// All attempts are used up: did it happen?
        Outcome,
        /// Before an end: how does it stand?
        Ensure,
    }
}

wire_struct! {
    /// Attempts of one kind at one effect.
    #[derive(Default)]
    pub struct Tries {
        /// Commands decided; the newest attempt's number.
        pub count: u32,
        /// Attempts that do not count against the policy: those before a person's retry, those that an outage took.
        pub forgiven: u32,
        /// Log time of the first command: what commands carry as `first`.
        pub first: Millis,
        /// When the first attempt's clock began that counts since the newest rest; none: the total time stands still.
        pub begun: Option<Millis>,
        /// Total time used up before that.
        pub spent: Millis,
        /// The next attempt is due, and waits: for the saga to decide, the guard to hold, the participant to be there.
        pub resting: bool,
    }
}

impl Tries {
    /// An attempt's clock begins, and the total time runs on from where it stood still. Gives the total time's beginning.
    pub fn begin(&mut self, base: Millis) -> Millis {
        self.begun.get_or_insert(base).saturating_sub(self.spent)
    }

    /// The next attempt waits for something that is not its participant's fault.
    pub fn rest(&mut self, now: Millis) {
        self.resting = true;
        self.spent = self.used(now);
        self.begun = None;
    }

    /// The total time used up by now.
    pub fn used(&self, now: Millis) -> Millis {
        self.spent.saturating_add(self.begun.map_or(0, |begun| now.saturating_sub(begun).max(0)))
    }

    /// The newest attempt counts for nothing, nor does its time: it is due again.
    pub fn give_back(&mut self) {
        self.forgiven += 1;
        self.begun = None;
        self.resting = true;
    }

    /// A full set of attempts, with all their time.
    pub fn renew(&mut self) {
        self.forgiven = self.count;
        self.begun = None;
        self.spent = 0;
    }
}

impl Effect {
    /// Whether it may stand in the world: a command for it was decided, and no refusal is recorded.
    pub fn may_stand(&self) -> bool {
        self.tries.count > 0 && self.outcome.may_stand()
    }

    /// Its place and round.
    pub fn spot(&self) -> Spot {
        Spot { step: self.step, items: self.items.clone(), round: self.round }
    }

    /// Attempts of one kind; none for a kind that effects do not have.
    pub fn tries(&self, kind: Kind) -> Option<&Tries> {
        match kind {
            Kind::Do => Some(&self.tries),
            Kind::Compensate => Some(&self.undo_tries),
            Kind::Probe => Some(&self.probe_tries),
            Kind::Ask => None,
        }
    }

    /// The input of a command of this kind.
    pub fn input(&self, kind: Kind) -> &Bytes {
        match (kind, &self.undo_input) {
            (Kind::Compensate, Some(own)) => own,
            (Kind::Do | Kind::Compensate | Kind::Probe | Kind::Ask, _) => &self.input,
        }
    }
}
