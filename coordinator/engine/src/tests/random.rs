//! Any definition, any script: what comes may be late, twice, contradictory, refused. Nothing panics, every invariant holds after every
//! turn, and with a little good will every saga ends.

mod choices;
mod good_will;
mod making;
mod witness;

use proptest::prelude::*;

use self::choices::Choices;
use super::stage::Stage;
use crate::turn::Input;

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_saga_keeps_its_invariants_and_ends(choices in prop::collection::vec(any::<u16>(), 30..300)) {
        play(&choices);
    }
}

/// More with `PROPTEST_CASES`.
fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig { cases: asked.cases.max(2_000), failure_persistence: None, max_shrink_iters: 1_000, ..asked }
}

fn play(choices: &[u16]) {
    let mut choices = Choices::new(choices);
    let definition = making::definition(&mut choices);
    let mut stage = Stage::new(definition);
    if choices.one_in(4) {
        stage = stage.with_parent();
    }
    let mut witness = witness::Witness::default();
    witness.give(&mut stage, Input::Start { told: vec![] });
    while !choices.is_empty() {
        if let Some(input) = making::input(&mut choices, &mut stage) {
            witness.give(&mut stage, input);
        }
    }
    good_will::bring_to_its_end(&mut stage, &mut witness);
}
