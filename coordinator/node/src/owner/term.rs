//! Who publishes. Following -> Claiming -> Live; back to Following when two turns lie too far apart, when a newer claim is folded, or while
//! this node's clock and the broker's disagree: then claims go on, ever more slowly, and the first that lets time pass goes live.
//! Claims fence nobody: outputs are a function of the log, so two who publish at once cost duplicates and nothing else (design section 4).

use std::time::Duration;

use sagaline_log::LogError;
use sagaline_schemas::record::{Acked, Body, Progress};
use sagaline_schemas::{Millis, Offset};

use super::{OWN_LANE, Owner};
use crate::owner::pace::Pace;
use crate::owner::publisher::Publisher;
use crate::owner::run::Tools;
use crate::owner::stop::Stop;
use crate::window::ticket;
use crate::{BootTime, fail_point, sealed};

const FIRST_BACKOFF: Duration = Duration::from_millis(500);
const LAST_BACKOFF: Duration = Duration::from_secs(30);
/// Who has had the word for so long may ask for it at once when it is lost.
const SETTLED: Duration = Duration::from_secs(60);
/// Own Progresses in a row whose two clocks disagree, before a live owner falls silent. A claim must not be one.
const MAX_CLOCK_FAULTS: u32 = 2;

/// What a node is to do with a partition: the group of coordinators says so, and may say otherwise at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Claims, and publishes.
    Owner,
    /// Folds along: its state is the owner's, a moment later. It has the word as soon as the group gives it.
    Standby,
}

/// Where an owner stands.
pub enum Term {
    /// It folds, and publishes nothing. In the role of the owner it claims once it has reached the log's end, not before `claim_at`.
    Following { claim_at: BootTime },
    /// Its claim is appended; it folds up to that.
    Claiming,
    /// Its claim is the newest that it has folded: it publishes. What was decided before it went live not until a Progress of this claim is folded:
    /// from then on every node knows that it has folded so far, and no input before is passed over any more (docs/adr/0015).
    Live { claim: Offset, since: BootTime, publisher: Publisher, pace: Pace, vouched: bool },
}

/// The owner's own records: at most one at a time is not folded yet.
#[derive(Debug, Default)]
pub struct Own {
    /// Number of the next.
    next: u64,
    pending: Option<Pending>,
    /// Times that the word was lost or not got since it was last held for long.
    setbacks: u32,
    /// Why the last one did not get into the log.
    pub(super) trouble: Option<String>,
}

#[derive(Debug)]
struct Pending {
    number: u64,
    offset: Option<Offset>,
    wall: Millis,
    acked: Vec<Acked>,
}

impl Owner {
    /// Publishes no more: cursors are dropped, what is queued is not sent, answers are not waited for.
    pub(super) fn fall_silent(&mut self, now: BootTime) {
        if let Term::Live { publisher, .. } = &self.term {
            self.next_lane = publisher.lanes_end();
        }
        self.producer.purge();
        self.own.pending = None;
        let wait = FIRST_BACKOFF.saturating_mul(1 << self.own.setbacks.min(10)).min(LAST_BACKOFF);
        self.own.setbacks += 1;
        self.term = Term::Following { claim_at: now.saturating_add(wait) };
    }

    /// What the group says. Who stands by falls silent at once; who is to own it claims at once.
    pub fn take_role(&mut self, role: Role, now: BootTime) {
        if std::mem::replace(&mut self.role, role) == role {
            return;
        }
        // Who slept says so, whether its own clock or the group tells it first.
        self.notice_gap(now, self.log.wall_clock());
        tracing::info!(partition = self.options.partition, ?role, "the group's decision");
        match (role, &mut self.term) {
            (Role::Standby, Term::Claiming | Term::Live { .. }) => self.fall_silent(now),
            (Role::Owner, Term::Following { claim_at }) => (*claim_at, self.given) = (now, Some(now)),
            (Role::Standby, Term::Following { .. }) | (Role::Owner, Term::Claiming | Term::Live { .. }) => {}
        }
        self.own.setbacks = 0;
    }

    /// Folding a newer claim than one's own is losing the word; folding one's own is getting it.
    pub(super) fn heed_claims(&mut self, now: BootTime) -> Result<(), Stop> {
        let newest = self.partition.meta().and_then(|meta| meta.newest_claim);
        match &self.term {
            Term::Following { .. } => {
                self.partition.take_published();
            }
            Term::Claiming => {
                self.partition.take_published();
                let Some(claim) = self.own.pending.as_ref().and_then(|pending| pending.offset) else { return Ok(()) };
                if self.partition.next() > claim {
                    self.own_folded()?;
                    let may = newest == Some(claim) && self.clock_faults == 0;
                    if may { self.go_live(claim, now)? } else { self.fall_silent(now) }
                }
            }
            Term::Live { claim, .. } if newest > Some(*claim) => {
                tracing::info!(partition = self.options.partition, "silent: another node has claimed the partition");
                self.fall_silent(now);
            }
            Term::Live { since, .. } => {
                if now.saturating_sub(*since) > SETTLED {
                    self.own.setbacks = 0;
                }
                let folded = self.own.pending.as_ref().and_then(|pending| pending.offset);
                if folded.is_some_and(|offset| self.partition.next() > offset) {
                    self.own_folded()?;
                    if let Term::Live { vouched, .. } = &mut self.term {
                        *vouched = true;
                    }
                    fail_point::pass(fail_point::AFTER_PROGRESS);
                    if self.clock_faults >= MAX_CLOCK_FAULTS {
                        self.fall_silent(now);
                    }
                }
            }
        }
        Ok(())
    }

    fn go_live(&mut self, claim: Offset, now: BootTime) -> Result<(), Stop> {
        tracing::info!(partition = self.options.partition, claim, "live");
        let publisher = Publisher::begin(self.options.names.clone(), &self.partition, self.next_lane)?;
        let vouched = self.partition.channels().values().all(|channel| channel.length == 0);
        self.term = Term::Live { claim, since: now, publisher, pace: Pace::default(), vouched };
        if vouched {
            self.tell_taken(now);
        }
        Ok(())
    }

    /// From the group's decision until what its last owner left is being published, or nothing was left.
    fn tell_taken(&mut self, now: BootTime) {
        if let Some(given) = self.given.take() {
            let took_ms = now.saturating_sub(given).as_millis() as u64;
            tracing::info!(partition = self.options.partition, took_ms, "taken over");
        }
    }

    /// What the term asks for now. Whether anything was appended.
    pub(super) fn act(&mut self, now: BootTime, wall: Millis) -> Result<bool, Stop> {
        match &mut self.term {
            Term::Following { claim_at } => {
                let may = self.role == Role::Owner
                    && now >= *claim_at
                    && self.seeking.is_none()
                    && self.backlog.is_empty()
                    && self.partition.meta().is_some()
                    && self.position_read() >= self.log_end;
                if may {
                    self.claim(now, wall);
                }
                Ok(may)
            }
            Term::Claiming => Ok(false),
            Term::Live { claim, publisher, pace, vouched: false, .. } => {
                publisher.offer(self.partition.take_published());
                let may = self.own.pending.is_none() && pace.may_report(now);
                if may {
                    pace.appended(now);
                    let claim = *claim;
                    self.append_own(Some(claim), Vec::new(), now, wall);
                }
                Ok(may)
            }
            Term::Live { publisher, .. } => {
                let before = self.producer.in_flight();
                publisher.offer(self.partition.take_published());
                let (partition, log, producer) = (&self.partition, &*self.log, self.producer.as_mut());
                let (source, node) = (&self.source, &self.options.node);
                publisher.pump(&mut Tools { source, node, partition, log, producer, now, wall })?;
                let published = self.producer.in_flight() > before;
                if published {
                    self.tell_taken(now);
                }
                self.report(now, wall)?;
                Ok(self.producer.in_flight() > before)
            }
        }
    }

    /// Behind what is folded there may be markers of somebody's transactions: they are nobody's to fold before a record follows.
    fn position_read(&self) -> Offset {
        let folded = self.partition.next();
        if folded >= self.log_end { folded } else { folded.max(self.reader.position().unwrap_or(folded)) }
    }

    fn claim(&mut self, now: BootTime, wall: Millis) {
        self.term = Term::Claiming;
        self.append_own(None, Vec::new(), now, wall);
    }

    /// Progress, when acknowledgements have moved, durations wait, or a timer is due.
    fn report(&mut self, now: BootTime, wall: Millis) -> Result<(), Stop> {
        let Term::Live { claim, publisher, pace, .. } = &mut self.term else { return Ok(()) };
        if self.own.pending.is_some() || !pace.may_fire(now) && !pace.may_report(now) {
            return Ok(());
        }
        let due = self.partition.next_due()?.is_some_and(|due| due <= wall);
        let needed = due && pace.may_fire(now)
            || pace.may_report(now) && (publisher.has_news() || !due && self.partition.needs_time(wall)?);
        if needed {
            pace.appended(now);
            let (claim, news) = (*claim, publisher.news());
            self.append_own(Some(claim), news, now, wall);
        }
        Ok(())
    }

    fn append_own(&mut self, since: Option<Offset>, acked: Vec<Acked>, now: BootTime, wall: Millis) {
        let Some(meta) = self.partition.meta() else { return };
        let progress = Progress { wall, since, acked: acked.clone(), node: self.options.node.clone() };
        let record = sealed::record(&self.options.key, meta.log_id, self.options.partition, &Body::Progress(progress));
        let number = self.own.next;
        self.own.next += 1;
        self.own.pending = Some(Pending { number, offset: None, wall, acked });
        let appended = self.producer.append(&self.inbox, self.options.partition, &record, ticket(OWN_LANE, number));
        if let Err(error) = appended {
            self.own_answered(number, Err(error), now);
        }
    }

    /// The log says what became of one of the owner's own records.
    pub(super) fn own_answered(&mut self, number: u64, outcome: Result<Offset, LogError>, now: BootTime) {
        let Some(pending) = self.own.pending.as_mut().filter(|pending| pending.number == number) else { return };
        match outcome {
            Ok(offset) => {
                pending.offset = Some(offset);
                self.own.trouble = None;
            }
            Err(error) => {
                // Should it lie in the log all the same: a claim is superseded by the next, a Progress says nothing false.
                self.own.trouble = Some(error.to_string());
                match &mut self.term {
                    Term::Live { pace, .. } => {
                        self.own.pending = None;
                        pace.appended(now);
                        pace.folded(false);
                    }
                    Term::Following { .. } | Term::Claiming => self.fall_silent(now),
                }
            }
        }
    }

    /// The fold has passed the owner's own record: what did it bring?
    fn own_folded(&mut self) -> Result<(), Stop> {
        let Some(pending) = self.own.pending.take() else { return Ok(()) };
        let fault = self.partition.meta().and_then(|meta| meta.clock_fault.clone());
        match fault.filter(|fault| Some(fault.offset) == pending.offset) {
            None => (self.clock_faults, self.apart) = (0, 0),
            Some(fault) => {
                self.clock_faults += 1;
                self.apart = fault.wall.abs_diff(fault.timestamp);
                if self.clock_faults == 1 {
                    tracing::error!(partition = self.options.partition, apart_ms = self.apart, "clocks disagree");
                }
            }
        }
        let still_due = self.partition.next_due()?.is_some_and(|due| due <= pending.wall);
        if let Term::Live { publisher, pace, .. } = &mut self.term {
            publisher.reported(&pending.acked);
            pace.folded(!still_due);
        }
        Ok(())
    }
}
