//! The payment provider is down for four hours in the middle of three weeks: what happened when, in virtual time, as docs/examples/three-weeks/timeline.txt
//! shows it. `UPDATE_EXPECT=1` writes it anew.

use sagaline_testkit::run_file;

/// How the scenario begins that is shown.
const SHOWN: &str = "the payment provider is down for four hours";

#[test]
fn the_outage_of_four_hours_as_a_timeline() {
    let story = sagaline_test_sources::root().join("docs/examples/three-weeks");
    let outcomes = run_file(&story.join("branch-opening.test.yaml")).unwrap_or_else(|error| panic!("{error}"));
    let outcome = outcomes.iter().find(|outcome| outcome.name.starts_with(SHOWN)).expect("the scenario is there");
    assert_eq!(outcome.difference, None);
    let told = format!("{}\n\n{}", outcome.name, outcome.account);
    for part in ["payment is away", "deposit is overdue", "payment is back", "completed"] {
        assert!(told.contains(part), "{part} is not told:\n{told}");
    }
    expect_test::expect_file![story.join("timeline.txt")].assert_eq(&told);
}
