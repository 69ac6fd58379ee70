//! Performance figures, printed beside a baseline of the same run. What is measured here is never linked into a product.

mod all;
mod chart;
mod cpu;
mod fold;
mod latency;
mod place;
mod process;
mod raw;
mod refold;
mod slice;
mod timers;
mod waiting;
mod work;

use clap::Parser;

/// As in the program `sagaline`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "sagaline-bench", about = "Measures Sagaline beside the log without it")]
enum Command {
    /// The figures R1 to R7 beside their targets, the sanity check of the baseline, plots.
    All(all::Options),
    /// The log alone: a driver, a relay in the coordinator's place and a participant pass the order workload's records on.
    Raw(raw::Options),
    /// The order workload through the real coordinator; beside the log alone.
    Slice(slice::Options),
    /// The fold alone, on a log made beforehand.
    Fold(fold::Options),
    /// How late timers fire, with a thousand due each second.
    Timers(timers::Options),
    /// One process of `raw`.
    #[command(hide = true)]
    RawRole(raw::role::Options),
    /// One process of `slice`.
    #[command(hide = true)]
    SliceRole(slice::role::Options),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::All(options) => all::run(&options),
        Command::Timers(options) => timers::run(&options),
        Command::Raw(options) => raw::run(&options),
        Command::Slice(options) => slice::run(&options),
        Command::Fold(options) => fold::run(&options),
        Command::RawRole(options) => raw::role::run(&options),
        Command::SliceRole(options) => slice::role::run(&options),
    }
}
