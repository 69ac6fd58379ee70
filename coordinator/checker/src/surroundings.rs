//! What may come to a saga from outside: inputs, results, events and news, chosen so that every expression is met both ways.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sagaline_definition::Expr;
use sagaline_definition::contract::Contract;
use sagaline_definition::expr::{ITEM, Names, Read, Used};
use sagaline_definition::model::{AskFact, Compensate, Definition, Sleep, Step, Template, Verb};
use sagaline_definition::types::Type;
use sagaline_schemas::Value;

use crate::values::{Shape, other_than};

/// Most inputs that are tried.
const MOST_INPUTS: usize = 8;
/// Most results of one step, and most events of one wait, that are tried.
const MOST_VALUES: usize = 4;

/// Most answers that are looked through for those that decide about a fact differently.
const MOST_ANSWERS: usize = 256;

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
        Self::gathered(definition, contracts, 0)
    }

    /// The same with more values: what decides about one part may also stand in each that it is compared with. For one course of things,
    /// where parts must often be the same to come anywhere: to explore every course with them, there are too many.
    pub fn alike(definition: &Definition, contracts: &BTreeMap<String, Contract>) -> Self {
        Self::gathered(definition, contracts, FAR)
    }

    fn gathered(definition: &Definition, contracts: &BTreeMap<String, Contract>, far: usize) -> Self {
        let mut gathering = Gathering { definition, roots: BTreeMap::new(), pairs: Vec::new() };
        gathering.all(far);
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
                Some(ask) => {
                    let of = output_type(contracts, &ask.participant, &ask.operation);
                    found.answers(ask, &of, (shape, roots.get(&format!("answer {number}"))), &fact.fact)
                }
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

    /// What a participant answers when it is asked for a fact: one answer for each way in which conditions tell the fact's values apart.
    fn answers(
        &mut self,
        ask: &AskFact,
        of: &Type,
        (fact, answer): (Option<&Shape>, Option<&Shape>),
        what: &str,
    ) -> Vec<Value> {
        let answer = answer.cloned().unwrap_or_default();
        if ask.value.reads(Used::Somehow).iter().any(|read| read.path.join(".") == ask.value.source()) {
            return self.choose(Some(&answer), of, MOST_VALUES, what);
        }
        let (all, whole) = answer.values(of, MOST_ANSWERS);
        let input = self.inputs.first().cloned().unwrap_or_default();
        let (mut sides, mut answers) = (Vec::new(), Vec::new());
        for answer in &all {
            let names = BTreeMap::from([("input".to_owned(), input.clone()), ("answer".to_owned(), answer.clone())]);
            let Ok(value) = ask.value.eval(&Given(&names)) else { continue };
            let side = fact.map(|fact| fact.sides(&value));
            if !sides.contains(&side) {
                sides.push(side);
                answers.push(answer.clone());
            }
        }
        if !whole || answers.len() > MOST_VALUES {
            self.left_out.push(format!("some combinations of {what}"));
        }
        answers.truncate(MOST_VALUES);
        if answers.is_empty() { all.into_iter().take(1).collect() } else { answers }
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
    match &step.verb {
        Verb::Call(call) => output_type(contracts, &call.participant, &call.operation),
        Verb::Saga(_) | Verb::Sleep(_) | Verb::Wait(_) | Verb::Until(_) | Verb::Approve(_) | Verb::Decide(_) => {
            Type::Any
        }
    }
}

fn output_type(contracts: &BTreeMap<String, Contract>, participant: &str, operation: &str) -> Type {
    let Some(contract) = contracts.get(participant) else { return Type::Any };
    let output = contract.operations.get(operation).and_then(|operation| operation.output.as_ref());
    output.and_then(|name| contract.type_of(name)).unwrap_or(Type::Any)
}

/// Names that stand for values.
struct Given<'a>(&'a BTreeMap<String, Value>);

impl Names for Given<'_> {
    fn get(&self, name: &str) -> Option<Cow<'_, Value>> {
        self.0.get(name).map(Cow::Borrowed)
    }
}

struct Gathering<'a> {
    definition: &'a Definition,
    roots: BTreeMap<String, Shape>,
    /// Parts that are compared with each other.
    pairs: Vec<(Part, Part)>,
}

/// A part of what may come: what it is a part of, and the path within it.
type Part = (String, Vec<String>);

/// Rounds in which values go from one part to those it is compared with: further apart than that, parts have little to do with each other.
const FAR: usize = 3;

impl Gathering<'_> {
    fn all(&mut self, far: usize) {
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
        for fact in &definition.facts {
            fact.of.iter().for_each(|of| self.expr(None, of, &Used::Text));
        }
        for _ in 0..far {
            self.let_compared_be_alike();
        }
        for (number, fact) in definition.facts.iter().enumerate() {
            fact.ask.iter().for_each(|ask| self.asked(number, ask));
        }
    }

    /// What decides about one part may stand in each that it is compared with: else these could never be the same.
    fn let_compared_be_alike(&mut self) {
        for ((root, path), (of, other)) in self.pairs.clone() {
            for ((from, at), (to, place)) in [((&root, &path), (&of, &other)), ((&of, &other), (&root, &path))] {
                let values = self.roots.get(from).map(|shape| shape.deciding(at)).unwrap_or_default();
                let shape = self.roots.entry(to.clone()).or_default();
                values.into_iter().for_each(|value| shape.note(place, &Used::Decides(value.clone(), value)));
            }
        }
    }

    /// An answer is read by one expression only; where that is a plain path, what is done with the fact is done with the answer. Elsewhere
    /// each part of the answer may be what decides about the fact.
    fn asked(&mut self, number: usize, ask: &AskFact) {
        self.template(None, &ask.with);
        let reads = ask.value.reads(Used::Somehow);
        let fact = self.roots.get(&format!("fact {number}")).cloned();
        let root = self.roots.entry(format!("answer {number}")).or_default();
        for read in &reads {
            if read.path[0] != "answer" {
                continue;
            }
            root.note(&read.path[1..], &read.used);
            match &fact {
                Some(fact) if read.path.join(".") == ask.value.source() => root.put(&read.path[1..], fact),
                Some(fact) => root.may_decide(&read.path[1..], fact),
                None => {}
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
        for (one, other) in expr.comparisons() {
            self.pairs.extend(self.part(here, one).zip(self.part(here, other)));
        }
    }

    /// Files a read under what it is a part of.
    fn note(&mut self, here: Option<usize>, read: Read) {
        if let Some((root, path)) = self.part(here, read.path) {
            self.roots.entry(root).or_default().note(&path, &read.used);
        }
    }

    /// What it is a part of: the input, a fact, an event, a result. None: of nothing that comes from outside.
    fn part(&self, here: Option<usize>, mut path: Vec<String>) -> Option<Part> {
        self.follow_item(here, &mut path);
        let step_of = |name: &str| self.definition.step_index(name);
        Some(match (path[0].as_str(), path.len()) {
            ("input", _) => ("input".to_owned(), path[1..].to_vec()),
            ("facts", 2..) => match self.definition.facts.iter().position(|fact| fact.fact == path[1]) {
                Some(fact) => (format!("fact {fact}"), path[2..].to_vec()),
                None => return None,
            },
            ("probe", 2..) => (path[1].clone(), path[2..].to_vec()),
            ("event", _) => match here {
                Some(step) => (format!("event {step}"), path[1..].to_vec()),
                None => return None,
            },
            (name, _) => match step_of(name).map(|step| &self.definition.steps[step]) {
                None => return None,
                // The name stands for the results of all items.
                Some(step) if step.for_each.is_some() && path.get(1).is_none_or(|item| item != ITEM) => return None,
                Some(step) if step.for_each.is_some() => (name.to_owned(), path[2..].to_vec()),
                Some(step) => match (&step.verb, step_of(name)) {
                    (Verb::Wait(_), Some(number)) => (format!("event {number}"), path[1..].to_vec()),
                    _ => (name.to_owned(), path[1..].to_vec()),
                },
            },
        })
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
