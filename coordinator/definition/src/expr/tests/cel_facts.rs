//! What the crate `cel` does by itself: the reasons for our own limits, checker and evaluator. Where one of these fails, a reason has gone.

use std::collections::BTreeSet;

use cel::{Context, Env, Program, Value as CelValue};

use super::*;

#[test]
fn forty_kilobytes_overflow_its_stack_and_end_the_process() {
    const CHILD: &str = "SAGALINE_OVERFLOW";
    if std::env::var_os(CHILD).is_some() {
        let parse = || Env::default().parser().parse(&("1+".repeat(20_000) + "1")).is_ok();
        std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(parse).unwrap().join().unwrap();
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    let test = "expr::tests::cel_facts::forty_kilobytes_overflow_its_stack_and_end_the_process";
    let output = child.args(["--exact", test]).env(CHILD, "1").output().unwrap();
    assert_eq!(output.status.code(), None, "it must die of a signal: {}", String::from_utf8_lossy(&output.stderr));
    assert!(Expr::parse(&("1+".repeat(20_000) + "1")).is_err(), "ours refuses it");
}

#[test]
fn it_walks_maps_in_an_order_of_the_moment() {
    let source = "{'a': 1, 'b': 2, 'c': 3, 'd': 4, 'e': 5, 'f': 6}.map(k, k)";
    let theirs = || format!("{:?}", Program::compile(source).unwrap().execute(&Context::default()).unwrap());
    let orders: BTreeSet<String> = (0..40).map(|_| theirs()).collect();
    assert!(orders.len() > 1, "{orders:?}");
    let ours = || Expr::parse(source).unwrap().eval(&names()).unwrap().to_string();
    assert!((0..40).all(|_| ours() == r#"["a","b","c","d","e","f"]"#));
}

#[test]
fn it_takes_names_that_nobody_declared() {
    assert!(Program::compile("inptu.total > 1").is_ok());
    assert!(Expr::parse("inptu.total > 1").unwrap().check(&scope()).is_err());
}

#[test]
fn it_can_not_double_a_whole_number_from_json() {
    let mut context = Context::default();
    context.add_variable("x", serde_json::json!(21)).unwrap();
    let theirs = Program::compile("x * 2").unwrap().execute(&context);
    assert!(!matches!(theirs, Ok(CelValue::Int(42))), "{theirs:?}");
    let given = BTreeMap::from([("x".to_owned(), Value::parse(b"21").unwrap())]);
    assert_eq!(Expr::parse("x * 2").unwrap().eval(&given), Ok(Value::Int(42)));
}

#[test]
fn it_takes_an_optional_item_for_a_plain_one() {
    assert!(Env::default().parser().parse("[?a]").is_ok());
    assert!(Expr::parse("[?a]").is_err());
}
