//! `doctor`: everything that a node needs, looked at in the order in which it is to be mended.

use std::collections::BTreeSet;
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
    findings.extend(node(&config));
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

/// Whether a node runs here, how it is, and what it has lost.
fn node(config: &Config) -> Vec<Finding> {
    const WHAT: &str = "node";
    if config.api_port == 0 {
        return vec![Finding::well(WHAT, "its API takes any free port: it is not looked for")];
    }
    let at = format!("http://127.0.0.1:{}", config.api_port);
    if TcpStream::connect((Ipv4Addr::LOCALHOST, config.api_port)).is_err() {
        return vec![Finding::well(WHAT, format!("none runs at {at}"))];
    }
    let answers = Client::new(&at).and_then(|client| {
        let health: Json = client.get("/v1/health", &[])?;
        Ok((health, client.get::<Json>("/v1/status", &[])?))
    });
    match answers {
        Err(failure) => vec![Finding::look(WHAT, format!("what answers at {at} is no node: {}", failure.message))],
        Ok((health, status)) => vec![healthy(&at, &health), ingress(&status)],
    }
}

fn healthy(at: &str, health: &Json) -> Finding {
    const WHAT: &str = "node";
    if health["healthy"] == Json::Bool(true) {
        return Finding::well(WHAT, format!("one runs at {at} and is healthy"));
    }
    let why: Vec<&str> = health["why"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    Finding::wrong(WHAT, format!("the node at {at} is not healthy: {}", why.join("; ")))
}

/// What of domain topics was never read. The node's health tells a loss for ten minutes; here it is told until the node ends.
fn ingress(status: &Json) -> Finding {
    const WHAT: &str = "ingress";
    let lost: Vec<&Json> = status.pointer("/ingress/lost").and_then(Json::as_array).into_iter().flatten().collect();
    let Some(newest) = lost.last() else {
        return Finding::well(WHAT, "no domain topic has lost events before they were read, since the node began");
    };
    let places: BTreeSet<&str> = lost.iter().filter_map(|lost| lost["place"].as_str()).collect();
    let events: u64 = lost.iter().filter_map(|lost| lost["events"].as_u64()).sum();
    let more = if lost.iter().all(|lost| lost["events"].is_u64()) { "" } else { " and more that nobody can count" };
    let when = newest["at"].as_i64().map_or_else(String::new, |at| format!(", at {}", print::time(at)));
    let says = format!(
        "{events} events{more} were lost before they were read, since the node began, of {}: send again what is known elsewhere. The newest{when}: {}",
        places.into_iter().collect::<Vec<_>>().join(", "),
        newest["why"].as_str().unwrap_or_default()
    );
    Finding::look(WHAT, says)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_ingress_lost_is_summed_and_the_newest_is_told() {
        let none = ingress(&json!({ "ingress": { "lost": [] } }));
        assert_eq!((none.verdict, none.what), (Verdict::Well, "ingress"));
        let loss = |place: &str, events: Option<u64>, why: &str| json!({ "place": place, "events": events, "at": 0, "why": why });
        let counted =
            [loss("orders/1", Some(5), "once"), loss("orders/0", Some(2), "again"), loss("orders/1", Some(1), "late")];
        let told = ingress(&json!({ "ingress": { "lost": counted } }));
        let says = "8 events were lost before they were read, since the node began, of orders/0, orders/1: send again what is known elsewhere. \
                    The newest, at 1970-01-01 00:00:00.000: late";
        assert_eq!(told, Finding::look("ingress", says));
        let anew = ingress(
            &json!({ "ingress": { "lost": [loss("orders/1", Some(5), "once"), loss("orders/0", None, "made anew")] } }),
        );
        assert!(anew.says.starts_with("5 events and more that nobody can count were lost"), "{anew:?}");
    }
}
