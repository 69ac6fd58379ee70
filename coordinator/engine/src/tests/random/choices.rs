//! Chance as a list of numbers: proptest shrinks it, and so the saga.

pub struct Choices<'a> {
    left: &'a [u16],
}

impl<'a> Choices<'a> {
    pub fn new(left: &'a [u16]) -> Self {
        Self { left }
    }

    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Below `n`; 0 when no chance is left.
    pub fn below(&mut self, n: usize) -> usize {
        let Some((first, left)) = self.left.split_first() else { return 0 };
        self.left = left;
        usize::from(*first) % n.max(1)
    }

    /// Never where no chance is left.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    pub fn of<T: Clone>(&mut self, these: &[T]) -> T {
        these[self.below(these.len())].clone()
    }
}
