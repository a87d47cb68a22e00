//! A broker of the campaign: a process that may come to harm.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

use crate::common::{Place, SKEP};
use crate::preload::FaultFile;

pub struct Node {
    pub place: Place,
    pub faults: FaultFile,
    child: Option<Child>,
}

impl Node {
    pub fn new(mut place: Place, library: &Path) -> Node {
        let faults = FaultFile::create(place.directory.path().join("faults"));
        place.set("SKEP_TEST_FAULTS", faults.path.to_str().unwrap());
        place.set("SKEP_TEST_PRELOAD", library.to_str().unwrap());
        Node {
            place,
            faults,
            child: None,
        }
    }

    /// Starts it, unless it runs. Its log goes on in a file.
    pub fn start(&mut self) {
        if self.runs() {
            return;
        }
        let log = self.place.directory.path().join("log");
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command = self.place.command(SKEP);
        command
            .arg("broker")
            .env("LD_PRELOAD", self.place.variable("SKEP_TEST_PRELOAD"))
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    pub fn runs(&mut self) -> bool {
        let ended = |child: &mut Child| child.try_wait().unwrap().is_some();
        self.child.as_mut().is_some_and(|child| !ended(child))
    }

    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether SIGSTOP has stopped it.
    pub fn is_paused(&self) -> bool {
        let status = self
            .process()
            .and_then(|process| std::fs::read_to_string(format!("/proc/{process}/stat")).ok());
        // The state follows the program's name, which is in parentheses.
        status.is_some_and(|status| status.contains(") T "))
    }

    /// How it ended, if it did by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().unwrap()
    }

    /// Kills it, unless it has ended.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Stops it in order and waits until it has ended.
    pub fn stop(&mut self) {
        self.signal("TERM");
        // One that is paused would never hear of it.
        self.signal("CONT");
        let status = self.child.take().map(|mut child| child.wait().unwrap());
        let code = status.map(|status| (status.code(), status.signal()));
        assert!(matches!(code, None | Some((Some(0), None))), "{code:?}");
    }

    pub fn signal(&self, signal: &str) {
        if let Some(child) = &self.child {
            let sent = Command::new("kill")
                .args(["-s", signal, &child.id().to_string()])
                .status();
            assert!(sent.unwrap().success());
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            self.place.directory.disable_cleanup(true);
            println!("kept: {}", self.place.directory.path().display());
        }
    }
}
