//! Real processes of a test: each life with a log file of its own, none of them outlives the test. Says what happened to a process, never what
//! should have.

use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(20);
/// How long a process may take to end after SIGTERM.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// Looks again and again until there is something, or `patience` is over.
///
/// # Errors
/// What a look says, or that patience is over: then `what` names what was waited for.
pub fn wait_until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if began.elapsed() > patience {
            bail!("waited {patience:?} in vain for {what}");
        }
        std::thread::sleep(LOOK);
    }
}

/// A program of this workspace, where cargo has put it.
///
/// # Errors
/// When it is not there: cargo builds it only together with its own package.
pub fn program(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let place =
        test.parent().and_then(Path::parent).context("a test lies in the folder deps of its target")?.join(name);
    if !place.is_file() {
        bail!("there is no {}: run `cargo test --workspace`, or `cargo build --workspace` before", place.display());
    }
    Ok(place)
}

/// What the test itself is told by the environment is not for the programs: they would take it for a misspelt setting.
pub(crate) fn forget_our_settings(command: &mut Command) {
    let ours =
        std::env::vars_os().map(|(name, _)| name).filter(|name| name.as_encoded_bytes().starts_with(b"SAGALINE_"));
    for name in ours {
        command.env_remove(name);
    }
}

/// A process that may live several times.
#[derive(Debug)]
pub struct Process {
    name: String,
    program: PathBuf,
    dir: PathBuf,
    child: Option<Child>,
    lives: usize,
}

impl Process {
    /// A program that will run in `dir`, and keep its logs there. It does not run yet.
    ///
    /// # Errors
    /// When the program was not built.
    pub fn new(name: &str, program_name: &str, dir: &Path) -> Result<Self> {
        let program = program(program_name)?;
        Ok(Self { name: name.to_owned(), program, dir: dir.to_owned(), child: None, lives: 0 })
    }

    /// Where it runs.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its next life begins.
    ///
    /// # Errors
    /// When it runs already, or can't be run.
    pub fn start<S: AsRef<str>>(&mut self, words: &[S], fail_point: Option<&str>) -> Result<()> {
        if self.child.is_some() {
            bail!("{} runs already", self.name);
        }
        self.lives += 1;
        let log = File::create(self.log_path(self.lives))?;
        let mut command = Command::new(&self.program);
        forget_our_settings(&mut command);
        command.args(words.iter().map(AsRef::as_ref)).current_dir(&self.dir);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.envs(fail_point.map(|point| ("SAGALINE_FAIL_POINT", point)));
        die_with_us(&mut command);
        self.child = Some(command.spawn().with_context(|| format!("starting {}", self.program.display()))?);
        Ok(())
    }

    /// Whether it was started, and nobody knows of an end.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When it does not live.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let child = self.child.as_mut().with_context(|| format!("{} does not run", self.name))?;
        let status = child.try_wait()?;
        if status.is_some() {
            self.child = None;
        }
        Ok(status)
    }

    /// Whether it was killed; an error if it ended in another way.
    ///
    /// # Errors
    /// When it ended by itself.
    pub fn killed(&mut self) -> Result<bool> {
        match self.ended()? {
            None => Ok(false),
            Some(status) if status.signal() == Some(libc::SIGKILL) => Ok(true),
            Some(status) => bail!("{} ended by itself, {status}: {}", self.name, self.last_lines()?),
        }
    }

    /// `kill -9`. Returns when it is dead.
    ///
    /// # Errors
    /// When it does not live.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().with_context(|| format!("{} does not run", self.name))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// SIGSTOP: it does nothing until `wake`, and notices nothing.
    ///
    /// # Errors
    /// When it does not live.
    pub fn stall(&self) -> Result<()> {
        send(self.living()?, libc::SIGSTOP);
        Ok(())
    }

    /// SIGCONT: it goes on where it stalled.
    ///
    /// # Errors
    /// When it does not live.
    pub fn wake(&self) -> Result<()> {
        send(self.living()?, libc::SIGCONT);
        Ok(())
    }

    /// Its number among the system's processes.
    ///
    /// # Errors
    /// When it does not live.
    pub fn id(&self) -> Result<u32> {
        Ok(self.living()?.id())
    }

    fn living(&self) -> Result<&Child> {
        self.child.as_ref().with_context(|| format!("{} does not run", self.name))
    }

    /// SIGTERM. Returns when it has ended well.
    ///
    /// # Errors
    /// When it does not end, or not with code 0.
    pub fn stop(&mut self) -> Result<()> {
        send(self.living()?, libc::SIGTERM);
        let what = format!("the end of {}", self.name);
        let status = wait_until(&what, LAST_WORDS, || self.ended())?;
        if !status.success() {
            bail!("{} ended with {status} after SIGTERM: {}", self.name, self.last_lines()?);
        }
        Ok(())
    }

    /// What it has written in this life, or in the last one.
    ///
    /// # Errors
    /// When it never lived.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.log_path(self.lives))?)
    }

    /// What it has written in each of its lives.
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn logs(&self) -> Result<Vec<String>> {
        (1..=self.lives).map(|life| Ok(std::fs::read_to_string(self.log_path(life))?)).collect()
    }

    fn log_path(&self, life: usize) -> PathBuf {
        self.dir.join(format!("{}-{life}.log", self.name))
    }

    fn last_lines(&self) -> Result<String> {
        let log = self.log()?;
        let lines: Vec<&str> = log.lines().collect();
        Ok(lines[lines.len().saturating_sub(5)..].join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.is_some()
            && let Err(error) = self.kill()
        {
            eprintln!("{} is left behind: {error}", self.name);
        }
    }
}

#[allow(unsafe_code)]
fn die_with_us(command: &mut Command) {
    // SAFETY: prctl with these arguments is one system call: it allocates nothing and takes no lock, as pre_exec asks for.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}

#[allow(unsafe_code)]
fn send(child: &Child, signal: i32) {
    // SAFETY: a system call without memory of ours. The process is ours and not waited for yet, so its id is nobody else's.
    unsafe { libc::kill(child.id().cast_signed(), signal) };
}
