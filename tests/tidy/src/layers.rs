//! What each crate may know: the layers of docs/ARCHITECTURE.md, the fold's locked dependencies, features that change bytes.
//! Read from `cargo metadata` alone: nothing is built here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;

use crate::Finding;

/// Crates whose dependencies are part of the rules' version.
pub const FOLD: [&str; 4] = ["sagaline-schemas", "sagaline-definition", "sagaline-engine", "sagaline-partition"];

/// What the fold must not even have within reach.
const OUTSIDE: [&str; 8] = ["tokio", "rdkafka", "rocksdb", "axum", "ureq", "tracing", "mio", "socket2"];

/// Which of our own crates a crate may reach, however indirectly. Crates that are not named here may reach all.
const REACH: [(&str, &[&str]); 14] = [
    ("sagaline-schemas", &[]),
    ("sagaline-definition", &["sagaline-schemas"]),
    ("sagaline-language", &["sagaline-schemas", "sagaline-definition"]),
    ("sagaline-engine", &["sagaline-schemas", "sagaline-definition"]),
    ("sagaline-checker", &["sagaline-schemas", "sagaline-definition", "sagaline-engine"]),
    ("sagaline-testkit", &["sagaline-schemas", "sagaline-definition", "sagaline-language", "sagaline-engine"]),
    ("sagaline-partition", &["sagaline-schemas", "sagaline-definition", "sagaline-engine"]),
    ("sagaline-store", &["sagaline-schemas", "sagaline-definition", "sagaline-engine", "sagaline-partition"]),
    ("sagaline-log", &["sagaline-schemas"]),
    ("sagaline-participant", &["sagaline-schemas", "sagaline-log"]),
    ("sagaline-service", SERVICE),
    ("sagaline-payment", SERVICE),
    ("sagaline-inventory", SERVICE),
    ("sagaline-shipping", SERVICE),
];

/// What a participant's service may know: nothing of the coordinator but the log it speaks over.
const SERVICE: &[&str] = &["sagaline-schemas", "sagaline-log", "sagaline-participant", "sagaline-service"];

/// Features that arrive by unification and change which bytes a value has.
const BYTE_CHANGING: [(&str, &[&str]); 1] =
    [("serde_json", &["preserve_order", "arbitrary_precision", "float_roundtrip"])];

/// Crates, what each needs to be built into a program, and their features.
#[derive(Debug, Default, Clone)]
pub struct Graph {
    /// By cargo's package id.
    crates: BTreeMap<String, Crate>,
}

/// One crate of the graph.
#[derive(Debug, Default, Clone)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Ids of what it needs, without dev- and build-dependencies.
    pub needs: Vec<String>,
    /// Features that are on when the whole workspace is built.
    pub features: Vec<String>,
}

impl Graph {
    /// The workspace's graph as Linux builds it, exactly as locked.
    ///
    /// # Panics
    /// When cargo does not tell.
    pub fn of_workspace(root: &Path) -> Self {
        let told = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"])
            .current_dir(root)
            .output()
            .expect("cargo runs: it runs this test");
        assert!(told.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&told.stderr));
        Self::from_metadata(&serde_json::from_slice(&told.stdout).expect("cargo metadata is JSON"))
    }

    /// Reads what `cargo metadata` prints.
    pub fn from_metadata(metadata: &Json) -> Self {
        let mut crates: BTreeMap<String, Crate> = BTreeMap::new();
        for package in list(&metadata["packages"]) {
            let named = Crate { name: text(&package["name"]), version: text(&package["version"]), ..Crate::default() };
            crates.insert(text(&package["id"]), named);
        }
        for node in list(&metadata["resolve"]["nodes"]) {
            if let Some(named) = crates.get_mut(&text(&node["id"])) {
                named.needs =
                    list(&node["deps"]).iter().filter(|dep| is_normal(dep)).map(|dep| text(&dep["pkg"])).collect();
                named.features = list(&node["features"]).iter().map(text).collect();
            }
        }
        Self { crates }
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Crate> {
        self.crates.values().filter(move |named| named.name == name)
    }

    /// Everything that the crate is built from, itself left out, in order of name and version.
    pub fn reach(&self, name: &str) -> Vec<&Crate> {
        let mut ahead: Vec<&String> = self.named(name).flat_map(|named| &named.needs).collect();
        let mut met = BTreeSet::new();
        while let Some(id) = ahead.pop() {
            if met.insert(id) {
                ahead.extend(self.crates.get(id).into_iter().flat_map(|named| &named.needs));
            }
        }
        let mut reached: Vec<&Crate> = met.into_iter().filter_map(|id| self.crates.get(id)).collect();
        reached.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        reached
    }
}

/// No crate reaches beyond its layer.
pub fn layers(graph: &Graph) -> Vec<Finding> {
    let ours = REACH.iter().flat_map(|(name, allowed)| {
        let reached = graph.reach(name).into_iter().filter(|named| named.name.starts_with("sagaline-"));
        reached.filter(|named| !allowed.contains(&named.name.as_str())).map(|named| reaches(name, &named.name))
    });
    let outside = FOLD.iter().flat_map(|name| {
        graph
            .reach(name)
            .into_iter()
            .filter(|named| OUTSIDE.contains(&named.name.as_str()))
            .map(|named| reaches(name, &named.name))
    });
    ours.chain(outside).collect()
}

fn reaches(name: &str, other: &str) -> Finding {
    Finding {
        place: name.to_owned(),
        what: format!("reaches `{other}`, which its layer must not know (docs/ARCHITECTURE.md)"),
    }
}

/// No feature is on that changes the bytes of a value.
pub fn features(graph: &Graph) -> Vec<Finding> {
    let on = BYTE_CHANGING.iter().flat_map(|(name, wrong)| graph.named(name).map(move |named| (named, wrong)));
    on.flat_map(|(named, wrong)| {
        let found = named.features.iter().filter(|feature| wrong.contains(&feature.as_str()));
        found.map(|feature| Finding {
            place: format!("{} {}", named.name, named.version),
            what: format!("the feature `{feature}` is on: it changes the bytes of values. `cargo tree -e features -i {}` tells who wants it", named.name),
        })
    })
    .collect()
}

/// The fold's dependencies as text: a line per crate, below the name of who reaches it.
pub fn fold_dependencies(graph: &Graph) -> String {
    let mut out = String::new();
    for name in FOLD {
        out += &format!("[{name}]\n");
        for named in graph.reach(name) {
            out += &format!("{} {}\n", named.name, named.version);
        }
        out.push('\n');
    }
    out
}

/// The fold is built from exactly what is locked.
pub fn locked(graph: &Graph, locked: &str) -> Vec<Finding> {
    let now = fold_dependencies(graph);
    let (was, is) = (sections(locked), sections(&now));
    let gone = was.difference(&is).map(|line| ("no longer", line));
    let come = is.difference(&was).map(|line| ("now", line));
    gone.chain(come)
        .map(|(word, (section, line))| Finding {
            place: section.clone(),
            what: format!(
                "is {word} built from {line}. The fold's bytes may differ: fold the golden logs with both (`cargo test --workspace --test fold golden`), raise the rules' version \
                 if one differs, then lock it with `UPDATE=1 cargo test -p sagaline-tidy`"
            ),
        })
        .collect()
}

fn sections(text: &str) -> BTreeSet<(String, String)> {
    let mut section = String::new();
    let mut lines = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']).to_owned();
        } else {
            lines.insert((section.clone(), line.to_owned()));
        }
    }
    lines
}

fn is_normal(dep: &Json) -> bool {
    list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"].is_null())
}

fn list(json: &Json) -> &[Json] {
    json.as_array().map_or(&[], Vec::as_slice)
}

fn text(json: &Json) -> String {
    json.as_str().unwrap_or_default().to_owned()
}
