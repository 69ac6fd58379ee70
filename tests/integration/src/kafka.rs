//! A real Kafka broker for tests, through scripts/kafka; it ends with the process that started it, however that ends. With
//! KAFKA_BOOTSTRAP_SERVERS set, `shared` uses that one instead. Never runs a broker where another program could meet it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::proxy::Proxy;

/// One broker, or one that somebody else runs.
#[derive(Debug)]
pub struct Broker {
    bootstrap: String,
    script: Option<Mutex<Script>>,
}

/// `scripts/kafka up --hold`: it kills the broker and deletes its data when our end of its stdin closes.
#[derive(Debug)]
struct Script {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Broker {
    /// A new broker at a free port, with empty data.
    ///
    /// # Errors
    /// When it does not come up; scripts/kafka says why on stderr.
    pub fn start() -> Result<Self> {
        Self::run(&[])
    }

    /// One that can be reached through a proxy, too: whoever talks to it there is sent there again.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_behind_proxy() -> Result<(Self, Proxy)> {
        // A port that was free a moment ago; in use again, the broker says so.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let proxy = Proxy::start(port)?;
        let broker = Self::run(&["--proxied", &format!("{},{}", port.port(), proxy.address().port())])?;
        Ok((broker, proxy))
    }

    fn run(more: &[&str]) -> Result<Self> {
        let script = sagaline_test_sources::root().join("scripts/kafka");
        let mut child = Command::new(&script)
            .args(["up", "--hold", "--port", "0"])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Not in our group: a signal meant for all of us must not keep it from cleaning up.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", script.display()))?;
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("the script's stdout is piped")?);
        let mut script = Script { child, orders, answers };
        let bootstrap = script.answer()?;
        Ok(Self { bootstrap, script: Some(Mutex::new(script)) })
    }

    /// One broker for all tests of a process, started when first asked for. It must not be killed or stopped.
    ///
    /// # Panics
    /// When it does not come up: no test can go on then.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Broker> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("KAFKA_BOOTSTRAP_SERVERS") {
            Ok(bootstrap) if !bootstrap.is_empty() => Self { bootstrap, script: None },
            _ => Self::start().expect("tests need a Kafka broker; see above why there is none"),
        })
    }

    /// Where it listens: `HOST:PORT`.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Kills the broker with SIGKILL and returns when it is gone.
    ///
    /// # Errors
    /// When it is not ours to kill.
    pub fn kill(&self) -> Result<()> {
        match self.order("kill")?.as_str() {
            "killed" => Ok(()),
            answer => bail!("scripts/kafka answered {answer:?} to `kill`"),
        }
    }

    /// Starts it again after `kill`, with its data, at its address; returns when it answers.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_again(&self) -> Result<()> {
        let bootstrap = self.order("up")?;
        if bootstrap != self.bootstrap {
            bail!("the broker came back at {bootstrap}, not at {}", self.bootstrap);
        }
        Ok(())
    }

    fn order(&self, order: &str) -> Result<String> {
        let script = self.script.as_ref().context("this broker is somebody else's: KAFKA_BOOTSTRAP_SERVERS is set")?;
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = script.orders.as_mut().context("the script takes orders")?;
        writeln!(orders, "{order}").context("scripts/kafka is gone")?;
        script.answer()
    }
}

impl Script {
    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("scripts/kafka ended: {}", self.child.wait()?);
        }
        Ok(line.trim().to_owned())
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.orders = None;
        if let Err(error) = self.child.wait() {
            eprintln!("scripts/kafka did not end: {error}");
        }
    }
}

/// A name that no other test or run uses.
#[must_use]
pub fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    static START: OnceLock<u128> = OnceLock::new();
    let start = START.get_or_init(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos());
    format!("{name}-{start:x}-{:x}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
