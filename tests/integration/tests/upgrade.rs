//! Builds of two times on one log of a real Kafka: orders go on while they take each other's place, and while the rules are raised; the old one then
//! refuses, and the new one goes on for it. The new one is the same program that says it knows the next version.

use anyhow::{Context, Result, ensure};
use sagaline_integration::coordinator::get;
use sagaline_integration::kafka::Broker;
use sagaline_integration::orders::Order;
use sagaline_integration::stack::Stack;

/// What makes of this program the next build.
const NEXT: Option<&str> = Some("known-rules:2");
const OLD: usize = 0;
const NEW: usize = 1;
const ORDERS: usize = 20;
/// As `Stack::start` makes them.
const PARTITIONS: usize = 4;

fn send(stack: &mut Stack) -> Result<()> {
    let first = stack.orders.len();
    stack.send((first..first + ORDERS).map(Order::numbered))
}

/// Waits until the two share the partitions. Gives the address of the second.
fn wait_shared(stack: &mut Stack) -> Result<String> {
    stack.wait("a part for each of the two", |stack| {
        let Some(api) = stack.coordinators[NEW].ready()? else { return Ok(None) };
        let parts = [stack.coordinators[OLD].owned()?.len(), stack.coordinators[NEW].owned()?.len()];
        Ok((parts.iter().sum::<usize>() == PARTITIONS && !parts.contains(&0)).then_some(api))
    })
}

#[test]
fn orders_go_on_while_the_rules_are_raised_and_the_old_build_refuses() -> Result<()> {
    let mut stack = Stack::start(&[])?;
    let old = stack.wait_ready()?;
    stack.add_coordinator("second", Broker::shared().bootstrap())?;
    // Deployed, taken back, deployed again: nothing is raised.
    for build in [NEXT, None, NEXT] {
        stack.coordinators[NEW].start(build)?;
        let api = wait_shared(&mut stack)?;
        let page = get(&format!("{api}/v1/upgrade"))?;
        ensure!(page["in_force"] == 1 && page["newest"] == if build.is_some() { 2 } else { 1 }, "{page}");
        send(&mut stack)?;
        stack.wait_ended(&api)?;
        stack.coordinators[NEW].process().stop()?;
    }
    stack.coordinators[NEW].start(NEXT)?;
    let new = wait_shared(&mut stack)?;
    let refused = stack.sagaline(&["upgrade", "raise", "--to", "2", "--yes", "--api", &old]).err();
    let refused = refused.context("the old build can't raise what it does not know")?.to_string();
    ensure!(refused.contains("this node knows the rules up to version 1"), "{refused}");

    send(&mut stack)?;
    let raised = stack.sagaline(&["upgrade", "raise", "--yes", "--api", &new])?;
    ensure!(raised.contains("nothing is to be raised here"), "{raised}");
    stack.wait("the new build to have all partitions", |stack| {
        Ok((stack.coordinators[NEW].owned()?.len() == PARTITIONS).then_some(()))
    })?;
    for seen in stack.coordinators[OLD].partitions()? {
        let why = seen.halted().with_context(|| format!("{seen:?} goes on"))?;
        ensure!(
            why.contains("have version 2, this program knows version 1: run a build that knows version 2"),
            "{why}"
        );
    }
    send(&mut stack)?;
    stack.wait_ended(&new)?;
    let wrong = stack.differences(&new)?;
    ensure!(wrong.is_empty(), "{} differences: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);

    // The next build goes on from the stores of the old one.
    stack.coordinators[OLD].process().stop()?;
    stack.coordinators[OLD].start(NEXT)?;
    let first = stack.wait_ready()?;
    wait_shared(&mut stack)?;
    send(&mut stack)?;
    stack.wait_ended(&first)?;
    ensure!(stack.reports(&first)? == stack.reports(&new)?, "two nodes tell different stories");
    stack.done();
    Ok(())
}
