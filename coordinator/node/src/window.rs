//! Appends in flight, in the order in which they were made. Only the acknowledged prefix counts: an acknowledgement behind an append that
//! is still open, or that failed, proves nothing about what lies between (records.md section 2, runs).

use std::collections::VecDeque;

use sagaline_log::Ticket;

/// Tickets of one lane lie in one range, so that an acknowledgement finds its window without a map.
const LANE_SHIFT: u32 = 40;

/// The ticket of an append: which window it belongs to, and its number there.
pub fn ticket(lane: u64, number: u64) -> Ticket {
    debug_assert!(number < 1 << LANE_SHIFT, "a window of a trillion appends would outlive the machine");
    lane << LANE_SHIFT | number
}

/// The inverse of `ticket`.
pub fn lane_and_number(ticket: Ticket) -> (u64, u64) {
    (ticket >> LANE_SHIFT, ticket & ((1 << LANE_SHIFT) - 1))
}

/// Appends in flight.
#[derive(Debug)]
pub struct Window<T> {
    /// Number of the first in `flights`. Numbers are never used twice.
    first: u64,
    flights: VecDeque<Flight<T>>,
}

#[derive(Debug)]
struct Flight<T> {
    of: T,
    landed: bool,
}

impl<T> Default for Window<T> {
    fn default() -> Self {
        Self { first: 0, flights: VecDeque::new() }
    }
}

impl<T> Window<T> {
    /// The number that the next append gets.
    pub fn next_number(&self) -> u64 {
        self.first + self.flights.len() as u64
    }

    /// An append was handed over.
    pub fn push(&mut self, of: T) {
        self.flights.push_back(Flight { of, landed: false });
    }

    /// An append is in the log. One that was voided is ignored.
    pub fn landed(&mut self, number: u64) {
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(flight) = index.and_then(|index| self.flights.get_mut(index)) {
            flight.landed = true;
        }
    }

    /// The next of the acknowledged prefix, taken away; none: the oldest append is still open.
    pub fn take_acknowledged(&mut self) -> Option<T> {
        if !self.flights.front()?.landed {
            return None;
        }
        self.first += 1;
        self.flights.pop_front().map(|flight| flight.of)
    }

    /// The oldest append without an acknowledgement in the prefix.
    pub fn oldest(&self) -> Option<&T> {
        self.flights.front().map(|flight| &flight.of)
    }

    /// Appends outside of the acknowledged prefix.
    pub fn len(&self) -> usize {
        self.flights.len()
    }

    /// The run has ended: acknowledgements of what is in flight count no more.
    pub fn void(&mut self) {
        self.first = self.next_number();
        self.flights.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window_of(items: &[&'static str]) -> Window<&'static str> {
        let mut window = Window::default();
        items.iter().for_each(|item| window.push(*item));
        window
    }

    #[test]
    fn only_the_prefix_counts() {
        let mut window = window_of(&["a", "b", "c"]);
        window.landed(1);
        window.landed(2);
        assert_eq!(window.take_acknowledged(), None);
        window.landed(0);
        let taken: Vec<_> = std::iter::from_fn(|| window.take_acknowledged()).collect();
        assert_eq!(taken, ["a", "b", "c"]);
    }

    #[test]
    fn what_was_voided_is_not_acknowledged_by_its_number() {
        let mut window = window_of(&["a", "b"]);
        window.void();
        window.push("again");
        window.landed(0);
        window.landed(1);
        assert_eq!(window.take_acknowledged(), None);
        window.landed(2);
        assert_eq!(window.take_acknowledged(), Some("again"));
    }

    #[test]
    fn a_ticket_tells_lane_and_number() {
        assert_eq!(lane_and_number(ticket(7, 12)), (7, 12));
    }
}
