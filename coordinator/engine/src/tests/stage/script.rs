//! What comes, in words. A place is `STEP`, `STEP/ITEM`, `STEP@ROUND`; JSON has no spaces.

use sagaline_schemas::record::{
    Answer, Compensated, End, Failed, Happened, Kind, Mark, MarkKind, NothingThere, Probed, Refused, Succeeded, Working,
};
use sagaline_schemas::request::Finding;
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{RequestId, SagaId};

use super::{POLICY, Stage};
use crate::saga::{PlaceState, Spot, TimerKind, TimerStart};
use crate::told::Told;
use crate::turn::{Input, ParentWord};
use crate::{Asked, PlaceName};

const WHY: &str = "why not";

impl Stage {
    /// Plays a script, one happening after the other.
    pub fn play(&mut self, script: &str) {
        self.happen("start", Input::Start { told: vec![] });
        self.go_on(script);
    }

    /// The same of a saga that has begun.
    pub fn go_on(&mut self, script: &str) {
        for line in script.split(';').map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let known =
                self.world_speaks(line, &words) || self.time_passes(line, &words) || self.people_ask(line, &words);
            if !known {
                self.answer(line, words[0], &words[1..]);
            }
        }
    }

    fn world_speaks(&mut self, line: &str, words: &[&str]) -> bool {
        match words {
            ["sent", place] => self.sent(line, place),
            ["letter", step, event] => {
                let step = self.step(step);
                self.event(line, Input::Letter { step, event: Bytes::from(*event) });
            }
            ["told", name, value, seq @ ..] => {
                let fact = self.fact(name);
                let seq = seq.first().map(|seq| seq.parse().unwrap());
                let told = Told { value: Bytes::from(*value), seq, at: self.now };
                self.event(line, Input::Told { fact, told });
            }
            ["answered", name, value, attempt @ ..] => {
                let fact = self.fact(name);
                let newest = self.saga.facts[fact as usize].asked;
                let attempt = attempt.first().map_or(newest, |attempt| attempt.parse().unwrap());
                let answer = match *value {
                    "failed" => Answer::Failed(Failed { error: "oh".to_owned(), retry_after: None, outage: false }),
                    "undone" => Answer::Compensated(Compensated { result: None }),
                    "working" => Answer::Working(Working { until: 1 }),
                    "refused" => Answer::Refused(Refused { code: "No".to_owned(), detail: String::new() }),
                    value => Answer::Succeeded(Succeeded { result: Bytes::from(value) }),
                };
                self.event(line, Input::FactAnswer { fact, attempt, answer });
            }
            ["child", place, end, result @ ..] => {
                let (at, end) = (self.newest_spot(place), end_of(end));
                let result = Bytes::from(*result.first().unwrap_or(&"null"));
                let child = (end != End::NotStarted).then(|| SagaId::from_bytes([3; 16]));
                self.event(line, Input::ChildEnded { at, end, child, result, reason: "so it was".to_owned() });
            }
            ["parent", word] => {
                let reason = WHY.to_owned();
                let word = match *word {
                    "cancel" => ParentWord::Cancel { reason },
                    "compensate" => ParentWord::Compensate { reason },
                    _ => ParentWord::Release,
                };
                self.event(line, Input::Parent { word });
            }
            ["taken", alias, value] => {
                let (alias, value, holder) = ((*alias).to_owned(), (*value).to_owned(), SagaId::from_bytes([5; 16]));
                self.event(line, Input::AliasTaken { alias, value, holder });
            }
            ["fault"] => self.event(line, Input::Fault { offset: 3, reason: WHY.to_owned() }),
            ["shut", participant] => _ = self.gates.closed.insert((*participant).to_owned()),
            ["open", participant] => {
                self.gates.closed.remove(*participant);
                self.event(line, Input::Admitted);
            }
            ["may", "ask", name] => {
                let fact = self.fact(name);
                self.event(line, Input::MayAsk { fact });
            }
            ["down", participant] => _ = self.gates.down.insert((*participant).to_owned()),
            ["up", participant] => {
                self.gates.down.remove(*participant);
                self.event(line, Input::Admitted);
            }
            ["later", millis] => self.now += millis.parse::<i64>().unwrap(),
            _ => return false,
        }
        true
    }

    fn time_passes(&mut self, line: &str, words: &[&str]) -> bool {
        use TimerKind::*;
        match words {
            ["time", place] => self.fire_of_effect(line, place, &[Attempt, UndoAttempt, ProbeAttempt]),
            ["wait", place] => self.fire_of_effect(line, place, &[Backoff, UndoBackoff, ProbeBackoff]),
            ["silence", place] => self.silence(place),
            ["wake", place] => self.fire_of_place(line, place, Sleep),
            ["within", place] => self.fire_of_place(line, place, Within),
            ["remind", place] => self.fire_of_place(line, place, Remind),
            ["escalate", place] => self.fire_of_place(line, place, Escalate),
            ["expected", place] => self.fire_of_place(line, place, Expected),
            ["ask", name] => {
                let at = Spot { step: self.fact(name), items: vec![], round: 0 };
                self.fire(line, Some(at), &[AskFact]);
            }
            ["late", name] => {
                let at = Spot { step: self.fact(name), items: vec![], round: 0 };
                self.fire(line, Some(at), &[AskTime]);
            }
            ["deadline"] if self.saga.timers.iter().all(|timer| timer.kind != Deadline) => {
                self.event(line, Input::Timer { kind: Deadline, at: None });
            }
            ["deadline"] => self.fire(line, None, &[Deadline]),
            ["ensure"] => self.fire(line, None, &[Ensure]),
            ["look"] => self.fire(line, None, &[ProbeBackoff]),
            _ => return false,
        }
        true
    }

    fn people_ask(&mut self, line: &str, words: &[&str]) -> bool {
        let reason = WHY.to_owned();
        let json = |words: &[&str]| words.first().map(|json| Bytes::from(*json));
        let asked = match words {
            ["cancel"] => Asked::Cancel { reason },
            ["retry"] => Asked::Retry { place: None, input: None, reason },
            ["retry", place, input @ ..] => Asked::Retry { place: Some(named(place)), input: json(input), reason },
            ["close"] => Asked::Close { reason },
            ["hold"] => Asked::Hold { reason },
            ["release"] => Asked::Release { place: None, reason },
            ["release", place] => Asked::Release { place: Some(named(place)), reason },
            ["skip", place] => Asked::Skip { place: named(place), reason },
            ["assign", owner] => Asked::Assign { owner: (*owner).to_owned(), reason },
            ["note", text] => Asked::Note { text: (*text).to_owned() },
            ["set", fact, value, seq @ ..] => {
                let seq = seq.first().map(|seq| seq.parse().unwrap());
                Asked::SetFact { fact: (*fact).to_owned(), value: Bytes::from(*value), seq, reason }
            }
            ["signal", step, event] => Asked::Signal { step: (*step).to_owned(), event: Bytes::from(*event) },
            ["confirm", place, finding, result @ ..] => {
                let finding = match *finding {
                    "done" => Finding::Done,
                    "undone" => Finding::Undone,
                    _ => Finding::NotDone,
                };
                let evidence = "a letter".to_owned();
                Asked::Confirm { place: named(place), finding, result: json(result), reason, evidence }
            }
            ["vote", place, choice, "by", who, version @ ..] => {
                let version = version.first().map_or_else(|| self.version(place), |version| version.parse().unwrap());
                let asked = Asked::Decide { place: named(place), version, choice: (*choice).to_owned(), reason };
                self.ask(line, who, asked);
                return true;
            }
            _ => return false,
        };
        self.ask(line, "ada", asked);
        true
    }

    /// `NAME` or `NAME:ROLE`.
    fn ask(&mut self, line: &str, who: &str, asked: Asked) {
        let (by, role) = who.split_once(':').unwrap_or((who, ""));
        let roles = if role.is_empty() { vec![] } else { vec![format!("role/{role}")] };
        self.event(line, Input::Request { id: RequestId::from_bytes([1; 16]), by: by.to_owned(), roles, asked });
    }

    fn event(&mut self, line: &str, input: Input) {
        self.happen(line, input);
    }

    fn step(&self, name: &str) -> u32 {
        self.definition.step_index(name).unwrap_or_else(|| panic!("no step {name}")) as u32
    }

    fn fact(&self, name: &str) -> u32 {
        self.definition.facts.iter().position(|clause| clause.fact == name).expect("a fact of that name") as u32
    }

    /// What people were shown last.
    fn version(&self, place: &str) -> i64 {
        let name = named(place);
        let item = name.items.first().map_or(0, |item| *item as usize);
        let place = self.saga.steps[self.step(&name.step) as usize].state.places().get(item);
        match place.map(|place| &place.state) {
            Some(PlaceState::Asking { approval }) => approval.version,
            _ => 0,
        }
    }

    fn effect(&self, place: &str) -> u32 {
        let name = named(place);
        let step = self.step(&name.step);
        let fits = |e: &crate::Effect| {
            e.step == step && e.items == name.items && name.round.is_none_or(|round| e.round == round)
        };
        self.saga.effects.iter().rposition(fits).unwrap_or_else(|| panic!("no effect of {place}: {}", self.account))
            as u32
    }

    fn newest_spot(&self, place: &str) -> Spot {
        self.saga.effects[self.effect(place) as usize].spot()
    }

    /// The kind of command that is out for an effect.
    fn kind(&self, effect: u32) -> Kind {
        let of = &self.saga.effects[effect as usize];
        match (of.undo_tries.count, of.probing) {
            (0, crate::Probing::No) => Kind::Do,
            (0, _) => Kind::Probe,
            (_, crate::Probing::Ensure) => Kind::Probe,
            _ => Kind::Compensate,
        }
    }

    fn newest(&self, effect: u32, kind: Kind) -> u32 {
        self.saga.effects[effect as usize].tries(kind).unwrap().count
    }

    fn sent(&mut self, line: &str, place: &str) {
        let effect = self.effect(place);
        let kind = self.kind(effect);
        let attempt = self.newest(effect, kind);
        self.event(line, Input::Sent { effect, kind, attempt, base: Some(self.now) });
    }

    fn fire_of_effect(&mut self, line: &str, place: &str, kinds: &[TimerKind]) {
        let at = self.newest_spot(place);
        self.fire(line, Some(at), kinds);
    }

    fn fire_of_place(&mut self, line: &str, place: &str, kind: TimerKind) {
        let name = named(place);
        let step = self.step(&name.step);
        let run = &self.saga.steps[step as usize];
        let item = name.items.first().map_or(0, |item| *item as usize);
        let whole = kind == TimerKind::Expected;
        let round = if whole { run.round } else { run.state.places().get(item).map_or(0, |place| place.round) };
        self.fire(line, Some(Spot { step, items: name.items, round }), &[kind]);
    }

    /// Time passes until the timer fires.
    fn fire(&mut self, line: &str, at: Option<Spot>, kinds: &[TimerKind]) {
        self.saga.begin_durations(self.now);
        let timer = self.saga.timers.iter().find(|t| t.at == at && kinds.contains(&t.kind)).cloned();
        let timer =
            timer.unwrap_or_else(|| panic!("{line}: no such timer runs in {:#?}\n{}", self.saga.timers, self.account));
        let TimerStart::Due { at: due } = timer.start else { unreachable!("begun just now") };
        self.now = self.now.max(due);
        self.event(line, Input::Timer { kind: timer.kind, at });
    }

    /// Nobody answers any attempt.
    fn silence(&mut self, place: &str) {
        self.sent(&format!("sent {place}"), place);
        for _ in 1..POLICY.attempts {
            for line in [format!("time {place}"), format!("wait {place}")] {
                self.time_passes(&line, &line.split(' ').collect::<Vec<_>>());
            }
            self.sent(&format!("sent {place}"), place);
        }
        let line = format!("time {place}");
        self.time_passes(&line, &line.split(' ').collect::<Vec<_>>());
    }

    fn answer(&mut self, line: &str, answer: &str, rest: &[&str]) {
        let effect = self.effect(rest[0]);
        let bytes = |json: &str| Bytes::from(json);
        let (kind, answer) = match (answer, rest) {
            ("ok", [_]) => (Kind::Do, Answer::Succeeded(Succeeded { result: bytes("1") })),
            ("ok", [_, json]) => (Kind::Do, Answer::Succeeded(Succeeded { result: bytes(json) })),
            ("no", [_]) => (Kind::Do, Answer::Refused(Refused { code: "No".to_owned(), detail: String::new() })),
            ("no", [_, code]) => {
                (Kind::Do, Answer::Refused(Refused { code: (*code).to_owned(), detail: String::new() }))
            }
            ("fail", [_]) => {
                (self.kind(effect), Answer::Failed(Failed { error: "oh".to_owned(), retry_after: None, outage: false }))
            }
            ("fail", [_, after]) => {
                let retry_after = Some(after.parse().unwrap());
                (self.kind(effect), Answer::Failed(Failed { error: "oh".to_owned(), retry_after, outage: false }))
            }
            ("out", [_]) => {
                let error = "the bank is down".to_owned();
                (self.kind(effect), Answer::Failed(Failed { error, retry_after: None, outage: true }))
            }
            ("working", [_, until]) => (self.kind(effect), Answer::Working(Working { until: until.parse().unwrap() })),
            ("undone", [_]) => (Kind::Compensate, Answer::Compensated(Compensated { result: None })),
            ("nothing", [_]) => (Kind::Compensate, Answer::NothingThere(NothingThere {})),
            ("forgotten", [_]) => (self.kind(effect), Answer::Mark(Mark { mark: MarkKind::Forgotten })),
            ("probed", [_, happened, json @ ..]) => {
                let happened = match *happened {
                    "yes" => Happened::Yes,
                    "no" => Happened::No,
                    _ => Happened::Unknown,
                };
                let result = json.first().map(|json| bytes(json));
                (Kind::Probe, Answer::Probed(Probed { happened, found: result.clone(), result }))
            }
            other => panic!("{line}: {other:?} is no happening"),
        };
        let attempt = self.newest(effect, kind).max(1);
        self.event(line, Input::Answer { effect, kind, attempt, answer, instance: "i".to_owned() });
    }
}

fn named(place: &str) -> PlaceName {
    let (place, round) = match place.split_once('@') {
        Some((place, round)) => (place, Some(round.parse().unwrap())),
        None => (place, None),
    };
    let (step, items) = match place.split_once('/') {
        Some((step, item)) => (step, vec![item.parse().unwrap()]),
        None => (place, vec![]),
    };
    PlaceName { step: step.to_owned(), items, round }
}

fn end_of(word: &str) -> End {
    match word {
        "completed" => End::Completed,
        "compensated" => End::Compensated,
        "cancelled" => End::Cancelled,
        "closed" => End::Closed,
        "not-started" => End::NotStarted,
        other => panic!("{other} is no end"),
    }
}
