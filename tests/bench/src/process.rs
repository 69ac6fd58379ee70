//! Processes of this program in another role, and how they are told what to do: orders on stdin, a line of answer on stdout. Such a
//! process ends when its stdin does, so that none outlives a run that was killed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;

const READY: &str = "ready";

/// Where a run stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    WarmUp,
    Measured,
    Over,
}

/// The phase that this process was last told.
pub struct Orders(Arc<AtomicU8>);

impl Orders {
    pub fn phase(&self) -> Phase {
        match self.0.load(Ordering::Relaxed) {
            0 => Phase::WarmUp,
            1 => Phase::Measured,
            _ => Phase::Over,
        }
    }
}

/// Follows the parent's orders in a thread of its own; ends this process when there will be no more.
pub fn follow_orders() -> Orders {
    let phase = Arc::new(AtomicU8::new(0));
    let told = Arc::clone(&phase);
    std::thread::spawn(move || {
        for order in std::io::stdin().lock().lines() {
            match order.as_deref() {
                Ok("begin") => told.store(1, Ordering::Relaxed),
                Ok("end") => told.store(2, Ordering::Relaxed),
                _ => break,
            }
        }
        std::process::exit(0);
    });
    Orders(phase)
}

/// Tells the parent that work may come, and what it wants to know.
pub fn say_ready(what: &str) {
    println!("{READY} {what}");
}

/// A process in another role; it is killed when dropped.
pub struct Process {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    ready: String,
}

impl Process {
    /// # Errors
    /// When it does not get ready: it has said why on stderr.
    pub fn start(role: &str, arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(role)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("stdout is piped")?);
        let mut process = Self { child, orders, answers, ready: String::new() };
        let line = process.answer()?;
        process.ready = line.strip_prefix(READY).context("a process did not start")?.trim().to_owned();
        Ok(process)
    }

    /// What it said when it was ready.
    pub fn ready(&self) -> &str {
        &self.ready
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// # Errors
    /// When it has ended.
    pub fn order(&mut self, order: &str) -> Result<()> {
        let orders = self.orders.as_mut().context("it was told to end")?;
        writeln!(orders, "{order}").context("a process ended early")
    }

    /// Orders something that is answered with a line of JSON.
    ///
    /// # Errors
    /// When it has ended, or answers something else.
    pub fn ask<T: DeserializeOwned>(&mut self, order: &str) -> Result<T> {
        self.order(order)?;
        let answer = self.answer()?;
        serde_json::from_str(&answer).with_context(|| format!("{order}: {answer}"))
    }

    /// Has it end cleanly.
    ///
    /// # Errors
    /// When it does not.
    pub fn stop(mut self) -> Result<()> {
        self.orders = None;
        let status = self.child.wait()?;
        ensure!(status.success(), "a process ended with {status}");
        Ok(())
    }

    /// # Errors
    /// When it has ended.
    pub fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.answers.read_line(&mut line)? > 0, "a process ended early");
        Ok(line.trim().to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let ended = self.child.kill().and_then(|()| self.child.wait());
        if let Err(error) = ended {
            eprintln!("process {} did not end: {error}", self.child.id());
        }
    }
}
