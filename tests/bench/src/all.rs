//! Everything that is told of Sagaline's speed, in one run: the figures R1 to R7 beside their targets, the sanity check of the baseline, plots.
//! A figure that misses its target is printed as missed; it is no failure of the run.

mod figures;
mod growth;
mod plots;
mod table;
mod words;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use anyhow::{Context, Result, ensure};
use sagaline_node::calendar::rfc3339;
use serde::Serialize;

use crate::place::Place;
use crate::raw::produce::{self, Sanity};
use crate::refold::{self, Refold};
use crate::slice::installation::{Installation, Plan};
use crate::slice::{self, Level, Time};
use crate::timers::{self, Timers};
use crate::waiting::{self, Waiting};
use crate::work::Work;
use figures::Figure;
use growth::Growth;
use words::grouped;

/// Records of the sanity check for each second that is measured.
const SANITY: u64 = 50_000;

/// `all`
#[derive(clap::Args)]
pub struct Options {
    /// Each of `kafka://HOST:PORT` and `embedded` that is to be measured on
    #[arg(long, value_delimiter = ',', required = true)]
    log: Vec<Place>,
    /// How often; the middle one counts
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Sagas in flight: the first and the last are measured in full, those between for a third of the time
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64, 512])]
    in_flight: Vec<u32>,
    /// Seconds measured
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Seconds before that
    #[arg(long, default_value_t = 10)]
    warm_up: u64,
    /// Sagas that wait, for R5 and for the restart of R6
    #[arg(long, default_value_t = 100_000)]
    waiting: u32,
    /// Also measures what a step costs as work grows
    #[arg(long)]
    growth: bool,
    /// Sagas that wait beside, when work grows
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 100_000, 1_000_000])]
    live: Vec<u32>,
    /// scripts/kafka, for the sanity check of the baseline by kafka-producer-perf-test; none: no check
    #[arg(long)]
    kafka: Option<PathBuf>,
    /// The commit that this was built from, to be told with the figures
    #[arg(long, default_value = "")]
    commit: String,
    /// Where bench.json and the plots go
    #[arg(long)]
    out: PathBuf,
}

/// Everything once, on one log.
#[derive(Serialize)]
pub struct Run {
    pub levels: Vec<Level>,
    /// With `events` telling of every step.
    pub every_step: Option<slice::Figures>,
    pub refold: Option<Refold>,
    pub waiting: Waiting,
    pub timers: Timers,
    pub sanity: Option<Sanity>,
}

impl Run {
    /// The level of that load.
    pub fn at(&self, in_flight: u32) -> Option<&Level> {
        self.levels.iter().find(|level| level.slice.in_flight == in_flight)
    }

    pub fn most_in_flight(&self) -> u32 {
        self.levels.iter().map(|level| level.slice.in_flight).max().unwrap_or_default()
    }
}

/// All that was measured on one log.
#[derive(Serialize)]
struct Report {
    log: String,
    figures: Vec<Figure>,
    runs: Vec<Run>,
    growth: Option<Growth>,
}

/// What bench.json holds.
#[derive(Serialize)]
struct Bench<'a> {
    commit: &'a str,
    date: &'a str,
    cores: usize,
    /// The machine's load of the last minute, before anything began.
    load_before: &'a str,
    time: Time,
    logs: Vec<Report>,
}

/// Measures, prints the tables and writes them down.
///
/// # Errors
/// When a log does not answer, a process ends early, a saga ends as it should not, or the files can't be written.
pub fn run(options: &Options) -> Result<()> {
    ensure!(!options.in_flight.is_empty(), "no load was asked for");
    std::fs::create_dir_all(&options.out).with_context(|| options.out.display().to_string())?;
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let load_before = load.split(' ').next().unwrap_or_default();
    let date = rfc3339(sagaline_log::clock::Clock::wall(&sagaline_log::clock::SystemClock));
    let (cores, time) = (available_parallelism()?.get(), options.full());
    let mut bench = Bench { commit: &options.commit, date: &date[..10], cores, load_before, time, logs: Vec::new() };
    let note = format!("commit {}, {}, {cores} cores, load {load_before} before", bench.commit, bench.date);
    println!("{note}; {} s measured after {} s", time.seconds, time.warm_up);
    for place in &options.log {
        let mut report = Report { log: place.to_string(), figures: Vec::new(), runs: Vec::new(), growth: None };
        for number in 1..=options.runs {
            let say = |what: &str| eprintln!("bench: {place}, run {number} of {}: {what}", options.runs);
            report.runs.push(once(options, place, &say)?);
        }
        if options.growth {
            let say = |what: &str| eprintln!("bench: {place}, {what}");
            report.growth = Some(growth::measure(place, &options.live, options.brief(), say)?);
        }
        report.figures = figures::of(&report.runs);
        print(&report)?;
        draw(options, place, &report, &note)?;
        bench.logs.push(report);
        // After each log: what was measured is not to be lost.
        write(&options.out, "bench.json", &serde_json::to_vec_pretty(&bench)?)?;
    }
    println!("\nwritten to {}: bench.json, latency-*.svg{}", options.out.display(), growth_word(options));
    Ok(())
}

fn growth_word(options: &Options) -> &'static str {
    if options.growth { ", growth-*.svg" } else { "" }
}

impl Options {
    fn full(&self) -> Time {
        Time { warm_up: self.warm_up, seconds: self.seconds }
    }

    /// For what is drawn and has no target.
    fn brief(&self) -> Time {
        Time { warm_up: self.warm_up.div_ceil(2), seconds: self.seconds.div_ceil(3) }
    }
}

fn once(options: &Options, place: &Place, say: &dyn Fn(&str)) -> Result<Run> {
    let sanity = match (place, &options.kafka) {
        (Place::Kafka(bootstrap), Some(kafka)) => {
            say("kafka-producer-perf-test beside our client");
            let records = u32::try_from(SANITY * options.seconds)?;
            Some(produce::measure(kafka, &format!("kafka://{bootstrap}"), records)?)
        }
        _ => None,
    };
    let (mut levels, mut refold) = (Vec::new(), None);
    let (first, last) = (options.in_flight[0], options.in_flight[options.in_flight.len() - 1]);
    for &in_flight in &options.in_flight {
        let time = if in_flight == first || in_flight == last { options.full() } else { options.brief() };
        say(&format!("the raw pass-through, {in_flight} in flight"));
        let raw = slice::raw_beside(place, in_flight, time)?;
        say(&format!("Sagaline, {in_flight} in flight"));
        let mut installation = orders(place, false)?;
        levels.push(Level { raw, slice: slice::measure(&mut installation, Work::Order, in_flight, time)? });
        if in_flight == last {
            say("its log, folded anew");
            refold = Some(refold::measure(&mut installation)?);
        }
    }
    say("Sagaline with every step told of in events");
    let every_step = Some(slice::measure(&mut orders(place, true)?, Work::Order, last, options.brief())?);
    say(&format!("{} sagas that wait", grouped(options.waiting.into())));
    let waiting = waiting::measure(place, options.waiting)?;
    say("timers");
    let timers = timers::measure(place, options.brief())?;
    Ok(Run { levels, every_step, refold, waiting, timers, sanity })
}

fn orders(place: &Place, every_step: bool) -> Result<Installation> {
    Installation::start(Plan { place: place.clone(), partitions: 4, work: vec![Work::Order], every_step })
}

fn print(report: &Report) -> Result<()> {
    let mut out = anstream::stdout().lock();
    let several = if report.runs.len() > 1 {
        format!(", {} runs: the middle one, and the range", report.runs.len())
    } else {
        String::new()
    };
    writeln!(out, "\nOn {}{several}\n{}", report.log, table::table(&report.figures))?;
    for sanity in report.runs.iter().filter_map(|run| run.sanity.as_ref()) {
        let Sanity { records, raw, perf_test } = sanity;
        writeln!(
            out,
            "sanity check of the baseline: {} records of 256 bytes, {} a second by the raw pass-through's client, {} by kafka-producer-perf-test: {:.2}, {}",
            grouped(f64::from(*records)),
            grouped(*raw),
            grouped(*perf_test),
            sanity.ratio(),
            sanity.verdict(),
        )?;
    }
    Ok(())
}

fn draw(options: &Options, place: &Place, report: &Report, note: &str) -> Result<()> {
    let name = match place {
        Place::Kafka(_) => "kafka",
        Place::Embedded => "embedded",
    };
    let mut runs: Vec<&Run> = report.runs.iter().collect();
    runs.sort_by(|a, b| most_steps(a).total_cmp(&most_steps(b)));
    let latency = plots::latency(runs[(runs.len() - 1) / 2], &report.log, note);
    write(&options.out, &format!("latency-{name}.svg"), latency.svg().as_bytes())?;
    if let Some(growth) = &report.growth {
        let growth = plots::growth(growth, &report.log, note);
        write(&options.out, &format!("growth-{name}.svg"), growth.svg().as_bytes())?;
    }
    Ok(())
}

fn most_steps(run: &Run) -> f64 {
    run.at(run.most_in_flight()).map_or(0.0, |level| level.slice.steps_per_second)
}

fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = dir.join(name);
    std::fs::write(&path, bytes).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests;
