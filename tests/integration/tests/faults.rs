//! An input that kills the fold, on a real Kafka with two nodes: it halts the partition and says so wherever a person looks; one word at one node has
//! it passed over at both; and where the other node has folded it, that one goes on and the word is refused. `SAGALINE_FAIL_POINT` makes the fold panic.

use anyhow::{Context, Result, ensure};
use sagaline_integration::coordinator::{Seen, get};
use sagaline_integration::form::alone;
use sagaline_integration::kafka::Broker;
use sagaline_integration::stack::Stack;

/// As `Stack::start` makes them.
const PARTITIONS: usize = 4;
const FIRST: usize = 0;
const SECOND: usize = 1;

/// Two nodes, the first one ready. And an offset that no partition has reached yet.
fn two_nodes() -> Result<(Stack, i64)> {
    let mut stack = Stack::start(&[])?;
    stack.wait_ready()?;
    stack.add_coordinator("second", Broker::shared().bootstrap())?;
    let ahead = stack.coordinators[FIRST].partitions()?.iter().map(|seen| seen.position).max().unwrap_or_default();
    Ok((stack, ahead + 20))
}

fn wait_api(stack: &mut Stack, node: usize) -> Result<String> {
    stack.wait("a node's API", |stack| stack.coordinators[node].ready())
}

/// Waits until a node sees all its partitions as said.
fn wait_all(stack: &mut Stack, node: usize, what: &str, is: impl Fn(&Seen) -> bool) -> Result<()> {
    stack.wait(what, |stack| Ok(stack.coordinators[node].partitions()?.iter().all(&is).then_some(())))
}

/// What a person reads, whether the command ends well or not.
fn said(stack: &Stack, words: &[&str]) -> String {
    stack.sagaline(words).unwrap_or_else(|error| error.to_string())
}

fn position_of(stack: &Stack, node: usize) -> Result<Vec<i64>> {
    Ok(stack.coordinators[node].partitions()?.iter().map(|seen| seen.position).collect())
}

/// Waits until each of the two has a part.
fn wait_shared(stack: &mut Stack) -> Result<()> {
    stack.wait("a part for each of the two", |stack| {
        let parts = [stack.coordinators[FIRST].owned()?.len(), stack.coordinators[SECOND].owned()?.len()];
        Ok((parts.iter().sum::<usize>() == PARTITIONS && !parts.contains(&0)).then_some(()))
    })
}

/// Sagas go on, both nodes tell the same of them, and their stores are what the log says.
fn check_alike(stack: &mut Stack, first: &str, second: &str) -> Result<()> {
    // New orders end, whatever became of the four that were hit.
    stack.wait_quiet(first)?;
    let before = stack.ended(first)?;
    stack.send_more(20)?;
    stack.wait("the end of the new ones", |stack| Ok((stack.ended(first)? >= before + 20).then_some(())))?;
    stack.wait("both to have folded the same", |stack| {
        Ok((position_of(stack, FIRST)? == position_of(stack, SECOND)?).then_some(()))
    })?;
    ensure!(stack.reports(first)? == stack.reports(second)?, "two nodes tell different stories");
    for node in [FIRST, SECOND] {
        stack.coordinators[node].process().stop()?;
        let config = format!("{}.toml", stack.coordinators[node].name);
        let said = stack.sagaline(&["verify", "--config", &config])?;
        ensure!(said.lines().count() == PARTITIONS && said.lines().all(|line| line.starts_with("same: ")), "{said}");
    }
    Ok(())
}

#[test]
fn what_kills_the_fold_at_every_node_is_passed_over_at_all_of_them_by_one_word() -> Result<()> {
    let _alone = alone();
    let (mut stack, poison) = two_nodes()?;
    stack.stop_coordinator()?;
    let broken = format!("panic-at:{poison}");
    for node in [FIRST, SECOND] {
        stack.coordinators[node].start(Some(&broken))?;
    }
    let first = wait_api(&mut stack, FIRST)?;
    let second = wait_api(&mut stack, SECOND)?;
    stack.send_more(100)?;
    for node in [FIRST, SECOND] {
        wait_all(&mut stack, node, "a halt at both nodes", |seen| seen.halted().is_some())?;
    }
    for api in [&first, &second] {
        let told = [
            get(&format!("{api}/v1/status"))?.to_string(),
            said(&stack, &["watch", "--times", "1", "--api", api]),
            said(&stack, &["ps", "--api", api]),
        ];
        for told in told {
            ensure!(
                told.contains(&format!("can't go on at {poison}.0: it panics")) && told.contains("sagaline skip"),
                "{told}"
            );
        }
    }

    for partition in 0..PARTITIONS {
        let words = ["skip", &partition.to_string(), &poison.to_string(), "--reason", "it kills the fold"];
        stack.sagaline(&[&words[..], &["--api", &first]].concat())?;
    }
    for node in [FIRST, SECOND] {
        wait_all(&mut stack, node, "both nodes to go on", |seen| seen.halted().is_none() && seen.position > poison)?;
    }
    check_alike(&mut stack, &first, &second)?;
    stack.done();
    Ok(())
}

#[test]
fn what_kills_the_fold_is_passed_over_without_a_person_where_that_is_wanted() -> Result<()> {
    let _alone = alone();
    let (mut stack, poison) = two_nodes()?;
    stack.stop_coordinator()?;
    for node in [FIRST, SECOND] {
        stack.coordinators[node].configure("skip_poison = 'after 2'")?;
        stack.coordinators[node].start(Some(&format!("panic-at:{poison}")))?;
    }
    let (first, second) = (wait_api(&mut stack, FIRST)?, wait_api(&mut stack, SECOND)?);
    wait_shared(&mut stack)?;
    stack.send_more(100)?;
    for node in [FIRST, SECOND] {
        wait_all(&mut stack, node, "both to go on", |seen| seen.halted().is_none() && seen.position > poison)?;
    }
    let why = stack.wait("what was set aside", |_| {
        let page = get(&format!("{first}/v1/parked?limit=1000"))?;
        let lines = page["parked"].as_array().into_iter().flatten().filter(|line| line["offset"] == poison);
        let why: Vec<String> = lines.map(|line| line["detail"].to_string()).collect();
        Ok((why.len() == PARTITIONS).then_some(why))
    })?;
    let wanted = |why: &String| why.contains("skip_poison: the fold panicked here on 2 stores opened anew");
    ensure!(why.iter().all(wanted), "{why:?}");
    check_alike(&mut stack, &first, &second)?;
    stack.done();
    Ok(())
}

/// How the coordinator goes on.
#[derive(Debug, PartialEq, Eq)]
enum Life {
    Died,
    Halted(String),
}

fn wait_life(stack: &mut Stack) -> Result<Life> {
    stack.wait("a death, or a halt", |stack| {
        let node = &mut stack.coordinators[FIRST];
        if node.process().killed()? {
            return Ok(Some(Life::Died));
        }
        // It may not be ready yet, and it may die while it is asked.
        let seen = node.partitions().unwrap_or_default();
        Ok(seen.first().and_then(|seen| seen.halted()).map(|why| Life::Halted(why.to_owned())))
    })
}

#[test]
fn a_process_that_dies_at_an_input_again_and_again_halts_the_partition_instead() -> Result<()> {
    let _alone = alone();
    let mut stack = Stack::start_on(Broker::shared().bootstrap(), 1, &[])?;
    stack.wait_ready()?;
    let poison = stack.coordinators[FIRST].partitions()?[0].position + 20;
    stack.stop_coordinator()?;
    let deadly = format!("die-at:{poison}");
    stack.start_coordinator(Some(&deadly))?;
    stack.send_more(40)?;
    let mut deaths = 0;
    let why = loop {
        match wait_life(&mut stack)? {
            Life::Halted(why) => break why,
            Life::Died => deaths += 1,
        }
        ensure!(deaths < 10, "it dies for ever");
        stack.start_coordinator(Some(&deadly))?;
    };
    ensure!(why.contains(&format!("at {poison}.0: 2 lives of this node have died there")), "{why}");
    let api = stack.wait_ready()?;
    stack.sagaline(&["skip", "0", &poison.to_string(), "--reason", "it kills the node", "--api", &api])?;
    wait_all(&mut stack, FIRST, "the node to go on", |seen| seen.is_live() && seen.position > poison)?;
    stack.wait_quiet(&api)?;
    let (sent, ended) = (stack.orders.len() as u64, stack.ended(&api)?);
    ensure!(ended + 1 >= sent, "{ended} of {sent} ended: one at most was hit");
    stack.stop_coordinator()?;
    let said = stack.sagaline(&["verify", "--config", "coordinator.toml"])?;
    ensure!(said.starts_with("same: "), "{said}");
    println!("{deaths} deaths until the input was known");
    stack.done();
    Ok(())
}

#[test]
fn a_node_that_alone_panics_leaves_the_partition_to_the_one_that_folded_it() -> Result<()> {
    let _alone = alone();
    let (mut stack, poison) = two_nodes()?;
    let first = wait_api(&mut stack, FIRST)?;
    stack.coordinators[SECOND].start(Some(&format!("panic-at:{poison}")))?;
    wait_api(&mut stack, SECOND)?;
    stack.send_more(100)?;
    wait_all(&mut stack, SECOND, "a halt at the broken node", |seen| seen.halted().is_some())?;

    // Of the partitions that the sound node publishes for, its Progress shows that it has folded the input: a person's word is refused.
    let owned = stack.coordinators[FIRST].owned()?;
    let one = *owned.first().context("the sound node has a part")?;
    stack.wait("a word that the other one has folded it", |stack| {
        let seen = stack.coordinators[SECOND].partitions()?;
        let alone = |seen: &Seen| seen.halted().is_some_and(|why| why.contains("another node has folded that input"));
        Ok(owned.iter().all(|partition| alone(&seen[*partition as usize])).then_some(()))
    })?;
    let set_aside = get(&format!("{first}/v1/parked"))?["total"].as_i64();
    let words = ["skip", &one.to_string(), &poison.to_string(), "--reason", "it kills the other node", "--api", &first];
    stack.sagaline(&words)?;
    let refused = stack.wait("the word to be refused", |_| {
        let page = get(&format!("{first}/v1/parked"))?;
        Ok((page["total"].as_i64() > set_aside).then_some(page))
    })?;
    ensure!(refused.to_string().contains(&format!("a node has folded {poison}.0")), "{refused}");
    ensure!(stack.coordinators[FIRST].owned()?.contains(&one), "it no longer publishes for it");

    // The others are its own once the broken node is gone, and nothing is lost.
    stack.coordinators[SECOND].process().stop()?;
    stack.wait_ended(&first)?;
    let wrong = stack.differences(&first)?;
    ensure!(wrong.is_empty(), "{} differences: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    stack.done();
    Ok(())
}
