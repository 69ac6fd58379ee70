//! Performance figures, printed beside a baseline of the same run. What is measured here is never linked into a product.

mod cpu;
mod fold;
mod latency;
mod order;
mod process;
mod raw;
mod slice;

use clap::Parser;

/// As in the program `sagaline`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "sagaline-bench", about = "Measures Sagaline beside the log without it")]
enum Command {
    /// The log alone: a driver, a relay in the coordinator's place and a participant pass the order workload's records on.
    Raw(raw::Options),
    /// The order workload through the real coordinator; on Kafka beside the log alone.
    Slice(slice::Options),
    /// The fold alone, on a log made beforehand.
    Fold(fold::Options),
    /// One process of `raw`.
    #[command(hide = true)]
    RawRole(raw::role::Options),
    /// One process of `slice`.
    #[command(hide = true)]
    SliceRole(slice::role::Options),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Raw(options) => raw::run(&options),
        Command::Slice(options) => slice::run(&options),
        Command::Fold(options) => fold::run(&options),
        Command::RawRole(options) => raw::role::run(&options),
        Command::SliceRole(options) => slice::role::run(&options),
    }
}
