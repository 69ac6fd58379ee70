//! Where the boxes of a drawing stand: a row for each longest way from the start, within a row near what comes before. An edge that passes a row
//! has a narrow place of its own there, so that none runs through a box.

use std::collections::BTreeMap;

use sagaline_definition::model::{Definition, StepIndex};

/// How high a box is.
pub const HEIGHT: f64 = 66.0;
/// Between two boxes of a row.
const BESIDE: f64 = 34.0;
/// How wide the place of an edge is that passes a row.
const PASSING: f64 = 10.0;
/// How often the rows are pulled towards each other.
const PULLS: usize = 4;

/// A step, or the place of an edge that passes the row of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Of {
    /// A step.
    Step(StepIndex),
    /// An edge.
    Edge,
}

/// Something that takes room in a row.
#[derive(Clone, Debug)]
pub struct Place {
    /// What stands there.
    pub of: Of,
    /// Which row, from the top.
    pub row: usize,
    /// How wide it is.
    pub width: f64,
    /// Its middle.
    pub x: f64,
}

/// All places, and which follow which: each goes to the next row.
pub struct Layout {
    /// Steps first, in their order.
    pub places: Vec<Place>,
    /// From, to.
    pub links: Vec<(usize, usize)>,
    /// By row, from left to right.
    pub rows: Vec<Vec<usize>>,
}

/// Lays the steps out; `width` says how wide the box of each is.
pub fn layout(definition: &Definition, width: impl Fn(StepIndex) -> f64) -> Layout {
    let rows = rows(definition);
    let step = |step: StepIndex| Place { of: Of::Step(step), row: rows[&step], width: width(step), x: 0.0 };
    let places: Vec<Place> = (0..definition.steps.len()).map(step).collect();
    let count = rows.values().max().map_or(0, |row| row + 1);
    let mut layout = Layout { places, links: Vec::new(), rows: vec![Vec::new(); count] };
    for (number, step) in definition.steps.iter().enumerate() {
        step.after.iter().for_each(|before| layout.link(*before, number));
    }
    layout.order();
    layout.pull();
    layout
}

/// The longest way from the start to each step.
fn rows(definition: &Definition) -> BTreeMap<StepIndex, usize> {
    let mut rows: BTreeMap<StepIndex, usize> = BTreeMap::new();
    for _ in 0..definition.steps.len() {
        for (number, step) in definition.steps.iter().enumerate() {
            let row = step.after.iter().map(|before| rows.get(before).copied().unwrap_or(0) + 1).max().unwrap_or(0);
            rows.insert(number, row);
        }
    }
    rows
}

impl Layout {
    /// A link, with a place in every row between.
    fn link(&mut self, from: usize, to: usize) {
        let mut before = from;
        for row in self.places[from].row + 1..self.places[to].row {
            self.places.push(Place { of: Of::Edge, row, width: PASSING, x: 0.0 });
            self.links.push((before, self.places.len() - 1));
            before = self.places.len() - 1;
        }
        self.links.push((before, to));
    }

    /// Within a row in the order of what comes before.
    fn order(&mut self) {
        let mut rank: BTreeMap<usize, f64> = BTreeMap::new();
        for row in 0..self.rows.len() {
            let mut here: Vec<usize> = (0..self.places.len()).filter(|place| self.places[*place].row == row).collect();
            let key = |place: &usize| mean(self.before(*place).filter_map(|before| rank.get(&before).copied()));
            here.sort_by(|a, b| key(a).total_cmp(&key(b)).then(a.cmp(b)));
            let count = here.len() as f64;
            rank.extend(here.iter().enumerate().map(|(at, place)| (*place, (at as f64 + 0.5) / count)));
            self.rows[row] = here;
        }
    }

    fn before(&self, place: usize) -> impl Iterator<Item = usize> + '_ {
        self.links.iter().filter(move |(_, to)| *to == place).map(|(from, _)| *from)
    }

    fn behind(&self, place: usize) -> impl Iterator<Item = usize> + '_ {
        self.links.iter().filter(move |(from, _)| *from == place).map(|(_, to)| *to)
    }

    /// Each row as near to its neighbours as its own boxes let it, first down, then up. At last the leftmost edge is at 0.
    fn pull(&mut self) {
        for pull in 0..PULLS {
            let down = pull % 2 == 0;
            for at in 0..self.rows.len() {
                let row = if down { at } else { self.rows.len() - 1 - at };
                let near = |place: &usize| match down {
                    true => mean(self.before(*place).map(|before| self.places[before].x)),
                    false => mean(self.behind(*place).map(|behind| self.places[behind].x)),
                };
                let wanted: Vec<f64> = self.rows[row].iter().map(near).collect();
                self.spread(row, &wanted);
            }
        }
        let left = self.places.iter().map(|place| place.x - place.width / 2.0).fold(f64::INFINITY, f64::min);
        self.places.iter_mut().for_each(|place| place.x -= left);
    }

    /// No two overlap; on the whole they are where they want to be.
    fn spread(&mut self, row: usize, wanted: &[f64]) {
        let here = self.rows[row].clone();
        let mut least = f64::NEG_INFINITY;
        for (place, wanted) in here.iter().zip(wanted) {
            let half = self.places[*place].width / 2.0;
            self.places[*place].x = wanted.max(least + half);
            least = self.places[*place].x + half + BESIDE;
        }
        let off = mean(here.iter().zip(wanted).map(|(place, wanted)| wanted - self.places[*place].x));
        here.iter().for_each(|place| self.places[*place].x += off);
    }

    /// The rightmost edge.
    pub fn right(&self) -> f64 {
        self.places.iter().map(|place| place.x + place.width / 2.0).fold(0.0, f64::max)
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count == 0.0 { 0.0 } else { sum / count }
}
