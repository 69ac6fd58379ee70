//! After a death nobody knows what did it. While the log is folded again up to where it ended, the place is written down beforehand: first a stretch,
//! then, within the stretch in which the last life died, each input. Where two lives have died at the same input, a third one does not fold it. Nothing
//! is written while the fold has caught up.

use sagaline_partition::store::StoreError;
use sagaline_schemas::Offset;
use sagaline_store::Trail;

/// Records of a stretch.
const STRETCH: Offset = 1_000;
/// So many lives that died at an input, one after the other, are enough.
const ENOUGH: u32 = 2;

/// Writes the trail down so that it survives a death.
pub type Keep = Box<dyn FnMut(&Trail) -> Result<(), StoreError> + Send>;

/// A fold that catches up after a death.
pub struct Watch {
    /// Where the last life was.
    last: Trail,
    /// What this life has written down.
    kept: Option<Trail>,
    /// The fold has caught up here.
    until: Offset,
    keep: Keep,
}

/// What is to become of the input that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is folded; inputs beside it are no matter.
    Fold,
    /// It is folded alone.
    Alone,
    /// So many lives have died there.
    Deadly(u32),
    /// It is folded, and nothing more is watched.
    CaughtUp,
}

impl Watch {
    /// Until the log's end as it is now.
    pub fn begin(last: Trail, until: Offset, keep: Keep) -> Self {
        Self { last, kept: None, until, keep }
    }

    /// Before an input is folded.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn before(&mut self, offset: Offset, timer: u32) -> Result<Next, StoreError> {
        if offset >= self.until {
            self.note(Trail::Open)?;
            return Ok(Next::CaughtUp);
        }
        if let Some(Trail::Stretch { from, to }) = self.kept
            && (from..to).contains(&offset)
        {
            return Ok(Next::Fold);
        }
        let died = match self.last {
            Trail::Input { offset: there, timer: at, died } if (there, at) == (offset, timer) => died + 1,
            Trail::Input { .. } | Trail::Stretch { .. } | Trail::Open => 0,
        };
        if died >= ENOUGH {
            // As it was: the next life is not to fold it either.
            self.note(self.last)?;
            return Ok(Next::Deadly(died));
        }
        if self.is_suspect(offset) {
            self.note(Trail::Input { offset, timer, died })?;
            return Ok(Next::Alone);
        }
        self.note(self.stretch(offset))?;
        Ok(Next::Fold)
    }

    /// It ends before what is to be looked at closely.
    fn stretch(&self, from: Offset) -> Trail {
        let to = (from + STRETCH).min(self.until);
        match self.suspects() {
            Some((close, _)) if from < close => Trail::Stretch { from, to: to.min(close) },
            Some(_) | None => Trail::Stretch { from, to },
        }
    }

    fn note(&mut self, trail: Trail) -> Result<(), StoreError> {
        if self.kept != Some(trail) {
            (self.keep)(&trail)?;
            self.kept = Some(trail);
        }
        Ok(())
    }

    /// Where the last life died, as far as it is known.
    fn suspects(&self) -> Option<(Offset, Offset)> {
        match self.last {
            Trail::Open => None,
            Trail::Stretch { from, to } => Some((from, to)),
            Trail::Input { offset, .. } => Some((offset, offset + 1)),
        }
    }

    fn is_suspect(&self, offset: Offset) -> bool {
        self.suspects().is_some_and(|(from, to)| (from..to).contains(&offset))
    }
}

#[cfg(test)]
mod tests;
