//! Wakes a reader or a producer that waits for something to come. No data passes here: who is woken looks for itself.

use std::sync::{Arc, Condvar, Mutex, Weak};
use std::time::Duration;

/// One waiter.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    /// Lets the waiter go, now or when it next waits.
    pub(crate) fn raise(&self) {
        *self.raised.lock().expect("nothing panics with a signal in hand") = true;
        self.changed.notify_one();
    }

    /// Waits until it is raised, or for `wait`; lowers it. Whether it was raised.
    pub(crate) fn wait(&self, wait: Duration) -> bool {
        let raised = self.raised.lock().expect("nothing panics with a signal in hand");
        let (mut raised, _) = self
            .changed
            .wait_timeout_while(raised, wait, |raised| !*raised)
            .expect("nothing panics with a signal in hand");
        std::mem::take(&mut *raised)
    }
}

/// Who wants to know when one thing changes.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Vec<Weak<Signal>>);

impl Watchers {
    pub(crate) fn add(&mut self, signal: &Arc<Signal>) {
        self.0.retain(|watcher| watcher.strong_count() > 0);
        self.0.push(Arc::downgrade(signal));
    }

    pub(crate) fn raise(&self) {
        self.0.iter().filter_map(Weak::upgrade).for_each(|signal| signal.raise());
    }
}
