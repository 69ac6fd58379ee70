//! `with`: literals, expressions, and the operation's input type.

use expect_test::expect;

use super::*;

/// The template of a step that calls `mail.send`, or all that is wrong with it. The template begins in line 1, column 50.
fn check_with(with: &str, expected: Expect) {
    let text =
        with_rest(&format!("steps: [{{ step: a, compensate: never, call: mail.send, with: {with} }}]\nuse: [mail]\n"));
    let shown = match definition(&text) {
        Ok(checked) => {
            let sagaline_definition::model::Verb::Call(call) = &checked.value.steps[0].verb else { panic!("a call") };
            serde_json::to_string(&call.with).expect("a template is JSON")
        }
        Err(report) => report.plain(),
    };
    expected.assert_eq(&shown);
}

#[test]
fn literals_stay_literals() {
    check_with(
        "{ to: no, lines: [a, '1'], extra: { x: 1 }, urgent: true, weight: 2 }",
        expect![[r#"{"literal":{"extra":{"x":1},"lines":["a","1"],"to":"no","urgent":true,"weight":2}}"#]],
    );
}

#[test]
fn expressions_stand_in_text_or_alone() {
    check_with(
        "{ to: \"${input.email}\", lines: ['${input.a} and ${input.b}', \"$${kept} $5 {x}\"] }",
        expect![[
            r#"{"map":{"lines":{"list":[{"text":[{"expr":"input.a"},{"literal":" and "},{"expr":"input.b"}]},{"literal":"${kept} $5 {x}"}]},"to":{"expr":"input.email"}}}"#
        ]],
    );
    check_with(
        "{ to: \"${ {'a': '}'}.a }${'x'}\" }",
        expect![[r#"{"map":{"to":{"text":[{"expr":" {'a': '}'}.a "},{"expr":"'x'"}]}}}"#]],
    );
}

// shows: with x static error
#[test]
fn what_the_input_type_does_not_allow_is_refused() {
    check_with(
        "{ to: 5, lines: { a: b }, extra: { x: y }, urgent: 'true', weight: [1] }",
        expect![[r#"
            a.yaml:1:68: error: this must be string, and is int
                help: quote it, or write string(...)
            a.yaml:1:78: error: this must be list(string), and is a map
                help: its type asks for list(string) here
            a.yaml:1:100: error: this must be int, and is string
                help: its type asks for int here
            a.yaml:1:113: error: this must be bool, and is string
                help: its type asks for bool here
            a.yaml:1:129: error: this must be double, and is a list
                help: its type asks for double here
        "#]],
    );
    check_with(
        "{ too: a }",
        expect![[r#"
        a.yaml:1:62: error: a `Send` needs `to`
            help: write `to: ...`: string is wanted
        a.yaml:1:64: error: a `Send` has no `too`
            help: did you mean `to`?
    "#]],
    );
    check_with(
        "[a]",
        expect![[r#"
            a.yaml:1:62: error: this must be Send, and is a list
                help: its type asks for Send here
        "#]],
    );
    check_with(
        "text",
        expect![[r#"
            a.yaml:1:62: error: this must be Send, and is string
                help: its type asks for Send here
        "#]],
    );
    check_with(
        "~",
        expect![[r#"
            a.yaml:1:62: error: this must be Send, and is null
                help: its type asks for Send here
        "#]],
    );
    check_with(
        "{ to: \"${1 + 1}\", lines: \"${'a'}\", weight: \"${'x'}\", urgent: \"is ${true}\" }",
        expect![[r#"
            a.yaml:1:68: error: this must be string, and is int
                help: quote it, or write string(...)
            a.yaml:1:87: error: this must be list(string), and is string
                help: its type asks for list(string) here
            a.yaml:1:105: error: this must be double, and is string
                help: its type asks for double here
            a.yaml:1:123: error: this must be bool, and is string
                help: its type asks for bool here
        "#]],
    );
}

#[test]
fn wrong_expressions_show_where() {
    check_with(
        "{ to: \"a ${input.} b\", lines: [\"x ${nobody.x + others}\"] }",
        expect![[r#"
        a.yaml:1:79: error: the expression ends too early
        a.yaml:1:98: error: `nobody` means nothing here
            help: there is `input`
        a.yaml:1:109: error: `others` means nothing here
            help: there is `input`
    "#]],
    );
    check_with(
        "{ to: \"${input.x\", lines: [\"${{}\"] }",
        expect![[r#"
        a.yaml:1:69: error: `${` begins an expression that never ends
            help: close it with `}`; for a literal `${` write `$${`
        a.yaml:1:90: error: `${` begins an expression that never ends
            help: close it with `}`; for a literal `${` write `$${`
    "#]],
    );
    check_with(
        "{ to: a, \"${x}\": 1 }",
        expect![[r#"
        a.yaml:1:71: error: a `Send` has no `${x}`
            help: there is `extra`, `lines`, `to`, `urgent`, `weight`
        a.yaml:1:71: error: a key is never computed
            help: write the key out; expressions may stand in values only
    "#]],
    );
    check_with(
        "{ to: \"a ${[1]} ${null} ${{'a': 1}}\" }",
        expect![[r#"
        a.yaml:1:73: error: text can't hold list(int)
            help: write text, a number or a bool; what may be null needs a test first
        a.yaml:1:80: error: text can't hold null
            help: write text, a number or a bool; what may be null needs a test first
        a.yaml:1:88: error: text can't hold map
            help: write text, a number or a bool; what may be null needs a test first
    "#]],
    );
    check_with(
        "{ to: a, weight: .inf }",
        expect![[r#"
        a.yaml:1:79: error: `.inf` is no number that JSON can carry
            help: JSON has no infinity and no NaN: quote it, if it is text
    "#]],
    );
}

#[test]
fn an_input_that_needs_nothing_may_be_left_out() {
    check_steps("  - { step: a, call: payment.hold }", expect![["ok\n"]]);
    check_steps(
        "  - { step: a, call: payment.charge }",
        expect![[r#"
        a.yaml:2:13: error: `payment.charge` needs an input with `account`, `amount`
            help: write `with: { ... }`
    "#]],
    );
}

#[test]
fn results_flow_by_their_types() {
    check_steps(
        "  - { step: hold, call: payment.hold }
  - { step: charge, call: payment.charge, with: { account: \"${hold.captured}\", amount: \"${hold.reference}\", note: \"${hold.reference}\" } }
  - { step: whole, call: payment.charge, with: \"${hold}\" }",
        expect![[r#"
            a.yaml:3:60: error: this must be string, and is int
                help: quote it, or write string(...)
            a.yaml:3:88: error: this must be int, and is string
                help: its type asks for int here
            a.yaml:4:48: error: this: `account` must be string, and is nothing
                help: its type asks for string here
            a.yaml:4:48: error: this: `amount` must be int, and is nothing
                help: its type asks for int here
        "#]],
    );
}
