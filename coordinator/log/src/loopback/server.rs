//! Accepts connections on the loopback interface and gives each a thread. What is said on them is `session.rs`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::session::converse;
use super::{check_loopback, io_error};
use crate::{Log, LogError};

/// Connections at a time, two descriptors each. A participant needs a handful.
const MAX_CONNECTIONS: usize = 256;
/// Between two tries while the system gives no descriptor for a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// A log being served; ends when dropped, and every connection with it.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    log: Arc<dyn Log>,
    stopped: AtomicBool,
    connections: Mutex<BTreeMap<u64, Connection>>,
}

struct Connection {
    stream: TcpStream,
    thread: JoinHandle<()>,
}

impl Shared {
    fn connections(&self) -> MutexGuard<'_, BTreeMap<u64, Connection>> {
        self.connections.lock().expect("nothing panics with the connections in hand")
    }
}

/// Serves `log` to whoever connects.
///
/// # Errors
/// `Address` when the listener is bound beyond the loopback interface; `Io` when it can't be listened to.
pub fn serve(listener: TcpListener, log: Arc<dyn Log>) -> Result<Server, LogError> {
    let unbound = SocketAddr::from(([0; 4], 0));
    let address = listener.local_addr().map_err(|error| io_error(unbound, &error))?;
    check_loopback(address)?;
    let shared = Arc::new(Shared { log, stopped: AtomicBool::new(false), connections: Mutex::default() });
    let accepting = shared.clone();
    let thread = Builder::new().name("loopback".to_owned()).spawn(move || accept(&listener, &accepting));
    let accepting = Some(thread.map_err(|error| io_error(address, &error))?);
    Ok(Server { address, shared, accepting })
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for number in 0.. {
        let accepted = listener.accept();
        if shared.stopped.load(Ordering::Acquire) {
            return;
        }
        if accepted.is_err() {
            std::thread::sleep(PAUSE);
        }
        let begun = accepted.and_then(|(stream, peer)| begin(shared, number, stream, peer));
        if let Err(error) = begun {
            tracing::warn!(%error, "a loopback connection could not be accepted");
        }
    }
}

fn begin(shared: &Arc<Shared>, number: u64, stream: TcpStream, peer: SocketAddr) -> std::io::Result<()> {
    // Ended connections leave their threads behind to be joined: here, where new ones come.
    let ended: Vec<_> = shared.connections().extract_if(.., |_, connection| connection.thread.is_finished()).collect();
    ended.into_iter().for_each(|(_, connection)| join(connection.thread));
    let mut connections = shared.connections();
    if connections.len() >= MAX_CONNECTIONS || !peer.ip().is_loopback() {
        return Err(std::io::Error::other(format!("{peer} is one too many, or not of this machine")));
    }
    stream.set_nodelay(true)?;
    let (ours, log) = (stream.try_clone()?, shared.log.clone());
    let thread = Builder::new().name(format!("loopback-{number}")).spawn(move || {
        if let Err(error) = converse(&stream, log.as_ref()) {
            tracing::info!(%peer, %error, "a loopback connection ended");
        }
        // The other handle of this socket lives on with the server: without this the client would wait for ever.
        let _closed_already = stream.shutdown(Shutdown::Both);
    })?;
    connections.insert(number, Connection { stream: ours, thread });
    Ok(())
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a loopback connection's thread panicked");
    }
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // Wakes the thread that accepts; it sees the mark even if this fails because somebody else just connected.
        let _woken = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            join(accepting);
        }
        let connections = std::mem::take(&mut *self.shared.connections());
        for (_, Connection { stream, thread }) in connections {
            let _closed_already = stream.shutdown(Shutdown::Both);
            join(thread);
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}
