//! The network between brokers: each is reached by a proxy, which knows by the hello who has dialled, and can hold back, delay or
//! end what goes from one to another.

use std::collections::HashMap;
use std::io::{Read, Result, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Where the dialler's node id is in its first message (docs/formats/node-frame.md): after the length, the magic and the version.
const NODE_ID_AT: usize = 4 + 8 + 2;

/// What happens to the bytes from one broker to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Whole,
    /// Nothing arrives, and nobody is told.
    Silent,
    Slow(Duration),
}

/// All links of a cluster.
#[derive(Default)]
pub struct Network {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Those that are not whole, by the broker that sends and the one that receives.
    links: HashMap<(u32, u32), Link>,
    /// Connections by their number.
    open: HashMap<u64, Open>,
    connections: u64,
}

struct Open {
    ends: (u32, u32),
    streams: [TcpStream; 2],
}

impl Network {
    /// Serves those who dial a broker, until the test ends.
    pub fn serve(self: &Arc<Network>, broker: u32, listener: TcpListener, upstream: u16) {
        let network = Arc::clone(self);
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let network = Arc::clone(&network);
                // Errors are ends of connections, which is what this is for.
                thread::spawn(move || network.connect(connection, broker, upstream));
            }
        });
    }

    /// What goes from one broker to another from now on.
    pub fn set(&self, from: u32, to: u32, link: Link) {
        let mut state = self.state.lock().unwrap();
        state.links.insert((from, to), link);
        self.changed.notify_all();
    }

    /// Ends the connections between two brokers.
    pub fn reset(&self, one: u32, other: u32) {
        let mut state = self.state.lock().unwrap();
        for open in state.open.values_mut() {
            if open.ends == (one, other) || open.ends == (other, one) {
                for stream in &open.streams {
                    // The other side may have gone away.
                    let _ = stream.shutdown(Shutdown::Both);
                }
            }
        }
    }

    fn connect(&self, mut from: TcpStream, broker: u32, upstream: u16) -> Result<()> {
        from.set_nodelay(true)?;
        let mut head = [0; NODE_ID_AT + 4];
        from.read_exact(&mut head)?;
        let [.., a, b, c, d] = head;
        let dialler = u32::from_le_bytes([a, b, c, d]);
        self.pass_when_whole(dialler, broker);
        let mut to = TcpStream::connect(("127.0.0.1", upstream))?;
        to.set_nodelay(true)?;
        to.write_all(&head)?;
        let number = self.opened(Open {
            ends: (dialler, broker),
            streams: [from.try_clone()?, to.try_clone()?],
        });
        let passed = thread::scope(|scope| {
            scope.spawn(|| self.pass(&to, &from, broker, dialler));
            self.pass(&from, &to, dialler, broker)
        });
        self.state.lock().unwrap().open.remove(&number);
        passed
    }

    fn opened(&self, open: Open) -> u64 {
        let mut state = self.state.lock().unwrap();
        state.connections += 1;
        let number = state.connections;
        state.open.insert(number, open);
        number
    }

    fn pass(
        &self,
        mut from: &TcpStream,
        mut to: &TcpStream,
        sender: u32,
        receiver: u32,
    ) -> Result<()> {
        let mut buffer = [0; 64 << 10];
        let passed = loop {
            match from.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(read) => {
                    self.pass_when_whole(sender, receiver);
                    if let Err(error) = to.write_all(&buffer[..read]) {
                        break Err(error);
                    }
                }
                Err(error) => break Err(error),
            }
        };
        for end in [from, to] {
            let _ = end.shutdown(Shutdown::Both);
        }
        passed
    }

    /// Waits as the link demands.
    fn pass_when_whole(&self, from: u32, to: u32) {
        let mut state = self.state.lock().unwrap();
        loop {
            match state.links.get(&(from, to)) {
                Some(Link::Silent) => state = self.changed.wait(state).unwrap(),
                Some(Link::Slow(delay)) => {
                    let delay = *delay;
                    drop(state);
                    thread::sleep(delay);
                    return;
                }
                Some(Link::Whole) | None => return,
            }
        }
    }
}
