//! What of a contract's limits is one partition's (ADR 0017), and how the bucket of its rate fills. Who may go by them: `gate.rs`.

use sagaline_schemas::{Millis, wire_struct};

/// Milliseconds in which the rate's commands may go.
const SECOND: Millis = 1_000;
/// How late it may be looked at a full bucket, where a second's worth is hardly a command, without losing what came in meanwhile.
pub(crate) const LATE: Millis = 100;

wire_struct! {
    /// What of a contract's limits is this partition's; none: no limit.
    #[derive(Default, Copy)]
    pub struct GateLimits {
        /// Commands without an answer, of this partition.
        pub in_flight: Option<u32>,
        /// Commands a second, of all partitions together.
        pub rate: Option<u32>,
        /// How many partitions the rate is shared by. Each counts in its own small parts: nothing is lost by rounding.
        pub among: u32,
    }
}

impl GateLimits {
    /// What one of so many partitions may take of a contract's limits: the shares add up to the whole, but each takes one command at least.
    pub fn share(in_flight: Option<u32>, rate: Option<u32>, partition: u32, among: u32) -> Self {
        let among = among.max(1);
        let share = |whole: u32| (whole / among + u32::from(partition < whole % among)).max(1);
        Self { in_flight: in_flight.map(share), rate, among }
    }

    /// A command as the bucket counts it: in a millisecond, `rate` parts come in.
    pub(crate) fn one(&self) -> i64 {
        SECOND * i64::from(self.among.max(1))
    }

    /// What a bucket that held so much holds so many milliseconds later: a second's worth at most, or one command and a little where that is more.
    pub(crate) fn filled(&self, held: i64, elapsed: Millis) -> i64 {
        let one = self.one();
        let Some(rate) = self.rate.map(|rate| i64::from(rate.max(1))) else { return one };
        held.saturating_add(rate.saturating_mul(elapsed.max(0))).min((rate * SECOND).max(one + rate * LATE))
    }

    /// Milliseconds until a bucket that holds so much has one command.
    pub(crate) fn missing(&self, held: i64) -> Millis {
        let missing = (self.one() - held).max(0);
        let rate = i64::from(self.rate.unwrap_or(1).max(1));
        (missing + rate - 1) / rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_what_is_in_flight_add_up_to_the_whole_and_are_one_at_least() {
        for (whole, among) in [(200, 16), (7, 3), (16, 16), (3, 1), (u32::MAX, 5), (17, 16)] {
            let share = |partition| GateLimits::share(Some(whole), None, partition, among).in_flight.unwrap();
            let shares: Vec<u32> = (0..among).map(share).collect();
            assert_eq!(shares.iter().map(|share| u64::from(*share)).sum::<u64>(), u64::from(whole), "{shares:?}");
            assert!(shares.is_sorted_by(|a, b| a == b || *a == b + 1), "the first take what is left over: {shares:?}");
        }
        let few = |partition| GateLimits::share(Some(2), None, partition, 16).in_flight;
        assert!(
            (0..16).all(|partition| few(partition) == Some(1)),
            "a partition that may send nothing would stand still"
        );
    }
}
