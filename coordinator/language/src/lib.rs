//! The language: YAML to definitions and contracts, with mistakes that a person can act on, all of them at once. Nothing here runs in the
//! fold: what is read here goes into the log in its normal form.

mod contract;
mod contracts;
mod definition;
mod fields;
mod lexical;
mod literal;
mod load;
mod render;
mod report;
mod source;
mod yaml;

use sagaline_definition::{Contract, Definition};

pub use contracts::Contracts;
pub use definition::MAX_STEPS;
pub use load::{LoadError, Loaded, load};
pub use report::{Checked, Diagnostic, Report, Severity};
pub use yaml::{MAX_BYTES, MAX_DEPTH};

use report::Problems;

/// Reads a definition. `file` is what messages call it.
///
/// # Errors
/// All that is wrong with it, and its warnings.
pub fn definition(file: &str, text: &str, contracts: &Contracts) -> Result<Checked<Definition>, Report> {
    let mut problems = Problems::new(file, text);
    let root = yaml::parse(&mut problems);
    let definition = root.and_then(|root| definition::read(&root, contracts, &mut problems));
    problems.finish(definition)
}

/// Reads a contract. `file` is what messages call it.
///
/// # Errors
/// All that is wrong with it, and its warnings.
pub fn contract(file: &str, text: &str) -> Result<Checked<Contract>, Report> {
    let mut problems = Problems::new(file, text);
    let root = yaml::parse(&mut problems);
    let contract = root.and_then(|root| contract::read(&root, &mut problems));
    problems.finish(contract)
}
