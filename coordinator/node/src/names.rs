//! What the topics and groups of one installation are called. Nobody else puts a prefix before a name.

/// The names of one installation: all begin with its prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    prefix: String,
}

impl Names {
    /// The names that begin with `prefix`, which may be empty.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into() }
    }

    /// The prefix.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The only input of all partitions.
    pub fn inbox(&self) -> String {
        self.of_channel("inbox")
    }

    /// The compacted registry of definitions and contracts.
    pub fn definitions(&self) -> String {
        self.of_channel("definitions")
    }

    /// Answers to what is asked beside the fold.
    pub fn reconcile(&self) -> String {
        self.of_channel("reconcile")
    }

    /// The topic of a channel: `commands.<participant>`, `events`, `parked`; the inbox for `inbox.<partition>`.
    pub fn of_channel(&self, channel: &str) -> String {
        let topic = if sagaline_partition::goes_to_inbox(channel) { "inbox" } else { channel };
        format!("{}{topic}", self.prefix)
    }

    /// The group of the coordinators: it shares out who publishes for which inbox partition.
    pub fn coordinators_group(&self) -> String {
        self.of_channel("coordinators")
    }

    /// The consumer group that reads the domain topics.
    pub fn ingress_group(&self) -> String {
        self.of_channel("ingress")
    }
}
