//! `init`: a directory in which everything runs at once. Nothing that is there is ever overwritten; only the key is a secret.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sagaline_schemas::proof::Key;
use serde_json::json;

use crate::args::Init;
use crate::exit::{Exit, Failure};
use crate::print;

/// What the directory holds, beside the key.
const FILES: [(&str, &str); 8] = [
    ("README.md", include_str!("../../templates/README.md")),
    ("sagaline.toml", include_str!("../../templates/sagaline.toml")),
    ("definitions/book-trip.yaml", include_str!("../../templates/definitions/book-trip.yaml")),
    ("definitions/contracts/flights.yaml", include_str!("../../templates/definitions/contracts/flights.yaml")),
    ("definitions/contracts/hotels.yaml", include_str!("../../templates/definitions/contracts/hotels.yaml")),
    ("events.jsonl", include_str!("../../templates/events.jsonl")),
    ("trip.json", include_str!("../../templates/trip.json")),
    ("participant/main.rs", include_str!("../../templates/participant/main.rs")),
];
/// The key's file.
pub const KEY_FILE: &str = "sagaline.key";

/// `sagaline init`
pub fn init(init: &Init, as_json: bool) -> Result<(), Failure> {
    let dir = &init.dir;
    let there: Vec<PathBuf> = FILES
        .iter()
        .map(|(name, _)| *name)
        .chain([KEY_FILE])
        .map(|name| dir.join(name))
        .filter(|path| path.exists())
        .collect();
    if let Some(path) = there.first() {
        let message = format!("{} is there already: nothing was written; name another directory", path.display());
        return Err(Failure::new(Exit::Refused, message));
    }
    for (name, text) in FILES {
        let path = dir.join(name);
        let folder = path.parent().unwrap_or(dir);
        fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
        fs::write(&path, text).map_err(|error| Failure::file(&path, &error))?;
    }
    make_key(&dir.join(KEY_FILE))?;
    if as_json {
        let names: Vec<&str> = FILES.iter().map(|(name, _)| *name).chain([KEY_FILE]).collect();
        return print::json(&json!({ "directory": dir, "files": names }));
    }
    for name in FILES.iter().map(|(name, _)| *name).chain([KEY_FILE]) {
        print::line(format_args!("{}", dir.join(name).display()))?;
    }
    print::line(format_args!("\nnext: cd {} && sagaline dev --mock flights --mock hotels", dir.display()))
}

/// Makes a random key that only its owner can read.
///
/// # Errors
/// When the file is there, or can't be written.
pub fn make_key(path: &Path) -> Result<Key, Failure> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| Failure::usage(format_args!("the system gives no random numbers: {error}")))?;
    let key = Key::new("key-1", secret);
    let mut options = fs::OpenOptions::new();
    let written = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| writeln!(file, "{}", key.to_hex()).and_then(|()| file.sync_all()));
    written.map_err(|error| Failure::file(path, &error))?;
    Ok(key)
}

/// Reads a key.
///
/// # Errors
/// When it is not there, others may read it, or it is none.
pub fn read_key(path: &Path) -> Result<Key, Failure> {
    use std::os::unix::fs::MetadataExt;
    let of_file = |error: &std::io::Error| {
        Failure::usage(format_args!("the key {}: {error}. `sagaline init` makes one", path.display()))
    };
    let mode = fs::metadata(path).map_err(|error| of_file(&error))?.mode();
    if mode & 0o077 != 0 {
        let message = format!("the key {} can be read by others: chmod 600 {}", path.display(), path.display());
        return Err(Failure::usage(message));
    }
    let text = fs::read_to_string(path).map_err(|error| of_file(&error))?;
    text.parse().map_err(|error| Failure::usage(format_args!("the key {}: {error}", path.display())))
}
