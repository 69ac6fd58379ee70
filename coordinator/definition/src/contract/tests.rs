//! Contracts: one normal form, one digest, whatever the text they were read from looked like.

use super::*;

const PAYMENT: &str = r#"{
    "version": "1.0.0", "participant": "payment", "owner": "team-payments", "limits": {"rate": 50},
    "types": {"Charge": {"type": "record", "name": "Charge", "fields": [{"name": "amount", "type": "long"}]}},
    "operations": {
        "status": {"input": "Charge", "idempotent": "reads", "reads": true},
        "charge": {"input": "Charge", "output": "Charge", "idempotent": "by_key", "compensate": "refund", "refuses": ["InsufficientFunds"]},
        "refund": {"input": "Charge", "idempotent": "by_key"}
    }
}"#;

fn payment() -> Contract {
    Contract::from_normal_form(PAYMENT.as_bytes()).unwrap()
}

// shows: contract.participant, contract.version, contract.owner, contract.types, operations.in, operations.out, operations.idempotent, operations.compensate, operations.refuses, operations.reads x restart
#[test]
fn the_normal_form_is_canonical_and_reads_back() {
    let form = payment().normal_form();
    assert_eq!(Value::parse(&form).unwrap().to_json(), form);
    assert_eq!(Contract::from_normal_form(&form).unwrap(), payment());
    assert!(form.starts_with(br#"{"limits":{"in_flight":null,"rate":50},"operations":{"charge":"#));
}

#[test]
fn the_digest_is_of_all_that_it_says() {
    expect_test::expect!["80d1841d0328b9ab12710b1b5d2a113cf14739ffea6a5f35416031f31073a9e5"]
        .assert_eq(&payment().digest().to_string());
    let mut other = payment();
    other.limits.rate = Some(51);
    assert_ne!(other.digest(), payment().digest());
}

#[test]
fn unknown_keys_are_refused() {
    let error = Contract::from_normal_form(PAYMENT.replace("\"owner\"", "\"ownr\"").as_bytes()).unwrap_err();
    assert!(error.to_string().contains("unknown field `ownr`"), "{error}");
}

#[test]
fn its_types_are_found_by_name() {
    let charge = Type::Record("Charge".into(), BTreeMap::from([("amount".into(), Type::Int)]));
    assert_eq!(payment().type_of("Charge"), Some(charge));
    assert_eq!(payment().type_of("Refund"), None);
}
