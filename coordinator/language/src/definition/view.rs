//! Which names an expression may see, place by place, and why it does not see the others.

use std::collections::{BTreeMap, BTreeSet};

use sagaline_definition::Expr;
use sagaline_definition::expr::Scope;
use sagaline_definition::types::Type;

use super::plan::Plan;
use super::world::World;

/// What a name means where an expression stands.
pub enum Sight {
    /// It is seen, with this type.
    Seen(Type),
    /// It means something, but not here.
    Hidden { message: String, help: String },
    /// It means nothing; these would.
    Unknown(Vec<String>),
}

/// Where an expression stands.
#[derive(Clone, Copy)]
pub enum From<'a> {
    /// Where events begin sagas: nothing but the event is there.
    Start,
    /// Where an event is judged before its saga is known.
    Event,
    /// Where it is said what a fact is about: nothing has happened yet.
    Fact,
    /// Where a step begins, or later in it.
    Step(&'a Plan<'a>, usize),
    /// Anywhere between the start and the end.
    Anywhere(&'a Plan<'a>),
    /// After all steps.
    Completed(&'a Plan<'a>),
    /// After the way back.
    Compensated(&'a Plan<'a>),
}

/// The names that may be seen from a place.
#[derive(Clone)]
pub struct View<'a> {
    pub world: &'a World<'a>,
    from: From<'a>,
    /// Names of this place alone: items, `event`, `shown`; the step itself, once it has a result.
    own: Vec<(&'a str, Type)>,
    now: bool,
    changes: bool,
    /// Steps whose results are there: the step that sees them runs only then.
    present: BTreeSet<String>,
}

impl<'a> View<'a> {
    /// What is seen from there.
    pub fn new(world: &'a World<'a>, from: From<'a>) -> Self {
        let now = match from {
            From::Start | From::Event | From::Fact => false,
            From::Step(..) | From::Anywhere(_) | From::Completed(_) | From::Compensated(_) => true,
        };
        Self { world, from, own: Vec::new(), now, changes: true, present: BTreeSet::new() }
    }

    /// This name, too.
    #[must_use]
    pub fn with(mut self, name: &'a str, found: Type) -> Self {
        self.own.push((name, found));
        self
    }

    /// Where this condition held before. A result that is there stays; what else it has looked at may have changed since.
    #[must_use]
    pub fn where_held(mut self, condition: Option<&Expr>) -> Self {
        self.present = condition.map(Expr::present).unwrap_or_default();
        self
    }

    /// Without the clock: the place is looked at on changes only.
    #[must_use]
    pub fn without_now(mut self) -> Self {
        self.now = false;
        self
    }

    /// Only what stays as it is: no clock, and no facts.
    #[must_use]
    pub fn without_change(mut self) -> Self {
        self.now = false;
        self.changes = false;
        self
    }

    /// What a name means here.
    pub fn see(&self, name: &str) -> Sight {
        if let Some((_, found)) = self.own.iter().rev().find(|(own, _)| *own == name) {
            return Sight::Seen(found.clone());
        }
        match name {
            "constants" if self.world.constants.is_empty() => {
                hidden("no constant is declared", "declare it: `constants: { max_total: 1000000 }`")
            }
            "constants" => Sight::Seen(self.world.constants_type()),
            "input" => self.input(),
            "facts" => self.facts(),
            "now" => self.clock(),
            "outcome" => self.outcome(),
            "event" => hidden(
                "`event` is seen where an event is judged: in `start`, `facts` and `wait`",
                "read `input`: it is what `start.input` made of the event",
            ),
            "shown" => hidden("`shown` is seen by `void_if` only", "read `input`, `facts` or earlier steps"),
            "probe" => {
                hidden("`probe` is seen by `ensure` only", "read the step's result: a step's name is its result")
            }
            _ => self.step(name),
        }
    }

    /// The types of these names, as far as they are seen.
    pub fn scope(&self, names: impl IntoIterator<Item = String>) -> Scope {
        let seen = names.into_iter().filter_map(|name| match self.see(&name) {
            Sight::Seen(found) => Some((name, found)),
            Sight::Hidden { .. } | Sight::Unknown(_) => None,
        });
        seen.collect()
    }

    fn input(&self) -> Sight {
        match self.from {
            From::Start => hidden("`input` is not there before the saga has started", "read `event`"),
            From::Event => {
                hidden("`input` is not seen here: an event is judged before its saga is known", "read `event`")
            }
            From::Fact | From::Step(..) | From::Anywhere(_) | From::Completed(_) | From::Compensated(_) => {
                Sight::Seen(self.world.input.clone())
            }
        }
    }

    fn facts(&self) -> Sight {
        if !self.changes {
            return hidden(
                "`facts` is not seen here: what a saga is known by must not change with them",
                "read `input`, or a step's result",
            );
        }
        match self.from {
            From::Start | From::Event => {
                hidden("`facts` is not seen here: an event is judged before its saga is known", "read `event`")
            }
            _ if self.world.facts.is_empty() => hidden(
                "no fact is declared",
                "declare it: `facts: { status: { topic: orders, key: event.order_id, value: event.status } }`",
            ),
            From::Fact => hidden("`facts` is not seen here: nothing is known yet", "read `input`"),
            From::Step(..) | From::Anywhere(_) | From::Completed(_) | From::Compensated(_) => {
                Sight::Seen(self.world.facts_type())
            }
        }
    }

    fn clock(&self) -> Sight {
        match self.from {
            _ if self.now => Sight::Seen(Type::Int),
            From::Start | From::Event | From::Fact => hidden(
                "`now` is not seen here: what an event says does not change with time",
                "read `event` or `input`",
            ),
            From::Step(..) | From::Anywhere(_) | From::Completed(_) | From::Compensated(_) => hidden(
                "`now` is not seen here: this is looked at when something changes, and time alone changes nothing",
                "let a step `sleep` until then, or bound the wait by `within`",
            ),
        }
    }

    /// `outcome.STEP`: what became of each step whose result is seen.
    fn outcome(&self) -> Sight {
        let Some(plan) = self.plan() else {
            return hidden("`outcome` is not seen here: no step has begun", "read `event` or `input`");
        };
        let seen = (0..plan.raw.len()).filter(|step| self.step_type(plan, *step).is_some());
        let of = |step: usize| match plan.results[step].repeated {
            true => Type::List(Box::new(Type::String)),
            false => Type::String,
        };
        let members: BTreeMap<String, Type> = seen.map(|step| (plan.raw[step].name.to_owned(), of(step))).collect();
        Sight::Seen(Type::Record("outcome".to_owned(), members))
    }

    fn plan(&self) -> Option<&'a Plan<'a>> {
        match self.from {
            From::Start | From::Event | From::Fact => None,
            From::Step(plan, _) | From::Anywhere(plan) | From::Completed(plan) | From::Compensated(plan) => Some(plan),
        }
    }

    /// The result of a step as it is seen from here. None: it is not.
    fn step_type(&self, plan: &Plan<'_>, step: usize) -> Option<Type> {
        let result = plan.results[step].whole();
        match self.from {
            From::Start | From::Event | From::Fact => None,
            From::Step(_, here) if plan.graph.is_before(step, here) => Some(result),
            From::Step(_, here) if plan.graph.may_be_before(step, here) => Some(result.or_null()),
            From::Step(..) => None,
            From::Anywhere(_) | From::Compensated(_) => Some(result.or_null()),
            From::Completed(_) => Some(result),
        }
    }

    fn step(&self, name: &str) -> Sight {
        let Some(plan) = self.plan() else { return Sight::Unknown(self.known_names()) };
        let Some(step) = plan.index(name) else { return Sight::Unknown(self.known_names()) };
        if let Some(found) = self.step_type(plan, step) {
            return Sight::Seen(if self.present.contains(name) { found.without_null() } else { found });
        }
        match self.from {
            From::Step(_, here) if here != step => Sight::Hidden {
                message: format!("`{name}` is not surely done before `{}`", plan.raw[here].name),
                help: format!("add `{name}` to its `after`"),
            },
            _ => Sight::Hidden {
                message: format!("`{name}` has no result yet: it is this step"),
                help: "read `input` and the results of earlier steps".to_owned(),
            },
        }
    }

    fn known_names(&self) -> Vec<String> {
        let own = self.own.iter().map(|(name, _)| (*name).to_owned());
        let steps = self.plan().into_iter().flat_map(|plan| {
            let seen = (0..plan.raw.len()).filter(|step| self.step_type(plan, *step).is_some());
            seen.map(|step| plan.raw[step].name.to_owned())
        });
        let world = self.world;
        let shared = [("facts", !world.facts.is_empty()), ("constants", !world.constants.is_empty())];
        let shared = shared.into_iter().filter(|(name, some)| *some && matches!(self.see(name), Sight::Seen(_)));
        let input = matches!(self.input(), Sight::Seen(_)).then_some("input");
        own.chain(steps).chain(shared.map(|(name, _)| name).chain(input).map(str::to_owned)).collect()
    }
}

fn hidden(message: &str, help: &str) -> Sight {
    Sight::Hidden { message: message.to_owned(), help: help.to_owned() }
}
