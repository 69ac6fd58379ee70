//! Three coordinators share one log on a real Kafka, and two instances of each service a PostgreSQL. All of them are killed and stalled for longer than
//! their session, a node is cut off, and the broker dies. Every order must end, each effect happen once, and every node tell the same. `SAGALINE_PROVE=1` runs the whole form.

#[path = "cluster/nodes.rs"]
mod nodes;
#[path = "cluster/published.rs"]
mod published;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nodes::{Cluster, Form, NODES, SERVICES};
use sagaline_integration::form::{alone, whole};
use sagaline_integration::stack::now;

/// A session of a member of a group, as the coordinators and services have it.
const SESSION: Duration = Duration::from_secs(6);

const SMALL: Form = Form { partitions: 4, rounds: 1, orders: 40, under_way: 20, slow: "--in-flight 2 --slow 500ms" };
const WHOLE: Form = Form { partitions: 8, rounds: 10, orders: 170, under_way: 60, slow: "--in-flight 8 --slow 500ms" };

fn form() -> Form {
    if whole() { WHOLE } else { SMALL }
}

/// What is done while orders are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// `kill -9` to the node that publishes for most partitions. It is started again when the others have its part.
    NodeKilled,
    /// The node that publishes for most partitions stalls until the others have its part, then wakes in the middle of its work.
    NodeStalled,
    /// A node ends cleanly and is started again.
    NodeRestarted,
    /// A node ends cleanly and finds most of its stores unusable when it is started again, as on a disk that is full. Once the others have its part, the
    /// disk is mended.
    StoresUnusable,
    /// Not a byte passes between one node and the broker until the others have its part.
    NodeCutOff,
    /// `kill -9` to the broker; it comes back with its data.
    BrokerKilled,
    /// `kill -9` to an instance of each service; they are started again at once.
    ServicesKilled,
    /// An instance of each service stalls until all orders have ended without it.
    ServicesStalled,
}

const FAULTS: [Fault; 8] = [
    Fault::NodeKilled,
    Fault::ServicesKilled,
    Fault::NodeStalled,
    Fault::StoresUnusable,
    Fault::NodeCutOff,
    Fault::BrokerKilled,
    Fault::ServicesStalled,
    Fault::NodeRestarted,
];

/// A fault, and until every node has its part again.
fn suffer(cluster: &mut Cluster, fault: Fault, round: usize) -> Result<()> {
    match fault {
        Fault::NodeKilled => {
            let node = cluster.busiest()?;
            cluster.stack.coordinators[node].process().kill()?;
            cluster.wait_taken_over(node)?;
            cluster.stack.coordinators[node].start(None)?;
        }
        Fault::NodeStalled => {
            let node = cluster.busiest()?;
            cluster.stack.coordinators[node].process().stall()?;
            cluster.wait_taken_over(node)?;
            cluster.stack.coordinators[node].process().wake()?;
        }
        Fault::NodeCutOff => {
            cluster.proxy.cut();
            cluster.wait_taken_over(NODES - 1)?;
            cluster.proxy.mend();
        }
        Fault::NodeRestarted => {
            let node = &mut cluster.stack.coordinators[round % NODES];
            node.process().stop()?;
            node.start(None)?;
        }
        Fault::StoresUnusable => {
            let node = round % NODES;
            cluster.stack.coordinators[node].process().stop()?;
            cluster.spoil_stores(node)?;
            cluster.stack.coordinators[node].start(None)?;
            cluster.wait_published_without(node)?;
            cluster.mend_stores(node)?;
            cluster.wait_opened(node)?;
        }
        Fault::BrokerKilled => {
            cluster.broker.kill()?;
            cluster.broker.start_again()?;
        }
        Fault::ServicesKilled => {
            for name in SERVICES {
                cluster.stack.kill_instance(name, round % 2)?;
            }
        }
        Fault::ServicesStalled => stall_services(cluster, round % 2)?,
    }
    cluster.wait_shared()
}

fn stall_services(cluster: &mut Cluster, instance: usize) -> Result<()> {
    for name in SERVICES {
        cluster.stack.instance(name, instance)?.stall()?;
    }
    let api = cluster.api(0)?;
    cluster.stack.wait_ended(&api)?;
    for name in SERVICES {
        cluster.stack.instance(name, instance)?.wake()?;
    }
    Ok(())
}

#[test]
fn nodes_are_killed_and_stalled_and_every_effect_happens_once() -> Result<()> {
    let _alone = alone();
    let form = form();
    let mut cluster = Cluster::start(form)?;
    let mut faults: BTreeMap<Fault, usize> = BTreeMap::new();
    for round in 0..form.rounds {
        for fault in FAULTS {
            cluster.send()?;
            *faults.entry(fault).or_default() += 1;
            suffer(&mut cluster, fault, round).with_context(|| format!("{fault:?}, round {round}"))?;
        }
    }
    cluster.check_world()?;
    cluster.check_stores()?;
    let published = cluster.published()?;
    let (commands, copies) = (published.commands(), published.copies());
    let longest = cluster.taken_over.iter().max().copied().unwrap_or_default();
    let decided = cluster.since_decision()?;
    ensure!(!decided.is_empty(), "no node says that it has taken over");
    println!("{}", spread(&decided));
    println!(
        "{} orders ended at {NODES} nodes with {} partitions; {faults:?}; {commands} commands, {copies} of them copies; longest take-over \
         {:.1} s, a session is {} s",
        cluster.stack.orders.len(),
        form.partitions,
        longest.as_secs_f64(),
        SESSION.as_secs()
    );
    ensure!(copies > 0, "nothing was ever published twice: no fault met an owner with work in flight");
    cluster.stack.done();
    Ok(())
}

/// Of take-overs, from the group's decision to the first publication.
fn spread(decided: &[Duration]) -> String {
    let mut millis: Vec<u128> = decided.iter().map(Duration::as_millis).collect();
    millis.sort_unstable();
    let at = |part: usize| millis[(millis.len() - 1) * part / 100];
    format!(
        "{} partitions were taken over; from the group's decision until the node published: median {} ms, 90th percentile {} ms, longest {} ms",
        millis.len(),
        at(50),
        at(90),
        at(100)
    )
}

/// Longer than this between two turns, and an owner is silent until it has claimed anew.
const SILENT_AFTER: Duration = Duration::from_secs(10);
/// So often a zombie is tried, until one wakes with something to say.
const TRIES: usize = 6;

/// A node that was stalled.
struct Zombie {
    name: String,
    slept: Duration,
    /// Milliseconds since 1970.
    woke: i64,
}

/// Stalls the node that publishes most for as long as said, at least until the others have its part.
fn stall(cluster: &mut Cluster, at_least: Duration) -> Result<Zombie> {
    cluster.send()?;
    let (node, since) = (cluster.busiest()?, Instant::now());
    cluster.stack.coordinators[node].process().stall()?;
    cluster.wait_taken_over(node)?;
    cluster.stack.wait("the end of its sleep", |_| Ok((since.elapsed() > at_least).then_some(())))?;
    let (slept, woke) = (since.elapsed(), now() as i64);
    cluster.stack.coordinators[node].process().wake()?;
    cluster.wait_shared()?;
    Ok(Zombie { name: cluster.stack.coordinators[node].name.clone(), slept, woke })
}

#[test]
fn a_zombie_is_heard_or_silent_and_every_effect_happens_once() -> Result<()> {
    let _alone = alone();
    let mut cluster = Cluster::start(SMALL)?;
    let (mut late, mut slept) = (0, Duration::ZERO);
    for _ in 0..TRIES {
        let zombie = stall(&mut cluster, Duration::ZERO)?;
        if zombie.slept < SILENT_AFTER {
            (late, slept) = (cluster.published()?.late(&zombie.name, zombie.woke), zombie.slept);
        }
        if late > 0 {
            break;
        }
    }
    ensure!(late > 0, "in {TRIES} stalls nobody published after another one had claimed its partitions");

    let zombie = stall(&mut cluster, SILENT_AFTER + Duration::from_secs(1))?;
    let afterwards = cluster.published()?.late(&zombie.name, zombie.woke);
    ensure!(afterwards == 0, "{afterwards} commands of {} after a sleep of {:?}", zombie.name, zombie.slept);
    let log = cluster.stack.coordinators.iter().find(|coordinator| coordinator.name == zombie.name);
    let log = log.context("it is one of them")?.log()?;
    ensure!(log.contains("two turns lay too far apart"), "{} says nothing of its sleep", zombie.name);
    cluster.check_world()?;
    cluster.check_stores()?;
    println!(
        "stalled for {:.1} s: {late} commands after the take-over; for more than {SILENT_AFTER:?}: none",
        slept.as_secs_f64()
    );
    cluster.stack.done();
    Ok(())
}
