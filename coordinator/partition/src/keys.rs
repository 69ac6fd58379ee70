//! The keys of each family: big-endian, so that they sort as what they mean. One function each way.

use sagaline_engine::TimerKind;
use sagaline_schemas::wire::{Reader, Wire, WireError};
use sagaline_schemas::{Digest, Millis, Offset, Position, RequestId, SagaId};

/// The one key of `Family::Meta`.
pub const META: &[u8] = b"meta";

/// A live or ended saga's key.
pub fn key(definition: &str, key: &str) -> Vec<u8> {
    parts(&[], &[definition, key])
}

/// Everything of one channel begins with this.
pub fn channel(channel: &str) -> Vec<u8> {
    parts(&[], &[channel])
}

/// Early events for one key or alias begin with this; their offset follows.
pub fn early(kind: u8, of: &[&str]) -> Vec<u8> {
    parts(&[kind], of)
}

/// An alias.
pub fn alias(definition: &str, alias: &str, value: &str) -> Vec<u8> {
    parts(&[], &[definition, alias, value])
}

/// The newest that was told of a fact of another key.
pub fn told(definition: Digest, fact: &str, key: &str) -> Vec<u8> {
    parts(&definition.0, &[fact, key])
}

/// All sagas that watch a fact of another key.
pub fn watchers(definition: Digest, fact: &str, key: &str) -> Vec<u8> {
    told(definition, fact, key)
}

/// One of them.
pub fn watcher(definition: Digest, fact: &str, key: &str, saga: SagaId) -> Vec<u8> {
    [watchers(definition, fact, key).as_slice(), saga.as_bytes()].concat()
}

/// The newest question of a saga about a fact.
pub fn ask(saga: SagaId, fact: u32) -> Vec<u8> {
    [saga.as_bytes().as_slice(), &fact.to_be_bytes()].concat()
}

/// The attempt at an effect that takes a seat.
pub fn seat(saga: SagaId, effect: u32) -> Vec<u8> {
    [saga.as_bytes().as_slice(), &effect.to_be_bytes()].concat()
}

/// The question about a fact that takes a seat: longer than any attempt's key.
pub fn question_seat(saga: SagaId, fact: u32) -> Vec<u8> {
    [saga.as_bytes().as_slice(), &u32::MAX.to_be_bytes(), &fact.to_be_bytes()].concat()
}

/// Whose seat it is, behind the saga's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatOf {
    /// An attempt at this effect.
    Effect(u32),
    /// A question about this fact.
    Fact(u32),
}

/// Reads a seat's key; none: it is none of ours.
pub fn seat_of(key: &[u8]) -> Option<SeatOf> {
    let number = |bytes: &[u8]| Some(u32::from_be_bytes(bytes.try_into().ok()?));
    match key.get(16..)? {
        effect if effect.len() == 4 => number(effect).map(SeatOf::Effect),
        question => number(question.strip_prefix(&[0xff; 4])?).map(SeatOf::Fact),
    }
}

/// A saga that waits before a gate: the oldest first.
pub fn queue(subject: &str, started: Offset, saga: SagaId) -> Vec<u8> {
    [channel(subject).as_slice(), &started.to_be_bytes(), saga.as_bytes()].concat()
}

/// All questions that wait before a gate. The keys of those who wait for commands begin with a length, and never like this.
pub fn questions(subject: &str) -> Vec<u8> {
    parts(&[0xff], &[subject])
}

/// One of them: who waits longest first.
pub fn question(subject: &str, since: Millis, saga: SagaId, fact: u32) -> Vec<u8> {
    [questions(subject).as_slice(), &timers_from(since), saga.as_bytes(), &fact.to_be_bytes()].concat()
}

/// Who waits, by the end of its key: a saga; a saga and a fact.
pub fn question_of(key: &[u8]) -> Option<(SagaId, u32)> {
    let (rest, fact) = key.split_last_chunk::<4>()?;
    Some((SagaId::from_bytes(*rest.last_chunk::<16>()?), u32::from_be_bytes(*fact)))
}

/// Texts one after the other, each with its length, so that none runs into the next.
fn parts(before: &[u8], texts: &[&str]) -> Vec<u8> {
    let length: usize = texts.iter().map(|text| 4 + text.len()).sum();
    // What most callers add has 16 bytes.
    let mut out = Vec::with_capacity(before.len() + length + 16);
    out.extend_from_slice(before);
    for text in texts {
        out.extend_from_slice(&(text.len() as u32).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    out
}

/// One output of a channel.
pub fn outbox(name: &str, position: Position) -> Vec<u8> {
    let mut out = channel(name);
    out.extend_from_slice(&position.to_key());
    out
}

/// The least key of a channel's outputs behind a position; none: of all its outputs. Iterators begin here, not at the channel's first key:
/// what was deleted before would be walked through again and again.
pub fn outbox_behind(name: &str, position: Option<Position>) -> Vec<u8> {
    match position {
        None => channel(name),
        Some(position) => [outbox(name, position).as_slice(), &[0]].concat(),
    }
}

/// The position at the end of an outbox key.
pub fn outbox_position(key: &[u8]) -> Option<Position> {
    key.last_chunk::<16>().map(|bytes| Position::from_key(*bytes))
}

/// One entry of a saga's history.
pub fn history(saga: SagaId, number: u32) -> Vec<u8> {
    [saga.as_bytes().as_slice(), &number.to_be_bytes()].concat()
}

/// The first key that does not begin with a prefix; none: there is none.
pub fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// What is due, in the order in which it fires: by time, saga, step path, items, round, kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerKey {
    /// Log time.
    pub due: Millis,
    /// Whose.
    pub of: TimerOf,
}

/// Whose timer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimerOf {
    /// A saga's.
    Saga {
        /// The saga.
        saga: SagaId,
        /// The step's path, or `facts.NAME`; empty for the saga's own.
        step: String,
        /// Indices of the items.
        items: Vec<u32>,
        /// The round.
        round: u32,
        /// What for.
        kind: TimerKind,
    },
    /// A request is to be forgotten.
    Request {
        /// Which.
        id: RequestId,
    },
    /// Those who wait before a gate are called.
    Gate {
        /// Which gate.
        subject: String,
    },
    /// An event has waited long enough for its saga.
    Early {
        /// Its key in `Family::Early`.
        place: Vec<u8>,
    },
}

/// No saga has this id: it sorts before all. The partition's own timers have it, and one of these behind it.
const NOBODY: [u8; 16] = [0; 16];
const REQUEST: u8 = 0;
const GATE: u8 = 1;
const EARLY: u8 = 2;

impl TimerKey {
    /// The key.
    pub fn to_key(&self) -> Vec<u8> {
        let mut out = timers_from(self.due);
        match &self.of {
            TimerOf::Request { id } => {
                put_own(&mut out, REQUEST, id.as_bytes());
            }
            TimerOf::Gate { subject } => put_own(&mut out, GATE, subject.as_bytes()),
            TimerOf::Early { place } => put_own(&mut out, EARLY, place),
            TimerOf::Saga { saga, step, items, round, kind } => {
                out.extend_from_slice(saga.as_bytes());
                out.extend_from_slice(step.as_bytes());
                out.push(0);
                out.extend_from_slice(&(items.len() as u32).to_be_bytes());
                items.iter().for_each(|item| out.extend_from_slice(&item.to_be_bytes()));
                out.extend_from_slice(&round.to_be_bytes());
                kind.encode(&mut out);
            }
        }
        out
    }

    /// Reads a key.
    ///
    /// # Errors
    /// When it is none of ours.
    pub fn from_key(key: &[u8]) -> Result<Self, WireError> {
        let mut input = Reader::new(key);
        let due = timer_due(input.take(8)?).ok_or(WireError::Truncated)?;
        let saga: [u8; 16] = array(&mut input)?;
        if saga == NOBODY {
            return Ok(Self { due, of: own(&mut input)? });
        }
        let end = input.rest().iter().position(|byte| *byte == 0).ok_or(WireError::Truncated)?;
        let step = std::str::from_utf8(input.take(end)?).map_err(|_| WireError::Utf8)?.to_owned();
        input.take(1)?;
        let count = u32::from_be_bytes(array(&mut input)?);
        let items = (0..count).map(|_| array(&mut input).map(u32::from_be_bytes)).collect::<Result<_, _>>()?;
        let round = u32::from_be_bytes(array(&mut input)?);
        let kind = TimerKind::decode(&mut input)?;
        input.finish()?;
        Ok(Self { due, of: TimerOf::Saga { saga: SagaId::from_bytes(saga), step, items, round, kind } })
    }
}

fn put_own(out: &mut Vec<u8>, kind: u8, rest: &[u8]) {
    out.extend_from_slice(&NOBODY);
    out.push(kind);
    out.extend_from_slice(rest);
}

/// A timer of the partition itself.
fn own(input: &mut Reader<'_>) -> Result<TimerOf, WireError> {
    let [kind] = array(input)?;
    let rest = input.take(input.rest().len())?;
    match kind {
        REQUEST => {
            let id = rest.try_into().map_err(|_| WireError::Truncated)?;
            Ok(TimerOf::Request { id: RequestId::from_bytes(id) })
        }
        GATE => {
            let subject = std::str::from_utf8(rest).map_err(|_| WireError::Utf8)?.to_owned();
            Ok(TimerOf::Gate { subject })
        }
        EARLY => Ok(TimerOf::Early { place: rest.to_vec() }),
        _ => Err(WireError::Range { what: "a timer of the partition" }),
    }
}

/// The least key of all timers due at or after a time.
pub fn timers_from(due: Millis) -> Vec<u8> {
    ((due as u64) ^ (1 << 63)).to_be_bytes().to_vec()
}

/// When the timer of a key is due; none: it is none of ours.
pub fn timer_due(key: &[u8]) -> Option<Millis> {
    // The sign is flipped so that negative times sort first.
    key.first_chunk().map(|due| (u64::from_be_bytes(*due) ^ (1 << 63)) as Millis)
}

fn array<const N: usize>(input: &mut Reader<'_>) -> Result<[u8; N], WireError> {
    Ok(input.take(N)?.try_into().expect("take gives that many"))
}
