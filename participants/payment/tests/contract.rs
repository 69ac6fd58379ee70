//! The contract that the binary prints is the one beside it, and definitions can be checked against it.

#![allow(clippy::unwrap_used, reason = "a test that unwraps fails where it should")]

use std::process::Command;

/// What the binary prints for this command line.
fn printed(words: &[&str]) -> String {
    let printed =
        Command::new(env!("CARGO_BIN_EXE_sagaline-payment")).arg("--print-contract").args(words).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    String::from_utf8(printed.stdout).unwrap()
}

#[test]
fn over_tables_it_promises_transactions_and_asks_no_database_to_say_so() {
    let tables = printed(&["--postgres", "postgres://nobody@127.0.0.1:1/nowhere"]);
    let file = printed(&[]);
    let promised: Vec<(&str, &str)> =
        file.lines().zip(tables.lines()).filter(|(file, tables)| file != tables).collect();
    let both: Vec<&str> = promised.iter().flat_map(|(file, tables)| [*file, *tables]).collect();
    expect_test::expect![[r#"
        [
            "version: \"1.0.0\"",
            "version: \"1.1.0\"",
            "  charge: { in: Charge, out: Charged, idempotent: by_key, compensate: refund, probe: status, refuses: [InsufficientFunds, CardExpired] }",
            "  charge: { in: Charge, out: Charged, idempotent: transaction, compensate: refund, probe: status, refuses: [InsufficientFunds, CardExpired] }",
            "  refund: { in: Charge, idempotent: by_key }",
            "  refund: { in: Charge, idempotent: transaction }",
        ]
    "#]]
    .assert_debug_eq(&both);
    assert!(sagaline_language::contract("contract.yaml", &tables).is_ok());
}

#[test]
fn the_printed_contract_is_the_one_on_file_and_the_language_reads_it() {
    let yaml = printed(&[]);
    expect_test::expect_file!["../contract.yaml"].assert_eq(&yaml);
    let read = sagaline_language::contract("contract.yaml", &yaml);
    let contract = read.unwrap_or_else(|report| panic!("{report:?}\n{yaml}")).value;
    assert_eq!((contract.participant.as_str(), contract.version.as_str()), ("payment", "1.0.0"));
    assert_eq!(contract.operations.len(), 3);
}
