//! A participant over the embedded log, on both kinds of store: commands in, answers out, the business's own ledger as the witness. Crashes, repeats,
//! restarts, stops.

#![allow(clippy::unwrap_used, reason = "a test that unwraps fails where it should")]

#[path = "exchange/bench.rs"]
mod bench;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bench::{Bench, Ledger, Rows, Running, ask, comp_succeeded, comp_unknown, do_it};
use sagaline_log::Log;
use sagaline_participant::effects::MemoryRows;
use sagaline_participant::{Effect, HandlerError, Idempotence, Known, Nothing, Participant, RunError, Transaction};
use sagaline_schemas::record::{Answer, Kind, MarkKind};

sagaline_participant::payload! {
    /// Money to be taken.
    pub struct Charge {
        /// How much.
        pub amount: i64,
    }

    /// Money that was taken.
    pub struct Charged {
        /// How much.
        pub captured: i64,
    }
}

/// Amounts below 0 make the handler panic, 0 is refused.
fn payment(ledger: &Arc<Ledger>, declared: Idempotence) -> Participant {
    let (charging, refunding) = (Arc::clone(ledger), Arc::clone(ledger));
    Participant::new("payment")
        .version("1.0.0")
        .owner("team-payments")
        .on("charge", declared, move |charge: Charge, fx: Effect| {
            let ledger = Arc::clone(&charging);
            async move {
                assert!(charge.amount >= 0, "a negative amount");
                ledger.gate(fx.saga()).await;
                if charge.amount == 0 {
                    return Err(HandlerError::refused("Nothing", "to charge"));
                }
                if charge.amount == 77 {
                    fx.working(SystemTime::now() + Duration::from_secs(60));
                }
                ledger.act("charged", fx.id(), declared == Idempotence::ByKey);
                Ok(Charged { captured: charge.amount })
            }
        })
        .refuses(&["Nothing"])
        .compensate("charge", "refund", move |_: Charge, known: Known<Charged>, fx: Effect| {
            let ledger = Arc::clone(&refunding);
            async move {
                let what = if matches!(known, Known::Succeeded(_)) { "refunded" } else { "looked" };
                ledger.act(what, fx.id(), true);
                Ok::<_, HandlerError>(Nothing)
            }
        })
        .ask("balance", |_: Charge, fx: Effect| async move {
            if fx.saga() == bench::saga(9) {
                return Err(HandlerError::refused("Nothing", "there is no such account"));
            }
            Ok(Charged { captured: 7 })
        })
        .refuses(&["Nothing"])
}

fn start(bench: &Bench, ledger: &Arc<Ledger>, rows: &Rows) -> Running {
    bench.run(payment(ledger, Idempotence::ByKey), rows)
}

/// On every store that a participant may have.
fn everywhere(check: impl Fn(&Rows)) {
    check(&Rows::Memory(MemoryRows::new()));
    check(&Rows::Postgres(sagaline_test_postgres::schema()));
}

fn words(answers: &[Answer]) -> Vec<&'static str> {
    answers
        .iter()
        .map(|answer| match answer {
            Answer::Succeeded(_) => "Succeeded",
            Answer::Refused(_) => "Refused",
            Answer::Failed(_) => "Failed",
            Answer::Working(_) => "Working",
            Answer::Compensated(_) => "Compensated",
            Answer::NothingThere(_) => "NothingThere",
            Answer::Probed(_) => "Probed",
            Answer::Mark(mark) if mark.mark == MarkKind::Tombstoned => "Tombstoned",
            Answer::Mark(mark) if mark.mark == MarkKind::AlreadyCompensated => "AlreadyCompensated",
            Answer::Mark(_) => "Forgotten",
        })
        .collect()
}

#[test]
fn repeats_get_the_recorded_answer_and_do_nothing() {
    everywhere(|rows| {
        let (mut bench, ledger) = (Bench::new(), Ledger::open());
        let running = start(&bench, &ledger, rows);
        bench.send(&[do_it(1, 1, 500), do_it(1, 1, 500), do_it(1, 2, 500), do_it(2, 1, 0), do_it(2, 2, 0)]);
        let answers = bench.answers(5);
        assert_eq!(
            answers
                .iter()
                .filter(|answer| matches!(answer, Answer::Succeeded(done) if &*done.result == br#"{"captured":500}"#))
                .count(),
            3
        );
        assert_eq!(words(&answers).iter().filter(|word| **word == "Refused").count(), 2);
        assert_eq!(ledger.lines(), [(1, "charged")]);
        running.stop();
    });
}

#[test]
fn what_was_undone_before_it_came_is_never_done() {
    everywhere(|rows| {
        let (mut bench, ledger) = (Bench::new(), Ledger::open());
        let running = start(&bench, &ledger, rows);
        bench.send(&[comp_unknown(1, 1), do_it(1, 1, 500), comp_unknown(1, 2)]);
        assert_eq!(words(&bench.answers(3)), ["NothingThere", "Tombstoned", "NothingThere"]);
        assert_eq!(ledger.lines(), []);
        running.stop();
    });
}

#[test]
fn commands_that_were_deleted_unread_stop_nobody() {
    let (mut bench, simulation) = Bench::simulated();
    let (ledger, rows) = (Ledger::open(), Rows::Memory(MemoryRows::new()));
    let running = start(&bench, &ledger, &rows);
    bench.send(&[do_it(1, 1, 1)]);
    assert_eq!(words(&bench.answers(1)), ["Succeeded"]);
    running.stop();
    bench.send(&[do_it(3, 1, 1), do_it(5, 1, 1)]);
    simulation.log().delete_below("commands.payment", 1, 2).unwrap();
    for saga in [7, 9] {
        let running = start(&bench, &ledger, &rows);
        bench.send(&[do_it(saga, 1, 1)]);
        assert_eq!(words(&bench.answers(if saga == 7 { 2 } else { 1 })).last(), Some(&"Succeeded"));
        running.stop();
    }
    let mut sagas: Vec<u8> = ledger.lines().into_iter().map(|(saga, _)| saga).collect();
    // Commands of different sagas are handled beside each other.
    sagas.sort_unstable();
    assert_eq!(sagas, [1, 5, 7, 9], "3 was deleted, and is commanded again when its attempt has timed out");
}

#[test]
fn a_done_effect_is_undone_once_and_not_done_again() {
    everywhere(|rows| {
        let (mut bench, ledger) = (Bench::new(), Ledger::open());
        let running = start(&bench, &ledger, rows);
        bench.send(&[do_it(1, 1, 5), comp_unknown(1, 1), comp_succeeded(1, 2), do_it(1, 2, 5)]);
        assert_eq!(words(&bench.answers(4)), ["Succeeded", "Compensated", "Compensated", "AlreadyCompensated"]);
        assert_eq!(ledger.lines(), [(1, "charged"), (1, "refunded")], "the row knew that it had happened");
        running.stop();
    });
}

#[test]
fn steps_and_facts_that_ask_are_answered_by_what_only_reads() {
    everywhere(|rows| {
        let (mut bench, ledger) = (Bench::new(), Ledger::open());
        let running = start(&bench, &ledger, rows);
        bench.send(&[ask(1, Kind::Do), ask(1, Kind::Do), ask(3, Kind::Ask)]);
        let found = bench.answers(3);
        let is_found =
            |answer: &Answer| matches!(answer, Answer::Succeeded(done) if &*done.result == br#"{"captured":7}"#);
        assert!(found.iter().all(is_found), "{found:?}");
        bench.send(&[ask(9, Kind::Do), ask(9, Kind::Ask), ask(5, Kind::Compensate)]);
        let mut words = words(&bench.answers(3));
        words.sort_unstable();
        assert_eq!(words, ["Failed", "Refused", "Refused"], "what only reads is not undone");
        running.stop();
    });
}

#[test]
fn a_crash_between_effect_and_record_does_it_once_by_key() {
    let (mut bench, ledger, rows) = (Bench::new(), Ledger::open(), MemoryRows::new());
    let crashing = bench.run(payment(&ledger, Idempotence::ByKey), &Rows::Dying(rows.clone()));
    bench.send(&[do_it(1, 1, 500)]);
    assert!(matches!(crashing.died(), RunError::EffectStore(_)));
    assert_eq!(ledger.lines(), [(1, "charged")]);
    let running = start(&bench, &ledger, &Rows::Memory(rows.clone()));
    assert_eq!(words(&bench.answers(1)), ["Succeeded"]);
    assert_eq!((ledger.lines(), ledger.calls()), (vec![(1, "charged")], 2));
    running.stop();
}

#[test]
fn a_crash_between_effect_and_record_is_for_a_person_where_no_repeat_is_safe() {
    let (mut bench, ledger, rows) = (Bench::new(), Ledger::open(), MemoryRows::new());
    let crashing = bench.run(payment(&ledger, Idempotence::None), &Rows::Dying(rows.clone()));
    bench.send(&[do_it(1, 1, 500), comp_unknown(1, 1)]);
    assert!(matches!(crashing.died(), RunError::EffectStore(_)));
    let running = bench.run(payment(&ledger, Idempotence::None), &Rows::Memory(rows.clone()));
    assert_eq!(words(&bench.answers(2)), ["Failed", "Forgotten"]);
    assert_eq!((ledger.lines(), ledger.calls()), (vec![(1, "charged")], 1));
    running.stop();
}

#[test]
fn a_slow_saga_holds_up_its_own_commands_and_no_others() {
    everywhere(|rows| {
        let (mut bench, ledger) = (Bench::new(), Ledger::open());
        let running = start(&bench, &ledger, rows);
        ledger.close(1);
        bench.send(&[do_it(1, 1, 5), comp_unknown(1, 1), do_it(2, 1, 6), do_it(3, 1, 7)]);
        assert_eq!(words(&bench.answers(2)), ["Succeeded", "Succeeded"]);
        assert!(ledger.lines().iter().all(|(saga, _)| *saga != 1));
        ledger.reopen(1);
        assert_eq!(words(&bench.answers(2)), ["Succeeded", "Compensated"]);
        running.stop();
    });
}

#[test]
fn nothing_that_comes_in_stops_the_next_command() {
    everywhere(|rows| {
        let (mut bench, ledger) = (Bench::new(), Ledger::open());
        let running = start(&bench, &ledger, rows);
        bench.send_bytes(b"not a command");
        let mut stranger = do_it(1, 1, 5);
        stranger.operation = "teleport".into();
        let mut wrong = do_it(2, 1, 5);
        wrong.input = r#"{"amount":"much"}"#.into();
        let mut nowhere = do_it(5, 1, 5);
        nowhere.reply_topic = "gone".into();
        bench.send(&[stranger, wrong, do_it(3, 1, -1), nowhere, do_it(4, 1, 5)]);
        let mut answers = words(&bench.answers(4));
        answers.sort_unstable();
        assert_eq!(answers, ["Failed", "Failed", "Failed", "Succeeded"]);
        running.stop();
    });
}

#[test]
fn after_a_clean_stop_nothing_is_read_twice() {
    everywhere(|rows| {
        let (mut bench, ledger) = (Bench::new(), Ledger::open());
        let running = start(&bench, &ledger, rows);
        bench.send(&[do_it(1, 1, 5), do_it(2, 1, 5), do_it(3, 1, 5)]);
        assert_eq!(bench.answers(3).len(), 3);
        running.stop();
        let running = start(&bench, &ledger, rows);
        bench.send(&[do_it(4, 1, 5)]);
        let later = bench.replies(1);
        assert_eq!(later[0].address.saga, bench::saga(4), "an answer that was committed came again");
        running.stop();
    });
}

#[test]
fn a_stop_waits_for_the_handler_and_its_answer() {
    everywhere(|rows| {
        let (mut bench, ledger) = (Bench::new(), Ledger::open());
        let running = start(&bench, &ledger, rows);
        ledger.close(1);
        bench.send(&[do_it(1, 1, 5)]);
        ledger.wait_for_calls(1);
        let stopping = std::thread::spawn(|| running.stop());
        ledger.reopen(1);
        stopping.join().unwrap();
        assert_eq!(words(&bench.answers(1)), ["Succeeded"]);
    });
}

#[test]
fn a_handler_can_say_that_it_is_under_way() {
    everywhere(|rows| {
        let (mut bench, ledger) = (Bench::new(), Ledger::open());
        let running = start(&bench, &ledger, rows);
        bench.send(&[do_it(1, 1, 77)]);
        assert_eq!(words(&bench.answers(2)), ["Working", "Succeeded"]);
        running.stop();
    });
}

#[test]
fn a_transaction_can_not_be_had_on_local_disk() {
    let participant = Participant::new("payment")
        .version("1.0.0")
        .owner("team-payments")
        .on_transaction("charge", |_: Charge, _: Effect, _: Transaction| async { Ok::<_, HandlerError>(Nothing) });
    let error = Bench::new().run(participant, &Rows::Memory(MemoryRows::new())).died();
    assert!(matches!(&error, RunError::NoTransactions { operation } if operation == "charge"), "{error}");
}
