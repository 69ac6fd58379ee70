//! A coordinator's machine: the node's own owner and ingress over stores that survive it. It crashes, sleeps and wakes as the plan says.
//! Whatever an owner gives up for is looked at: only a log that can't be read at the moment are ever right.

use std::sync::Arc;
use std::time::Duration;

use sagaline_log::Log;
use sagaline_log::simulated::EPOCH;
use sagaline_node::ingress::{Ingress, IngressOptions};
use sagaline_node::owner::opening::Origin;
use sagaline_node::owner::stop::Stop;
use sagaline_node::owner::{Owner, OwnerOptions};
use sagaline_node::registry::Registry;
use sagaline_node::topics::Inbox;
use sagaline_node::{BootTime, Names, Standing};
use sagaline_partition::{Faults, KnownRules};
use sagaline_schemas::Millis;
use sagaline_schemas::proof::Key;

use crate::gullible::GullibleLog;
use crate::scene::{Mutation, Scene};
use crate::store::Disk;

/// How long a supervisor waits before it starts again what has given up.
const AGAIN: Millis = 2_000;

/// One inbox partition at this machine.
pub struct Seat {
    /// Which.
    pub partition: u32,
    /// What survives.
    pub disk: Disk,
    /// Who folds it; none: not open.
    pub owner: Option<Owner>,
    origin: Origin,
    open_at: Millis,
}

enum State {
    Up,
    /// Its memory is kept; no time passes for it.
    Asleep {
        until: Millis,
    },
    /// Its memory is gone.
    Down {
        until: Millis,
    },
}

/// One machine.
pub struct Node {
    name: String,
    log: Arc<dyn Log>,
    key: Key,
    inbox: Inbox,
    /// One per inbox partition.
    pub seats: Vec<Seat>,
    ingress: Option<Ingress>,
    state: State,
}

impl Node {
    /// With empty disks and a clock that is `skew` milliseconds ahead.
    pub fn new(name: &str, skew: Millis, key: &Key, inbox: &Inbox, scene: &Scene) -> Self {
        let log = scene.simulation.log_with_clock(skew);
        let log: Arc<dyn Log> = match scene.mutation {
            Some(Mutation::UnknownIsAcknowledged) => Arc::new(GullibleLog(log)),
            _ => Arc::new(log),
        };
        let seat = |partition| Seat {
            partition,
            disk: Disk::new(scene.mutation == Some(Mutation::NoRepublishing)),
            owner: None,
            origin: Origin::default(),
            open_at: 0,
        };
        Self {
            name: name.to_owned(),
            log,
            key: key.clone(),
            inbox: inbox.clone(),
            seats: (0..inbox.partitions).map(seat).collect(),
            ingress: None,
            state: State::Up,
        }
    }

    /// The machine loses power, and is back then.
    pub fn crash(&mut self, scene: &mut Scene, until: Millis) {
        scene.strike("coordinator crashed", format!("{} for {} ms", self.name, until - scene.now()));
        self.ingress = None;
        for seat in &mut self.seats {
            seat.owner = None;
            seat.disk.crash();
            if scene.mutation == Some(Mutation::TamperedStore) && seat.disk.tamper() {
                scene.note("a byte of the store is changed");
            }
        }
        self.state = State::Down { until };
    }

    /// The machine sleeps, and wakes up as if no time had passed.
    pub fn nod_off(&mut self, scene: &mut Scene, until: Millis) {
        if matches!(self.state, State::Up) {
            scene.strike("coordinator asleep", format!("{} for {} ms", self.name, until - scene.now()));
            self.state = State::Asleep { until };
        }
    }

    /// Ingress loses its memory: what it had read and not committed is read again.
    pub fn crash_ingress(&mut self, scene: &mut Scene) {
        scene.strike("ingress crashed", &self.name);
        self.ingress = None;
    }

    /// One turn of everything that runs here. Whether anything was done.
    ///
    /// # Errors
    /// What an owner must never give up for.
    pub fn turn(&mut self, scene: &mut Scene) -> Result<bool, String> {
        let now = scene.now();
        match self.state {
            State::Up => {}
            State::Asleep { until } | State::Down { until } if now < until && !scene.calm => return Ok(false),
            State::Asleep { .. } | State::Down { .. } => {
                scene.note(format!("{} is back", self.name));
                self.state = State::Up;
            }
        }
        let boot = boot_time(now);
        let mut worked = self.turn_ingress(scene, boot);
        for index in 0..self.seats.len() {
            worked |= self.turn_seat(index, scene, boot)?;
        }
        Ok(worked)
    }

    fn turn_ingress(&mut self, scene: &mut Scene, boot: BootTime) -> bool {
        if self.ingress.is_none() {
            let (names, key) = (Names::new(""), self.key.clone());
            let options = IngressOptions { names, key, inbox: self.inbox.clone(), member: self.name.clone() };
            self.ingress = Ingress::new(options, Registry::default(), Arc::clone(&self.log)).ok();
        }
        let Some(ingress) = self.ingress.as_mut() else { return false };
        ingress.turn(boot, Duration::ZERO).unwrap_or_else(|error| {
            scene.note(format!("ingress of {}: {error}", self.name));
            false
        })
    }

    fn turn_seat(&mut self, index: usize, scene: &mut Scene, boot: BootTime) -> Result<bool, String> {
        let now = scene.now();
        if self.seats[index].owner.is_none() {
            if now < self.seats[index].open_at {
                return Ok(false);
            }
            let opened = self.open(index);
            return self.judge(index, opened.map(|()| true), scene);
        }
        let Seat { partition, owner: Some(owner), .. } = &mut self.seats[index] else { return Ok(false) };
        let before = owner.clocks_apart();
        let turned = owner.turn(boot, Duration::ZERO).map(|turned| turned.worked);
        if let (None, Some(apart)) = (before, owner.clocks_apart()) {
            scene.strike("clock fault", format!("{} is silent in partition {partition}: {apart} ms", self.name));
        }
        self.judge(index, turned, scene)
    }

    fn open(&mut self, index: usize) -> Result<(), Stop> {
        let seat = &mut self.seats[index];
        let options = OwnerOptions {
            partition: seat.partition,
            names: Names::new(""),
            key: self.key.clone(),
            log_id: self.inbox.log_id,
            node: self.name.clone(),
            single_broker: true,
            faults: Faults::new(),
            rules: KnownRules::OWN,
        };
        let store = Box::new(seat.disk.clone());
        let (owner, origin) = Owner::open(options, store, &seat.origin, Arc::clone(&self.log))?;
        seat.owner = Some(owner);
        seat.origin = origin;
        Ok(())
    }

    fn judge(&mut self, index: usize, turned: Result<bool, Stop>, scene: &mut Scene) -> Result<bool, String> {
        let stop = match turned {
            Ok(worked) => return Ok(worked),
            Err(stop) => stop,
        };
        let seat = &mut self.seats[index];
        seat.owner = None;
        seat.open_at = scene.now() + AGAIN;
        match stop {
            Stop::Log(error) => {
                scene.note(format!("{} can't open partition {}: {error}", self.name, seat.partition));
                Ok(false)
            }
            stop => Err(format!("{} gave up partition {}: {stop}", self.name, seat.partition)),
        }
    }

    /// Who publishes a partition, as far as this machine knows.
    pub fn is_live(&self, partition: u32) -> bool {
        let owner = self.seats.get(partition as usize).and_then(|seat| seat.owner.as_ref());
        owner.and_then(|owner| owner.status().ok()).is_some_and(|status| status.standing == Standing::Live)
    }
}

/// All machines were started when the simulation began.
fn boot_time(now: Millis) -> BootTime {
    Duration::from_millis((now - EPOCH) as u64)
}
