//! What the sagas of a run do: what starts one, what answers it, how it must end. The order workload is the one that figures are told of.
//! Everything is a function of a saga's key, so that the processes of a run need not tell each other.

mod definition;

use std::fmt;
use std::str::FromStr;

use sagaline_node::Names;
use sagaline_schemas::Value;
use sagaline_schemas::command::Command;
use sagaline_schemas::record::{Answer, Compensated, End, Kind, Refused, Succeeded};
use sagaline_schemas::wire::Bytes;

pub use definition::{contract, definitions};

/// Who carries out the steps.
pub const PARTICIPANT: &str = "worker";
/// Bytes of each payload, unless said otherwise.
pub const PAYLOAD: usize = 256;
/// Steps of an order.
const STEPS: u32 = 5;
const REFUSING: &str = "step-3";

/// A kind of saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// The order workload: five steps in sequence, one saga in ten refused at its fourth.
    Order,
    /// So many steps in sequence, none refused.
    Chain(u32),
    /// A step, then an event is awaited that does not come.
    Waiting,
    /// A sleep until the time in its event, then a step.
    Sleeping,
}

/// Its name: a definition's, a topic's, and what keys begin with.
impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order => f.write_str("order"),
            Self::Chain(steps) => write!(f, "chain{steps}"),
            Self::Waiting => f.write_str("waiting"),
            Self::Sleeping => f.write_str("sleeping"),
        }
    }
}

impl FromStr for Work {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let chain = name.strip_prefix("chain").and_then(|steps| steps.parse().ok()).filter(|steps| *steps > 0);
        match (name, chain) {
            ("order", _) => Ok(Self::Order),
            ("waiting", _) => Ok(Self::Waiting),
            ("sleeping", _) => Ok(Self::Sleeping),
            (_, Some(steps)) => Ok(Self::Chain(steps)),
            _ => Err(format!("{name:?} is no work: there are order, chainN, waiting, sleeping")),
        }
    }
}

impl Work {
    /// The domain topic whose events start its sagas.
    pub fn topic(self, names: &Names) -> String {
        names.of_channel(&self.to_string())
    }

    /// The correlation id of a saga.
    pub fn key(self, number: u32) -> String {
        format!("{self}-{number}")
    }

    /// The number of the saga with that correlation id.
    pub fn number(self, key: &str) -> Option<u32> {
        key.strip_prefix(&self.to_string())?.strip_prefix('-')?.parse().ok()
    }

    /// How a saga ends, and its steps: forward commands, and undos that are carried out.
    pub fn end(self, number: u32) -> (End, u32) {
        match self {
            Self::Order if number % 10 == 7 => (End::Compensated, 7),
            Self::Order => (End::Completed, STEPS),
            Self::Chain(steps) => (End::Completed, steps),
            Self::Waiting | Self::Sleeping => (End::Completed, 1),
        }
    }

    /// The event that starts it: JSON of so many bytes, if they hold its key.
    pub fn event(self, number: u32, payload: usize) -> Vec<u8> {
        self.padded(&format!(r#"{{"order":"{}","text":""#, self.key(number)), payload)
    }

    /// The same with the time at which a sleep is over, milliseconds since 1970.
    pub fn event_due(self, number: u32, due: i64, payload: usize) -> Vec<u8> {
        self.padded(&format!(r#"{{"due":{due},"order":"{}","text":""#, self.key(number)), payload)
    }

    fn padded(self, head: &str, payload: usize) -> Vec<u8> {
        let text = "x".repeat(payload.saturating_sub(head.len() + 2));
        format!(r#"{head}{text}"}}"#).into_bytes()
    }

    /// The kind of the saga that wants this.
    pub fn of(command: &Command) -> Option<Self> {
        command.saga.split_once('/')?.0.parse().ok()
    }

    /// Whether a saga of this kind has no command behind this one.
    pub fn ends_with(self, command: &Command) -> bool {
        match (self, &command.address.kind) {
            (Self::Order, Kind::Do) => command.operation == "step-4",
            (Self::Order, _) => command.operation == "undo-0",
            (Self::Chain(steps), _) => command.operation == definition::operation(steps - 1),
            (Self::Waiting | Self::Sleeping, _) => true,
        }
    }

    /// Operations that its definition calls.
    fn operations(self) -> u32 {
        match self {
            Self::Order => STEPS,
            Self::Chain(steps) => steps,
            Self::Waiting | Self::Sleeping => 1,
        }
    }
}

/// What the participant says, at once.
pub fn answer(command: &Command, payload: usize) -> Answer {
    match command.address.kind {
        Kind::Do if command.operation == REFUSING && is_refused(&command.saga) => {
            Answer::Refused(Refused { code: "No".to_owned(), detail: String::new() })
        }
        Kind::Do => {
            let result = format!(r#"{{"text":"{}"}}"#, "y".repeat(payload.saturating_sub(11)));
            Answer::Succeeded(Succeeded { result: Bytes(result.into_bytes()) })
        }
        Kind::Compensate | Kind::Probe | Kind::Ask => Answer::Compensated(Compensated { result: None }),
    }
}

fn is_refused(saga: &str) -> bool {
    saga.starts_with("order/") && saga.ends_with('7')
}

/// When a saga's sleep was over, milliseconds since 1970, as its event said; none: it says nothing of it.
pub fn due(command: &Command) -> Option<i64> {
    match Value::parse(&command.input.0).ok()?.get("due") {
        Some(Value::Int(due)) => Some(*due),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_starts_a_saga_is_as_large_as_said_and_names_it() {
        for work in [Work::Order, Work::Chain(50), Work::Waiting] {
            for saga in [0, 7, 1_234_567] {
                let event = work.event(saga, PAYLOAD);
                assert_eq!(event.len(), PAYLOAD);
                let event = Value::parse(&event).unwrap();
                let Some(Value::String(named)) = event.get("order") else { panic!("no key in {event}") };
                assert_eq!(work.number(named), Some(saga));
            }
        }
    }

    #[test]
    fn what_starts_a_sleep_says_when_it_is_over() {
        let event = Work::Sleeping.event_due(3, 1_700_000_000_000, PAYLOAD);
        assert_eq!(event.len(), PAYLOAD);
        assert_eq!(Value::parse(&event).unwrap().get("due"), Some(&Value::Int(1_700_000_000_000)));
    }

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for work in [Work::Order, Work::Chain(1), Work::Chain(50), Work::Waiting, Work::Sleeping] {
            assert_eq!(work.to_string().parse(), Ok(work));
        }
        for name in ["", "chain", "chain0", "orders"] {
            assert_eq!(
                name.parse::<Work>().unwrap_err(),
                format!("{name:?} is no work: there are order, chainN, waiting, sleeping")
            );
        }
    }

    #[test]
    fn one_kind_does_not_take_another_ones_key() {
        assert_eq!(Work::Chain(5).number(&Work::Chain(50).key(3)), None);
        assert_eq!(Work::Order.number(&Work::Chain(5).key(3)), None);
    }
}
