//! The demonstration's processes: found beside this program, each with a log file, started again when they were killed, stopped together. None
//! outlives this one.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::exit::{Exit, Failure};

/// A service that dies more often than this does not do so on purpose.
const MOST_LIVES: usize = 50;
/// How long a process may take to end after SIGTERM.
const LAST_WORDS: Duration = Duration::from_secs(20);
/// One look at a process that is to end.
const LOOK: Duration = Duration::from_millis(10);

/// This program, and the services' beside it.
pub struct Programs {
    sagaline: PathBuf,
    folder: PathBuf,
}

impl Programs {
    /// Where this program lies, there lie the services'.
    ///
    /// # Errors
    /// When one of them does not.
    pub fn beside_this_one(services: &[&str]) -> Result<Self, Failure> {
        let unknown =
            |error: std::io::Error| Failure::usage(format_args!("this program does not find itself: {error}"));
        let sagaline = std::env::current_exe().map_err(unknown)?;
        let folder = sagaline.parent().unwrap_or(Path::new("/")).to_owned();
        let programs = Self { sagaline, folder };
        let missing: Vec<String> = services
            .iter()
            .map(|service| programs.service(service))
            .filter(|program| !program.is_file())
            .map(|program| program.display().to_string())
            .collect();
        if missing.is_empty() {
            return Ok(programs);
        }
        Err(Failure::usage(format_args!(
            "the demonstration's services lie beside this program, but there is no {}. In Sagaline's sources `cargo build --workspace --bins` \
             builds them all into one folder",
            missing.join(", no ")
        )))
    }

    fn service(&self, name: &str) -> PathBuf {
        self.folder.join(format!("sagaline-{name}"))
    }

    /// Runs `sagaline` with these words to its end.
    ///
    /// # Errors
    /// When it ends with another code than 0: as it did.
    pub fn run(&self, dir: &Path, words: &[&str]) -> Result<(), Failure> {
        let output = command(&self.sagaline, dir, words).stdin(Stdio::null()).output();
        let output = output.map_err(|error| Failure::file(&self.sagaline, &error))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Failure::new(exit_of(output.status), reason(&String::from_utf8_lossy(&output.stderr))))
    }
}

/// What this program is told by the environment is not for the others: they get all they need as arguments.
fn command(program: &Path, dir: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    let ours = |name: &std::ffi::OsString| name.as_encoded_bytes().starts_with(b"SAGALINE_");
    for name in std::env::vars_os().map(|(name, _)| name).filter(ours) {
        command.env_remove(name);
    }
    command.args(words).current_dir(dir);
    command
}

fn exit_of(status: ExitStatus) -> Exit {
    match status.code() {
        Some(1) => Exit::Refused,
        Some(2) => Exit::Usage,
        Some(3) => Exit::Unreachable,
        Some(5) => Exit::Timeout,
        Some(6) => Exit::InUse,
        Some(_) | None => Exit::Halted,
    }
}

/// The last line that says why.
fn reason(log: &str) -> String {
    let lines = || log.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines().rfind(|line| line.starts_with("sagaline: ")).or_else(|| lines().next_back());
    line.map_or_else(|| "it said nothing".to_owned(), |line| line.trim_start_matches("sagaline: ").to_owned())
}

/// A process that may live several times.
pub struct Process {
    name: String,
    program: PathBuf,
    words: Vec<String>,
    dir: PathBuf,
    lives: usize,
    child: Child,
    /// Kept open: who writes into a closed pipe dies of it.
    out: Option<BufReader<ChildStdout>>,
}

impl Process {
    /// A coordinator, and the line by which it says that it is ready.
    ///
    /// # Errors
    /// When it ends before: as it did.
    pub fn coordinator(programs: &Programs, dir: &Path, words: &[&str]) -> Result<(Self, String), Failure> {
        let mut process = Self::start(&programs.sagaline, dir, "coordinator", words, Stdio::piped())?;
        let mut out = BufReader::new(process.child.stdout.take().expect("its output is a pipe"));
        let mut line = String::new();
        while !line.starts_with("ready:") {
            line.clear();
            if out.read_line(&mut line).map_err(|error| Failure::file(&process.log_path(), &error))? == 0 {
                let status = process.child.wait().map_err(|error| Failure::file(&process.program, &error))?;
                return Err(process.ended(status));
            }
        }
        process.out = Some(out);
        Ok((process, line))
    }

    /// A service. What it says goes into its log file.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn service(programs: &Programs, dir: &Path, name: &str, words: &[&str]) -> Result<Self, Failure> {
        Self::start(&programs.service(name), dir, name, words, Stdio::null())
    }

    fn start(program: &Path, dir: &Path, name: &str, words: &[&str], out: Stdio) -> Result<Self, Failure> {
        let child = spawn(program, dir, name, words, out)?;
        let (name, program) = (name.to_owned(), program.to_owned());
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Ok(Self { name, program, words, dir: dir.to_owned(), lives: 1, child, out: None })
    }

    /// How often it was started again.
    pub fn restarts(&self) -> usize {
        self.lives - 1
    }

    /// Starts it again if it was killed.
    ///
    /// # Errors
    /// When it ended in another way.
    pub fn tend(&mut self) -> Result<(), Failure> {
        let Some(status) = self.child.try_wait().map_err(|error| Failure::file(&self.program, &error))? else {
            return Ok(());
        };
        if status.signal() != Some(libc::SIGKILL) || self.lives >= MOST_LIVES || self.out.is_some() {
            return Err(self.ended(status));
        }
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        self.child = spawn(&self.program, &self.dir, &self.name, &words, Stdio::null())?;
        self.lives += 1;
        Ok(())
    }

    /// SIGTERM. Returns when it has ended well.
    ///
    /// # Errors
    /// When it does not.
    pub fn stop(mut self) -> Result<(), Failure> {
        terminate(&self.child);
        let began = Instant::now();
        while began.elapsed() < LAST_WORDS {
            match self.child.try_wait().map_err(|error| Failure::file(&self.program, &error))? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(self.ended(status)),
                None => std::thread::sleep(LOOK),
            }
        }
        let message = format!("{} did not stop within {} s", self.name, LAST_WORDS.as_secs());
        Err(Failure::new(Exit::Timeout, message))
    }

    fn ended(&self, status: ExitStatus) -> Failure {
        let path = self.log_path();
        let log = std::fs::read_to_string(&path).unwrap_or_else(|error| format!("{}: {error}", path.display()));
        Failure::new(exit_of(status), format_args!("{} ended by itself, {status}: {}", self.name, reason(&log)))
    }

    fn log_path(&self) -> PathBuf {
        log_path(&self.dir, &self.name)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, unless something went wrong: then there is nothing more to be said of it.
        drop(self.child.kill().and_then(|()| self.child.wait()));
    }
}

fn log_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.log"))
}

fn spawn(program: &Path, dir: &Path, name: &str, words: &[&str], out: Stdio) -> Result<Child, Failure> {
    let path = log_path(dir, name);
    let log: File =
        OpenOptions::new().append(true).create(true).open(&path).map_err(|error| Failure::file(&path, &error))?;
    let mut command = command(program, dir, words);
    // A group of its own: Ctrl-C is for this program, which stops the others.
    command.stdin(Stdio::null()).stdout(out).stderr(log).process_group(0);
    die_with_us(&mut command);
    command.spawn().map_err(|error| Failure::file(program, &error))
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
fn terminate(child: &Child) {
    // SAFETY: a system call without memory of ours. The process is ours and not waited for yet, so its id is nobody else's.
    unsafe { libc::kill(child.id().cast_signed(), libc::SIGTERM) };
}
