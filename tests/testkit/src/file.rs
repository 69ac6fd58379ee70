//! Files of scenarios: read, played, compared.

use std::fs;
use std::path::{Path, PathBuf};

use sagaline_definition::Definition;
use sagaline_language::scenario::{Scenario, What, scenarios};
use sagaline_language::{LoadError, Report, load};

use crate::account::Account;
use crate::difference::difference;
use crate::stage::Stage;

/// What came of one scenario.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// Its line in the file.
    pub line: usize,
    /// What the saga did.
    pub account: Account,
    /// What is otherwise than expected; none: nothing.
    pub difference: Option<String>,
}

/// Why a file of tests could not be run.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It can't be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// It is wrong.
    #[error(transparent)]
    Wrong(#[from] Report),
    /// Its definition could not be loaded.
    #[error(transparent)]
    Definition(#[from] LoadError),
    /// It names something that its definition does not have.
    #[error("{}:{line}: {problem}", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The line of the test, from 1.
        line: usize,
        /// What, and what there is.
        problem: String,
    },
}

/// Runs a file of tests.
///
/// # Errors
/// When it, or its definition, can't be read. A scenario that comes out otherwise is no error, but an outcome.
pub fn run_file(path: &Path) -> Result<Vec<Outcome>, FileError> {
    let text = fs::read_to_string(path).map_err(|error| FileError::Unreadable { path: path.to_owned(), error })?;
    let file = scenarios(&path.display().to_string(), &text)?.value;
    let beside = path.parent().unwrap_or(Path::new("")).join(&file.definition);
    let loaded = load(&family(&beside))?;
    let definition = loaded.definitions.get(&beside);
    let unknown = |line, problem| FileError::Unknown { path: path.to_owned(), line, problem };
    let Some(definition) = definition else {
        return Err(unknown(1, format!("{} is no definition", beside.display())));
    };
    file.scenarios
        .iter()
        .map(|scenario| run(definition, scenario).map_err(|problem| unknown(scenario.line, problem)))
        .collect()
}

/// The definition, and all that lie beside it: child sagas are among them.
fn family(definition: &Path) -> Vec<PathBuf> {
    let folder = definition.parent().unwrap_or(Path::new(""));
    let others = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_other = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.ends_with(".yaml") && !name.ends_with(".test.yaml") && path != definition
    };
    let mut family = vec![definition.to_owned()];
    family.extend(others.filter(is_other));
    family
}

fn run(definition: &Definition, scenario: &Scenario) -> Result<Outcome, String> {
    names_exist(definition, scenario)?;
    let account = Stage::of(definition, scenario)?.play();
    let difference = difference(&scenario.expected, &account);
    Ok(Outcome { name: scenario.name.clone(), line: scenario.line, account, difference })
}

/// A name that means nothing would make a test that tests nothing.
fn names_exist(definition: &Definition, scenario: &Scenario) -> Result<(), String> {
    let step = |name: &str| {
        let name = name.split(['[', ' ']).next().unwrap_or(name);
        let names: Vec<&str> = definition.steps.iter().map(|step| step.step.as_str()).collect();
        match definition.step_index(name) {
            Some(_) => Ok(()),
            None => Err(format!("there is no step {name:?}: the definition has {}", names.join(", "))),
        }
    };
    let fact = |name: &str| {
        let names: Vec<&str> = definition.facts.iter().map(|fact| fact.fact.as_str()).collect();
        match names.contains(&name) {
            true => Ok(()),
            false => Err(format!("there is no fact {name:?}: the definition has {}", names.join(", "))),
        }
    };
    let command = |name: &str| match name.split_once(' ') {
        Some(("ask", name)) => fact(name),
        Some(("undo" | "probe", name)) => step(name),
        _ => step(name),
    };
    scenario.replies.keys().try_for_each(|name| command(name))?;
    for happening in &scenario.happenings {
        match &happening.what {
            What::Fact { fact: name, .. } => fact(name)?,
            What::Event { step: name, .. } | What::Decide { step: name, .. } | What::Skip(name) => step(name)?,
            What::Retry(Some(name)) => step(name)?,
            What::Retry(None)
            | What::Cancel(_)
            | What::Close(_)
            | What::Hold(_)
            | What::Release
            | What::Down { .. } => {}
        }
    }
    let expected = &scenario.expected;
    expected.commands.iter().flatten().try_for_each(|(name, _)| command(name))?;
    expected.waits.iter().flatten().try_for_each(|name| step(name))?;
    expected.world.iter().flatten().try_for_each(|(name, _)| step(name))?;
    expected.times.keys().try_for_each(|name| step(name))
}
