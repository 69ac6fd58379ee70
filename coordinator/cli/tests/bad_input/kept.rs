//! Checkpoints that are not what they were, of somebody else, or can't lie where they are to. Each is told, none is used, and a good saga
//! completes afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use crate::common::{Coordinator, failed, ok};
use crate::{Ends, NO_PORTS, Row, masked};

const FOLDED: &str = "after `sagaline rebuild` a good saga completes: the log is folded";

const CASES: [fn(&Path) -> Row; 8] =
    [manifest, file, gone, another_log, another_key, no_folder, nowhere, trimmed_nowhere];

pub fn rows(dir: &Path) -> Vec<Row> {
    thread::scope(|scope| {
        let cases = CASES.map(|case| scope.spawn(move || case(dir)));
        cases.into_iter().map(|case| case.join().unwrap()).collect()
    })
}

/// A coordinator begins, a good saga completes, and where wanted a checkpoint is taken; it stops.
fn lives(dir: &Path, data: &str, key: &str, take: bool) {
    let arguments = ["--partitions", "1", "--data", data, "--mock", "flights", "--mock", "hotels"];
    let mut dev = Coordinator::dev(dir, &arguments);
    let good = dev.json(dir, &["start", "book-trip", key, "@trip.json", "--wait"]);
    assert_eq!(good["status"], "completed", "{data}: {good}");
    if take {
        let taken = dev.json(dir, &["checkpoint", "take"]);
        assert_eq!(taken[0]["word"], "unverified", "{taken}");
    }
    assert_eq!(dev.stop(), Some(0));
}

/// What lies in the vault of a data directory under the name of a log, a partition, and this.
fn objects(dir: &Path, data: &str, below: &str) -> Vec<PathBuf> {
    let log = fs::read_dir(dir.join(data).join("checkpoints")).unwrap().next().unwrap().unwrap().path();
    let mut ahead = vec![log.join("partition-0").join(below)];
    let mut files = Vec::new();
    while let Some(place) = ahead.pop() {
        if place.is_dir() {
            ahead.extend(fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            files.push(place);
        }
    }
    files.sort();
    files
}

fn flip(file: &Path) {
    let mut content = fs::read(file).unwrap();
    let middle = content.len() / 2;
    // One of a store's files has no content.
    if let Some(byte) = content.get_mut(middle) {
        *byte ^= 1;
    }
    fs::write(file, content).unwrap();
}

/// Folders and ids differ from run to run.
fn told(dir: &Path, text: &str) -> String {
    let text = text.replace(&fs::canonicalize(dir).unwrap().display().to_string(), "DIR");
    let text = text.replace(&dir.display().to_string(), "DIR");
    let words = text.split(' ').map(|word| word.split('/').map(masked).collect::<Vec<_>>().join("/"));
    masked(&words.collect::<Vec<_>>().join(" "))
}

/// It is refused, and all goes on without it.
fn row(dir: &Path, what: &'static str, data: &str, arguments: &[&str]) -> Row {
    let (code, text) = failed(dir, &[&["checkpoint", "verify", "--data", data], arguments].concat());
    ok(dir, &["rebuild", "--data", data]);
    lives(dir, data, "after", false);
    Row { what, ends: Ends::Code(code), told: told(dir, &text), then: FOLDED }
}

fn manifest(dir: &Path) -> Row {
    lives(dir, "manifest", "before", true);
    flip(&objects(dir, "manifest", "checkpoints")[0]);
    row(dir, "a checkpoint whose manifest was changed", "manifest", &[])
}

fn file(dir: &Path) -> Row {
    lives(dir, "file", "before", true);
    objects(dir, "file", "files").iter().for_each(|file| flip(file));
    row(dir, "a checkpoint whose files were changed", "file", &[])
}

fn gone(dir: &Path) -> Row {
    lives(dir, "gone", "before", true);
    objects(dir, "gone", "files").iter().for_each(|file| fs::remove_file(file).unwrap());
    row(dir, "a checkpoint whose files are gone", "gone", &[])
}

fn another_log(dir: &Path) -> Row {
    lives(dir, "theirs", "before", true);
    lives(dir, "ours", "before", true);
    for place in objects(dir, "ours", "checkpoints") {
        fs::copy(&objects(dir, "theirs", "checkpoints")[0], place).unwrap();
    }
    row(dir, "another log's checkpoint in the place of this one's", "ours", &[])
}

fn another_key(dir: &Path) -> Row {
    ok(dir, &["init", "strangers"]);
    lives(dir, "strange", "before", true);
    row(dir, "checkpoints, and another key than the log's", "strange", &["--key-file", "strangers/sagaline.key"])
}

/// A file stands where the folder of the checkpoints is to be.
fn no_folder(dir: &Path) -> Row {
    let data = dir.join("blocked");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("checkpoints"), b"").unwrap();
    let (code, text) = failed(dir, &[&NO_PORTS[..], &["--partitions", "1", "--data", "blocked"]].concat());
    fs::remove_file(data.join("checkpoints")).unwrap();
    lives(dir, "blocked", "after", true);
    let then = "once the folder can be made a good saga completes, and a checkpoint is taken";
    Row { what: "a folder of checkpoints that can't be made", ends: Ends::Code(code), told: told(dir, &text), then }
}

fn configured(dir: &Path, what: &'static str, file: &str, table: &str) -> Row {
    let configuration =
        format!("key_file = \"sagaline.key\"\n[kafka]\nbootstrap = \"127.0.0.1:1\"\n[checkpoints]\n{table}\n");
    fs::write(dir.join(file), configuration).unwrap();
    let (code, text) = failed(dir, &["serve", "--config", file]);
    Row { what, ends: Ends::Code(code), told: told(dir, &text), then: "nothing was begun" }
}

fn nowhere(dir: &Path) -> Row {
    configured(dir, "checkpoints at no address", "nowhere.toml", "url = \"checkpoints\"")
}

fn trimmed_nowhere(dir: &Path) -> Row {
    configured(dir, "an inbox to be trimmed without checkpoints", "trimmed.toml", "trim_inbox = true")
}
