//! A real PostgreSQL for tests, through scripts/postgres; it ends with the process that started it, however that ends. Knows nothing of effects.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

mod door;

pub use door::Door;

/// A server with an empty database, at a socket that nobody else knows.
#[derive(Debug)]
pub struct Server {
    url: String,
    child: Child,
    orders: Option<ChildStdin>,
}

impl Server {
    /// A new one.
    ///
    /// # Errors
    /// When it does not come up; scripts/postgres says why on stderr.
    pub fn start() -> Result<Self> {
        Self::run(&[])
    }

    /// One whose data stay in this directory: started there again, it goes on with them, at the same URL.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_in(directory: &Path) -> Result<Self> {
        Self::run(&["--dir", directory.to_str().context("the directory's name is UTF-8")?])
    }

    fn run(more: &[&str]) -> Result<Self> {
        let script = sagaline_test_sources::root().join("scripts/postgres");
        let mut child = Command::new(&script)
            .args(["up", "--hold"])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Not in our group: a signal meant for all of us must not keep it from cleaning up.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", script.display()))?;
        let orders = child.stdin.take();
        let mut url = String::new();
        BufReader::new(child.stdout.take().context("the script's stdout is piped")?).read_line(&mut url)?;
        if url.is_empty() {
            bail!("scripts/postgres ended: {}", child.wait()?);
        }
        Ok(Self { url: url.trim().to_owned(), child, orders })
    }

    /// One server for all tests of a process, started when first asked for. It ends with the process.
    ///
    /// # Panics
    /// When it does not come up: no test can go on then.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Self::start().expect("tests need a PostgreSQL; see above why there is none"))
    }

    /// A way to it over TCP.
    ///
    /// # Errors
    /// When there is no port for it.
    pub fn door(&self) -> Result<Door> {
        let (_, directory) = self.url.split_once("host=").context("the URL names the socket's directory")?;
        Door::to(Path::new(directory.split('&').next().unwrap_or(directory)))
    }

    /// Its database.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Server {
    /// Returns when it is gone. It is not asked to end well: what it had not made durable is lost, as after a crash.
    fn drop(&mut self) {
        // The script ends when our end of its stdin closes.
        self.orders = None;
        if let Err(error) = self.child.wait() {
            eprintln!("scripts/postgres did not end: {error}");
        }
    }
}

/// A schema's name that no other test of this process uses.
#[must_use]
pub fn schema() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed))
}
