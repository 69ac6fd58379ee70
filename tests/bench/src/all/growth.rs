//! What a step costs as work grows: more partitions, more sagas that live beside, more steps in a saga. One grows, the rest stays the order workload.

use anyhow::Result;
use serde::Serialize;

use crate::place::Place;
use crate::slice::installation::{Installation, Plan};
use crate::slice::{self, Figures, Time};
use crate::waiting;
use crate::work::Work;

const PARTITIONS: [u32; 3] = [1, 4, 16];
const STEPS: [u32; 5] = [1, 5, 10, 25, 50];
const IN_FLIGHT: u32 = 512;

/// Everything that was grown.
#[derive(Serialize)]
pub struct Growth {
    pub in_flight: u32,
    pub partitions: Vec<Grown>,
    /// By the number of sagas that wait while orders are carried out.
    pub live: Vec<Grown>,
    pub steps: Vec<Grown>,
}

/// A size, and what was measured with it.
#[derive(Serialize)]
pub struct Grown {
    pub size: u32,
    pub figures: Figures,
}

impl Grown {
    /// CPU of the coordinator for a step, microseconds.
    pub fn cost(&self) -> f64 {
        self.figures.cpu.coordinator * 1000.0
    }
}

/// `live`: the numbers of sagas that wait. `say` is told of each size before it is measured.
///
/// # Errors
/// When the log does not answer, a process ends early, or a saga ends as it should not.
pub fn measure(place: &Place, live: &[u32], time: Time, say: impl Fn(&str)) -> Result<Growth> {
    let measured = |partitions: u32, work: Work, waiting: u32| -> Result<Figures> {
        let all = if waiting > 0 { vec![work, Work::Waiting] } else { vec![work] };
        let plan = Plan { place: place.clone(), partitions, work: all, every_step: false };
        let mut installation = Installation::start(plan)?;
        if waiting > 0 {
            waiting::begin(&mut installation, waiting)?;
        }
        slice::measure(&mut installation, work, IN_FLIGHT, time)
    };
    let grow = |what: &str, sizes: &[u32], one: &dyn Fn(u32) -> Result<Figures>| -> Result<Vec<Grown>> {
        let grown = sizes.iter().map(|size| {
            say(&format!("growth: {size} {what}"));
            Ok(Grown { size: *size, figures: one(*size)? })
        });
        grown.collect()
    };
    Ok(Growth {
        in_flight: IN_FLIGHT,
        partitions: grow("partitions", &PARTITIONS, &|partitions| measured(partitions, Work::Order, 0))?,
        live: grow("sagas that wait beside", live, &|waiting| measured(4, Work::Order, waiting))?,
        steps: grow("steps", &STEPS, &|steps| measured(4, Work::Chain(steps), 0))?,
    })
}
