//! The golden corpus: logs that were recorded once, with the outputs and the state that they give. A log of a customer is folded by builds of
//! many years; here is seen when one of them would fold it otherwise than the one before. The messages below say what to do when this is red.
//! `UPDATE=1 cargo test --workspace --test fold golden` records what is missing, never what is there.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use expect_test::expect;
use sagaline_language::{Loaded, load};
use sagaline_partition::digest::digest;
use sagaline_partition::store::FORMAT;
use sagaline_partition::{Faults, Folded, LogRecord, OLDEST_RULES, Partition, RULES_VERSION};
use sagaline_schemas::record::{Answer, ClauseKind, Failed, Genesis, Refused, Succeeded};
use sagaline_schemas::request::{PauseRequest, RequestBody, RequestTarget, ResumeRequest, ScopeTarget};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Digest, OutputHash};
use sagaline_store::MemoryStore;

use crate::mail::{Post, family};
use crate::stage::{Stage, genesis, key};

const HEAD: &str = "\
# A golden log: never edit it. Each line is a record of the inbox: its broker timestamp, the output hash behind it, its value.
# What to do when it is red, and how it was made: coordinator/partition/tests/fold/golden.rs
";

const OTHER_OUTPUTS: &str = "\
Every log in the world that has such a record is folded otherwise by this build: nodes of both builds diverge, commands get other ids. If that was not
meant, mend it. If it was: raise RULES_VERSION (coordinator/partition/src/rules.rs), have the new behaviour only where
`meta.rules().at_least(THE_NEW_VERSION)`, and record the corpus of the new version beside this one. Never record this file anew.";

const OTHER_STATE: &str = "\
The outputs are those of old, the state is another one. If only the form of the store was changed: raise `FORMAT` (coordinator/partition/src/store.rs), so
that every store is folded anew, and let UPDATE=1 write the digest. If the state means something else: that is a matter of the rules' version; see
coordinator/partition/src/rules.rs.";

/// One log as it lies in a file.
#[derive(Debug, PartialEq)]
struct Golden {
    partition: u32,
    records: Vec<Recorded>,
    outputs: usize,
    format: u32,
    state: Digest,
}

/// A record, and how the first bytes of the output hash read once it is folded.
#[derive(Clone, Debug, PartialEq)]
struct Recorded {
    timestamp: i64,
    value: Vec<u8>,
    outputs: String,
}

impl Golden {
    /// What this build makes of a log.
    fn of<'a>(partition: u32, log: impl IntoIterator<Item = (i64, &'a [u8])>) -> Self {
        let mut fold = Partition::open(partition, Box::new(MemoryStore::new()), key(), Faults::new()).unwrap();
        let (mut records, mut outputs) = (Vec::new(), 0);
        for (offset, (timestamp, value)) in (0..).zip(log) {
            while fold.fold(LogRecord { offset, timestamp, value }, 7).unwrap() == Folded::More {}
            outputs += fold.take_published().len();
            let hash = fold.meta().map_or(OutputHash::ZERO, |meta| meta.output_hash).to_string();
            records.push(Recorded { timestamp, value: value.to_vec(), outputs: hash[..16].to_owned() });
        }
        fold.commit().unwrap();
        Self { partition, records, outputs, format: FORMAT, state: digest(fold.reader().as_ref()).unwrap() }
    }

    fn again(&self) -> Self {
        Self::of(self.partition, self.records.iter().map(|record| (record.timestamp, &record.value[..])))
    }

    fn write(&self) -> String {
        let mut text = format!("{HEAD}partition {}\n", self.partition);
        for Recorded { timestamp, value, outputs } in &self.records {
            let value: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(text, "{timestamp} {outputs} {value}").unwrap();
        }
        writeln!(text, "outputs {}\nformat {}\nstate {}", self.outputs, self.format, self.state).unwrap();
        text
    }

    fn read(text: &str) -> Self {
        let mut golden = Self { partition: 0, records: vec![], outputs: 0, format: 0, state: Digest([0; 32]) };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["partition", number] => golden.partition = number.parse().unwrap(),
                ["outputs", count] => golden.outputs = count.parse().unwrap(),
                ["format", version] => golden.format = version.parse().unwrap(),
                ["state", digest] => golden.state = digest.parse().unwrap(),
                [timestamp, outputs, value] => golden.records.push(Recorded {
                    timestamp: timestamp.parse().unwrap(),
                    value: (0..value.len())
                        .step_by(2)
                        .map(|at| u8::from_str_radix(&value[at..at + 2], 16).unwrap())
                        .collect(),
                    outputs: outputs.to_owned(),
                }),
                _ => panic!("{line:?} is no line of a golden log"),
            }
        }
        golden
    }

    /// What is wrong with what this build makes of it; none: it is as ever.
    fn differs(&self, now: &Self) -> Option<String> {
        let other = self.records.iter().zip(&now.records).position(|(was, is)| was.outputs != is.outputs);
        if let Some(offset) = other {
            return Some(format!("the record at offset {offset} makes other outputs than of old.\n{OTHER_OUTPUTS}"));
        }
        if self.outputs != now.outputs {
            return Some(format!("it makes {} outputs, of old {}.\n{OTHER_OUTPUTS}", now.outputs, self.outputs));
        }
        let state = (self.format, self.state);
        (state != (now.format, now.state)).then(|| format!("the state is another one than of old.\n{OTHER_STATE}"))
    }
}

/// Its name, and the partitions with their logs.
type Scenario = (&'static str, fn() -> Vec<Stage>);

/// Every scenario that a version of the rules is recorded with.
const SCENARIOS: [Scenario; 5] = [
    ("order", order),
    ("waits", waits),
    ("children", children),
    ("children-undone", children_undone),
    ("gates", gates),
];

fn refused(code: &str) -> Answer {
    Answer::Refused(Refused { code: code.to_owned(), detail: "no".to_owned() })
}

fn result(json: &str) -> Answer {
    Answer::Succeeded(Succeeded { result: Bytes::from(json) })
}

/// The example of the documentation: one order is fulfilled, one is refused its money and goes back, one fails until its attempts are used up,
/// one is cancelled while the money is taken, one event is told twice.
fn order() -> Vec<Stage> {
    let folder = sagaline_test_sources::root().join("docs/examples/order-fulfilment");
    let Loaded { definitions, contracts, .. } = load(&[folder]).unwrap_or_else(|error| panic!("{error}"));
    let definitions: Vec<_> = definitions.into_values().collect();
    let contracts: Vec<_> = contracts.iter().cloned().collect();
    let mut stage = Stage::with(genesis(), &definitions, &contracts);
    let begin = |stage: &mut Stage, key: &str| {
        let target = stage.target(ClauseKind::Start, "", key);
        let order = format!(
            r#"{{"type":"placed","order_id":"{key}","account":"a-1","sku":"lamp","quantity":2,"total":3000,"currency":"EUR","address":{{"street":"Main 1","country":"DE"}}}}"#
        );
        stage.tell("orders", &order, &[target]);
        stage.progress();
    };
    let (reserved, charged) = (result(r#"{"reservation":"r-1"}"#), result(r#"{"reference":"c-1","captured":3000}"#));
    begin(&mut stage, "fulfilled");
    stage.answer("reserve", reserved.clone());
    stage.answer("charge", charged.clone());
    stage.progress();
    stage.answer("dispatch", result(r#"{"tracking":"t-1"}"#));
    begin(&mut stage, "no money");
    stage.answer("reserve", reserved.clone());
    stage.answer("charge", refused("CardExpired"));
    stage.pass(3_000, 1_000);
    stage.undone("release");
    begin(&mut stage, "used up");
    stage.answer("reserve", reserved.clone());
    while !stage.operations().contains("refund") {
        let error = "try again".to_owned();
        stage.answer("charge", Answer::Failed(Failed { error, retry_after: None, outage: false }));
        stage.pass(60_000, 20_000);
    }
    stage.undone("refund");
    stage.undone("release");
    begin(&mut stage, "cancelled");
    stage.answer("reserve", reserved);
    let saga =
        sagaline_partition::view::saga_of_key(stage.partition.reader().as_ref(), "order-fulfilment", "cancelled");
    let target = RequestTarget::Saga(sagaline_schemas::request::SagaTarget { saga: saga.unwrap().unwrap().id });
    let cancel = sagaline_schemas::request::CancelRequest { reason: "a mistake".to_owned() };
    assert_eq!(stage.request(1, target, RequestBody::Cancel(cancel)), "taken");
    stage.answer("charge", charged);
    stage.undone("refund");
    stage.undone("release");
    stage.progress();
    vec![stage]
}

/// Holds, approvals, waits, facts, events before their time; deadlines and reminders by the clock.
fn waits() -> Vec<Stage> {
    let mut stage = crate::requests::stage();
    let news = |stage: &mut Stage, key: &str, value: &str, seq: i64| {
        let targets = [stage.target(ClauseKind::Fact, "price", key), stage.target(ClauseKind::Wait, "settled", key)];
        stage.tell("world", &format!(r#"{{"key":"{key}","value":"{value}","seq":{seq}}}"#), &targets);
    };
    news(&mut stage, "early", "go", 1);
    for (id, key) in [(10, "early"), (11, "told"), (12, "nobody decides"), (13, "nothing comes")] {
        stage.start(key);
        stage.ok("a");
        stage.ok("b");
        stage.progress();
        if key != "nobody decides" {
            let version = crate::requests::shown(&mut stage, key);
            assert_eq!(stage.ask(id, key, crate::requests::decide(version)), "taken");
        }
    }
    news(&mut stage, "told", "stay", 1);
    news(&mut stage, "told", "go", 3);
    news(&mut stage, "told", "go", 2);
    stage.pass(2 * 3_600_000, 300_000);
    for _ in 0..2 {
        stage.undone("un-b");
        stage.undone("un-a");
        stage.pass(60_000, 10_000);
    }
    stage.start("held");
    stage.ok("a");
    stage.answer("b", refused("No"));
    stage.cancel(20, "held");
    stage.undone("un-a");
    stage.progress();
    vec![stage]
}

/// A saga that begins another one, in two partitions; its last step is to come.
fn family_of(key: &str) -> Post {
    let (parent, child, contract) = family();
    let mut post = Post::new(2, &[parent, child], &contract);
    post.home(key).start(key);
    ["a", "c", "d"].into_iter().for_each(|operation| post.ok(operation));
    post
}

/// It completes.
fn children() -> Vec<Stage> {
    let mut post = family_of("k");
    post.ok("b");
    post.stages.iter_mut().for_each(|stage| _ = stage.progress());
    post.stages
}

/// Its last step is refused: it goes back, and so does its child.
fn children_undone() -> Vec<Stage> {
    let mut post = family_of("k");
    post.refused("b");
    ["un-d", "un-c", "un-a"].into_iter().for_each(|undo| post.undone(undo));
    post.stages.iter_mut().for_each(|stage| _ = stage.progress());
    post.stages
}

/// A participant says that it is out, is found well again; another pause is spoken and taken back.
fn gates() -> Vec<Stage> {
    let mut stage = Stage::new(&["a", "b"]);
    let scope = |stage: &mut Stage, id: u8, body: RequestBody| {
        let target = RequestTarget::Scope(ScopeTarget { subject: "participant/p".to_owned() });
        assert_eq!(stage.request(id, target, body), "done");
    };
    for number in 0..6 {
        stage.start(&format!("k{number}"));
    }
    stage.progress();
    stage.answer("a", Answer::Failed(Failed { error: "the bank is down".to_owned(), retry_after: None, outage: true }));
    stage.pass(10 * 60_000, 20_000);
    stage.ok("a");
    for _ in 0..10 {
        stage.pass(2_000, 1_000);
        stage.ok("a");
    }
    scope(&mut stage, 1, RequestBody::Pause(PauseRequest { version: 1, reason: "move".to_owned() }));
    stage.start("waits");
    stage.pass(60_000, 20_000);
    scope(&mut stage, 2, RequestBody::Resume(ResumeRequest { version: 2, reason: "moved".to_owned() }));
    stage.pass(5_000, 1_000);
    stage.ok("a");
    stage.ok("b");
    stage.progress();
    vec![stage]
}

fn folder() -> PathBuf {
    sagaline_test_sources::root().join("coordinator/partition/tests/fold/golden")
}

fn updates() -> bool {
    std::env::var_os("UPDATE").is_some_and(|value| value == "1")
}

/// The corpus of this version, as it would be recorded now.
fn recorded() -> Vec<(String, Golden)> {
    let mut all = Vec::new();
    for (name, scenario) in SCENARIOS {
        for stage in scenario() {
            let Genesis { partition, .. } = stage.genesis;
            let log = stage.log.iter().map(|(timestamp, value)| (*timestamp, &value[..]));
            all.push((format!("v{RULES_VERSION}/{name}-{partition}.log"), Golden::of(partition, log)));
        }
    }
    all
}

#[test]
fn what_was_recorded_is_folded_as_ever() {
    for (name, golden) in recorded() {
        let file = folder().join(&name);
        if !file.exists() {
            assert!(
                updates(),
                "golden/{name} is not recorded: UPDATE=1 does it, for a new version of the rules or a new scenario"
            );
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, golden.write()).unwrap();
        }
    }
    for version in OLDEST_RULES..=RULES_VERSION {
        let files = std::fs::read_dir(folder().join(format!("v{version}"))).unwrap();
        let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        assert!(files.len() > SCENARIOS.len(), "golden/v{version} has lost files: {files:?}");
        for file in files {
            check(&file);
        }
    }
}

fn check(file: &Path) {
    let golden = Golden::read(&std::fs::read_to_string(file).unwrap());
    let now = golden.again();
    let only_the_form = now.format > golden.format && now.outputs == golden.outputs && now.records == golden.records;
    if only_the_form && updates() {
        return std::fs::write(file, now.write()).unwrap();
    }
    if let Some(wrong) = golden.differs(&now) {
        panic!("{}: {wrong}", file.strip_prefix(folder()).unwrap().display());
    }
}

#[test]
fn the_scenarios_end_as_they_say() {
    let mut told = String::new();
    for (name, scenario) in SCENARIOS {
        for mut stage in scenario() {
            stage.partition.commit().unwrap();
            for parked in stage.parked() {
                writeln!(told, "{name}: offset {} is parked: {}", parked.offset, parked.detail).unwrap();
            }
            for saga in sagaline_partition::view::sagas(stage.partition.reader().as_ref(), None, usize::MAX).unwrap() {
                let phase = format!("{:?}", saga.phase);
                let phase = phase.split(", at: ").next().unwrap_or_default().replace("Ended { end: ", "");
                writeln!(told, "{name}: {}: {phase}", saga.key).unwrap();
            }
        }
    }
    expect![[r#"
        order: fulfilled: Completed
        order: no money: Compensated
        order: used up: Compensated
        order: cancelled: Cancelled
        waits: offset 26 is parked: the saga has ended
        waits: held: Cancelled
        waits: nobody decides: Stuck { direction: Back { cause: Deadline }, stuck: Compensation { effect: 1, error: "no answer in time" } }
        waits: nothing comes: Compensated
        waits: told: Completed
        waits: early: Completed
        children: k/child: Completed
        children: k: Completed
        children-undone: k/child: Compensated
        children-undone: k: Compensated
        gates: k2: Running { direction: Forward }
        gates: k5: Running { direction: Forward }
        gates: k4: Running { direction: Forward }
        gates: waits: Running { direction: Forward }
        gates: k1: Running { direction: Forward }
        gates: k3: Running { direction: Forward }
        gates: k0: Completed
    "#]].assert_eq(&told);
}

#[test]
fn a_recorded_log_is_read_as_it_was_written_and_every_difference_is_seen() {
    let (_, golden) = recorded().remove(0);
    assert_eq!(Golden::read(&golden.write()), golden);
    assert_eq!(golden.differs(&golden.again()), None);
    let with = |change: fn(&mut Golden)| {
        let mut other = golden.again();
        change(&mut other);
        golden.differs(&other).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(with(|other| other.state.0[31] ^= 1), "the state is another one than of old.");
    assert_eq!(
        with(|other| other.outputs += 1),
        format!("it makes {} outputs, of old {}.", golden.outputs + 1, golden.outputs)
    );
    let flipped = "0000000000000000".to_owned();
    let told = with(|other| other.records[7].outputs = "0000000000000000".to_owned());
    assert_eq!(told, "the record at offset 7 makes other outputs than of old.");
    // One bit of one answer in the log itself, and all outputs behind it are others.
    let mut cut = golden.again();
    cut.records.truncate(9);
    cut.records[8].value[20] ^= 1;
    let (is, was) = (cut.again(), &golden.records[8]);
    assert!(
        is.records[7].outputs == golden.records[7].outputs
            && is.records[8].outputs != was.outputs
            && was.outputs != flipped
    );
}
