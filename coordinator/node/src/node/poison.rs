//! Passing over an input that kills the fold without a person: only where `skip_poison` wants it, where the panic comes again on stores opened anew, and
//! where the log shows that nobody can have published what the input would decide. Whatever is less certain waits for a person (docs/adr/0015).

use std::time::Duration;

use sagaline_log::LogError;
use sagaline_partition::LookAhead;
use sagaline_schemas::Offset;
use sagaline_schemas::record::{Body, Fault};

use super::Common;
use crate::owner::Role;
use crate::owner::seek::{Heard, Search};
use crate::owner::stop::Stop;
use crate::{sealed, topics};

/// How long a piece of the log is waited for, and how often.
const PIECE: Duration = Duration::from_millis(250);
const TRIES: u32 = 40;
/// Letters of a panic that are told in the log.
const TOLD: usize = 1_000;

/// The input at which one partition's fold panics.
#[derive(Debug, Default)]
pub struct Poison(Option<Suspect>);

#[derive(Debug)]
struct Suspect {
    input: (Offset, u32),
    /// As the first owner to panic knew it.
    unsaid: Option<Offset>,
    /// On so many stores opened anew.
    times: u32,
}

impl Poison {
    /// Counts a panic. True: there are to be more before anything is decided.
    pub fn is_tried_again(&mut self, common: &Common, stop: &Stop) -> bool {
        let Stop::Panicked { offset, timer, unsaid, .. } = stop else { return false };
        let Some(after) = common.options.skip_poison else { return false };
        let input = (*offset, *timer);
        let known = self.0.take().filter(|suspect| suspect.input == input);
        let mut suspect = known.unwrap_or(Suspect { input, unsaid: *unsaid, times: 0 });
        suspect.times += 1;
        let again = suspect.unsaid.is_some() && suspect.times < after.get();
        self.0 = Some(suspect);
        again
    }

    /// Appends the word, where all holds that must. None: something does not.
    ///
    /// # Errors
    /// When the log does not do what it should. The word may lie there all the same, which harms nobody.
    pub fn pass_over(&mut self, common: &Common, role: Role, stop: &Stop) -> Result<Option<Offset>, LogError> {
        let Stop::Panicked { partition, offset, timer, panic, .. } = stop else { return Ok(None) };
        let Some(Suspect { input, unsaid: Some(_), times }) = self.0.take() else { return Ok(None) };
        let wanted = common.options.skip_poison.is_some_and(|after| times >= after.get());
        if !wanted || input != (*offset, *timer) || role != Role::Owner || !is_unclaimed(common, *partition, input)? {
            return Ok(None);
        }
        let said: String = panic.chars().take(TOLD).collect();
        let reason = format!(
            "skip_poison: the fold panicked here on {times} stores opened anew, and nobody has folded it: {said}"
        );
        let fault = Fault { offset: *offset, timer: *timer, by: format!("node {}", common.options.name), reason };
        let record = sealed::record(&common.options.key, common.inbox.log_id, *partition, &Body::Fault(fault));
        let (mut producer, inbox) = (common.log.producer()?, common.names.inbox());
        let place = (inbox.as_str(), *partition);
        topics::append_while(producer.as_mut(), place, &record, &mut Vec::new(), &|| !common.stopping()).map(Some)
    }
}

/// Whether no node has claimed the partition behind the input, up to the log's end: only who claims there can publish what it would decide.
fn is_unclaimed(common: &Common, partition: u32, input: (Offset, u32)) -> Result<bool, LogError> {
    let (log, inbox) = (&*common.log, common.names.inbox());
    let (_, end) = sealed::bounds(log, &inbox, partition)?;
    let ahead = LookAhead::new(common.options.key.clone(), common.inbox.log_id, partition, input);
    let mut search = Search::behind(input.0, ahead, log, &inbox, partition)?;
    let mut silent = 0;
    while search.position() < end && silent < TRIES {
        match search.go_on(PIECE)? {
            Heard::Silence => silent += 1,
            Heard::Nothing => silent = 0,
            // Somebody has spoken, or has folded it.
            Heard::Word { .. } | Heard::Vouched { .. } => return Ok(false),
        }
    }
    Ok(search.position() >= end && search.claimed().is_none())
}
