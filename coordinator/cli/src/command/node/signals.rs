//! SIGTERM and SIGINT: heard from the first moment on, also while the node is only being begun. What has begun is then stopped cleanly; what
//! can't be waited for is left: a store is a cache, and a log takes no half records.

use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};

use crate::exit::{Exit, Failure};

/// How long a beginning that nobody wants any more is waited for.
const LAST_STEPS: Duration = Duration::from_secs(2);
/// Definitions are read there: as much as a main thread has, and more.
const STACK: usize = 16 << 20;

/// Becomes true at the first SIGTERM or SIGINT.
pub type Stop = watch::Receiver<bool>;

/// Hears the signals from now on.
///
/// # Errors
/// When the system does not let them be heard.
pub fn hear(runtime: &Runtime) -> Result<Stop, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let _inside = runtime.enter();
    let unheard = |error| Failure::new(Exit::Unreachable, format_args!("signals can't be heard: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
    let (asked, stop) = watch::channel(false);
    runtime.spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        asked.send_replace(true);
    });
    Ok(stop)
}

/// Until the stop is asked for.
pub async fn asked(stop: &mut Stop) {
    // The sender is gone only when the runtime is: that is a stop, too.
    drop(stop.wait_for(|asked| *asked).await);
}

/// What `begin` gives; none: the stop was asked for first.
///
/// # Errors
/// What `begin` fails with.
pub fn begun<T: Send + 'static>(
    runtime: &Runtime,
    stop: &Stop,
    begin: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<Option<T>, Failure> {
    let (done, mut outcome) = oneshot::channel();
    let work = move || {
        // Nobody waits any more: dropping what has begun stops it.
        drop(done.send(begin()));
    };
    let thread = thread::Builder::new().name("begin".to_owned()).stack_size(STACK).spawn(work);
    thread.map_err(|error| Failure::new(Exit::Unreachable, format_args!("the system gives no thread: {error}")))?;
    let mut stop = stop.clone();
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = &mut outcome => Some(outcome),
            () = asked(&mut stop) => {
                drop(tokio::time::timeout(LAST_STEPS, outcome).await);
                None
            }
        }
    });
    let panicked = |_| Failure::new(Exit::Halted, "beginning panicked: what stands above says where");
    outcome.map(|outcome| outcome.map_err(panicked)?).transpose()
}
