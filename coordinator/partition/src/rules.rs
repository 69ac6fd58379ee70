//! The rules' version: which versions this program folds by, and the one place to ask which is in force. Whatever would give other state or
//! other outputs for the same log asks `Rules::at_least` first (docs/adr/0012): a log that is not raised is folded as it ever was.

use serde::Serialize;

use crate::halt::Halt;

/// The newest version of the rules that this program folds by: what a new log begins with.
pub const RULES_VERSION: u32 = 1;
/// The oldest one. Below the newest by one at least, once there are two: else no log could be raised while its nodes are exchanged.
pub const OLDEST_RULES: u32 = 1;

const _: () = assert!(OLDEST_RULES < RULES_VERSION || RULES_VERSION == 1, "a build knows two versions at least");

/// The versions that a program folds by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KnownRules {
    /// The oldest one.
    pub oldest: u32,
    /// The newest one.
    pub newest: u32,
}

impl KnownRules {
    /// This program's.
    pub const OWN: Self = Self { oldest: OLDEST_RULES, newest: RULES_VERSION };

    /// A program of another time, for tests: it folds by the same rules and holds them for that many versions.
    #[must_use]
    pub fn up_to(newest: u32) -> Self {
        Self { oldest: OLDEST_RULES.min(newest), newest }
    }

    /// Whether a log of this version can be folded.
    pub fn knows(self, version: u32) -> bool {
        (self.oldest..=self.newest).contains(&version)
    }

    pub(crate) fn check(self, partition: u32, wanted: u32) -> Result<(), Halt> {
        let Self { oldest, newest } = self;
        if self.knows(wanted) { Ok(()) } else { Err(Halt::UnknownRules { partition, wanted, oldest, newest }) }
    }
}

/// The version in force in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rules(pub(crate) u32);

impl Rules {
    /// Whether what came with this version is in force.
    pub fn at_least(self, version: u32) -> bool {
        self.0 >= version
    }

    /// Its number.
    pub fn version(self) -> u32 {
        self.0
    }
}
