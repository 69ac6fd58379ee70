//! Which values a saga may still read. One that nobody will read any more makes no difference: scenes that differ only in such values are one.

use std::collections::BTreeSet;

use sagaline_definition::Expr;
use sagaline_definition::model::{BackTo, Compensate, Definition, Sleep, Step, Template, Verb, Word};
use sagaline_engine::{Direction, Goal, Loop, LoopFrom, Outcome, PlaceState, Saga, StepState, from_here};
use sagaline_schemas::wire::Bytes;

/// Who reads a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reader {
    /// Something that may be looked at at any time.
    Anything,
    /// A step, until it is settled.
    Step(usize),
    /// An approval, until what it decides about has begun: is what was shown still true?
    Approval(usize),
    /// A reaction.
    Rule(usize),
}

/// Who sends work back.
#[derive(Clone, Copy, Debug)]
struct Back {
    /// A step, by one of its words, or a reaction.
    by: Reader,
    /// The step at which work begins again.
    to: usize,
}

type Readers = BTreeSet<Reader>;

/// Who reads what, and who sends back where.
#[derive(Clone, Debug)]
pub struct Live {
    input: Readers,
    steps: Vec<Readers>,
    /// What probes find, by step.
    probes: Vec<Readers>,
    /// What became of a step.
    outcomes: Vec<Readers>,
    facts: Vec<Readers>,
    backs: Vec<Back>,
    /// By reaction: the step before whose beginning it is looked at; none: at any time.
    rules: Vec<Option<usize>>,
    /// By step: an approval that may be asked for anew when it is settled already.
    voidable: Vec<bool>,
    /// By step: itself and all that stand after it.
    onwards: Vec<BTreeSet<u32>>,
    /// By step: those that stand right after it.
    next: Vec<Vec<usize>>,
}

impl Live {
    /// Looks through all expressions and words of a definition.
    pub fn of(definition: &Definition) -> Self {
        let count = definition.steps.len();
        let next = |step: usize| (0..count).filter(|after| definition.steps[*after].after.contains(&step)).collect();
        let next: Vec<Vec<usize>> = (0..count).map(next).collect();
        let mut live = Self {
            input: Readers::new(),
            steps: vec![Readers::new(); count],
            probes: vec![Readers::new(); count],
            outcomes: vec![Readers::new(); count],
            facts: vec![Readers::new(); definition.facts.len()],
            backs: backs(definition),
            rules: definition.react.iter().map(|rule| rule.between.map(|(_, last)| last)).collect(),
            voidable: vec![false; count],
            onwards: (0..count as u32).map(|step| from_here(definition, step)).collect(),
            next,
        };
        for (number, rule) in definition.react.iter().enumerate() {
            live.read(definition, Reader::Rule(number), &rule.condition);
        }
        for check in definition.ensure.completed.iter().chain(&definition.ensure.compensated) {
            live.read(definition, Reader::Anything, &check.condition);
        }
        for expr in definition.result.iter().flat_map(Template::exprs) {
            live.read(definition, Reader::Anything, expr);
        }
        for fact in &definition.facts {
            let asked = fact.ask.iter().flat_map(|ask| ask.with.exprs());
            fact.of.iter().chain(asked).for_each(|expr| live.read(definition, Reader::Anything, expr));
        }
        for (number, step) in definition.steps.iter().enumerate() {
            exprs_of(step).into_iter().for_each(|expr| live.read(definition, Reader::Step(number), expr));
            // Each event that comes by an alias is held against what the step is known by.
            let later = undo_exprs_of(step).into_iter().chain(step.alias.values());
            later.for_each(|expr| live.read(definition, Reader::Anything, expr));
            if let Verb::Approve(approve) = &step.verb
                && let Some(void_if) = &approve.void_if
            {
                // It compares with what was shown, which is part of its own result.
                live.steps[number].insert(Reader::Approval(number));
                live.voidable[number] = true;
                let shown = approve.show.exprs();
                shown.into_iter().chain([void_if]).for_each(|expr| {
                    live.read(definition, Reader::Approval(number), expr);
                });
            }
        }
        live
    }

    fn read(&mut self, definition: &Definition, by: Reader, expr: &Expr) {
        for name in expr.names() {
            match name.as_str() {
                "input" => _ = self.input.insert(by),
                "facts" => {
                    let members = expr.members("facts");
                    for (fact, readers) in definition.facts.iter().zip(&mut self.facts) {
                        if members.as_ref().is_none_or(|members| members.contains(&fact.fact)) {
                            readers.insert(by);
                        }
                    }
                }
                "probe" | "outcome" => {
                    let members = expr.members(&name);
                    let all = if name == "probe" { &mut self.probes } else { &mut self.outcomes };
                    for (step, readers) in definition.steps.iter().zip(all) {
                        if members.as_ref().is_none_or(|members| members.contains(&step.step)) {
                            readers.insert(by);
                        }
                    }
                }
                step => {
                    if let Some(step) = definition.step_index(step) {
                        self.steps[step].insert(by);
                    }
                }
            }
        }
    }

    /// Takes out of the saga what nobody reads any more. Gives the steps whose results were taken out.
    pub fn forget(&self, saga: &mut Saga) -> BTreeSet<u32> {
        let ahead = self.ahead(saga);
        let dead = |readers: &Readers| !readers.iter().any(|reader| ahead.may_read(self, *reader));
        if dead(&self.input) {
            saga.input = Bytes::from("");
        }
        for (readers, fact) in self.facts.iter().zip(&mut saga.facts) {
            if dead(readers) {
                fact.value = Bytes::from("");
                (fact.told_at, fact.seq) = (None, None);
            }
        }
        let forgotten: BTreeSet<u32> =
            (0..).zip(&self.steps).filter(|(_, readers)| dead(readers)).map(|(step, _)| step).collect();
        for effect in &mut saga.effects {
            if let (true, Outcome::Succeeded { result }) = (forgotten.contains(&effect.step), &mut effect.outcome) {
                *result = Bytes::from("");
            }
            if self.probes.get(effect.step as usize).is_some_and(dead) {
                effect.probed = None;
            }
        }
        let goes_back = |loops: &Loop| match loops.from {
            LoopFrom::Step { step, .. } => ahead.may_read(self, Reader::Step(step as usize)),
            LoopFrom::Reaction { rule } => ahead.may_read(self, Reader::Rule(rule as usize)),
        };
        saga.loops.retain(goes_back);
        for step in &forgotten {
            let Some(StepState::Begun { places }) = saga.steps.get_mut(*step as usize).map(|run| &mut run.state) else {
                continue;
            };
            for place in places {
                if let PlaceState::Known { value } = &mut place.state {
                    *value = Bytes::from("");
                }
            }
        }
        forgotten
    }

    /// Whether something is read of a step while its saga undoes, or before it ends then.
    pub fn is_read_on_the_way_back(&self, step: usize) -> bool {
        let all = [&self.steps, &self.probes, &self.outcomes];
        all.into_iter().any(|readers| readers[step].contains(&Reader::Anything))
    }

    /// What may still run. Whoever sends work back lets everything from there on run again, those who send back included.
    fn ahead(&self, saga: &Saga) -> Ahead {
        let steps = || saga.steps.iter().map(|run| &run.state);
        let mut ahead = Ahead {
            open: steps().map(|state| !state.is_settled()).collect(),
            waiting: steps().map(|state| matches!(state, StepState::Waiting)).collect(),
        };
        match saga.direction() {
            Some(Direction::Forward) => {}
            Some(Direction::Aside { goal: Goal::Again { step, .. } }) => ahead.again(&self.onwards[*step as usize]),
            Some(Direction::Aside { goal: Goal::Void { .. } }) => {}
            Some(Direction::Ensure { cause: None, .. }) => {}
            Some(Direction::Back { .. } | Direction::Ensure { .. } | Direction::Over { .. }) | None => {
                return Ahead::default();
            }
        }
        for _ in &self.backs {
            for back in &self.backs {
                if ahead.may_read(self, back.by) {
                    ahead.again(&self.onwards[back.to]);
                }
            }
        }
        ahead
    }
}

/// What may still run of a saga: by step. Nothing of one that undoes or has ended.
#[derive(Default)]
struct Ahead {
    /// It is not settled, or may run again.
    open: Vec<bool>,
    /// It has not begun, or may begin again.
    waiting: Vec<bool>,
}

impl Ahead {
    fn again(&mut self, steps: &BTreeSet<u32>) {
        for step in steps {
            for of in [&mut self.open, &mut self.waiting] {
                if let Some(of) = of.get_mut(*step as usize) {
                    *of = true;
                }
            }
        }
    }

    fn may_read(&self, live: &Live, reader: Reader) -> bool {
        let is = |of: &[bool], step: usize| of.get(step) == Some(&true);
        let goes_on = !self.open.is_empty();
        match reader {
            Reader::Anything => true,
            Reader::Step(step) if !live.voidable[step] => is(&self.open, step),
            Reader::Step(step) | Reader::Approval(step) => {
                let next = &live.next[step];
                is(&self.open, step) || goes_on && next.iter().all(|next| is(&self.waiting, *next))
            }
            Reader::Rule(rule) => goes_on && live.rules[rule].is_none_or(|last| is(&self.waiting, last)),
        }
    }
}

fn backs(definition: &Definition) -> Vec<Back> {
    let to = |word: &Word| match word {
        Word::BackTo(BackTo { step, .. }) => Some(*step),
        Word::Continue | Word::Skip | Word::Compensate | Word::Hold | Word::Stuck => None,
    };
    let of_steps =
        definition.steps.iter().enumerate().flat_map(|(number, step)| {
            step.words().filter_map(to).map(move |to| Back { by: Reader::Step(number), to })
        });
    let of_rules = definition.react.iter().enumerate().flat_map(|(number, rule)| {
        let words = [&rule.then, &rule.after_pivot].into_iter().filter_map(to);
        words.map(move |to| Back { by: Reader::Rule(number), to })
    });
    of_steps.chain(of_rules).collect()
}

/// What a step reads until it is settled.
fn exprs_of(step: &Step) -> Vec<&Expr> {
    let mut exprs: Vec<&Expr> = step.condition.iter().collect();
    exprs.extend(step.for_each.iter().map(|each| &each.list));
    exprs.extend(step.guard.iter().map(|guard| &guard.condition));
    match &step.verb {
        Verb::Call(call) => exprs.extend(call.with.exprs()),
        Verb::Saga(child) => exprs.extend(child.with.exprs()),
        Verb::Sleep(Sleep::Until(until)) => exprs.push(until),
        Verb::Sleep(_) => {}
        Verb::Wait(wait) => exprs.extend(&wait.condition),
        Verb::Until(until) => exprs.push(&until.condition),
        Verb::Approve(approve) => exprs.extend(approve.show.exprs()),
        Verb::Decide(decide) => exprs.extend(decide.arms.iter().filter_map(|arm| arm.condition.as_ref())),
    }
    exprs
}

/// What a step reads to be undone.
fn undo_exprs_of(step: &Step) -> Vec<&Expr> {
    match &step.verb {
        Verb::Call(call) => match &call.compensate {
            Compensate::By { with, .. } => with.iter().flat_map(Template::exprs).collect(),
            Compensate::Never | Compensate::Reads => Vec::new(),
        },
        Verb::Saga(child) => child.key.iter().flat_map(Template::exprs).collect(),
        Verb::Sleep(_) | Verb::Wait(_) | Verb::Until(_) | Verb::Approve(_) | Verb::Decide(_) => Vec::new(),
    }
}
