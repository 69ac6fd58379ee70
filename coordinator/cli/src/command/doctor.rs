//! `doctor`: everything that a node needs, looked at in the order in which it is to be mended.

use std::net::{Ipv4Addr, TcpStream};

use sagaline_node::Names;
use sagaline_node::config::Config;
use sagaline_node::doctor::{Finding, Patient, Verdict, disk};
use sagaline_node::fail_point;
use serde_json::Value as Json;

use super::init::read_key;
use super::topics;
use crate::args::{Common, Configured};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::print;

/// `sagaline doctor`
pub fn doctor(configured: &Configured, common: &Common) -> Result<(), Failure> {
    let findings = examine(configured);
    if common.json {
        print::json(&findings)?;
    } else {
        findings.iter().try_for_each(tell)?;
    }
    match findings.iter().filter(|finding| finding.verdict == Verdict::Wrong).count() {
        0 => Ok(()),
        wrong => Err(Failure::new(Exit::Halted, format_args!("{wrong} of {} things are wrong", findings.len()))),
    }
}

fn tell(finding: &Finding) -> Result<(), Failure> {
    let word = match finding.verdict {
        Verdict::Well => print::dim("well "),
        Verdict::Look => print::bold("look "),
        Verdict::Wrong => print::red("WRONG"),
    };
    print::line(format_args!("{word}  {:13}  {}", finding.what, finding.says))
}

/// Whatever the next thing needs and is wrong ends it.
fn examine(configured: &Configured) -> Vec<Finding> {
    let mut findings = Vec::new();
    let config = match topics::load(configured.config.as_deref()) {
        Ok(config) => config,
        Err(failure) => return vec![Finding::wrong("configuration", failure.message)],
    };
    findings.push(Finding::well("configuration", format!("node {:?}, prefix {:?}", config.node, config.prefix)));
    findings.push(disk(&config.data));
    findings.push(api(&config));
    let key = match read_key(&config.key_file) {
        Ok(key) => key,
        Err(failure) => {
            findings.push(Finding::wrong("key", failure.message));
            return findings;
        }
    };
    findings.push(Finding::well("key", format!("{:?} with fingerprint {}", key.id(), key.fingerprint())));
    let log = match topics::kafka(&config) {
        Ok(log) => log,
        Err(failure) => {
            findings.push(Finding::wrong("broker", failure.message));
            return findings;
        }
    };
    let names = Names::new(&config.prefix);
    let (single_broker, data) = (config.single_broker, config.data.as_path());
    let vault = config.keeping().map(|keeping| keeping.map(|keeping| keeping.vault));
    let (vault, homeless) = vault.map_or_else(|error| (None, Some(error)), |vault| (vault, None));
    let (vault, rules) = (vault.as_deref(), fail_point::known_rules());
    findings.extend(Patient { log: &*log, names: &names, key: &key, single_broker, data, vault, rules }.examine());
    findings.extend(homeless.map(|error| Finding::wrong("checkpoints", error.to_string())));
    findings
}

/// Whether a node runs here, and how it is.
fn api(config: &Config) -> Finding {
    const WHAT: &str = "node";
    if config.api_port == 0 {
        return Finding::well(WHAT, "its API takes any free port: it is not looked for");
    }
    let at = format!("http://127.0.0.1:{}", config.api_port);
    if TcpStream::connect((Ipv4Addr::LOCALHOST, config.api_port)).is_err() {
        return Finding::well(WHAT, format!("none runs at {at}"));
    }
    match Client::new(&at).and_then(|client| client.get::<Json>("/v1/health", &[])) {
        Err(failure) => Finding::look(WHAT, format!("what answers at {at} is no node: {}", failure.message)),
        Ok(health) if health["healthy"] == Json::Bool(true) => {
            Finding::well(WHAT, format!("one runs at {at} and is healthy"))
        }
        Ok(health) => {
            let why =
                health["why"].as_array().into_iter().flatten().filter_map(Json::as_str).collect::<Vec<_>>().join("; ");
            Finding::wrong(WHAT, format!("the node at {at} is not healthy: {why}"))
        }
    }
}
