//! Expressions at their boundary: text and names in, value, type or message out.

mod cel_facts;
mod hostile;

use std::collections::BTreeMap;
use std::process::Command;

use expect_test::{Expect, expect};
use sagaline_schemas::Value;

use super::*;

fn names() -> BTreeMap<String, Value> {
    let json = r#"{
        "input": {"total": 129, "price": 1.5, "email": "a@b.c", "none": null, "name": "Zoë", "big": 9007199254740993,
                  "lines": [{"sku": "x", "quantity": 2}, {"sku": "y", "quantity": 3}, {"sku": "z"}],
                  "tags": {"zeta": 1, "alpha": 0, "mid": 3, "eta": 4, "beta": 5, "iota": 6}},
        "reserve": null
    }"#;
    match Value::parse(json.as_bytes()).unwrap() {
        Value::Map(map) => map,
        other => panic!("names are a map, not {other}"),
    }
}

/// `expression -> value`, one a line.
fn evaluated(sources: &str) -> String {
    let names = names();
    let eval = |source: &str| match Expr::parse(source) {
        Err(error) => format!("parse error at {}: {error}", error.offset),
        Ok(expr) => {
            expr.eval(&names).map_or_else(|error| format!("error: {}", error.message), |value| value.to_string())
        }
    };
    sources
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| format!("{line} -> {}\n", eval(line)))
        .collect()
}

#[track_caller]
fn check_values(sources: &str, expected: Expect) {
    expected.assert_eq(&evaluated(sources));
}

#[test]
fn numbers() {
    check_values(
        "1 + 2 * 3
        7 / 2
        -7 / 2
        -7 % 3
        7 / 2.0
        input.total * 2
        input.price * 2
        1 - 1.0
        0.0 * -1
        9223372036854775807 + 1
        -9223372036854775808 / -1
        -(-9223372036854775807 - 1)
        1 / 0
        1 % 0
        1.0 / 0
        1e308 * 10
        5.5 % 2
        0x10
        1 == 1.0
        input.big == 9007199254740992.0
        input.big > 9007199254740992.0
        9223372036854775807 < 9223372036854775808.0
        -1 < -0.5
        2 > 1.5
        int(-1.9)
        int('12')
        int(1e19)
        double('1e3')
        double('inf')
        string(1.0) + string(7) + string(true)
        min(3, 1.5, 2)
        max('a', 'b')",
        expect![[r#"
            1 + 2 * 3 -> 7
            7 / 2 -> 3
            -7 / 2 -> -3
            -7 % 3 -> -1
            7 / 2.0 -> 3.5
            input.total * 2 -> 258
            input.price * 2 -> 3.0
            1 - 1.0 -> 0.0
            0.0 * -1 -> 0.0
            9223372036854775807 + 1 -> error: 9223372036854775807 + 1 lies outside 64-bit integers
            -9223372036854775808 / -1 -> error: -9223372036854775808 / -1 lies outside 64-bit integers
            -(-9223372036854775807 - 1) -> error: -(-9223372036854775808) lies outside 64-bit integers
            1 / 0 -> error: 1 / 0: division by zero
            1 % 0 -> error: 1 % 0: division by zero
            1.0 / 0 -> error: 1.0 / 0.0 is no finite number
            1e308 * 10 -> error: 1e+308 * 10.0 is no finite number
            5.5 % 2 -> error: 5.5 % 2.0: `%` does not take double and double
            0x10 -> 16
            1 == 1.0 -> true
            input.big == 9007199254740992.0 -> false
            input.big > 9007199254740992.0 -> true
            9223372036854775807 < 9223372036854775808.0 -> true
            -1 < -0.5 -> true
            2 > 1.5 -> true
            int(-1.9) -> -1
            int('12') -> 12
            int(1e19) -> error: 1e+19 is no 64-bit integer
            double('1e3') -> 1000.0
            double('inf') -> error: "inf" is no finite number
            string(1.0) + string(7) + string(true) -> "1.07true"
            min(3, 1.5, 2) -> 1.5
            max('a', 'b') -> "b"
        "#]],
    );
}

#[test]
fn texts_lists_and_maps() {
    check_values(
        r#"'a' + "b"
        'it\'s \u00eb\n'
        size('Zoë')
        input.name.size()
        'abc'.startsWith('ab') && 'abc'.endsWith('bc') && 'abc'.contains('b')
        'a' < 'b'
        'Z' < 'a'
        [1, 'a', null] + [[2]]
        [1, 2][1]
        [1, 2][2]
        [1, 2][-1]
        {'a': {'b': 1}}.a.b
        {'a': 1}['a']
        {'a': 1, 'a': 2}
        {1: 2}
        2 in [1, 2.0]
        'mid' in input.tags
        1 in input.tags
        [1, {'a': [2.0]}] == [1.0, {'a': [2]}]
        'a' == 1
        null == null
        'a' + 1
        size(1)
        input.email.size
        [] + 1"#,
        expect![[r#"
            'a' + "b" -> "ab"
            'it\'s \u00eb\n' -> "it's ë\n"
            size('Zoë') -> 3
            input.name.size() -> 3
            'abc'.startsWith('ab') && 'abc'.endsWith('bc') && 'abc'.contains('b') -> true
            'a' < 'b' -> true
            'Z' < 'a' -> true
            [1, 'a', null] + [[2]] -> [1,"a",null,[2]]
            [1, 2][1] -> 2
            [1, 2][2] -> error: no item 2 in a list of 2
            [1, 2][-1] -> error: no item -1 in a list of 2
            {'a': {'b': 1}}.a.b -> 1
            {'a': 1}['a'] -> 1
            {'a': 1, 'a': 2} -> error: the key "a" stands twice in a map
            {1: 2} -> error: a map's keys are texts, not 1
            2 in [1, 2.0] -> true
            'mid' in input.tags -> true
            1 in input.tags -> error: 1 in {alpha, beta, eta, iota, mid, zeta}: `in` does not take int and map
            [1, {'a': [2.0]}] == [1.0, {'a': [2]}] -> true
            'a' == 1 -> false
            null == null -> true
            'a' + 1 -> error: "a" + 1: `+` does not take string and int
            size(1) -> error: size() needs a text, list or map, not 1
            input.email.size -> error: no member `size` in "a@b.c"
            [] + 1 -> error: a list of 0 + 1: `+` does not take list and int
        "#]],
    );
}

#[test]
fn logic_makes_up_for_errors_only_where_one_side_decides() {
    check_values(
        "true || nope
        nope || true
        false && nope
        nope && false
        nope || false
        true && nope
        nope && nothing
        1 && true
        1 || true
        !1
        1 ? 2 : 3
        true ? 1 : nope
        false ? nope : 2
        [0, 1].exists(x, 1 / x == 1)
        [0, 1].all(x, 1 / x == 2)
        [0, 1].all(x, 1 / x == 1)
        [0, 1].exists_one(x, x == 1)
        [0, 1].exists_one(x, 1 / x == 1)",
        expect![[r#"
            true || nope -> true
            nope || true -> true
            false && nope -> false
            nope && false -> false
            nope || false -> error: `nope` is not known here
            true && nope -> error: `nope` is not known here
            nope && nothing -> error: `nope` is not known here
            1 && true -> error: a condition must be true or false, not 1
            1 || true -> true
            !1 -> error: a condition must be true or false, not 1
            1 ? 2 : 3 -> error: a condition must be true or false, not 1
            true ? 1 : nope -> 1
            false ? nope : 2 -> 2
            [0, 1].exists(x, 1 / x == 1) -> true
            [0, 1].all(x, 1 / x == 2) -> false
            [0, 1].all(x, 1 / x == 1) -> error: 1 / 0: division by zero
            [0, 1].exists_one(x, x == 1) -> true
            [0, 1].exists_one(x, 1 / x == 1) -> error: 1 / 0: division by zero
        "#]],
    );
}

#[test]
fn null_and_absence_are_one() {
    check_values(
        "has(input.none)
        has(input.nope)
        has(input.total)
        has(reserve.warehouse)
        has(input.nope.deeper.still)
        has(nope.x)
        has(input.total.x)
        input.none != null
        input.nope != null
        null == input.nope
        reserve != null && reserve.warehouse == 'x'
        input.nope
        reserve.warehouse",
        expect![[r#"
            has(input.none) -> false
            has(input.nope) -> false
            has(input.total) -> true
            has(reserve.warehouse) -> false
            has(input.nope.deeper.still) -> false
            has(nope.x) -> error: `nope` is not known here
            has(input.total.x) -> error: 129 has no members, so not `x` either
            input.none != null -> false
            input.nope != null -> false
            null == input.nope -> true
            reserve != null && reserve.warehouse == 'x' -> false
            input.nope -> error: no member `nope` in {big, email, lines, name, none, price, tags, total}
            reserve.warehouse -> error: no member `warehouse` in null
        "#]],
    );
}

#[test]
fn macros_walk_maps_in_key_order() {
    check_values(
        "input.tags.map(k, k)
        input.tags.filter(k, input.tags[k] > 2)
        input.tags.all(k, 10 / input.tags[k] > 3)
        input.tags.exists(k, 10 / input.tags[k] == 5)
        input.tags.exists_one(k, k == 'eta')
        input.lines.map(l, has(l.quantity), l.quantity * 2)
        input.lines.map(l, input.lines.map(m, l.sku + m.sku))
        [1].map(input, input + 1)
        input.total.map(x, x)",
        expect![[r#"
            input.tags.map(k, k) -> ["alpha","beta","eta","iota","mid","zeta"]
            input.tags.filter(k, input.tags[k] > 2) -> ["beta","eta","iota","mid"]
            input.tags.all(k, 10 / input.tags[k] > 3) -> false
            input.tags.exists(k, 10 / input.tags[k] == 5) -> error: 10 / 0: division by zero
            input.tags.exists_one(k, k == 'eta') -> true
            input.lines.map(l, has(l.quantity), l.quantity * 2) -> [4,6]
            input.lines.map(l, input.lines.map(m, l.sku + m.sku)) -> [["xx","xy","xz"],["yx","yy","yz"],["zx","zy","zz"]]
            [1].map(input, input + 1) -> [2]
            input.total.map(x, x) -> error: only a list or a map has items, not 129
        "#]],
    );
}

#[test]
fn what_is_left_out_is_said_with_its_place() {
    check_values(
        r#"1 +
        (1
        1 2
        {'a' 1}
        x.
        x ? y
        a ? b : c : d
        input..x
        'Zoë' + )
        a = b
        a & b
        if
        a.if
        'open
        r'raw'
        b'bytes'
        '''three'''
        'bad \q'
        1u
        99999999999999999999
        1e999
        1 // comment
        a; b
        `a`
        ë
        .x
        Order{id: 1}
        a.?b
        [?a]
        name.matches('x')
        timestamp('2026-01-01T00:00:00Z')
        size(1, 2)
        startsWith('a', 'b')
        all(x, y)
        a.all(x)
        a.all(1, true)
        has(a)
        has(a[0])
        a.has(b)"#,
        expect![[r#"
            1 + -> parse error at 3: the expression ends too early
            (1 -> parse error at 2: the expression ends too early
            1 2 -> parse error at 2: `2` can't stand here
            {'a' 1} -> parse error at 5: `:` is missing here
            x. -> parse error at 2: the expression ends too early
            x ? y -> parse error at 5: the expression ends too early
            a ? b : c : d -> parse error at 10: `:` can't stand here
            input..x -> parse error at 6: `.` can't stand here
            'Zoë' + ) -> parse error at 9: `)` can't stand here
            a = b -> parse error at 2: `=` assigns nothing here: compare with `==`
            a & b -> parse error at 2: write `&&` for and, `||` for or
            if -> parse error at 0: `if` is a word that CEL keeps for itself: it can't be a name here
            a.if -> error: `a` is not known here
            'open -> parse error at 0: this text has no closing quote on its line
            r'raw' -> parse error at 0: raw texts and bytes are left out here: write plain quotes, with `\\` for a backslash
            b'bytes' -> parse error at 0: raw texts and bytes are left out here: write plain quotes, with `\\` for a backslash
            '''three''' -> parse error at 2: a quote right behind a text: triple quotes are left out here, and `+` joins texts
            'bad \q' -> parse error at 5: an escape is one of \\ \' \" \n \r \t \uXXXX
            1u -> parse error at 0: whole numbers have one kind here: leave out the `u`
            99999999999999999999 -> parse error at 0: this number is out of range
            1e999 -> parse error at 0: this number is out of range
            1 // comment -> parse error at 2: comments are left out here: YAML has `#`
            a; b -> parse error at 1: this sign has no meaning in an expression; texts stand in quotes
            `a` -> parse error at 0: this sign has no meaning in an expression; texts stand in quotes
            ë -> parse error at 0: this sign has no meaning in an expression; texts stand in quotes
            .x -> parse error at 1: a name can't begin with a dot
            Order{id: 1} -> parse error at 5: typed literals are left out here: write a map, `{'name': value}`
            a.?b -> parse error at 2: optional members are left out here: ask with has()
            [?a] -> parse error at 1: optional members are left out here: ask with has()
            name.matches('x') -> parse error at 5: regular expressions are left out here: use startsWith, endsWith or contains
            timestamp('2026-01-01T00:00:00Z') -> parse error at 0: there is no function `timestamp`; there are size, startsWith, endsWith, contains, string, int, double, min, max, has, all, exists, exists_one, map, filter
            size(1, 2) -> parse error at 0: write size(value)
            startsWith('a', 'b') -> parse error at 0: write text.startsWith(part)
            all(x, y) -> parse error at 0: write list.all(item, expression)
            a.all(x) -> parse error at 2: write all(item, expression)
            a.all(1, true) -> parse error at 2: all() takes first a name for the item: all(item, expression)
            has(a) -> parse error at 0: has() asks for one member: has(order.address)
            has(a[0]) -> parse error at 0: has() asks for one member: has(order.address)
            a.has(b) -> parse error at 2: has() asks for one member: has(order.address)
        "#]],
    );
    assert_eq!(Expr::parse(" ").unwrap_err().message, "an expression is missing here");
}

#[test]
fn names_are_those_it_does_not_bind_itself() {
    let names = |source: &str| Expr::parse(source).unwrap().names().into_iter().collect::<Vec<_>>();
    assert_eq!(names("input.a + facts['b'] + [c].size()"), ["c", "facts", "input"]);
    assert_eq!(names("xs.all(x, x > y) && has(z.w)"), ["xs", "y", "z"]);
    assert_eq!(names("x.map(x, x) + {'k': v}.k"), ["v", "x"]);
    assert_eq!(names("1 + 1"), Vec::<String>::new());
}

#[test]
fn an_expression_is_its_text() {
    let expr = Expr::parse("input.total > 1").unwrap();
    let json = serde_json::to_string(&expr).unwrap();
    assert_eq!(json, "\"input.total > 1\"");
    assert_eq!(serde_json::from_str::<Expr>(&json).unwrap(), expr);
    assert!(serde_json::from_str::<Expr>("\"1 +\"").unwrap_err().to_string().contains("ends too early"));
    assert_ne!(expr, Expr::parse("input.total  > 1").unwrap());
    fn shared_between_threads<T: Send + Sync>(_: &T) {}
    shared_between_threads(&expr);
}

#[test]
fn a_condition_is_true_or_false() {
    let holds = |source: &str| Expr::parse(source).unwrap().holds(&names());
    assert_eq!(holds("input.total > 1"), Ok(true));
    assert_eq!(
        holds("input.total").unwrap_err().to_string(),
        "input.total: a condition must be true or false, this is int"
    );
}

fn scope() -> Scope {
    let order = r#"{"Order": {"type": "record", "name": "Order", "fields": [
        {"name": "total", "type": "long"}, {"name": "price", "type": "double"}, {"name": "email", "type": "string"},
        {"name": "note", "type": ["null", "string"]}, {"name": "paid", "type": "boolean"},
        {"name": "address", "type": ["null", {"type": "record", "name": "Address", "fields": [{"name": "city", "type": "string"}, {"name": "zip", "type": ["null", "string"]}]}]},
        {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [{"name": "sku", "type": "string"}, {"name": "gift", "type": ["null", "string"]}]}}},
        {"name": "tags", "type": {"type": "map", "values": "long"}}]}}"#;
    let Value::Map(types) = Value::parse(order.as_bytes()).unwrap() else { panic!("types are a map") };
    let order = Type::read_avro("Order", &types).unwrap();
    Scope::from([("input".into(), order.clone()), ("reserve".into(), order.or_null()), ("event".into(), Type::Any)])
}

#[track_caller]
fn check_types(sources: &str, expected: Expect) {
    let typed = |source: &str| match Expr::parse(source).unwrap().check(&scope()) {
        Ok(found) => found.to_string(),
        Err(problems) => {
            let shown = |p: &ExprProblem| format!("`{}`: {}", &source[p.offset..p.offset + p.length], p.message);
            problems.iter().map(shown).collect::<Vec<_>>().join("\n    ")
        }
    };
    let found: String = sources.lines().map(str::trim).map(|line| format!("{line} -> {}\n", typed(line))).collect();
    expected.assert_eq(&found);
}

#[test]
fn types_of_what_is_right() {
    check_types(
        "input.total + 1
        input.total * input.price
        'to ' + input.email
        input.lines.map(l, l.sku)
        input.lines.filter(l, l.gift != null)
        input.lines.map(l, l.gift != null, l.gift + '!')
        input.tags.map(k, input.tags[k])
        {'a': 1, 'b': [input.price, 1]}
        input.paid ? 1 : null
        input.note
        event.anything + 1 > event.other
        size(input.lines) > 0 && input.lines[0].sku in ['a', 'b']
        input.note != null && input.note.size() > 0
        input.note == null || input.note.size() > 0
        has(input.address.zip) ? input.address.zip + input.address.city : ''
        !has(reserve.address) || reserve.total == 0 && reserve.address.city == 'Bern'
        !(input.note == null) && input.note == 'x'
        reserve.address.city == 'Bern' || true
        input.note == 'a' && input.note.startsWith('a')
        reserve == null ? 0 : reserve.total",
        expect![[r#"
            input.total + 1 -> int
            input.total * input.price -> double
            'to ' + input.email -> string
            input.lines.map(l, l.sku) -> list(string)
            input.lines.filter(l, l.gift != null) -> list(Line)
            input.lines.map(l, l.gift != null, l.gift + '!') -> list(string)
            input.tags.map(k, input.tags[k]) -> list(int)
            {'a': 1, 'b': [input.price, 1]} -> map
            input.paid ? 1 : null -> int or null
            input.note -> string or null
            event.anything + 1 > event.other -> bool
            size(input.lines) > 0 && input.lines[0].sku in ['a', 'b'] -> bool
            input.note != null && input.note.size() > 0 -> bool
            input.note == null || input.note.size() > 0 -> bool
            has(input.address.zip) ? input.address.zip + input.address.city : '' -> string
            !has(reserve.address) || reserve.total == 0 && reserve.address.city == 'Bern' -> bool
            !(input.note == null) && input.note == 'x' -> bool
            reserve.address.city == 'Bern' || true -> `reserve`: `reserve` may be null: ask first, `reserve != null && ..` or `reserve != null ? .. : ..`
            input.note == 'a' && input.note.startsWith('a') -> bool
            reserve == null ? 0 : reserve.total -> int
        "#]],
    );
}

#[test]
fn types_of_what_is_wrong() {
    check_types(
        "inptu.total
        input.totl > 1
        input.email + 1
        input.email.total
        input.total && true
        !input.total
        input.total == 'x'
        input.note.size()
        input.address.city
        reserve.total
        has(input.adress.city)
        input.lines.map(l, l.skew)
        input.lines.all(l, l.gift.size() > 1)
        input.total.map(x, x)
        input['totl']
        input.lines['a']
        -input.email
        input.price % 2
        1 in input.email
        1 in ['a']
        input.email.startsWith(1)
        string(input.lines)
        [1, 2] < [3]
        null + 1
        input.note != null || input.note.size() > 0
        input.paid ? inptu : inptu2",
        expect![[r#"
            inptu.total -> `inptu`: `inptu` is not known here; did you mean `input`?
            input.totl > 1 -> `input.totl`: `Order` has no member `totl`; did you mean `total`?
            input.email + 1 -> `input.email + 1`: `+` does not take string and int
            input.email.total -> `input.email.total`: string has no members, so not `total` either
            input.total && true -> `input.total`: a condition must be bool, this is int
            !input.total -> `input.total`: a condition must be bool, this is int
            input.total == 'x' -> `input.total == 'x'`: int and string are never the same
            input.note.size() -> `input.note`: `input.note` may be null: ask first, `input.note != null && ..` or `input.note != null ? .. : ..`
            input.address.city -> `input.address`: `input.address` may be null: ask first, `input.address != null && ..` or `input.address != null ? .. : ..`
            reserve.total -> `reserve`: `reserve` may be null: ask first, `reserve != null && ..` or `reserve != null ? .. : ..`
            has(input.adress.city) -> `input.adress`: `Order` has no member `adress`; did you mean `address`?
            input.lines.map(l, l.skew) -> `l.skew`: `Line` has no member `skew`
            input.lines.all(l, l.gift.size() > 1) -> `l.gift`: `l.gift` may be null: ask first, `l.gift != null && ..` or `l.gift != null ? .. : ..`
            input.total.map(x, x) -> `input.total`: only a list or a map has items, this is int
            input['totl'] -> `input['totl']`: `Order` has no member `totl`; did you mean `total`?
            input.lines['a'] -> `input.lines['a']`: list(Line) can't be indexed with string: a list takes an int, a map a string
            -input.email -> `-input.email`: `-` needs a number, this is string
            input.price % 2 -> `input.price % 2`: `%` does not take double and int
            1 in input.email -> `1 in input.email`: `in` looks into a list or a map's keys, not into string
            1 in ['a'] -> `1 in ['a']`: a list of string never holds int
            input.email.startsWith(1) -> `input.email.startsWith(1)`: startsWith() does not take string and int
            string(input.lines) -> `string(input.lines)`: string() does not take list(Line)
            [1, 2] < [3] -> `[1, 2] < [3]`: `<` does not take list(int) and list(int)
            null + 1 -> `null`: this may be null
            input.note != null || input.note.size() > 0 -> `input.note`: `input.note` may be null: ask first, `input.note != null && ..` or `input.note != null ? .. : ..`
            input.paid ? inptu : inptu2 -> `inptu`: `inptu` is not known here; did you mean `input`?
                `inptu2`: `inptu2` is not known here; did you mean `input`?
        "#]],
    );
}

/// What every fresh process must evaluate alike.
const CORPUS: &str = "input.tags.map(k, k)
    input.tags.filter(k, input.tags[k] > 2)
    input.tags.all(k, 10 / input.tags[k] > 3)
    input.tags.exists(k, 10 / input.tags[k] == 5)
    {'z': 1, 'a': 2, 'm': input.tags}
    {'z': 1, 'a': 2, 'm': 3}.map(k, k + '!')
    input.tags == {'alpha': 0, 'zeta': 1, 'mid': 3, 'eta': 4, 'beta': 5, 'iota': 6}
    input.price * 1e22
    string(0.1 + 0.2)
    input.tags.nope";

#[test]
fn prints_the_corpus() {
    println!("{}", evaluated(CORPUS).lines().map(|line| format!("corpus: {line}\n")).collect::<String>());
}

#[test]
fn twenty_fresh_processes_agree() {
    let run = || {
        let binary = std::env::current_exe().unwrap();
        let output =
            Command::new(binary).args(["--exact", "expr::tests::prints_the_corpus", "--nocapture"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .filter_map(|line| line.split("corpus: ").nth(1))
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    let here = evaluated(CORPUS);
    assert_eq!(here.lines().count(), 10);
    for _ in 0..20 {
        assert_eq!(run(), here);
    }
}
