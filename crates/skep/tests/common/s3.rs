//! versitygw, a real S3 server, which `./test` installs.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{PAUSE, Place, free_port, repository};

pub const ACCESS: &str = "the-access-key";
pub const SECRET: &str = "the-secret-key";

/// The bucket: a directory below the server's.
pub const BUCKET: &str = "backups";

/// A certificate and its key, for HTTPS.
pub struct Certificate<'a> {
    pub certificate: &'a Path,
    pub key: &'a Path,
}

/// versitygw over a directory whose subdirectories are the buckets; killed when dropped.
pub struct S3 {
    child: Child,
    pub port: u16,
}

impl S3 {
    /// On a port of its own, with one bucket.
    pub fn start(root: &Path) -> S3 {
        std::fs::create_dir_all(root.join(BUCKET)).unwrap();
        S3::start_on(root, free_port())
    }

    pub fn start_over_https(root: &Path, tls: &Certificate<'_>) -> S3 {
        std::fs::create_dir_all(root.join(BUCKET)).unwrap();
        S3::start_with(root, free_port(), SECRET, Some(tls))
    }

    pub fn start_on(root: &Path, port: u16) -> S3 {
        S3::start_with(root, port, SECRET, None)
    }

    /// With another secret key, or over HTTPS.
    pub fn start_with(root: &Path, port: u16, secret: &str, tls: Option<&Certificate<'_>>) -> S3 {
        let mut command = Command::new(repository().join(".tools/bin/versitygw"));
        command
            .args(["--access", ACCESS, "--secret", secret, "--quiet"])
            .args(["--port", &format!("127.0.0.1:{port}")]);
        if let Some(tls) = tls {
            command
                .arg("--cert")
                .arg(tls.certificate)
                .arg("--key")
                .arg(tls.key);
        }
        let child = command
            .arg("posix")
            .arg(root)
            .stdout(Stdio::null())
            .spawn()
            .expect("./test installs versitygw");
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "versitygw does not listen"
            );
            std::thread::sleep(PAUSE);
        }
        S3 { child, port }
    }

    /// Over HTTP.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A place whose backups go into the bucket of the server at `endpoint`.
pub fn place_for(endpoint: &str, partitions: u32) -> Place {
    let mut place = Place::without_store(partitions);
    place.set("ZEEBE_BROKER_DATA_BACKUP_STORE", "S3");
    place.set("ZEEBE_BROKER_DATA_BACKUP_S3_BUCKETNAME", BUCKET);
    place.set("ZEEBE_BROKER_DATA_BACKUP_S3_BASEPATH", "clusters/one");
    place.set("ZEEBE_BROKER_DATA_BACKUP_S3_ENDPOINT", endpoint);
    place.set("ZEEBE_BROKER_DATA_BACKUP_S3_REGION", "us-east-1");
    place.set("ZEEBE_BROKER_DATA_BACKUP_S3_APICALLTIMEOUT", "5s");
    place.set("ZEEBE_BROKER_DATA_BACKUP_S3_ACCESSKEY", ACCESS);
    place.set("ZEEBE_BROKER_DATA_BACKUP_S3_SECRETKEY", SECRET);
    place
}
