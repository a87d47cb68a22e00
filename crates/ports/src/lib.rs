//! Ports of this machine for servers that tests and the load generator start, which do not get in one another's way.
//!
//! Owns: the locks that say which ports are in use.
//!
//! Invariants:
//! - A port that was given is nobody else's until this process ends, whether or not its server runs: a broker that is killed gives
//!   its port up and takes it again.
//! - It lies below the range from which the system gives ports to outgoing connections.
//!
//! Deliberately absent: listening. Whoever asks passes the number on to a process of its own.

use std::fs::{self, File, Permissions};
use std::io::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, TcpStream};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Where the servers listen.
const PORTS: Range<u16> = 20_000..28_000;

/// Who listens and takes no connection for so long is there.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// Locks that this process holds.
static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A free port.
pub fn free_port() -> Result<u16> {
    let locks = locks()?;
    for port in PORTS {
        let lock = locks.join(port.to_string());
        let lock = File::open(&lock).or_else(|_| File::create(&lock))?;
        if lock.try_lock().is_ok() && is_free(port) {
            let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
            held.push(lock);
            return Ok(port);
        }
    }
    let text = format!("no port is free in {PORTS:?}");
    Err(Error::new(ErrorKind::AddrInUse, text))
}

/// Whether nobody listens there. It is not tried by listening: a process that another thread begins at that moment would inherit the listener,
/// and the port would be in use for a little longer.
fn is_free(port: u16) -> bool {
    let connected = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), CONNECT_MAX);
    connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// The first of so many free ports in a row.
pub fn free_port_block(count: u16) -> Result<u16> {
    'next: loop {
        let first = free_port()?;
        for next in 1..count {
            if free_port()? != first + next {
                continue 'next;
            }
        }
        return Ok(first);
    }
}

fn locks() -> Result<PathBuf> {
    let locks = std::env::temp_dir().join("skep-test-ports");
    if fs::create_dir(&locks).is_ok() {
        // For other users, too.
        fs::set_permissions(&locks, Permissions::from_mode(0o777))?;
    }
    Ok(locks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice_although_nobody_listens() {
        let mut ports: Vec<u16> = (0..20).filter_map(|_| free_port().ok()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 20);
        assert!(ports.iter().all(|port| PORTS.contains(port)));
    }

    #[test]
    fn a_port_at_which_somebody_listens_is_not_free() {
        let port = free_port().expect("there are thousands");
        assert!(is_free(port));
        let listener = std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
        assert!(!is_free(port));
        drop(listener.expect("it is free"));
    }

    #[test]
    fn a_block_is_in_a_row_and_not_given_again() {
        let first = free_port_block(3).expect("there are thousands");
        let block = first..first + 3;
        assert!((0..20).all(|_| free_port().is_ok_and(|port| !block.contains(&port))));
    }
}
