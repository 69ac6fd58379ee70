//! What people do by hand, and that no later expression fails for it.

use expect_test::expect;

use super::{account, definition, told};

/// People are asked; what they chose is read without a question whether there is a choice.
fn asked(otherwise: &str, condition: &str) -> String {
    format!(
        "steps:
  - step: ask
    approve:
      by: role/clerk
      choices: {{ yes: continue, wait: hold }}
      escalate: {{ 20m: role/head }}
      within: 30m
      else: {otherwise}
  - {{ step: a, call: work.make, retry: twice, if: \"{condition}\" }}"
    )
}

const LEFT_OUT: &str = "happens:
      - { at: 1m, decide: ask, choice: wait, by: eve, roles: [role/clerk] }
      - { at: 2m, skip: ask }
      - { at: 3m, retry: ask }
      - { at: 4m, decide: ask, choice: yes, by: eve, roles: [role/clerk] }";

#[test]
fn nobody_leaves_out_what_is_read_without_a_question() {
    let read = account(&definition(&asked("compensate", "ask.choice == 'yes'")), LEFT_OUT);
    let rejected = read.rejected.join("\n");
    expect!["the definition does not allow it: steps after it may read what was chosen, and none of its words but a choice is `skip` or `continue`. Retry it, and it is asked anew"].assert_eq(&rejected);
    expect![[r#"
            0.0 waits at ask
           60.0 ask: eve chose wait
          120.0 not taken: the definition does not allow it: steps after it may read what was chosen, and none of its words but a choice is `skip` or `continue`. Retry it, and it is asked anew
          180.0 waits at ask
          240.0 ask: eve chose yes
          240.0 a
          240.0 completed
        world: a stands
    "#]].assert_eq(&told(&read));
    // Where the definition has to ask whether there is a choice, people may leave it out.
    let optional = asked("continue", "ask == null || ask.choice == 'yes'");
    expect![[r#"
            0.0 waits at ask
           60.0 ask: eve chose wait
          120.0 a
          180.0 not taken: the saga has ended already: Completed
          240.0 not taken: the saga has ended already: Completed
          120.0 completed
        world: a stands
    "#]]
    .assert_eq(&told(&account(&definition(&optional), LEFT_OUT)));
}
