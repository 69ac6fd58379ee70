//! The participants: real ones, by the SDK over RocksDB, built from the stories' contracts. What they say is the scenarios' script; what they do is
//! a line in a ledger. They know no saga from another but by its name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use sagaline_definition::Contract;
use sagaline_language::scenario::Says;
use sagaline_log::Log;
use sagaline_participant::effects::{RocksRows, Store};
use sagaline_participant::{
    Config, Effect, HandlerError, Idempotence, Json, Known, Named, Participant, Payload, RunError,
};
use sagaline_schemas::record::Kind;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};

use super::case::{Case, Line, number_of};
use super::ledger::{Act, Ledger, Line as LedgerLine};

/// Any JSON: types are the coordinator's business here, from the contracts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Anything(Json);

impl Payload for Anything {
    fn schema(named: &mut Named) -> Json {
        named.once("Anything", |_| sagaline_participant::record("Anything", &[], Vec::new()))
    }
}

/// How long a handler that waits says it will take: longer than any wait of a rehearsal.
const UNDER_WAY: Duration = Duration::from_secs(120);
/// A reply that comes within this time needs no word before.
const SOON: Duration = Duration::from_millis(300);
/// Longer than any rehearsal.
const RETENTION: Duration = Duration::from_secs(86_400);

/// A child saga that another definition stands in for: the member of its parent's answer that the one call of the stand-in brings.
#[derive(Clone, Copy, Debug)]
pub struct Understudy {
    /// The child saga.
    pub saga: &'static str,
    /// The member of the child's result, and that of its participant's.
    pub result: (&'static str, &'static str),
}

/// All scripts, by the names of their sagas.
#[derive(Debug)]
pub struct Scripts {
    cases: BTreeMap<String, Arc<Case>>,
    understudies: Vec<Understudy>,
    /// An operation that says it was done, and was not: for tests that must turn red.
    forgets: Option<String>,
}

impl Scripts {
    /// Of these cases. `forgets`: an operation that only says that it was done.
    #[must_use]
    pub fn new(cases: &[Arc<Case>], understudies: Vec<Understudy>, forgets: Option<&str>) -> Self {
        let cases = cases.iter().map(|case| (case.saga_name(), Arc::clone(case))).collect();
        Self { cases, understudies, forgets: forgets.map(str::to_owned) }
    }

    /// What is to be said, and the case that says it.
    fn line(&self, kind: Kind, fx: &Effect) -> Option<(Arc<Case>, Line)> {
        if let Some(case) = self.cases.get(fx.saga_name()) {
            let line = case.line(kind, fx.step(), fx.items(), fx.round(), fx.attempt())?;
            return Some((Arc::clone(case), line));
        }
        let (saga, key) = fx.saga_name().split_once('/')?;
        let understudy = self.understudies.iter().find(|understudy| understudy.saga == saga)?;
        let number = number_of(key)?;
        let case = self.cases.values().find(|case| case.number == number)?;
        let parents = case.child(key)?;
        let line = case.line(kind, case.step_of(parents), &parents.spot.items, parents.spot.round, fx.attempt())?;
        Some((Arc::clone(case), Line { says: understudy.says(line.says), ..line }))
    }

    fn told(&self, fx: &Effect) -> Option<Says> {
        // A fact that is asked for stands where a step stands otherwise.
        self.cases.get(fx.saga_name())?.told_of(fx.step().strip_prefix("facts.")?)
    }
}

impl Understudy {
    fn says(&self, says: Says) -> Says {
        match says {
            Says::Ok(result) => {
                let member = result.get(self.result.0).cloned().unwrap_or_default();
                Says::Ok(sagaline_schemas::Value::Map([(self.result.1.to_owned(), member)].into()))
            }
            other => other,
        }
    }
}

/// One participant with what it needs to come back.
struct Role {
    contract: Contract,
    ledger: Arc<Ledger>,
    running: Mutex<Option<Running>>,
}

struct Running {
    stop: oneshot::Sender<()>,
    ran: tokio::task::JoinHandle<Result<(), RunError>>,
}

/// All participants.
pub struct Cast {
    runtime: Runtime,
    log: Arc<dyn Log>,
    prefix: String,
    dir: PathBuf,
    scripts: Arc<Scripts>,
    roles: BTreeMap<String, Role>,
}

impl Cast {
    /// All of them run.
    ///
    /// # Errors
    /// When one does not come up.
    pub fn start(
        log: Arc<dyn Log>,
        prefix: &str,
        dir: &Path,
        contracts: Vec<Contract>,
        scripts: Scripts,
    ) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build()?;
        let mut roles = BTreeMap::new();
        for contract in contracts {
            let ledger = Arc::new(Ledger::create(&ledger_path(dir, &contract.participant))?);
            roles.insert(contract.participant.clone(), Role { contract, ledger, running: Mutex::new(None) });
        }
        let (prefix, dir, scripts) = (prefix.to_owned(), dir.to_owned(), Arc::new(scripts));
        let cast = Self { runtime, log, prefix, dir, scripts, roles };
        cast.roles.keys().try_for_each(|name| cast.up(name))?;
        Ok(cast)
    }

    /// A participant comes, or comes back.
    ///
    /// # Errors
    /// When its effect store can't be opened.
    pub fn up(&self, name: &str) -> Result<()> {
        let role = self.role(name)?;
        let rows = RocksRows::open(&self.dir.join(format!("{name}-effects")))?;
        let config = Config {
            log: Arc::clone(&self.log),
            store: Store::Local(Box::new(rows)),
            prefix: self.prefix.clone(),
            instance: format!("{name}-1"),
            in_flight: 256,
            retention: RETENTION,
        };
        let participant = participant(&role.contract, &self.scripts, &role.ledger);
        let (stop, stopped) = oneshot::channel::<()>();
        let ran = self.runtime.spawn(participant.run_until(config, async move {
            // A sender that is dropped stops it too.
            drop(stopped.await);
        }));
        *role.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(Running { stop, ran });
        Ok(())
    }

    /// A participant goes away. Returns when it is gone: a handler that waits is not waited for longer than the SDK does.
    ///
    /// # Errors
    /// When it was gone already.
    pub fn down(&self, name: &str) -> Result<()> {
        let running = self.role(name)?.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Running { stop, ran } = running.with_context(|| format!("{name} is away already"))?;
        // Its end is what is waited for: whether it heard does not matter.
        stop.send(()).unwrap_or(());
        self.runtime.block_on(ran)?.with_context(|| name.to_owned())
    }

    /// All go.
    ///
    /// # Errors
    /// When one had died.
    pub fn stop(self) -> Result<()> {
        let running: Vec<(String, Running)> = self
            .roles
            .iter()
            .filter_map(|(name, role)| {
                Some((name.clone(), role.running.lock().unwrap_or_else(PoisonError::into_inner).take()?))
            })
            .collect();
        let mut ends = Vec::new();
        for (name, Running { stop, ran }) in running {
            stop.send(()).unwrap_or(());
            ends.push((name, ran));
        }
        for (name, ran) in ends {
            self.runtime.block_on(ran)?.with_context(|| name)?;
        }
        self.runtime.shutdown_background();
        Ok(())
    }

    /// Whether an operation only reads.
    #[must_use]
    pub fn reads(&self, participant: &str, operation: &str) -> bool {
        let role = self.roles.get(participant);
        role.and_then(|role| role.contract.operations.get(operation)).is_some_and(|operation| operation.reads)
    }

    /// The ledgers' files.
    #[must_use]
    pub fn ledgers(&self) -> Vec<PathBuf> {
        self.roles.keys().map(|name| ledger_path(&self.dir, name)).collect()
    }

    fn role(&self, name: &str) -> Result<&Role> {
        self.roles.get(name).with_context(|| format!("there is no participant {name}"))
    }
}

fn ledger_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.jsonl"))
}

/// The participant that a contract describes.
fn participant(contract: &Contract, scripts: &Arc<Scripts>, ledger: &Arc<Ledger>) -> Participant {
    let mut participant = Participant::new(&contract.participant).version(&contract.version).owner(&contract.owner);
    let operations = &contract.operations;
    for (name, operation) in operations {
        let serves = |served: fn(&sagaline_definition::contract::Operation) -> Option<&String>| {
            operations.iter().find(|(_, other)| served(other) == Some(name)).map(|(of, _)| of.clone())
        };
        let actor = Actor { scripts: Arc::clone(scripts), ledger: Arc::clone(ledger) };
        participant = if let Some(of) = serves(|other| other.compensate.as_ref()) {
            participant.compensate(&of, name, move |_: Anything, _: Known<Anything>, fx: Effect| {
                let actor = actor.clone();
                async move { actor.act(Kind::Compensate, Some(Act::Undone), fx).await }
            })
        } else if let Some(of) = serves(|other| other.probe.as_ref()) {
            participant.probe(&of, name, move |_, fx: Effect| {
                let actor = actor.clone();
                async move { actor.act(Kind::Probe, None, fx).await }
            })
        } else if operation.reads {
            participant.ask(name, move |_: Anything, fx: Effect| {
                let actor = actor.clone();
                async move { actor.asked(fx).await }
            })
        } else {
            let codes: Vec<&str> = operation.refuses.iter().map(String::as_str).collect();
            let done = participant.on(name, Idempotence::ByKey, move |_: Anything, fx: Effect| {
                let actor = actor.clone();
                async move { actor.act(Kind::Do, Some(Act::Done), fx).await }
            });
            // The ledger closes the id of what was refused as little as it has done it: see `Ledger::act`.
            done.refuses_for_good(&codes)
        };
    }
    participant
}

#[derive(Clone)]
struct Actor {
    scripts: Arc<Scripts>,
    ledger: Arc<Ledger>,
}

impl Actor {
    /// A question: of a fact at once, of a step as the script says.
    async fn asked(self, fx: Effect) -> Result<Anything, HandlerError> {
        match self.scripts.told(&fx) {
            Some(says) => said(Kind::Ask, says),
            None => self.act(Kind::Do, None, fx).await,
        }
    }

    async fn act(self, kind: Kind, act: Option<Act>, fx: Effect) -> Result<Anything, HandlerError> {
        let Some((case, line)) = self.scripts.line(kind, &fx) else {
            let error = format!("no script has a line for {} of {}", fx.step(), fx.saga_name());
            eprintln!("{error}");
            return Err(HandlerError::failed(error));
        };
        let Some(gate) = line.gate else {
            // Nothing is ever said.
            return std::future::pending().await;
        };
        let after = Duration::from_millis(u64::try_from(line.after).unwrap_or(0));
        let mut progress = case.progress.subscribe();
        if after > SOON || *progress.borrow() < gate {
            fx.working(SystemTime::now() + after + UNDER_WAY);
        }
        wait_for_turn(after, &mut progress, gate).await;
        let forgotten = self.scripts.forgets.as_deref() == Some(fx.operation());
        if let (Some(act), Says::Ok(_), false) = (act, &line.says, forgotten) {
            let line = LedgerLine {
                effect: fx.id(),
                saga: fx.saga_name().to_owned(),
                operation: fx.operation().to_owned(),
                act,
            };
            self.ledger.act(&line)?;
        }
        said(kind, line.says)
    }
}

/// As long as the work takes, and until all has happened that happens before its end.
async fn wait_for_turn(after: Duration, progress: &mut watch::Receiver<usize>, gate: usize) {
    tokio::time::sleep(after).await;
    // The case holds the sender as long as anybody listens.
    drop(progress.wait_for(|progress| *progress >= gate).await);
}

fn said(kind: Kind, says: Says) -> Result<Anything, HandlerError> {
    let failed = || Err(HandlerError::failed("the scenario says so"));
    match (kind, says) {
        (_, Says::Ok(result)) => Ok(Anything(serde_json::from_slice(&result.to_json())?)),
        (Kind::Probe, Says::Never | Says::NothingThere | Says::Unknown) => Ok(Anything(Json::Null)),
        (Kind::Do | Kind::Ask, Says::Refused(code)) => Err(HandlerError::refused(code, "")),
        (_, Says::Outage(error)) => Err(HandlerError::unavailable(error)),
        (_, Says::Failed | Says::Silent | Says::Refused(_) | Says::NothingThere | Says::Never | Says::Unknown) => {
            failed()
        }
    }
}
