//! Real processes of `skep` in directories of their own.

#![allow(dead_code, reason = "each test uses a part")]

pub mod certificates;
pub mod cluster;
pub mod fault_proxy;
pub mod orders;
pub mod restorable;
pub mod s3;
pub mod small_disk;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Only a hanging program needs as long; nothing is measured by it.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at something that changes by itself.
pub const PAUSE: Duration = Duration::from_millis(20);
/// What `skep` ends with where a backup has failed.
const BACKUP_FAILED: i32 = 7;

/// The program under test.
pub const SKEP: &str = env!("CARGO_BIN_EXE_skep");

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// A broker's place: its directories, ports and environment, whether it runs or not.
pub struct Place {
    pub directory: tempfile::TempDir,
    pub variables: Vec<(String, String)>,
    gateway_port: u16,
    management_port: u16,
}

/// A port for a server of this test, which stays its own.
pub fn free_port() -> u16 {
    skep_ports::free_port().unwrap()
}

/// The first of so many ports in a row, each as with [`free_port`].
pub fn free_port_block(count: u16) -> u16 {
    skep_ports::free_port_block(count).unwrap()
}

impl Place {
    /// With backups into a directory.
    pub fn new(partitions: u32) -> Place {
        let mut place = Place::without_store(partitions);
        let backups = place.directory.path().join("backups");
        std::fs::create_dir(&backups).unwrap();
        place.set("ZEEBE_BROKER_DATA_BACKUP_STORE", "FILESYSTEM");
        place.set(
            "ZEEBE_BROKER_DATA_BACKUP_FILESYSTEM_BASEPATH",
            backups.to_str().unwrap(),
        );
        place
    }

    /// Without backups.
    pub fn without_store(partitions: u32) -> Place {
        let mut place = Place {
            directory: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
            gateway_port: free_port(),
            management_port: free_port(),
        };
        let data = place.data();
        let (gateway, management) = (place.gateway_port, place.management_port);
        place.set("ZEEBE_BROKER_DATA_DIRECTORY", data.to_str().unwrap());
        place.set("ZEEBE_BROKER_DATA_DISK_FREESPACE_PROCESSING", "64MB");
        place.set(
            "ZEEBE_BROKER_CLUSTER_PARTITIONSCOUNT",
            &partitions.to_string(),
        );
        // Where builds run beside the tests, everything may stand still for longer than the default.
        place.set("ZEEBE_BROKER_GATEWAY_CLUSTER_REQUESTTIMEOUT", "2m");
        place.set("ZEEBE_BROKER_NETWORK_HOST", "127.0.0.1");
        place.set("ZEEBE_BROKER_GATEWAY_NETWORK_PORT", &gateway.to_string());
        place.set("MANAGEMENT_SERVER_PORT", &management.to_string());
        place.set("MANAGEMENT_SERVER_ADDRESS", "127.0.0.1");
        place.set("CAMUNDA_REST_ENABLED", "false");
        // For clients.
        place.set("ZEEBE_ADDRESS", &format!("127.0.0.1:{gateway}"));
        place.set("SKEP_MANAGEMENT", &format!("http://127.0.0.1:{management}"));
        place
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The value of a variable that was set.
    pub fn variable(&self, name: &str) -> &str {
        let set = self.variables.iter().rev().find(|(found, _)| found == name);
        &set.unwrap_or_else(|| panic!("{name} is not set")).1
    }

    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A command in this place's directory and environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.directory.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs `skep` to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(SKEP).args(arguments).output().unwrap()
    }

    /// Runs `skep`, which must succeed, and gives what it printed.
    pub fn skep(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = text_of(&output);
        assert!(
            output.status.success(),
            "skep {arguments:?}: {}\n{text}",
            output.status
        );
        text
    }

    /// Runs `skep`, which must fail, and gives the exit code and what it printed.
    pub fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments);
        let text = text_of(&output);
        let code = output
            .status
            .code()
            .unwrap_or_else(|| panic!("skep {arguments:?}: {text}"));
        assert_ne!(code, 0, "skep {arguments:?} succeeded: {text}");
        (code, text)
    }

    /// Runs `skep` until it succeeds, and gives what it printed then: for what may be done twice while a leader may be lost.
    #[track_caller]
    pub fn insist(&self, arguments: &[&str]) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let output = self.run(arguments);
            let text = text_of(&output);
            if output.status.success() {
                return text;
            }
            let final_failure = output.status.code() == Some(BACKUP_FAILED);
            assert!(
                Instant::now() < end && !final_failure,
                "skep {arguments:?}: {}\n{text}",
                output.status
            );
            std::thread::sleep(PAUSE);
        }
    }

    /// Asks for a backup until all partitions have its checkpoint, whichever leader is lost meanwhile.
    #[track_caller]
    pub fn begin_backup(&self, id: u64) {
        let (end, number) = (Instant::now() + PATIENCE, id.to_string());
        let taken = format!("The latest backup has id {id}.");
        loop {
            let output = self.run(&["backup", "take", &number]);
            let text = text_of(&output);
            // The answer to an attempt before was lost.
            if output.status.success() || text.contains(&taken) {
                return;
            }
            assert!(Instant::now() < end, "backup {id}: {text}");
            std::thread::sleep(PAUSE);
        }
    }

    /// Takes a backup and waits until it is completed, whichever leader is lost meanwhile.
    #[track_caller]
    pub fn take_backup(&self, id: u64) {
        self.begin_backup(id);
        self.insist(&["backup", "wait", &id.to_string()]);
    }

    /// Starts a broker and waits until it says that it runs.
    pub fn start(&self) -> Running {
        Running::spawn(self.command(SKEP).arg("broker"))
    }

    /// What the management API answers to a GET: status and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path, "")
    }

    /// What the management API answers: status and body.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        request(self.management_port, method, path, body)
    }

    /// The same, of a broker that may not be there.
    pub fn try_get(&self, path: &str) -> std::io::Result<(u16, String)> {
        try_request(self.management_port, "GET", path, "")
    }

    /// Deletes the data directory.
    pub fn lose_data(&self) {
        std::fs::remove_dir_all(self.data()).unwrap();
    }
}

/// Status and body of the answer to an HTTP request to a port of this machine; the body sent is JSON, or none.
pub fn request(port: u16, method: &str, path: &str, body: &str) -> (u16, String) {
    try_request(port, method, path, body).unwrap()
}

/// The same, where perhaps nobody listens, or the connection ends.
pub fn try_request(
    port: u16,
    method: &str,
    path: &str,
    body: &str,
) -> std::io::Result<(u16, String)> {
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n"
    );
    let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    connection.write_all(request.as_bytes())?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let parsed = answer.split_once("\r\n\r\n").and_then(|(head, body)| {
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, body.to_owned()))
    });
    parsed.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

pub fn text_of(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A running broker; killed when dropped.
pub struct Running {
    child: Child,
    output: mpsc::Receiver<String>,
    heard: Vec<String>,
}

impl Running {
    /// Starts the command and waits until it says that the broker runs.
    pub fn spawn(command: &mut Command) -> Running {
        Running::spawn_until(command, "the broker is running")
    }

    /// Starts the command and waits for a line of its log that contains `text`.
    pub fn spawn_until(command: &mut Command, text: &str) -> Running {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let (lines, output) = mpsc::channel();
        std::thread::spawn(move || read_lines(stdout, &lines));
        let mut running = Running {
            child,
            output,
            heard: Vec::new(),
        };
        running.await_line(text);
        running
    }

    /// Waits for another line of the log that contains `text`.
    #[track_caller]
    pub fn await_line(&mut self, text: &str) -> String {
        self.await_line_with(&[text])
    }

    /// Waits for another line of the log that contains all of these.
    #[track_caller]
    pub fn await_line_with(&mut self, texts: &[&str]) -> String {
        loop {
            match self.output.recv_timeout(PATIENCE) {
                Ok(line) => self.heard.push(line),
                Err(error) => {
                    let heard = self.heard.join("\n");
                    panic!("{texts:?} did not come ({error}). Until then:\n{heard}")
                }
            }
            let has_all = |line: &&String| texts.iter().all(|text| line.contains(text));
            if let Some(line) = self.heard.last().filter(has_all) {
                return line.clone();
            }
        }
    }

    /// The first line of the log that contains `text`; waits for it if it has not come yet.
    pub fn line(&mut self, text: &str) -> String {
        let heard = self.heard.iter().find(|line| line.contains(text)).cloned();
        heard.unwrap_or_else(|| self.await_line(text))
    }

    /// Kills it without a chance to tidy up.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "it had ended before: {status}");
    }

    /// Waits until it ends by itself, and gives the exit code.
    pub fn ended(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Stops it in order, by SIGTERM, and gives the exit code.
    pub fn stop(self) -> Option<i32> {
        self.signal("TERM")
    }

    /// Sends a signal and waits for the end.
    pub fn signal(mut self, signal: &str) -> Option<i32> {
        self.begin_to_stop(signal);
        self.child.wait().unwrap().code()
    }

    /// Sends a signal.
    pub fn begin_to_stop(&mut self, signal: &str) {
        let sent = Command::new("kill")
            .args(["-s", signal, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(stdout: impl Read, lines: &mpsc::Sender<String>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        if lines.send(line).is_err() {
            return;
        }
    }
}
