//! `topics`: making and checking what an installation on Kafka needs.

use std::path::Path;
use std::sync::Arc;

use sagaline_log::{Log, NewTopic};
use sagaline_node::Names;
use sagaline_node::config::Config;
use sagaline_node::topics::{Inbox, TopicsError, Wanted, check, create};
use sagaline_schemas::settings::Settings;
use serde_json::json;

use super::init::read_key;
use crate::args::{Common, Configured, TopicsCommand};
use crate::exit::{Exit, Failure};
use crate::print;

/// `sagaline topics`
pub fn topics(what: &TopicsCommand, common: &Common) -> Result<(), Failure> {
    match what {
        TopicsCommand::Create { configured, participant, domain } => {
            let (config, log) = connect(configured)?;
            let wanted = Wanted { participants: participant.clone(), ..wanted(&config) };
            let inbox = create(&*log, &Names::new(&config.prefix), &read_key(&config.key_file)?, &wanted)?;
            domain.iter().try_for_each(|topic| make_domain(&*log, topic, &config))?;
            tell("there", &inbox, &config, common)
        }
        TopicsCommand::Check { configured } => {
            let (config, log) = connect(configured)?;
            let key = read_key(&config.key_file)?;
            let inbox = check(&*log, &Names::new(&config.prefix), &key, config.single_broker)?;
            tell("ok", &inbox, &config, common)
        }
    }
}

/// What the configuration wants of topics.
pub fn wanted(config: &Config) -> Wanted {
    Wanted {
        partitions: config.partitions,
        replicas: config.replicas,
        single_broker: config.single_broker,
        settings: Settings { activation_delay: i64::from(config.activation_delay), ..Settings::default() },
        ..Wanted::default()
    }
}

/// The configuration and its Kafka.
///
/// # Errors
/// When the configuration has mistakes, or nobody answers.
pub fn connect(configured: &Configured) -> Result<(Config, Arc<dyn Log>), Failure> {
    let config = load(configured.config.as_deref())?;
    let log = kafka(&config)?;
    Ok((config, log))
}

/// The Kafka that a configuration names.
///
/// # Errors
/// When it names none, or nobody answers.
pub fn kafka(config: &Config) -> Result<Arc<dyn Log>, Failure> {
    Ok(sagaline_log::connect(&format!("kafka://{}", config.kafka()?), &config.properties)?)
}

/// The configuration of file and environment.
///
/// # Errors
/// When it has mistakes.
pub fn load(file: Option<&Path>) -> Result<Config, Failure> {
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Ok(Config::load(file, environment)?)
}

fn make_domain(log: &dyn Log, topic: &str, config: &Config) -> Result<(), Failure> {
    if log.topic(topic)?.is_none() {
        let replicas = if config.single_broker { 1 } else { config.replicas };
        log.create_topic(&NewTopic { name: topic.to_owned(), partitions: 1, replicas, settings: Vec::new() })?;
    }
    Ok(())
}

fn tell(word: &str, inbox: &Inbox, config: &Config, common: &Common) -> Result<(), Failure> {
    let topic = Names::new(&config.prefix).inbox();
    if common.json {
        return print::json(&json!({ "inbox": topic, "log_id": inbox.log_id, "partitions": inbox.partitions }));
    }
    print::line(format_args!("{word}: {topic} with {} partitions, log {}", inbox.partitions, inbox.log_id))
}

impl From<TopicsError> for Failure {
    fn from(error: TopicsError) -> Self {
        match error {
            TopicsError::Log(error) => error.into(),
            TopicsError::WrongKey { .. } | TopicsError::Partitions { .. } => Self::usage(error),
            TopicsError::Unsafe(stop) => stop.into(),
            TopicsError::NoGenesis { .. }
            | TopicsError::Mixed { .. }
            | TopicsError::OtherCopy { .. }
            | TopicsError::Random(_) => Self::new(Exit::Halted, error),
        }
    }
}
