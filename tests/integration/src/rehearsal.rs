//! The stories of docs/examples on a real Kafka, with their durations shortened: why and how, docs/adr/0009-rehearsals.md. A scenario is played in
//! virtual time first; then a real coordinator, real participants and what the scenario says follow that play, and are compared with it.

pub mod case;
pub mod cast;
pub mod compare;
pub mod ledger;
pub mod live;
pub mod made;
pub mod told;
pub mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sagaline_definition::model::Verb;
use sagaline_definition::{Contract, Definition};
use sagaline_language::load;

use case::{Case, Scale};
use cast::{Cast, Scripts, Understudy};
use live::Live;
use walk::Walk;

/// When a scenario begins that does not say it.
const CLOCK: &str = "2026-01-05T09:00:00Z";
/// How long a round of sagas may take to begin.
const BEGIN: Duration = Duration::from_secs(60);

/// A file of scenarios.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Its folder in docs/examples.
    pub folder: &'static str,
    /// The definition's name, and its files'.
    pub name: &'static str,
    /// How time runs.
    pub scale: Scale,
    /// Scenarios for which it runs otherwise: the beginning of their name.
    pub otherwise: &'static [(&'static str, Scale)],
    /// The child saga that another definition stands in for, and that definition.
    pub understudy: Option<(Understudy, &'static str)>,
}

/// A scenario that can't be rehearsed yet, and why: its file, the beginning of its name, the reason.
pub type LeftOut = (&'static str, &'static str, &'static str);

/// A case and the file that it comes from.
pub type Filed = (File, Arc<Case>);

/// What came of all.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Titles of those that came out as in virtual time.
    pub held: Vec<String>,
    /// Those that did not, and what was otherwise.
    pub otherwise: Vec<(String, Vec<String>)>,
    /// Effects in the ledgers.
    pub effects: usize,
    /// Where ledgers and reports do not balance.
    pub unbalanced: Vec<String>,
    /// What took how long.
    pub took: Vec<(&'static str, Duration)>,
}

/// All cases of these files, numbered through.
///
/// # Errors
/// When a file can't be read, or is wrong.
pub fn cases(files: &[File]) -> Result<Vec<Filed>> {
    let mut found: Vec<Filed> = Vec::new();
    for file in files {
        let folder = examples().join(file.folder);
        let loaded = load(&[&folder]).with_context(|| folder.display().to_string())?;
        let path = folder.join(format!("{}.yaml", file.name));
        let definition = Arc::new(loaded.definitions.get(&path).context("a story has its definition")?.clone());
        let tests = folder.join(format!("{}.test.yaml", file.name));
        for mut case in Case::of_file(&tests, &definition, found.len() + 1, file.scale)? {
            let otherwise = file.otherwise.iter().find(|(name, _)| case.scenario.name.starts_with(name));
            case.scale = otherwise.map_or(case.scale, |(_, scale)| *scale);
            found.push((*file, Arc::new(case)));
        }
    }
    Ok(found)
}

fn examples() -> PathBuf {
    sagaline_test_sources::root().join("docs/examples")
}

/// Rehearses cases: all side by side but those that are to be alone, which follow one after the other. `forgets`: an operation that only says that it
/// was done, for tests that must turn red.
///
/// # Errors
/// When something does not come up. A case that comes out otherwise is no error, but an outcome.
pub fn rehearse(cases: &[Filed], forgets: Option<&str>) -> Result<Outcome> {
    let mut since = Instant::now();
    let contracts = contracts(cases)?;
    let participants: Vec<&str> = contracts.iter().map(|contract| contract.participant.as_str()).collect();
    let live = Live::start(&participants, &domain_topics(cases))?;
    let scripted: Vec<Arc<Case>> = cases.iter().map(|(_, case)| Arc::clone(case)).collect();
    let understudies = cases.iter().filter_map(|(file, _)| Some(file.understudy?.0)).collect();
    let scripts = Scripts::new(&scripted, understudies, forgets);
    let cast = Cast::start(Arc::clone(&live.log), &live.prefix, live.dir(), contracts, scripts)?;
    let mut outcome = Outcome::default();
    let mut stage =
        |took: &mut Vec<_>, what| took.push((what, std::mem::replace(&mut since, Instant::now()).elapsed()));
    stage(&mut outcome.took, "coming up");
    let (alone, together): (Vec<_>, Vec<_>) = cases.iter().partition(|(_, case)| case.is_alone());
    side_by_side(&live, &cast, &together, &mut outcome)?;
    stage(&mut outcome.took, "side by side");
    for one in alone {
        side_by_side(&live, &cast, &[one], &mut outcome)?;
    }
    stage(&mut outcome.took, "alone");
    (outcome.effects, outcome.unbalanced) = compare::balance(&live, &cast)?;
    cast.stop()?;
    if forgets.is_some() || (outcome.otherwise.is_empty() && outcome.unbalanced.is_empty()) {
        live.stop()?;
    }
    stage(&mut outcome.took, "comparing and stopping");
    Ok(outcome)
}

/// Definitions are applied before any saga begins, since ingress begins to read anew when it learns of topics. A file's second scale follows once the
/// sagas of its first have begun; then all live on side by side.
fn side_by_side(live: &Live, cast: &Cast, cases: &[&Filed], outcome: &mut Outcome) -> Result<()> {
    let mut groups: BTreeMap<(&str, Scale), Vec<&Filed>> = BTreeMap::new();
    for one in cases {
        groups.entry((one.0.name, one.1.scale)).or_default().push(one);
    }
    let mut rounds: Vec<Vec<Vec<&Filed>>> = Vec::new();
    for group in groups.into_values() {
        let is_of_file = |groups: &Vec<Vec<&Filed>>| groups.iter().any(|other| other[0].0.name == group[0].0.name);
        match rounds.iter().position(|groups| !is_of_file(groups)) {
            Some(round) => rounds[round].push(group),
            None => rounds.push(vec![group]),
        }
    }
    let ends = std::thread::scope(|scope| -> Result<Vec<_>> {
        let mut walking = Vec::new();
        for groups in rounds {
            for group in &groups {
                let (file, case) = group[0];
                live.apply(&write(live, file)?, case.scale, case.scenario.clock.as_deref().unwrap_or(CLOCK))?;
            }
            let begun = walking.len();
            for (_, case) in groups.into_iter().flatten() {
                walking.push((case, scope.spawn(|| walk(live, cast, case))));
            }
            wait_begun(&walking[begun..])?;
        }
        let joined = walking.into_iter().map(|(case, walk)| {
            let differences = walk.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the walk panicked")));
            (case.title.clone(), differences.unwrap_or_else(|error| vec![format!("{error:#}")]))
        });
        Ok(joined.collect())
    })?;
    for (title, differences) in ends {
        match differences.is_empty() {
            true => outcome.held.push(title),
            false => outcome.otherwise.push((title, differences)),
        }
    }
    Ok(())
}

fn walk(live: &Live, cast: &Cast, case: &Case) -> Result<Vec<String>> {
    let id = Walk::new(live, cast, case)?.run()?;
    let differences = compare::differences(live, case, id)?;
    println!("{}  {}", if differences.is_empty() { "ok       " } else { "otherwise" }, case.title);
    Ok(differences)
}

fn wait_begun<T>(walking: &[(&Arc<Case>, std::thread::ScopedJoinHandle<'_, T>)]) -> Result<()> {
    crate::process::wait_until("the beginning of a round's sagas", BEGIN, || {
        let has_begun = walking.iter().all(|(case, walk)| walk.is_finished() || *case.progress.borrow() > 0);
        Ok(has_begun.then_some(()))
    })
}

/// A file's definition with topics of our own, its contracts beside it, and who stands in for its child.
fn write(live: &Live, file: &File) -> Result<PathBuf> {
    let (from, to) = (examples().join(file.folder), live.dir().join("definitions").join(file.name));
    std::fs::create_dir_all(to.join("contracts"))?;
    for entry in std::fs::read_dir(from.join("contracts"))? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join("contracts").join(entry.file_name()))?;
    }
    let name = format!("{}.yaml", file.name);
    let text = std::fs::read_to_string(from.join(&name))?;
    std::fs::write(to.join(name), text.replace("topic: ", &format!("topic: {}", live.prefix)))?;
    if let Some((understudy, text)) = file.understudy {
        std::fs::write(to.join(format!("{}.yaml", understudy.saga)), text)?;
    }
    Ok(to)
}

/// Each participant's contract; the stories agree about them.
fn contracts(cases: &[Filed]) -> Result<Vec<Contract>> {
    let folders: BTreeSet<&str> = cases.iter().map(|(file, _)| file.folder).collect();
    let mut found = BTreeMap::new();
    for folder in folders {
        let loaded = load(&[examples().join(folder)])?;
        found.extend(loaded.contracts.iter().map(|contract| (contract.participant.clone(), contract.clone())));
    }
    Ok(found.into_values().collect())
}

fn domain_topics(cases: &[Filed]) -> Vec<String> {
    let of = |definition: &Definition| {
        let waits = definition.steps.iter().filter_map(|step| match &step.verb {
            Verb::Wait(wait) => Some(wait.topic.clone()),
            _ => None,
        });
        let facts = definition.facts.iter().filter_map(|clause| clause.topic.clone());
        definition.start.topic.clone().into_iter().chain(facts).chain(waits).collect::<Vec<_>>()
    };
    let topics: BTreeSet<String> = cases.iter().flat_map(|(_, case)| of(&case.definition)).collect();
    topics.into_iter().collect()
}
