//! Several instances of a participant on a real Kafka: with PostgreSQL they share the work through kills and stalls, and every effect happens once; with
//! an effect store on local disk the second one refuses. The tables of the business are the witness. `SAGALINE_PROVE=1` runs the whole form.

#[path = "instances/bank.rs"]
mod bank;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bank::{Bank, Instance, PARTITIONS};
use sagaline_integration::form::{alone, whole};
use sagaline_integration::orders::{Order, Refused};
use sagaline_integration::process::wait_until;
use sagaline_integration::stack::{Stack, Words};
use sagaline_integration::tables::Tables;
use sagaline_test_postgres::{Server, schema};

/// How long a condition may take. Bounds a test that hangs; nothing depends on it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Handlers take so long, with their transaction open, that a death finds some at work.
const SLOW: &str = "--slow 50ms..250ms --in-flight 16";

#[test]
fn instances_are_killed_and_stalled_and_every_effect_happens_once() -> Result<()> {
    let _alone = alone();
    let (rounds, wave) = if whole() { (12, 600) } else { (1, 240) };
    let mut bank = Bank::open()?;
    let tables = Tables::new(&bank.schema)?;
    let mut instances = [Instance::new(&bank, "a")?, Instance::new(&bank, "b")?];
    for instance in &mut instances {
        instance.start(&bank.on_postgres(SLOW))?;
    }
    let (mut cut_off, mut kills) = (0, 0);
    for round in 0..rounds {
        let [first, second] = &mut instances;
        let (dying, other) = if round % 2 == 0 { (first, second) } else { (second, first) };
        shared(&[dying, other])?;

        bank.send(wave)?;
        tables.wait_busy(dying.name)?;
        dying.kill()?;
        kills += 1;
        dying.start(&bank.on_postgres(SLOW))?;
        bank.wait_answered()?;
        shared(&[dying, other])?;

        // Stalled with transactions open, for longer than its session: the other one does all of its work, then it wakes in the middle of its own.
        bank.send(wave)?;
        tables.wait_busy(other.name)?;
        other.stall()?;
        bank.wait_answered()?;
        ensure!(dying.holds()? == Some(PARTITIONS), "the stalled instance still has its part");
        other.wake()?;
        shared(&[dying, other])?;
        wait_until("the last words of what woke", PATIENCE, || Ok((other.transactions_lost()? > 0).then_some(())))?;
        cut_off += other.transactions_lost()?;
    }
    let wrong = bank.differences(&tables.payments()?);
    ensure!(wrong.is_empty(), "{} differences: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    ensure!(tables.unbalanced()?.is_empty(), "accounts and payments differ: {:?}", tables.unbalanced()?);
    for instance in &mut instances {
        instance.stop()?;
    }
    println!(
        "{} sagas, {} answers to {} commands; {kills} kills, {rounds} stalls, {cut_off} transactions of stalled instances cut off; each effect once, \
         every account balances",
        bank.sagas(),
        bank.answers(),
        bank.commands()
    );
    Ok(())
}

/// Waits until each has its part.
fn shared(instances: &[&mut Instance]) -> Result<()> {
    wait_until("a part for each instance", PATIENCE, || {
        let mut held = 0;
        for instance in instances {
            match instance.holds()? {
                Some(part) if part > 0 && part < PARTITIONS => held += part,
                Some(_) | None => return Ok(None),
            }
        }
        Ok((held == PARTITIONS).then_some(()))
    })
}

#[test]
fn the_database_dies_and_comes_back_and_commands_have_waited() -> Result<()> {
    let _alone = alone();
    let (deaths, wave) = if whole() { (8, 400) } else { (1, 120) };
    let mut bank = Bank::open()?;
    let dir = tempfile::TempDir::with_prefix("sagaline-database-")?;
    let mut server = Server::start_in(dir.path())?;
    let mut instance = Instance::new(&bank, "a")?;
    instance.start(&bank.on(&server, SLOW))?;
    for _ in 0..deaths {
        bank.send(wave)?;
        Tables::of(&server, &bank.schema)?.wait_busy(instance.name)?;
        drop(server);
        wait_until("a word of its absence", PATIENCE, || Ok((instance.transactions_lost()? > 0).then_some(())))?;
        ensure!(instance.runs()?, "it waits");
        server = Server::start_in(dir.path())?;
        bank.wait_answered()?;
    }
    let tables = Tables::of(&server, &bank.schema)?;
    let wrong = bank.differences(&tables.payments()?);
    ensure!(wrong.is_empty(), "{} differences: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    ensure!(tables.unbalanced()?.is_empty(), "accounts and payments differ: {:?}", tables.unbalanced()?);
    println!("{} sagas, {deaths} deaths of the database; each effect once, every account balances", bank.sagas());
    instance.stop()
}

/// Orders through a coordinator and two instances of each service, every one on PostgreSQL; some die with their transaction open.
#[test]
fn orders_go_through_two_instances_of_each_service() -> Result<()> {
    let _alone = alone();
    let orders = if whole() { 800 } else { 60 };
    let names = ["inventory", "payment", "shipping"];
    let words: Vec<(&str, String)> = names
        .into_iter()
        .map(|name| (name, format!("--postgres {} --postgres-schema {}", Server::shared().url(), schema())))
        .collect();
    let borrowed: Vec<Words> = words.iter().map(|(name, words)| (*name, words.as_str())).collect();
    let mut stack = Stack::start(&borrowed)?;
    for name in names {
        stack.start_another(name)?;
    }
    let api = stack.wait_ready()?;
    stack.send((0..orders).map(|number| match number % 20 {
        7 => Order::new(number, Refused::Never, Some("charge=crash")),
        11 => Order::new(number, Refused::AtDispatch, Some("refund=crash")),
        17 => Order::new(number, Refused::Never, Some("reserve=crash")),
        _ => Order::numbered(number),
    }))?;
    stack.wait_ended(&api)?;
    for (name, words) in &words {
        let schema = words.rsplit(' ').next().unwrap_or_default();
        Tables::new(schema)?.export(&stack.dir().join(format!("{name}.jsonl")))?;
    }
    let wrong = stack.differences(&api)?;
    ensure!(wrong.is_empty(), "{} differences: {wrong:#?}", wrong.len());
    ensure!(stack.services_killed > 0, "nobody died");
    println!("{orders} orders ended; services died {} times with their transactions open", stack.services_killed);
    stack.done();
    Ok(())
}

/// The witness sees a double where the store forgets: here the database itself drops every record of a success.
#[test]
fn a_store_that_forgets_is_found_to_double_effects() -> Result<()> {
    let _alone = alone();
    let mut bank = Bank::open()?;
    let mut instance = Instance::new(&bank, "a")?;
    instance.start(&bank.on_postgres(""))?;
    wait_until("its part", PATIENCE, || Ok((instance.holds()? == Some(PARTITIONS)).then_some(())))?;
    let tables = Tables::new(&bank.schema)?;
    tables.forget_successes()?;
    bank.send(6)?;
    bank.wait_answered()?;
    wait_until("a double", PATIENCE, || Ok((!bank.differences(&tables.payments()?).is_empty()).then_some(())))?;
    let wrong = bank.differences(&tables.payments()?);
    ensure!(wrong.iter().any(|line| line.contains("charged 2 times")), "{wrong:?}");
    instance.stop()
}

#[test]
fn on_local_disk_the_second_instance_refuses_and_the_first_goes_on() -> Result<()> {
    let _alone = alone();
    let mut bank = Bank::open()?;
    let mut first = Instance::new(&bank, "a")?;
    first.start(&bank.on_disk("disk-a"))?;
    wait_until("all partitions", PATIENCE, || Ok((first.holds()? == Some(PARTITIONS)).then_some(())))?;
    bank.send(10)?;
    bank.wait_answered()?;

    let mut same = Instance::new(&bank, "b")?;
    same.start(&bank.on_disk("disk-a"))?;
    let said = same.wait_refusal()?;
    ensure!(said.contains("is open in another process"), "{said}");

    // By the name of the first: as two that were started with nobody having thought of names.
    let mut second = Instance::new(&bank, "c")?.called("a");
    second.start(&bank.on_disk("disk-c"))?;
    let said = second.wait_refusal()?;
    ensure!(
        said.contains("another instance has the rest") && said.contains("use a store that all of them share"),
        "{said}"
    );
    ensure!(first.log()?.contains("no handler runs"), "the first one noticed that it had a part only");

    wait_until("all partitions again", PATIENCE, || Ok((first.holds()? == Some(PARTITIONS)).then_some(())))?;
    bank.send(10)?;
    bank.wait_answered()?;
    first.stop()?;
    ensure!(bank.differences(&bank.ledger()?).is_empty(), "{:?}", bank.differences(&bank.ledger()?));
    Ok(())
}

/// Commands a second with so many in flight, on both stores; each is one durable effect and its answer.
#[test]
fn what_an_effect_costs() -> Result<()> {
    let _alone = alone();
    let (sagas, flights) = if whole() { (10_000, [1, 16, 64, 256].as_slice()) } else { (300, [16].as_slice()) };
    for in_flight in flights {
        for store in ["rocksdb", "postgresql"] {
            let mut bank = Bank::open()?;
            let sagas = if *in_flight == 1 { sagas / 10 } else { sagas };
            bank.send_plain(sagas)?;
            let more = format!("--in-flight {in_flight}");
            let words =
                if store == "rocksdb" { format!("{} {more}", bank.on_disk("disk")) } else { bank.on_postgres(&more) };
            let mut instance = Instance::new(&bank, "a")?;
            instance.start(&words)?;
            bank.wait_some_answered()?;
            let (began, before) = (Instant::now(), bank.answers());
            bank.wait_answered()?;
            let rate = (bank.answers() - before) as f64 / began.elapsed().as_secs_f64();
            println!("{store}, {in_flight} in flight: {rate:.0} commands/s");
            let done = if store == "rocksdb" { bank.ledger()? } else { Tables::new(&bank.schema)?.payments()? };
            ensure!(bank.differences(&done).is_empty(), "{:?}", bank.differences(&done));
            instance.stop()?;
        }
    }
    Ok(())
}
