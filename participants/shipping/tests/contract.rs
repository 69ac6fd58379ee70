//! The contract that the binary prints is the one beside it, and definitions can be checked against it.

use std::process::Command;

#[test]
fn the_printed_contract_is_the_one_on_file_and_the_language_reads_it() {
    let printed = Command::new(env!("CARGO_BIN_EXE_sagaline-shipping")).arg("--print-contract").output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let yaml = String::from_utf8(printed.stdout).unwrap();
    expect_test::expect_file!["../contract.yaml"].assert_eq(&yaml);
    let read = sagaline_language::contract("contract.yaml", &yaml);
    let contract = read.unwrap_or_else(|report| panic!("{report:?}\n{yaml}")).value;
    assert_eq!((contract.participant.as_str(), contract.version.as_str()), ("shipping", "1.0.0"));
    assert_eq!(contract.operations.len(), 3);
}
