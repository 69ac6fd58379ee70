//! What a configuration may say, and what a person is told who says something else.

use std::path::PathBuf;

use super::{Config, ConfigError, KEYS, markdown};

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sagaline.toml");
    std::fs::write(&file, text).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(Some(&file), environment)
}

fn error(text: &str, environment: &[(&str, &str)]) -> String {
    let told = load(text, environment).unwrap_err().to_string();
    told.rsplit_once("sagaline.toml").map_or(told.clone(), |(_, rest)| format!("FILE{rest}"))
}

#[test]
fn nothing_said_is_every_default() {
    let config = Config::load(None, std::iter::empty()).unwrap();
    assert_eq!((config.api_port, config.partitions, config.replicas), (7410, 16, 3));
    assert_eq!(config.skip_poison, None);
    assert_eq!((config.data, config.bootstrap), (PathBuf::from("sagaline-data"), None));
    let every = Some(std::time::Duration::from_secs(3_600));
    assert_eq!((config.checkpoints, config.checkpoints_every, config.trim_inbox), (None, every, false));
}

#[test]
fn every_key_can_be_said_in_the_file_and_overruled_by_the_environment() {
    let text = r#"
        node = "a"
        data = "d"
        key_file = "/k"
        prefix = "p."
        [api]
        port = 1
        [kafka]
        bootstrap = "h:1"
        single_broker = true
        [kafka.properties]
        "security.protocol" = "SSL"
        sasl.password = "secret"
        [topics]
        partitions = 2
        replicas = 1
        [checkpoints]
        url = "file:///c"
        every = "5m"
        keep = 4
        trim_inbox = true
    "#;
    let config = load(text, &[]).unwrap();
    assert_eq!((config.node.as_str(), config.prefix.as_str(), config.bootstrap.as_deref()), ("a", "p.", Some("h:1")));
    assert_eq!((config.api_port, config.single_broker, config.partitions, config.replicas), (1, true, 2, 1));
    assert!(config.data.ends_with("d") && config.data.is_absolute(), "relative to the file: {:?}", config.data);
    assert_eq!(config.key_file, PathBuf::from("/k"));
    let every = Some(std::time::Duration::from_secs(300));
    assert_eq!((config.checkpoints.as_deref(), config.checkpoints_every), (Some("file:///c"), every));
    assert_eq!((config.checkpoints_kept, config.trim_inbox), (4, true));
    let properties: Vec<_> = config.properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(properties, [("sasl.password", "secret"), ("security.protocol", "SSL")]);
    let never = load("[checkpoints]\nevery = 'never'", &[]).unwrap();
    assert_eq!(never.checkpoints_every, None);
    assert!(!format!("{config:?}").contains("secret"), "a secret was told");

    let overruled = load(
        text,
        &[("SAGALINE_API_PORT", "2"), ("SAGALINE_KAFKA_PROPERTIES_SASL_PASSWORD", "other"), ("SAGALINE_API", "x")],
    );
    let overruled = overruled.unwrap();
    assert_eq!((overruled.api_port, overruled.properties["sasl.password"].as_str()), (2, "other"));
}

#[test]
fn a_mistake_is_told_with_its_place_and_what_would_be_right() {
    assert_eq!(error("prefx = 'a'", &[]), "FILE: there is no key `prefx`: did you mean `prefix`?");
    assert_eq!(
        error("[kafka]\nbootstraps = 'a'", &[]),
        "FILE: there is no key `kafka.bootstraps`: did you mean `kafka.bootstrap`?"
    );
    assert_eq!(error("[threads]\nn = 1", &[]), "FILE: there is no key `threads`");
    assert_eq!(error("[api]\nport = 70000", &[]), "FILE: `api.port` must be a port: 0 to 65535");
    assert_eq!(error("[topics]\npartitions = 0", &[]), "FILE: `topics.partitions` must be a whole number from 1 on");
    assert_eq!(error("[checkpoints]\nkeep = 1", &[]), "FILE: `checkpoints.keep` must be a whole number from 2 on");
    assert_eq!(
        error("[checkpoints]\nevery = 'hourly'", &[]),
        "FILE: `checkpoints.every` must be a duration from 1s on, as in 10m, 1h or 1d, or `never`"
    );
    let homeless = error("[checkpoints]\ntrim_inbox = true", &[]);
    assert!(homeless.starts_with("the configuration lacks `checkpoints.url`"), "{homeless}");
    assert_eq!(error("node = ['a']", &[]), "FILE: `node` must be a text, a number, true or false");
    assert!(error("node = 'a'\nprefix = ", &[]).starts_with("FILE:2: no TOML: "));
    assert_eq!(
        error("", &[("SAGALINE_KAFKA_BOOTSTRP", "a")]),
        "the environment: there is no key `SAGALINE_KAFKA_BOOTSTRP`: did you mean `kafka.bootstrap`?"
    );
    assert_eq!(
        error("", &[("SAGALINE_API_PORT", "secret")]),
        "the environment (SAGALINE_API_PORT): `api.port` must be a port: 0 to 65535"
    );
    let missing = load("", &[]).unwrap().kafka().unwrap_err().to_string();
    assert_eq!(
        missing,
        "the configuration lacks `kafka.bootstrap`: brokers: HOST:PORT[,HOST:PORT]. Set it in the file or as SAGALINE_KAFKA_BOOTSTRAP"
    );
}

#[test]
fn poison_is_passed_over_only_where_a_number_is_said() {
    let said = |text: &str| load(text, &[]).map(|config| config.skip_poison.map(std::num::NonZeroU32::get));
    assert_eq!(said("skip_poison = 'after 2'"), Ok(Some(2)));
    assert_eq!(said("skip_poison = 'never'"), Ok(None));
    for wrong in ["skip_poison = 'after 0'", "skip_poison = 2", "skip_poison = 'always'"] {
        assert_eq!(
            error(wrong, &[]),
            "FILE: `skip_poison` must be `never`, or `after N` with a whole number from 1 on"
        );
    }
}

#[test]
fn the_page_for_operators_prints_this_table() {
    let page = std::fs::read_to_string(sagaline_test_sources::root().join("docs/operations.md")).unwrap();
    assert!(page.contains(&markdown()), "docs/operations.md should print:\n{}", markdown());
    assert_eq!(KEYS.len(), markdown().lines().count() - 2);
}
