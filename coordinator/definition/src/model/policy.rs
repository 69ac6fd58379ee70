//! Attempts: how many, how long, how far apart.

use serde::{Deserialize, Serialize};

/// Attempts and their times, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Most attempts, at least 1.
    pub attempts: u32,
    /// Wait before the second attempt.
    pub backoff: i64,
    /// Longest wait.
    pub cap: i64,
    /// Each wait is the last one times this, in per cent: 200 doubles.
    pub factor_percent: u32,
    /// How much of the wait is left to chance.
    pub jitter: Jitter,
    /// How long one attempt may take.
    pub attempt_timeout: i64,
    /// How long all of them may take together; none: no limit but the saga's deadline.
    pub within: Option<i64>,
}

/// How much of a backoff is left to chance. Chance is a hash of the command id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Jitter {
    /// All: between nothing and the whole wait.
    Full,
    /// Half: between half of the wait and the whole.
    Equal,
    /// Nothing.
    None,
}
