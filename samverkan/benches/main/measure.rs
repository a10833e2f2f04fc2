//! What is measured, and the targets.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::pair::{self, Member, Outcome, Pair, text};
use crate::{fill, limit};

/// Releases under way at once when throughput is measured: enough that none of a node's parts waits for another.
const AT_ONCE: usize = 384;
/// Size of a record with header and content, in bytes, for the limit.
const RECORD: usize = 2048;

/// Prints figures as they are measured.
#[derive(Debug)]
pub(crate) struct Figures;

impl Figures {
    pub(crate) fn print(&mut self, figure: &str, value: f64, unit: &str, target: &str, limit: Option<f64>) {
        let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
        let share = limit.map(|limit| rounded(value / limit));
        println!("{}", json!({ "figure": figure, "value": rounded(value), "unit": unit, "target": target, "limit": limit.map(rounded), "share": share }));
    }
}

/// A folder for one run, gone afterwards.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Outcome<Self> {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) async fn exchange(figures: &mut Figures, quick: bool) -> Outcome {
    let folder = Folder::new("exchange")?;
    let mut pair = Pair::start(&folder.0).await?;
    let (count, seconds) = if quick { (1_000, 2) } else { (15_000, 15) };

    eprintln!("preparing {count} approved records");
    let ids = prepare(&pair, count).await?;
    let best = tokio::task::spawn_blocking(|| limit::sign_and_verify(RECORD, Duration::from_secs(3))).await?;
    let rate = throughput(&pair, &ids).await?;
    figures.print("exchange.records_per_s", rate, "1/s", ">= 1500", Some(best));
    figures.print("exchange.share_of_limit", rate / best, "share", ">= 0.40", Some(1.0));

    eprintln!("latency at 100 releases a second for {seconds} s");
    let ids = prepare(&pair, seconds * 100).await?;
    let mut latencies = latency(&pair, &ids).await?;
    latencies.sort_by(f64::total_cmp);
    figures.print("exchange.p50_ms", quantile(&latencies, 0.50), "ms", "<= 30", None);
    figures.print("exchange.p99_ms", quantile(&latencies, 0.99), "ms", "<= 100", None);

    eprintln!("an attachment of 50 MB");
    figures.print("attachment.extra_rss_mib", attachment(&pair).await?, "MiB", "<= 100", None);

    pair.stop().await?;
    let records = if quick { 10_000 } else { 100_000 };
    eprintln!("filling the store to {records} records");
    fill::records(&pair.a.data, records)?;
    let mut starts = Vec::new();
    for _ in 0..5 {
        starts.push(pair.a.start().await?.as_secs_f64() * 1000.0);
        pair.a.stop().await?;
    }
    starts.sort_by(f64::total_cmp);
    figures.print("start.ms", quantile(&starts, 0.5), "ms", "<= 500", None);
    pair.a.start().await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    figures.print("idle.rss_mib", pair.a.resident_mib()?, "MiB", "<= 40", None);
    pair.stop().await
}

/// The same exchange with both nodes on their files, and then on PostgreSQL, and then with a second process at the sender.
pub(crate) async fn postgres(figures: &mut Figures, quick: bool) -> Outcome {
    let server = pair::server().ok_or("no server is told: run it by `cargo xtask bench postgres`")?;
    let folder = Folder::new("postgres")?;
    let mut pair = Pair::start(&folder.0).await?;
    let count = if quick { 1_000 } else { 10_000 };
    eprintln!("on files");
    let files = warm_rate(&pair, count).await?;
    figures.print("postgres.sqlite_records_per_s", files, "1/s", "", None);
    pair.stop().await?;
    for node in [&pair.a, &pair.b] {
        node.move_store(&pair::scratch(&server, &node.org.replace('-', "_"))?)?;
    }
    pair.start_again().await?;
    eprintln!("on PostgreSQL");
    let database = warm_rate(&pair, count).await?;
    figures.print("postgres.records_per_s", database, "1/s", "", None);
    figures.print("postgres.share_of_sqlite", database / files, "share", ">= 0.60", None);

    eprintln!("with two processes at the sender");
    let mut twin = pair.a.twin(&folder.0)?;
    twin.start().await?;
    let there = pair.second_officer.at(&twin)?;
    // The first request makes the connection that all others share.
    there.get("/agreements/bench").await?;
    pair.second_officer = there;
    let both = warm_rate(&pair, count).await?;
    figures.print("postgres.two_processes_per_s", both, "1/s", "", None);
    figures.print("postgres.two_to_one", both / database, "ratio", ">= 1.0", None);
    twin.stop().await?;
    pair.stop().await
}

/// The rate at which records cross, once caches are warm.
pub(crate) async fn warm_rate(pair: &Pair, count: usize) -> Outcome<f64> {
    throughput(pair, &prepare(pair, 500).await?).await?;
    throughput(pair, &prepare(pair, count).await?).await
}

/// Two pairs, one with few records and one with many, measured in turns: what else the machine does meets both alike.
pub(crate) async fn growth(figures: &mut Figures, quick: bool) -> Outcome {
    let (sizes, turns, count) = if quick { ([1_000, 20_000], 2, 500) } else { ([10_000, 1_000_000], 5, 4_000) };
    let folder = Folder::new("growth")?;
    let mut pairs = Vec::new();
    for records in sizes {
        let folder = folder.0.join(records.to_string());
        std::fs::create_dir_all(&folder)?;
        let mut pair = Pair::start(&folder).await?;
        pair.stop().await?;
        eprintln!("filling both stores of a pair to {records} records");
        fill::records(&pair.a.data, records)?;
        fill::records(&pair.b.data, records)?;
        pairs.push((records, pair, Vec::new()));
    }
    for (_, pair, _) in &mut pairs {
        pair.start_again().await?;
        // The first records pay for cold caches at either size.
        let ids = prepare(pair, 500).await?;
        throughput(pair, &ids).await?;
    }
    for _ in 0..turns {
        for (records, pair, costs) in &mut pairs {
            let ids = prepare(pair, count).await?;
            let rate = throughput(pair, &ids).await?;
            eprintln!("at {records} records: {rate:.0} a second");
            costs.push(1.0 / rate);
        }
    }
    for (_, pair, costs) in &mut pairs {
        costs.sort_by(f64::total_cmp);
        pair.stop().await?;
    }
    if let [(_, _, small), (_, _, large)] = pairs.as_slice() {
        let figure = if quick { "growth.ratio_20k_1k" } else { "growth.ratio_1m_10k" };
        figures.print(figure, quantile(large, 0.5) / quantile(small, 0.5), "ratio", "<= 1.3", None);
    }
    Ok(())
}

/// Approved records, ready to be released.
async fn prepare(pair: &Pair, count: usize) -> Outcome<Vec<String>> {
    let ids = at_once(0..count, |n| {
        let (author, officer, draft) = (pair.author.clone(), pair.officer.clone(), pair.draft(&format!("record {n}")));
        async move {
            let made = author.post("/drafts", &draft).await?;
            let submitted = author.ask(&format!("/drafts/{}/{}/submission", text(&made, "number"), text(&made, "version"))).await?;
            let id = text(&submitted, "id");
            officer.ask(&format!("/records/{id}/approval")).await?;
            Ok(id)
        }
    })
    .await?;
    Ok(ids)
}

/// Runs a job for each input, a bounded number at once.
pub(crate) async fn at_once<I, T, F>(inputs: impl IntoIterator<Item = I>, mut job: impl FnMut(I) -> F) -> Outcome<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = Outcome<T>> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut done = Vec::new();
    for input in inputs {
        if running.len() >= AT_ONCE {
            done.extend(running.join_next().await.transpose()?.transpose()?);
        }
        running.spawn(job(input));
    }
    while let Some(next) = running.join_next().await {
        done.push(next??);
    }
    Ok(done)
}

/// Releases all as fast as they are taken, and gives records a second from the first release to the last receipt.
async fn throughput(pair: &Pair, ids: &[String]) -> Outcome<f64> {
    let begun = Instant::now();
    // Each officer has a connection, and a connection carries 200 requests at once.
    let mut officers = [&pair.officer, &pair.second_officer].into_iter().cycle();
    at_once(ids.to_vec(), |id| {
        let officer = officers.next().unwrap_or(&pair.officer).clone();
        async move { officer.ask(&format!("/records/{id}/release")).await.map(drop) }
    })
    .await?;
    let released = begun.elapsed();
    loop {
        let peers = pair.officer.get("/peers").await?;
        let peer = peers.pointer("/peers/0").ok_or("no peer")?;
        let number = |key: &str| peer.get(key).and_then(Value::as_u64).unwrap_or(u64::MAX);
        if peer.get("suspicion").is_some_and(|suspicion| !suspicion.is_null()) {
            return Err(format!("exchange stopped: {peer}").into());
        }
        if number("waiting") == 0 && number("sent") == number("acknowledged") {
            break;
        }
        if begun.elapsed() > Duration::from_secs(300) {
            return Err(format!("not all have receipts after 300 s: {peer}").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let all = begun.elapsed();
    eprintln!("released in {:.2} s, all receipts after {:.2} s", released.as_secs_f64(), all.as_secs_f64());
    Ok(f64::from(u32::try_from(ids.len())?) / all.as_secs_f64())
}

/// Releases 100 a second on schedule; gives for each the milliseconds from asking for release to its receipt.
async fn latency(pair: &Pair, ids: &[String]) -> Outcome<Vec<f64>> {
    let mut running = JoinSet::new();
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    for id in ids {
        let due = ticks.tick().await;
        let (officer, id) = (pair.officer.clone(), id.clone());
        running.spawn(async move { until_receipt(&officer, &id, due).await });
    }
    let mut latencies = Vec::with_capacity(ids.len());
    while let Some(next) = running.join_next().await {
        latencies.push(next??);
    }
    Ok(latencies)
}

pub(crate) async fn until_receipt(officer: &Member, id: &str, due: Instant) -> Outcome<f64> {
    officer.ask(&format!("/records/{id}/release")).await?;
    loop {
        let holders = officer.get(&format!("/records/{id}/holders")).await?;
        if holders.pointer("/copies/0/state").and_then(Value::as_str) == Some("held") {
            return Ok(due.elapsed().as_secs_f64() * 1000.0);
        }
        if due.elapsed() > Duration::from_secs(30) {
            return Err(format!("no receipt for {id} after 30 s: {holders}").into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A 50 MB attachment from upload to download; gives the most memory that either node took beyond what it had.
async fn attachment(pair: &Pair) -> Outcome<f64> {
    let size = 50_000_000_usize;
    let bytes: Vec<u8> = (0..size).map(|n| u8::try_from((n.wrapping_mul(2_654_435_761) >> 13) & 255).unwrap_or_default()).collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = (pair.a.resident_mib()?, pair.b.resident_mib()?);
    let peak = Arc::new(std::sync::Mutex::new(0.0_f64));
    let job = async {
        let made = pair.author.post("/drafts", &pair.draft("with a large attachment")).await?;
        let path = format!("/drafts/{}/{}/attachments?name=large.bin&media-type=application/octet-stream", text(&made, "number"), text(&made, "version"));
        pair.author.post_bytes(&path, "application/octet-stream", bytes).await?;
        let id = pair.put_through(&made).await?;
        let begun = Instant::now();
        pair.officer.ask(&format!("/records/{id}/release")).await?;
        loop {
            let fetched = pair.reader.drain(&format!("/records/{id}/attachments/0")).await;
            if fetched.is_ok_and(|length| length == size as u64) {
                eprintln!("50 MB were there after {:.2} s", begun.elapsed().as_secs_f64());
                return Outcome::Ok(());
            }
            if begun.elapsed() > Duration::from_secs(60) {
                return Err("the attachment did not arrive within 60 s".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let watch = async {
        loop {
            if let (Ok(a), Ok(b)) = (pair.a.resident_mib(), pair.b.resident_mib()) {
                let extra = (a - before.0).max(b - before.1);
                let mut peak = peak.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                *peak = peak.max(extra);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        done = job => done?,
        () = watch => {}
    }
    let peak = *peak.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(peak)
}

pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an index into a short list")]
    let place = (last as f64 * share).round() as usize;
    sorted.get(place).copied().unwrap_or_default()
}
