//! What changes a gate from outside a turn: a participant that answers or does not, and people's words. What people are told of it.

use sagaline_schemas::Millis;
use sagaline_schemas::output::{Notice, NoticeBody, ParkedReason, ParticipantEvent, ParticipantEventKind};
use sagaline_schemas::proof::write_single_object;
use sagaline_schemas::record::{Broadcast, BroadcastKind, Failed, MessageBody};
use sagaline_schemas::schema;
use sagaline_schemas::settings::Events;

use crate::fold::Partition;
use crate::gate::{Change, Circuit, Paused, Word};
use crate::gates::subject_of;
use crate::halt::Halt;
use crate::outbox::EVENTS;
use crate::reply::Unfit;

impl Partition {
    /// An attempt brought nothing that its participant has said.
    pub(crate) fn no_answer(&mut self, participant: &str) -> Result<(), Halt> {
        let (subject, now) = (subject_of(participant), self.now());
        let change = self.gates.entry(subject.clone()).or_default().missed(now);
        self.keep_gate(&subject);
        match change {
            Change::Opened => {
                let reason = "it answered none of its last attempts".to_owned();
                self.tell_outage(participant, ParticipantEventKind::CircuitOpened, now, reason)
            }
            Change::Same | Change::Closed { .. } => Ok(()),
        }
    }

    /// A participant has said itself that nobody can be served.
    pub(crate) fn says_it_is_out(&mut self, participant: &str, said: &Failed) -> Result<(), Halt> {
        let (subject, now) = (subject_of(participant), self.now());
        let change = self.gates.entry(subject.clone()).or_default().is_out(now, said.retry_after.unwrap_or(0));
        self.keep_gate(&subject);
        match change {
            Change::Opened => {
                self.tell_outage(participant, ParticipantEventKind::CircuitOpened, now, said.error.clone())
            }
            Change::Same | Change::Closed { .. } => Ok(()),
        }
    }

    /// A participant has said something.
    pub(crate) fn an_answer(&mut self, participant: &str) -> Result<(), Halt> {
        if self.gates.is_empty() {
            return Ok(());
        }
        let subject = subject_of(participant);
        let Some(gate) = self.gates.get_mut(&subject) else { return Ok(()) };
        if gate.circuit == (Circuit::Closed { misses: 0 }) {
            return Ok(());
        }
        let change = gate.answered();
        self.keep_gate(&subject);
        match change {
            Change::Closed { since } => {
                let reason = "it answers".to_owned();
                self.tell_outage(participant, ParticipantEventKind::CircuitClosed, since, reason)
            }
            Change::Same | Change::Opened => Ok(()),
        }
    }

    /// A person holds a scope, or lets it go: here, and by message in every other partition.
    pub(crate) fn pause_or_resume(&mut self, subject: &str, word: Word) -> Result<Result<(), String>, Halt> {
        if let Err(why) = check_subject(subject) {
            return Ok(Err(why));
        }
        if self.gates.get(subject).is_some_and(|gate| gate.word.as_ref() == Some(&word)) {
            // Another partition has passed it on already.
            return Ok(Ok(()));
        }
        if !self.hear(subject, word.clone())? {
            let known = self.gates.get(subject).and_then(|gate| gate.word.as_ref()).map_or(0, |word| word.version);
            return Ok(Err(format!("version {known} is known: give a higher one")));
        }
        let kind = if word.pause { BroadcastKind::Pause } else { BroadcastKind::Resume };
        let Word { version, by, reason, .. } = word;
        let broadcast = Broadcast { subject: subject.to_owned(), kind, version, by, reason };
        let own = self.number;
        for to in (0..self.begun().partitions).filter(|to| *to != own) {
            self.post(to, MessageBody::Broadcast(broadcast.clone()))?;
        }
        Ok(Ok(()))
    }

    pub(crate) fn broadcast_heard(&mut self, broadcast: Broadcast) -> Result<Result<(), Unfit>, Halt> {
        let Broadcast { subject, kind, version, by, reason } = broadcast;
        let pause = match kind {
            BroadcastKind::Pause => true,
            BroadcastKind::Resume => false,
            BroadcastKind::CircuitOpen | BroadcastKind::CircuitClosed | BroadcastKind::Retire => {
                let detail = format!("{kind:?} is no matter between partitions in this version");
                return Ok(Err((ParkedReason::Refused, detail)));
            }
        };
        if let Err(why) = check_subject(&subject) {
            return Ok(Err((ParkedReason::Refused, why)));
        }
        self.hear(&subject, Word { version, pause, by, reason })?;
        Ok(Ok(()))
    }

    fn hear(&mut self, subject: &str, word: Word) -> Result<bool, Halt> {
        let now = self.told_time();
        let gate = self.gates.entry(subject.to_owned()).or_default();
        let before = gate.paused.as_ref().map(|paused| paused.since);
        let reason = word.reason.clone();
        if !gate.hear(word, now) {
            return Ok(false);
        }
        let after = gate.paused.as_ref().map(|Paused { since, .. }| *since);
        self.keep_gate(subject);
        let told = match (before, after) {
            (None, Some(since)) => Some((ParticipantEventKind::Paused, since)),
            (Some(since), None) => Some((ParticipantEventKind::Resumed, since)),
            (None, None) | (Some(_), Some(_)) => None,
        };
        if let (Some((kind, since)), Some(participant)) = (told, subject.strip_prefix("participant/")) {
            self.tell_outage(participant, kind, since, reason)?;
        }
        Ok(true)
    }

    fn tell_outage(
        &mut self,
        participant: &str,
        kind: ParticipantEventKind,
        since: Millis,
        reason: String,
    ) -> Result<(), Halt> {
        if self.begun().settings.events < Events::Ends {
            return Ok(());
        }
        let held = self.gates.get(&subject_of(participant)).map_or(0, |gate| i64::from(gate.held));
        let (participant, owner) = (participant.to_owned(), self.owner_of(participant)?);
        let event = ParticipantEvent { participant, owner, kind, since, held, reason };
        let id = self.next_output_id();
        let (time, partition, offset) = (self.told_time(), self.number, self.at.offset);
        let notice = Notice { id, time, partition, offset, body: NoticeBody::Participant(event) };
        let value = write_single_object(schema::EVENT.fingerprint, &notice);
        self.output(EVENTS, *id.as_bytes(), &[], None, value, None)?;
        Ok(())
    }
}

fn check_subject(subject: &str) -> Result<(), String> {
    let named = |kind: &str| subject.strip_prefix(kind).is_some_and(|name| !name.is_empty());
    match subject == "all" || named("participant/") || named("definition/") {
        true => Ok(()),
        false => Err(format!("{subject:?} is no scope: write participant/NAME, definition/NAME or all")),
    }
}
