//! Bad days: a real node whose disk is full, read-only, broken or stuck, whose clock jumps, and who gets no memory.
//!
//! The process, the file systems and the conditions are real; only the clock is an offset in a library. In each, nothing
//! may be told that is not kept, the node says what is wrong in health, status and log, and goes on alone where that is
//! sound; where it is not it ends with a sentence and starts again. What takes root is said and left out without it. What
//! the words mean to an administrator is in `docs/operations/bad-days.md`.

mod ground;
#[path = "../pair/mod.rs"]
mod pair;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ground::Ground;
use pair::{Member, Node, Outcome, text};
use serde_json::{Value, json};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(30);

/// A node whose store lies in a folder of its own, and what its administrator was told.
struct Day {
    node: Node,
    ada: Member,
    /// Members who were acknowledged.
    told: Vec<String>,
    asked: usize,
}

impl Day {
    async fn begin(folder: &Path, store: &Path, environment: Vec<(&'static str, String)>) -> Outcome<Self> {
        let mut node = Node::found(folder, "aa-bench", "AA", "SE")?;
        fs::rename(node.data.join("samverkan.db"), store.join("samverkan.db")).or_else(|_| {
            fs::copy(node.data.join("samverkan.db"), store.join("samverkan.db"))?;
            fs::set_permissions(store.join("samverkan.db"), std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
            fs::remove_file(node.data.join("samverkan.db"))
        })?;
        // What the node finds was on the disk long before.
        Command::new("sync").status()?;
        node.configure(&format!("file = \"{}\"\n", store.join("samverkan.db").display()))?;
        node.log = "info";
        node.environment = environment;
        node.start().await?;
        let ada = node.administrator().await?;
        let mut day = Self { node, ada, told: Vec::new(), asked: 0 };
        day.act().await?;
        Ok(day)
    }

    /// Adds a member; what was acknowledged is remembered.
    async fn act(&mut self) -> Outcome {
        self.asked += 1;
        let id = format!("member-{}", self.asked);
        self.ada.post("/members", &json!({ "id": id, "name": id, "roles": ["analyst"] })).await?;
        self.told.push(id);
        Ok(())
    }

    /// Acts until one is not answered as done, and gives why.
    async fn act_until_refused(&mut self) -> Outcome<String> {
        for _ in 0..2000 {
            if let Err(why) = self.act().await {
                return Ok(why.to_string());
            }
        }
        Err("nothing was ever refused".into())
    }

    /// Waits until health tells exactly these words.
    async fn until_health(&self, words: &[&str]) -> Outcome {
        let begun = Instant::now();
        loop {
            let told = self.node.health().await?;
            if told == words {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("health tells {told:?} and not {words:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What `samverkan status` tells of troubles.
    async fn status(&self) -> Outcome<Vec<String>> {
        let status = self.node.verb(Some(&self.ada), &["status"]).await?;
        let troubles = status.get("troubles").and_then(Value::as_array).ok_or("a status without troubles")?;
        Ok(troubles.iter().map(|trouble| text(trouble, "code")).collect())
    }

    /// How often the log tells that a trouble began, and that it ended.
    fn logged(&self, word: &str) -> Outcome<(usize, usize)> {
        let written = self.node.written()?;
        let lines = || written.lines().filter(|line| line.contains(&format!("trouble=\"{word}\"")));
        Ok((lines().filter(|line| line.contains("ERROR")).count(), lines().filter(|line| line.contains("the trouble is over")).count()))
    }

    /// Everything that was told is there, and the ledger holds.
    async fn all_is_kept(&mut self) -> Outcome {
        self.ada = self.ada.again(&self.node)?;
        let members = self.ada.get("/members").await?.to_string();
        for id in &self.told {
            assert!(members.contains(&format!("\"{id}\"")), "{id} was acknowledged, and is not there");
        }
        self.act().await?;
        let auditor = self.node.add(&format!("osk-{}", self.asked), &["auditor"]).await?;
        let export = self.node.data.join("ledger.jsonl");
        auditor.save("/ledger/export", &export).await?;
        self.node.verb(None, &["ledger", "verify", &export.to_string_lossy()]).await?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_told_and_the_node_goes_on_when_there_is_room() -> Outcome {
    let folder = tempfile::tempdir()?;
    let Some(ground) = Ground::memory(folder.path(), 8)? else { return Ok(()) };
    let mut day = Day::begin(folder.path(), ground.path(), Vec::new()).await?;
    let filler = ground.fill()?;
    let refused = day.act_until_refused().await?;
    assert!(refused.starts_with("503"), "{refused}");
    day.until_health(&["store-full"]).await?;
    assert_eq!(day.status().await?, ["store-full"]);
    assert!(day.act().await.is_err(), "there is no room");
    fs::remove_file(filler)?;
    day.until_health(&[]).await?;
    assert_eq!(day.status().await?, [""; 0]);
    assert_eq!(day.logged("store-full")?, (1, 1));
    day.all_is_kept().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_does_not_synchronise_stops_the_node_which_starts_clean() -> Outcome {
    let folder = tempfile::tempdir()?;
    let Some(below) = Ground::memory(folder.path(), 40)? else { return Ok(()) };
    let Some(mut ground) = Ground::image(below.path(), 64, "errors=continue")? else { return Ok(()) };
    let mut day = Day::begin(folder.path(), ground.path(), Vec::new()).await?;
    // Blocks that the image has not got yet cannot be written any more: the file system is told so when it synchronises.
    let filler = below.fill()?;
    day.act_until_refused().await?;
    let ended = day.node.ended(PATIENCE).await?;
    assert!(!ended.success());
    let written = day.node.written()?;
    assert!(written.contains("The node stopped, for its store can no longer be relied on"), "{written}");
    fs::remove_file(filler)?;
    ground.mount_again()?;
    assert!(day.node.start().await? < Duration::from_secs(10));
    day.all_is_kept().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_became_read_only_stops_the_node_and_refuses_it_plainly_until_it_is_not() -> Outcome {
    let folder = tempfile::tempdir()?;
    let Some(below) = Ground::memory(folder.path(), 80)? else { return Ok(()) };
    let Some(mut ground) = Ground::image(below.path(), 64, "errors=remount-ro")? else { return Ok(()) };
    let mut day = Day::begin(folder.path(), ground.path(), Vec::new()).await?;
    if !ground.turn_read_only()? {
        println!("not run: this kernel has no way to make a file system read-only by an error");
        return Ok(());
    }
    day.act_until_refused().await?;
    assert!(!day.node.ended(PATIENCE).await?.success());
    let written = day.node.written()?;
    assert!(written.contains("The node stopped, for its store can no longer be relied on"), "{written}");
    let refusal = day.node.refusal()?;
    assert!(refusal.contains("Read-only file system"), "{refusal}");
    ground.mount_again()?;
    day.node.start().await?;
    day.all_is_kept().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_stuck_is_told_and_what_waited_is_answered() -> Outcome {
    let folder = tempfile::tempdir()?;
    let Some(below) = Ground::memory(folder.path(), 80)? else { return Ok(()) };
    let Some(ground) = Ground::image(below.path(), 64, "errors=continue")? else { return Ok(()) };
    let mut day = Day::begin(folder.path(), ground.path(), Vec::new()).await?;
    let frozen = ground.freeze()?;
    let (ada, id) = (day.ada.clone(), "waiter".to_owned());
    let asked = tokio::spawn(async move { ada.post("/members", &json!({ "id": "waiter", "name": "waiter", "roles": ["analyst"] })).await });
    day.until_health(&["store-slow"]).await?;
    assert!(!asked.is_finished(), "an act was answered while the disk was stuck");
    drop(frozen);
    asked.await??;
    day.told.push(id);
    day.until_health(&[]).await?;
    assert_eq!(day.logged("store-slow")?, (1, 1));
    day.all_is_kept().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_stops_decisions_until_it_is_back() -> Outcome {
    let folder = tempfile::tempdir()?;
    let Some(library) = faketime() else {
        println!("not run: libfaketime is not installed (apt-get install faketime)");
        return Ok(());
    };
    let offset = folder.path().join("offset");
    let set = |by: &str| fs::write(&offset, by);
    set("+0")?;
    let environment = vec![
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", offset.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    let store = folder.path().join("store");
    fs::create_dir(&store)?;
    let mut day = Day::begin(folder.path(), &store, environment).await?;
    for (round, jump) in ["+90d", "-90d"].into_iter().enumerate() {
        set(jump)?;
        let refused = day.act_until_refused().await?;
        assert!(refused.starts_with("503") && refused.contains("clock"), "{refused}");
        day.until_health(&["clock-jumped"]).await?;
        assert_eq!(day.status().await?, ["clock-jumped"]);
        set("+0")?;
        day.until_health(&[]).await?;
        day.act().await?;
        assert_eq!(day.logged("clock-jumped")?, (round + 1, round + 1));
    }
    // Whoever starts a node takes its clock for right, and time does not go back.
    set("-2h")?;
    day.node.kill()?;
    day.node.start_unwell().await?;
    day.ada = day.ada.again(&day.node)?;
    day.act().await?;
    day.until_health(&["clock-behind"]).await?;
    day.node.kill()?;
    set("+0")?;
    day.node.start().await?;
    day.until_health(&[]).await?;
    day.all_is_kept().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_memory_nothing_told_is_lost_and_the_node_starts_clean() -> Outcome {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("store");
    fs::create_dir(&store)?;
    let mut day = Day::begin(folder.path(), &store, Vec::new()).await?;
    let id = day.node.process_id()?;
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let size = status.lines().find_map(|line| line.strip_prefix("VmData:")).ok_or("the system does not tell the size of a process")?;
    let bytes = size.trim().trim_end_matches(" kB").parse::<u64>()? * 1024;
    let limited = Command::new("prlimit").args([format!("--pid={id}"), format!("--data={}", bytes + 2 * 1024 * 1024)]).status()?;
    assert!(limited.success(), "`prlimit` failed");
    // A password takes 19 MiB to check, which it does not get.
    let (password, mut refused) = (day.node.password.clone(), 0);
    for _ in 0..4 {
        refused += usize::from(day.node.log_in("ada", &password).await.is_err());
    }
    assert!(refused > 0, "there was memory after all");
    for _ in 0..20 {
        _ = day.act().await;
    }
    println!("after {refused} refused log-ins: {:?}", day.node.ended(Duration::from_secs(1)).await);
    day.node.kill()?;
    assert!(day.node.start().await? < Duration::from_secs(10));
    day.all_is_kept().await
}

/// The library that gives a process another clock, where it is installed.
fn faketime() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok).map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    folders.into_iter().find(|library| library.is_file())
}
