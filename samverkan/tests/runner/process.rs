//! Commands as a reader would type them, each in a process group of its own that ends with the page.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a background command may take to end when it is asked to.
const END: Duration = Duration::from_secs(15);

fn shell(command: &str, folder: &Path, exported: &BTreeMap<String, String>) -> Child {
    let program = Path::new(env!("CARGO_BIN_EXE_samverkan")).parent().unwrap();
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", &format!("exec 2>&1\n{command}")])
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", program.display()))
        .env("HOME", folder)
        .env("LANG", "en_GB.UTF-8")
        .env("TZ", "Europe/Stockholm")
        .envs(exported)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0);
    shell.spawn().unwrap()
}

/// Sends a signal to a process group that was begun here and has not been waited for.
fn signal(child: &Child, name: &str) {
    let sent = Command::new("/bin/sh").args(["-c", &format!("kill -{name} -{}", child.id())]).status().unwrap();
    assert!(sent.success(), "a process that was begun here cannot be signalled");
}

/// Runs a command to its end, and gives what it printed and its exit code.
pub(crate) fn run(command: &str, folder: &Path, exported: &BTreeMap<String, String>, patience: Duration) -> Result<(String, i32), String> {
    let mut child = shell(command, folder, exported);
    let stdout = child.stdout.take().unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || _ = sender.send(std::io::read_to_string(stdout)));
    match receiver.recv_timeout(patience) {
        Ok(text) => {
            let code = child.wait().unwrap().code().unwrap_or(-1);
            Ok((text.map_err(|error| error.to_string())?, code))
        }
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            signal(&child, "KILL");
            child.wait().unwrap();
            Err(format!("it takes more than {} seconds", patience.as_secs()))
        }
    }
}

/// A command that goes on until the page is over.
pub(crate) struct Background {
    command: String,
    child: Mutex<Child>,
    printed: Arc<Mutex<Vec<String>>>,
    ended: bool,
}

impl Background {
    pub(crate) fn begin(command: &str, folder: &Path, exported: &BTreeMap<String, String>) -> Self {
        let mut child = shell(&format!("exec {command}"), folder, exported);
        let stdout = child.stdout.take().unwrap();
        let printed = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&printed);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        Self { command: command.to_owned(), child: Mutex::new(child), printed, ended: false }
    }

    /// What it has printed so far.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.printed.lock().unwrap().clone()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.child.lock().unwrap().try_wait().unwrap().is_some()
    }

    /// Asks it to stop, and sees that it does, in good order.
    pub(crate) fn end(mut self) -> Result<(), String> {
        if self.has_ended() {
            self.ended = true;
            return Err(format!("0: `{}` ended before it was asked to; it printed\n{}", self.command, self.printed().join("\n")));
        }
        signal(&self.child.lock().unwrap(), "TERM");
        let until = Instant::now() + END;
        while !self.has_ended() {
            if Instant::now() > until {
                return Err(format!("0: `{}` does not stop when it is asked to; it printed\n{}", self.command, self.printed().join("\n")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.ended = true;
        let status = self.child.lock().unwrap().wait().unwrap();
        if status.success() { Ok(()) } else { Err(format!("0: `{}` stopped with {status}; it printed\n{}", self.command, self.printed().join("\n"))) }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if !self.ended && !self.has_ended() {
            let mut child = self.child.lock().unwrap();
            signal(&child, "KILL");
            _ = child.wait();
        }
    }
}
