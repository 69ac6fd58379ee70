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
    let client = match Client::new(&at) {
        Ok(client) => client,
        Err(failure) => return vec![Finding::look(WHAT, failure.message)],
    };
    told(&at, client.get("/v1/health", &[]), || client.get("/v1/status", &[]))
}

/// What the node says of itself: its health counts whether or not it tells more.
fn told(at: &str, health: Result<Json, Failure>, status: impl FnOnce() -> Result<Json, Failure>) -> Vec<Finding> {
    let health = match health {
        Ok(health) => health,
        Err(failure) => {
            return vec![Finding::look("node", format!("what answers at {at} is no node: {}", failure.message))];
        }
    };
    let ingress = match status() {
        Ok(status) => ingress(&status),
        Err(failure) => Finding::look(
            "ingress",
            format!("the node at {at} does not tell what domain topics lost: {}", failure.message),
        ),
    };
    vec![healthy(at, &health), ingress]
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
    // The list is of the newest ones only.
    let in_all = |name: &str| status["ingress"]["lost_in_all"][name].as_u64().unwrap_or(0);
    let (events, more) =
        (in_all("events"), if in_all("uncounted") == 0 { "" } else { " and more that nobody can count" });
    let places: BTreeSet<&str> = lost.iter().filter_map(|lost| lost["place"].as_str()).collect();
    let others = if in_all("losses") > lost.len() as u64 { " and, before, maybe others" } else { "" };
    let when = newest["at"].as_i64().map_or_else(String::new, |at| format!(", at {}", print::time(at)));
    let says = format!(
        "{events} events{more} were lost before they were read, since the node began, of {}{others}: send again what is known elsewhere. The newest{when}: {}",
        places.into_iter().collect::<Vec<_>>().join(", "),
        newest["why"].as_str().unwrap_or_default()
    );
    Finding::look(WHAT, says)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lost(losses: u64, events: u64, uncounted: u64, newest: &[(&str, &str)]) -> Json {
        let newest: Vec<Json> =
            newest.iter().map(|(place, why)| json!({ "place": place, "events": 1, "at": 0, "why": why })).collect();
        let in_all = json!({ "losses": losses, "events": events, "uncounted": uncounted });
        json!({ "ingress": { "lost": newest, "lost_in_all": in_all } })
    }

    #[test]
    fn what_ingress_lost_is_told_in_all_with_the_newest() {
        let none = ingress(&lost(0, 0, 0, &[]));
        assert_eq!((none.verdict, none.what), (Verdict::Well, "ingress"));
        let counted = [("orders/1", "once"), ("orders/0", "again"), ("orders/1", "late")];
        let says = "8 events were lost before they were read, since the node began, of orders/0, orders/1: send again what is known elsewhere. \
                    The newest, at 1970-01-01 00:00:00.000: late";
        assert_eq!(ingress(&lost(3, 8, 0, &counted)), Finding::look("ingress", says));
        // Of more than are remembered, one could not be counted.
        let many = ingress(&lost(200, 900, 1, &counted)).says;
        assert!(many.starts_with("900 events and more that nobody can count were lost"), "{many}");
        assert!(many.contains("of orders/0, orders/1 and, before, maybe others: "), "{many}");
    }

    #[test]
    fn the_health_of_a_node_counts_though_it_tells_no_more() {
        let health = json!({ "healthy": false, "why": ["partition 1 is halted: why"] });
        let silent = || Err(Failure::new(Exit::Timeout, "did not answer in time"));
        let found = told("http://here", Ok(health), silent);
        assert_eq!(
            found[0],
            Finding::wrong("node", "the node at http://here is not healthy: partition 1 is halted: why")
        );
        assert!(found[1].verdict == Verdict::Look && found[1].says.ends_with("did not answer in time"), "{found:?}");
        let stranger = told("http://here", Err(Failure::new(Exit::Unreachable, "no API")), || panic!("not asked"));
        assert!(stranger.len() == 1 && stranger[0].says.contains("is no node"), "{stranger:?}");
    }
}
