//! Headers say what their value says, whatever lies in it.

use sagaline_partition::Published;
use sagaline_partition::state::Output;
use sagaline_schemas::command::{Command, Known, KnownOutcome, KnownSucceeded};
use sagaline_schemas::output::{
    Notice, NoticeBody, Parked, ParkedReason, ParticipantEvent, ParticipantEventKind, SagaEvent, SagaEventKind,
};
use sagaline_schemas::proof::write_single_object;
use sagaline_schemas::record::{Address, Kind};
use sagaline_schemas::wire::{Bytes, Wire};
use sagaline_schemas::{CommandId, Content, Digest, EffectId, OutputHash, OutputId, Position, SagaId, Token, schema};

fn published(channel: &str, schema: u64, value: &impl Wire) -> Published {
    let output = Output {
        id: OutputId::from_bytes([5; 16]),
        key: Bytes::default(),
        partition: None,
        value: Bytes(write_single_object(schema, value)),
        hash: OutputHash::ZERO,
        command: None,
    };
    Published { channel: channel.to_owned(), position: Position { offset: 1, timer: 0, index: 0 }, output }
}

fn told(published: &Published) -> String {
    let headers = super::of(published, "/t.inbox/3", "node-1");
    headers.iter().map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value))).collect()
}

fn command() -> Command {
    Command {
        address: Address {
            saga: SagaId::from_bytes([1; 16]),
            step: "charge".to_owned(),
            items: vec![2, 300],
            round: 1,
            kind: Kind::Compensate,
            attempt: 2,
        },
        command_id: CommandId::from_bytes([5; 16]),
        effect_id: EffectId::from_bytes([2; 16]),
        token: Token([3; 16]),
        content: Content([4; 16]),
        operation: "charge".to_owned(),
        input: Bytes(vec![b'x'; 1_000]),
        known: Some(Known { outcome: KnownOutcome::Succeeded(KnownSucceeded { result: Bytes::from("{}") }) }),
        decided: 1,
        first: 1_795_235_347_120,
        deadline: 2,
        reply_topic: "t.inbox".to_owned(),
        reply_partition: 3,
        saga: "order/A/1".to_owned(),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
    }
}

#[test]
fn a_commands_headers() {
    let of = published("commands.payment", schema::COMMAND.fingerprint, &command());
    expect_test::expect![[r#"
        ce_specversion: 1.0
        ce_id: 05050505-0505-0505-0505-050505050505
        ce_source: /t.inbox/3
        ce_type: sagaline.command.compensate
        ce_time: 2026-11-21T04:29:07.120Z
        sagaline-node: node-1
        sagaline-saga: 01010101-0101-0101-0101-010101010101
        sagaline-key: A/1
        traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
    "#]]
    .assert_eq(&told(&of));
}

#[test]
fn a_notices_headers() {
    let event = SagaEvent {
        saga: SagaId::from_bytes([1; 16]),
        definition: "order".to_owned(),
        version: "1.0.0".to_owned(),
        key: "A-1".to_owned(),
        owner: "team".to_owned(),
        kind: SagaEventKind::StepDone,
        step: Some("charge".to_owned()),
        items: vec![1],
        end: None,
        detail: Bytes::from("{}"),
    };
    let notice = |body| Notice { id: OutputId::from_bytes([5; 16]), time: 0, partition: 3, offset: 41, body };
    let of = published("events", schema::EVENT.fingerprint, &notice(NoticeBody::Saga(event)));
    expect_test::expect![[r#"
        ce_specversion: 1.0
        ce_id: 05050505-0505-0505-0505-050505050505
        ce_source: /t.inbox/3
        ce_type: sagaline.saga.step_done
        ce_time: 1970-01-01T00:00:00.000Z
        sagaline-node: node-1
        sagaline-saga: 01010101-0101-0101-0101-010101010101
        sagaline-key: A-1
    "#]]
    .assert_eq(&told(&of));
    let event = ParticipantEvent {
        participant: "payment".to_owned(),
        owner: "team".to_owned(),
        kind: ParticipantEventKind::CircuitOpened,
        since: 0,
        held: 3,
        reason: "it does not answer".to_owned(),
    };
    let of = published("events", schema::EVENT.fingerprint, &notice(NoticeBody::Participant(event)));
    assert!(told(&of).contains("ce_type: sagaline.participant.circuit_opened\n"), "{}", told(&of));
}

#[test]
fn a_parked_records_headers() {
    let parked = Parked {
        id: OutputId::from_bytes([5; 16]),
        reason: ParkedReason::TooLarge,
        detail: "it has 3 bytes".to_owned(),
        partition: 3,
        offset: 41,
        time: 951_782_400_000,
        length: 3,
        digest: Digest([0; 32]),
        body: Bytes::from("abc"),
    };
    expect_test::expect![[r#"
        ce_specversion: 1.0
        ce_id: 05050505-0505-0505-0505-050505050505
        ce_source: /t.inbox/3
        ce_type: sagaline.parked.too_large
        ce_time: 2000-02-29T00:00:00.000Z
        sagaline-node: node-1
    "#]]
    .assert_eq(&told(&published("parked", schema::PARKED.fingerprint, &parked)));
}

#[test]
fn a_value_that_can_not_be_read_has_none() {
    let mut of = published("commands.payment", schema::COMMAND.fingerprint, &command());
    for length in 0..of.output.value.0.len() {
        let whole = of.output.value.0.clone();
        of.output.value.0.truncate(length);
        assert_eq!(super::of(&of, "/t.inbox/3", "node-1"), Vec::new(), "{length} of {} bytes", whole.len());
        of.output.value.0 = whole;
    }
    assert_eq!(super::of(&published("events", 7, &command()), "/t.inbox/3", "node-1"), Vec::new());
}
