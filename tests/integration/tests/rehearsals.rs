//! The stories of docs/examples on a real Kafka, through the real programs: every scenario comes out as in virtual time, and the participants'
//! ledgers balance with the reports. Long ones only with SAGALINE_PROVE=1.

use sagaline_integration::form::whole;
use sagaline_integration::rehearsal::case::{Case, Scale};
use sagaline_integration::rehearsal::cast::Understudy;
use sagaline_integration::rehearsal::{File, LeftOut, cases, rehearse};

/// Unless all is to be proven, no rehearsal is longer than this, milliseconds.
const SHORT: i64 = 17_000;

const fn file(folder: &'static str, name: &'static str, day: i64) -> File {
    File { folder, name, scale: Scale::day(day), otherwise: &[], understudy: None }
}

/// A day takes two seconds; ten where something happens within hours of a time that is up.
const FILES: [File; 6] = [
    file("access-request", "access-request", 10_000),
    File {
        otherwise: &[("its time is up", Scale::day(2_000))],
        understudy: Some((COURIER, DELIVER_PARCEL)),
        ..file("changing-order", "changing-order", 10_000)
    },
    file("changing-order", "deliver-parcel", 2_000),
    file("customer-onboarding", "customer-onboarding", 2_000),
    file("order-fulfilment", "order-fulfilment", 2_000),
    file("three-weeks", "branch-opening", 2_000),
];

/// Scenarios of a parent say how its children end, and nothing of what they do: one call of the courier stands in for a child, and says that.
const COURIER: Understudy = Understudy { saga: "deliver-parcel", result: ("signed_by", "tour") };
const DELIVER_PARCEL: &str = "\
saga: deliver-parcel
version: 0.9.0
owner: team-shipping
use: [courier]
types:
  Parcel: { type: record, fields: [{ name: parcel, type: string }, { name: order, type: string }] }
start: { type: Parcel }
deadline: { after: 21d, else: compensate }
steps:
  - step: tour
    call: courier.book
    with: { parcel: \"${input.parcel}\" }
result: { signed_by: \"${tour.tour}\" }
";

/// What can't be rehearsed yet.
const LEFT_OUT: [LeftOut; 0] = [];

fn is_short(case: &Case) -> bool {
    case.scale.real(case.account.after) <= SHORT
}

#[test]
fn every_scenario_comes_out_on_a_real_kafka_as_in_virtual_time() {
    let all = cases(&FILES).expect("the stories can be read");
    let prove = whole();
    let only = std::env::var("REHEARSE").unwrap_or_default();
    let (count, mut left_out) = (all.len(), 0);
    let wanted: Vec<_> = all
        .into_iter()
        .filter(|(file, case)| {
            let reason = LEFT_OUT.iter().find(|(of, name, _)| *of == file.name && case.scenario.name.starts_with(name));
            if let Some((_, _, reason)) = reason {
                println!("left out   {}: {reason}", case.title);
                left_out += 1;
            }
            reason.is_none() && (prove || is_short(case)) && case.title.contains(&only)
        })
        .collect();
    let outcome = rehearse(&wanted, None).expect("everything comes up");
    for (title, differences) in &outcome.otherwise {
        println!("\n{title}\n  {}", differences.join("\n  "));
    }
    println!(
        "{}",
        outcome.took.iter().map(|(what, took)| format!("{what}: {took:.1?}")).collect::<Vec<_>>().join(", ")
    );
    outcome.unbalanced.iter().for_each(|line| println!("{line}"));
    println!(
        "{} of {count} scenarios rehearsed, {} came out otherwise, {left_out} left out; {} effects in the ledgers, {} not as reported",
        wanted.len(),
        outcome.otherwise.len(),
        outcome.effects,
        outcome.unbalanced.len()
    );
    assert!(outcome.otherwise.is_empty() && outcome.unbalanced.is_empty());
    assert_eq!(outcome.held.len(), wanted.len());
}

#[test]
fn without_its_undoing_really_done_the_ledgers_do_not_balance() {
    let mut all = cases(&FILES).expect("the stories can be read");
    all.retain(|(_, case)| case.scenario.name == "a card that has expired gives the goods back");
    let outcome = rehearse(&all, Some("release")).expect("everything comes up");
    assert_eq!((outcome.held.len(), outcome.otherwise.len()), (1, 0), "the coordinator believes what it is told");
    assert_eq!(outcome.unbalanced.len(), 1);
    assert!(outcome.unbalanced[0].ends_with("reserve: stands false, done 1 times, undone 0 times"));
}
