//! A way to a server over TCP, at which a host can vanish: what is sent is taken and never answered, as after a loss of power. Knows of the protocol only
//! that statements are sent as text.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

/// Listens on loopback and passes everything on to one server.
#[derive(Debug)]
pub struct Door {
    url: String,
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    /// Of all connections that were ever made: whether it is silent.
    connections: Mutex<Vec<Arc<AtomicBool>>>,
    /// Whose answer is to be lost, once.
    fatal: Mutex<Option<&'static str>>,
}

impl Door {
    /// To the server with its socket in this directory.
    ///
    /// # Errors
    /// When no port is free.
    pub fn to(directory: &Path) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (port, shared) = (listener.local_addr()?.port(), Arc::<Shared>::default());
        let (target, with) = (directory.join(".s.PGSQL.5432"), Arc::clone(&shared));
        thread::Builder::new().name("door".to_owned()).spawn(move || accept(&listener, &target, &with))?;
        Ok(Self { url: format!("postgres://postgres@127.0.0.1:{port}/postgres"), port, shared })
    }

    /// The server's database by this way.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Nothing is answered any more to whoever is connected. Who connects from now on finds the server, as after a failover to another host that takes
    /// the address over.
    pub fn vanish(&self) {
        let connections = self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.iter().for_each(|silent| silent.store(true, Ordering::SeqCst));
    }

    /// The next statement that has these words is done, and whoever sent it hears nothing any more.
    pub fn lose_the_answer_to(&self, words: &'static str) {
        *self.shared.fatal.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
    }

    /// Whether the answer that was to be lost is lost.
    #[must_use]
    pub fn has_lost(&self) -> bool {
        self.shared.fatal.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // The listener waits in `accept`: it is told by a last connection. Where none is to be had, nobody can come by it either.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

impl Shared {
    fn is_fatal(&self, bytes: &[u8]) -> bool {
        let mut fatal = self.fatal.lock().unwrap_or_else(PoisonError::into_inner);
        let met = fatal.is_some_and(|words| bytes.windows(words.len()).any(|window| window == words.as_bytes()));
        if met {
            *fatal = None;
        }
        met
    }
}

fn accept(listener: &TcpListener, target: &Path, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.over.load(Ordering::SeqCst) {
            return;
        }
        // Whoever can't be served sees a connection that is closed, and comes again.
        if let Err(error) = client.map_err(Into::into).and_then(|client| serve(&client, target, shared)) {
            eprintln!("a connection through the door failed: {error}");
        }
    }
}

fn serve(client: &TcpStream, target: &Path, shared: &Arc<Shared>) -> Result<()> {
    let server = UnixStream::connect(target).with_context(|| target.display().to_string())?;
    client.set_nodelay(true)?;
    let silent = Arc::<AtomicBool>::default();
    shared.connections.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&silent));
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    let (asking, with, mute) = (thread::Builder::new(), Arc::clone(shared), Arc::clone(&silent));
    asking.spawn(move || {
        carry(&from, &to, &mute, |bytes| {
            if with.is_fatal(bytes) {
                // Before it is sent: its answer must not be quicker.
                mute.store(true, Ordering::SeqCst);
                return true;
            }
            !mute.load(Ordering::SeqCst)
        });
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    })?;
    let (from, to) = (server, client.try_clone()?);
    thread::Builder::new().spawn(move || {
        carry(&from, &to, &silent, |_| !silent.load(Ordering::SeqCst));
        // A host that has vanished closes nothing.
        if !silent.load(Ordering::SeqCst) {
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        }
    })?;
    Ok(())
}

/// One direction, until its side ends it; what does not pass is swallowed.
fn carry(mut from: impl Read, mut to: impl Write, silent: &AtomicBool, passes: impl Fn(&[u8]) -> bool) {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let read = match from.read(&mut bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        if passes(&bytes[..read]) && to.write_all(&bytes[..read]).is_err() && !silent.load(Ordering::SeqCst) {
            return;
        }
    }
}
