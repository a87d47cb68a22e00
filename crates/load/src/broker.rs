//! A real broker in a directory of its own, watched from outside.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::BrokerArguments;
use crate::directory::bytes_below;
use crate::failure::Failure;

/// A broker that is not ready by then never will be.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// How often it is asked whether it is ready: the error of what is measured.
const READY_INTERVAL: Duration = Duration::from_millis(1);

/// A place for a broker: directories, ports and configuration.
pub struct Place {
    program: PathBuf,
    directory: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
    gateway: u16,
    management: u16,
}

/// A running broker; killed when dropped.
pub struct Broker {
    child: Child,
}

fn free_port() -> Result<u16, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| Failure::io("find a free port", error))
}

impl Place {
    /// An empty place.
    pub fn new(arguments: &BrokerArguments) -> Result<Place, Failure> {
        let program = &arguments.program;
        let program = program.canonicalize().map_err(|error| {
            let hint =
                "Build it with: cargo build --release --workspace, or name it with --program";
            Failure::io(format!("find {}. {hint}", program.display()), error)
        })?;
        let directory = tempfile::Builder::new()
            .prefix("skep-load-")
            .tempdir_in(&arguments.directory)
            .and_then(|directory| {
                fs::create_dir(directory.path().join("backups")).map(|()| directory)
            })
            .map_err(|error| {
                Failure::io(
                    format!("make a place below {}", arguments.directory.display()),
                    error,
                )
            })?;
        let (gateway, management) = (free_port()?, free_port()?);
        let below = |name: &str| directory.path().join(name).display().to_string();
        let variables = vec![
            ("ZEEBE_BROKER_DATA_DIRECTORY", below("data")),
            ("ZEEBE_BROKER_DATA_BACKUP_STORE", "FILESYSTEM".to_owned()),
            (
                "ZEEBE_BROKER_DATA_BACKUP_FILESYSTEM_BASEPATH",
                below("backups"),
            ),
            (
                "ZEEBE_BROKER_CLUSTER_PARTITIONSCOUNT",
                arguments.partitions.to_string(),
            ),
            ("ZEEBE_BROKER_NETWORK_HOST", "127.0.0.1".to_owned()),
            ("ZEEBE_BROKER_GATEWAY_NETWORK_PORT", gateway.to_string()),
            ("MANAGEMENT_SERVER_PORT", management.to_string()),
            ("MANAGEMENT_SERVER_ADDRESS", "127.0.0.1".to_owned()),
            ("CAMUNDA_REST_ENABLED", "false".to_owned()),
            ("SKEP_MANAGEMENT", format!("http://127.0.0.1:{management}")),
        ];
        Ok(Place {
            program,
            directory,
            variables,
            gateway,
            management,
        })
    }

    /// The gateway's address.
    pub fn gateway(&self) -> String {
        format!("http://127.0.0.1:{}", self.gateway)
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Bytes in the data directory.
    pub fn data_bytes(&self) -> Result<u64, Failure> {
        bytes_below(&self.data())
    }

    /// Bytes in the backup store.
    pub fn backup_bytes(&self) -> Result<u64, Failure> {
        bytes_below(&self.directory.path().join("backups"))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(self.directory.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    /// Starts the broker, waits until it is ready, and says how long that took.
    pub fn start(&self) -> Result<(Broker, Duration), Failure> {
        let begun = Instant::now();
        let child = self
            .command()
            .arg("broker")
            .spawn()
            .map_err(|error| Failure::io(format!("start {}", self.program.display()), error))?;
        let mut broker = Broker { child };
        while !self
            .get("/ready")
            .is_ok_and(|answer| answer.starts_with("HTTP/1.1 2"))
        {
            if begun.elapsed() > READY_WITHIN {
                return Err(Failure::Program("the broker does not get ready".to_owned()));
            }
            if let Ok(Some(status)) = broker.child.try_wait() {
                return Err(Failure::Program(format!("the broker ended with {status}")));
            }
            std::thread::sleep(READY_INTERVAL);
        }
        Ok((broker, begun.elapsed()))
    }

    /// Runs another command of the program to its end and says how long that took.
    pub fn run(&self, arguments: &[&str]) -> Result<Duration, Failure> {
        let begun = Instant::now();
        let output = self
            .command()
            .args(arguments)
            .output()
            .map_err(|error| Failure::io(format!("run {}", self.program.display()), error))?;
        if output.status.success() {
            Ok(begun.elapsed())
        } else {
            let text = String::from_utf8_lossy(&output.stderr);
            Err(Failure::Program(format!(
                "skep {}: {}\n{text}",
                arguments.join(" "),
                output.status
            )))
        }
    }

    /// Deletes the data directory.
    pub fn lose_data(&self) -> Result<(), Failure> {
        fs::remove_dir_all(self.data()).map_err(|error| Failure::io("delete the data", error))
    }

    /// A metric of the broker that has one value, or one for each partition; then their sum.
    pub fn metric(&self, name: &str) -> Result<f64, Failure> {
        let text = self
            .get("/metrics")
            .map_err(|error| Failure::io("read the metrics", error))?;
        let values = text.lines().filter_map(|line| {
            let (key, value) = line.split_once(' ')?;
            let key = key.split_once('{').map_or(key, |(key, _)| key);
            (key == name).then(|| value.parse::<f64>().ok())?
        });
        Ok(values.sum())
    }

    fn get(&self, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.management))?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

impl Broker {
    fn proc(&self, file: &str) -> Result<String, Failure> {
        let path = Path::new("/proc")
            .join(self.child.id().to_string())
            .join(file);
        fs::read_to_string(&path)
            .map_err(|error| Failure::io(format!("read {}", path.display()), error))
    }

    /// Resident memory in MB: now, and the most that there was.
    pub fn memory(&self) -> Result<(f64, f64), Failure> {
        let status = self.proc("status")?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
            kib.map(|kib| kib * 1024.0 / 1e6)
                .ok_or_else(|| Failure::Program(format!("/proc has no {name}")))
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    /// Processor time that the broker has used.
    pub fn cpu(&self) -> Result<Duration, Failure> {
        let stat = self.proc("stat")?;
        // After the program's name, which is in parentheses, come the fields from the third on; user and system time are 14 and 15.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
    }

    /// Kills it without a chance to tidy up.
    pub fn kill(mut self) -> Result<(), Failure> {
        self.child
            .kill()
            .and_then(|()| self.child.wait())
            .map(|_| ())
            .map_err(|error| Failure::io("kill the broker", error))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
