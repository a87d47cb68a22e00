//! A real broker in a directory of its own, watched from outside.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
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

/// A place for one broker, or for some that keep replicas of everything: directories, ports and configuration.
pub struct Place {
    program: PathBuf,
    directory: tempfile::TempDir,
    nodes: Vec<Node>,
}

/// What one of them is configured with.
struct Node {
    variables: Vec<(&'static str, String)>,
    data: PathBuf,
    gateway: u16,
    management: u16,
}

/// The running brokers of a place; killed when dropped.
pub struct Broker {
    children: Vec<Child>,
}

fn free_port() -> Result<u16, Failure> {
    skep_ports::free_port().map_err(|error| Failure::io("find a free port", error))
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
        let mut nodes = Vec::new();
        let internal = (0..arguments.brokers)
            .map(|_| free_port())
            .collect::<Result<Vec<u16>, _>>()?;
        for number in 0..arguments.brokers as usize {
            nodes.push(Node::new(arguments, directory.path(), number, &internal)?);
        }
        Ok(Place {
            program,
            directory,
            nodes,
        })
    }

    /// The address of the first broker's gateway.
    pub fn gateway(&self) -> String {
        self.gateway_of(0)
    }

    /// The address of one of the gateways.
    pub fn gateway_of(&self, broker: usize) -> String {
        format!("http://127.0.0.1:{}", self.nodes[broker].gateway)
    }

    /// Bytes in the data directories.
    pub fn data_bytes(&self) -> Result<u64, Failure> {
        self.nodes.iter().map(|node| bytes_below(&node.data)).sum()
    }

    /// Bytes in the backup store.
    pub fn backup_bytes(&self) -> Result<u64, Failure> {
        bytes_below(&self.directory.path().join("backups"))
    }

    fn command(&self, node: &Node) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(self.directory.path())
            .envs(node.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    fn spawn(&self, node: &Node) -> Result<Child, Failure> {
        let spawned = self.command(node).arg("broker").spawn();
        spawned.map_err(|error| Failure::io(format!("start {}", self.program.display()), error))
    }

    /// Starts the brokers, waits until they are ready, and says how long that took.
    pub fn start(&self) -> Result<(Broker, Duration), Failure> {
        let begun = Instant::now();
        let mut broker = Broker {
            children: Vec::new(),
        };
        for node in &self.nodes {
            broker.children.push(self.spawn(node)?);
        }
        for number in 0..self.nodes.len() {
            self.await_ready(&mut broker, number)?;
        }
        Ok((broker, begun.elapsed()))
    }

    /// Starts one of the brokers again and waits until it is ready.
    pub fn restart(&self, broker: &mut Broker, number: usize) -> Result<(), Failure> {
        self.begin(broker, number)?;
        self.await_ready(broker, number)
    }

    /// Starts one of the brokers again.
    pub fn begin(&self, broker: &mut Broker, number: usize) -> Result<(), Failure> {
        broker.children[number] = self.spawn(&self.nodes[number])?;
        Ok(())
    }

    fn await_ready(&self, broker: &mut Broker, number: usize) -> Result<(), Failure> {
        let begun = Instant::now();
        let ready = || self.nodes[number].get("/ready");
        while !ready().is_ok_and(|answer| answer.starts_with("HTTP/1.1 2")) {
            if begun.elapsed() > READY_WITHIN {
                return Err(Failure::Program("the broker does not get ready".to_owned()));
            }
            if let Ok(Some(status)) = broker.children[number].try_wait() {
                return Err(Failure::Program(format!("the broker ended with {status}")));
            }
            std::thread::sleep(READY_INTERVAL);
        }
        Ok(())
    }

    /// Runs another command of the program to its end, as at the first broker, and says how long that took.
    pub fn run(&self, arguments: &[&str]) -> Result<Duration, Failure> {
        self.run_at(&self.nodes[0], arguments)
    }

    /// Runs a command at each broker, one after the other, and says how long the longest took.
    pub fn run_at_all(&self, arguments: &[&str]) -> Result<Duration, Failure> {
        let mut times = self.nodes.iter().map(|node| self.run_at(node, arguments));
        times.try_fold(Duration::ZERO, |longest, time| Ok(longest.max(time?)))
    }

    fn run_at(&self, node: &Node, arguments: &[&str]) -> Result<Duration, Failure> {
        let begun = Instant::now();
        let output = self
            .command(node)
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

    /// Deletes all data.
    pub fn lose_data(&self) -> Result<(), Failure> {
        let mut nodes = self.nodes.iter();
        let lost = nodes.try_for_each(|node| fs::remove_dir_all(&node.data));
        lost.map_err(|error| Failure::io("delete the data", error))
    }

    /// Deletes the data of one of the brokers.
    pub fn lose_data_of(&self, number: usize) -> Result<(), Failure> {
        let lost = fs::remove_dir_all(&self.nodes[number].data);
        lost.map_err(|error| Failure::io("delete the data", error))
    }

    /// A metric of one of the brokers.
    pub fn metric_of(&self, number: usize, name: &str) -> Result<f64, Failure> {
        self.nodes[number].metric(name)
    }

    /// A metric that has one value for each broker, or one for each partition; then their sum.
    pub fn metric(&self, name: &str) -> Result<f64, Failure> {
        let values = self.nodes.iter().map(|node| node.metric(name));
        values.sum()
    }
}

impl Node {
    /// The broker with that number; others reach the brokers at the ports `internal`.
    fn new(
        arguments: &BrokerArguments,
        place: &Path,
        number: usize,
        internal: &[u16],
    ) -> Result<Node, Failure> {
        let (gateway, management) = (free_port()?, free_port()?);
        let backups = place.join("backups").display().to_string();
        let data = place.join(format!("data-{number}"));
        let contacts: Vec<String> = internal
            .iter()
            .map(|port| format!("127.0.0.1:{port}"))
            .collect();
        let variables = vec![
            ("ZEEBE_BROKER_DATA_DIRECTORY", data.display().to_string()),
            ("ZEEBE_BROKER_DATA_BACKUP_STORE", "FILESYSTEM".to_owned()),
            ("ZEEBE_BROKER_DATA_BACKUP_FILESYSTEM_BASEPATH", backups),
            (
                "ZEEBE_BROKER_CLUSTER_PARTITIONSCOUNT",
                arguments.partitions.to_string(),
            ),
            ("ZEEBE_BROKER_CLUSTER_NODEID", number.to_string()),
            (
                "ZEEBE_BROKER_CLUSTER_CLUSTERSIZE",
                internal.len().to_string(),
            ),
            (
                "ZEEBE_BROKER_CLUSTER_REPLICATIONFACTOR",
                internal.len().to_string(),
            ),
            (
                "ZEEBE_BROKER_CLUSTER_INITIALCONTACTPOINTS",
                contacts.join(","),
            ),
            (
                "ZEEBE_BROKER_NETWORK_INTERNALAPI_PORT",
                internal[number].to_string(),
            ),
            ("ZEEBE_BROKER_NETWORK_HOST", "127.0.0.1".to_owned()),
            ("ZEEBE_BROKER_GATEWAY_NETWORK_PORT", gateway.to_string()),
            ("MANAGEMENT_SERVER_PORT", management.to_string()),
            ("MANAGEMENT_SERVER_ADDRESS", "127.0.0.1".to_owned()),
            ("CAMUNDA_REST_ENABLED", "false".to_owned()),
            ("SKEP_MANAGEMENT", format!("http://127.0.0.1:{management}")),
        ];
        Ok(Node {
            variables,
            data,
            gateway,
            management,
        })
    }

    fn metric(&self, name: &str) -> Result<f64, Failure> {
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
    fn proc(child: &Child, file: &str) -> Result<String, Failure> {
        let path = Path::new("/proc").join(child.id().to_string()).join(file);
        fs::read_to_string(&path)
            .map_err(|error| Failure::io(format!("read {}", path.display()), error))
    }

    /// Resident memory in MB, of all together: now, and the most that there was of each.
    pub fn memory(&self) -> Result<(f64, f64), Failure> {
        let (mut now, mut most) = (0.0, 0.0);
        for child in &self.children {
            let status = Broker::proc(child, "status")?;
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                let kib =
                    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
                kib.map(|kib| kib * 1024.0 / 1e6)
                    .ok_or_else(|| Failure::Program(format!("/proc has no {name}")))
            };
            now += field("VmRSS:")?;
            most += field("VmHWM:")?;
        }
        Ok((now, most))
    }

    /// Processor time that the brokers have used.
    pub fn cpu(&self) -> Result<Duration, Failure> {
        let mut ticks = 0;
        for child in &self.children {
            let stat = Broker::proc(child, "stat")?;
            // After the program's name, which is in parentheses, come the fields from the third on; user and system time are 14 and 15.
            let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
            ticks += fields
                .split_whitespace()
                .skip(11)
                .take(2)
                .filter_map(|field| field.parse::<u64>().ok())
                .sum::<u64>();
        }
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
    }

    /// Kills them without a chance to tidy up.
    pub fn kill(mut self) -> Result<(), Failure> {
        (0..self.children.len()).try_for_each(|number| self.kill_one(number))
    }

    /// Kills one of them.
    pub fn kill_one(&mut self, number: usize) -> Result<(), Failure> {
        let child = &mut self.children[number];
        child
            .kill()
            .and_then(|()| child.wait())
            .map(|_| ())
            .map_err(|error| Failure::io("kill the broker", error))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
