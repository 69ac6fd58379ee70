//! The gate before a participant, and before a definition's sagas or all of them: whether one more command may go. Pure. `gates.rs` keeps it.
//!
//! | is \ comes | a command is wanted                        | no answer          | `outage`      | another answer | the wait is over | pause  | resume  |
//! |------------|--------------------------------------------|--------------------|---------------|----------------|------------------|--------|---------|
//! | CLOSED     | in turn, within limits: it goes            | 5 in a row: OPEN   | OPEN          | count = 0      | the queue moves  | PAUSED | -       |
//! | OPEN       | one goes, if the wait is over; wait doubles | -                 | wait as asked | CLOSED         | one may go       | PAUSED | -       |
//! | PAUSED     | it waits                                   | as without a pause | as without    | as without     | -                | -      | as before |
//!
//! CLOSED and OPEN are a circuit's words: closed is well. While OPEN or PAUSED, no attempt is used up: neither by waiting nor by silence.
//! `Failed` is an answer: who says it is there, and the attempt is used up; else a command that can't succeed would close the door for all
//! others. Only who says `outage` with it speaks for all commands (docs/adr/0008-outage-answer.md). Whoever waits is called in order, so many
//! at once, also after hours: nobody is flooded. Commands stand in one line, questions about facts in another; both are called in turn.

use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Millis, wire_enum, wire_struct};

use crate::limits::GateLimits;

/// Attempts in a row that bring no answer, before the participant counts as down.
pub const MISSES: u32 = 5;
/// Between the first two commands that try whether it is back, milliseconds.
pub const FIRST_WAIT: Millis = 1_000;
/// Longest such wait.
pub const LAST_WAIT: Millis = 60_000;
/// Longest wait that a participant's own word may ask for, milliseconds: an hour. A wrong word must not close a door for days.
pub const LONGEST_WISH: Millis = 3_600_000;

wire_struct! {
    /// What stands before a participant, a definition's sagas, or all sagas.
    pub struct Gate {
        /// A person holds it.
        pub paused: Option<Paused>,
        /// The last word of a person; a lower one is old.
        pub word: Option<Word>,
        /// Whether the participant answers.
        pub circuit: Circuit,
        /// What its contract allows.
        pub limits: GateLimits,
        /// Commands without an answer, of sagas whose contract limits them.
        pub in_flight: u32,
        /// What may go at once by the rate, in parts of a command: `GateLimits::one` of them are one.
        pub bucket: i64,
        /// Log time up to which the bucket is filled.
        pub filled_at: Millis,
        /// Sagas that wait before it.
        pub held: u32,
        /// Questions about facts that wait before it.
        pub asking: u32,
        /// The last that was let in was a question: if both wait, a command is next.
        pub asked_last: bool,
        /// Log time when it is looked at again; none: somebody else will see to it.
        pub due: Option<Millis>,
        /// Who tried last whether the participant is back: its place in the queue. The next one is another's turn, for a command that
        /// can't succeed must not be the only one that tries.
        pub tried: Bytes,
    }
}

wire_struct! {
    /// A person holds it.
    pub struct Paused {
        /// Log time.
        pub since: Millis,
        /// Who.
        pub by: String,
        /// Why.
        pub reason: String,
    }
}

wire_struct! {
    /// A person's word. The highest wins, in every partition alike.
    #[derive(PartialOrd, Ord)]
    pub struct Word {
        /// Chosen by who asks.
        pub version: i64,
        /// Whether it is to be held.
        pub pause: bool,
        /// Who.
        pub by: String,
        /// Why.
        pub reason: String,
    }
}

wire_enum! {
    /// Whether a participant answers.
    #[derive(Copy)]
    pub enum Circuit {
        /// It does.
        Closed {
            /// Attempts in a row that brought no answer.
            misses: u32,
        },
        /// It does not.
        Open {
            /// Log time.
            since: Millis,
            /// The next command may try from then on.
            next: Millis,
            /// How long the one after that waits.
            wait: Millis,
        },
    }
}

/// Who wants a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A saga, for its commands.
    Command,
    /// A saga, for a question about a fact.
    Question,
}

/// What an attempt's fate changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    Same,
    /// It counts as down from now on.
    Opened,
    /// It is back; it was down since then.
    Closed {
        /// Log time.
        since: Millis,
    },
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            paused: None,
            word: None,
            circuit: Circuit::Closed { misses: 0 },
            limits: GateLimits::default(),
            in_flight: 0,
            bucket: 0,
            filled_at: 0,
            held: 0,
            asking: 0,
            asked_last: false,
            due: None,
            tried: Bytes::default(),
        }
    }
}

impl Gate {
    /// Takes a seat for one more command or question. `called`: it is its turn; others wait behind those who wait already.
    pub fn admit(&mut self, now: Millis, called: bool) -> bool {
        if !self.would_admit(now) || (self.is_awaited() && !called) {
            return false;
        }
        if let Circuit::Open { next, wait, .. } = &mut self.circuit {
            (*next, *wait) = (now.saturating_add(*wait), wait.saturating_mul(2).min(LAST_WAIT));
        }
        if self.limits.rate.is_some() {
            // A try while it is down goes whatever the bucket holds, and leaves no debt for when it is back.
            self.bucket = (self.filled(now) - self.limits.one()).max(0);
            self.filled_at = now;
        }
        if self.limits.in_flight.is_some() {
            self.in_flight += 1;
        }
        true
    }

    /// Whether a command of whoever's turn it is would go.
    pub fn would_admit(&self, now: Millis) -> bool {
        let open = match self.circuit {
            // What is in flight is never answered: it takes no seats that count.
            Circuit::Open { next, .. } => return self.paused.is_none() && now >= next,
            Circuit::Closed { .. } => self.paused.is_none(),
        };
        open && self.limits.in_flight.is_none_or(|most| self.in_flight < most.max(1))
            && self.filled(now) >= self.limits.one()
    }

    /// Whether anybody waits before it.
    pub fn is_awaited(&self) -> bool {
        self.held > 0 || self.asking > 0
    }

    /// Who is called next, if both wait.
    pub fn next_caller(&self) -> Caller {
        if self.asked_last { Caller::Command } else { Caller::Question }
    }

    /// Somebody waits from now on.
    pub fn joins(&mut self, caller: Caller) {
        *self.line(caller) += 1;
    }

    /// Somebody waits no longer.
    pub fn leaves_line(&mut self, caller: Caller) {
        let line = self.line(caller);
        *line = line.saturating_sub(1);
    }

    fn line(&mut self, caller: Caller) -> &mut u32 {
        match caller {
            Caller::Command => &mut self.held,
            Caller::Question => &mut self.asking,
        }
    }

    /// Whether the participant is known not to answer: by itself, or by a person's word.
    pub fn is_down(&self) -> bool {
        self.paused.is_some() || matches!(self.circuit, Circuit::Open { .. })
    }

    /// It says itself that nobody can be served, and before when nobody need ask again.
    pub fn is_out(&mut self, now: Millis, retry_after: Millis) -> Change {
        let change = match self.circuit {
            Circuit::Closed { .. } => {
                self.open(now);
                Change::Opened
            }
            Circuit::Open { .. } => Change::Same,
        };
        if let Circuit::Open { next, .. } = &mut self.circuit {
            *next = (*next).max(now.saturating_add(retry_after.clamp(0, LONGEST_WISH)));
        }
        change
    }

    fn open(&mut self, now: Millis) {
        self.circuit = Circuit::Open { since: now, next: now.saturating_add(FIRST_WAIT), wait: FIRST_WAIT * 2 };
    }

    /// An attempt brought no answer.
    pub fn missed(&mut self, now: Millis) -> Change {
        let Circuit::Closed { misses } = &mut self.circuit else { return Change::Same };
        *misses += 1;
        if *misses < MISSES {
            return Change::Same;
        }
        self.open(now);
        Change::Opened
    }

    /// It has answered.
    pub fn answered(&mut self) -> Change {
        self.tried = Bytes::default();
        match std::mem::replace(&mut self.circuit, Circuit::Closed { misses: 0 }) {
            Circuit::Closed { .. } => Change::Same,
            Circuit::Open { since, .. } => Change::Closed { since },
        }
    }

    /// An attempt has its answer, or none in time: its seat is free.
    pub fn leave(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// A person's word. Whether it is news.
    pub fn hear(&mut self, word: Word, now: Millis) -> bool {
        if self.word.as_ref().is_some_and(|known| word <= *known) {
            return false;
        }
        let since = self.paused.as_ref().map_or(now, |paused| paused.since);
        self.paused = word.pause.then(|| Paused { since, by: word.by.clone(), reason: word.reason.clone() });
        self.word = Some(word);
        true
    }

    /// When those who wait are to be called; none: nobody waits, or an answer or a person must come first.
    pub fn next_call(&self, now: Millis) -> Option<Millis> {
        if !self.is_awaited() || self.paused.is_some() {
            return None;
        }
        let soon = now.saturating_add(1);
        match self.circuit {
            Circuit::Open { next, .. } => Some(next.max(soon)),
            Circuit::Closed { .. } if self.limits.in_flight.is_some_and(|most| self.in_flight >= most.max(1)) => None,
            Circuit::Closed { .. } => Some(soon.max(now.saturating_add(self.limits.missing(self.filled(now))))),
        }
    }

    /// Whether it says no more than one that was never there.
    pub fn is_idle(&self) -> bool {
        let Self { limits, bucket, filled_at, asked_last, .. } = *self;
        let silent = Self { limits, bucket, filled_at, asked_last, ..Self::default() };
        *self == silent && self.limits.rate.is_none()
    }

    fn filled(&self, now: Millis) -> i64 {
        self.limits.filled(self.bucket, now.saturating_sub(self.filled_at))
    }
}

#[cfg(test)]
mod tests {
    //! The table, cell by cell.

    use super::*;
    use crate::limits::LATE;

    const HOUR: Millis = 3_600_000;

    fn down(now: Millis) -> Gate {
        let mut gate = Gate::default();
        for miss in 1..=MISSES {
            assert_eq!(gate.missed(now) == Change::Opened, miss == MISSES);
        }
        gate
    }

    fn limited(in_flight: Option<u32>, rate: Option<u32>) -> Gate {
        shared(in_flight, rate, 0, 1)
    }

    fn shared(in_flight: Option<u32>, rate: Option<u32>, partition: u32, among: u32) -> Gate {
        Gate { limits: GateLimits::share(in_flight, rate, partition, among), ..Gate::default() }
    }

    #[test]
    fn an_answer_begins_the_count_anew() {
        let mut gate = Gate::default();
        for _ in 0..MISSES - 1 {
            assert_eq!(gate.missed(0), Change::Same);
        }
        assert_eq!(gate.answered(), Change::Same);
        assert_eq!(gate.missed(0), Change::Same);
        assert!(gate.admit(0, false));
    }

    #[test]
    fn one_command_tries_at_a_time_and_ever_more_seldom() {
        let mut gate = down(0);
        assert!(gate.is_down());
        let mut tried = Vec::new();
        for now in 0..200_000 {
            if gate.admit(now, false) {
                tried.push(now);
            }
        }
        assert_eq!(tried, [1_000, 3_000, 7_000, 15_000, 31_000, 63_000, 123_000, 183_000]);
    }

    #[test]
    fn tries_during_an_outage_are_not_owed_afterwards() {
        let mut gate = Gate { limits: GateLimits::share(None, Some(1), 0, 100), held: 1, ..down(0) };
        let tries = (0..HOUR).filter(|now| gate.admit(*now, true)).count();
        assert!(tries > 50, "{tries}");
        gate.answered();
        assert!(gate.next_call(HOUR).is_some_and(|next| next <= HOUR + 100_000), "a hundredth of a command a second");
    }

    #[test]
    fn it_is_back_with_the_first_answer_and_says_since_when_it_was_down() {
        let mut gate = down(7);
        assert_eq!(gate.missed(8), Change::Same);
        assert_eq!(gate.answered(), Change::Closed { since: 7 });
        assert!(gate.admit(9, false));
    }

    #[test]
    fn one_word_of_an_outage_opens_and_any_other_closes() {
        let mut gate = Gate::default();
        assert_eq!(gate.is_out(0, 0), Change::Opened);
        assert!(gate.is_down() && !gate.admit(999, false));
        assert!(gate.admit(1_000, false));
        assert_eq!(gate.is_out(1_000, 0), Change::Same, "it is still out, and the wait has doubled");
        assert!(!gate.admit(2_999, false) && gate.admit(3_000, false));
        assert_eq!(gate.answered(), Change::Closed { since: 0 });
        assert!(gate.admit(3_000, false));
    }

    #[test]
    fn who_is_out_may_ask_for_a_longer_wait_but_not_for_days() {
        let first_try = |retry_after| {
            let mut gate = Gate { held: 1, ..Gate::default() };
            gate.is_out(0, retry_after);
            gate.next_call(0)
        };
        assert_eq!([-5, 10, 300_000, i64::MAX].map(first_try), [1_000, 1_000, 300_000, LONGEST_WISH].map(Some));
    }

    #[test]
    fn who_comes_later_waits_behind_those_who_wait() {
        let mut gate = Gate { held: 1, ..Gate::default() };
        assert!(!gate.admit(0, false));
        assert!(gate.admit(0, true));
        assert_eq!(gate.next_call(5), Some(6));
    }

    #[test]
    fn so_many_in_flight() {
        let mut gate = limited(Some(2), None);
        assert!(gate.admit(0, false) && gate.admit(0, false) && !gate.admit(0, false));
        gate.held = 1;
        assert_eq!(gate.next_call(0), None, "an answer calls the next");
        gate.leave();
        assert!(gate.would_admit(0));
    }

    #[test]
    fn so_many_a_second_by_log_time() {
        let mut gate = limited(None, Some(4));
        let mut went = |now| (0..100).filter(|_| gate.admit(now, true)).count();
        assert_eq!([went(1_000), went(1_000), went(1_250), went(1_600), went(9_000_000)], [4, 0, 1, 1, 4]);
        gate.held = 3;
        assert_eq!(gate.next_call(9_000_000), Some(9_000_250));
    }

    #[test]
    fn shares_of_a_rate_add_up_to_the_whole_to_the_last_command() {
        for (rate, among) in [(50, 16), (7, 3), (1, 16), (3, 7)] {
            let went = (0..among).map(|partition| {
                let mut gate = shared(None, Some(rate), partition, among);
                (1..=336_000).filter(|now| gate.admit(*now, true)).count()
            });
            assert_eq!(went.sum::<usize>(), rate as usize * 336, "{rate} a second among {among}, 336 seconds");
        }
    }

    #[test]
    fn who_has_less_than_one_a_second_saves_up_for_one_and_no_more() {
        let mut gate = shared(None, Some(1), 3, 16);
        assert!(gate.admit(HOUR, true) && !gate.admit(HOUR, true));
        gate.held = 1;
        assert_eq!(gate.next_call(HOUR), Some(HOUR + 16_000 - LATE));
        assert!(!gate.admit(HOUR + 15_899, true) && gate.admit(HOUR + 15_900, true));
        assert!(gate.admit(i64::MAX, true) && !gate.admit(i64::MAX, true));
    }

    #[test]
    fn who_is_not_limited_takes_nothing_of_the_rate() {
        let mut gate = shared(None, Some(2), 0, 4);
        let limits = std::mem::take(&mut gate.limits);
        assert!((0..100).all(|_| gate.admit(1_000, true)));
        gate.limits = limits;
        assert!(gate.admit(2_000, true) && !gate.admit(2_000, true), "half a command a second: one in two");
    }

    #[test]
    fn the_highest_word_wins_in_whatever_order_they_come() {
        let word = |version, pause| Word { version, pause, by: "ada".to_owned(), reason: "work".to_owned() };
        let words = [word(1, true), word(3, false), word(2, true), word(4, true)];
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 3, 0, 1]] {
            let mut gate = Gate::default();
            order.iter().for_each(|at| {
                gate.hear(words[*at].clone(), 10);
            });
            assert!(gate.paused.is_some() && !gate.admit(20, true) && gate.next_call(20).is_none());
            assert!(gate.hear(word(5, false), 30));
            assert!(gate.admit(40, true));
        }
    }
}
