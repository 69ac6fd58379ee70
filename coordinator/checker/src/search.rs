//! The search: scenes by how much trouble led to them, then by how many happenings, so that the first violation is told by the shortest
//! story. Every saga is written to bytes and read back on the way: a restart at every rest is part of every path.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use sagaline_engine::{Phase, PlaceState, Saga, Stuck};
use sagaline_schemas::wire::Wire;

use crate::event::{Event, place};
use crate::key::{Key, key};
use crate::moves::{Search, moves, one_after_the_other};
use crate::rules::{Violation, happened};
use crate::scene::{Scene, Setting, places};
use crate::world::{Row, World};

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Most trouble on one path.
    pub trouble: u8,
    /// Most scenes.
    pub scenes: usize,
    /// How orders are treated.
    pub search: Search,
}

impl Default for Bound {
    fn default() -> Self {
        Self { trouble: 2, scenes: 2_000_000, search: Search::Reduced }
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Scenes, each other than all before it.
    pub scenes: usize,
    /// Happenings between them.
    pub transitions: usize,
    /// The longest path to a scene.
    pub depth: usize,
    /// Happenings that the bound on trouble left out.
    pub cut: usize,
    /// The bound on scenes was met.
    pub unfinished: bool,
    /// Ends and rests, in words, and how many scenes have them.
    pub ends: BTreeMap<String, usize>,
    /// Ends and rests, each with what stands in the world then.
    pub outcomes: BTreeSet<String>,
    /// What does not hold, each with the shortest path to it.
    pub violations: Vec<(Violation, Vec<Event>)>,
}

/// Different violations that are told; of more nobody reads.
const MOST_VIOLATIONS: usize = 5;

/// Explores everything that can happen within the bound.
pub fn explore(setting: &Setting, bound: Bound) -> Found {
    let mut exploring = Exploring {
        setting,
        bound,
        nodes: Vec::new(),
        known: HashMap::new(),
        buckets: Vec::new(),
        edges: Vec::new(),
        found: Found::default(),
    };
    exploring.run();
    exploring.found.scenes = exploring.nodes.len();
    exploring.found
}

struct Node {
    parent: u32,
    event: Option<Event>,
    trouble: u8,
    depth: u32,
    /// Nothing need follow: it has ended, or people have a work item.
    rests: bool,
    /// Something could follow that was left out.
    cut: bool,
}

/// A scene that is looked at later: its saga as bytes, as a store would keep it.
struct Waiting {
    node: u32,
    saga: Box<[u8]>,
    world: World,
    offset: i64,
}

struct Exploring<'a> {
    setting: &'a Setting<'a>,
    bound: Bound,
    nodes: Vec<Node>,
    known: HashMap<Key, u32>,
    /// Scenes to be looked at, by trouble.
    buckets: Vec<VecDeque<Waiting>>,
    edges: Vec<(u32, u32)>,
    found: Found,
}

impl Exploring<'_> {
    fn run(&mut self) {
        self.buckets.resize_with(usize::from(self.bound.trouble) + 1, VecDeque::new);
        self.meet(0, None, 0, Scene::new());
        for trouble in 0..=self.bound.trouble {
            while let Some(Waiting { node, saga, world, offset }) = self.buckets[usize::from(trouble)].pop_front() {
                if self.nodes[node as usize].trouble == trouble
                    && let Ok(saga) = Saga::from_bytes(&saga)
                {
                    self.look(node, trouble, &Scene { saga, world, offset });
                }
                if self.found.violations.len() >= MOST_VIOLATIONS {
                    return;
                }
            }
        }
        if !self.found.unfinished {
            self.every_scene_leads_on();
        }
    }

    fn look(&mut self, node: u32, trouble: u8, scene: &Scene) {
        let mut moves = moves(self.setting, self.bound.search, scene);
        if trouble == self.bound.trouble && self.bound.search == Search::Reduced {
            one_after_the_other(self.setting, scene, &mut moves);
        }
        for (event, cost) in moves {
            if trouble + cost > self.bound.trouble {
                self.found.cut += 1;
                self.nodes[node as usize].cut = true;
                continue;
            }
            let commands = self.follow(node, trouble + cost, scene, event.clone());
            if commands {
                self.try_slowly(node, trouble + cost + 1, scene, event);
            }
        }
    }

    /// The same with a log that is slow to acknowledge.
    fn try_slowly(&mut self, node: u32, trouble: u8, scene: &Scene, event: Event) {
        if trouble > self.bound.trouble {
            self.found.cut += 1;
            self.nodes[node as usize].cut = true;
        } else {
            self.follow(node, trouble, scene, Event::Slowly(Box::new(event)));
        }
    }

    /// Whether any command left.
    fn follow(&mut self, node: u32, trouble: u8, scene: &Scene, event: Event) -> bool {
        let mut next = scene.clone();
        let happening = next.play(self.setting, &event);
        self.found.transitions += 1;
        let held = match happening.violation.clone() {
            Some(violation) => Err(violation),
            None => happened(self.setting, scene, &event, &happening, &next),
        };
        match held {
            Ok(()) => self.meet(node, Some(event), trouble, next),
            Err(violation) => {
                self.nodes[node as usize].cut = true;
                self.violated(node, Some(event), violation);
            }
        }
        happening.transitions.len() > 1
    }

    fn meet(&mut self, parent: u32, event: Option<Event>, trouble: u8, scene: Scene) {
        let key = key(self.setting, &scene, self.bound.search);
        let depth = if event.is_some() { self.nodes[parent as usize].depth + 1 } else { 0 };
        if let Some(known) = self.known.get(&key).copied() {
            self.edges.push((parent, known));
            let node = &mut self.nodes[known as usize];
            if trouble < node.trouble {
                (node.parent, node.event, node.trouble, node.depth) = (parent, event, trouble, depth);
                self.wait(known, trouble, scene);
            }
            return;
        }
        if self.nodes.len() >= self.bound.scenes {
            self.found.unfinished = true;
            return;
        }
        let number = self.nodes.len() as u32;
        let rest = rest(self.setting, &scene);
        self.nodes.push(Node { parent, event: event.clone(), trouble, depth, rests: rest.is_some(), cut: false });
        self.known.insert(key, number);
        self.found.depth = self.found.depth.max(depth as usize);
        if let Some(rest) = rest {
            self.found.outcomes.insert(format!("{rest}: {}", standing(self.setting, &scene)));
            *self.found.ends.entry(rest).or_default() += 1;
        }
        if event.is_some() {
            self.edges.push((parent, number));
        }
        if Saga::from_bytes(&scene.saga.to_bytes()).as_ref() != Ok(&scene.saga) {
            let what = "its bytes do not read back as the saga".to_owned();
            return self.violated(number, None, Violation { rule: "I8", what });
        }
        self.wait(number, trouble, scene);
    }

    fn wait(&mut self, node: u32, trouble: u8, scene: Scene) {
        let saga = scene.saga.to_bytes().into_boxed_slice();
        let waiting = Waiting { node, saga, world: scene.world, offset: scene.offset };
        self.buckets[usize::from(trouble)].push_back(waiting);
    }

    /// I1: from every scene some path leads to an end, or to people.
    fn every_scene_leads_on(&mut self) {
        let mut into: Vec<Vec<u32>> = vec![Vec::new(); self.nodes.len()];
        self.edges.iter().for_each(|(from, to)| into[*to as usize].push(*from));
        let mut leads: Vec<bool> = self.nodes.iter().map(|node| node.rests || node.cut).collect();
        let mut ahead: Vec<u32> = (0..).zip(&leads).filter(|(_, leads)| **leads).map(|(node, _)| node).collect();
        while let Some(node) = ahead.pop() {
            for before in &into[node as usize] {
                if !std::mem::replace(&mut leads[*before as usize], true) {
                    ahead.push(*before);
                }
            }
        }
        let lost = (0..).zip(&leads).filter(|(_, leads)| !**leads).map(|(node, _)| node);
        if let Some(lost) =
            lost.min_by_key(|node: &u32| (self.nodes[*node as usize].trouble, self.nodes[*node as usize].depth))
        {
            let what = "no path leads from here to an end, or to people".to_owned();
            self.violated(lost, None, Violation { rule: "I1", what });
        }
    }

    fn violated(&mut self, node: u32, event: Option<Event>, violation: Violation) {
        if self.found.violations.iter().any(|(known, _)| *known == violation) {
            return;
        }
        let mut path: Vec<Event> = event.into_iter().collect();
        let mut at = &self.nodes[node as usize];
        while let Some(event) = &at.event {
            path.push(event.clone());
            at = &self.nodes[at.parent as usize];
        }
        path.reverse();
        self.found.violations.push((violation, path));
    }
}

/// How a scene rests: it has ended, or people have something to do. None: something else must happen.
fn rest(setting: &Setting, scene: &Scene) -> Option<String> {
    let step = |step: u32| setting.definition.steps[step as usize].step.clone();
    match &scene.saga.phase {
        Phase::Ended { end, .. } => Some(format!("{end:?}").to_lowercase()),
        Phase::Stuck { stuck, .. } => Some(match stuck {
            Stuck::Step { spot, .. } => format!("stuck at {}", step(spot.step)),
            Stuck::Expression { step: Some(at), .. } => format!("stuck at an expression of {}", step(*at)),
            Stuck::Expression { step: None, .. } => "stuck at an expression".to_owned(),
            Stuck::Contradiction { effect } => {
                format!("stuck: {} is contradicted", step(scene.saga.effects[*effect as usize].step))
            }
            Stuck::Compensation { effect, .. } => {
                format!("stuck: {} can't be undone", step(scene.saga.effects[*effect as usize].step))
            }
            Stuck::LateSuccess { effect } => {
                format!("stuck: {} happened late", step(scene.saga.effects[*effect as usize].step))
            }
            Stuck::Deadline => "stuck at its deadline".to_owned(),
            Stuck::Fault { .. } => "stuck at a fault".to_owned(),
            Stuck::Reaction { rule } => format!("stuck by reaction {}", rule + 1),
            Stuck::Ensure { .. } => "stuck before its end".to_owned(),
            Stuck::AliasTaken { alias, .. } => format!("stuck: the alias {alias} is taken"),
        }),
        Phase::Running { .. } if !scene.saga.goes_forward() => None,
        Phase::Running { .. } if scene.saga.held.is_some() => Some("held".to_owned()),
        Phase::Running { .. } => places(setting.definition, &scene.saga).find_map(|(spot, state)| match state {
            PlaceState::Held { .. } => Some(format!("held at {}", step(spot.step))),
            _ => None,
        }),
    }
}

/// Effects that happened and are not undone.
fn standing(setting: &Setting, scene: &Scene) -> String {
    let effects = scene.saga.effects.iter().zip(&scene.world.deeds);
    let stands = effects.filter(|(_, deed)| matches!(deed.row, Row::Done(_)));
    let names: BTreeSet<String> = stands.map(|(effect, _)| place(setting.definition, &effect.spot())).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}
