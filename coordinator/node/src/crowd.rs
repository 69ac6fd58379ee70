//! Which channels a start needs room in: what their topics don't take stays in every node's store, and grows with each saga that is begun (design section 4).

use std::collections::BTreeSet;

use sagaline_definition::Definition;
use sagaline_definition::model::Verb;
use sagaline_partition::{EVENTS, channel_of_commands, goes_to_inbox};

/// The first of these channels that sagas of a definition write to.
pub fn hindrance<'a>(definition: &Definition, crowded: &'a BTreeSet<String>) -> Option<&'a str> {
    crowded.iter().map(String::as_str).find(|channel| writes_to(definition, channel))
}

fn writes_to(definition: &Definition, channel: &str) -> bool {
    if goes_to_inbox(channel) {
        // Child sagas and aliases live in the partition of their own key, whichever that is.
        return definition.steps.iter().any(|step| matches!(step.verb, Verb::Saga(_)) || !step.alias.is_empty());
    }
    channel == EVENTS || definition.contracts.keys().any(|participant| channel_of_commands(participant) == channel)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::{definition, definition_replacing};

    fn hinders(definition: &Definition, channel: &str) -> bool {
        hindrance(definition, &["commands.other".to_owned(), channel.to_owned()].into()).is_some()
    }

    #[test]
    fn every_start_needs_its_participants_and_events_and_who_posts_messages_the_inbox() {
        let plain = definition();
        assert!(hinders(&plain, "commands.desk") && hinders(&plain, "events"));
        assert!(!hinders(&plain, "parked") && !hinders(&plain, "inbox.0") && !hinders(&plain, "commands.another"));
        let named =
            definition_replacing(&[("call: desk.book,", "call: desk.book, alias: { receipt: booked.receipt },")]);
        assert!(hinders(&named, "inbox.3"));
    }
}
