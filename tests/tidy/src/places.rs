//! What ties a file to one machine: paths of somebody's disk, hosts of somebody's registry.

use crate::{File, Finding, Tree};

// Spelled in parts, so that this file passes its own check.
const PATHS: [&str; 4] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
const HOSTS: [&str; 8] = [
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("registry.np", "mjs.org"),
    concat!("repo1.ma", "ven.org"),
    concat!("repo.ma", "ven.apache.org"),
    concat!("files.python", "hosted.org"),
    concat!("artif", "actory"),
    concat!("registry", ".mirror"),
];
/// The one source that a locked crate may have.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// No file names a place that only one machine has.
pub fn machine_places(tree: &Tree) -> Vec<Finding> {
    tree.files.iter().flat_map(places).collect()
}

fn places(file: &File) -> Vec<Finding> {
    let lines = || file.text.lines().enumerate();
    let paths = lines().flat_map(|(i, line)| {
        PATHS.into_iter().filter(move |path| begins_a_path(line, path)).map(move |path| (i + 1, path))
    });
    let hosts = lines()
        .flat_map(|(i, line)| HOSTS.into_iter().filter(move |host| line.contains(host)).map(move |host| (i + 1, host)));
    let sources = lines()
        .filter(|(_, line)| line.strip_prefix("source = ").is_some_and(|source| source.trim_matches('"') != CRATES_IO));
    let locked = file.path.ends_with("Cargo.lock");
    paths
        .map(|(line, path)| file.finding(line, format!("`{path}` is a path of one machine")))
        .chain(hosts.map(|(line, host)| {
            file.finding(line, format!("`{host}`: which registry serves a machine is that machine's own affair"))
        }))
        .chain(sources.filter(|_| locked).map(|(i, _)| file.finding(i + 1, "crates come from crates.io only")))
        .collect()
}

/// `/x/` at the beginning of a path: not in the middle of `a/x/` or `~/x/`.
fn begins_a_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '~' | '}' | '*'))
    })
}
