//! Two nodes, founded and agreed through the command line and REST, each a process of its own.
//!
//! The kill test, the torture and the benchmarks play with them.

#![allow(dead_code, unreachable_pub, reason = "each of its users needs a part of it")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tokio::time::Instant;

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

const PROGRAM: &str = env!("CARGO_BIN_EXE_samverkan");
const PURPOSE: &str = "counter-terrorism";

/// A node's folder and, while it runs, its process.
pub(crate) struct Node {
    pub(crate) org: &'static str,
    pub(crate) data: PathBuf,
    pub(crate) fingerprint: String,
    /// Of the first administrator, `ada`.
    pub(crate) password: String,
    /// How much the process logs.
    pub(crate) log: &'static str,
    /// What the process finds in its environment besides.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// The program that starts the process, with its words, where it does not start by itself.
    pub(crate) within: Vec<String>,
    process: Option<Child>,
    url: String,
}

impl Node {
    pub(crate) fn found(folder: &Path, org: &'static str, short: &str, country: &str) -> Outcome<Self> {
        Self::found_with(folder, org, short, country, &["--address", &free_address()?])
    }

    /// A node that is founded with more words, perhaps its address.
    pub(crate) fn found_with(folder: &Path, org: &'static str, short: &str, country: &str, words: &[&str]) -> Outcome<Self> {
        Self::found_at(folder, org, short, country, &free_address()?, words)
    }

    /// A node that is founded where members reach it at `web`.
    pub(crate) fn found_at(folder: &Path, org: &'static str, short: &str, country: &str, web: &str, words: &[&str]) -> Outcome<Self> {
        let data = folder.join(org);
        let made = Command::new(PROGRAM)
            .args(["--json", "init"])
            .arg(&data)
            .args(["--org", org, "--short", short, "--name-sv", org, "--name-en", org, "--country", country, "--kind", "security-service"])
            .args(["--contact", "bench", "--web", web, "--admin", "ada"])
            .args(words)
            .output()?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into_owned().into());
        }
        let told: Value = serde_json::from_slice(&made.stdout)?;
        let text = |key: &str| told.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Self {
            org,
            data,
            fingerprint: text("fingerprint"),
            password: text("password"),
            log: "warn",
            environment: Vec::new(),
            within: Vec::new(),
            process: None,
            url: String::new(),
        })
    }

    /// Starts the process and gives the time from there until it answers that it is well.
    pub(crate) async fn start(&mut self) -> Outcome<Duration> {
        self.start_until(|status| status.is_success()).await
    }

    /// Starts the process and gives the time from there until it answers, whatever it does.
    pub(crate) async fn start_unwell(&mut self) -> Outcome<Duration> {
        self.start_until(|_| true).await
    }

    async fn start_until(&mut self, is_there: impl Fn(reqwest::StatusCode) -> bool) -> Outcome<Duration> {
        let address = self.data.join("web.address");
        _ = fs::remove_file(&address);
        let log = fs::File::options().create(true).append(true).open(self.data.join("node.log"))?;
        let begun = Instant::now();
        let mut words = self.within.iter().map(String::as_str).chain([PROGRAM]);
        let process = Command::new(words.next().unwrap_or(PROGRAM))
            .args(words)
            .args(["serve", "--log", self.log])
            .envs(self.environment.iter().cloned())
            .arg("--data")
            .arg(&self.data)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.process = Some(process);
        let client = self.client()?;
        loop {
            if let Ok(listening) = fs::read_to_string(&address) {
                self.url = format!("https://{}", listening.trim());
                if client.get(format!("{}/api/v1/health", self.url)).send().await.is_ok_and(|answer| is_there(answer.status())) {
                    break;
                }
            }
            if begun.elapsed() > Duration::from_secs(60) {
                return Err(format!("the node of {} did not start:\n{}", self.org, self.written()?).into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(begun.elapsed())
    }

    pub(crate) async fn stop(&mut self) -> Outcome {
        if let Some(mut process) = self.process.take() {
            if let Some(id) = i32::try_from(process.id()).ok().and_then(rustix::process::Pid::from_raw) {
                rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
            }
            tokio::task::spawn_blocking(move || process.wait()).await??;
        }
        Ok(())
    }

    /// Moves the store to a database, and configures the node for it. Gives what the command told.
    pub(crate) fn move_store(&self, database: &str) -> Outcome<Value> {
        let moved = Command::new(PROGRAM).args(["--json", "store", "move", "--to", database, "--data"]).arg(&self.data).output()?;
        if !moved.status.success() {
            return Err(String::from_utf8_lossy(&moved.stderr).into_owned().into());
        }
        self.configure(&format!("database = \"{database}\"\n"))?;
        Ok(serde_json::from_slice(&moved.stdout)?)
    }

    /// Sets keys of the store in the configuration, in place of what they were.
    pub(crate) fn configure(&self, keys: &str) -> Outcome {
        let path = self.data.join("samverkan.toml");
        let names: Vec<&str> = keys.lines().filter_map(|line| line.split_once(" =")).map(|(name, _)| name).collect();
        let text = fs::read_to_string(&path)?;
        let kept: Vec<&str> = text.lines().filter(|line| !names.iter().any(|name| line.starts_with(&format!("{name} =")))).collect();
        Ok(fs::write(&path, kept.join("\n").replace("[store]\n", &format!("[store]\n{keys}")) + "\n")?)
    }

    /// Listens for peers elsewhere than at the address on the card.
    pub(crate) fn listen_at(&self, card: &str, listen: &str) -> Outcome {
        let path = self.data.join("samverkan.toml");
        let text = fs::read_to_string(&path)?;
        Ok(fs::write(path, text.replacen(&format!("listen = \"{card}\""), &format!("listen = \"{listen}\""), 1))?)
    }

    /// A second process for the same organisation: the same keys and store, on ports of its own.
    pub(crate) fn twin(&self, folder: &Path) -> Outcome<Self> {
        let data = folder.join(format!("{}-twin", self.org));
        fs::create_dir(&data)?;
        for file in fs::read_dir(&self.data)? {
            let file = file?;
            if file.file_type()?.is_file() {
                fs::copy(file.path(), data.join(file.file_name()))?;
            }
        }
        let path = data.join("samverkan.toml");
        let text = fs::read_to_string(&path)?;
        let ours: Vec<String> =
            text.lines().map(|line| if line.starts_with("listen =") { "listen = \"127.0.0.1:0\"".to_owned() } else { line.to_owned() }).collect();
        fs::write(&path, ours.join("\n") + "\n")?;
        Ok(Self {
            org: self.org,
            data,
            fingerprint: self.fingerprint.clone(),
            password: self.password.clone(),
            log: self.log,
            environment: Vec::new(),
            within: Vec::new(),
            process: None,
            url: String::new(),
        })
    }

    /// What the node says when it does not start.
    pub(crate) fn refusal(&self) -> Outcome<String> {
        let refused = Command::new("timeout").arg("20").arg(PROGRAM).args(["serve", "--data"]).arg(&self.data).output()?;
        if refused.status.success() { Err("the node started".into()) } else { Ok(String::from_utf8_lossy(&refused.stderr).into_owned()) }
    }

    /// Ends the process at once, as a power cut would: it gets no chance to put anything in order.
    pub(crate) fn kill(&mut self) -> Outcome {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// The process, as the system knows it.
    pub(crate) fn process_id(&self) -> Outcome<u32> {
        Ok(self.process.as_ref().ok_or("the node does not run")?.id())
    }

    /// Waits until the process has ended by itself, at most so long.
    pub(crate) async fn ended(&mut self, patience: Duration) -> Outcome<ExitStatus> {
        let begun = Instant::now();
        loop {
            let process = self.process.as_mut().ok_or("the node does not run")?;
            if let Some(status) = process.try_wait()? {
                self.process = None;
                return Ok(status);
            }
            if begun.elapsed() > patience {
                return Err(format!("the node of {} still runs", self.org).into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What anybody is told of the node: nothing where all is well, else the words of its troubles.
    pub(crate) async fn health(&self) -> Outcome<Vec<String>> {
        let answer = self.client()?.get(format!("{}/api/v1/health", self.url)).send().await?;
        if answer.status().is_success() {
            return Ok(Vec::new());
        }
        let body: Value = answer.json().await?;
        let reasons = body.get("reasons").and_then(Value::as_array).ok_or("a problem without reasons")?;
        Ok(reasons.iter().map(|reason| text(reason, "code")).collect())
    }

    /// What the process has written.
    pub(crate) fn written(&self) -> Outcome<String> {
        Ok(fs::read_to_string(self.data.join("node.log"))?)
    }

    /// Resident memory now, in MiB.
    pub(crate) fn resident_mib(&self) -> Outcome<f64> {
        self.memory_mib("status", "VmRSS:")
    }

    /// The same, but of what several processes share, the program above all, only this one's part.
    pub(crate) fn share_mib(&self) -> Outcome<f64> {
        self.memory_mib("smaps_rollup", "Pss:")
    }

    fn memory_mib(&self, told: &str, sort: &str) -> Outcome<f64> {
        let id = self.process.as_ref().map(Child::id).ok_or("the node does not run")?;
        let told = fs::read_to_string(format!("/proc/{id}/{told}"))?;
        let line = told.lines().find_map(|line| line.strip_prefix(sort)).ok_or("the system does not tell how much memory it takes")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }

    /// A client that trusts this node's certificate and has no connection yet.
    fn client(&self) -> Outcome<reqwest::Client> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.data.join("web.pem"))?)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().read_timeout(Duration::from_secs(30)).build()?)
    }

    /// Somebody who has logged in, over a connection of their own.
    pub(crate) async fn log_in(&self, member: &str, password: &str) -> Outcome<Member> {
        let nobody = Member { client: self.client()?, url: self.url.clone(), secret: String::new() };
        let answer = nobody.post("/session", &json!({ "member": member, "password": password })).await?;
        Ok(Member { secret: text(&answer, "secret"), ..nobody })
    }

    /// The first administrator, logged in.
    pub(crate) async fn administrator(&self) -> Outcome<Member> {
        self.log_in("ada", &self.password).await
    }

    /// Runs a verb of the command line on this node, as a member, and gives its answer.
    pub(crate) async fn verb(&self, member: Option<&Member>, arguments: &[&str]) -> Outcome<Value> {
        let mut command = Command::new(PROGRAM);
        command.arg("--json").args(arguments).arg("--data").arg(&self.data).stdin(Stdio::null());
        if let Some(member) = member {
            command.env("SAMVERKAN_TOKEN", &member.secret);
        }
        let told = tokio::task::spawn_blocking(move || command.output()).await??;
        if !told.status.success() {
            return Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&told.stderr)).into());
        }
        Ok(if told.stdout.is_empty() { Value::Null } else { serde_json::from_slice(&told.stdout)? })
    }

    /// Adds a member with these roles and logs in.
    pub(crate) async fn add(&self, member: &str, roles: &[&str]) -> Outcome<Member> {
        let ada = self.log_in("ada", &self.password).await?;
        let made = ada.post("/members", &json!({ "id": member, "name": member, "roles": roles })).await?;
        self.log_in(member, &text(&made, "password")).await
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            _ = process.kill();
            _ = process.wait();
        }
    }
}

/// An address of this machine where nobody listens now.
pub(crate) fn free_address() -> Outcome<String> {
    FreeAddresses::take(1)?.release().pop().ok_or_else(|| "there is no free port".into())
}

/// Addresses of this machine, each another, which nobody takes until they are released.
pub(crate) struct FreeAddresses(Vec<TcpListener>);

impl FreeAddresses {
    pub(crate) fn take(count: usize) -> Outcome<Self> {
        Ok(Self((0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?))
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.0.iter().filter_map(|listener| listener.local_addr().ok()).map(|address| address.to_string()).collect()
    }

    pub(crate) fn release(self) -> Vec<String> {
        self.addresses()
    }
}

/// The database server for tests, where there is one.
pub(crate) fn server() -> Option<String> {
    let server = std::env::var_os("SAMVERKAN_TEST_POSTGRES").and_then(|server| server.into_string().ok());
    if server.is_none() {
        println!("not run: no server is told in SAMVERKAN_TEST_POSTGRES; `cargo xtask postgres -- COMMAND` gives one");
    }
    server
}

/// A new database on it, and its address.
pub(crate) fn scratch(server: &str, name: &str) -> Outcome<String> {
    let name = format!("{name}_{}", std::process::id());
    psql(server, &format!("DROP DATABASE IF EXISTS {name}"))?;
    psql(server, &format!("CREATE DATABASE {name}"))?;
    let (address, _) = server.rsplit_once('/').ok_or("the server's address names no database")?;
    Ok(format!("{address}/{name}"))
}

/// What a database answers.
pub(crate) fn psql(address: &str, question: &str) -> Outcome<String> {
    let out = Command::new("psql").args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", address, "-c", question]).output()?;
    if !out.status.success() {
        return Err(format!("{question}: {}", String::from_utf8_lossy(&out.stderr)).into());
    }
    Ok(String::from_utf8(out.stdout)?.trim().to_owned())
}

/// A member's session.
#[derive(Clone)]
pub(crate) struct Member {
    client: reqwest::Client,
    url: String,
    secret: String,
}

pub(crate) fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

impl Member {
    /// The same session at another process of the same node.
    pub(crate) fn at(&self, node: &Node) -> Outcome<Self> {
        Ok(Self { client: node.client()?, url: node.url.clone(), secret: self.secret.clone() })
    }

    /// What proves to the node who asks.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// Somebody else at the same node.
    pub(crate) fn with_secret(&self, secret: &str) -> Self {
        Self { secret: secret.to_owned(), ..self.clone() }
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Outcome<Value> {
        self.send(self.client.put(format!("{}/api/v1{path}", self.url)).json(body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Outcome<Value> {
        self.send(self.client.get(format!("{}/api/v1{path}", self.url))).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Outcome<Value> {
        self.send(self.client.post(format!("{}/api/v1{path}", self.url)).json(body)).await
    }

    /// Asks for something that needs nothing more to be said.
    pub(crate) async fn ask(&self, path: &str) -> Outcome<Value> {
        self.send(self.client.post(format!("{}/api/v1{path}", self.url))).await
    }

    pub(crate) async fn post_bytes(&self, path: &str, media_type: &str, body: impl Into<reqwest::Body>) -> Outcome<Value> {
        self.send(self.client.post(format!("{}/api/v1{path}", self.url)).header("content-type", media_type).body(body)).await
    }

    pub(crate) async fn bytes(&self, path: &str) -> Outcome<Vec<u8>> {
        self.whole(self.client.get(format!("{}/api/v1{path}", self.url))).await
    }

    /// Asks for something that is answered with bytes.
    pub(crate) async fn post_for_bytes(&self, path: &str) -> Outcome<Vec<u8>> {
        self.whole(self.client.post(format!("{}/api/v1{path}", self.url))).await
    }

    async fn whole(&self, request: reqwest::RequestBuilder) -> Outcome<Vec<u8>> {
        Ok(request.bearer_auth(&self.secret).header("samverkan-purpose", PURPOSE).send().await?.error_for_status()?.bytes().await?.to_vec())
    }

    /// Writes what a path gives to a file.
    pub(crate) async fn save(&self, path: &str, file: &Path) -> Outcome {
        let request = self.client.get(format!("{}/api/v1{path}", self.url));
        let mut response = request.bearer_auth(&self.secret).header("samverkan-purpose", PURPOSE).send().await?.error_for_status()?;
        let mut file = io::BufWriter::new(fs::File::create(file)?);
        while let Some(piece) = response.chunk().await? {
            file.write_all(&piece)?;
        }
        Ok(file.flush()?)
    }

    /// The length of what a path gives, read and thrown away.
    pub(crate) async fn drain(&self, path: &str) -> Outcome<u64> {
        let request = self.client.get(format!("{}/api/v1{path}", self.url));
        let mut response = request.bearer_auth(&self.secret).header("samverkan-purpose", PURPOSE).send().await?.error_for_status()?;
        let mut length = 0;
        while let Some(piece) = response.chunk().await? {
            length += piece.len() as u64;
        }
        Ok(length)
    }

    /// The same session over a connection to the node as it runs now.
    pub(crate) fn again(&self, node: &Node) -> Outcome<Self> {
        Ok(Self { client: node.client()?, url: node.url.clone(), secret: self.secret.clone() })
    }

    /// Every entry of the ledger, as an export has them.
    pub(crate) async fn ledger(&self) -> Outcome<Vec<Value>> {
        let export = String::from_utf8(self.bytes("/ledger/export").await?)?;
        let lines = export.lines().skip(1).map(|line| Ok(serde_json::from_str::<Value>(line)?.get_mut("entry").map(Value::take).unwrap_or_default()));
        lines.collect()
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Outcome<Value> {
        let request = if self.secret.is_empty() { request } else { request.bearer_auth(&self.secret) };
        let answer = request.header("samverkan-purpose", PURPOSE).send().await?;
        let status = answer.status();
        let bytes = answer.bytes().await?;
        if !status.is_success() {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&bytes)).into());
        }
        if bytes.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&bytes)?) }
    }
}

/// Waits until a holder has confirmed the record, at most so long from `begun` on.
pub(crate) async fn held(officer: &Member, id: &str, begun: Instant, patience: Duration) -> Outcome {
    loop {
        let holders = officer.get(&format!("/records/{id}/holders")).await?;
        if holders.pointer("/copies/0/state").and_then(Value::as_str) == Some("held") {
            return Ok(());
        }
        if begun.elapsed() > patience {
            return Err(format!("{id} was acknowledged and has no receipt: {holders}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How many entries of one sort there are about each record.
pub(crate) fn counted(entries: &[Value], what: &str) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for entry in entries.iter().filter(|entry| text(entry, "what") == what) {
        *times.entry(text(entry, "record")).or_insert(0) += 1;
    }
    times
}

/// Two nodes that know each other and have an agreement in force.
pub(crate) struct Pair {
    pub(crate) a: Node,
    pub(crate) b: Node,
    pub(crate) author: Member,
    pub(crate) officer: Member,
    pub(crate) second_officer: Member,
    pub(crate) reader: Member,
    pub(crate) auditor: Member,
}

impl Pair {
    pub(crate) async fn start(folder: &Path) -> Outcome<Self> {
        Self::of(Node::found(folder, "aa-bench", "AA", "SE")?, Node::found(folder, "bb-bench", "BB", "DK")?).await
    }

    /// The same with two nodes that have just been founded.
    pub(crate) async fn of(mut a: Node, mut b: Node) -> Outcome<Self> {
        a.start().await?;
        b.start().await?;
        let (ada, bea) = (a.log_in("ada", &a.password).await?, b.log_in("ada", &b.password).await?);
        let card = ada.bytes(&format!("/organisations/{}/card", a.org)).await?;
        bea.post_bytes(&format!("/organisations?fingerprint={}", a.fingerprint), "application/cose", card).await?;
        let card = bea.bytes(&format!("/organisations/{}/card", b.org)).await?;
        ada.post_bytes(&format!("/organisations?fingerprint={}", b.fingerprint), "application/cose", card).await?;
        let (liaison, author) = (a.add("lena", &["liaison"]).await?, a.add("anna", &["analyst"]).await?);
        let (officer, signer) = (a.add("rolf", &["release-officer"]).await?, b.add("rolf", &["release-officer"]).await?);
        let second_officer = a.add("rut", &["release-officer"]).await?;
        let reader = b.add("anna", &["analyst", "liaison"]).await?;
        let auditor = b.add("osk", &["auditor"]).await?;
        let party = |org: &str| json!({ "org": org, "role": "member", "from": "2020-01-01T00:00:00.000Z" });
        let agreement = json!({
            "id": "bench", "version": 1, "title": { "sv": "bench", "en": "bench" }, "form": "bilateral",
            "parties": [party(a.org), party(b.org)],
            "terms": {
                "kinds": ["report", "correction", "recall", "consent"], "ceiling": "se:h", "purposes": [PURPOSE],
                "legal-bases": ["2019:1182 2:4"], "onward": "consent", "longest-retention-days": 365, "joining": "all", "four-eyes": true,
            },
            "proposed-by": a.org, "proposed": "2026-11-22T08:00:00.000Z", "valid-from": "2020-01-01T00:00:00.000Z",
        });
        liaison.post("/agreements", &agreement).await?;
        let begun = Instant::now();
        while signer.post("/agreements/bench/signatures", &json!({ "version": 1 })).await.is_err() {
            if begun.elapsed() > Duration::from_secs(20) {
                return Err("the agreement did not reach the other node".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        while !author.get("/agreements/bench").await?.to_string().contains("in-force") {
            if begun.elapsed() > Duration::from_secs(40) {
                return Err(format!("the agreement did not come in force: {}", author.get("/agreements/bench").await?).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { a, b, author, officer, second_officer, reader, auditor })
    }

    /// A draft of about 2 KiB.
    pub(crate) fn draft(&self, title: &str) -> Value {
        json!({
            "kind": "report", "agreement": "bench", "audience": [self.b.org], "marking": { "classification": "se:k", "tlp": "green" },
            "grading": "admiralty:B2", "purpose": PURPOSE, "legal-basis": "2019:1182 2:4", "language": "en", "retention-days": 30,
            "content": { "title": title, "text": "x".repeat(1900) },
        })
    }

    /// Drafts, submits and approves one record; gives its id.
    pub(crate) async fn approved(&self, title: &str) -> Outcome<String> {
        let made = self.author.post("/drafts", &self.draft(title)).await?;
        self.put_through(&made).await
    }

    pub(crate) async fn put_through(&self, made: &Value) -> Outcome<String> {
        let path = format!("/drafts/{}/{}/submission", text(made, "number"), text(made, "version"));
        let id = text(&self.author.ask(&path).await?, "id");
        self.officer.ask(&format!("/records/{id}/approval")).await?;
        Ok(id)
    }

    /// Waits until the receiver has confirmed the record.
    pub(crate) async fn held(&self, id: &str, patience: Duration) -> Outcome {
        held(&self.officer, id, Instant::now(), patience).await
    }

    /// How often each record was taken in, by the receiver's ledger.
    pub(crate) async fn received(&self) -> Outcome<BTreeMap<String, usize>> {
        Ok(counted(&self.auditor.ledger().await?, "received"))
    }

    pub(crate) async fn stop(&mut self) -> Outcome {
        self.a.stop().await?;
        self.b.stop().await
    }

    /// Members of the first node go on with their sessions, over new connections.
    pub(crate) fn renew(&mut self) -> Outcome {
        for member in [&mut self.author, &mut self.officer, &mut self.second_officer] {
            *member = member.at(&self.a)?;
        }
        Ok(())
    }

    /// Starts both nodes again; members go on with the sessions they have, over new connections.
    pub(crate) async fn start_again(&mut self) -> Outcome {
        self.a.start().await?;
        self.b.start().await?;
        for member in [&mut self.author, &mut self.officer, &mut self.second_officer] {
            member.client = self.a.client()?;
            // The first request makes the connection that all others share; many first ones would be many connections.
            member.get("/agreements/bench").await?;
        }
        for member in [&mut self.reader, &mut self.auditor] {
            member.client = self.b.client()?;
        }
        Ok(())
    }
}
