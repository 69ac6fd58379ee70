//! The example in the documentation loads from its files, and means the same for ever: its digests are pinned.

use std::path::{Path, PathBuf};

use expect_test::expect;
use sagaline_language::{Loaded, load};

fn example() -> Loaded {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples/order-fulfilment");
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
        order-fulfilment 5744094e2fb7f807f2cac3257b3b1437f204d3f24851565f22fcc442b69b95e5
        inventory c33ed175066d992548b2f53cd7a147605722f784b72501bd446b5cd829070e97
        payment 06efbbaf08fac5febbc953b8fa964452994f4f962355c5fe9118fea75b29881c
        shipping 7edb69b58b3761510f4b0a8c1a849bd59e08fbf9eb47223b2b6975598f90c754
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
