//! Faults around a handler's work: before the effect, between effect and answer, at the answer. Which effect meets which fault follows from its
//! input and its id alone, so that a demonstration can say beforehand what must come of it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sagaline_participant::{Effect, HandlerError};
use sagaline_schemas::EffectId;

use crate::Switches;
use crate::book::Act;
use crate::simulate::{self, Fault};

/// What a service's work brought.
pub struct Acted<T> {
    /// What became of the effect.
    pub act: Act,
    /// The result.
    pub result: T,
}

/// The faults of one service.
pub struct Faults {
    switches: Switches,
    /// Effects whose next answer is lost.
    losing: Mutex<BTreeSet<EffectId>>,
    down: Mutex<Down>,
}

/// Down once, after a number of commands.
enum Down {
    Never,
    After { commands: u64, how_long: Duration },
    Until(Instant),
}

impl Faults {
    /// As the command line says.
    pub fn new(switches: Switches) -> Self {
        let down = match (switches.down_after, switches.down_for) {
            (Some(commands), Some(how_long)) => Down::After { commands, how_long },
            (Some(_) | None, None) | (None, Some(_)) => Down::Never,
        };
        Self { switches, losing: Mutex::default(), down: Mutex::new(down) }
    }

    /// Does the work off the async threads, with the faults of this effect around it. `refusal` is the code for simulated refusals.
    ///
    /// # Errors
    /// The work's own, or a simulated one.
    pub async fn around<T: Send + 'static>(
        &self,
        effect: &Effect,
        simulate: Option<&str>,
        refusal: &str,
        work: impl FnOnce() -> Result<Acted<T>, HandlerError> + Send + 'static,
    ) -> Result<T, HandlerError> {
        self.around_task(effect, simulate, refusal, async { tokio::task::spawn_blocking(work).await? }).await
    }

    /// As `around`, for work that never blocks.
    ///
    /// # Errors
    /// The work's own, or a simulated one.
    pub async fn around_task<T>(
        &self,
        effect: &Effect,
        simulate: Option<&str>,
        refusal: &str,
        work: impl Future<Output = Result<Acted<T>, HandlerError>>,
    ) -> Result<T, HandlerError> {
        let faults = self.of(effect, simulate).map_err(come_again)?;
        for fault in &faults {
            match fault {
                Fault::Slow(time) => tokio::time::sleep(*time).await,
                Fault::Fail(times) if effect.attempt() <= *times => {
                    return Err(come_again("a simulated failure".to_owned()));
                }
                Fault::Refuse => return Err(HandlerError::refused(refusal, "a simulated refusal")),
                Fault::Fail(_) | Fault::Late(_) | Fault::LoseReply | Fault::Crash => {}
            }
        }
        let Acted { act, result } = work.await?;
        for fault in &faults {
            match fault {
                Fault::Crash if act == Act::First => die(),
                Fault::Late(time) if effect.attempt() == 1 => tokio::time::sleep(*time).await,
                Fault::LoseReply if effect.attempt() == 1 => drop(self.losing().insert(effect.id())),
                Fault::Crash | Fault::Late(_) | Fault::LoseReply | Fault::Slow(_) | Fault::Fail(_) | Fault::Refuse => {}
            }
        }
        Ok(result)
    }

    /// Whether one of this effect's faults kills the process.
    ///
    /// # Errors
    /// When the words for its faults are none.
    pub fn kills(&self, effect: &Effect, simulate: Option<&str>) -> Result<bool, HandlerError> {
        Ok(self.of(effect, simulate).map_err(come_again)?.contains(&Fault::Crash))
    }

    fn of(&self, effect: &Effect, simulate: Option<&str>) -> Result<Vec<Fault>, String> {
        let mut faults = simulate::faults(simulate.unwrap_or_default(), effect.operation())?;
        let switches = &self.switches;
        let late = |_: u32| Fault::Late(switches.late_by.unwrap_or_default());
        let picked = [
            (0, switches.refuse_every.map(|n| (n, Fault::Refuse))),
            (1, switches.late_every.map(|n| (n, late(n)))),
            (2, switches.lose_reply_every.map(|n| (n, Fault::LoseReply))),
            (3, switches.crash_every.map(|n| (n, Fault::Crash))),
            (4, switches.fail_every.map(|n| (n, Fault::Fail(1)))),
        ];
        for (salt, fault) in picked {
            faults.extend(
                fault.filter(|(n, _)| draw(effect.id(), salt).is_multiple_of(u128::from(*n))).map(|(_, fault)| fault),
            );
        }
        if let Some((from, to)) = switches.slow {
            let room = (to - from).as_millis() + 1;
            faults.push(Fault::Slow(from + Duration::from_millis((draw(effect.id(), 5) % room) as u64)));
        }
        Ok(faults)
    }

    /// Whether the answer to this effect is to be lost, which happens once.
    pub(crate) fn loses(&self, effect: EffectId) -> bool {
        self.losing().remove(&effect)
    }

    /// Counts commands that were read.
    pub(crate) fn count(&self, read: usize) {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        if let Down::After { commands, how_long } = &mut *down {
            *commands = commands.saturating_sub(read as u64);
            if *commands == 0 {
                *down = Down::Until(Instant::now() + *how_long);
            }
        }
    }

    /// How much longer nothing is read.
    pub(crate) fn down_for(&self) -> Option<Duration> {
        match *self.down.lock().unwrap_or_else(PoisonError::into_inner) {
            Down::Until(until) => until.checked_duration_since(Instant::now()),
            Down::Never | Down::After { .. } => None,
        }
    }

    fn losing(&self) -> MutexGuard<'_, BTreeSet<EffectId>> {
        self.losing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn come_again(reason: String) -> HandlerError {
    HandlerError::Retry { after: None, reason }
}

/// A number that follows from the effect's id; another one for each salt.
fn draw(effect: EffectId, salt: u32) -> u128 {
    u128::from_be_bytes(*effect.as_bytes()).rotate_left(salt * 17) >> 7
}

/// SIGKILL to itself: nothing is cleaned up, nothing is flushed.
fn die() -> ! {
    // The shell's own `kill`: the program of that name is not on every machine.
    match std::process::Command::new("sh").args(["-c", "kill -9 $PPID"]).status() {
        // The signal is on its way.
        Ok(status) if status.success() => loop {
            std::thread::park();
        },
        Ok(_) | Err(_) => std::process::abort(),
    }
}
