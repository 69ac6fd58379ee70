//! The scenarios of every example in the documentation come out as their authors say, in virtual time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sagaline_testkit::run_file;

/// All files of tests below `docs/examples`, in order.
fn files() -> Vec<PathBuf> {
    let examples = sagaline_test_sources::root().join("docs/examples");
    let inside = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).expect("a folder of examples can be read");
        entries.map(|entry| entry.expect("an entry can be read").path()).collect()
    };
    let folders = inside(&examples).into_iter().filter(|path| path.is_dir());
    let all = folders.flat_map(|folder| inside(&folder));
    let mut files: Vec<PathBuf> = all.filter(|path| path.to_string_lossy().ends_with(".test.yaml")).collect();
    files.sort();
    files
}

#[test]
fn every_scenario_comes_out_as_its_author_says() {
    let mut wrong = Vec::new();
    let mut played = 0;
    let began = Instant::now();
    for file in files() {
        match run_file(&file) {
            Ok(outcomes) => {
                played += outcomes.len();
                let other = outcomes.into_iter().filter_map(|outcome| {
                    let difference = outcome.difference?;
                    Some(format!(
                        "{}:{}: {}\n{difference}\n{}",
                        file.display(),
                        outcome.line,
                        outcome.name,
                        outcome.account
                    ))
                });
                wrong.extend(other);
            }
            Err(error) => wrong.push(error.to_string()),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(played >= 75, "the stories have {played} scenarios");
    assert!(began.elapsed() < Duration::from_secs(10), "weeks take milliseconds, and these took {:?}", began.elapsed());
}
