//! Before a run: topics, the inbox's Genesis, and the definitions, active from the start.

use std::collections::BTreeMap;
use std::time::Duration;

use sagaline_definition::Definition;
use sagaline_definition::model::Verb;
use sagaline_log::{Log, NewTopic};
use sagaline_node::registry::{Apply, ApplyOptions, Catalogue};
use sagaline_node::topics::{self, Inbox, Wanted};
use sagaline_node::{Names, sealed};
use sagaline_partition::RULES_VERSION;
use sagaline_schemas::proof::Key;
use sagaline_schemas::record::{Body, Genesis};
use sagaline_schemas::settings::Settings;
use sagaline_schemas::{Digest, LogId};

use crate::coverage;
use crate::definitions::Drawn;
use crate::run::COMMAND_PARTITIONS;
use crate::scene::{Mutation, Scene};

/// Domain topics, and how many partitions each has.
pub const DOMAIN: [(&str, u32); 5] = [("orders", 2), ("news", 1), ("rates", 1), ("letters", 1), ("refs", 1)];

/// What sagas of a run are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Story {
    /// The order example of the documentation.
    Orders,
    /// A definition that the seed draws, and its child.
    Drawn,
}

/// Makes all of them; nothing goes wrong yet.
pub fn make_topics(scene: &mut Scene, key: &Key, partitions: u32) -> Inbox {
    let log = scene.simulation.log();
    let settings = Settings { activation_delay: 0, ..Settings::default() };
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let inbox = NewTopic {
        name: "inbox".to_owned(),
        partitions,
        replicas: 1,
        settings: vec![
            setting("retention.ms", "-1"),
            setting("retention.bytes", "-1"),
            setting("cleanup.policy", "delete"),
            setting("message.timestamp.type", "LogAppendTime"),
            setting("unclean.leader.election.enable", "false"),
            setting("max.message.bytes", "1114112"),
        ],
    };
    log.create_topic(&inbox).expect("a new log takes a topic");
    // The log id is the seed's, so that two runs of it are the same to the byte.
    let log_id = LogId(scene.chance.bytes());
    for partition in 0..partitions {
        let genesis = Genesis {
            log_id,
            partition,
            partitions,
            topic: "inbox".to_owned(),
            rules_version: RULES_VERSION,
            settings: settings.clone(),
            key_id: key.id().to_owned(),
            key_fingerprint: key.fingerprint(),
            wall: scene.now(),
        };
        let record = sealed::record(key, log_id, partition, &Body::Genesis(genesis));
        scene.simulation.put("inbox", partition, record).expect("the topic was just made");
    }
    for (name, partitions) in DOMAIN {
        let topic = NewTopic { name: name.to_owned(), partitions, replicas: 1, settings: Vec::new() };
        log.create_topic(&topic).expect("a new log takes a topic");
    }
    let wanted = Wanted { partitions, replicas: 1, single_broker: true, participants: Vec::new(), settings };
    topics::create(&log, &Names::new(""), key, &wanted).expect("a new log takes all topics")
}

/// The definitions as they are written, and as the judge is told they are, by digest.
pub fn apply(scene: &mut Scene, key: &Key, inbox: &Inbox, story: Story) -> BTreeMap<Digest, Definition> {
    let drawn = match story {
        Story::Orders => orders(),
        Story::Drawn => Drawn::draw(&mut scene.chance),
    };
    scene.totals.said = coverage::used(drawn.texts.values()).into_iter().map(|keyword| (keyword, 1)).collect();
    for definition in drawn.definitions.iter().filter(|_| story == Story::Drawn) {
        coverage::words(definition, &mut scene.totals.said);
    }
    scene.totals.texts = drawn.texts;
    let mut definitions = drawn.definitions;
    let written = definitions.clone();
    if scene.mutation == Some(Mutation::ShortAttempts) {
        let calls = definitions.iter_mut().flat_map(|definition| &mut definition.steps);
        for step in calls {
            if let Verb::Call(call) = &mut step.verb {
                call.retry.attempt_timeout = call.retry.attempt_timeout * 2 / 3;
            }
        }
    }
    let known = definitions.iter().zip(written).map(|(applied, written)| (applied.digest(), written)).collect();
    let options = ApplyOptions {
        contracts: drawn.contracts,
        definitions,
        topics: Wanted { partitions: COMMAND_PARTITIONS, replicas: 1, single_broker: true, ..Wanted::default() },
        by: "the simulation".to_owned(),
    };
    let log = std::sync::Arc::new(scene.simulation.log());
    let begun = Apply::begin(log, &Names::new(""), key, inbox, &Catalogue::default(), &options);
    let mut apply = begun.expect("nothing is known that could speak against it");
    while apply.turn(Duration::ZERO, &mut |_, _, _| Ok(true)).expect("nothing goes wrong yet").is_none() {
        scene.simulation.advance(1);
    }
    known
}

fn orders() -> Drawn {
    let folder = sagaline_test_sources::root().join("docs/examples/order-fulfilment");
    let loaded = sagaline_language::load(&[folder]).unwrap_or_else(|error| panic!("{error}"));
    Drawn {
        definitions: loaded.definitions.into_values().collect(),
        contracts: loaded.contracts.iter().cloned().collect(),
        texts: BTreeMap::new(),
    }
}
