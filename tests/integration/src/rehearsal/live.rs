//! A coordinator that really runs: `sagaline serve` on a real Kafka, its API, and the topics beside it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sagaline_log::{Log, Producer, Record};
use sagaline_node::api::model::{Ask, Asked, History, SagaDetail, SagaPage};
use sagaline_schemas::{SagaId, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use super::case::Scale;
use crate::kafka::{Broker, unique};
use crate::process::{Process, forget_our_settings, program, wait_until};

/// Bounds a test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// Inbox partitions.
const PARTITIONS: u32 = 4;

/// The coordinator and its log.
pub struct Live {
    dir: TempDir,
    /// What stands before every topic's name.
    pub prefix: String,
    /// The log.
    pub log: Arc<dyn Log>,
    bootstrap: String,
    producer: Mutex<Box<dyn Producer>>,
    process: Process,
    api: String,
    agent: ureq::Agent,
    done: bool,
}

impl Live {
    /// Topics are there, all partitions are live.
    ///
    /// # Errors
    /// What does not come up.
    pub fn start(participants: &[&str], domain: &[String]) -> Result<Self> {
        let dir = TempDir::with_prefix("sagaline-")?;
        let bootstrap = Broker::shared().bootstrap().to_owned();
        let log = sagaline_log::connect(&format!("kafka://{bootstrap}"), &Default::default())?;
        let producer = Mutex::new(log.producer()?);
        let process = Process::new("coordinator", "sagaline", dir.path())?;
        let prefix = format!("{}.", unique("rehearsal"));
        let (api, done) = (String::new(), false);
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut live = Self { dir, prefix, log, bootstrap, producer, process, api, agent, done };
        live.write_configuration()?;
        let mut create = ["topics", "create", "--config", "sagaline.toml"].map(str::to_owned).to_vec();
        for (option, names) in [
            ("--participant", participants.iter().map(|name| (*name).to_owned()).collect()),
            ("--domain", domain.iter().map(|topic| live.topic(topic)).collect::<Vec<_>>()),
        ] {
            create.extend(names.into_iter().flat_map(|name: String| [option.to_owned(), name]));
        }
        live.sagaline(&create)?;
        live.process.start(&["serve", "--config", "sagaline.toml"], None)?;
        live.api = wait_until("the coordinator's ready line", PATIENCE, || live.ready())?;
        Ok(live)
    }

    fn write_configuration(&self) -> Result<()> {
        let dir = self.dir.path();
        let key = dir.join("sagaline.key");
        std::fs::write(&key, format!("rehearsal:{}", "5a".repeat(32)))?;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
        let (prefix, bootstrap) = (&self.prefix, &self.bootstrap);
        let configuration = format!(
            "data = \"coordinator\"\nkey_file = \"sagaline.key\"\nprefix = \"{prefix}\"\n[api]\nport = 0\n\
             [kafka]\nbootstrap = \"{bootstrap}\"\nsingle_broker = true\n\
             [topics]\npartitions = {PARTITIONS}\nreplicas = 1\nactivation_delay = 0\n"
        );
        Ok(std::fs::write(dir.join("sagaline.toml"), configuration)?)
    }

    fn ready(&mut self) -> Result<Option<String>> {
        if let Some(status) = self.process.ended()? {
            bail!("the coordinator ended by itself, {status}: {}", self.process.log()?);
        }
        let log = self.process.log()?;
        let ready = log.lines().find_map(|line| line.strip_prefix("ready: api "));
        Ok(ready.and_then(|rest| rest.split(' ').next()).map(str::to_owned))
    }

    fn sagaline<S: AsRef<std::ffi::OsStr>>(&self, words: &[S]) -> Result<()> {
        let mut command = Command::new(program("sagaline")?);
        forget_our_settings(&mut command);
        let ran = command.args(words).current_dir(self.dir.path()).output()?;
        if !ran.status.success() {
            bail!("sagaline failed: {}", String::from_utf8_lossy(&ran.stderr));
        }
        Ok(())
    }

    /// The folder of all that is written.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A domain topic of a story, as it is called here.
    #[must_use]
    pub fn topic(&self, topic: &str) -> String {
        format!("{}{topic}", self.prefix)
    }

    /// The definitions in a folder become rehearsals, and active.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn apply(&self, folder: &Path, scale: Scale, as_of: &str) -> Result<()> {
        let folder = folder.display().to_string();
        let scale = scale.word();
        self.sagaline(&["apply", &folder, "--scale", &scale, "--as-of", as_of, "--api", &self.api])
    }

    /// Appends an event to a story's domain topic.
    ///
    /// # Errors
    /// When Kafka does not take it.
    pub fn send(&self, topic: &str, event: &Value) -> Result<()> {
        let mut producer = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        let record = Record { value: event.to_json(), ..Record::default() };
        producer.append(&self.topic(topic), 0, &record, 0)?;
        let mut acknowledged = Vec::new();
        while producer.in_flight() > 0 {
            producer.poll(Duration::from_millis(100), &mut acknowledged);
        }
        acknowledged.into_iter().try_for_each(|one| Ok(one.outcome.map(drop)?))
    }

    /// What people ask.
    ///
    /// # Errors
    /// When the API does not answer. A refusal is an answer.
    pub fn ask(&self, ask: &Ask) -> Result<Asked> {
        self.post("/v1/requests?wait=30000", ask)
    }

    /// The saga of a key; none: there is none yet.
    ///
    /// # Errors
    /// When the API does not answer.
    pub fn of_key(&self, definition: &str, key: &str) -> Result<Option<SagaDetail>> {
        // A unique key has `~` besides letters, digits and hyphens, which a URL takes as it is.
        self.get_if_there(&format!("/v1/sagas/by-key?definition={definition}&key={key}"))
    }

    /// All that is known of a saga.
    ///
    /// # Errors
    /// When there is none, or the API does not answer.
    pub fn saga(&self, id: SagaId) -> Result<SagaDetail> {
        self.get_if_there(&format!("/v1/sagas/{id}"))?.with_context(|| format!("no saga {id}"))
    }

    /// What happened to a saga.
    ///
    /// # Errors
    /// When there is none, or the API does not answer.
    pub fn history(&self, id: SagaId) -> Result<History> {
        self.get_if_there(&format!("/v1/sagas/{id}/history"))?.with_context(|| format!("no saga {id}"))
    }

    /// Every saga there is.
    ///
    /// # Errors
    /// When the API does not answer.
    pub fn sagas(&self) -> Result<Vec<SagaId>> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page: Option<SagaPage> = self.get_if_there(&format!("/v1/sagas?limit=500{cursor}"))?;
            let page = page.context("the API lists sagas")?;
            found.extend(page.sagas.iter().map(|line| line.id));
            match page.next {
                None => return Ok(found),
                Some(next) => cursor = format!("&cursor={next}"),
            }
        }
    }

    fn get_if_there<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        let mut response = self.agent.get(format!("{}{path}", self.api)).call().with_context(|| path.to_owned())?;
        let status = response.status().as_u16();
        let body = response.body_mut().read_to_string()?;
        match status {
            200 => Ok(Some(serde_json::from_str(&body).with_context(|| format!("{path}: {body}"))?)),
            404 => Ok(None),
            _ => bail!("{path}: {status} {body}"),
        }
    }

    fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T> {
        let mut response = self.agent.post(format!("{}{path}", self.api)).send_json(body)?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string()?;
        match status {
            200 | 202 | 409 => serde_json::from_str(&text).with_context(|| format!("{path}: {text}")),
            _ => bail!("{path}: {status} {text}"),
        }
    }

    /// All is as it should be: nobody needs the logs and ledgers any more.
    ///
    /// # Errors
    /// When the coordinator does not end well.
    pub fn stop(mut self) -> Result<()> {
        self.process.stop()?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if !self.done {
            self.dir.disable_cleanup(true);
            eprintln!("logs and ledgers are kept in {}", self.dir.path().display());
        }
    }
}
