//! The language: YAML to definitions and contracts, with mistakes that a person can act on, all of them at once. Nothing here runs in the
//! fold: what is read here goes into the log in its normal form.

mod contract;
mod contracts;
mod definition;
mod definitions;
mod family;
mod fields;
mod lexical;
mod literal;
mod load;
mod render;
mod report;
pub mod scenario;
mod source;
mod yaml;

use sagaline_definition::{Contract, Definition};

pub use contracts::Contracts;
pub use definition::MAX_STEPS;
pub use definitions::{Child, Definitions};
pub use load::{LoadError, Loaded, load};
pub use report::{Checked, Diagnostic, Report, Severity};
pub use yaml::{MAX_BYTES, MAX_DEPTH};

use report::Problems;

/// Reads a definition that has no child sagas. `file` is what messages call it.
///
/// # Errors
/// All that is wrong with it, and its warnings.
pub fn definition(file: &str, text: &str, contracts: &Contracts) -> Result<Checked<Definition>, Report> {
    let checked = definition_with(file, text, contracts, &Definitions::default())?;
    Ok(Checked { value: checked.value.definition, warnings: checked.warnings })
}

/// Reads a definition whose child sagas are among `children`, and what it returns to a parent. `file` is what messages call it.
///
/// # Errors
/// All that is wrong with it, and its warnings.
pub fn definition_with(
    file: &str,
    text: &str,
    contracts: &Contracts,
    children: &Definitions,
) -> Result<Checked<Child>, Report> {
    let mut problems = Problems::new(file, text);
    let root = yaml::parse(&mut problems);
    let read = root.and_then(|root| definition::read(&root, contracts, children, &mut problems));
    problems.finish(read)
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
