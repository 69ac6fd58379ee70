//! A producer of a log in another process: appends go out as they come, a thread collects what comes back. When the
//! connection breaks, what was under way is unknown; the next append connects again.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use sagaline_schemas::Partition;

use super::frame::{self, Answer, Purpose, ToProduce};
use super::io_error;
use super::line::{Backoff, Line};
use crate::mailbox::Mailbox;
use crate::{Acknowledgement, LogError, Producer, Record, Ticket};

/// Appends of one connection that have no acknowledgement yet: the caller's tickets by our own numbers.
#[derive(Default)]
struct UnderWay {
    broken: bool,
    next: u64,
    tickets: BTreeMap<u64, Ticket>,
}

/// One connection.
struct Link {
    output: BufWriter<TcpStream>,
    under_way: Arc<Mutex<UnderWay>>,
    listening: Option<JoinHandle<()>>,
}

fn hold(under_way: &Mutex<UnderWay>) -> MutexGuard<'_, UnderWay> {
    under_way.lock().expect("nothing panics with the tickets in hand")
}

impl Link {
    fn open(address: SocketAddr, mailbox: &Arc<Mailbox>) -> Result<Self, LogError> {
        let failed = |error: io::Error| io_error(address, &error);
        let (line, _) = Line::open(address, Purpose::Produce)?;
        let stream = line.input.get_ref().try_clone().map_err(failed)?;
        // Acknowledgements come when they come.
        stream.set_read_timeout(None).map_err(failed)?;
        let under_way: Arc<Mutex<UnderWay>> = Arc::default();
        let (mailbox, theirs) = (mailbox.clone(), under_way.clone());
        let listening = Builder::new().name("loopback-producer".to_owned());
        let listening = listening.spawn(move || listen(line, &theirs, &mailbox)).map_err(failed)?;
        Ok(Self { output: BufWriter::new(stream), under_way, listening: Some(listening) })
    }

    fn broken(&self) -> bool {
        hold(&self.under_way).broken
    }

    /// False: the connection is broken, and the append was not taken.
    fn append(&mut self, topic: &str, partition: Partition, record: &Record, ticket: Ticket) -> bool {
        let mut under_way = hold(&self.under_way);
        if under_way.broken {
            return false;
        }
        let number = under_way.next;
        under_way.next += 1;
        under_way.tickets.insert(number, ticket);
        drop(under_way);
        self.send(
            &ToProduce::Append { topic: topic.to_owned(), partition, ticket: number },
            std::slice::from_ref(record),
        );
        true
    }

    fn send(&mut self, ask: &ToProduce, records: &[Record]) {
        if frame::write(&mut self.output, ask, records).is_err() {
            self.close();
        }
    }

    fn flush(&mut self) {
        if !self.output.buffer().is_empty() && self.output.flush().is_err() {
            self.close();
        }
    }

    /// Ends the connection: the listening thread sees it, and says of all that is under way that it is unknown.
    fn close(&self) {
        let _closed_already = self.output.get_ref().shutdown(Shutdown::Both);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
        if let Some(listening) = self.listening.take()
            && listening.join().is_err()
        {
            tracing::error!("the thread that collects acknowledgements panicked");
        }
    }
}

fn listen(mut line: Line, under_way: &Mutex<UnderWay>, mailbox: &Mailbox) {
    let why = loop {
        match frame::read::<Answer>(&mut line.input) {
            Ok(Some((Answer::Acknowledged(told), _))) => {
                let mut under_way = hold(under_way);
                let told = told.into_iter().filter_map(|(number, outcome)| {
                    under_way.tickets.remove(&number).map(|ticket| Acknowledgement { ticket, outcome })
                });
                mailbox.put(told.collect::<Vec<_>>());
            }
            Ok(Some((answer, _))) => break format!("an answer to no append: {answer:?}"),
            Ok(None) => break "the connection was closed".to_owned(),
            Err(error) => break error.to_string(),
        }
    };
    let mut under_way = hold(under_way);
    under_way.broken = true;
    mailbox.put_unknown(std::mem::take(&mut under_way.tickets).into_values(), &why);
}

/// Appends to a log in another process.
pub(super) struct LoopbackProducer {
    address: SocketAddr,
    link: Option<Link>,
    mailbox: Arc<Mailbox>,
    in_flight: usize,
    backoff: Backoff,
}

impl LoopbackProducer {
    pub(super) fn connect(address: SocketAddr) -> Result<Self, LogError> {
        let mailbox = Mailbox::new();
        let link = Some(Link::open(address, &mailbox)?);
        Ok(Self { address, link, mailbox, in_flight: 0, backoff: Backoff::new() })
    }

    /// The connection, opened again where it broke and an attempt is due.
    fn link(&mut self) -> Result<&mut Link, LogError> {
        if self.link.as_ref().is_some_and(Link::broken) {
            self.link = None;
        }
        let link = match self.link.take() {
            Some(link) => link,
            None => self.reopen()?,
        };
        Ok(self.link.insert(link))
    }

    fn reopen(&mut self) -> Result<Link, LogError> {
        if !self.backoff.left().is_zero() {
            return Err(self.unreachable("the connection broke; the next attempt is not due yet"));
        }
        let opened = Link::open(self.address, &self.mailbox);
        match &opened {
            Ok(_) => self.backoff.succeeded(),
            Err(_) => self.backoff.failed(),
        }
        opened
    }

    fn unreachable(&self, detail: &str) -> LogError {
        LogError::Unreachable { address: format!("loopback {}", self.address), detail: detail.to_owned() }
    }
}

impl Producer for LoopbackProducer {
    fn append(&mut self, topic: &str, partition: Partition, record: &Record, ticket: Ticket) -> Result<(), LogError> {
        if !self.link()?.append(topic, partition, record, ticket) {
            return Err(self.unreachable("the connection broke: append again"));
        }
        self.in_flight += 1;
        Ok(())
    }

    fn poll(&mut self, wait: Duration, into: &mut Vec<Acknowledgement>) {
        if let Some(link) = &mut self.link {
            link.flush();
        }
        self.in_flight -= self.mailbox.collect(wait, into);
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn purge(&mut self) {
        if let Some(link) = &mut self.link {
            link.send(&ToProduce::Purge, &[]);
            link.flush();
        }
    }
}
