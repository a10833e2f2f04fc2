//! Rounds: something is killed at a moment that nobody chose, comes back, and is asked for everything it had promised.
//!
//! A round is over when it serves again and every record told about before is there, once. Whether it also reached the
//! peer once, with its receipt, is seen in a round or two: the courier has to come round. At the end both ledgers are
//! exported, verified and counted through.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, fs};

use clap::ValueEnum;
use format::Digest;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::outside::{Desk, Faults, Outside, Told};
use crate::pair::{self, Member, Node, Outcome, Pair, text};

/// Desks at work at the same time.
const DESKS: usize = 3;

/// After this time something killed must serve again.
const BACK: Duration = Duration::from_secs(10);

/// After this time a release must have its receipt, and a recall its confirmation.
const ARRIVAL: Duration = Duration::from_secs(60);

/// A line tells how it goes after so many rounds.
const PROGRESS: usize = 25;

/// The files of a store.
const STORE: [&str; 3] = ["samverkan.db", "samverkan.db-wal", "samverkan.db-shm"];

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Nodes on their files, the sender and the receiver by turns.
    File,
    /// The sender's node, on PostgreSQL.
    Database,
    /// The server of the sender's node, which is started again.
    Server,
    /// The same, which is not: its standby takes its place.
    FailOver,
    /// The sender's node, whose store is then put back as it was a kill before. That must be found.
    Planted,
}

/// What came of a scenario.
#[derive(Debug)]
pub(crate) struct Tally {
    scenario: Scenario,
    kills: usize,
    acknowledged: u64,
    lost: usize,
    doubled: usize,
    other: usize,
    slowest: Duration,
    median: Duration,
    took: Duration,
}

impl Tally {
    pub(crate) const HEADING: &'static str = "killed        kills  acknowledged  lost  doubled  other  median back  slowest back  took";

    /// Whether nothing was lost, nothing came twice, and all were back in time; or a planted loss was found.
    pub(crate) fn holds(&self) -> bool {
        if self.scenario == Scenario::Planted { self.lost > 0 } else { self.lost + self.doubled + self.other == 0 }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, kills, acknowledged, lost, doubled, other, slowest, median, took } = self;
        let name = format!("{scenario:?}");
        let seconds = |time: &Duration| format!("{:.2} s", time.as_secs_f64());
        write!(f, "{name:<12} {kills:>6} {acknowledged:>13} {lost:>5} {doubled:>8} {other:>6} ")?;
        write!(f, "{:>12} {:>13} {:>5.0} s", seconds(median), seconds(slowest), took.as_secs_f64())
    }
}

/// Plays a scenario until it has killed so often or its time is over.
pub(crate) async fn play(scenario: Scenario, kills: usize, seed: u64, time: Option<Duration>) -> Outcome<Tally> {
    let begun = Instant::now();
    let folder = tempfile::tempdir()?;
    let mut stage = Stage::set(scenario, folder.path()).await?;
    let mut desks = JoinSet::new();
    for n in 0..DESKS {
        desks.spawn(stage.desk(n).work());
    }
    let mut times = Vec::new();
    for round in 0..kills {
        if time.is_some_and(|time| begun.elapsed() > time) {
            break;
        }
        tokio::time::sleep(moment(seed, round)).await;
        let back = stage.kill(round).await?;
        if back > BACK {
            stage.outside.faults().other.push(format!("kill {round}: it served again only after {back:?}"));
        }
        times.push(back);
        stage.check().await?;
        if scenario == Scenario::Planted && !stage.outside.faults().lost.is_empty() {
            break;
        }
        if round % PROGRESS == PROGRESS - 1 {
            println!("{scenario:?}: {} kills, {} acknowledged, the last back after {back:?}", round + 1, stage.outside.acknowledged());
        }
    }
    stage.outside.end();
    if scenario == Scenario::Planted {
        desks.shutdown().await;
    } else {
        while let Some(desk) = desks.join_next().await {
            desk?;
        }
        stage.settle().await?;
        stage.count(folder.path()).await?;
    }
    times.sort();
    let faults = std::mem::take(&mut *stage.outside.faults());
    let Faults { lost, doubled, other } = &faults;
    for (sort, found) in [("lost", lost), ("doubled", doubled), ("other", other)] {
        found.iter().take(5).for_each(|fault| println!("{scenario:?}: {sort}: {fault}"));
    }
    stage.pair.stop().await?;
    Ok(Tally {
        scenario,
        kills: times.len(),
        acknowledged: stage.outside.acknowledged(),
        lost: lost.len(),
        doubled: doubled.len(),
        other: other.len(),
        slowest: times.last().copied().unwrap_or_default(),
        median: times.get(times.len() / 2).copied().unwrap_or_default(),
        took: begun.elapsed(),
    })
}

/// How long a round's members work before the kill: 20 to 275 ms, by the seed.
fn moment(seed: u64, round: usize) -> Duration {
    let digest = Digest::of(format!("{seed} {round}").as_bytes());
    Duration::from_millis(20 + u64::from(digest.as_bytes().first().copied().unwrap_or_default()))
}

/// Two nodes, and what is known of them from outside.
struct Stage {
    scenario: Scenario,
    pair: Pair,
    sender_auditor: Member,
    outside: Arc<Outside>,
    /// Records before this place of the outside ledger are checked or wait.
    seen: usize,
    /// Those whose receipts or confirmations are not here yet.
    waiting: Vec<Told>,
}

impl Stage {
    async fn set(scenario: Scenario, folder: &Path) -> Outcome<Self> {
        let mut pair = Pair::start(folder).await?;
        let sender_auditor = pair.a.add("olga", &["auditor"]).await?;
        if !matches!(scenario, Scenario::File | Scenario::Planted) {
            let server = pair::server().ok_or("there is no database server")?;
            pair.a.stop().await?;
            let database = pair::scratch(&server, &format!("torture_{}", scenario as u8))?;
            pair.a.move_store(&database)?;
            if scenario == Scenario::FailOver {
                pair.a.configure(&format!("database = \"{}\"\nsynchronous-standby = true\n", either(&database)?))?;
            }
            pair.a.start().await?;
        }
        Ok(Self { scenario, pair, sender_auditor, outside: Arc::new(Outside::new()), seen: 0, waiting: Vec::new() })
    }

    fn desk(&self, n: usize) -> Desk {
        Desk {
            outside: Arc::clone(&self.outside),
            author: self.pair.author.clone(),
            officer: self.pair.officer.clone(),
            draft: self.pair.draft("torture"),
            name: format!("desk {n}"),
        }
    }

    /// Kills, and gives the time from there until what was killed serves again, and an act asked after it is acknowledged.
    async fn kill(&mut self, round: usize) -> Outcome<Duration> {
        let begun = Instant::now();
        match self.scenario {
            Scenario::File if round % 2 == 1 => again(&mut self.pair.b).await?,
            Scenario::File | Scenario::Database => again(&mut self.pair.a).await?,
            Scenario::Planted => {
                self.pair.a.kill()?;
                if round.is_multiple_of(2) {
                    keep(&self.pair.a.data)?
                } else {
                    put_back(&self.pair.a.data)?
                }
                self.pair.a.start().await?;
            }
            Scenario::Server => servers("kill").await?,
            Scenario::FailOver => servers("fail over").await?,
        }
        if !self.outside.served_after_kill().await {
            self.outside.faults().other.push(format!("kill {round}: nothing was acknowledged after it"));
        }
        Ok(begun.elapsed())
    }

    /// Is everything there that was told before? What has not arrived yet is looked for again in the next round.
    async fn check(&mut self) -> Outcome {
        let new = self.outside.records_from(self.seen);
        self.seen += new.len();
        for told in &new {
            let entries = entries(&self.sender_auditor, &told.id).await?;
            for act in &told.acts {
                self.outside.faults().expect_once(act, told, count(&entries, act));
            }
        }
        self.waiting.extend(new);
        let mut still = Vec::new();
        for told in std::mem::take(&mut self.waiting) {
            if !self.arrived(&told).await? {
                if told.since.elapsed() > ARRIVAL {
                    self.outside.faults().lost.push(format!("{} {} did not arrive", told.id, told.title));
                } else {
                    still.push(told);
                }
            }
        }
        self.waiting = still;
        Ok(())
    }

    /// Whether every holder has confirmed what it was told, and took it in once.
    async fn arrived(&self, told: &Told) -> Outcome<bool> {
        if !told.acts.contains("released") {
            return Ok(true);
        }
        let holders = match patiently(&self.pair.officer, &format!("/records/{}/holders", told.id)).await {
            Err(error) if error.to_string().starts_with("404") => {
                self.outside.faults().lost.push(format!("{} {}: {error}", told.id, told.title));
                return Ok(true);
            }
            holders => holders?,
        };
        let held = holders.pointer("/copies/0/state").and_then(Value::as_str) == Some("held");
        let none_outstanding = holders.get("outstanding").and_then(Value::as_array).is_some_and(Vec::is_empty);
        // The recall of a record may have come while it was on its way; that is seen when all is counted.
        Ok(held || (none_outstanding && holders.pointer("/copies/0/state").and_then(Value::as_str).is_some_and(|state| state != "queued" && state != "sent")))
    }

    /// Waits until nothing is on its way.
    async fn settle(&mut self) -> Outcome {
        let begun = Instant::now();
        loop {
            self.check().await?;
            if self.waiting.is_empty() || begun.elapsed() > ARRIVAL + BACK {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Everything once more, by both ledgers as a whole and by what readers see.
    async fn count(&mut self, folder: &Path) -> Outcome {
        verify(&self.sender_auditor, folder).await?;
        verify(&self.pair.auditor, folder).await?;
        let (sender, receiver) = (self.sender_auditor.ledger().await?, self.pair.auditor.ledger().await?);
        let acts = ["submitted", "approved", "released", "recalled", "superseded"];
        let sent: Vec<(&str, BTreeMap<String, usize>)> = acts.iter().map(|act| (*act, pair::counted(&sender, act))).collect();
        let (received, obeyed) = (pair::counted(&receiver, "received"), pair::counted(&receiver, "recall-obeyed"));
        let of = |times: &BTreeMap<String, usize>, id: &str| times.get(id).copied().unwrap_or_default();
        let all = self.outside.records_from(0);
        // A recall takes back every version, and what nobody was told may have come to pass too.
        let recalls = pair::counted(&sender, "recalled");
        let recalled: BTreeSet<&str> = all.iter().filter(|told| recalls.contains_key(&told.id)).map(|told| told.number.as_str()).collect();
        let superseded = pair::counted(&sender, "superseded");
        for told in &all {
            for (act, times) in &sent {
                let times = of(times, &told.id);
                if told.acts.contains(act) || times > 1 {
                    self.outside.faults().expect_once(act, told, times);
                }
            }
            let gone = recalled.contains(told.number.as_str());
            // What was recalled or replaced at once need not have left.
            let must_be_there = told.acts.contains("released") && !gone && !superseded.contains_key(&told.id);
            if must_be_there || of(&received, &told.id) > 1 {
                self.outside.faults().expect_once("received", told, of(&received, &told.id));
            }
            if of(&obeyed, &told.id) > 1 {
                self.outside.faults().expect_once("recall-obeyed", told, of(&obeyed, &told.id));
            }
            if must_be_there || gone {
                self.look(told, gone).await?;
            }
        }
        self.receipts(&sender);
        Ok(())
    }

    /// What a reader at the receiver sees: the content, or after a recall no content.
    async fn look(&self, told: &Told, recalled: bool) -> Outcome {
        let title = match self.pair.reader.get(&format!("/records/{}", told.id)).await {
            Ok(record) => record.pointer("/content/title").and_then(Value::as_str).map(str::to_owned),
            Err(error) if error.to_string().starts_with("404") => None,
            Err(error) => return Err(error),
        };
        let mut faults = self.outside.faults();
        match title {
            Some(title) if recalled => faults.other.push(format!("{} was recalled and is read at the receiver: {title}", told.id)),
            Some(title) if title == told.title => {}
            None if recalled => {}
            other => faults.lost.push(format!("{} reads {other:?} at the receiver, and not {:?}", told.id, told.title)),
        }
        Ok(())
    }

    /// Each parcel has one receipt.
    fn receipts(&self, sender: &[Value]) {
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for entry in sender.iter().filter(|entry| text(entry, "what") == "receipted") {
            *times.entry(text(entry, "sequence")).or_insert(0) += 1;
        }
        let sent = sender.iter().filter(|entry| text(entry, "what") == "sent");
        let mut faults = self.outside.faults();
        for sequence in sent.map(|entry| text(entry, "sequence")) {
            match times.remove(&sequence) {
                Some(1) => {}
                Some(n) => faults.doubled.push(format!("parcel {sequence} has {n} receipts")),
                None => faults.lost.push(format!("parcel {sequence} has no receipt of its own, or was sent twice")),
            }
        }
    }
}

impl Faults {
    fn expect_once(&mut self, act: &str, told: &Told, times: usize) {
        let found = format!("{} {} is in the ledger {times} times as {act}", told.id, told.title);
        match times {
            1 => {}
            0 => self.lost.push(found),
            _ => self.doubled.push(found),
        }
    }
}

async fn again(node: &mut Node) -> Outcome {
    node.kill()?;
    node.start().await?;
    Ok(())
}

/// Copies a store as it is.
fn keep(data: &Path) -> Outcome {
    for file in STORE {
        // Only a store that was not closed has the others.
        if data.join(file).exists() {
            fs::copy(data.join(file), data.join(file).with_added_extension("kept"))?;
        }
    }
    Ok(())
}

/// Puts the copy in the place of the store.
fn put_back(data: &Path) -> Outcome {
    for file in STORE {
        let kept = data.join(file).with_added_extension("kept");
        if data.join(file).exists() {
            fs::remove_file(data.join(file))?;
        }
        if kept.exists() {
            fs::rename(kept, data.join(file))?;
        }
    }
    Ok(())
}

/// Has whoever keeps the servers do something with them, and waits until it is done.
async fn servers(what: &'static str) -> Outcome {
    println!("servers: {what}");
    let answer = tokio::task::spawn_blocking(|| std::io::stdin().lock().lines().next()).await?;
    match answer.transpose()?.as_deref() {
        Some("done") => Ok(()),
        other => Err(format!("nobody keeps the servers, or it went wrong: {other:?}").into()),
    }
}

/// The same database on whichever of the two servers is the primary.
fn either(database: &str) -> Outcome<String> {
    let standby = std::env::var_os("SAMVERKAN_TEST_POSTGRES_STANDBY").and_then(|standby| standby.into_string().ok()).ok_or("there is no standby")?;
    let host = |address: &str| address.split_once('@').and_then(|(_, rest)| rest.rsplit_once('/')).map(|(host, _)| host.to_owned());
    let (one, other) = (host(database).ok_or("the database has no host")?, host(&standby).ok_or("the standby has no host")?);
    Ok(database.replace(&one, &format!("{one},{other}")))
}

async fn entries(auditor: &Member, id: &str) -> Outcome<Vec<Value>> {
    let page = patiently(auditor, &format!("/ledger/entries?record={id}")).await?;
    Ok(page.get("entries").and_then(Value::as_array).cloned().unwrap_or_default())
}

/// Asks until the node answers: one that decides again may still be about to connect for reading again.
async fn patiently(member: &Member, path: &str) -> Outcome<Value> {
    let begun = Instant::now();
    loop {
        match member.get(path).await {
            Err(error) if begun.elapsed() < BACK && !error.to_string().starts_with('4') => tokio::time::sleep(Duration::from_millis(5)).await,
            answer => return answer,
        }
    }
}

fn count(entries: &[Value], act: &str) -> usize {
    entries.iter().filter(|entry| text(entry, "what") == act).count()
}

/// Exports a ledger, and has the program verify it from its first entry.
async fn verify(auditor: &Member, folder: &Path) -> Outcome {
    let export = folder.join("export.jsonl");
    fs::write(&export, auditor.bytes("/ledger/export").await?)?;
    let verified = Command::new(env!("CARGO_BIN_EXE_samverkan")).args(["ledger", "verify"]).arg(&export).output()?;
    if verified.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&verified.stderr).into_owned().into()) }
}
