//! What one evaluation may cost. Every loop over something that a payload decides must ask here first.

use std::cell::Cell;

/// Most steps: nodes visited, items looked at, 64 bytes of text looked at.
pub(super) const MAX_STEPS: usize = 10_000;
/// Most bytes that an evaluation may build, also in between.
pub(super) const MAX_BUILT: usize = 64 * 1024;

/// Why an evaluation ends without a value.
#[derive(Debug, PartialEq)]
pub(super) enum Stop {
    /// There is none. `&&` and `||` may do without it.
    Error(String),
    /// It would cost too much. Nothing may do without it.
    Spent(String),
}

/// Any result on the way.
pub(super) type Eval<T> = Result<T, Stop>;

/// Counts down.
pub(super) struct Meter {
    steps: Cell<usize>,
    bytes: Cell<usize>,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self { steps: Cell::new(MAX_STEPS), bytes: Cell::new(MAX_BUILT) }
    }

    /// Takes steps.
    pub(super) fn step(&self, steps: usize) -> Eval<()> {
        let left = self.steps.get().checked_sub(steps);
        self.steps.set(left.ok_or_else(|| Stop::Spent(format!("it takes more than {MAX_STEPS} steps")))?);
        Ok(())
    }

    /// Takes the steps that looking at a text costs.
    pub(super) fn read(&self, text: &str) -> Eval<()> {
        self.step(text.len() / 64)
    }

    /// Takes bytes for something new.
    pub(super) fn build(&self, bytes: usize) -> Eval<()> {
        let left = self.bytes.get().checked_sub(bytes);
        self.bytes.set(left.ok_or_else(|| Stop::Spent(format!("it builds more than {MAX_BUILT} bytes")))?);
        Ok(())
    }
}
