//! Which settings record goes to which partition. Killed or refused in the middle and asked again, it goes on: each partition takes a
//! version once.

use sagaline_schemas::Partition;
use sagaline_schemas::settings::Settings;

/// The settings in force in one partition; none: its store can't be read at the moment.
pub type InForce = Option<(i64, Settings)>;

/// What is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The version.
    pub version: i64,
    /// All settings.
    pub settings: Settings,
    /// Partitions that lack it.
    pub to: Vec<Partition>,
}

/// The newest settings of all partitions; none: no partition is known.
pub fn newest(partitions: &[InForce]) -> Option<&(i64, Settings)> {
    partitions.iter().flatten().max_by_key(|(version, _)| *version)
}

/// How `wanted` comes to be in force everywhere. Where the newest version says just that, it is written to who lacks it; else the next one
/// is, to all: also where two changes at once gave one version two meanings.
pub fn plan(partitions: &[InForce], wanted: Settings) -> Option<Plan> {
    let (version, _) = *newest(partitions).map(|(version, settings)| (*version, settings)).as_ref()?;
    let mut holders = partitions.iter().flatten().filter(|(at, _)| *at == version);
    let as_wanted = holders.all(|(_, settings)| *settings == wanted);
    let (version, lacks): (i64, fn(&InForce, i64) -> bool) = match as_wanted {
        true => (version, |known, version| known.as_ref().is_none_or(|(at, _)| *at < version)),
        false => (version + 1, |_, _| true),
    };
    let to = (0..).zip(partitions).filter(|(_, known)| lacks(known, version)).map(|(number, _)| number).collect();
    Some(Plan { version, settings: wanted, to })
}
