//! The way back through a drawing: from each step that is undone to the next, in the gaps between rows and in lanes right of all boxes. It runs
//! through no box, and no two of its ways lie on each other.

use super::layout::Layout;

/// Between two ways in one gap, or two lanes.
const TRACK: f64 = 9.0;

/// One way: from a step to the next that is undone.
#[derive(Clone, Debug, PartialEq)]
pub struct Hop {
    /// From this step.
    pub from: usize,
    /// To this one.
    pub to: usize,
    /// The gap into which it leaves, and its track there. Gap n lies above row n.
    leaves: (usize, usize),
    /// Where the two rows are no neighbours: its lane, and the gap and track from which it arrives.
    around: Option<(usize, (usize, usize))>,
}

/// The ways, and how many run in each gap.
pub struct WayBack {
    /// In the order in which they are gone.
    pub hops: Vec<Hop>,
    /// By gap.
    pub tracks: Vec<usize>,
    /// Lanes beside the boxes.
    pub lanes: usize,
}

impl WayBack {
    /// Through these steps, in this order.
    pub fn through(layout: &Layout, steps: &[usize]) -> Self {
        let mut way = Self { hops: Vec::new(), tracks: vec![0; layout.rows.len() + 1], lanes: 0 };
        for pair in steps.windows(2).filter(|pair| pair[0] != pair[1]) {
            let (from, to) = (pair[0], pair[1]);
            let (start, end) = (layout.places[from].row, layout.places[to].row);
            // Up from its top and into the other's bottom; down the other way; within a row below both.
            let (out, into) = if end < start { (start, end + 1) } else { (start + 1, end.max(start + 1)) };
            let into = if end == start { out } else { into };
            let leaves = way.track(out);
            let around = (into != out).then(|| {
                way.lanes += 1;
                (way.lanes - 1, way.track(into))
            });
            way.hops.push(Hop { from, to, leaves, around });
        }
        way
    }

    fn track(&mut self, gap: usize) -> (usize, usize) {
        self.tracks[gap] += 1;
        (gap, self.tracks[gap] - 1)
    }

    /// How much room the ways need in a gap.
    pub fn room(&self, gap: usize) -> f64 {
        self.tracks[gap] as f64 * TRACK
    }

    /// How much room the lanes need.
    pub fn beside(&self) -> f64 {
        if self.lanes == 0 { 0.0 } else { (self.lanes + 1) as f64 * TRACK }
    }
}

/// Where rows begin and end, and where the lanes are.
pub struct Frame<'a> {
    /// Top and bottom of each row.
    pub rows: &'a [(f64, f64)],
    /// What is above the first row.
    pub top: f64,
    /// Right of all boxes.
    pub right: f64,
}

impl Hop {
    /// The corners of the way. It leaves and arrives right of the middle, where no edge does, each at a place of its own.
    pub fn corners(&self, layout: &Layout, frame: &Frame<'_>) -> Vec<(f64, f64)> {
        let (from, to) = (&layout.places[self.from], &layout.places[self.to]);
        let (out, into) = (from.x + from.width * 0.36, to.x + to.width * 0.22);
        let leaves_up = self.leaves.0 == from.row;
        let arrives_up = to.row <= from.row;
        let (top, bottom) = frame.rows[from.row];
        let start = if leaves_up { top } else { bottom };
        let (top, bottom) = frame.rows[to.row];
        let end = if arrives_up { bottom + 3.0 } else { top - 3.0 };
        let first = frame.track(self.leaves);
        let mut corners = vec![(out, start), (out, first)];
        if let Some((lane, arrives)) = self.around {
            let (lane, last) = (frame.right + (lane + 1) as f64 * TRACK, frame.track(arrives));
            corners.extend([(lane, first), (lane, last), (into, last)]);
        } else {
            corners.push((into, first));
        }
        corners.push((into, end));
        corners
    }
}

impl Frame<'_> {
    fn track(&self, (gap, track): (usize, usize)) -> f64 {
        let above = gap.checked_sub(1).map_or(self.top, |row| self.rows[row].1);
        above + 14.0 + track as f64 * TRACK
    }
}
