//! Which steps words send work back to, and what they may leave out: read off the definition, the same for every saga.

use std::collections::BTreeSet;

use sagaline_definition::model::{Definition, Step, Word};

/// Whether one of the step's words may leave a place without its result, at once or once its rounds are used up. Only then may people leave
/// it out: the types of expressions know that the result may be missing. A choice that continues is no such word: it is the result.
pub(crate) fn may_be_left_out(step: &Step) -> bool {
    let passes_over = |word: &Word| matches!(word, Word::Continue | Word::Skip);
    let in_the_end = |word: &Word| matches!(word, Word::BackTo(back) if passes_over(&back.otherwise));
    step.choices().any(in_the_end) || step.words_but_choices().any(|word| passes_over(word) || in_the_end(word))
}

/// The step and all that stand after it.
pub fn from_here(definition: &Definition, step: u32) -> BTreeSet<u32> {
    let mut found = BTreeSet::from([step]);
    loop {
        let before = found.len();
        for (number, step) in (0..).zip(&definition.steps) {
            if step.after.iter().any(|after| found.contains(&(*after as u32))) {
                found.insert(number);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// Whether some `back_to` of the definition lets the step run again.
pub(crate) fn may_run_again(definition: &Definition, step: u32) -> bool {
    let of_steps = definition.steps.iter().flat_map(Step::words);
    let of_rules = definition.react.iter().flat_map(|rule| [&rule.then, &rule.after_pivot]);
    of_steps.chain(of_rules).any(|word| match word {
        Word::BackTo(back) => from_here(definition, back.step as u32).contains(&step),
        Word::Continue | Word::Skip | Word::Compensate | Word::Hold | Word::Stuck => false,
    })
}
