//! The end of a run: every inbox partition is folded anew from its log alone, and compared with what nodes kept, what was published, what
//! participants did and what sagas report. Shares no state with the run but the log, the topics and the business.

use std::collections::{BTreeMap, BTreeSet};

use sagaline_engine::report::report;
use sagaline_engine::validate::validate;
use sagaline_engine::{Phase, Saga};
use sagaline_log::Fetched;
use sagaline_partition::digest::digest;
use sagaline_partition::store::{Family, Reader};
use sagaline_partition::{Faults, Folded, LogRecord, Partition, Published, view};
use sagaline_schemas::record::{End, Kind};
use sagaline_schemas::wire::Wire;
use sagaline_schemas::{Digest, EffectId, Offset, SagaId, hash};
use sagaline_store::MemoryStore;

use crate::orders::{Decided, Orders};
use crate::run::World;
use crate::timing;

/// Timers folded in one step: records are divided as often as can be.
const BUDGET: u32 = 1;

/// One partition, folded anew.
pub struct Refold {
    /// Its records.
    pub records: Vec<Fetched>,
    /// Its outputs, in order.
    pub outputs: Vec<Published>,
    /// Its sagas at the end.
    pub sagas: Vec<Saga>,
    digest: Digest,
    /// Offsets at which a saga changed.
    changed: BTreeSet<Offset>,
}

/// Looks at everything.
///
/// # Errors
/// The first property that does not hold.
pub fn judge(world: &mut World) -> Result<(), String> {
    each_effect_happened_at_most_once(world)?;
    for partition in 0..world.inbox.partitions {
        let refold = refold(world, partition)?;
        world.scene.totals.inputs += refold.records.len() as u64;
        world.scene.totals.outputs += refold.outputs.len() as u64;
        world.scene.totals.digests.push(refold.digest);
        count(world, &refold)?;
        nodes_hold_what_the_log_says(world, partition, &refold)?;
        all_is_published(world, &refold)?;
        forged_records_change_nothing(world, partition, &refold)?;
        timing::timers_are_never_early(&refold)?;
        timing::no_timeout_that_the_log_answers(&refold)?;
        let orders = Orders::read(&refold)?;
        orders.check()?;
        for saga in &refold.sagas {
            the_report_is_the_world(world, &orders, saga)?;
            let end = end_name(saga)?;
            *world.scene.totals.ends.entry(end).or_default() += 1;
        }
        every_saga_ends_once(&refold)?;
    }
    nothing_is_published_that_nobody_decided(world)?;
    every_order_is_one_saga(world)
}

/// What shows that the run went to the places where things go wrong.
fn count(world: &mut World, refold: &Refold) -> Result<(), String> {
    for (_, command) in crate::orders::commands(refold)? {
        let again = command.address.attempt > 1;
        match command.address.kind {
            Kind::Do if again => world.scene.see("attempts again", 1),
            Kind::Compensate if again => world.scene.see("undoing attempts again", 1),
            Kind::Compensate => world.scene.see("effects undone", 1),
            Kind::Do | Kind::Probe | Kind::Ask => {}
        }
    }
    let claims = timing::progresses(refold).iter().filter(|(.., progress)| progress.since.is_none()).count();
    world.scene.see("claims", claims as u64);
    world.scene.see("parked", refold.outputs.iter().filter(|output| output.channel == "parked").count() as u64);
    Ok(())
}

/// Folds the log alone, divided as often as can be; after every record each saga that changed is looked at.
fn refold(world: &World, number: u32) -> Result<Refold, String> {
    let records = world.scene.simulation.records("inbox", number).map_err(|error| error.to_string())?;
    let store = Box::new(MemoryStore::new());
    let mut partition =
        Partition::open(number, store, world.key.clone(), Faults::new()).map_err(|halt| halt.to_string())?;
    let reader = partition.reader();
    let (mut outputs, mut before, mut changed) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
    for fetched in &records {
        let record = LogRecord { offset: fetched.offset, timestamp: fetched.timestamp, value: &fetched.record.value };
        while partition.fold(record, BUDGET).map_err(|halt| format!("I8: the log folds no further: {halt}"))?
            == Folded::More
        {
            outputs.extend(partition.take_published());
            partition.commit().map_err(|error| error.to_string())?;
        }
        outputs.extend(partition.take_published());
        partition.commit().map_err(|error| error.to_string())?;
        if look_at_changes(world, &*reader, &mut before, fetched.offset)? {
            changed.insert(fetched.offset);
        }
    }
    let digest = digest(reader.snapshot().as_ref()).map_err(|error| error.to_string())?;
    let sagas = view::sagas(reader.snapshot().as_ref(), None, usize::MAX).map_err(|error| error.to_string())?;
    Ok(Refold { records, outputs, sagas, digest, changed })
}

/// Whether any saga changed; each that did must be sound.
fn look_at_changes(
    world: &World,
    reader: &dyn Reader,
    before: &mut BTreeMap<Vec<u8>, Vec<u8>>,
    offset: Offset,
) -> Result<bool, String> {
    let mut any = false;
    for (key, bytes) in reader.scan(Family::Sagas, &[], None, usize::MAX).map_err(|error| error.to_string())? {
        if before.get(&key) == Some(&bytes) {
            continue;
        }
        any = true;
        let saga = Saga::from_bytes(&bytes).map_err(|error| error.to_string())?;
        let sound = validate(&world.definition, &saga);
        sound.map_err(|violation| format!("{violation} (saga {} after offset {offset})", saga.key))?;
        before.insert(key, bytes);
    }
    Ok(any)
}

/// I8, I9: each node's store is the refold's, byte for byte, whatever befell it.
fn nodes_hold_what_the_log_says(world: &mut World, partition: u32, refold: &Refold) -> Result<(), String> {
    for node in &mut world.nodes {
        let owner = node.seats[partition as usize].owner.as_mut().ok_or("a partition is not open at the end")?;
        owner.close().map_err(|stop| stop.to_string())?;
        if owner.position() != refold.records.len() as Offset {
            return Err(format!("partition {partition} is folded to {} of {}", owner.position(), refold.records.len()));
        }
        let stored = digest(owner.reader().snapshot().as_ref()).map_err(|error| error.to_string())?;
        if stored != refold.digest {
            return Err(format!("I8: partition {partition} refolds to {}, a node holds {stored}", refold.digest));
        }
    }
    Ok(())
}

/// I10, the second half: every output lies in its topic, byte for byte, in its partition.
fn all_is_published(world: &mut World, refold: &Refold) -> Result<(), String> {
    for output in &refold.outputs {
        let place = (output.channel.clone(), output.output.partition);
        let value = &output.output.value.0;
        world.decided.entry(output.channel.clone()).or_default().insert((place.1, value.clone()));
        let lies = (0..partitions(world, &output.channel))
            .filter(|partition| place.1.is_none_or(|wanted| wanted == *partition))
            .any(|partition| world.published(&output.channel, partition).contains(value));
        if !lies {
            return Err(format!(
                "I10: the output {} at {} never came to {}",
                output.output.id, output.position, output.channel
            ));
        }
    }
    Ok(())
}

/// I10, the first half: whatever lies in a topic was decided by the log.
fn nothing_is_published_that_nobody_decided(world: &mut World) -> Result<(), String> {
    let channels: Vec<String> = world.decided.keys().cloned().collect();
    for channel in channels {
        for partition in 0..partitions(world, &channel) {
            let published = world.published(&channel, partition).clone();
            let decided = &world.decided[&channel];
            for value in published {
                if !decided.contains(&(Some(partition), value.clone())) && !decided.contains(&(None, value)) {
                    return Err(format!("I10: {channel}/{partition} holds a record that no refold makes"));
                }
            }
        }
    }
    Ok(())
}

fn partitions(world: &World, channel: &str) -> u32 {
    use sagaline_log::Log;
    let topic = world.scene.simulation.log().topic(channel).expect("the simulated log answers");
    topic.map_or(0, |topic| topic.partitions)
}

/// I11, I13: what is forged is parked, once, and nothing else comes of it.
fn forged_records_change_nothing(world: &World, partition: u32, refold: &Refold) -> Result<(), String> {
    for ((_, offset), what) in world.forged.range((partition, 0)..=(partition, Offset::MAX)) {
        let made: Vec<_> = refold.outputs.iter().filter(|output| output.position.offset == *offset).collect();
        if refold.changed.contains(offset) {
            return Err(format!("I13: {what} at offset {offset} changed a saga"));
        }
        if made.len() != 1 || made[0].channel != "parked" {
            return Err(format!("I11: {what} at offset {offset} made {} outputs instead of being parked", made.len()));
        }
    }
    Ok(())
}

/// I1: an end is told once, and only by sagas that ended.
fn every_saga_ends_once(refold: &Refold) -> Result<(), String> {
    let ended = refold.sagas.iter().filter(|saga| saga.is_ended()).map(|saga| saga.id);
    let ended: BTreeSet<SagaId> = ended.collect();
    let mut told = BTreeSet::new();
    for event in crate::orders::saga_events(refold)? {
        if event.kind == sagaline_schemas::output::SagaEventKind::Ended && !told.insert(event.saga) {
            return Err(format!("I1: saga {} ended twice", event.key));
        }
    }
    if told == ended { Ok(()) } else { Err("I1: what `events` tells of ends is not what ended".to_owned()) }
}

fn end_name(saga: &Saga) -> Result<String, String> {
    match &saga.phase {
        Phase::Ended { end, .. } => Ok(format!("{end:?}")),
        Phase::Stuck { .. } => Ok("stuck".to_owned()),
        Phase::Running { .. } => Err(format!("I1: saga {} still runs", saga.key)),
    }
}

/// What the saga says of the world is what participants did.
fn the_report_is_the_world(world: &World, orders: &Orders, saga: &Saga) -> Result<(), String> {
    let report = report(&world.definition, saga);
    let ended = matches!(report.end, Some(End::Completed | End::Compensated | End::Cancelled));
    for effect in &report.effects {
        let id = hash::effect_id(saga.id, &effect.step, &[], effect.round);
        let stands = world.business.deed(id).stands();
        match effect.stands {
            Some(said) if said != stands => {
                return Err(format!(
                    "the report of {} says that {} stands: {said}, the world says {stands}",
                    saga.key, effect.step
                ));
            }
            None if ended => {
                return Err(format!(
                    "{} ended {:?}, and does not know whether {} stands",
                    saga.key, report.end, effect.step
                ));
            }
            Some(_) | None => {}
        }
    }
    world_was_undone_in_reverse(world, orders, saga)
}

/// I2, as the world saw it.
fn world_was_undone_in_reverse(world: &World, orders: &Orders, saga: &Saga) -> Result<(), String> {
    let decided: &[Decided] = orders.of(saga.id);
    let undone: Vec<u64> =
        decided.iter().rev().filter_map(|effect| world.business.deed(effect.effect).undone_at).collect();
    if undone.is_sorted() {
        Ok(())
    } else {
        Err(format!("I2: {} was undone in another order than the reverse", saga.key))
    }
}

/// I12: each order is one saga, and each saga is an order's.
fn every_order_is_one_saga(world: &World) -> Result<(), String> {
    let sagas = world.scene.totals.sagas();
    if sagas == world.placed.len() as u64 {
        return Ok(());
    }
    Err(format!("I12: {} orders became {sagas} sagas", world.placed.len()))
}

/// I4.
fn each_effect_happened_at_most_once(world: &World) -> Result<(), String> {
    let twice: Option<(&EffectId, u32)> =
        world.business.deeds().find(|(_, deed)| deed.done > 1).map(|(effect, deed)| (effect, deed.done));
    twice.map_or(Ok(()), |(effect, times)| Err(format!("I4: the effect {effect} happened {times} times")))
}
