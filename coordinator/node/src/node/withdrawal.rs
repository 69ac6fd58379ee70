//! A partition that halts for a reason of this node's own would be published for by nobody while the group counts this node. The group shares out partitions,
//! not one by one: so the node leaves it whole, if there is somebody else, and comes back when it is mended, or when nobody has taken over.

use std::time::{Duration, Instant};

use sagaline_schemas::Partition;

use super::Common;
use super::membership::Membership;
use crate::owner::Role;
use crate::owner::stop::Stop;

/// How long the others may take to publish for what this node has left: their session with the group, and a claim.
const TAKE_OVER: Duration = Duration::from_secs(30);
/// How long it stays outside before it asks for its share once more, which may be another one.
const AGAIN: Duration = Duration::from_secs(600);

/// A partition, as this question sees it.
#[derive(Clone, Debug)]
pub struct Sight {
    /// Whether the group has given it to this node.
    pub held: bool,
    /// Why it is halted.
    pub stop: Option<Stop>,
    /// Whether the newest claim is another node's.
    pub claimed_elsewhere: bool,
}

impl Sight {
    fn fails_here(&self) -> bool {
        self.stop.as_ref().is_some_and(Stop::is_this_nodes)
    }
}

/// Whether this node is in the group or outside.
#[derive(Debug, Default)]
pub struct Withdrawal {
    out: Option<Out>,
    /// Nobody took over: it stays for so long, for half of the work is better than none.
    stays_until: Option<Instant>,
}

#[derive(Debug)]
struct Out {
    since: Instant,
    /// Healthy partitions that it had.
    left: Vec<usize>,
}

impl Withdrawal {
    /// Why it is to be outside; none: it is to be a member. One sight for each partition, by number.
    pub fn look(&mut self, sights: &[Sight], now: Instant) -> Option<Stop> {
        let Some(sick) = sights.iter().find(|sight| sight.fails_here()) else {
            *self = Self::default();
            return None;
        };
        match &self.out {
            None => {
                let sick = sights.iter().find(|sight| sight.held && sight.fails_here())?;
                let alone = sights.iter().all(|sight| sight.held);
                if alone || self.stays_until.is_some_and(|until| now < until) {
                    return None;
                }
                let healthy = sights.iter().enumerate().filter(|(_, sight)| sight.held && sight.stop.is_none());
                self.out = Some(Out { since: now, left: healthy.map(|(number, _)| number).collect() });
                sick.stop.clone()
            }
            Some(out) => {
                let outside = now.saturating_duration_since(out.since);
                let nobody = !out.left.is_empty() && !out.left.iter().any(|number| sights[*number].claimed_elsewhere);
                if outside < AGAIN && !(nobody && outside >= TAKE_OVER) {
                    return sick.stop.clone();
                }
                if nobody {
                    tracing::warn!("nobody publishes for what this node has left: it comes back");
                }
                *self = Self { out: None, stays_until: nobody.then(|| now + AGAIN) };
                None
            }
        }
    }
}

impl Common {
    /// How every partition stands, if any has halted for a reason of this node's own; empty: none has.
    pub(super) fn sights(&self, membership: &Membership) -> Vec<Sight> {
        if !self.boards.iter().any(|board| board.stop().is_some_and(|stop| stop.is_this_nodes())) {
            return Vec::new();
        }
        let sight = |number: Partition, stop, claimed_by: String| Sight {
            held: membership.role(number) == Role::Owner,
            stop,
            claimed_elsewhere: claimed_by != self.options.name,
        };
        self.boards.iter().map(|board| sight(board.number, board.stop(), board.claimed_by())).collect()
    }
}

#[cfg(test)]
mod tests {
    use sagaline_log::LogError;
    use sagaline_partition::store::StoreError;

    use super::*;

    fn full() -> Stop {
        Stop::Store(StoreError::Io { place: "data".to_owned(), detail: "No space left on device".to_owned() })
    }

    /// Four partitions, of which this node has the first two.
    fn sights(stop: Option<Stop>) -> Vec<Sight> {
        let healthy = |held| Sight { held, stop: None, claimed_elsewhere: !held };
        vec![Sight { stop, ..healthy(true) }, healthy(true), healthy(false), healthy(false)]
    }

    /// What the others make of a node that has left.
    fn left(mut sights: Vec<Sight>, taken_over: bool) -> Vec<Sight> {
        sights.iter_mut().filter(|sight| sight.held).for_each(|sight| {
            (sight.held, sight.claimed_elsewhere) = (false, taken_over);
        });
        sights
    }

    #[test]
    fn who_cant_fold_what_it_has_leaves_until_it_is_mended() {
        let (mut node, start) = (Withdrawal::default(), Instant::now());
        assert_eq!(node.look(&sights(None), start), None);
        assert_eq!(node.look(&sights(Some(full())), start), Some(full()));
        let outside = left(sights(Some(full())), true);
        assert_eq!(node.look(&outside, start + TAKE_OVER * 3), Some(full()), "the others publish");
        assert_eq!(node.look(&left(sights(None), true), start + TAKE_OVER * 3), None, "it is mended");
    }

    #[test]
    fn what_halts_everywhere_and_what_others_have_is_no_reason_to_leave() {
        let panics =
            Stop::Panicked { partition: 0, offset: 7, timer: 0, panic: "oh".to_owned(), heard: 0, unsaid: None };
        assert_eq!(Withdrawal::default().look(&sights(Some(panics)), Instant::now()), None);
        let mut elsewhere = sights(None);
        elsewhere[2].stop = Some(full());
        assert_eq!(Withdrawal::default().look(&elsewhere, Instant::now()), None, "it does not publish there anyway");
    }

    #[test]
    fn who_is_alone_stays() {
        let mut all = sights(Some(Stop::Log(LogError::NoTopic { topic: "inbox".to_owned() })));
        all.iter_mut().for_each(|sight| sight.held = true);
        assert_eq!(Withdrawal::default().look(&all, Instant::now()), None);
    }

    #[test]
    fn who_is_missed_by_nobody_comes_back_and_stays_for_a_while() {
        let (mut node, start) = (Withdrawal::default(), Instant::now());
        let (inside, outside) = (sights(Some(full())), left(sights(Some(full())), false));
        assert!(node.look(&inside, start).is_some());
        assert!(node.look(&outside, start + TAKE_OVER / 2).is_some());
        assert_eq!(node.look(&outside, start + TAKE_OVER), None);
        assert_eq!(node.look(&inside, start + TAKE_OVER + AGAIN / 2), None, "it has its share again");
        assert!(node.look(&inside, start + TAKE_OVER + AGAIN).is_some(), "somebody may be there by now");
    }

    #[test]
    fn who_is_outside_for_long_asks_for_another_share() {
        let (mut node, start) = (Withdrawal::default(), Instant::now());
        assert!(node.look(&sights(Some(full())), start).is_some());
        let outside = left(sights(Some(full())), true);
        assert_eq!(node.look(&outside, start + AGAIN), None);
        assert!(node.look(&sights(Some(full())), start + AGAIN * 2).is_some(), "it was given the same");
    }
}
