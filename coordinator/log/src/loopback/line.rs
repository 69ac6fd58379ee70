//! A client's connection: opened for one purpose, opened again when it breaks, with growing pauses between the attempts.

use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::frame::{self, Answer, Hello, PROTOCOL, Purpose};
use super::io_error;
use crate::{GroupEvent, LogError, Record};

/// An answer that takes longer than this does not come any more.
const ANSWER: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// One connection.
pub(super) struct Line {
    pub(super) input: BufReader<TcpStream>,
}

impl Line {
    /// Connects, says what for, and gives the answer to that.
    pub(super) fn open(address: SocketAddr, purpose: Purpose) -> Result<(Self, Answer), LogError> {
        let unreachable = |error: io::Error| LogError::Unreachable {
            address: format!("loopback {address}"),
            detail: format!("{error}: is `sagaline dev` running?"),
        };
        let stream = TcpStream::connect(address).map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        stream.set_read_timeout(Some(ANSWER)).map_err(unreachable)?;
        let mut line = Self { input: BufReader::new(stream) };
        let hello = Hello { protocol: PROTOCOL.to_owned(), purpose };
        match line.ask(&hello).map_err(unreachable)? {
            (Answer::Failed(error), _) => Err(error),
            (answer, _) => Ok((line, answer)),
        }
    }

    /// One frame there, one back. After an error the line is of no use.
    fn ask(&mut self, head: &impl Serialize) -> io::Result<(Answer, Vec<Record>)> {
        frame::write(&mut self.input.get_ref(), head, &[])?;
        frame::read(&mut self.input)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// Pauses between attempts to connect.
#[derive(Debug)]
pub(super) struct Backoff {
    due: Instant,
    pause: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { due: Instant::now(), pause: FIRST_PAUSE }
    }

    /// How long the next attempt has to wait.
    pub(super) fn left(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now())
    }

    pub(super) fn failed(&mut self) {
        self.due = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::new();
    }
}

/// A connection for one purpose that outlives its breaks.
pub(super) struct Session {
    pub(super) address: SocketAddr,
    pub(super) purpose: Purpose,
    line: Option<Line>,
    backoff: Backoff,
}

impl Session {
    pub(super) fn open(address: SocketAddr, purpose: Purpose) -> Result<Self, LogError> {
        let (line, _) = Line::open(address, purpose.clone())?;
        Ok(Self { address, purpose, line: Some(line), backoff: Backoff::new() })
    }

    pub(super) fn connected(&self) -> bool {
        self.line.is_some()
    }

    /// Connects again, where it broke. Waits at most `wait` for its turn.
    pub(super) fn mend(&mut self, wait: Duration) -> Result<(), LogError> {
        if self.line.is_some() {
            return Ok(());
        }
        let left = self.backoff.left();
        std::thread::sleep(left.min(wait));
        if left > wait {
            let detail = "the connection broke; the next attempt to connect is not due yet".to_owned();
            return Err(LogError::Unreachable { address: format!("loopback {}", self.address), detail });
        }
        match Line::open(self.address, self.purpose.clone()) {
            Ok((line, _)) => {
                self.line = Some(line);
                self.backoff.succeeded();
                Ok(())
            }
            Err(error) => {
                self.backoff.failed();
                Err(error)
            }
        }
    }

    /// Asks, if there is a connection.
    pub(super) fn ask(&mut self, head: &impl Serialize) -> Result<(Answer, Vec<Record>), LogError> {
        let line = self.line.as_mut().ok_or_else(|| LogError::Unreachable {
            address: format!("loopback {}", self.address),
            detail: "the connection broke: poll to connect again".to_owned(),
        })?;
        match line.ask(head) {
            Ok((Answer::Failed(error), _)) => Err(error),
            Ok(answer) => Ok(answer),
            Err(error) => {
                self.line = None;
                Err(io_error(self.address, &error))
            }
        }
    }

    /// Asks for events until some come or `wait` is over. `ask`: the question, given the milliseconds left.
    pub(super) fn events<T: Serialize>(
        &mut self,
        wait: Duration,
        ask: impl Fn(u64) -> T,
    ) -> Result<Vec<GroupEvent>, LogError> {
        let deadline = Instant::now() + wait;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // Rounded up: the last millisecond is not to be spent asking again and again.
            let (answer, records) = self.ask(&ask(left.as_micros().div_ceil(1000) as u64))?;
            let Answer::Told(told) = answer else { return Err(self.unexpected(&answer)) };
            let events = frame::unite(told, records).ok_or_else(|| self.unexpected(&Answer::Told(Vec::new())))?;
            if !events.is_empty() || left.is_zero() {
                return Ok(events);
            }
        }
    }

    pub(super) fn unexpected(&self, answer: &Answer) -> LogError {
        unexpected(self.address, answer)
    }
}

/// The error for an answer that is none to the question.
pub(super) fn unexpected(address: SocketAddr, answer: &Answer) -> LogError {
    LogError::Io { place: format!("loopback {address}"), detail: format!("this answers another question: {answer:?}") }
}
