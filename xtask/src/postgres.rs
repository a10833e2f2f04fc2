//! A PostgreSQL of our own for tests and measurements: a primary and a synchronous standby, in the system's folder
//! for temporary files, which the user as whom they run can enter wherever the checkout lies.
//!
//! `cargo xtask postgres -- COMMAND` starts both, runs the command with their addresses in its environment, and stops
//! them. Nothing listens on a network: everybody comes by a socket in the same folder, or inside TLS on this machine's own
//! address, with a certificate for `localhost` by an authority made for this run. A server that dies is started
//! again, as a service manager would, so that a test may kill it; only in a fail-over the primary stays dead, and the
//! standby takes its place. Nothing of an installed PostgreSQL is touched but its programs.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::shell::{line, output, root, run as run_to_end};

/// The oldest version that the store takes, and the one in Debian.
const VERSION: &str = "15";

/// The user as whom the servers run if we are root, which PostgreSQL refuses to be.
const USER: &str = "postgres";

/// Tells tests where the primary is, and the standby.
const PRIMARY_VARIABLE: &str = "SAMVERKAN_TEST_POSTGRES";
const STANDBY_VARIABLE: &str = "SAMVERKAN_TEST_POSTGRES_STANDBY";

/// Tells tests where the primary is reached inside TLS, and the files of its authority and of another.
const TLS_VARIABLE: &str = "SAMVERKAN_TEST_POSTGRES_TLS";
const AUTHORITY_VARIABLE: &str = "SAMVERKAN_TEST_POSTGRES_AUTHORITY";
const OTHER_VARIABLE: &str = "SAMVERKAN_TEST_POSTGRES_OTHER_AUTHORITY";

/// How long a server may take to answer: it is asked so often, with so long between.
const TRIES: u32 = 600;
const BETWEEN: Duration = Duration::from_millis(50);

/// The command to run beside the servers.
#[derive(Debug, clap::Args)]
pub(crate) struct Postgres {
    /// What to run, with its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    command: Vec<String>,
}

pub(crate) fn run(args: &Postgres) -> Result<()> {
    let servers = Servers::start(true)?;
    let mut words = args.command.iter();
    let mut command = Command::new(words.next().context("there is nothing to run")?);
    command.args(words).current_dir(root());
    run_to_end(servers.tell(&mut command))
}

/// A primary, and its standby where there is one, for as long as this lives.
pub(crate) struct Servers {
    folder: PathBuf,
    programs: PathBuf,
    owner: Owner,
    /// The port for a second server. A port is part of a socket's name too; either may be the primary's after a fail-over.
    second: u16,
    standby: Option<Server>,
    primary: Server,
}

impl Servers {
    /// Makes them anew and starts them. Installs PostgreSQL if it is missing and we may.
    pub(crate) fn start(standby: bool) -> Result<Self> {
        let programs = programs()?;
        let folder = std::env::temp_dir().join("samverkan-postgres");
        if folder.exists() {
            fs::remove_dir_all(&folder).context("the servers of another run are still there")?;
        }
        fs::create_dir_all(&folder)?;
        let owner = Owner::choose(&folder)?;
        let [first, second] = free_ports()?;
        let data = folder.join(first.to_string());
        eprintln!("$ a PostgreSQL of our own in {}", folder.display());
        quiet(
            owner.run(&programs.join("initdb")).args(["--username=samverkan", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"]).arg(&data),
        )?;
        settle(&data, &folder, first)?;
        certify(&folder, &data)?;
        let primary = Server::start(&owner, &programs, data, first)?;
        ready(&folder, first, "SELECT 1")?;
        let mut servers = Self { folder, programs, owner, second, standby: None, primary };
        if standby {
            servers.standby = Some(servers.follow(servers.second)?);
        }
        Ok(servers)
    }

    /// Puts the servers' addresses into a command's environment.
    pub(crate) fn tell<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env(PRIMARY_VARIABLE, address(&self.folder, self.primary.port));
        command.env(TLS_VARIABLE, format!("postgres://samverkan@localhost:{}/postgres", self.primary.port));
        command.env(AUTHORITY_VARIABLE, self.folder.join(AUTHORITY)).env(OTHER_VARIABLE, self.folder.join(OTHER));
        if let Some(standby) = &self.standby {
            command.env(STANDBY_VARIABLE, address(&self.folder, standby.port));
        }
        command
    }

    /// Kills the primary with all of its processes; it is started again at once.
    pub(crate) fn kill(&self) -> Result<()> {
        self.primary.kill()
    }

    /// Kills the primary for good, promotes the standby, and makes the dead one anew as the standby of the other.
    pub(crate) fn fail_over(&mut self) -> Result<()> {
        let standby = self.standby.take().context("there is no standby to promote")?;
        self.primary.give_up();
        self.primary.kill()?;
        ask(&self.folder, standby.port, "SELECT pg_promote()")?;
        let dead = std::mem::replace(&mut self.primary, standby);
        let (data, port) = (dead.data.clone(), dead.port);
        drop(dead);
        fs::remove_dir_all(data).context("what is left of the dead primary cannot be removed")?;
        self.standby = Some(self.follow(port)?);
        Ok(())
    }

    /// Makes a standby of the primary, and has the primary wait for it from then on.
    fn follow(&self, port: u16) -> Result<Server> {
        let (folder, ahead) = (&self.folder, self.primary.port);
        let data = folder.join(port.to_string());
        let primary = format!("host={} port={ahead} user=samverkan application_name=standby", folder.display());
        quiet(
            self.owner
                .run(&self.programs.join("pg_basebackup"))
                .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "-D"])
                .arg(&data)
                .args(["-d", &primary]),
        )?;
        settle(&data, folder, port)?;
        let server = Server::start(&self.owner, &self.programs, data, port)?;
        ask(folder, ahead, "ALTER SYSTEM SET synchronous_standby_names = '*'")?;
        ask(folder, ahead, "SELECT pg_reload_conf()")?;
        ready(folder, ahead, "SELECT 1 / count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")?;
        Ok(server)
    }
}

/// Files of the authorities, in the servers' folder.
const AUTHORITY: &str = "authority.pem";
const OTHER: &str = "other-authority.pem";

/// Makes an authority, with its certificate for the server under the names that PostgreSQL looks for, and another authority.
fn certify(folder: &Path, data: &Path) -> Result<()> {
    let authority = |name: &str| -> Result<(rcgen::CertificateParams, rcgen::KeyPair, String)> {
        let mut params = rcgen::CertificateParams::new(Vec::new())?;
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok((params, key, pem))
    };
    let (params, key, pem) = authority("an authority for tests")?;
    fs::write(folder.join(AUTHORITY), pem)?;
    fs::write(folder.join(OTHER), authority("another authority for tests")?.2)?;
    let server = rcgen::KeyPair::generate()?;
    let named = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?;
    let certificate = named.signed_by(&server, &rcgen::Issuer::from_params(&params, &key))?;
    let owner = fs::metadata(data)?;
    for (name, text) in [("server.crt", certificate.pem()), ("server.key", server.serialize_pem())] {
        let path = data.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        chown(&path, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

/// Two ports that nothing listens on.
fn free_ports() -> Result<[u16; 2]> {
    let held = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|held| Ok((held.local_addr()?.port(), held))));
    let [first, second] = held;
    Ok([first.context("there is no free port")?.0, second.context("there is no free port")?.0])
}

fn address(folder: &Path, port: u16) -> String {
    let host = folder.display().to_string().replace('/', "%2F");
    format!("postgres://samverkan@{host}:{port}/postgres")
}

/// Where Debian puts the programs.
fn programs() -> Result<PathBuf> {
    let programs = PathBuf::from(format!("/usr/lib/postgresql/{VERSION}/bin"));
    if !programs.join("initdb").exists() {
        let install = format!("apt-get install --yes --no-install-recommends postgresql-{VERSION}");
        // Where the lists are old or missing, the package is not found; where they cannot be had, what is there may do.
        _ = run_to_end(&mut line("apt-get update"));
        run_to_end(line(&install).env("DEBIAN_FRONTEND", "noninteractive"))
            .with_context(|| format!("PostgreSQL {VERSION} is missing; to install it, as root: {install}"))?;
    }
    Ok(programs)
}

/// As whom the servers run.
enum Owner {
    /// Whoever runs this.
    Same,
    /// Another, because this is root.
    Other,
}

impl Owner {
    /// Gives the folder to whoever will run the servers.
    fn choose(folder: &Path) -> Result<Self> {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
        if fs::metadata(folder)?.uid() != 0 {
            return Ok(Self::Same);
        }
        let id = |flag: &str| -> Result<u32> { Ok(output(Command::new("id").args([flag, USER]))?.trim().parse()?) };
        chown(folder, Some(id("-u")?), Some(id("-g")?)).context("the folder cannot be given to the user postgres")?;
        Ok(Self::Other)
    }

    fn run(&self, program: &Path) -> Command {
        // Whatever becomes of us, the servers do not outlive us.
        let mut command = Command::new("setpriv");
        command.arg("--pdeathsig=QUIT");
        if matches!(self, Self::Other) {
            command.args([&format!("--reuid={USER}"), &format!("--regid={USER}"), "--init-groups"]);
        }
        command.arg("--").arg(program).current_dir("/");
        command
    }
}

/// Writes what differs from the defaults. That what is confirmed is on the disk is the default, and stays so.
fn settle(data: &Path, sockets: &Path, port: u16) -> Result<()> {
    let path = data.join("postgresql.conf");
    let before = fs::read_to_string(&path)?;
    let ours = format!(
        "\nlisten_addresses = '127.0.0.1'\nssl = on\nunix_socket_directories = '{}'\nport = {port}\nmax_connections = 60\nshared_buffers = 256MB\n\
         max_wal_size = 2GB\nwal_keep_size = 2GB\nwal_retrieve_retry_interval = 200ms\nlogging_collector = off\nlog_line_prefix = '%m [%p] '\n",
        sockets.display()
    );
    fs::write(&path, before + &ours).with_context(|| format!("{} cannot be written", path.display()))
}

/// A server, started again whenever it ends, until this is dropped.
struct Server {
    data: PathBuf,
    port: u16,
    stop: Arc<AtomicBool>,
    child: Arc<Mutex<Child>>,
    keeper: Option<JoinHandle<()>>,
}

impl Server {
    fn start(owner: &Owner, programs: &Path, data: PathBuf, port: u16) -> Result<Self> {
        let log = fs::File::options().create(true).append(true).open(data.with_extension("log"))?;
        let mut command = owner.run(&programs.join("postgres"));
        command.arg("-D").arg(&data).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = Arc::new(Mutex::new(command.spawn().context("postgres does not start")?));
        let stop = Arc::new(AtomicBool::new(false));
        let keeper = std::thread::spawn({
            let (child, stop) = (Arc::clone(&child), Arc::clone(&stop));
            move || {
                while !stop.load(Ordering::Relaxed) {
                    pause();
                    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
                    if !stop.load(Ordering::Relaxed) && matches!(child.try_wait(), Ok(Some(_))) {
                        // If it cannot be started now, what is left of the one before is in its way; the next time will do.
                        if let Ok(again) = command.spawn() {
                            *child = again;
                        }
                    }
                }
            }
        });
        Ok(Self { data, port, stop, child, keeper: Some(keeper) })
    }

    /// From here on it is not started again.
    fn give_up(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(keeper) = self.keeper.take() {
            _ = keeper.join();
        }
    }

    /// Ends all of its processes at once, as a power cut would.
    fn kill(&self) -> Result<()> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let first = child.id().to_string();
        // Stopped first, it makes no more processes while those that it has are looked for.
        signal("-STOP", std::slice::from_ref(&first))?;
        let mut all = children(&first)?;
        all.push(first);
        signal("-KILL", &all)?;
        child.wait()?;
        Ok(())
    }
}

/// The processes that one has made, by their ids.
fn children(parent: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for process in fs::read_dir("/proc")? {
        let path = process?.path();
        // A process that ended meanwhile has no file, and what has no number for a name is no process.
        let Ok(stat) = fs::read_to_string(path.join("stat")) else { continue };
        let Some((id, rest)) = stat.rsplit_once(") ").and_then(|(before, rest)| Some((before.split_once(' ')?.0, rest))) else { continue };
        if rest.split(' ').nth(1) == Some(parent) {
            found.push(id.to_owned());
        }
    }
    Ok(found)
}

fn signal(which: &str, processes: &[String]) -> Result<()> {
    quiet(Command::new("kill").arg(which).args(processes))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.give_up();
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(child.try_wait(), Ok(None)) {
            // An immediate shutdown: the folder is made anew by the next run.
            _ = Command::new("kill").args(["-QUIT", &child.id().to_string()]).status();
            _ = child.wait();
        }
    }
}

/// Waits until the server answers a question without an error.
fn ready(sockets: &Path, port: u16, question: &str) -> Result<()> {
    for _ in 0..TRIES {
        if ask(sockets, port, question).is_ok() {
            return Ok(());
        }
        pause();
    }
    bail!("the server in {} does not come up; its log is beside it", sockets.display())
}

fn ask(sockets: &Path, port: u16, question: &str) -> Result<String> {
    output(Command::new("psql").args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &address(sockets, port), "-c", question]).stderr(Stdio::null()))
}

fn quiet(command: &mut Command) -> Result<()> {
    output(command).map(|_| ())
}

#[expect(clippy::disallowed_methods, reason = "a server is asked again and again until it is there, for a time that ends")]
fn pause() {
    std::thread::sleep(BETWEEN);
}
