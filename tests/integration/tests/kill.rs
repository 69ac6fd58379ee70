//! Real processes on a real Kafka are killed again and again, and the world must be as the orders say: every saga ended, each effect once. The same
//! runs without the SDK's deduplication, or without the outbox's republishing, must be found wanting. `SAGALINE_PROVE=1` runs the whole form.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use sagaline_integration::damage::{Found, Left};
use sagaline_integration::form::{alone, whole};
use sagaline_integration::orders::{self, Act, Order, Refused, Report};
use sagaline_integration::stack::{Stack, now};

/// So many orders are under way at each death of the coordinator.
const IN_FLIGHT: usize = 50;
/// Effects that a life without a fail point must bring before it is killed.
const SOME: usize = 10;
/// How the coordinator dies, in turn. None: killed from outside.
const DEATHS: [Option<&str>; 4] = [Some("after-decide"), Some("after-publish"), Some("after-progress"), None];

/// So many bytes are flipped in files of stores.
const FLIPS: usize = 50;
/// Each catalogue is cut short at so many places.
const CUTS: usize = 12;
/// Of what is changed, and where.
const SEED: u64 = 3;

/// How many orders, how many deaths, and what is broken.
#[derive(Clone, Copy)]
struct Form {
    first: usize,
    /// Orders with each death.
    more: usize,
    deaths: usize,
    /// What every service's command line adds.
    services: &'static str,
    /// Shipping's besides, until the last life: so slow that enough is under way at every death.
    slow: &'static str,
    /// What the coordinator's last life is told.
    last: Option<&'static str>,
}

const SMALL: Form = Form { first: 80, more: 12, deaths: 6, services: "", slow: "--in-flight 2 --slow 1s", last: None };
const WHOLE: Form = Form { first: 104, more: 79, deaths: 24, slow: "--in-flight 4 --slow 500ms", ..SMALL };

/// A death of the coordinator.
struct Death {
    how: String,
    /// Wall clock, milliseconds since 1970.
    at: u64,
    /// Where each store stood when that life began, and where its log.
    stood: Vec<(i64, i64)>,
}

/// A form, up to its last life, in which all can end.
struct Ran {
    stack: Stack,
    deaths: Vec<Death>,
    /// The stores after the last death.
    left: Left,
    /// The last life's.
    api: String,
}

fn run(form: Form) -> Result<Ran> {
    let slow = format!("{} {}", form.services, form.slow);
    let services = [("inventory", form.services), ("payment", form.services), ("shipping", slow.as_str())];
    let mut stack = Stack::start(&services)?;
    stack.send(orders_from(0, form.first))?;
    stack.wait("enough orders under way", |stack| Ok((stack.under_way()? > IN_FLIGHT).then_some(())))?;
    // What is flushed now is what the next lives begin with: all behind it lies in the log alone.
    stack.stop_coordinator()?;
    let mut deaths = Vec::new();
    for number in 0..form.deaths {
        stack.send(orders_from(stack.orders.len(), form.more))?;
        deaths.push(die(&mut stack, number)?);
    }
    let left = stack.keep_stores("left")?;
    stack.restart_service("shipping", form.services)?;
    stack.start_coordinator(form.last)?;
    let api = stack.wait_ready()?;
    Ok(Ran { stack, deaths, left, api })
}

fn orders_from(first: usize, count: usize) -> impl Iterator<Item = Order> {
    (first..first + count).map(Order::numbered)
}

/// One life of the coordinator, and its death.
fn die(stack: &mut Stack, number: usize) -> Result<Death> {
    let how = match DEATHS[number % DEATHS.len()] {
        Some(point) => {
            let how = format!("{point}:{}", 1 + 2 * (number / DEATHS.len()));
            stack.start_coordinator(Some(&how))?;
            stack.wait_killed()?;
            how
        }
        None => {
            stack.start_coordinator(None)?;
            stack.wait_ready()?;
            let before = stack.effects()?;
            stack.wait("some effects", |stack| Ok((stack.effects()? >= before + SOME).then_some(())))?;
            stack.kill_coordinator()?;
            "kill -9".to_owned()
        }
    };
    Ok(Death { how, at: now(), stood: stood(&stack.coordinator_log()?)? })
}

/// "store at X, log at Y" of each partition.
fn stood(log: &str) -> Result<Vec<(i64, i64)>> {
    let said = log.lines().filter_map(|line| line.split_once("store at "));
    let pairs = said.map(|(_, rest)| {
        let mut numbers = rest.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty()).map(str::parse);
        Ok((numbers.next().context("where the store stands")??, numbers.next().context("where the log stands")??))
    });
    pairs.collect()
}

/// Orders of which something was done before that time, and something after it.
fn in_flight_at(acts: &[Act], time: u64) -> usize {
    let before: BTreeSet<&str> = acts.iter().filter(|act| act.at < time).map(Act::order).collect();
    let after: BTreeSet<&str> = acts.iter().filter(|act| act.at > time).map(Act::order).collect();
    before.intersection(&after).count()
}

/// The deaths were what they were meant to be.
fn check_deaths(stack: &Stack, deaths: &[Death]) -> Result<()> {
    let acts = orders::acts(stack.dir())?;
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for death in deaths {
        let in_flight = in_flight_at(&acts, death.at);
        println!("died: {:16} {in_flight:4} orders in flight; (store at, log at): {:?}", death.how, death.stood);
        ensure!(in_flight >= IN_FLIGHT, "only {in_flight} orders were in flight at {}", death.how);
        ensure!(!death.stood.is_empty(), "the life that ended {} did not say where it began", death.how);
        *kinds.entry(death.how.split(':').next().unwrap_or_default()).or_default() += 1;
    }
    let behind = deaths.iter().flat_map(|death| &death.stood).any(|(store, log)| 0 < *store && store < log);
    ensure!(behind, "no store ever stood between the beginning and the end of its log");
    println!("{} sagas ended; {} deaths: {kinds:?}", stack.orders.len(), deaths.len());
    Ok(())
}

/// A stopped node's stores are what their logs say: each is folded again by a fresh process. Gives what that prints.
fn verify(stack: &Stack, config: &str) -> Result<String> {
    let said = stack.sagaline(&["verify", "--config", config])?;
    ensure!(said.lines().count() == 4 && said.lines().all(|line| line.starts_with("same: ")), "{said}");
    Ok(said)
}

/// The stores are deleted and folded anew: the same, and the same is told of every saga.
fn check_rebuild(stack: &mut Stack, before: &[Report]) -> Result<()> {
    print!("{}", verify(stack, "coordinator.toml")?);
    print!("{}", stack.sagaline(&["rebuild", "--config", "coordinator.toml"])?);
    stack.start_coordinator(None)?;
    let api = stack.wait_ready()?;
    let stood = stood(&stack.coordinator_log()?)?;
    ensure!(stood.iter().all(|(store, _)| *store == 0), "the stores were not deleted: {stood:?}");
    ensure!(stack.reports(&api)? == *before, "the log, folded anew, tells another story");
    stack.stop_coordinator()?;
    print!("{}", verify(stack, "coordinator.toml")?);
    Ok(())
}

/// What a death left is a place in the fold of the log, from which folding on leads to where the log leads; no changed byte makes it another.
fn check_left(stack: &Stack, left: &Left) -> Result<()> {
    println!("the stores that the last death left:");
    let families = left.change_values(SEED)?;
    println!("one byte of an entry changed changes the digest: {}", families.join(", "));
    ensure!(families.contains(&"sagas"), "{families:?}");
    let tally = left.flip_bytes(SEED, FLIPS)?;
    println!("{FLIPS} flipped bytes in files, seed {SEED}: {tally}");
    ensure!(
        tally.of(Found::NamedError) >= 10 && tally.of(Found::Identical) >= 10,
        "flips reach what is read, and what is not"
    );
    println!("catalogues cut short: {}", left.cut_catalogues(CUTS)?);
    stack.keep_stores("stopped")?.follow_from(left)?;
    println!("folded on, they are byte for byte what the stores are after the last life");
    print!("{}", verify(stack, "left.toml")?);
    left.change_saga(1, SEED)?;
    let told =
        stack.sagaline(&["verify", "--config", "left.toml"]).err().context("a changed saga is called the same")?;
    println!("one byte of one saga changed: {told}");
    ensure!(told.to_string().contains("inbox partition 1 is not what its log says"), "{told}");
    Ok(())
}

#[test]
fn the_coordinator_is_killed_and_every_effect_happens_once() -> Result<()> {
    let _alone = alone();
    let Ran { mut stack, deaths, left, api } = run(if whole() { WHOLE } else { SMALL })?;
    stack.wait_ended(&api)?;
    let wrong = stack.differences(&api)?;
    ensure!(wrong.is_empty(), "{} differences: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    check_deaths(&stack, &deaths)?;
    let before = stack.reports(&api)?;
    stack.stop_coordinator()?;
    check_left(&stack, &left)?;
    check_rebuild(&mut stack, &before)?;
    stack.done();
    Ok(())
}

#[test]
fn without_deduplication_the_same_deaths_are_found_to_double_effects() -> Result<()> {
    let _alone = alone();
    let form = Form { first: 70, more: 20, deaths: 3, services: "--without-deduplication", ..SMALL };
    let Ran { mut stack, api, .. } = run(form)?;
    stack.wait_quiet(&api)?;
    let wrong = stack.differences(&api)?;
    let doubles = wrong.iter().filter(|line| line.starts_with("effect ") && line.ends_with(" times")).count();
    println!("{doubles} effects were doubled, and found");
    ensure!(doubles > 0, "nothing was doubled: {wrong:?}");
    stack.done();
    Ok(())
}

#[test]
fn without_republishing_the_same_deaths_are_found_to_lose_commands() -> Result<()> {
    let _alone = alone();
    let form = Form { first: 70, more: 20, deaths: 1, last: Some("no-republishing:0"), ..SMALL };
    let Ran { mut stack, api, .. } = run(form)?;
    stack.wait_quiet(&api)?;
    let waiting = stack.orders.len() as u64 - stack.ended(&api)?;
    println!("{waiting} sagas wait for ever, and were found");
    ensure!(waiting > 0, "nothing was lost");
    ensure!(!stack.differences(&api)?.is_empty(), "sagas wait, and the world is called right");
    stack.done();
    Ok(())
}

/// One order in so many kills a service.
const ONE_IN: usize = 8;

#[test]
fn services_are_killed_between_effect_and_answer_and_every_effect_happens_once() -> Result<()> {
    let _alone = alone();
    let deaths = if whole() { 21 } else { 3 };
    let mut stack = Stack::start(&[])?;
    let api = stack.wait_ready()?;
    for death in 0..deaths {
        let deadly = match death % 3 {
            0 => (Refused::Never, "reserve=crash"),
            1 => (Refused::Never, "charge=crash"),
            _ => (Refused::AtDispatch, "refund=crash"),
        };
        let first = stack.orders.len();
        let order = |number| match number % ONE_IN {
            4 => Order::new(number, deadly.0, Some(deadly.1)),
            _ => Order::new(number, Refused::Never, None),
        };
        stack.send((first..first + ONE_IN).map(order))?;
        stack.wait(deadly.1, |stack| Ok((stack.services_killed > death).then_some(())))?;
    }
    stack.wait_ended(&api)?;
    let wrong = stack.differences(&api)?;
    ensure!(wrong.is_empty(), "{} differences: {wrong:#?}", wrong.len());
    println!(
        "{} sagas ended; services died {} times between effect and answer",
        stack.orders.len(),
        stack.services_killed
    );
    ensure!(stack.services_killed == deaths, "each deadly order kills once, not {} times", stack.services_killed);
    stack.done();
    Ok(())
}
