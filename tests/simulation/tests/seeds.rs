//! Many seeds: every invariant that can be seen from outside holds in each of them. `SEED=n` plays one run and tells all about it,
//! `SEEDS=2000` plays so many.

use std::collections::BTreeMap;

use sagaline_simulation::{Totals, Violation, coverage, simulate, simulate_outage};

/// What a plain `cargo test` plays.
const FEW: u64 = 200;
const THREADS: u64 = 2;

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}

/// Each run is one thread's; runs share nothing.
fn play(seeds: u64) -> Result<Vec<Totals>, Violation> {
    std::thread::scope(|scope| {
        let worker = |first: u64| (first..seeds).step_by(THREADS as usize).map(|seed| simulate(seed, None)).collect();
        let workers: Vec<_> = (0..THREADS).map(|first| scope.spawn(move || worker(first))).collect();
        let parts: Result<Vec<Vec<Totals>>, Violation> = workers
            .into_iter()
            .map(|worker| worker.join().expect("a run gives a violation, it does not panic"))
            .collect();
        Ok(parts?.into_iter().flatten().collect())
    })
}

#[test]
fn every_seed_holds_what_is_promised() {
    if let Some(seed) = number("SEED") {
        let totals = simulate(seed, None).unwrap_or_else(|violation| panic!("{violation}"));
        return println!("{totals:#?}");
    }
    let runs = play(number("SEEDS").unwrap_or(FEW)).unwrap_or_else(|violation| panic!("{violation}"));
    print(&runs);
    let struck = |kind: &str| runs.iter().any(|run| run.faults.contains_key(kind));
    let seen = |kind: &str| runs.iter().any(|run| run.seen.get(kind).is_some_and(|times| *times > 0));
    for said in coverage::keywords().into_iter().chain(coverage::places()) {
        assert!(
            runs.iter().any(|run| run.said.contains_key(&said)),
            "`{said}` was never drawn: the runs show less than they say"
        );
    }
    for kind in [
        "attempts again",
        "undoing attempts again",
        "nothing was there to undo",
        "child sagas",
        "people acted",
        "commands that met an outage",
    ] {
        assert!(seen(kind), "{kind}: never seen, so the runs show less than they say");
    }
    for kind in ["coordinator crashed", "coordinator asleep", "answer lost", "forged record", "old record comes again"]
    {
        assert!(struck(kind), "{kind} never struck: the runs show less than they say");
    }
}

#[test]
fn a_seed_repeats_a_run() {
    let run = || format!("{:?}", simulate(7, None).unwrap_or_else(|violation| panic!("{violation}")));
    assert_eq!(run(), run());
}

#[test]
fn after_an_outage_of_four_hours_nothing_times_out_that_the_backlog_answers() {
    let totals = simulate_outage(1, 25).unwrap_or_else(|violation| panic!("{violation}"));
    assert_eq!(totals.sagas(), 25);
    assert!(totals.lasted > 4 * 3_600_000);
}

fn print(runs: &[Totals]) {
    let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
    let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    let mut said: BTreeMap<&str, u64> = BTreeMap::new();
    for run in runs {
        run.seen.iter().for_each(|(kind, times)| *seen.entry(kind).or_default() += times);
        run.faults.iter().for_each(|(kind, times)| *faults.entry(kind).or_default() += times);
        run.said.iter().for_each(|(what, times)| *said.entry(what).or_default() += times);
        run.ends.iter().for_each(|(end, times)| *ends.entry(end).or_default() += times);
    }
    println!("{} seeds", runs.len());
    println!(
        "a run's median: {} sagas, {} inputs, {} outputs, {} faults, {} virtual seconds",
        median(runs, Totals::sagas),
        median(runs, |run| run.inputs),
        median(runs, |run| run.outputs),
        median(runs, Totals::struck),
        median(runs, |run| run.lasted as u64 / 1000)
    );
    faults.iter().for_each(|(kind, times)| println!("{times:>9}  fault: {kind}"));
    seen.iter().for_each(|(kind, times)| println!("{times:>9}  seen: {kind}"));
    ends.iter().for_each(|(end, times)| println!("{times:>9}  sagas: {end}"));
    said.iter().for_each(|(said, times)| println!("{times:>9}  drawn: {said}"));
}

fn median(runs: &[Totals], of: impl Fn(&Totals) -> u64) -> u64 {
    let mut numbers: Vec<u64> = runs.iter().map(of).collect();
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().unwrap_or(0)
}
