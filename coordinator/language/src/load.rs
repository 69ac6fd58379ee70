//! Definitions and contracts from files: a definition finds its contracts in the folder `contracts` beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sagaline_definition::model::Verb;
use sagaline_definition::rehearsal::Rehearsal;
use sagaline_definition::{Contract, Definition};
use sagaline_schemas::Digest;

use crate::contracts::Contracts;
use crate::definitions::Definitions;
use crate::family::Family;
use crate::fields;
use crate::report::{Checked, Problems, Report};
use crate::source::Span;
use crate::yaml::{self, Kind};

/// What lay in the files.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Definitions by file, in the order of the names of their files.
    pub definitions: BTreeMap<PathBuf, Definition>,
    /// All contracts beside them.
    pub contracts: Contracts,
    /// Warnings only.
    pub warnings: Report,
}

impl Loaded {
    /// The same definitions as rehearsals: parents start rehearsals of their children.
    #[must_use]
    pub fn rehearsed(mut self, rehearsal: Rehearsal) -> Self {
        let mut became: BTreeMap<Digest, Digest> = BTreeMap::new();
        let mut left: Vec<(PathBuf, Definition)> = std::mem::take(&mut self.definitions).into_iter().collect();
        // Nothing loads whose children are not there, and no circle does: in each round one at least has no child that is left.
        while !left.is_empty() {
            let digests: BTreeSet<Digest> = left.iter().map(|(_, definition)| definition.digest()).collect();
            let (waiting, ready): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|(_, definition)| starts_one_of(definition, &digests));
            for (path, definition) in ready {
                let digest = definition.digest();
                let rehearsed = definition.rehearsed(rehearsal, &became);
                became.insert(digest, rehearsed.digest());
                self.definitions.insert(path, rehearsed);
            }
            left = waiting;
        }
        self
    }
}

fn starts_one_of(definition: &Definition, digests: &BTreeSet<Digest>) -> bool {
    definition.steps.iter().any(|step| match &step.verb {
        Verb::Saga(child) => digests.contains(&child.definition),
        Verb::Call(_) | Verb::Sleep(_) | Verb::Wait(_) | Verb::Until(_) | Verb::Approve(_) | Verb::Decide(_) => false,
    })
}

/// Why files could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file could not be read.
    #[error("{}: {error}: give the path of a definition, or of a folder with definitions", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A folder without definitions.
    #[error("{}: no definition lies here: a definition is a file NAME.yaml, its contracts lie in contracts/ beside it", .0.display())]
    Empty(PathBuf),
    /// The files are wrong.
    #[error(transparent)]
    Wrong(#[from] Report),
}

/// Loads definitions: each path is a file, or a folder whose `*.yaml` are definitions; `*.test.yaml` are their tests, and left alone.
/// A contract's own file may be named, too.
///
/// # Errors
/// All that is wrong in any of the files; or the first file that can't be read.
pub fn load<P: AsRef<Path>>(paths: &[P]) -> Result<Loaded, LoadError> {
    let mut loading = Loading::default();
    for path in paths {
        loading.add(path.as_ref())?;
    }
    loading.finish()
}

#[derive(Default)]
struct Loading {
    contract_files: BTreeSet<PathBuf>,
    definition_files: BTreeSet<PathBuf>,
    /// Where each participant's contract came from.
    origins: BTreeMap<String, PathBuf>,
    contracts: Contracts,
    found: Report,
}

impl Loading {
    fn add(&mut self, path: &Path) -> Result<(), LoadError> {
        if !path.is_dir() {
            return self.add_file(path);
        }
        let files = yaml_files(path)?;
        let contracts = yaml_files_if_there(&path.join("contracts"))?;
        if files.is_empty() && contracts.is_empty() {
            return Err(LoadError::Empty(path.to_owned()));
        }
        self.contract_files.extend(contracts);
        files.iter().try_for_each(|file| self.add_file(file))
    }

    fn add_file(&mut self, path: &Path) -> Result<(), LoadError> {
        if is_contract(path, &read(path)?) {
            self.contract_files.insert(path.to_owned());
            return Ok(());
        }
        let beside = path.parent().unwrap_or(Path::new("")).join("contracts");
        self.contract_files.extend(yaml_files_if_there(&beside)?);
        self.definition_files.insert(path.to_owned());
        Ok(())
    }

    fn finish(mut self) -> Result<Loaded, LoadError> {
        for path in std::mem::take(&mut self.contract_files) {
            let text = read(&path)?;
            self.contract(path, &text);
        }
        let family = Family::read(std::mem::take(&mut self.definition_files))?;
        family.refuse_twins_and_circles(&mut self.found);
        let mut definitions = BTreeMap::new();
        let mut reports = BTreeMap::new();
        let mut known = Definitions::default();
        // A child that can't be had is told once: as a mistake of its own, or as a circle.
        family.names().for_each(|name| known.insert_broken(name));
        for file in family.children_first() {
            let checked = crate::definition_with(&file.path.display().to_string(), &file.text, &self.contracts, &known);
            match checked {
                Ok(checked) => {
                    reports.insert(&file.path, checked.warnings);
                    definitions.insert(file.path.clone(), checked.value.definition.clone());
                    known.insert(checked.value);
                }
                Err(report) => drop(reports.insert(&file.path, report)),
            }
        }
        reports.into_values().for_each(|report| self.found.extend(report));
        if self.found.has_errors() {
            return Err(LoadError::Wrong(self.found));
        }
        Ok(Loaded { definitions, contracts: self.contracts, warnings: self.found })
    }

    fn contract(&mut self, path: PathBuf, text: &str) {
        let file = path.display().to_string();
        let checked = crate::contract(&file, text);
        if checked.is_err() {
            self.contracts.insert_broken(&participant(&path, text));
        }
        let Some(contract) = self.keep(checked) else { return };
        let (name, digest) = (contract.participant.clone(), contract.digest());
        let replaced = self.contracts.insert(contract).filter(|other: &Contract| other.digest() != digest);
        if replaced.is_some() {
            let other = self.origins.get(&name).map(|other| other.display().to_string()).unwrap_or_default();
            let mut problems = Problems::new(&file, text);
            let message = format!("`{name}` has another contract in {other}");
            problems.error(Span::new(0, 1), message, "keep one of the two: a participant has one contract");
            self.found.extend(problems.finish(Some(())).err().unwrap_or_default());
        }
        self.origins.insert(name, path);
    }

    fn keep<T>(&mut self, checked: Result<Checked<T>, Report>) -> Option<T> {
        match checked {
            Ok(checked) => {
                self.found.extend(checked.warnings);
                Some(checked.value)
            }
            Err(report) => {
                self.found.extend(report);
                None
            }
        }
    }
}

/// Whether the file describes a participant. What can't be read is taken for a definition: its mistakes are shown as such.
fn is_contract(path: &Path, text: &str) -> bool {
    let root = yaml::parse(&mut Problems::new(&path.display().to_string(), text));
    root.is_some_and(|root| fields::map_entry(&root, "participant").is_some())
}

/// Whom a broken contract is about, as well as it can be told.
fn participant(path: &Path, text: &str) -> String {
    let root = yaml::parse(&mut Problems::new(&path.display().to_string(), text));
    let named = root.as_ref().and_then(|root| fields::map_entry(root, "participant"));
    match named.map(|entry| &entry.value.kind) {
        Some(Kind::Scalar(scalar)) => scalar.text().to_owned(),
        Some(Kind::List(_) | Kind::Map(_)) | None => {
            path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
        }
    }
}

pub(crate) fn read(path: &Path) -> Result<String, LoadError> {
    let too_large = fs::metadata(path).is_ok_and(|metadata| metadata.len() > 2 * yaml::MAX_BYTES as u64);
    if too_large {
        let error = io::Error::new(io::ErrorKind::FileTooLarge, "the file is larger than 1 MiB");
        return Err(LoadError::Unreadable { path: path.to_owned(), error });
    }
    fs::read_to_string(path).map_err(|error| LoadError::Unreadable { path: path.to_owned(), error })
}

fn yaml_files_if_there(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    if folder.is_dir() { yaml_files(folder) } else { Ok(Vec::new()) }
}

fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let unreadable = |error| LoadError::Unreadable { path: folder.to_owned(), error };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        // Tests lie beside what they test.
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_file() && name.ends_with(".yaml") && !name.ends_with(".test.yaml") {
            files.push(path);
        }
    }
    Ok(files)
}
