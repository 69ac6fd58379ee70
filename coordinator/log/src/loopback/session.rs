//! The server's side of one connection: one purpose, from the first frame to the last. When it ends, its producer, reader or
//! group membership ends.

use std::io::{self, BufReader, BufWriter, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

use super::frame::{self, Answer, Hello, PROTOCOL, Purpose, Question, ToGroup, ToProduce, ToRead, split};
use crate::{Acknowledgement, GroupEvent, GroupReader, Log, LogError, Producer, Reader, Record};

/// Who connects says so soon what for.
const HELLO: Duration = Duration::from_secs(10);
/// A poll is answered within this, so that a client that died is noticed.
const MOST_WAIT: Duration = Duration::from_millis(250);
/// While acknowledgements are awaited, new appends are looked for this often.
const LOOK: Duration = Duration::from_micros(500);
/// Appends read from the socket before the log has taken them.
const AHEAD: usize = 1024;
/// Records of one answer: as many as fit a frame at the default `max.message.bytes`.
const MAX_RECORDS: usize = 50;

/// Both directions of a connection, buffered.
struct Line<'a> {
    input: BufReader<&'a TcpStream>,
    output: BufWriter<&'a TcpStream>,
}

impl Line<'_> {
    fn answer(&mut self, answer: &Answer, records: &[Record]) -> io::Result<()> {
        frame::write(&mut self.output, answer, records)?;
        self.output.flush()
    }
}

/// Does what the connection is for, until it ends.
pub(super) fn converse(stream: &TcpStream, log: &dyn Log) -> io::Result<()> {
    let mut line = Line { input: BufReader::new(stream), output: BufWriter::new(stream) };
    stream.set_read_timeout(Some(HELLO))?;
    let Some((hello, _)) = frame::read::<Hello>(&mut line.input)? else { return Ok(()) };
    stream.set_read_timeout(None)?;
    if hello.protocol != PROTOCOL {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{:?} is not spoken here", hello.protocol)));
    }
    match hello.purpose {
        Purpose::Ask(question) => {
            let answer = reply(log, question).unwrap_or_else(Answer::Failed);
            line.answer(&answer, &[])
        }
        Purpose::Produce => match log.producer() {
            Ok(producer) => produce(stream, line, producer),
            Err(error) => line.answer(&Answer::Failed(error), &[]),
        },
        Purpose::Read { topic, partition, from } => match log.reader(&topic, partition, from) {
            Ok(reader) => read(line, reader),
            Err(error) => line.answer(&Answer::Failed(error), &[]),
        },
        Purpose::Join { group, member, topics } => match log.join(&group, &member, &topics) {
            Ok(member) => listen(line, member),
            Err(error) => line.answer(&Answer::Failed(error), &[]),
        },
    }
}

fn reply(log: &dyn Log, question: Question) -> Result<Answer, LogError> {
    Ok(match question {
        Question::ClusterId => Answer::ClusterId(log.cluster_id()?),
        Question::Topic(name) => Answer::Topic(log.topic(&name)?),
        Question::Create(topic) => Answer::Topic(Some(log.create_topic(&topic)?)),
        Question::DeleteBelow { topic, partition, offset } => {
            Answer::Start(log.delete_below(&topic, partition, offset)?)
        }
    })
}

/// Reads appends on a thread of its own, so that acknowledgements need not wait for the next of them.
fn produce(stream: &TcpStream, mut line: Line<'_>, mut producer: Box<dyn Producer>) -> io::Result<()> {
    line.answer(&Answer::Done, &[])?;
    let Line { mut input, mut output } = line;
    let (ask, asked) = sync_channel(AHEAD);
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || {
            while let Some(frame) = frame::read::<ToProduce>(&mut input)? {
                if ask.send(frame).is_err() {
                    break;
                }
            }
            Ok(())
        });
        let written = acknowledge(&asked, producer.as_mut(), &mut output);
        drop(asked);
        // Ends the other thread's read, if it is this side that gave up.
        let _closed_already = stream.shutdown(std::net::Shutdown::Both);
        let read = reading.join().unwrap_or_else(|_| Err(io::Error::other("the reading thread panicked")));
        written.and(read)
    })
}

fn acknowledge(
    asked: &Receiver<(ToProduce, Vec<Record>)>,
    producer: &mut dyn Producer,
    output: &mut impl Write,
) -> io::Result<()> {
    let mut acknowledged = Vec::new();
    loop {
        let idle = producer.in_flight() == 0;
        let next = if idle { asked.recv().map_err(|_| TryRecvError::Disconnected) } else { asked.try_recv() };
        match next {
            Ok((ask, records)) => take(ask, records, producer, &mut acknowledged)?,
            // What is under way stays under way: nobody is left to be told.
            Err(TryRecvError::Disconnected) => return Ok(()),
            Err(TryRecvError::Empty) => producer.poll(LOOK, &mut acknowledged),
        }
        if !acknowledged.is_empty() {
            producer.poll(Duration::ZERO, &mut acknowledged);
            frame::write(output, &Answer::acknowledged(std::mem::take(&mut acknowledged)), &[])?;
            output.flush()?;
        }
    }
}

fn take(
    ask: ToProduce,
    mut records: Vec<Record>,
    producer: &mut dyn Producer,
    acknowledged: &mut Vec<Acknowledgement>,
) -> io::Result<()> {
    let ToProduce::Append { topic, partition, ticket } = ask else {
        producer.purge();
        return Ok(());
    };
    let record = records.pop().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "an append of nothing"))?;
    loop {
        match producer.append(&topic, partition, &record, ticket) {
            Ok(()) => return Ok(()),
            Err(LogError::QueueFull { .. }) => producer.poll(LOOK, acknowledged),
            Err(error) => {
                acknowledged.push(Acknowledgement { ticket, outcome: Err(error) });
                return Ok(());
            }
        }
    }
}

fn read(mut line: Line<'_>, mut reader: Box<dyn Reader>) -> io::Result<()> {
    line.answer(&Answer::Done, &[])?;
    while let Some((ask, _)) = frame::read::<ToRead>(&mut line.input)? {
        let outcome = match ask {
            ToRead::Poll { max, wait_ms } => {
                let mut fetched = Vec::new();
                let polled = reader.poll(max.min(MAX_RECORDS), bounded(wait_ms), &mut fetched);
                polled.map(|()| fetched.into_iter().map(GroupEvent::Record).collect())
            }
            ToRead::Bounds => {
                let answer = match reader.bounds() {
                    Ok((start, end)) => Answer::Bounds(start, end),
                    Err(error) => Answer::Failed(error),
                };
                line.answer(&answer, &[])?;
                continue;
            }
        };
        tell(&mut line, outcome)?;
    }
    Ok(())
}

fn listen(mut line: Line<'_>, mut member: Box<dyn GroupReader>) -> io::Result<()> {
    line.answer(&Answer::Done, &[])?;
    while let Some((ask, _)) = frame::read::<ToGroup>(&mut line.input)? {
        let outcome = match ask {
            ToGroup::Poll { max, wait_ms } => {
                let mut events = Vec::new();
                let polled = member.poll(max.min(MAX_RECORDS), bounded(wait_ms), &mut events);
                tell(&mut line, polled.map(|()| events))?;
                continue;
            }
            ToGroup::Commit { topic, partition, offset } => member.commit(&topic, partition, offset),
            ToGroup::Seek { topic, partition, offset } => member.seek(&topic, partition, offset),
            ToGroup::Pause { topic, partition } => member.pause(&topic, partition),
            ToGroup::Resume { topic, partition } => member.resume(&topic, partition),
        };
        line.answer(&outcome.into(), &[])?;
    }
    Ok(())
}

fn tell(line: &mut Line<'_>, outcome: Result<Vec<GroupEvent>, LogError>) -> io::Result<()> {
    match outcome {
        Ok(events) => {
            let (told, records) = split(events);
            line.answer(&Answer::Told(told), &records)
        }
        Err(error) => line.answer(&Answer::Failed(error), &[]),
    }
}

fn bounded(wait_ms: u64) -> Duration {
    Duration::from_millis(wait_ms).min(MOST_WAIT)
}
