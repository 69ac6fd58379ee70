//! Sound definitions hold, and every way that they can end is found.

mod build;

use build::{call, calls, chain, pivot, prove};
use expect_test::{Expect, expect};
use sagaline_definition::Definition;

#[track_caller]
fn holds(definition: &Definition, expected: &Expect) {
    let proof = prove(definition);
    assert!(proof.stories.is_empty(), "{proof}");
    expected.assert_eq(&proof.to_string());
}

#[test]
fn a_chain_of_calls() {
    holds(&calls(&["a", "b", "c"]), &expect![[r#"
        1576 states, 3877 transitions, 13 deep
               90 cancelled
              135 closed
              194 compensated
                7 completed
               75 stuck: a can't be undone
               51 stuck: b can't be undone
               27 stuck: c can't be undone
          left out: 8408 happenings that would have been trouble number 3 of their paths
          left out: attempts after the second, and total times of attempts
    "#]]);
}

#[test]
fn a_chain_with_a_pivot() {
    holds(&chain(vec![call("a"), pivot("b"), call("c")]), &expect![[r#"
        747 states, 1964 transitions, 11 deep
               18 cancelled
              102 closed
               44 compensated
               19 completed
               37 stuck at b
               70 stuck at c
               66 stuck at its deadline
               30 stuck: a can't be undone
          left out: 3018 happenings that would have been trouble number 3 of their paths
          left out: attempts after the second, and total times of attempts
    "#]]);
}
