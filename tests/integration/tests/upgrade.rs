//! Builds of two times on one log of a real Kafka: orders go on while they take each other's place, and while the rules are raised; the old one then
//! refuses, and the new one goes on for it. The new one is the same program that says it knows the next version. `SAGALINE_PROVE=1` runs the whole form:
//! more orders, which never cease to come.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sagaline_integration::coordinator::get;
use sagaline_integration::form;
use sagaline_integration::kafka::Broker;
use sagaline_integration::stack::Stack;

/// What makes of this program the next build.
const NEXT: Option<&str> = Some("known-rules:2");
const OLD: usize = 0;
const NEW: usize = 1;
/// As `Stack::start` makes them.
const PARTITIONS: usize = 4;

/// Orders that come while something is waited for.
struct Load {
    /// So many each time one looks.
    orders: usize,
    /// Whom to ask how many have ended: a node that lives all the time.
    witness: String,
    ended: u64,
    moved: Instant,
    /// The longest that no order ended while some were under way.
    pause: Duration,
}

impl Load {
    fn new(witness: String) -> Self {
        let orders = if form::whole() { 20 } else { 2 };
        Self { orders, witness, ended: 0, moved: Instant::now(), pause: Duration::ZERO }
    }

    fn add(&mut self, stack: &mut Stack) -> Result<()> {
        stack.send_more(self.orders)?;
        let ended = stack.ended(&self.witness)?;
        if ended > self.ended {
            self.pause = self.pause.max(self.moved.elapsed());
            (self.ended, self.moved) = (ended, Instant::now());
        }
        Ok(())
    }

    /// Waits, and sends.
    fn wait<T>(
        &mut self,
        stack: &mut Stack,
        what: &str,
        mut look: impl FnMut(&mut Stack) -> Result<Option<T>>,
    ) -> Result<T> {
        stack.wait(what, |stack| {
            self.add(stack)?;
            look(stack)
        })
    }

    /// Waits until every order has ended. That none does afterwards is no pause.
    fn wait_ended(&mut self, stack: &mut Stack, api: &str) -> Result<()> {
        stack.wait_ended(api)?;
        (self.ended, self.moved) = (stack.orders.len() as u64, Instant::now());
        Ok(())
    }

    /// Waits until the two share the partitions. Gives the address of the second.
    fn wait_shared(&mut self, stack: &mut Stack) -> Result<String> {
        self.wait(stack, "a part for each of the two", |stack| {
            let Some(api) = stack.coordinators[NEW].ready()? else { return Ok(None) };
            let parts = [stack.coordinators[OLD].owned()?.len(), stack.coordinators[NEW].owned()?.len()];
            Ok((parts.iter().sum::<usize>() == PARTITIONS && !parts.contains(&0)).then_some(api))
        })
    }
}

#[test]
fn orders_go_on_while_the_rules_are_raised_and_the_old_build_refuses() -> Result<()> {
    let mut stack = Stack::start(&[])?;
    let old = stack.wait_ready()?;
    stack.add_coordinator("second", Broker::shared().bootstrap())?;
    let mut load = Load::new(old.clone());
    // Deployed, taken back, deployed again: nothing is raised.
    for build in [NEXT, None, NEXT] {
        stack.coordinators[NEW].start(build)?;
        let api = load.wait_shared(&mut stack)?;
        let page = get(&format!("{api}/v1/upgrade"))?;
        ensure!(page["in_force"] == 1 && page["newest"] == if build.is_some() { 2 } else { 1 }, "{page}");
        load.wait_ended(&mut stack, &api)?;
        stack.coordinators[NEW].process().stop()?;
        load.add(&mut stack)?;
    }
    stack.coordinators[NEW].start(NEXT)?;
    let new = load.wait_shared(&mut stack)?;
    let refused = stack.sagaline(&["upgrade", "raise", "--to", "2", "--yes", "--api", &old]).err();
    let refused = refused.context("the old build can't raise what it does not know")?.to_string();
    ensure!(refused.contains("this node knows the rules up to version 1"), "{refused}");

    load.add(&mut stack)?;
    let raised = stack.sagaline(&["upgrade", "raise", "--yes", "--api", &new])?;
    ensure!(raised.contains("nothing is to be raised here"), "{raised}");
    load.witness.clone_from(&new);
    load.wait(&mut stack, "the new build to have all partitions", |stack| {
        Ok((stack.coordinators[NEW].owned()?.len() == PARTITIONS).then_some(()))
    })?;
    for seen in stack.coordinators[OLD].partitions()? {
        let why = seen.halted().with_context(|| format!("{seen:?} goes on"))?;
        ensure!(
            why.contains("have version 2, this program knows version 1: run a build that knows version 2"),
            "{why}"
        );
    }
    load.wait_ended(&mut stack, &new)?;
    let wrong = stack.differences(&new)?;
    ensure!(wrong.is_empty(), "{} differences: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);

    // The next build goes on from the stores of the old one.
    stack.coordinators[OLD].process().stop()?;
    stack.coordinators[OLD].start(NEXT)?;
    let first = stack.wait_ready()?;
    load.wait_shared(&mut stack)?;
    load.wait_ended(&mut stack, &first)?;
    ensure!(stack.reports(&first)? == stack.reports(&new)?, "two nodes tell different stories");
    let orders = stack.orders.len();
    println!("{orders} orders while builds changed; the longest that none ended: {:.1} s", load.pause.as_secs_f64());
    stack.done();
    Ok(())
}
