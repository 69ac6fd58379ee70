//! What a saga that waits costs: bytes of store, memory of the process, files it holds open, and how long a restart takes with thousands of them,
//! with the store kept, from the log alone, and from checkpoints. Figures are printed, none is asserted. `SAGALINE_PROVE=1` runs the whole form.

#[path = "waiting/figures.rs"]
mod figures;
#[path = "waiting/parcels.rs"]
mod parcels;
#[path = "waiting/stores.rs"]
mod stores;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use figures::{Checkpoints, Figures, Memory};
use sagaline_integration::dev::Dev;
use sagaline_integration::form::whole;
use sagaline_integration::process::wait_until;
use serde_json::Value;

/// How long a condition may take. Bounds a test that hangs; nothing depends on it.
const PATIENCE: Duration = Duration::from_secs(900);
/// Positions that stay the same for so many looks are at rest: an answer comes sooner.
const LOOKS_AT_REST: u32 = 25;

#[test]
fn a_waiting_saga_costs_disk_and_little_memory() -> Result<()> {
    let whole = whole();
    let levels: &[usize] = if whole { &[10_000, 100_000, 1_000_000] } else { &[2_000] };
    let mut dev = Dev::new(&[parcels::PARTICIPANT])?;
    parcels::define(dev.dir())?;
    dev.start(PATIENCE)?;
    let empty = Memory::of(&dev)?;
    println!("nothing yet: {empty}");
    let mut before = 0;
    for sagas in levels.iter().copied() {
        let figures = measure(&mut dev, before, sagas, empty)?;
        println!("{figures}");
        figures.check()?;
        before = sagas;
    }
    dev.stop()
}

/// Starts sagas number `before` to `sagas`, and looks at the process and its store while all of them wait.
fn measure(dev: &mut Dev, before: usize, sagas: usize, empty: Memory) -> Result<Figures> {
    let began = Instant::now();
    parcels::send(&*dev.log()?, before..sagas)?;
    let (made, records) = wait_at_rest(dev, sagas)?;
    let made_in = began.elapsed();
    dev.stop()?;
    let store = stores::measure(&dev.stores())?;
    let began = Instant::now();
    drop(sagaline_log::connect(&format!("embedded:{}", dev.dir().join("data/log").display()), &Default::default())?);
    let journal = began.elapsed();

    let kept = dev.start(PATIENCE)?;
    let restarted = Memory::of(dev)?;
    let files = dev.open_files()?;
    expect_waiting(dev, sagas)?;
    let read = Memory::of(dev)?;

    dev.stop()?;
    dev.sagaline(&["rebuild", "--data", "data", "--from", "log"])?;
    let refold = dev.start(PATIENCE)?;
    let cpu = dev.cpu()?;
    let refolded = Memory::of(dev)?;
    expect_waiting(dev, sagas)?;
    let checkpoints = restart_from_checkpoints(dev)?;
    expect_waiting(dev, sagas)?;
    let (new, load) = (sagas - before, std::fs::read_to_string("/proc/loadavg")?);
    Ok(Figures {
        sagas,
        new,
        made_in,
        records,
        store,
        journal,
        kept,
        refold,
        cpu,
        files,
        empty,
        made,
        restarted,
        read,
        refolded,
        checkpoints,
        load,
    })
}

/// Checkpoints are taken of a running node and verified beside the stopped one; then its stores are lost.
fn restart_from_checkpoints(dev: &mut Dev) -> Result<Checkpoints> {
    let began = Instant::now();
    dev.sagaline(&["checkpoint", "take"])?;
    let taken = began.elapsed();
    dev.stop()?;
    let began = Instant::now();
    dev.sagaline(&["checkpoint", "verify", "--data", "data"])?;
    let verified = began.elapsed();
    dev.sagaline(&["rebuild", "--data", "data"])?;
    Ok(Checkpoints { taken, verified, restart: dev.start(PATIENCE)? })
}

/// Waits until all wait and nothing moves. Gives the process's memory as it was before anybody looked at the sagas, and the records of the inbox.
fn wait_at_rest(dev: &Dev, sagas: usize) -> Result<(Memory, i64)> {
    let (mut before, mut looks) = (0, 0);
    wait_until("every saga's rest", PATIENCE, || {
        let status = dev.get("status")?;
        let (now, rests) = stands(&status, sagas)?;
        looks = if rests && now == before { looks + 1 } else { 0 };
        before = now;
        if looks < LOOKS_AT_REST {
            return Ok(None);
        }
        let memory = Memory::of(dev)?;
        Ok((parcels::waiting(dev)? == sagas).then_some((memory, now)))
    })
}

/// Records folded by all partitions, and whether so many sagas have begun, everything is folded and every output delivered.
fn stands(status: &Value, sagas: usize) -> Result<(i64, bool)> {
    let partitions = status["partitions"].as_array().context("a node has partitions")?;
    let number = |value: &Value| value.as_i64().with_context(|| format!("no number in {status}"));
    let (mut records, mut started, mut left) = (0, 0, 0);
    for partition in partitions {
        let position = number(&partition["position"])?;
        records += position;
        started += number(&partition["counters"]["started"])?;
        left += number(&partition["log_end"])? - position;
        for channel in partition["channels"].as_array().into_iter().flatten() {
            left += number(&channel["outbox"])?;
        }
    }
    Ok((records, started == sagas as i64 && left == 0))
}

fn expect_waiting(dev: &Dev, sagas: usize) -> Result<()> {
    let waiting = parcels::waiting(dev)?;
    ensure!(waiting == sagas, "{waiting} of {sagas} sagas wait");
    Ok(())
}
