//! What may come to a saga from outside: inputs, results, events and news, chosen so that every expression is met both ways.

use std::collections::BTreeMap;

use sagaline_definition::Expr;
use sagaline_definition::contract::Contract;
use sagaline_definition::expr::{ITEM, Read, Used};
use sagaline_definition::model::{AskFact, Compensate, Definition, Sleep, Step, Template, Verb};
use sagaline_definition::types::Type;
use sagaline_schemas::Value;

use crate::values::{Shape, other_than};

/// Most inputs that are tried.
const MOST_INPUTS: usize = 8;
/// Most results of one step, and most events of one wait, that are tried.
const MOST_VALUES: usize = 4;

/// When the explored saga lives: a Monday morning, milliseconds since 1970. No time passes but what timers say.
pub const NOW: i64 = 1_767_603_600_000;
const DAY: i64 = 86_400_000;

/// What may come.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Inputs to begin with.
    pub inputs: Vec<Value>,
    /// By step: what its participant, or its child saga, may return.
    pub results: Vec<Vec<Value>>,
    /// By step: events that a wait may meet.
    pub events: Vec<Vec<Value>>,
    /// By fact: what may be told of it; what a participant may answer, where one is asked.
    pub news: Vec<Vec<Value>>,
    /// What is not tried, in words.
    pub left_out: Vec<String>,
}

impl Surroundings {
    /// Looks through all expressions of a definition. Contracts say what else belongs to a result.
    pub fn of(definition: &Definition, contracts: &BTreeMap<String, Contract>) -> Self {
        let mut gathering = Gathering { definition, roots: BTreeMap::new() };
        gathering.all();
        let roots = gathering.roots;
        let mut found = Self::default();
        let input = definition.start.shape.clone().unwrap_or(Type::Any);
        found.inputs = found.choose(roots.get("input"), &input, MOST_INPUTS, "inputs");
        for (number, step) in definition.steps.iter().enumerate() {
            let of = result_type(step, contracts);
            let what = format!("results of {}", step.step);
            let shape = roots.get(&step.step).cloned().map(Shape::never_null);
            let values = found.choose(shape.as_ref(), &of, MOST_VALUES, &what);
            found.results.push(values);
            let what = format!("events of {}", step.step);
            let of = event_type(step);
            let values = found.choose(roots.get(&format!("event {number}")), &of, MOST_VALUES, &what);
            found.events.push(values);
        }
        for (number, fact) in definition.facts.iter().enumerate() {
            let shape = roots.get(&format!("fact {number}"));
            let values = match &fact.ask {
                Some(_) => found.choose(roots.get(&format!("answer {number}")), &Type::Any, MOST_VALUES, &fact.fact),
                None => {
                    let of = fact.shape.clone().unwrap_or_else(|| Type::of(&fact.initial).or_null());
                    let mut values = found.choose(shape, &of, MOST_VALUES, &fact.fact);
                    if values.len() < 2 && shape.is_some() {
                        values.push(other_than(&fact.initial));
                    }
                    values
                }
            };
            found.news.push(values);
        }
        found
    }

    fn choose(&mut self, shape: Option<&Shape>, of: &Type, most: usize, what: &str) -> Vec<Value> {
        let (values, whole) = shape.unwrap_or(&Shape::default()).values(of, most);
        if !whole {
            self.left_out.push(format!("some combinations of {what}"));
        }
        values
    }
}

/// What an event that a step awaits must be.
fn event_type(step: &Step) -> Type {
    match &step.verb {
        Verb::Wait(wait) => wait.shape.clone().unwrap_or(Type::Any),
        Verb::Call(_) | Verb::Saga(_) | Verb::Sleep(_) | Verb::Until(_) | Verb::Approve(_) | Verb::Decide(_) => {
            Type::Any
        }
    }
}

fn result_type(step: &Step, contracts: &BTreeMap<String, Contract>) -> Type {
    let Verb::Call(call) = &step.verb else { return Type::Any };
    let Some(contract) = contracts.get(&call.participant) else { return Type::Any };
    let output = contract.operations.get(&call.operation).and_then(|operation| operation.output.as_ref());
    output.and_then(|name| contract.type_of(name)).unwrap_or(Type::Any)
}

struct Gathering<'a> {
    definition: &'a Definition,
    roots: BTreeMap<String, Shape>,
}

impl Gathering<'_> {
    fn all(&mut self) {
        let definition = self.definition;
        for (number, step) in definition.steps.iter().enumerate() {
            self.step(number, step);
        }
        for rule in &definition.react {
            self.expr(None, &rule.condition, &Used::Truth);
        }
        for check in definition.ensure.completed.iter().chain(&definition.ensure.compensated) {
            self.expr(None, &check.condition, &Used::Truth);
        }
        definition.result.iter().for_each(|result| self.template(None, result));
        for (number, fact) in definition.facts.iter().enumerate() {
            fact.of.iter().for_each(|of| self.expr(None, of, &Used::Text));
            fact.ask.iter().for_each(|ask| self.asked(number, ask));
        }
    }

    /// An answer is read by one expression only; where that is a plain path, what is done with the fact is done with the answer.
    fn asked(&mut self, number: usize, ask: &AskFact) {
        self.template(None, &ask.with);
        let reads = ask.value.reads(Used::Somehow);
        let fact = self.roots.get(&format!("fact {number}")).cloned();
        let root = self.roots.entry(format!("answer {number}")).or_default();
        for read in &reads {
            root.note(&read.path[1..], &read.used);
            if let Some(fact) = fact.as_ref().filter(|_| read.path.join(".") == ask.value.source()) {
                root.put(&read.path[1..], fact);
            }
        }
    }

    fn step(&mut self, number: usize, step: &Step) {
        step.condition.iter().for_each(|condition| self.expr(None, condition, &Used::Truth));
        step.for_each.iter().for_each(|each| self.expr(None, &each.list, &Used::List));
        step.guard.iter().for_each(|guard| self.expr(Some(number), &guard.condition, &Used::Truth));
        step.alias.values().for_each(|alias| self.expr(None, alias, &Used::Text));
        let here = Some(number);
        match &step.verb {
            Verb::Call(call) => {
                self.template(here, &call.with);
                if let Compensate::By { with: Some(with), .. } = &call.compensate {
                    self.template(here, with);
                }
            }
            Verb::Saga(child) => {
                self.template(here, &child.with);
                child.key.iter().for_each(|key| self.template(here, key));
            }
            Verb::Sleep(Sleep::Until(until)) => {
                self.expr(here, until, &Used::Decides(Value::Int(NOW + DAY), Value::Int(0)));
            }
            Verb::Sleep(_) => {}
            Verb::Wait(wait) => wait.condition.iter().for_each(|condition| self.expr(here, condition, &Used::Truth)),
            Verb::Until(until) => self.expr(here, &until.condition, &Used::Truth),
            Verb::Approve(approve) => {
                self.template(here, &approve.show);
                approve.void_if.iter().for_each(|void| self.expr(here, void, &Used::Truth));
            }
            Verb::Decide(decide) => {
                let conditions = decide.arms.iter().filter_map(|arm| arm.condition.as_ref());
                conditions.for_each(|condition| self.expr(here, condition, &Used::Truth));
            }
        }
    }

    fn template(&mut self, here: Option<usize>, template: &Template) {
        template.exprs().into_iter().for_each(|expr| self.expr(here, expr, &Used::Somehow));
    }

    fn expr(&mut self, here: Option<usize>, expr: &Expr, used: &Used) {
        for read in expr.reads(used.clone()) {
            self.note(here, read);
        }
    }

    /// Files a read under what it is a part of: the input, a fact, an event, a result.
    fn note(&mut self, here: Option<usize>, read: Read) {
        let mut path = read.path;
        self.follow_item(here, &mut path);
        let step_of = |name: &str| self.definition.step_index(name);
        let (root, path) = match (path[0].as_str(), path.len()) {
            ("input", _) => ("input".to_owned(), path[1..].to_vec()),
            ("facts", 2..) => match self.definition.facts.iter().position(|fact| fact.fact == path[1]) {
                Some(fact) => (format!("fact {fact}"), path[2..].to_vec()),
                None => return,
            },
            ("probe", 2..) => (path[1].clone(), path[2..].to_vec()),
            ("event", _) => match here {
                Some(step) => (format!("event {step}"), path[1..].to_vec()),
                None => return,
            },
            (name, _) => match step_of(name).map(|step| &self.definition.steps[step]) {
                None => return,
                // The name stands for the results of all items.
                Some(step) if step.for_each.is_some() && path.get(1).is_none_or(|item| item != ITEM) => return,
                Some(step) if step.for_each.is_some() => (name.to_owned(), path[2..].to_vec()),
                Some(step) => match (&step.verb, step_of(name)) {
                    (Verb::Wait(_), Some(number)) => (format!("event {number}"), path[1..].to_vec()),
                    _ => (name.to_owned(), path[1..].to_vec()),
                },
            },
        };
        self.roots.entry(root).or_default().note(&path, &read.used);
    }

    /// An item is a part of the list that it comes from, where that has a name.
    fn follow_item(&self, here: Option<usize>, path: &mut Vec<String>) {
        let each = here.and_then(|step| self.definition.steps[step].for_each.as_ref());
        let Some(each) = each.filter(|each| each.item == path[0]) else { return };
        let list = each.list.reads(Used::List).into_iter().next();
        if let Some(list) = list.filter(|list| list.path.join(".") == each.list.source()) {
            let mut whole = list.path;
            whole.push(ITEM.to_owned());
            whole.extend(path.drain(1..));
            *path = whole;
        }
    }
}
