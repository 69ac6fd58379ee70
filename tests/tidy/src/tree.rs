//! The files that belong to the project, as git knows them, and what is found wrong in them.
//! Files that git ignores are never read.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A text file of the project.
pub struct File {
    /// From the project's root, with `/`.
    pub path: String,
    /// What it says.
    pub text: String,
}

impl File {
    /// Something wrong at a line of this file, counted from 1.
    pub fn finding(&self, line: usize, what: impl Into<String>) -> Finding {
        Finding { place: format!("{}:{line}", self.path), what: what.into() }
    }
}

/// Something wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// File and line, or a crate's name.
    pub place: String,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// A project's text files.
pub struct Tree {
    /// Where it lies.
    pub root: PathBuf,
    /// Its files in path order; binary ones are left out.
    pub files: Vec<File>,
}

impl Tree {
    /// The project that this crate belongs to.
    pub fn of_this_project() -> Self {
        Self::read(&sagaline_test_sources::root())
    }

    /// Everything that git tracks or would track below `root`.
    ///
    /// # Panics
    /// When `root` is no git work tree, or a file in it can't be read.
    pub fn read(root: &Path) -> Self {
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .expect("git runs: the tidy tests list the project's files with it");
        assert!(
            listed.status.success(),
            "git ls-files in {}: {}",
            root.display(),
            String::from_utf8_lossy(&listed.stderr)
        );
        let listed = String::from_utf8(listed.stdout).expect("paths are UTF-8");
        let mut paths: Vec<&str> = listed.split_terminator('\0').collect();
        paths.sort_unstable();
        paths.dedup();
        // A file that was deleted but not yet from git's index is no file.
        let there = paths.into_iter().filter(|path| root.join(path).is_file());
        Self { root: root.to_owned(), files: there.filter_map(|path| read_text(root, path)).collect() }
    }

    /// Rust sources.
    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// Pages of documentation.
    pub fn pages(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".md"))
    }
}

fn read_text(root: &Path, path: &str) -> Option<File> {
    let bytes = std::fs::read(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    String::from_utf8(bytes).ok().map(|text| File { path: path.to_owned(), text })
}

/// Fails with every finding in its message.
///
/// # Panics
/// When there is one.
pub fn expect_none(findings: Vec<Finding>) {
    let list: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(list.is_empty(), "{} found:\n{}", list.len(), list.join("\n"));
}
