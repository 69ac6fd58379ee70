//! The end of a run: every inbox partition is folded anew from its log alone, and compared with what nodes kept, what was published, what
//! participants did and what sagas report. Shares no state with the run but the log, the topics and the business.

use std::collections::{BTreeMap, BTreeSet};

use sagaline_definition::Definition;
use sagaline_definition::model::{Compensate, Verb};
use sagaline_engine::report::report;
use sagaline_engine::validate::validate;
use sagaline_engine::{Direction, Phase, Saga};
use sagaline_log::Fetched;
use sagaline_partition::digest::digest;
use sagaline_partition::store::{Family, Reader};
use sagaline_partition::{Faults, Folded, LogRecord, Partition, Published, view};
use sagaline_schemas::output::SagaEventKind;
use sagaline_schemas::record::{End, Kind};
use sagaline_schemas::wire::Wire;
use sagaline_schemas::{Digest, EffectId, Offset, SagaId, hash, proof, schema};
use sagaline_store::MemoryStore;

use crate::orders::{Decided, Orders};
use crate::run::{World, rests_held};
use crate::timing;

/// Timers folded in one step: records are divided as often as can be.
const BUDGET: u32 = 1;

/// One partition, folded anew.
pub struct Refold {
    /// Its records.
    pub records: Vec<Fetched>,
    /// Its outputs, in order.
    pub outputs: Vec<Published>,
    /// Offsets of records with a mac that is not the log's: forged, or damaged.
    pub unproven: BTreeSet<Offset>,
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
        timing::timers_are_never_early(&refold, &world.definitions)?;
        timing::no_timeout_that_the_log_answers(&refold)?;
        let orders = Orders::read(&refold)?;
        orders.check(|saga| refold.sagas.iter().any(|known| known.id == saga && world.goes_aside(known)))?;
        for saga in &refold.sagas {
            the_report_is_the_world(world, &orders, saga)?;
            let end = end_name(world.definition(saga)?, saga)?;
            *world.scene.totals.ends.entry(end).or_default() += 1;
            if saga.parent.is_none() {
                *world.begun.entry(saga.key.clone()).or_default() += 1;
            } else {
                world.scene.see("child sagas", 1);
            }
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
    let unproven = records.iter().filter(|fetched| is_unproven(world, number, &fetched.record.value));
    let unproven = unproven.map(|fetched| fetched.offset).collect();
    Ok(Refold { records, outputs, unproven, sagas, digest, changed })
}

fn is_unproven(world: &World, partition: u32, value: &[u8]) -> bool {
    let opened = proof::open(schema::INBOX.fingerprint, value).ok();
    let mac = opened.and_then(|opened| Some((opened.inbox.mac?, opened.covered)));
    mac.is_some_and(|(mac, covered)| world.key.mac(world.inbox.log_id, partition, &value[..covered]) != mac)
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
        let sound = validate(world.definition(&saga)?, &saga);
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
        let value = &output.output.value.0;
        let (topic, wanted) = match output.channel.strip_prefix("inbox.") {
            Some(partition) => ("inbox", partition.parse().ok()),
            None => (output.channel.as_str(), output.output.partition),
        };
        // The inbox has other writers, too: what they may write is looked at where it is folded.
        if topic != "inbox" {
            world.decided.entry(topic.to_owned()).or_default().insert((wanted, value.clone()));
        }
        let lies = (0..partitions(world, topic))
            .filter(|partition| wanted.is_none_or(|wanted| wanted == *partition))
            .any(|partition| world.published(topic, partition).contains(value));
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

/// I1: an end is told once, and only by sagas that ended. A child that had completed ends once more where its parent undoes it, and a saga
/// whose end turned out to be wrong where a person has settled it.
fn every_saga_ends_once(refold: &Refold) -> Result<(), String> {
    let ended = refold.sagas.iter().filter(|saga| saga.is_ended()).map(|saga| saga.id);
    let ended: BTreeSet<SagaId> = ended.collect();
    let mut told = BTreeSet::new();
    let mut goes_on = BTreeSet::new();
    for event in crate::orders::saga_events(refold)? {
        match event.kind {
            SagaEventKind::Ended if told.insert(event.saga) || goes_on.remove(&event.saga) => {}
            SagaEventKind::Ended => return Err(format!("I1: saga {} {} ended twice", event.saga, event.key)),
            SagaEventKind::Compensating | SagaEventKind::Stuck if told.contains(&event.saga) => {
                goes_on.insert(event.saga);
            }
            _ => {}
        }
    }
    // A person must look at it once more, because something came after its end had been told.
    let over = |saga: &&Saga| matches!(&saga.phase, Phase::Stuck { direction: Direction::Over { .. }, .. });
    let over: BTreeSet<SagaId> = refold.sagas.iter().filter(over).map(|saga| saga.id).collect();
    let all: BTreeSet<SagaId> = ended.union(&over).copied().collect();
    if told.is_superset(&ended) && told.is_subset(&all) {
        return Ok(());
    }
    Err("I1: what `events` tells of ends is not what ended".to_owned())
}

fn end_name(definition: &Definition, saga: &Saga) -> Result<String, String> {
    match &saga.phase {
        Phase::Ended { end, .. } => Ok(format!("{end:?}")),
        Phase::Stuck { .. } => Ok("stuck".to_owned()),
        Phase::Running { .. } if rests_held(definition, saga) => Ok("held".to_owned()),
        Phase::Running { .. } => Err(format!("I1: saga {} still runs", saga.key)),
    }
}

/// What the saga says of the world is what participants did.
fn the_report_is_the_world(world: &World, orders: &Orders, saga: &Saga) -> Result<(), String> {
    let definition = world.definition(saga)?;
    let report = report(definition, saga);
    let ended = matches!(report.end, Some(End::Completed | End::Compensated | End::Cancelled));
    for effect in &report.effects {
        let step = definition.steps.iter().find(|step| step.step == effect.step);
        let Some(Verb::Call(call)) = step.map(|step| &step.verb) else { continue };
        // Nobody undoes it, so nobody need know.
        let ended = ended && !matches!(call.compensate, Compensate::Never | Compensate::Reads);
        if call.compensate == Compensate::Reads {
            continue;
        }
        let id = hash::effect_id(saga.id, &effect.step, &effect.items, effect.round);
        let stands = world.business.deed(id).stands();
        let went_back = matches!(report.end, Some(End::Compensated | End::Cancelled));
        if stands && went_back && call.compensate != Compensate::Never {
            return Err(format!("I2: {} {} ended {:?}, and {} stands", saga.id, saga.key, report.end, effect.step));
        }
        match effect.stands {
            Some(said) if said != stands => {
                return Err(format!(
                    "the report of {} {} says that {} {:?} stands: {said}, the world says {stands}: {effect:?}",
                    saga.id, saga.key, effect.step, effect.items
                ));
            }
            None if ended => {
                return Err(format!(
                    "{} {} ended {:?}, and does not know whether {} stands: {effect:?}",
                    saga.id, saga.key, report.end, effect.step
                ));
            }
            Some(_) | None => {}
        }
    }
    world_was_undone_in_reverse(world, orders, saga)
}

/// I2, as the world saw it.
fn world_was_undone_in_reverse(world: &World, orders: &Orders, saga: &Saga) -> Result<(), String> {
    if world.goes_aside(saga) {
        return Ok(());
    }
    let decided: &[Decided] = orders.of(saga.id);
    let undone: Vec<u64> =
        decided.iter().rev().filter_map(|effect| world.business.deed(effect.effect).undone_at).collect();
    if undone.is_sorted() {
        Ok(())
    } else {
        Err(format!("I2: {} was undone in another order than the reverse", saga.key))
    }
}

/// I12: each order is one saga, and each saga is an order's, or another saga's child. One that may be begun again may be several.
fn every_order_is_one_saga(world: &World) -> Result<(), String> {
    let mut ordered: BTreeMap<&str, u32> = BTreeMap::new();
    let keys = world.placed.keys().map(|key| (format!(r#""order_id":"{key}""#), key));
    let keys: Vec<(String, &String)> = keys.collect();
    // Whoever places orders sends again what may not have landed: what lies in the topic counts.
    for partition in 0..partitions(world, "orders") {
        for fetched in world.scene.simulation.records("orders", partition).map_err(|error| error.to_string())? {
            let text = String::from_utf8_lossy(&fetched.record.value).into_owned();
            let named = keys.iter().find(|(name, _)| text.contains(name.as_str()));
            *ordered.entry(named.map_or("", |(_, key)| key)).or_default() += 1;
        }
    }
    for (key, sagas) in &world.begun {
        let times = ordered.get(key.as_str()).copied().unwrap_or(0);
        let most = if world.begins_again() { times } else { times.min(1) };
        if *sagas > most {
            return Err(format!("I12: {key} was ordered {times} times, and has {sagas} sagas"));
        }
    }
    match world.placed.keys().find(|key| !world.begun.contains_key(*key)) {
        Some(key) => Err(format!("I12: {key} was ordered, and has no saga")),
        None => Ok(()),
    }
}

/// I4.
fn each_effect_happened_at_most_once(world: &World) -> Result<(), String> {
    let twice: Option<(&EffectId, u32)> =
        world.business.deeds().find(|(_, deed)| deed.done > 1).map(|(effect, deed)| (effect, deed.done));
    twice.map_or(Ok(()), |(effect, times)| Err(format!("I4: the effect {effect} happened {times} times")))
}
