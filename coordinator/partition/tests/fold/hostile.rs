//! Records that nobody should have written: each is parked with its reason, and a good saga in the same partition completes after it.

use expect_test::expect;
use sagaline_definition::Contract;
use sagaline_partition::{FaultNote, Faults, LogRecord, Partition};
use sagaline_schemas::proof::{self, Key};
use sagaline_schemas::record::{
    Answer, Body, Compensated, ContractRecord, DefinitionRecord, EngineVersion, Failed, Fault, Happened, Probed, Reply,
    SettingsChange, Succeeded,
};
use sagaline_schemas::settings::Settings;
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Token, schema};
use sagaline_store::MemoryStore;

use crate::stage::{LOG, Stage, chain, genesis, key, reply};

/// Plays `attack` beside a live saga, then lets a good one run; tells what was parked.
fn attack(attack: impl FnOnce(&mut Stage)) -> String {
    let mut stage = Stage::new(&["a"]);
    stage.start("victim");
    let before = stage.phase("victim");
    attack(&mut stage);
    assert_eq!(stage.phase("victim"), before, "the victim is as it was");
    stage.start("good");
    stage.ok("a");
    assert!(stage.phase("good").contains("Completed"), "a good saga in the same partition completes");
    let parked = stage.parked();
    parked.iter().map(|parked| format!("{:?}: {}\n", parked.reason, parked.detail)).collect()
}

fn forged(body: &Body) -> Vec<u8> {
    proof::seal(schema::INBOX.fingerprint, &Key::new("test", [2; 32]), LOG, 0, body)
}

#[test]
fn records_of_a_wrong_key() {
    let told = attack(|stage| {
        let event = stage.event(0, 1, "forged");
        let progress = stage.progress_record();
        for body in [
            Body::Event(event),
            Body::Progress(progress),
            Body::EngineVersion(EngineVersion { version: 999, by: "ada".to_owned() }),
            Body::Settings(SettingsChange { version: 5, settings: Settings::default(), by: "ada".to_owned() }),
            Body::Fault(Fault { offset: 1, timer: 0, by: String::new(), reason: String::new() }),
            Body::Genesis(genesis()),
        ] {
            stage.raw(forged(&body));
        }
        assert_eq!(stage.phase("forged"), "none");
    });
    expect![[r#"
        Unproven: its mac is wrong
        Unproven: its mac is wrong
        Unproven: its mac is wrong
        Unproven: its mac is wrong
        Unproven: its mac is wrong
        Unproven: its mac is wrong
    "#]]
    .assert_eq(&told);
}

#[test]
fn records_of_another_partition() {
    let told = attack(|stage| {
        let event = stage.event(0, 1, "forged");
        stage.raw(proof::seal(schema::INBOX.fingerprint, &key(), LOG, 1, &Body::Event(event)));
    });
    expect![[r#"
        Unproven: its mac is wrong
    "#]]
    .assert_eq(&told);
}

#[test]
fn bytes_that_are_no_record() {
    let told = attack(|stage| {
        stage.raw(vec![]);
        stage.raw(b"{\"order\": 1}".to_vec());
        stage.raw([&proof::MARKER[..], &[0; 8], &[1, 2, 3]].concat());
        let mut cut = proof::seal(schema::INBOX.fingerprint, &key(), LOG, 0, &Body::Genesis(genesis()));
        cut.truncate(cut.len() - 3);
        stage.raw(cut);
    });
    expect![[r#"
        Undecodable: the value does not begin with Avro's single-object marker
        Undecodable: the value does not begin with Avro's single-object marker
        Undecodable: the value was written with the unknown schema 0000000000000000
        Undecodable: the record ends early
    "#]]
    .assert_eq(&told);
}

#[test]
fn replies_that_prove_nothing() {
    let told = attack(|stage| {
        let command = stage.command("a");
        let ok = || Answer::Succeeded(Succeeded { result: Bytes::from("{}") });
        let reply_with = |change: &dyn Fn(&mut Reply)| {
            let mut reply = Reply {
                address: command.address.clone(),
                token: command.token,
                answer: ok(),
                instance: String::new(),
                time: 0,
            };
            change(&mut reply);
            proof::unsealed(schema::INBOX.fingerprint, &Body::Reply(reply))
        };
        stage.raw(reply_with(&|reply| reply.token = Token([0; 16])));
        stage.raw(reply_with(&|reply| reply.address.attempt = 2));
        stage.raw(reply_with(&|reply| reply.address.step = "b".to_owned()));
        stage.raw(reply_with(&|reply| reply.address.round = 1));
        stage.raw(reply_with(&|reply| reply.address.saga = sagaline_schemas::SagaId::from_bytes([1; 16])));
        stage.raw(reply(&command, Answer::Compensated(Compensated { result: None })));
        stage.raw(reply(&command, Answer::Succeeded(Succeeded { result: Bytes::from("{") })));
        let long = format!("{:?}", "x".repeat(300_000));
        stage.raw(reply(&command, Answer::Succeeded(Succeeded { result: Bytes::from(long.as_str()) })));
        for found in ["{", long.as_str()] {
            let found = Some(Bytes::from(found));
            stage.raw(reply(&command, Answer::Probed(Probed { happened: Happened::Yes, result: None, found })));
        }
    });
    let told = told.replace(|c: char| c.is_ascii_hexdigit() && c.is_ascii_digit(), "0");
    expect![[r#"
        Unproven: its token is not the one that the command carried
        Unknown: no such command was sent: saga fe000cf0-fa00-0a0c-ba0e-00e0b000000e, step "a"
        Unknown: no such command was sent: saga fe000cf0-fa00-0a0c-ba0e-00e0b000000e, step "b"
        Unknown: no such command was sent: saga fe000cf0-fa00-0a0c-ba0e-00e0b000000e, step "a"
        Unknown: no such saga is remembered: saga 00000000-0000-0000-0000-000000000000, step "a"
        Refused: Compensated is no answer to a command of kind Do
        Undecodable: its result is no JSON: EOF while parsing an object at line 0 column 0
        TooLarge: its result has 000000 bytes, the settings allow 000000
        Undecodable: what it found is no JSON: EOF while parsing an object at line 0 column 0
        TooLarge: what it found has 000000 bytes, the settings allow 000000
    "#]]
    .assert_eq(&told);
}

#[test]
fn long_texts_never_make_an_output_that_no_topic_takes() {
    let told = attack(|stage| {
        let command = stage.command("a");
        let long = "x".repeat(500_000);
        let mut address = command.address.clone();
        address.step = long.clone();
        let reply = Reply {
            address,
            token: command.token,
            answer: Answer::Failed(Failed { error: long.clone(), retry_after: None, outage: false }),
            instance: long.clone(),
            time: 0,
        };
        stage.raw(proof::unsealed(schema::INBOX.fingerprint, &Body::Reply(reply)));
        let event = stage.event(0, 1, &long);
        stage.body(&Body::Event(event));
        stage.skip_event();
        let longest = stage.outputs.iter().map(|output| output.output.value.len()).max();
        assert!(longest < Some(100_000), "the longest output has {longest:?} bytes");
    });
    assert_eq!(told.lines().count(), 2, "{told}");
}

#[test]
fn an_event_that_is_too_large_leaves_no_hole_behind_it() {
    let mut stage = Stage::new(&["a"]);
    let mut large = stage.event(-1, 0, "large");
    large.topic = "x".repeat(2_000_000);
    stage.body(&Body::Event(large));
    let next = stage.event(0, 1, "next");
    stage.body(&Body::Event(next));
    assert_eq!(stage.phase("large"), "none");
    assert!(stage.phase("next").contains("Running"), "{}", stage.phase("next"));
    assert_eq!(stage.parked().len(), 1);
}

#[test]
fn an_event_that_is_passed_over_leaves_no_hole_behind_it() {
    let mut stage = Stage::new(&["a"]);
    let note = FaultNote { by: "ada".to_owned(), reason: "it kills the fold".to_owned() };
    let next = stage.log.len() as i64;
    let faults = Faults::from([((next, 0), note)]);
    let mut passing = Partition::open(0, Box::new(MemoryStore::new()), key(), faults).unwrap();
    let killer = stage.event(-1, 0, "killer");
    stage.body(&Body::Event(killer));
    let next = stage.event(0, 1, "next");
    stage.body(&Body::Event(next));
    for (offset, (timestamp, value)) in (0..).zip(&stage.log) {
        passing.fold(LogRecord { offset, timestamp: *timestamp, value }, 1_000).unwrap();
    }
    let meta = passing.meta().unwrap();
    assert_eq!((meta.counters.started, meta.counters.parked), (1, 1));
}

#[test]
fn one_name_and_version_never_has_two_digests() {
    let told = attack(|stage| {
        let (mut definition, mut contract) = chain(&["a", "b"]);
        let record = |contract: &Contract| ContractRecord {
            digest: contract.digest(),
            normal_form: Bytes(contract.normal_form()),
            command_partitions: 9,
            by: "ada".to_owned(),
        };
        stage.body(&Body::Contract(record(&contract)));
        contract.version = "2.0.0".to_owned();
        stage.body(&Body::Contract(record(&contract)));
        definition.contracts.insert("p".to_owned(), contract.digest());
        stage.body(&Body::Definition(DefinitionRecord {
            digest: definition.digest(),
            normal_form: Bytes(definition.normal_form()),
            contracts: vec![contract.digest()],
            by: "ada".to_owned(),
        }));
    });
    expect![[r#"
        Refused: p 1.0.0 is known with another digest: raise its version
        Refused: test 1.0.0 is known with another digest: raise its version
    "#]]
    .assert_eq(&told);
}
