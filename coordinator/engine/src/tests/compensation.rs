//! Going back: the exact reverse of what was decided, whatever comes late, twice or in contradiction.

use expect_test::expect;
use sagaline_definition::model::{Compensate, Word};

use super::stage::{call_mut, chain, check};

#[test]
fn refusal_at_every_step() {
    let abc = chain(&["a", "b", "c"]);
    check(&abc, "no a", &expect![[]]);
    check(&abc, "ok a; no b; undone a", &expect![[]]);
    check(&abc, "ok a; ok b; no c; undone b; undone a", &expect![[]]);
}

#[test]
fn timeout_at_every_step() {
    let abc = chain(&["a", "b", "c"]);
    check(&abc, "silence a; nothing a", &expect![[]]);
    check(&abc, "ok a; silence b; nothing b; undone a", &expect![[]]);
    check(&abc, "ok a; ok b; silence c; undone c; undone b; undone a", &expect![[]]);
}

#[test]
fn failure_at_every_step() {
    let abc = chain(&["a", "b", "c"]);
    check(&abc, "sent a; fail a; wait a; fail a; nothing a", &expect![[]]);
    check(&abc, "ok a; sent b; fail b; wait b; fail b; nothing b; undone a", &expect![[]]);
    check(&abc, "ok a; ok b; sent c; fail c; wait c; fail c; nothing c; undone b; undone a", &expect![[]]);
}

#[test]
fn cancel_at_every_step() {
    let abc = chain(&["a", "b", "c"]);
    check(&abc, "cancel; nothing a", &expect![[]]);
    check(&abc, "ok a; cancel; nothing b; undone a", &expect![[]]);
    check(&abc, "ok a; ok b; cancel; undone c; undone b; undone a", &expect![[]]);
    check(&abc, "ok a; cancel; cancel; ok b; undone b; undone a; cancel", &expect![[]]);
}

#[test]
fn late_success_after_compensation_began() {
    let ab = chain(&["a", "b"]);
    check(&ab, "ok a; silence b; ok b; undone b; undone a", &expect![[]]);
    check(&ab, "ok a; cancel; ok b; undone b; undone a; ok b; ok a", &expect![[]]);
}

#[test]
fn late_refusal_takes_an_effect_off_the_list() {
    let mut abc = chain(&["a", "b", "c"]);
    abc.steps[1].after = vec![];
    abc.steps[2].after = vec![];
    check(&abc, "ok a; ok b; cancel; no b; undone c; undone b; undone a", &expect![[]]);
    check(&abc, "cancel; no b; nothing c; nothing a", &expect![[]]);
}

#[test]
fn refusal_after_retries() {
    check(&chain(&["a", "b"]), "ok a; sent b; fail b; wait b; sent b; no b; undone a", &expect![[]]);
}

#[test]
fn contradictions_are_for_people() {
    let ab = chain(&["a", "b"]);
    check(&ab, "ok a; no a; retry; ok b; cancel; undone b; undone a", &expect![[]]);
    check(&ab, "ok a; no b; ok b; retry; undone a; undone b", &expect![[]]);
}

#[test]
fn a_success_after_nothing_there_is_undone_again() {
    let ab = chain(&["a", "b"]);
    check(&ab, "ok a; cancel; nothing b; ok b; undone a; undone b", &expect![[]]);
    check(&ab, "ok a; cancel; nothing b; undone a; ok b; retry; nothing b; undone b", &expect![[]]);
}

#[test]
fn a_compensation_that_keeps_failing_is_stuck_never_failed() {
    let ab = chain(&["a", "b"]);
    check(&ab, "ok a; no b; silence a; retry; sent a; undone a", &expect![[]]);
    check(&ab, "ok a; no b; silence a; undone a", &expect![[]]);
    check(&ab, "ok a; no b; forgotten a; close", &expect![[]]);
}

#[test]
fn what_is_never_compensated_stays() {
    let mut abc = chain(&["a", "b", "c"]);
    call_mut(&mut abc, 1).compensate = Compensate::Never;
    check(&abc, "ok a; ok b; no c; undone a", &expect![[]]);
}

#[test]
fn after_the_pivot_only_forward() {
    let mut abc = chain(&["a", "b", "c"]);
    abc.steps[1].pivot = true;
    call_mut(&mut abc, 1).compensate = Compensate::Never;
    call_mut(&mut abc, 2).failed = Word::Stuck;
    check(&abc, "ok a; cancel; deadline; retry; ok b; silence c; retry; ok c", &expect![[]]);
    check(&abc, "ok a; no b; undone a", &expect![[]]);
    check(&abc, "ok a; silence b; cancel; retry; ok b; ok c", &expect![[]]);
    check(&abc, "ok a; ok b; no c; close", &expect![[]]);
}
