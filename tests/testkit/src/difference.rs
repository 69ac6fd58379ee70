//! What is otherwise than expected, as a unified difference.

use sagaline_language::scenario::Expected;
use sagaline_schemas::Value;

use crate::account::{Account, Commanded, elapsed};

/// The difference between what was expected and what came. None: there is none.
pub fn difference(expected: &Expected, account: &Account) -> Option<String> {
    let (mut wanted, mut found) = (Vec::new(), Vec::new());
    if let Some(commands) = &expected.commands {
        wanted.push("commands:".to_owned());
        wanted.extend(commands.iter().map(|(name, input)| line(name, input.as_ref())));
        found.push("commands:".to_owned());
        found.extend(account.commands.iter().map(|command| line(&command.name, input_as_expected(command, commands))));
    }
    if let Some(waits) = &expected.waits {
        wanted.push("waits:".to_owned());
        wanted.extend(waits.iter().map(|wait| line(wait, None)));
        found.push("waits:".to_owned());
        found.extend(account.waits.iter().map(|wait| line(&wait.name, None)));
    }
    if let Some(end) = &expected.end {
        wanted.push(format!("end: {end}"));
        found.push(format!("end: {}", account.end));
    }
    if let Some(because) = expected.because.as_ref().filter(|because| !account.because.contains(*because)) {
        wanted.push(format!("because: {because}"));
        found.push(format!("because: {}", account.because));
    }
    if let Some(after) = expected.after {
        wanted.push(format!("after: {}", elapsed(after)));
        found.push(format!("after: {}", elapsed(account.after)));
    }
    if let Some(world) = &expected.world {
        for (effect, state) in world {
            wanted.push(format!("world: {effect}: {state}"));
            found.push(format!("world: {effect}: {}", account.world_of(effect).unwrap_or("never begun")));
        }
    }
    for (step, at) in &expected.times {
        wanted.push(format!("times: {step}: {}", elapsed(*at)));
        let time = account.times.get(step).map_or_else(|| "never begun".to_owned(), |at| elapsed(*at));
        found.push(format!("times: {step}: {time}"));
    }
    (wanted != found).then(|| unified(&wanted, &found))
}

fn line(name: &str, input: Option<&Value>) -> String {
    match input {
        Some(input) => format!("  - {name}: {input}"),
        None => format!("  - {name}"),
    }
}

/// A command's input as it was expected, where it fits; as it is, where a command of that name was expected with another.
fn input_as_expected<'a>(command: &'a Commanded, expected: &'a [(String, Option<Value>)]) -> Option<&'a Value> {
    let mut inputs = expected.iter().filter(|(name, _)| *name == command.name).filter_map(|(_, input)| input.as_ref());
    let any = inputs.clone().next().map(|_| &command.input);
    inputs.find(|input| fits(input, &command.input)).or(any)
}

/// What is not said of a map is not looked at.
fn fits(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Map(expected), Value::Map(_)) => {
            expected.iter().all(|(name, value)| fits(value, found.get(name).unwrap_or(&Value::Null)))
        }
        (expected, found) => expected == found,
    }
}

/// Lines that only the one has, that only the other has, and all that both have.
fn unified(wanted: &[String], found: &[String]) -> String {
    let common = longest_common(wanted, found);
    let mut text = "--- expected\n+++ found\n".to_owned();
    let (mut at, mut is) = (0, 0);
    for (next_wanted, next_found) in common.into_iter().chain([(wanted.len(), found.len())]) {
        wanted[at..next_wanted].iter().for_each(|line| text.push_str(&format!("-{line}\n")));
        found[is..next_found].iter().for_each(|line| text.push_str(&format!("+{line}\n")));
        if let Some(line) = wanted.get(next_wanted) {
            text.push_str(&format!(" {line}\n"));
        }
        (at, is) = (next_wanted + 1, next_found + 1);
    }
    text
}

/// Pairs of lines that stand in both, in order: the longest such row.
fn longest_common(a: &[String], b: &[String]) -> Vec<(usize, usize)> {
    let mut length = vec![vec![0_u32; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            length[i][j] = if a[i] == b[j] { length[i + 1][j + 1] + 1 } else { length[i + 1][j].max(length[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < a.len() && j < b.len() {
        if a[i] == b[j] {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if length[i + 1][j] >= length[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn lines_of_one_side_are_marked() {
        let text = unified(&lines("a b c e"), &lines("a c d e"));
        assert_eq!(text, "--- expected\n+++ found\n a\n-b\n c\n+d\n e\n");
        assert_eq!(unified(&lines("a"), &lines("b")), "--- expected\n+++ found\n-a\n+b\n");
    }
}
