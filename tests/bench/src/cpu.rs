//! CPU time of processes, from /proc.

use std::fs;

use anyhow::{Context, Result};

/// Linux counts in hundredths of a second towards programs, whatever the kernel's own tick.
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds of CPU that a process has used, user and system.
///
/// # Errors
/// When the process is not there.
pub fn seconds(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| path.clone())?;
    // The second field is the program's name in brackets, which may hold anything.
    let (_, rest) = stat.rsplit_once(')').context("no program name")?;
    let ticks = |nth: usize| -> Result<f64> { Ok(rest.split_whitespace().nth(nth).context("too short")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

/// The broker of scripts/kafka that listens at `bootstrap`; none: it runs elsewhere.
pub fn broker(bootstrap: &str) -> Option<u32> {
    let listener = format!("PLAINTEXT://{},", bootstrap.split(',').next()?);
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let command = fs::read_to_string(entry.path().join("cmdline")).ok()?;
        let mut arguments = command.split('\0').skip_while(|argument| *argument != "kafka.Kafka");
        let properties = fs::read_to_string(arguments.nth(1)?).ok()?;
        properties.contains(&listener).then_some(pid)
    })
}
