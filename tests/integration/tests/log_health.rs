//! A real Kafka whose inbox topic is changed under a running coordinator: it is noticed, told with the way out, and what can be mended goes on by itself.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewPartitions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use sagaline_integration::coordinator::{Seen, get};
use sagaline_integration::kafka::Broker;
use sagaline_integration::stack::Stack;
use sagaline_integration::topic::append_all;
use sagaline_log::Log;
use sagaline_log::kafka::KafkaLog;
use sagaline_node::sealed::bounds;

/// As `Stack::start` makes them.
const PARTITIONS: usize = 4;

/// Somebody with an administrator's rights.
struct Admin {
    client: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
    inbox: String,
}

impl Admin {
    fn of(stack: &Stack) -> Result<Self> {
        Ok(Self {
            client: ClientConfig::new().set("bootstrap.servers", Broker::shared().bootstrap()).create()?,
            runtime: tokio::runtime::Builder::new_current_thread().build()?,
            inbox: format!("{}inbox", stack.prefix()),
        })
    }

    /// Sets one setting of the inbox: the request replaces all, so that the others are said as they are.
    fn set(&self, name: &str, value: &str) -> Result<()> {
        let log = KafkaLog::connect(Broker::shared().bootstrap(), &BTreeMap::new())?;
        let mut settings = log.topic(&self.inbox)?.context("the inbox is there")?.settings;
        settings.insert(name.to_owned(), value.to_owned());
        let mut change = AlterConfig::new(ResourceSpecifier::Topic(&self.inbox));
        for (name, value) in &settings {
            change = change.set(name, value);
        }
        let done = self.runtime.block_on(self.client.alter_configs(&[change], &AdminOptions::new()))?;
        ensure!(done.iter().all(Result::is_ok), "{done:?}");
        Ok(())
    }

    /// Appends nonsense, and waits until it is in the log.
    fn append(&self, partition: u32, records: usize) -> Result<()> {
        let log = KafkaLog::connect(Broker::shared().bootstrap(), &BTreeMap::new())?;
        let nonsense = (0..records).map(|_| (partition, &[0][..]));
        append_all(log.producer()?.as_mut(), &self.inbox, nonsense).map(drop)
    }

    fn delete_records(&self, partition: u32, below: i64) -> Result<()> {
        KafkaLog::connect(Broker::shared().bootstrap(), &BTreeMap::new())?.delete_below(
            &self.inbox,
            partition,
            below,
        )?;
        Ok(())
    }

    fn add_partition(&self) -> Result<()> {
        let more = NewPartitions::new(&self.inbox, PARTITIONS + 1);
        let done = self.runtime.block_on(self.client.create_partitions(&[more], &AdminOptions::new()))?;
        ensure!(done.iter().all(Result::is_ok), "{done:?}");
        Ok(())
    }
}

/// Waits until every partition is as said; gives how they are.
fn wait_all(stack: &mut Stack, what: &str, is: impl Fn(&Seen) -> bool) -> Result<Vec<Seen>> {
    stack.wait(what, |stack| {
        let seen = stack.coordinators[0].partitions()?;
        Ok(seen.iter().all(&is).then_some(seen))
    })
}

fn ten_more_end(stack: &mut Stack, api: &str) -> Result<()> {
    stack.send_more(10)?;
    stack.wait_ended(api)
}

#[test]
fn an_inbox_that_is_changed_under_a_node_is_noticed_while_it_runs() -> Result<()> {
    let mut stack = Stack::start(&[])?;
    let api = stack.wait_ready()?;
    let admin = Admin::of(&stack)?;
    ten_more_end(&mut stack, &api)?;

    admin.set("retention.ms", "604800000")?;
    let seen = wait_all(&mut stack, "a halt for the retention", |seen| seen.halted().is_some())?;
    let reason = seen[0].halted().unwrap_or_default();
    ensure!(reason.contains("retention.ms is 604800000, it must be -1") && reason.contains("--add-config"), "{reason}");
    stack.send_more(10)?;
    admin.set("retention.ms", "-1")?;
    wait_all(&mut stack, "going on by itself", Seen::is_live)?;
    stack.wait_ended(&api)?;

    // What was folded is gone from one partition's log: nothing stops, and nobody can miss it.
    let folded = stack.coordinators[0].partitions()?[1].position;
    admin.delete_records(1, folded - 1)?;
    let said = stack
        .wait("a word of the deleted records", |stack| Ok(stack.coordinators[0].partitions()?.remove(1).trouble))?;
    ensure!(said.contains(&format!("partition 1 begins at offset {}", folded - 1)), "{said}");
    ten_more_end(&mut stack, &api)?;
    ensure!(stack.coordinators[0].partitions()?.iter().all(Seen::is_live), "a partition is no longer live");
    // What the log began with is known from its copy.
    stack.stop_coordinator()?;
    stack.start_coordinator(None)?;
    let api = stack.wait_ready()?;
    ten_more_end(&mut stack, &api)?;

    admin.add_partition()?;
    let seen = wait_all(&mut stack, "a halt for the partition", |seen| seen.halted().is_some())?;
    let reason = seen[0].halted().unwrap_or_default();
    ensure!(reason.contains("the number of partitions is 5, it must be 4"), "{reason}");
    let wrong = stack.differences(&api);
    ensure!(wrong.is_err(), "a halted partition answers as if nothing had happened");
    stack.done();
    Ok(())
}

#[test]
fn records_deleted_before_they_were_folded_halt_their_partition_and_no_other() -> Result<()> {
    let mut stack = Stack::start(&[])?;
    let api = stack.wait_ready()?;
    let admin = Admin::of(&stack)?;
    ten_more_end(&mut stack, &api)?;
    let folded = stack.coordinators[0].partitions()?[2].position;
    // While it is stalled, others write what nobody folds. The first record still answers the fetch that it waits with.
    stack.coordinators[0].process().stall()?;
    admin.append(2, 1)?;
    admin.append(2, 100)?;
    admin.delete_records(2, folded + 91)?;
    stack.coordinators[0].process().wake()?;
    let seen = stack.wait("a halt of partition 2", |stack| {
        let seen = stack.coordinators[0].partitions()?;
        Ok(seen[2].halted().is_some().then_some(seen))
    })?;
    let reason = seen[2].halted().unwrap_or_default();
    ensure!(reason.contains("partition 2 is ahead of its log") || reason.contains("lost records"), "{reason}");
    ensure!(seen.iter().filter(|seen| seen.partition != 2).all(|seen| seen.halted().is_none()), "{seen:?}");
    stack.done();
    Ok(())
}

/// What the doctor says of the ingress of a node that runs: the verdict, and why.
fn doctor_of_ingress(stack: &Stack, api: &str) -> Result<String> {
    let port = api.rsplit(':').next().context("an API has a port")?;
    let config = std::fs::read_to_string(stack.dir().join("coordinator.toml"))?;
    std::fs::write(stack.dir().join("doctor.toml"), config.replace("port = 0", &format!("port = {port}")))?;
    let ran = stack.ran(&["doctor", "--config", "doctor.toml", "--json"])?;
    let findings: Vec<serde_json::Value> = serde_json::from_slice(&ran.stdout)?;
    let ingress = findings.iter().find(|finding| finding["what"] == "ingress").context("it looks at ingress")?;
    let text = |name: &str| ingress[name].as_str().context("a finding is text");
    Ok(format!("{}: {}", text("verdict")?, text("says")?))
}

#[test]
fn orders_that_were_deleted_while_no_node_ran_are_counted_and_later_ones_are_read() -> Result<()> {
    let mut stack = Stack::start(&[])?;
    let api = stack.wait_ready()?;
    ten_more_end(&mut stack, &api)?;
    stack.stop_coordinator()?;
    stack.send_more(20)?;
    let log = KafkaLog::connect(Broker::shared().bootstrap(), &BTreeMap::new())?;
    let topic = format!("{}orders", stack.prefix());
    for partition in 0..log.topic(&topic)?.context("orders have a topic")?.partitions {
        log.delete_below(&topic, partition, bounds(&log, &topic, partition)?.1)?;
    }

    for life in 1..=2 {
        stack.start_coordinator(None)?;
        let api = stack.wait_ready()?;
        stack.send_more(10)?;
        stack.wait("the later orders' end", |stack| Ok((stack.ended(&api)? >= 10 + 10 * life).then_some(())))?;
        let ingress = get(&format!("{api}/v1/status"))?["ingress"].take();
        let lost: u64 =
            ingress["lost"].as_array().into_iter().flatten().filter_map(|lost| lost["events"].as_u64()).sum();
        ensure!(lost == if life == 1 { 20 } else { 0 }, "life {life}: {ingress}");
        let told =
            ingress["trouble"].as_str().is_some_and(|trouble| trouble.contains("were deleted before they were read"));
        ensure!(told == (life == 1), "life {life}: {ingress}");
        let doctor = doctor_of_ingress(&stack, &api)?;
        let verdict =
            if life == 1 { "look: 20 events were lost before they were read" } else { "well: no domain topic" };
        ensure!(doctor.starts_with(verdict), "life {life}: {doctor}");
        stack.stop_coordinator()?;
    }
    stack.done();
    Ok(())
}
