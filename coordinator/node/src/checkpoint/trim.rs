//! How far a partition's log may be trimmed: a pure rule. Whatever is left must be enough to make every store anew, also when the newest
//! checkpoint turns out to be of no use, and when a person has an input passed over.

use sagaline_schemas::{Offset, Position};

use super::shelf::Kept;

/// Where a partition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// First offset of the log.
    pub start: Offset,
    /// How far any Progress shows its writer to have folded: no Fault counts for an input before it any more.
    pub vouched: Option<Position>,
}

/// Below which offset records may go; none: all stay. `usable`: the checkpoints from which this log can be folded on, as `Restorer::choose` found
/// them just now; what was verified against records that the log has lost since holds up nothing, and is to be gone before anything is trimmed.
/// Never above the older of the two newest, and never past an input that a person may still have passed over: to pass it over, a store is made
/// anew from before it.
pub fn bound(usable: &[Kept], place: Place) -> Option<Offset> {
    let mut verified: Vec<Offset> = usable.iter().filter(|kept| kept.is_verified()).map(Kept::position).collect();
    verified.sort_unstable();
    verified.dedup();
    let older = *verified.iter().rev().nth(1)?;
    let settled = place.vouched.map_or(0, |vouched| vouched.offset);
    // The newest checkpoint that every Fault to come leaves as it is: a store is made anew from it, or from a later one.
    let bound = verified.into_iter().rev().find(|position| *position <= older && *position <= settled)?;
    (bound > place.start).then_some(bound)
}
