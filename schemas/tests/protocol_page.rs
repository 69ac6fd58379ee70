//! docs/protocol.md shows one of each derived value: they are what the code derives. A change here is a change of the protocol.

use sagaline_schemas::callback::Callback;
use sagaline_schemas::hash::{command_id, content, effect_id, next_output_hash, output_id, partition_of, saga_id};
use sagaline_schemas::proof::{Key, unsealed};
use sagaline_schemas::record::{Address, Answer, Body, Kind, Reply, Succeeded};
use sagaline_schemas::{LogId, OutputHash, Position};

const PAGE: &str = include_str!("../../docs/protocol.md");

/// Lines of the page's block of that name.
fn block(name: &str) -> impl Iterator<Item = &'static str> {
    let (_, block) = PAGE.split_once(&format!("```{name}\n")).expect("the page has the block");
    block.lines().take_while(|line| *line != "```")
}

/// The last word of the line that begins with `name` in the page's list of derivations.
fn shown(name: &str) -> &'static str {
    let line = block("derivations").find(|line| line.split_whitespace().next() == Some(name));
    line.and_then(|line| line.split_whitespace().last()).expect("the list has the name")
}

#[test]
fn the_page_shows_what_the_code_derives() {
    let log = LogId([7; 16]);
    let key = Key::new("k", [9; 32]);
    let saga = saga_id(log, 3, 41, 0);
    let effect = effect_id(saga, "charge", &[], 0);
    let command = command_id(effect, Kind::Do, 1);
    let output = output_id(log, 3, Position { offset: 41, timer: 0, index: 2 });
    let content = content("charge", br#"{"amount":5}"#);
    let derived = [
        ("log_id", log.to_string()),
        ("saga_id", saga.to_string()),
        ("effect_id", effect.to_string()),
        ("command_id", command.to_string()),
        ("output_id", output.to_string()),
        ("content", content.to_string()),
        ("token", key.token(log, 3, command, content).to_string()),
        ("mac", key.mac(log, 3, &[1, 2, 3]).to_string()),
        ("entry", key.entry(log, b"active/a", &[1, 2, 3]).to_string()),
        ("document", key.document(log, "checkpoint", &[1, 2, 3]).to_string()),
        ("output_hash", next_output_hash(OutputHash::ZERO, output.as_bytes(), "events", &[1, 2, 3]).to_string()),
        ("fingerprint", key.fingerprint().to_string()),
        ("partition", partition_of("order-1", 16).to_string()),
    ];
    for (name, value) in derived {
        assert_eq!(shown(name), value, "{name}");
    }
}

#[test]
fn the_page_shows_a_whole_reply() {
    let saga = saga_id(LogId([7; 16]), 3, 41, 0);
    let address = Address { saga, step: "charge".into(), items: vec![], round: 0, kind: Kind::Do, attempt: 1 };
    let reply = Reply {
        address,
        token: shown("token").parse().expect("the page shows a token"),
        answer: Answer::Succeeded(Succeeded { result: r#"{"id":"c1"}"#.into() }),
        instance: "payment-1".into(),
        time: 1_700_000_000_000,
    };
    // The marker and the schema's fingerprint come first: ten bytes that the page leaves out.
    let written: String = unsealed(0, &Body::Reply(reply)).iter().skip(10).map(|byte| format!("{byte:02x}")).collect();
    let shown: String = block("reply").flat_map(hexadecimal).collect();
    assert_eq!(shown, written);
}

#[test]
fn the_page_shows_a_callback_token() {
    let saga = saga_id(LogId([7; 16]), 3, 41, 0);
    let address = Address { saga, step: "charge".into(), items: vec![], round: 0, kind: Kind::Do, attempt: 1 };
    let token = shown("token").parse().expect("the page shows a token");
    let callback = Callback { partition: 3, address, token };
    assert_eq!(block("callback").collect::<String>(), callback.to_string());
}

/// The bytes that a line shows: the words before the first gap of two spaces.
fn hexadecimal(line: &str) -> impl Iterator<Item = char> {
    let (bytes, _) = line.split_once("  ").expect("bytes, a gap, what they are");
    bytes.chars().filter(|c| *c != ' ')
}
