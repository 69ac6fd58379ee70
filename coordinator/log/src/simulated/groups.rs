//! Consumer groups of the simulated broker: members share partitions in the order in which they joined. A member that falls
//! silent loses its partitions without being told: it hears of it when it polls again.

use std::collections::{BTreeMap, BTreeSet};

use sagaline_schemas::{Millis, Offset, Partition};

use super::broker::Topics;

/// A member that has not polled for so long is taken for dead; Kafka's default.
pub(super) const SESSION_TIMEOUT_MS: Millis = 45_000;

/// Names a member.
pub(super) type MemberId = u64;
/// A partition of a topic.
pub(super) type Place = (String, Partition);

#[derive(Debug)]
struct Membership {
    topics: Vec<String>,
    polled: Millis,
    held: BTreeSet<Place>,
}

#[derive(Debug, Default)]
struct Group {
    members: BTreeMap<MemberId, Membership>,
    committed: BTreeMap<Place, Offset>,
}

impl Group {
    /// Whose partition it should be.
    fn owner(&self, place: &Place) -> Option<MemberId> {
        let wanting: Vec<MemberId> = self
            .members
            .iter()
            .filter(|(_, membership)| membership.topics.contains(&place.0))
            .map(|(id, _)| *id)
            .collect();
        wanting.get(place.1 as usize % wanting.len().max(1)).copied()
    }

    fn holder(&self, place: &Place) -> Option<MemberId> {
        self.members.iter().find(|(_, membership)| membership.held.contains(place)).map(|(id, _)| *id)
    }
}

/// What a member is told when it polls.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) revoked: Vec<Place>,
    /// With the committed offset.
    pub(super) assigned: Vec<(Place, Option<Offset>)>,
}

/// All groups.
#[derive(Debug, Default)]
pub(super) struct Groups(BTreeMap<String, Group>);

impl Groups {
    /// A member says that it lives; what it knows to hold is `known`. It gives up first and takes over what is free.
    pub(super) fn poll(
        &mut self,
        group: &str,
        member: MemberId,
        subscribed: &[String],
        known: &BTreeSet<Place>,
        topics: &Topics,
        now: Millis,
    ) -> Change {
        let group = self.0.entry(group.to_owned()).or_default();
        let membership = group.members.entry(member).or_insert_with(|| Membership {
            topics: subscribed.to_vec(),
            polled: now,
            held: BTreeSet::new(),
        });
        membership.polled = now;
        let held = membership.held.clone();
        // What it was expelled from is gone, even where it gets it back at once: another may have committed since.
        let keeps = |place: &Place| held.contains(place) && group.owner(place) == Some(member);
        let revoked: Vec<Place> = known.iter().filter(|place| !keeps(place)).cloned().collect();
        let kept: BTreeSet<Place> = known.iter().filter(|place| keeps(place)).cloned().collect();
        set_held(group, member, kept.clone());

        let places = subscribed
            .iter()
            .filter_map(|name| topics.0.get_key_value(name))
            .flat_map(|(name, topic)| (0..topic.info.partitions).map(|partition| (name.clone(), partition)));
        let free = |place: &Place| group.owner(place) == Some(member) && group.holder(place).is_none();
        let taken: Vec<Place> = places.filter(free).collect();
        set_held(group, member, kept.into_iter().chain(taken.iter().cloned()).collect());
        let assigned = taken.into_iter().map(|place| {
            let committed = group.committed.get(&place).copied();
            (place, committed)
        });
        Change { revoked, assigned: assigned.collect() }
    }

    /// Remembers an offset. False: the member does not hold the partition.
    pub(super) fn commit(&mut self, group: &str, member: MemberId, place: Place, offset: Offset) -> bool {
        let Some(group) = self.0.get_mut(group) else { return false };
        let holds = group.holder(&place) == Some(member);
        if holds {
            group.committed.insert(place, offset);
        }
        holds
    }

    /// A member leaves.
    pub(super) fn leave(&mut self, group: &str, member: MemberId) {
        if let Some(group) = self.0.get_mut(group) {
            group.members.remove(&member);
        }
    }

    /// Takes those for dead who have been silent for too long.
    pub(super) fn expire(&mut self, now: Millis) {
        for group in self.0.values_mut() {
            group.members.retain(|_, membership| now - membership.polled <= SESSION_TIMEOUT_MS);
        }
    }
}

fn set_held(group: &mut Group, member: MemberId, held: BTreeSet<Place>) {
    if let Some(membership) = group.members.get_mut(&member) {
        membership.held = held;
    }
}
