//! A TCP proxy that can cut off everybody behind it: connections stay open and not a byte passes, as when a cable is pulled. Knows no protocol.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use anyhow::Result;

/// Listens on loopback and passes everything on to one address.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    gate: Arc<Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    Cut,
    /// The proxy is gone.
    Over,
}

impl Proxy {
    /// Before `target` there is anybody yet.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let (address, gate) = (listener.local_addr()?, Arc::new(Gate::default()));
        let passing = Arc::clone(&gate);
        thread::Builder::new().name("proxy".to_owned()).spawn(move || accept(&listener, target, &passing))?;
        Ok(Self { address, gate })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing passes.
    pub fn cut(&self) {
        self.gate.set(State::Cut);
    }

    /// What was held up passes now.
    pub fn mend(&self) {
        self.gate.set(State::Open);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.gate.set(State::Over);
        // The listener waits in `accept`: it is told by a last connection. Where none is to be had, nobody can come by it either.
        drop(TcpStream::connect(self.address));
    }
}

impl Gate {
    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.changed.notify_all();
    }

    /// Waits while it is cut. False: it is over.
    fn pass(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let cut = |state: &mut State| *state == State::Cut;
        *self.changed.wait_while(state, cut).unwrap_or_else(PoisonError::into_inner) == State::Open
    }

    fn is_over(&self) -> bool {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) == State::Over
    }
}

fn accept(listener: &TcpListener, target: SocketAddr, gate: &Arc<Gate>) {
    for client in listener.incoming() {
        if gate.is_over() {
            return;
        }
        // Whoever can't be served sees a connection that is closed, and comes again; a broker that is down is nothing to tell of.
        if let Err(error) = client.and_then(|client| serve(&client, target, gate))
            && error.kind() != std::io::ErrorKind::ConnectionRefused
        {
            eprintln!("a connection through the proxy failed: {error}");
        }
    }
}

fn serve(client: &TcpStream, target: SocketAddr, gate: &Arc<Gate>) -> std::io::Result<()> {
    let server = TcpStream::connect(target)?;
    for (from, to) in [(client, &server), (&server, client)] {
        to.set_nodelay(true)?;
        let (from, to, gate) = (from.try_clone()?, to.try_clone()?, Arc::clone(gate));
        thread::Builder::new().name("proxied".to_owned()).spawn(move || carry(from, to, &gate))?;
    }
    Ok(())
}

/// One direction, until either side ends it.
fn carry(mut from: TcpStream, mut to: TcpStream, gate: &Gate) {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let read = match from.read(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        if !gate.pass() || to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    // The other direction may have closed them already.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
