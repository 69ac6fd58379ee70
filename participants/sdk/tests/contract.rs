//! Mistakes in a declaration, told all at once before anything runs.

#![allow(clippy::unwrap_used, reason = "a test that unwraps fails where it should")]

use sagaline_participant::{Effect, HandlerError, Idempotence, Known, Nothing, Participant, Transaction};

sagaline_participant::payload! {
    /// What is asked for.
    pub struct Parcel {
        /// Where to.
        pub to: String,
    }
}

fn shipping(declared: Idempotence) -> Participant {
    Participant::new("shipping").version("1.0.0").owner("team-shipping").on(
        "dispatch",
        declared,
        |_: Parcel, _: Effect| async { Ok::<_, HandlerError>(Nothing) },
    )
}

#[test]
fn what_is_refused_for_good_stands_among_the_refusals() {
    let shipping = shipping(Idempotence::ByKey).refuses(&["Closed"]).refuses_for_good(&["Undeliverable"]);
    let contract = shipping.contract().unwrap();
    assert!(contract.contains("refuses: [Closed, Undeliverable]"), "{contract}");
}

#[test]
fn only_what_is_run_again_can_be_refused_for_good() {
    let mistakes = shipping(Idempotence::None).refuses_for_good(&["Undeliverable"]).version("").contract().unwrap_err();
    let told: Vec<String> = mistakes.0.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            r#"participant "shipping" has no version: say .version("...")"#,
            r#""dispatch" refuses for good, which only an operation of .on(..., Idempotence::ByKey, ...) can: use .refuses(...)"#,
        ]
    );
}

#[test]
fn a_transaction_is_for_handlers_that_take_one() {
    let mistakes = shipping(Idempotence::Transaction).contract().unwrap_err();
    assert_eq!(
        mistakes.to_string(),
        r#""dispatch" is declared in one transaction, and its handler takes none: say .on_transaction(...)"#
    );
    let contract = Participant::new("shipping")
        .version("1.0.0")
        .owner("team-shipping")
        .on_transaction("dispatch", |_: Parcel, _: Effect, _: Transaction| async { Ok::<_, HandlerError>(Nothing) })
        .compensate_transaction("dispatch", "recall", |_: Parcel, _: Known<Nothing>, _: Effect, _: Transaction| async {
            Ok::<_, HandlerError>(Nothing)
        })
        .contract()
        .unwrap();
    assert!(contract.contains("dispatch: { in: Parcel, idempotent: transaction, compensate: recall }"), "{contract}");
    assert!(contract.contains("recall: { in: Parcel, idempotent: transaction }"), "{contract}");
}
