//! The steps of a drawn definition, a line each. Chains may have a pivot and may go back to any step before; graphs only to the step itself.

use super::CHILD;
use crate::chance::Chance;

/// A place where one of the six words stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Guard,
    Refused,
    Failed,
    Else,
}

/// What an expression may read of a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Result {
    /// `count`; `null`: where it is there.
    Got { null: bool },
    /// Nothing that is read here.
    Other,
}

/// Steps in the making.
pub struct Steps<'c> {
    chance: &'c mut Chance,
    /// Whether it has children, people and other keys' facts.
    whole: bool,
    chain: bool,
    pivot: Option<usize>,
    count: usize,
    results: Vec<Result>,
    /// The step whose effect a probe can be asked about.
    probed: Option<usize>,
    alias: bool,
    /// The steps, in YAML.
    pub text: String,
}

impl<'c> Steps<'c> {
    /// None yet.
    pub fn new(chance: &'c mut Chance, whole: bool) -> Self {
        let count = if whole { chance.within(3..=6) } else { chance.within(1..=3) } as usize;
        let chain = chance.strikes(600);
        let pivot = (chain && chance.strikes(500)).then(|| chance.index(count));
        let (results, text) = (Vec::new(), String::new());
        Self { chance, whole, chain, pivot, count, results, probed: None, alias: false, text }
    }

    /// All of them.
    pub fn draw(&mut self) {
        let group =
            (!self.chain && self.count > 3 && self.chance.strikes(400)).then(|| self.chance.index(self.count - 2));
        let mut number = 0;
        while number < self.count {
            if group == Some(number) {
                let (a, b, c) = (self.step(number, true), self.step(number + 1, true), self.step(number + 2, true));
                let line = |text: &str| text.trim_start_matches("- ").to_owned();
                self.text.push_str(&format!(
                    "  - together:\n      - {}\n      - [{}, {}]\n",
                    line(&a),
                    line(&b),
                    line(&c)
                ));
                number += 3;
            } else {
                let step = self.step(number, false);
                self.text.push_str(&format!("  {step}\n"));
                number += 1;
            }
        }
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.chance.index(choices.len())]
    }

    fn is_after_pivot(&self, number: usize) -> bool {
        self.pivot.is_some_and(|pivot| number > pivot)
    }

    fn word(&mut self, place: Place, number: usize) -> String {
        let back = !self.is_after_pivot(number);
        match self.chance.index(6) {
            0 if matches!(place, Place::Refused | Place::Else) => "continue".to_owned(),
            1 if self.pivot != Some(number) || place != Place::Failed => "skip".to_owned(),
            2 if back && self.pivot != Some(number) => {
                let to = if self.chain { self.chance.index(number + 1) } else { number };
                let otherwise = self.of(&["compensate", "stuck", "hold"]);
                format!("{{ back_to: s{to}, at_most: {}, else: {otherwise} }}", self.chance.within(1..=2))
            }
            3 => "hold".to_owned(),
            4 if self.pivot != Some(number) && back => "compensate".to_owned(),
            _ if back && self.pivot != Some(number) => "compensate".to_owned(),
            _ => "stuck".to_owned(),
        }
    }

    fn condition(&mut self) -> String {
        let choices = if self.whole { 7 } else { 3 };
        match self.chance.index(choices) {
            0 => "input.count > 1".to_owned(),
            1 => "facts.state != 'bad'".to_owned(),
            2 => "input.count < constants.top || input.open".to_owned(),
            3 => "facts.level == null || facts.level < 7".to_owned(),
            4 => "facts.mark == null".to_owned(),
            5 => "facts.stock == null || facts.stock >= 0".to_owned(),
            _ => "size(constants.words) == 2".to_owned(),
        }
    }

    /// An earlier step's result, where there is one that is surely done.
    fn count_expression(&mut self) -> String {
        let known: Vec<usize> =
            (0..self.results.len()).filter(|n| self.chain && matches!(self.results[*n], Result::Got { .. })).collect();
        if known.is_empty() || self.chance.strikes(500) {
            return "input.count".to_owned();
        }
        let step = known[self.chance.index(known.len())];
        match self.results[step] {
            Result::Got { null: true } => format!("s{step} != null ? s{step}.count : 1"),
            Result::Got { null: false } | Result::Other => format!("s{step}.count"),
        }
    }

    fn want(&mut self, item: bool) -> String {
        let count = self.count_expression();
        let name = if item { "${thing}" } else { "${input.order_id}" };
        format!("{{ name: \"{name}\", count: \"${{{count}}}\" }}")
    }

    fn patience(&mut self, number: usize) -> String {
        let remind = if self.chance.strikes(400) { ", remind: 15s" } else { "" };
        format!("within: {}s{remind}, else: {}", self.chance.within(20..=120), self.word(Place::Else, number))
    }

    fn step(&mut self, number: usize, grouped: bool) -> String {
        let mut keys = vec![format!("step: s{number}")];
        if self.chance.strikes(150) {
            keys.push("owner: team-other".to_owned());
        }
        if self.chance.strikes(200) {
            keys.push("expected: 30s".to_owned());
        }
        if !self.chain && !grouped && number > 0 {
            keys.extend(self.after(number));
        }
        let is_pivot = self.pivot == Some(number);
        if !is_pivot && self.chance.strikes(200) {
            keys.push(format!("if: \"{}\"", self.condition()));
        }
        let kind = if is_pivot { self.chance.index(3) } else { self.chance.index(if self.whole { 12 } else { 9 }) };
        let result = match kind {
            0..=3 => self.call(number, &mut keys),
            4 => self.ask(&mut keys),
            5 => self.sleeping(&mut keys),
            6 => self.wait(number, &mut keys),
            7 => self.until(number, &mut keys),
            8 => self.decide(&mut keys),
            9 => self.child(number, &mut keys),
            10 => self.approve(number, &mut keys),
            _ => self.call(number, &mut keys),
        };
        let text = keys.join(", ");
        let null = keys.iter().any(|said| {
            let may_pass = ["guard: ", "refused: ", "failed: "].iter().any(|key| said.starts_with(key));
            said.starts_with("if: ") || may_pass && (said.contains("skip") || said.contains("continue"))
        });
        self.results.push(match result {
            Result::Got { .. } => Result::Got { null },
            Result::Other => Result::Other,
        });
        format!("- {{ {text} }}")
    }

    fn after(&mut self, number: usize) -> Option<String> {
        match self.chance.index(4) {
            0 => Some("after: []".to_owned()),
            1 => Some(format!("after: s{}", self.chance.index(number))),
            2 if number > 1 => {
                let all: Vec<String> = (0..number).map(|n| format!("s{n}")).collect();
                Some(format!("after: {{ at_least: 1, of: [{}] }}", all.join(", ")))
            }
            3 if number > 1 => Some(format!("after: [s{}, s{}]", number - 1, number - 2)),
            _ => None,
        }
    }

    fn guard(&mut self, number: usize, keys: &mut Vec<String>) {
        if self.chance.strikes(200) {
            let otherwise = self.word(Place::Guard, number);
            keys.push(format!("guard: {{ if: \"{}\", else: {otherwise} }}", self.condition()));
        }
    }

    fn for_each(&mut self, keys: &mut Vec<String>) -> bool {
        if !self.chance.strikes(250) {
            return false;
        }
        let enough = if self.chance.strikes(400) { ", enough: 1, rest: skip" } else { "" };
        keys.push(format!(
            "for_each: {{ thing: input.things, at_once: {}, most: 3{enough} }}",
            self.chance.within(1..=3)
        ));
        true
    }

    fn retry(&mut self, keys: &mut Vec<String>) {
        let retry =
            self.of(&["quick", "steady", "{ attempts: 2, backoff: 1s..5s, jitter: full, attempt_timeout: 20s }"]);
        keys.push(format!("retry: {retry}"));
    }

    fn call(&mut self, number: usize, keys: &mut Vec<String>) -> Result {
        let is_pivot = self.pivot == Some(number);
        self.guard(number, keys);
        let item = !is_pivot && self.for_each(keys);
        let participant = self.of(&["inventory", "payment", "shipping"]);
        let operation = self.of(&["take", "take", "make", "tell"]);
        keys.push(format!("call: {participant}.{operation}"));
        keys.push(format!("with: {}", self.want(item)));
        self.retry(keys);
        if is_pivot {
            keys.push("pivot: true".to_owned());
        } else {
            self.refusals(number, keys);
            if operation == "tell" || self.chance.strikes(80) {
                keys.push("compensate: never".to_owned());
            } else if self.chance.strikes(250) {
                let undo = format!("un{operation}");
                let count = if item { "1".to_owned() } else { format!("s{number} != null ? s{number}.count : 0") };
                keys.push(format!(
                    "compensate: {{ call: {undo}, with: {{ name: x, count: \"${{{count}}}\" }}, retry: steady }}"
                ));
            }
        }
        if !item && operation == "take" {
            self.probed = self.probed.or(Some(number));
        }
        if self.whole && !item && !self.alias && self.chance.strikes(300) {
            self.alias = true;
            keys.push(format!("alias: {{ ref: \"s{number}.reference + input.order_id\" }}"));
        }
        if item { Result::Other } else { Result::Got { null: false } }
    }

    fn refusals(&mut self, number: usize, keys: &mut Vec<String>) {
        match self.chance.index(4) {
            0 => keys.push(format!("refused: {}", self.word(Place::Refused, number))),
            1 => {
                let (no, other) = (self.word(Place::Refused, number), self.word(Place::Refused, number));
                keys.push(format!("refused: {{ No: {no}, else: {other} }}"));
            }
            _ => {}
        }
        if self.chance.strikes(400) {
            keys.push(format!("failed: {}", self.word(Place::Failed, number)));
        }
    }

    fn ask(&mut self, keys: &mut Vec<String>) -> Result {
        let participant = self.of(&["inventory", "payment", "shipping"]);
        keys.push(format!("ask: {participant}.look"));
        keys.push(format!("with: {}", self.want(false)));
        self.retry(keys);
        Result::Got { null: false }
    }

    fn sleeping(&mut self, keys: &mut Vec<String>) -> Result {
        let sleep = match self.chance.index(12) {
            0..=5 => format!("{}s", self.chance.within(1..=60)),
            6..=8 => "{ until: input.starts_at }".to_owned(),
            9 | 10 => "{ window: late }".to_owned(),
            _ if self.chance.strikes(250) => "{ workdays: 1, calendar: days }".to_owned(),
            _ => "{ window: days }".to_owned(),
        };
        keys.push(format!("sleep: {sleep}"));
        Result::Other
    }

    fn wait(&mut self, number: usize, keys: &mut Vec<String>) -> Result {
        let patience = self.patience(number);
        let how = if self.alias && self.chain && self.chance.strikes(600) {
            "topic: refs, via: ref, key: event.ref"
        } else {
            "topic: letters, key: event.id, if: event.n > 0, type: Letter"
        };
        keys.push(format!("wait: {{ {how}, {patience} }}"));
        Result::Other
    }

    fn until(&mut self, number: usize, keys: &mut Vec<String>) -> Result {
        if self.chance.strikes(400) {
            let otherwise = self.word(Place::Else, number);
            let within = if self.chance.strikes(500) { "within: 30s, " } else { "" };
            keys.push(format!("expect: {{ if: \"{}\", {within}else: {otherwise} }}", self.condition()));
        } else {
            let patience = self.patience(number);
            keys.push(format!("wait: {{ until: \"facts.state != 'new'\", {patience} }}"));
        }
        Result::Other
    }

    fn decide(&mut self, keys: &mut Vec<String>) -> Result {
        keys.push(format!("decide: [{{ if: \"{}\", is: yes }}, {{ is: no }}]", self.condition()));
        Result::Other
    }

    fn child(&mut self, number: usize, keys: &mut Vec<String>) -> Result {
        let item = self.for_each(keys);
        keys.push(format!("saga: {CHILD}"));
        if item {
            keys.push("key: \"${input.order_id}-${thing}\"".to_owned());
        }
        keys.push(
            "with: { order_id: \"${input.order_id}\", product: p, count: 2, open: true, things: [u], starts_at: \"${input.starts_at}\" }"
                .to_owned(),
        );
        if self.chance.strikes(500) {
            keys.push(format!("failed: {}", self.word(Place::Failed, number)));
        }
        if self.chance.strikes(150) {
            keys.push("compensate: never".to_owned());
        }
        Result::Other
    }

    fn approve(&mut self, number: usize, keys: &mut Vec<String>) -> Result {
        let patience = self.patience(number);
        let (no, later) = (self.word(Place::Else, number), self.word(Place::Else, number));
        let void = if self.chance.strikes(400) { ", void_if: facts.state != shown.state" } else { "" };
        let quorum = if self.chance.strikes(300) { ", quorum: 2" } else { "" };
        let by = self.of(&["role/clerk", "[role/clerk, user/ann]"]);
        keys.push(format!(
            "approve: {{ by: {by}, show: {{ state: \"${{facts.state}}\" }}, choices: {{ yes: continue, no: {no}, later: {later} }}{quorum}, \
             escalate: {{ 10s: role/head }}, {patience}{void} }}"
        ));
        Result::Other
    }

    /// What is kept current of the world.
    pub fn facts(&mut self) -> String {
        let mut facts = "facts:
  state: { topic: news, if: event.kind == 'state', key: event.id, value: event.state, seq: event.seq, initial: new }
"
        .to_owned();
        if self.whole {
            let fresh = if self.chance.strikes(500) { ", fresh: 5m" } else { "" };
            facts.push_str(&format!(
                "  level: {{ topic: rates, key: event.product, for: input.product, value: event.level, seq: event.seq, type: long{fresh} }}
  stock: {{ ask: {{ operation: inventory.look, with: {{ name: stock, count: 1 }}, every: 2m, value: answer.count }}, type: long }}
  mark: {{}}
"
            ));
        }
        facts
    }

    /// What follows when the world turns.
    pub fn reactions(&mut self) -> String {
        if self.chance.strikes(500) {
            return String::new();
        }
        let then = self.of(&["compensate", "hold", "stuck", "continue"]);
        let after_pivot = match then {
            "compensate" => self.of(&[", after_pivot: stuck", ", after_pivot: hold", ", after_pivot: continue"]),
            _ => "",
        };
        let mut rules = format!("react:\n  - {{ if: facts.state == 'bad', then: {then}{after_pivot} }}\n");
        let last = self.pivot.unwrap_or(self.count - 1);
        if self.chain && last > 0 && self.chance.strikes(500) {
            rules.push_str(&format!(
                "  - {{ if: \"facts.level != null && facts.level > 6\", between: [s0, s{last}], then: {{ back_to: s0, at_most: 1, else: continue }} }}\n"
            ));
        }
        rules
    }

    /// What must hold before an end may be called by its name, and what a parent would get.
    pub fn ensure(&mut self) -> String {
        let mut text = String::new();
        if let Some(step) = self.probed
            && self.chance.strikes(400)
        {
            let within = if self.chance.strikes(500) { ", within: 30s" } else { "" };
            text.push_str(&format!(
                "ensure:
  completed: {{ if: \"probe.s{step} == null || probe.s{step}.open\"{within} }}
  compensated: {{ if: \"probe.s{step} == null || probe.s{step}.count >= 0\"{within} }}
"
            ));
        }
        if self.chance.strikes(300) {
            text.push_str("result: { order: \"${input.order_id}\" }\n");
        }
        text
    }
}
