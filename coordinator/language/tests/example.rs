//! The example in the documentation loads from its files, and means the same for ever: its digests are pinned.

use expect_test::expect;
use sagaline_language::{Loaded, load};

fn example() -> Loaded {
    let folder = sagaline_test_sources::root().join("docs/examples/order-fulfilment");
    load(&[folder]).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_example_is_right_and_means_the_same_for_ever() {
    let loaded = example();
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let definitions = loaded.definitions.values().map(|d| (d.saga.as_str(), d.digest()));
    let contracts = loaded.contracts.iter().map(|c| (c.participant.as_str(), c.digest()));
    let digests: String = definitions.chain(contracts).map(|(name, digest)| format!("{name} {digest}\n")).collect();
    expect![[r#"
        order-fulfilment ecea17aac0f9aeffbbdfe6764137afb96e5aad34a005bd5e1e5ace507460b133
        inventory 2c7f1122ee9d8c62b3f1204be5a63bfb8e65eaece73c398bf130758ab15b4eee
        payment 6866be35ee43acac92d05b9195fb945c073d66617977ede2e9cdee7f02d315aa
        shipping 28155aec92290bcb5b7173b8391041d636e07a2cd21ad7f4dcd8059c61f49e31
    "#]]
    .assert_eq(&digests);
}

#[test]
fn the_example_goes_forward_from_its_pivot() {
    let loaded = example();
    let definition = loaded.definitions.values().next().expect("there is one");
    let steps: Vec<&str> = definition.steps.iter().map(|step| step.step.as_str()).collect();
    assert_eq!(steps, ["reserve", "charge", "dispatch"]);
    assert!(definition.steps[2].pivot);
    assert_eq!(definition.steps[1].after, [0]);
}
