//! The log of one process for other processes of this machine: how participants reach the embedded log of `sagaline dev`. Never
//! beyond the loopback interface, and no broker: it ends with the process that serves it.

mod client;
mod frame;
mod line;
mod producer;
mod server;
mod session;

use std::net::SocketAddr;

pub use self::client::LoopbackLog;
pub use self::server::{Server, serve};
use crate::LogError;

fn io_error(address: SocketAddr, error: &std::io::Error) -> LogError {
    LogError::Io { place: format!("loopback {address}"), detail: error.to_string() }
}

fn check_loopback(address: SocketAddr) -> Result<(), LogError> {
    match address.ip().is_loopback() {
        true => Ok(()),
        false => Err(not_loopback(&address.to_string())),
    }
}

fn not_loopback(address: &str) -> LogError {
    LogError::Address {
        address: address.to_owned(),
        detail: "a loopback log is at 127.0.0.1:PORT or [::1]:PORT".to_owned(),
    }
}
