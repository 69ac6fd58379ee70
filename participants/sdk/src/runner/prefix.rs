//! How far each command partition is dealt with: only the contiguous finished prefix may be committed. Knows nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sagaline_schemas::{Offset, Partition};

/// A command's place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The command topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: Partition,
    /// Its offset.
    pub offset: Offset,
}

/// The prefixes of all assigned partitions.
#[derive(Default)]
pub struct Prefixes(BTreeMap<(Arc<str>, Partition), Prefix>);

struct Prefix {
    /// Where it was taken up.
    from: Offset,
    open: BTreeSet<Offset>,
    end: Offset,
    committed: Offset,
}

impl Prefix {
    fn finished(&self) -> Offset {
        self.open.first().copied().unwrap_or(self.end)
    }
}

impl Prefixes {
    /// A partition is read from here on.
    pub fn assign(&mut self, topic: Arc<str>, partition: Partition, from: Offset) {
        self.0.insert((topic, partition), Prefix { from, open: BTreeSet::new(), end: from, committed: from });
    }

    /// What was read of a partition counts no more: it is read from here on, and that is to be committed, though it may lie below what was.
    pub fn go_on_at(&mut self, topic: Arc<str>, partition: Partition, to: Offset) {
        self.0.insert((topic, partition), Prefix { from: to, open: BTreeSet::new(), end: to, committed: to - 1 });
    }

    /// A partition is read no more.
    pub fn revoke(&mut self, topic: &Arc<str>, partition: Partition) {
        self.0.remove(&(Arc::clone(topic), partition));
    }

    /// Partitions that are read, ascending.
    pub fn assigned(&self) -> impl Iterator<Item = (&Arc<str>, Partition)> {
        self.0.keys().map(|(topic, partition)| (topic, *partition))
    }

    /// Where each partition was taken up.
    pub fn beginnings(&self) -> impl Iterator<Item = (&Arc<str>, Partition, Offset)> {
        self.0.iter().map(|((topic, partition), prefix)| (topic, *partition, prefix.from))
    }

    /// Whether a partition is read.
    pub fn is_assigned(&self, place: &Place) -> bool {
        self.0.contains_key(&(Arc::clone(&place.topic), place.partition))
    }

    /// A command was read.
    pub fn begin(&mut self, place: &Place) {
        if let Some(prefix) = self.prefix(place) {
            prefix.open.insert(place.offset);
            prefix.end = prefix.end.max(place.offset + 1);
        }
    }

    /// A command is dealt with: its answer is in the log, or there will be none.
    pub fn done(&mut self, place: &Place) {
        if let Some(prefix) = self.prefix(place) {
            prefix.open.remove(&place.offset);
        }
    }

    /// What may be committed beyond what was.
    pub fn to_commit(&self) -> Vec<Place> {
        let moved = self.0.iter().filter(|(_, prefix)| prefix.finished() > prefix.committed);
        moved
            .map(|((topic, partition), prefix)| Place {
                topic: Arc::clone(topic),
                partition: *partition,
                offset: prefix.finished(),
            })
            .collect()
    }

    /// The log took this commit.
    pub fn committed(&mut self, place: &Place) {
        if let Some(prefix) = self.prefix(place) {
            prefix.committed = place.offset;
        }
    }

    fn prefix(&mut self, place: &Place) -> Option<&mut Prefix> {
        self.0.get_mut(&(Arc::clone(&place.topic), place.partition))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: Offset) -> Place {
        Place { topic: "commands.payment".into(), partition: 3, offset }
    }

    fn commits(prefixes: &Prefixes) -> Vec<Offset> {
        prefixes.to_commit().into_iter().map(|place| place.offset).collect()
    }

    #[test]
    fn only_the_contiguous_finished_prefix_is_committed() {
        let mut prefixes = Prefixes::default();
        prefixes.assign("commands.payment".into(), 3, 10);
        [10, 11, 14].iter().for_each(|offset| prefixes.begin(&place(*offset)));
        prefixes.done(&place(11));
        assert_eq!(commits(&prefixes), [0_i64; 0]);
        prefixes.done(&place(10));
        assert_eq!(commits(&prefixes), [14]);
        prefixes.committed(&place(14));
        assert_eq!(commits(&prefixes), [0_i64; 0]);
        prefixes.done(&place(14));
        assert_eq!(commits(&prefixes), [15]);
    }

    #[test]
    fn a_place_that_is_gone_on_from_is_committed_also_backwards() {
        let mut prefixes = Prefixes::default();
        prefixes.assign("commands.payment".into(), 3, 10);
        prefixes.begin(&place(10));
        prefixes.go_on_at("commands.payment".into(), 3, 4);
        assert_eq!(commits(&prefixes), [4]);
    }

    #[test]
    fn what_ends_after_its_partition_is_gone_counts_for_nobody() {
        let mut prefixes = Prefixes::default();
        prefixes.assign("commands.payment".into(), 3, 0);
        prefixes.begin(&place(0));
        prefixes.revoke(&"commands.payment".into(), 3);
        prefixes.done(&place(0));
        assert_eq!(commits(&prefixes), [0_i64; 0]);
        assert!(!prefixes.is_assigned(&place(0)));
    }
}
