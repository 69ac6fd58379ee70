//! Commands on their way to handlers: in order within a saga, sagas side by side up to a limit. Knows nothing of the log or of effects.

use std::collections::{BTreeMap, VecDeque};

use sagaline_schemas::SagaId;

/// What waits and what runs.
pub struct Queue<T> {
    /// Behind each saga that has something running or waiting.
    sagas: BTreeMap<SagaId, VecDeque<T>>,
    /// Sagas of which nothing runs, in the order in which they became so.
    ready: VecDeque<SagaId>,
    waiting: usize,
    running: usize,
    limit: usize,
}

impl<T> Queue<T> {
    /// At most so many run at once.
    pub fn new(limit: usize) -> Self {
        Self { sagas: BTreeMap::new(), ready: VecDeque::new(), waiting: 0, running: 0, limit: limit.max(1) }
    }

    /// Puts something behind what its saga has.
    pub fn push(&mut self, saga: SagaId, item: T) {
        self.waiting += 1;
        match self.sagas.get_mut(&saga) {
            Some(behind) => behind.push_back(item),
            None => {
                self.sagas.insert(saga, VecDeque::from([item]));
                self.ready.push_back(saga);
            }
        }
    }

    /// The next to run; none: nothing is ready, or as many run as may. Its saga's next waits for `finished`.
    pub fn start(&mut self) -> Option<T> {
        if self.running >= self.limit {
            return None;
        }
        while let Some(saga) = self.ready.pop_front() {
            match self.sagas.get_mut(&saga).and_then(VecDeque::pop_front) {
                Some(item) => {
                    self.waiting -= 1;
                    self.running += 1;
                    return Some(item);
                }
                None => drop(self.sagas.remove(&saga)),
            }
        }
        None
    }

    /// What ran of this saga runs no more.
    pub fn finished(&mut self, saga: SagaId) {
        self.running -= 1;
        match self.sagas.get(&saga) {
            Some(behind) if !behind.is_empty() => self.ready.push_back(saga),
            Some(_) | None => drop(self.sagas.remove(&saga)),
        }
    }

    /// Drops what waits and does not pass.
    pub fn retain(&mut self, passes: impl Fn(&T) -> bool) {
        for behind in self.sagas.values_mut() {
            behind.retain(&passes);
        }
        self.waiting = self.sagas.values().map(VecDeque::len).sum();
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saga(n: u8) -> SagaId {
        SagaId::from_bytes([n; 16])
    }

    fn started(queue: &mut Queue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.start()).collect()
    }

    #[test]
    fn a_sagas_commands_run_one_after_the_other_and_sagas_side_by_side() {
        let mut queue = Queue::new(10);
        for (n, item) in [(1, "1a"), (1, "1b"), (2, "2a"), (1, "1c")] {
            queue.push(saga(n), item);
        }
        assert_eq!(started(&mut queue), ["1a", "2a"]);
        queue.finished(saga(1));
        assert_eq!(started(&mut queue), ["1b"]);
        queue.finished(saga(2));
        queue.push(saga(2), "2b");
        assert_eq!(started(&mut queue), ["2b"]);
        queue.finished(saga(1));
        assert_eq!(started(&mut queue), ["1c"]);
    }

    #[test]
    fn no_more_run_than_the_limit() {
        let mut queue = Queue::new(2);
        for (n, item) in [(1, "1"), (2, "2"), (3, "3")] {
            queue.push(saga(n), item);
        }
        assert_eq!(started(&mut queue), ["1", "2"]);
        assert_eq!((queue.waiting(), queue.running()), (1, 2));
        queue.finished(saga(2));
        assert_eq!(started(&mut queue), ["3"]);
    }

    #[test]
    fn what_is_dropped_never_runs_and_its_saga_goes_on() {
        let mut queue = Queue::new(2);
        for (n, item) in [(1, "keep"), (2, "drop"), (3, "drop"), (3, "keep too")] {
            queue.push(saga(n), item);
        }
        queue.retain(|item| *item != "drop");
        assert_eq!(started(&mut queue), ["keep", "keep too"]);
        queue.push(saga(2), "later");
        queue.finished(saga(1));
        assert_eq!(started(&mut queue), ["later"]);
        queue.finished(saga(2));
        queue.finished(saga(3));
        assert_eq!((queue.waiting(), queue.running()), (0, 0));
    }
}
