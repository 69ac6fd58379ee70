//! A partition that has halted at an input which kills its fold, until a person has said what is to become of it: at this node, or at any other. What
//! is said is a record of the log, which every node that has halted there reads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sagaline_log::LogError;
use sagaline_partition::LookAhead;

use super::board::Board;
use super::{Common, IDLE};
use crate::owner::seek::{Heard, Search};
use crate::owner::stop::Stop;

/// How often the log is listened to.
const LISTEN: Duration = Duration::from_secs(1);
/// Pieces of the log that are looked at in a row.
const PIECES: u32 = 50;

/// What came of waiting.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    /// A person has spoken.
    GoOn,
    /// Another node has folded the input, and shows so only now: a person's word would no longer count.
    Alone(Stop),
    /// The node stops first.
    Stopping,
}

/// Who waits.
pub struct Halted<'a> {
    common: &'a Common,
    board: &'a Arc<Board>,
    stop: Stop,
    search: Option<Search>,
}

impl<'a> Halted<'a> {
    /// At the input that a `Stop::Panicked` names.
    pub fn at(common: &'a Common, board: &'a Arc<Board>, stop: Stop) -> Self {
        Self { common, board, stop, search: None }
    }

    /// Until a word comes.
    pub fn wait(&mut self) -> Told {
        let mut listened: Option<Instant> = None;
        while !self.common.stopping() {
            if self.board.wait_told(IDLE) {
                return Told::GoOn;
            }
            if listened.is_some_and(|at| at.elapsed() < LISTEN) {
                continue;
            }
            listened = Some(Instant::now());
            match self.listen() {
                Ok(None) => {}
                Ok(Some(told)) => {
                    if told == Told::GoOn {
                        self.board.show_opening();
                    }
                    return told;
                }
                Err(error) => {
                    tracing::debug!(partition = self.board.number, %error, "a person's word is listened for again");
                    self.search = None;
                }
            }
        }
        Told::Stopping
    }

    /// What the log says that was not heard yet.
    fn listen(&mut self) -> Result<Option<Told>, LogError> {
        let Stop::Panicked { partition, offset, timer, panic, heard, .. } = &self.stop else { return Ok(None) };
        let search = match &mut self.search {
            Some(search) => search,
            None => {
                let Common { options, inbox, log, names, .. } = self.common;
                let ahead = LookAhead::new(options.key.clone(), inbox.log_id, *partition, (*offset, *timer));
                self.search.insert(Search::behind(*offset, ahead, &**log, &names.inbox(), *partition)?)
            }
        };
        for _ in 0..PIECES {
            match search.go_on(Duration::ZERO)? {
                Heard::Silence => break,
                Heard::Nothing => {}
                // What lies before did not help.
                Heard::Word { at, .. } if at < *heard => {}
                Heard::Word { .. } => return Ok(Some(Told::GoOn)),
                Heard::Vouched { at } => {
                    let (partition, offset, timer, panic) = (*partition, *offset, *timer, panic.clone());
                    return Ok(Some(Told::Alone(Stop::PanicsAlone { partition, offset, timer, panic, at })));
                }
            }
        }
        Ok(None)
    }
}
