//! Whether it holds when there is much of it: many nodes, a mesh that was apart, a recall to everybody, a long ledger.
//!
//! Nodes are real processes with real TLS on this machine, and share its cores with everything else here. Cards and
//! the agreement are put into their stores beforehand, each signed by whose it is; from then on everything is exchange.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::gate::Gate;
use crate::measure::{self, Figures, Folder, at_once, quantile};
use crate::pair::{FreeAddresses, Member, Node, Outcome, Pair, text};
use crate::{fill, limit};

/// Founded or started at the same time.
const TOGETHER: usize = 4;

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(600);

const AGREEMENT: &str = "bench";

/// Everything of this file.
pub(crate) async fn hold(figures: &mut Figures, quick: bool) -> Outcome {
    ledger(figures, if quick { 50_000 } else { 1_000_000 }).await?;
    federation(figures, if quick { 20 } else { 196 }, if quick { 2 } else { 5 }).await?;
    if quick {
        mesh(figures, 6, 500).await?
    } else {
        mesh(figures, 30, 10_000).await?
    }
    crate::hostile::hostile(figures, quick).await?;
    if crate::pair::server().is_some() { measure::postgres(figures, quick).await } else { Ok(()) }
}

/// A node of a federation, and who works there.
pub(crate) struct Place {
    node: Node,
    author: Member,
    pub(crate) officer: Member,
}

/// One release to everybody, and recalls from everybody.
pub(crate) async fn federation(figures: &mut Figures, count: usize, recalls: usize) -> Outcome {
    let folder = Folder::new("federation")?;
    let mut nodes = found(&folder.0, count).await?;
    fill::agreed(&folders(&nodes), &agreement(&nodes)?)?;
    let others = nodes.split_off(1);
    let others = start(others).await?;
    let mut nodes = start(nodes).await?;
    let sender = nodes.pop().ok_or("there is no sender")?;
    let sender = Place::open(sender).await?;
    let best = tokio::task::spawn_blocking(|| limit::sign_and_verify(2048, Duration::from_secs(3))).await?;
    eprintln!("waiting until all have found each other");
    connected(&sender, others.len()).await?;

    let recipients: Vec<&str> = others.iter().map(|node| node.org).collect();
    let record = sender.approved("to everybody", &recipients).await?;
    let begun = Instant::now();
    sender.officer.ask(&format!("/records/{record}/release")).await?;
    sender.until(&record, |holders| count_of(holders, "held") == recipients.len()).await?;
    let took = begun.elapsed().as_secs_f64();
    // A parcel and a receipt for each recipient, each signed and verified with both algorithms.
    let least = 2.0 * f64::from(u32::try_from(recipients.len())?) / best;
    figures.print("federation.all_receipts_s", took, "s", "<= 5", Some(least));

    // All of them are on this machine, and the program is in its memory once.
    let sizes = others.iter().map(Node::share_mib).collect::<Outcome<Vec<f64>>>()?;
    figures.print("federation.rss_mib_per_node", sizes.iter().sum::<f64>() / f64::from(u32::try_from(sizes.len())?), "MiB", "<= 20", None);

    let mut times = Vec::new();
    for n in 0..recalls {
        let record = sender.approved(&format!("to be recalled {n}"), &recipients).await?;
        sender.officer.ask(&format!("/records/{record}/release")).await?;
        sender.until(&record, |holders| count_of(holders, "held") == recipients.len()).await?;
        times.extend(sender.recalled(&record, recipients.len()).await?);
    }
    times.sort_by(f64::total_cmp);
    figures.print("recall.p50_s", quantile(&times, 0.5), "s", "", None);
    figures.print("recall.p99_s", quantile(&times, 0.99), "s", "<= 5", Some(least));
    Ok(())
}

/// All to all, apart while much is queued, and then together.
pub(crate) async fn mesh(figures: &mut Figures, count: usize, records: usize) -> Outcome {
    let folder = Folder::new("mesh")?;
    eprintln!("the exchange of one pair, to compare with");
    let pair_folder = folder.0.join("pair");
    std::fs::create_dir_all(&pair_folder)?;
    let mut pair = Pair::start(&pair_folder).await?;
    let rate = measure::warm_rate(&pair, records.min(5_000)).await?;
    pair.stop().await?;
    figures.print("mesh.pair_records_per_s", rate, "1/s", "", None);

    let (nodes, gates) = found_behind_gates(&folder.0, count).await?;
    fill::agreed(&folders(&nodes), &agreement(&nodes)?)?;
    let mut places = Vec::new();
    for node in start(nodes).await? {
        places.push(Place::open(node).await?);
    }
    eprintln!("queueing {records} records at {count} nodes, none of which reaches another");
    let begun = Instant::now();
    at_once(0..records, |n| {
        let (from, to) = (n % count, (n % count + 1 + n / count % (count - 1)) % count);
        let (from, to) = (places.get(from).map(Place::members), places.get(to).map(|place| place.node.org));
        async move {
            let ((author, officer), to) = from.zip(to).ok_or("there is no such node")?;
            let id = approved(&author, &officer, &format!("record {n}"), &[to]).await?;
            officer.ask(&format!("/records/{id}/release")).await.map(drop)
        }
    })
    .await?;
    eprintln!("queued after {:.1} s; the gates are opened", begun.elapsed().as_secs_f64());
    gates.iter().for_each(Gate::open);
    let begun = Instant::now();
    let mut half_told = false;
    loop {
        let mut left = 0;
        for place in &places {
            left += place.left().await?;
        }
        if left <= records as u64 / 2 && !half_told {
            eprintln!("half of it left its node within {:.1} s", begun.elapsed().as_secs_f64());
            half_told = true;
        }
        if left == 0 {
            break;
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("{left} records are still on their way").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = begun.elapsed().as_secs_f64();
    figures.print("mesh.all_s", took, "s", "", None);
    let converged = f64::from(u32::try_from(records)?) / took;
    figures.print("mesh.converge_share", converged / rate, "share", ">= 0.50", Some(1.0));
    Ok(())
}

/// Verifies an exported ledger, as an auditor does, anywhere.
pub(crate) async fn ledger(figures: &mut Figures, entries: u64) -> Outcome {
    let folder = Folder::new("ledger")?;
    let mut node = Node::found(&folder.0, "aa-bench", "AA", "SE")?;
    eprintln!("filling a ledger to {entries} entries");
    fill::entries(&node.data, entries)?;
    node.start().await?;
    let auditor = node.add("osk", &["auditor"]).await?;
    let export = folder.0.join("export.jsonl");
    auditor.save("/ledger/export", &export).await?;
    node.stop().await?;
    let begun = Instant::now();
    let verified = Command::new(env!("CARGO_BIN_EXE_samverkan")).args(["ledger", "verify"]).arg(&export).output()?;
    let took = begun.elapsed().as_secs_f64();
    if !verified.status.success() {
        return Err(String::from_utf8_lossy(&verified.stderr).into_owned().into());
    }
    let read = Instant::now();
    std::hint::black_box(format::Digest::of(&std::fs::read(&export)?));
    let least = read.elapsed().as_secs_f64();
    let figure = if entries == 1_000_000 { "ledger.verify_1m_s".to_owned() } else { format!("ledger.verify_{entries}_s") };
    figures.print(&figure, took, "s", "<= 60", Some(least));
    Ok(())
}

impl Place {
    pub(crate) async fn open(node: Node) -> Outcome<Self> {
        let (author, officer) = (node.add("anna", &["analyst"]).await?, node.add("rolf", &["release-officer"]).await?);
        Ok(Self { node, author, officer })
    }

    fn members(&self) -> (Member, Member) {
        (self.author.clone(), self.officer.clone())
    }

    pub(crate) async fn approved(&self, title: &str, audience: &[&str]) -> Outcome<String> {
        approved(&self.author, &self.officer, title, audience).await
    }

    /// Waits until the record's holders are as they should be.
    async fn until(&self, record: &str, holds: impl Fn(&Value) -> bool) -> Outcome {
        let begun = Instant::now();
        loop {
            let holders = self.officer.get(&format!("/records/{record}/holders")).await?;
            if holds(&holders) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("waited in vain for {record}: {} hold it", count_of(&holders, "held")).into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Recalls a record. Gives the seconds until each holder had confirmed.
    async fn recalled(&self, record: &str, holders: usize) -> Outcome<Vec<f64>> {
        let begun = Instant::now();
        self.officer.post(&format!("/records/{record}/recall"), &json!({ "reason": "bench" })).await?;
        let mut times = Vec::new();
        let mut confirmed = BTreeSet::new();
        while confirmed.len() < holders {
            let answer = self.officer.get(&format!("/records/{record}/holders")).await?;
            let at = begun.elapsed().as_secs_f64();
            for holder in answer.get("confirmed").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
                if confirmed.insert(holder.to_owned()) {
                    times.push(at);
                }
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("only {} of {holders} have confirmed the recall", confirmed.len()).into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(times)
    }

    /// How many items wait for others, or are on their way without a receipt.
    async fn left(&self) -> Outcome<u64> {
        let peers = self.officer.get("/peers").await?;
        let peers = peers.get("peers").and_then(Value::as_array).cloned().unwrap_or_default();
        if let Some(stopped) = peers.iter().find(|peer| peer.get("suspicion").is_some_and(|suspicion| !suspicion.is_null())) {
            return Err(format!("exchange stopped: {stopped}").into());
        }
        let number = |peer: &Value, key: &str| peer.get(key).and_then(Value::as_u64).unwrap_or_default();
        Ok(peers.iter().map(|peer| number(peer, "waiting") + (number(peer, "sent") - number(peer, "acknowledged"))).sum())
    }
}

async fn approved(author: &Member, officer: &Member, title: &str, audience: &[&str]) -> Outcome<String> {
    let draft = json!({
        "kind": "report", "agreement": AGREEMENT, "audience": audience, "marking": { "classification": "se:k", "tlp": "green" },
        "grading": "admiralty:B2", "purpose": "counter-terrorism", "legal-basis": "2019:1182 2:4", "language": "en", "retention-days": 30,
        "content": { "title": title, "text": "x".repeat(1900) },
    });
    let made = author.post("/drafts", &draft).await?;
    let place = format!("/drafts/{}/{}/submission", text(&made, "number"), text(&made, "version"));
    let id = text(&author.ask(&place).await?, "id");
    officer.ask(&format!("/records/{id}/approval")).await?;
    Ok(id)
}

fn count_of(holders: &Value, state: &str) -> usize {
    let copies = holders.get("copies").and_then(Value::as_array).into_iter().flatten();
    copies.filter(|copy| copy.get("state").and_then(Value::as_str) == Some(state)).count()
}

/// Waits until a node has reached all others.
async fn connected(place: &Place, others: usize) -> Outcome {
    let begun = Instant::now();
    loop {
        let peers = place.officer.get("/peers").await?;
        let peers = peers.get("peers").and_then(Value::as_array).cloned().unwrap_or_default();
        let reached = peers.iter().filter(|peer| peer.get("reachable").and_then(Value::as_bool) == Some(true)).count();
        if reached == others {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("only {reached} of {others} were reached").into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Founds nodes, of which nobody knows another.
pub(crate) async fn found(folder: &Path, count: usize) -> Outcome<Vec<Node>> {
    eprintln!("founding {count} nodes");
    let addresses = FreeAddresses::take(2 * count)?.release();
    let mut founding = JoinSet::new();
    let mut nodes = Vec::new();
    for (n, pair) in addresses.chunks(2).enumerate() {
        let (folder, pair) = (folder.to_owned(), pair.to_vec());
        if founding.len() >= TOGETHER {
            nodes.extend(founding.join_next().await.transpose()?.transpose()?);
        }
        founding.spawn_blocking(move || {
            let [peer, web] = pair.as_slice() else { return Err("a node has two addresses".into()) };
            Node::found_at(&folder, String::leak(format!("org-{n:03}")), &format!("O{n:03}"), "SE", web, &["--address", peer])
        });
    }
    while let Some(next) = founding.join_next().await {
        nodes.push(next??);
    }
    nodes.sort_by_key(|node| node.org);
    Ok(nodes)
}

/// The same, each behind a gate that is shut.
async fn found_behind_gates(folder: &Path, count: usize) -> Outcome<(Vec<Node>, Vec<Gate>)> {
    // Taken as long as the gates are put up, so that no gate gets the address of a node.
    let free = FreeAddresses::take(2 * count)?;
    let mut gates = Vec::new();
    for peer in free.addresses().iter().step_by(2) {
        gates.push(Gate::before(peer.parse()?).await?);
    }
    let mut nodes = Vec::new();
    for ((n, pair), gate) in free.release().chunks(2).enumerate().zip(&gates) {
        let [peer, web] = pair else { return Err("a node has two addresses".into()) };
        let (org, address) = (String::leak(format!("org-{n:03}")), gate.address.to_string());
        let node = Node::found_at(folder, org, &format!("O{n:03}"), "SE", web, &["--address", &address])?;
        node.listen_at(&address, peer)?;
        nodes.push(node);
    }
    Ok((nodes, gates))
}

pub(crate) fn folders(nodes: &[Node]) -> Vec<PathBuf> {
    nodes.iter().map(|node| node.data.clone()).collect()
}

pub(crate) async fn start(nodes: Vec<Node>) -> Outcome<Vec<Node>> {
    let mut starting = JoinSet::new();
    let mut started = Vec::new();
    for mut node in nodes {
        if starting.len() >= TOGETHER {
            started.extend(starting.join_next().await.transpose()?.transpose()?);
        }
        starting.spawn(async move { node.start().await.map(|_| node) });
    }
    while let Some(next) = starting.join_next().await {
        started.push(next??);
    }
    started.sort_by_key(|node| node.org);
    Ok(started)
}

/// An agreement of all of them.
pub(crate) fn agreement(nodes: &[Node]) -> Outcome<format::agreement::Agreement> {
    let parties: Vec<Value> = nodes.iter().map(|node| json!({ "org": node.org, "role": "member", "from": "2020-01-01T00:00:00.000Z" })).collect();
    Ok(serde_json::from_value(json!({
        "id": AGREEMENT, "version": 1, "title": { "sv": "bench", "en": "bench" }, "form": "convention", "parties": parties,
        "terms": {
            "kinds": ["report", "correction", "recall", "consent"], "ceiling": "se:h", "purposes": ["counter-terrorism"],
            "legal-bases": ["2019:1182 2:4"], "onward": "consent", "longest-retention-days": 365, "joining": "all", "four-eyes": true,
        },
        "proposed-by": nodes.first().map(|node| node.org), "proposed": "2026-11-22T08:00:00.000Z", "valid-from": "2020-01-01T00:00:00.000Z",
    }))?)
}
