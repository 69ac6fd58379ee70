//! CPU time and memory of processes, from /proc.

use std::fs;

use anyhow::{Context, Result};

/// Linux counts in hundredths of a second towards programs, whatever the kernel's own tick.
const TICKS_PER_SECOND: f64 = 100.0;

/// What processes use from one moment to another.
pub struct Meter<const N: usize> {
    pids: [Option<u32>; N],
    before: [Option<f64>; N],
}

impl<const N: usize> Meter<N> {
    /// # Errors
    /// When a process is not there.
    pub fn begin(pids: [Option<u32>; N]) -> Result<Self> {
        Ok(Self { pids, before: used(pids)? })
    }

    /// Seconds of each since `begin`; none where there is no process.
    ///
    /// # Errors
    /// When a process is no longer there.
    pub fn spent(self) -> Result<[Option<f64>; N]> {
        let mut spent = used(self.pids)?;
        for (after, before) in spent.iter_mut().zip(self.before) {
            *after = after.zip(before).map(|(after, before)| after - before);
        }
        Ok(spent)
    }
}

fn used<const N: usize>(pids: [Option<u32>; N]) -> Result<[Option<f64>; N]> {
    let mut used = [None; N];
    for (used, pid) in used.iter_mut().zip(pids) {
        *used = pid.map(seconds).transpose()?;
    }
    Ok(used)
}

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

/// Bytes of a process that are in memory.
///
/// # Errors
/// When the process is not there.
pub fn resident(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_some_of_both() {
        let pid = std::process::id();
        assert!(resident(pid).unwrap() > 1 << 20);
        let (before, mut sum) = (seconds(pid).unwrap(), 0_u64);
        while seconds(pid).unwrap() == before {
            sum = std::hint::black_box(sum + 1);
        }
        let [none, some] = Meter::begin([None, Some(pid)]).unwrap().spent().unwrap();
        assert!(none.is_none() && some.unwrap() >= 0.0);
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        assert!(seconds(u32::MAX).unwrap_err().to_string().contains("/proc/4294967295/stat"));
    }
}
