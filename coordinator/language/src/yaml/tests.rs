//! What YAML means here, and how it is refused.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

/// The tree in one line for each scalar, with what each covers in the file; or what is wrong.
fn check(text: &str, expected: Expect) {
    let mut problems = Problems::new("a.yaml", text);
    let shown = match parse(&mut problems) {
        Some(root) => show(&root, "", text),
        None => String::new(),
    };
    let wrong = problems.finish::<()>(None).expect_err("there is no value").plain();
    expected.assert_eq(&(shown + &wrong));
}

fn show(node: &Node, path: &str, text: &str) -> String {
    match &node.kind {
        Kind::Scalar(scalar) => {
            let value = scalar.value().map_or_else(|help| format!("refused: {help}"), |value| value.to_string());
            format!("{path} = {value} at {:?}\n", &text[node.span.start..node.span.end])
        }
        Kind::List(items) if items.is_empty() => format!("{path} = []\n"),
        Kind::Map(entries) if entries.is_empty() => format!("{path} = {{}}\n"),
        Kind::List(items) => {
            items.iter().enumerate().map(|(i, item)| show(item, &format!("{path}[{i}]"), text)).collect()
        }
        Kind::Map(entries) => {
            entries.iter().map(|entry| show(&entry.value, &format!("{path}.{}", entry.key), text)).collect()
        }
    }
}

#[test]
fn plain_scalars_are_what_yaml_1_2_says() {
    check(
        "on: yes\nno: off\nversion: 1.10\nsemver: 1.2.0\nint: 0o17\nhex: 0xff\nold: 017\nneg: -3\nfloat: 1e3\nnull: ~\nempty:\ntrue: 'true'\ntime: 12:30\n",
        expect![[r#"
            .on = "yes" at "yes"
            .no = "off" at "off"
            .version = 1.1 at "1.10"
            .semver = "1.2.0" at "1.2.0"
            .int = 15 at "0o17"
            .hex = 255 at "0xff"
            .old = 17 at "017"
            .neg = -3 at "-3"
            .float = 1000.0 at "1e3"
            .null = null at "~"
            .empty = null at ""
            .true = "true" at "'true'"
            .time = "12:30" at "12:30"
        "#]],
    );
}

#[test]
fn numbers_that_json_can_not_carry_are_refused() {
    check(
        "a: 9223372036854775808\nb: .inf\nc: .nan\nd: 1e999\ne: -0.0\n",
        expect![[r#"
        .a = refused: a whole number beyond 64 bits: quote it, to send it as text at "9223372036854775808"
        .b = refused: JSON has no infinity and no NaN: quote it, if it is text at ".inf"
        .c = refused: JSON has no infinity and no NaN: quote it, if it is text at ".nan"
        .d = refused: a number beyond double precision: quote it, to send it as text at "1e999"
        .e = 0.0 at "-0.0"
    "#]],
    );
}

#[test]
fn flow_and_block_say_the_same() {
    check(
        "a: { b: [1, 'two', \"three\"], c: {} }\nd: []\ne:\n  - f: 1\n    g: |\n      x\n      y\n  - >-\n    p\n    q\n",
        expect![[r#"
        .a.b[0] = 1 at "1"
        .a.b[1] = "two" at "'two'"
        .a.b[2] = "three" at "\"three\""
        .a.c = {}
        .d = []
        .e[0].f = 1 at "1"
        .e[0].g = "x\ny\n" at "x\n      y"
        .e[1] = "p q" at "p\n    q"
    "#]],
    );
}

#[test]
fn places_hold_behind_wide_characters() {
    check(
        "a: 'grün'\nb: wörter 日本 x\nc: d\n",
        expect![[r#"
        .a = "grün" at "'grün'"
        .b = "wörter 日本 x" at "wörter 日本 x"
        .c = "d" at "d"
    "#]],
    );
}

#[test]
fn a_key_stands_once() {
    check(
        "a: 1\nb: { c: 1, c: 2 }\na: 2\n",
        expect![[r#"
        .a = 1 at "1"
        .b.c = 1 at "1"
        a.yaml:2:12: error: the key `c` stands twice
            help: it stands in line 2 already: keep one of the two
        a.yaml:3:1: error: the key `a` stands twice
            help: it stands in line 1 already: keep one of the two
    "#]],
    );
}

#[test]
fn anchors_aliases_tags_and_merge_keys_are_refused() {
    check(
        "a: &x { y: 1 }\nb: 2\n",
        expect![[r#"
        .a.y = 1 at "1"
        .b = 2 at "2"
        a.yaml:1:4: error: anchors and aliases are refused
            help: write the value out where it is used; quote it, if it is text that begins with `&`
    "#]],
    );
    check(
        "a: &x 1\nb: *x\n",
        expect![[r#"
        a.yaml:1:4: error: anchors and aliases are refused
            help: write the value out where it is used; quote it, if it is text that begins with `&`
        a.yaml:2:4: error: anchors and aliases are refused
            help: write the value out where it is used
    "#]],
    );
    check(
        "a: !!str 1\nb: !custom { c: 1 }\n",
        expect![[r#"
            .a = 1 at "!!str 1"
            .b.c = 1 at "1"
            a.yaml:1:5: error: `!!str` is a YAML tag here, and tags are refused
                help: quote it, if it is an expression or text: a plain value can't begin with `!`
            a.yaml:2:4: error: `!custom` is a YAML tag here, and tags are refused
                help: quote it, if it is an expression or text: a plain value can't begin with `!`
        "#]],
    );
    check(
        "<<: { a: 1 }\n",
        expect![[r#"
         = {}
        a.yaml:1:1: error: merge keys are refused
            help: write the keys out where they are used
    "#]],
    );
    check(
        "? [a, b]\n: c\n",
        expect![[r#"
         = {}
        a.yaml:1:3: error: a key must be text
            help: quote it, if it is meant as text
    "#]],
    );
    check(
        ": x\n",
        expect![[r#"
         = {}
        a.yaml:1:1: error: a key is missing before the `:`
            help: write KEY: VALUE
    "#]],
    );
}

#[test]
fn expressions_that_yaml_reads_otherwise_are_to_be_quoted() {
    check(
        "if: !has(x.y)\n",
        expect![[r#"
        .if = null at "!has(x.y)"
        a.yaml:1:5: error: `!has(x.y)` is a YAML tag here, and tags are refused
            help: quote it, if it is an expression or text: a plain value can't begin with `!`
    "#]],
    );
    check(
        "if: !(a && b)\nx: 1\n",
        expect![[r#"
        .if = "b)" at "!(a && b)"
        .x = 1 at "1"
        a.yaml:1:5: error: `!(a` is a YAML tag here, and tags are refused
            help: quote it, if it is an expression or text: a plain value can't begin with `!`
    "#]],
    );
    check(
        "if: !a && b\n",
        expect![[r#"
        .if = "b" at "!a && b"
        a.yaml:1:5: error: `!a` is a YAML tag here, and tags are refused
            help: quote it, if it is an expression or text: a plain value can't begin with `!`
    "#]],
    );
    check(
        "if: a ? b : c\n",
        expect![[r#"
        a.yaml:1:11: error: this is not YAML: mapping values are not allowed in this context
            help: quote it: a plain value can't hold `: ` or `? `
    "#]],
    );
    check(
        "x: { if: a ? b : c }\n",
        expect![[r#"
        a.yaml:1:16: error: this is not YAML: while parsing a flow mapping, did not find expected ',' or '}'
            help: quote it: a plain value can't hold `: ` or `? `
    "#]],
    );
    check(
        "x: { total: ${input.total} }\n",
        expect![[r#"
        a.yaml:1:14: error: this is not YAML: while parsing a flow mapping, did not find expected ',' or '}'
            help: quote it: inside { } and [ ] an expression is written "${...}"
    "#]],
    );
    check(
        "x: ${a ? 1 : 2}\n",
        expect![[r#"
            a.yaml:1:12: error: this is not YAML: mapping values are not allowed in this context
                help: quote it: a plain value can't hold `: ` or `? `
        "#]],
    );
    check(
        "x: @a\n",
        expect![[r#"
        a.yaml:1:4: error: this is not YAML: unexpected character: `@'
            help: quote it: a plain value can't begin with ! & * % @ or `
    "#]],
    );
    check(
        "x: 'a\n",
        expect![[r#"
        a.yaml:1:4: error: this is not YAML: while scanning a quoted scalar, found unexpected end of stream
            help: look at the line above, too: an open quote or bracket shows only where the next thing begins
    "#]],
    );
    check(
        "x:\n\ta: 1\n",
        expect![[r#"
            a.yaml:2:2: error: this is not YAML: tabs disallowed within this context (block indentation)
                help: indent with blanks, never with tabs
        "#]],
    );
    check(
        "x: [a, b\ny: 1\n",
        expect![[r#"
        a.yaml:2:2: error: this is not YAML: illegal placement of ':' indicator
            help: look at the line above, too: an open quote or bracket shows only where the next thing begins
    "#]],
    );
}

#[test]
fn a_file_holds_one_document() {
    check(
        "",
        expect![[r#"
        a.yaml:1:1: error: the file is empty
            help: write a definition or a contract into it
    "#]],
    );
    check(
        "# nothing\n",
        expect![[r#"
            a.yaml:1:1: error: the file is empty
                help: write a definition or a contract into it
        "#]],
    );
    check(
        "a: 1\n---\nb: 2\n",
        expect![[r#"
        a.yaml:2:1: error: a second document begins here
            help: write it into a file of its own
    "#]],
    );
    check(
        "\u{feff}a: 1\n",
        expect![[r#"
        .a = 1 at "a"
    "#]],
    );
}

#[test]
fn size_and_depth_are_limited() {
    let mut problems = Problems::new("a.yaml", &format!("a: {}\n", "x".repeat(MAX_BYTES)));
    assert!(parse(&mut problems).is_none());
    check(
        &"[".repeat(10_000),
        expect![[r#"
            a.yaml:1:256: error: this is not YAML: recursion limit exceeded
                help: flatten it
        "#]],
    );
    check(
        &format!("{}{}", "[".repeat(66), "]".repeat(66)),
        expect![[r#"
        a.yaml:1:66: error: nested deeper than 64 levels
            help: flatten it
    "#]],
    );
    let deepest = format!("{}1{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    assert!(parse(&mut Problems::new("a.yaml", &deepest)).is_some());
}

/// What stands in the file where a part of the value is said to stand.
fn within(text: &str, part: &str) -> String {
    let mut problems = Problems::new("a.yaml", text);
    let root = parse(&mut problems).expect("it is YAML");
    let Kind::Map(entries) = &root.kind else { panic!("a map") };
    let node = &entries[0].value;
    let Kind::Scalar(scalar) = &node.kind else { panic!("a scalar") };
    let offset = scalar.text().find(part).expect("the part is in the value");
    let span = node.span_within(problems.source(), offset, part.len());
    text[span.start..span.end].to_owned()
}

#[test]
fn parts_of_a_value_are_found_in_the_file() {
    assert_eq!(within("a: x + bad\n", "bad"), "bad");
    assert_eq!(within("a: 'x == ''y'' + bad'\n", "bad"), "bad");
    assert_eq!(within("a: \"x == \\\"\\u00fc\\\" + bad\"\n", "bad"), "bad");
    assert_eq!(within("a: |\n  x +\n  bad + y\n", "bad"), "bad");
    assert_eq!(within("a: >-\n  x +\n  bad + y\n", "bad"), "bad");
    assert_eq!(within("a: x +\n   bad + y\n", "bad"), "bad");
    assert_eq!(within("a: 'ü日 + bad'\n", "bad"), "bad");
}

fn yamlish() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a", "b: ", "- ", "\n", "  ", "{", "}", "[", "]", ",", "'", "\"", "|", ">", "&x", "*x", "!", "!!str ", "? ",
        ": ", "#", "\t", "ü", "---\n", "...\n", "%", "\\", "<<: ", "${", "\r\n", "1.5", "~", "\u{feff}",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_breaks_the_reader(text in yamlish()) {
        let mut problems = Problems::new("a.yaml", &text);
        let root = parse(&mut problems);
        let report = problems.finish(root.clone());
        prop_assert!(root.is_some() || report.is_err(), "refused without a word");
        if let Err(report) = report {
            report.graphical(false, 100);
            prop_assert!(!report.plain().is_empty());
        }
    }

    #[test]
    fn no_bytes_break_the_reader(text in "\\PC{0,60}") {
        let mut problems = Problems::new("a.yaml", &text);
        let root = parse(&mut problems);
        prop_assert!(root.is_some() || problems.finish::<()>(None).is_err());
    }
}
