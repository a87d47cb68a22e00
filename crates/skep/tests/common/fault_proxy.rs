//! A proxy between a broker and its store that can be told to misbehave.

use std::io::{BufRead, BufReader, Read, Write, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{PATIENCE, PAUSE, free_port};

/// What the proxy does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything on.
    Pass,
    /// Passes every so many bytes on after a pause: a slow network.
    Slow { bytes: usize, pause: Duration },
    /// Takes everything in and never answers.
    Hang,
    /// Passes everything on but does not answer those who put an object whose path has this part.
    HangPut(&'static str),
    /// Answers every request with this status and body.
    Answer(&'static str, &'static str),
    /// Closes every connection at once.
    Close,
}

/// A proxy on a port of its own.
pub struct FaultProxy {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: u16,
    state: Mutex<State>,
}

struct State {
    mode: Mode,
    open: Vec<TcpStream>,
    requests_hung: usize,
}

impl FaultProxy {
    /// To a server on this machine.
    pub fn start(upstream: u16) -> FaultProxy {
        let port = free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let state = State {
            mode: Mode::Pass,
            open: Vec::new(),
            requests_hung: 0,
        };
        let shared = Arc::new(Shared {
            upstream,
            state: Mutex::new(state),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&accepting);
                thread::spawn(move || shared.serve(connection));
            }
        });
        FaultProxy { port, shared }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on; connections that are open end.
    pub fn set(&self, mode: Mode) {
        let mut state = self.shared.state.lock().unwrap();
        state.mode = mode;
        for connection in state.open.drain(..) {
            // The other side may have gone away.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Waits until a request has come that gets no answer.
    #[track_caller]
    pub fn await_hung_request(&self) {
        let end = Instant::now() + PATIENCE;
        while self.shared.state.lock().unwrap().requests_hung == 0 {
            assert!(Instant::now() < end, "no request has come");
            thread::sleep(PAUSE);
        }
    }
}

impl Shared {
    /// Errors are ends of connections, which is what tests cause.
    fn serve(&self, client: TcpStream) {
        let mode = {
            let mut state = self.state.lock().unwrap();
            state.open.push(client.try_clone().unwrap());
            state.mode
        };
        let _ = match mode {
            Mode::Pass => self.pass(&client, &mut |from, to| copy(from, to).map(drop)),
            Mode::Slow { bytes, pause } => {
                self.pass(&client, &mut |from, to| trickle(from, to, bytes, pause))
            }
            Mode::Hang => self.hang(client),
            Mode::HangPut(part) => {
                self.pass(&client, &mut |from, to| self.hang_put(part, from, to))
            }
            Mode::Answer(status, body) => answer_all(&client, status, body),
            Mode::Close => Ok(()),
        };
    }

    /// A client sends no request before it has the answer to the one before, so that what is read begins with a request or is
    /// in the middle of one.
    fn hang_put(
        &self,
        part: &str,
        from: &mut &TcpStream,
        to: &mut &TcpStream,
    ) -> std::io::Result<()> {
        let mut buffer = [0; 16 << 10];
        loop {
            let read = from.read(&mut buffer)?;
            let head = String::from_utf8_lossy(&buffer[..read]);
            match head.lines().next() {
                None => return Ok(()),
                Some(line) if line.starts_with("PUT ") && line.contains(part) => {
                    self.state.lock().unwrap().requests_hung += 1;
                    return self.hang(from.try_clone()?);
                }
                Some(_) => to.write_all(&buffer[..read])?,
            }
        }
    }

    fn pass(
        &self,
        client: &TcpStream,
        send: &mut dyn FnMut(&mut &TcpStream, &mut &TcpStream) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let server = TcpStream::connect(("127.0.0.1", self.upstream))?;
        self.state.lock().unwrap().open.push(server.try_clone()?);
        let (mut back_from, mut back_to) = (server.try_clone()?, client.try_clone()?);
        let back = thread::spawn(move || {
            let _ = copy(&mut back_from, &mut back_to);
            let _ = back_to.shutdown(Shutdown::Both);
        });
        let sent = send(&mut &*client, &mut &server);
        let _ = server.shutdown(Shutdown::Write);
        let _ = back.join();
        sent
    }

    fn hang(&self, mut client: TcpStream) -> std::io::Result<()> {
        let mut buffer = [0; 4096];
        while client.read(&mut buffer)? > 0 {
            self.state.lock().unwrap().requests_hung += 1;
        }
        Ok(())
    }
}

fn trickle(
    from: &mut &TcpStream,
    to: &mut &TcpStream,
    bytes: usize,
    pause: Duration,
) -> std::io::Result<()> {
    let mut buffer = vec![0; bytes];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        thread::sleep(pause);
        to.write_all(&buffer[..read])?;
    }
}

/// Reads whole requests, so that the client sees the answer and no reset, and answers each.
fn answer_all(client: &TcpStream, status: &str, body: &str) -> std::io::Result<()> {
    let mut requests = BufReader::new(client);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if requests.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        copy(&mut (&mut requests).take(length), &mut std::io::sink())?;
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        (&*client).write_all(answer.as_bytes())?;
    }
}
