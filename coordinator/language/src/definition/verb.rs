//! What steps do, a file for each verb.

pub mod approve;
mod call;
mod child;
pub mod compensate;
pub mod decide;
pub mod sleep;
pub mod wait;

use sagaline_definition::model::Verb;

use super::step::Reading;
use super::steps::VerbName;
use super::view::View;
use crate::report::Problems;

/// Reads what a step does. None: something in it is wrong; reported.
pub fn read(verb: VerbName, reading: &Reading<'_>, view: &View<'_>, problems: &mut Problems) -> Option<Verb> {
    let node = reading.raw().fields.get(verb.name())?;
    match verb {
        VerbName::Call => call::call(node, reading, view, problems).map(Verb::Call),
        VerbName::Ask => call::ask(node, reading, view, problems).map(Verb::Call),
        VerbName::Saga => child::read(node, reading, view, problems).map(Verb::Saga),
        VerbName::Sleep => sleep::read(node, view, problems).map(Verb::Sleep),
        VerbName::Wait => wait::wait(node, reading, view, problems),
        VerbName::Expect => wait::expect(node, reading, view, problems).map(Verb::Until),
        VerbName::Approve => approve::read(node, reading, view, problems).map(Verb::Approve),
        VerbName::Decide => decide::read(node, view, problems).map(Verb::Decide),
    }
}
