//! A node on PostgreSQL, in real processes: moved there from its file, served by two at a time, killed, and left without
//! its server. Nothing acknowledged is lost, and nothing arrives twice in effect.
//!
//! It needs a server that is started again when it dies, told in `SAMVERKAN_TEST_POSTGRES`: `cargo xtask postgres --
//! cargo test -p samverkan --test postgres`. Without one it says so and proves nothing.

mod pair;

use std::process::Command;
use std::time::Duration;

use pair::{Member, Node, Outcome, Pair};
use serde_json::Value;
use tokio::time::Instant;

/// Records released around each event.
const SOME: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_on_postgresql_survives_its_processes_and_its_server() -> Outcome {
    let Some(server) = pair::server() else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let mut pair = Pair::start(folder.path()).await?;
    let mut released = release(&pair, &pair.officer, SOME, "in the file").await?;

    // The file is moved, and the node goes on where it was; the file is out of the way.
    pair.a.stop().await?;
    let database = pair::scratch(&server, "serve")?;
    let told = pair.a.move_store(&database)?;
    assert_eq!(told.get("checkpoint-before"), told.get("checkpoint-after"), "{told}");
    assert!(told.get("records").and_then(Value::as_u64) >= Some(SOME as u64), "{told}");
    assert!(!pair.a.data.join("samverkan.db").exists());
    let again = pair.a.move_store(&database).unwrap_err().to_string();
    assert!(again.contains("to move"), "{again}");
    pair.a.start().await?;
    pair.renew()?;
    released.extend(release(&pair, &pair.officer, SOME, "after the move").await?);
    arrived(&pair, &released).await?;

    // A second process on the same database takes part; what is asked of either is seen by the other.
    let mut twin = pair.a.twin(folder.path())?;
    twin.start().await?;
    let at_twin = pair.officer.at(&twin)?;
    released.extend(release(&pair, &at_twin, SOME, "by the second process").await?);
    arrived(&pair, &released).await?;

    // Either may be killed; the other goes on, with the couriers too, within seconds.
    pair.a.kill()?;
    let begun = Instant::now();
    let author = pair.author.at(&twin)?;
    let alone = approved_by(&pair, &author, &at_twin, "alone").await?;
    at_twin.ask(&format!("/records/{alone}/release")).await?;
    pair::held(&at_twin, &alone, begun, Duration::from_secs(10)).await?;
    released.push(alone);
    pair.a.start().await?;
    pair.renew()?;

    // Without its server a node says so, decides nothing, and goes on by itself when the server is back.
    let last = pair.approved("while the server dies").await?;
    kill_server(&server)?;
    let begun = Instant::now();
    let mut seen_away = false;
    let acknowledged = loop {
        seen_away |= pair.officer.get("/health").await.is_err();
        match pair.officer.ask(&format!("/records/{last}/release")).await {
            Ok(_) => break last,
            Err(error) if error.to_string().starts_with("40") => break last,
            Err(error) => assert!(error.to_string().starts_with("503"), "{error}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "the server is back, and the node is not");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(seen_away, "the node did not say that its store was away");
    released.push(acknowledged);
    pair.officer.get("/health").await?;
    arrived(&pair, &released).await?;

    let received = pair.received().await?;
    for id in &released {
        assert_eq!(received.get(id), Some(&1), "{id} was not taken in exactly once");
    }
    // The ledger that both processes wrote, before and after all of this, holds together from its first entry.
    let auditor = pair.a.add("olga", &["auditor"]).await?;
    let export = folder.path().join("export.jsonl");
    std::fs::write(&export, auditor.bytes("/ledger/export").await?)?;
    let verified = Command::new(env!("CARGO_BIN_EXE_samverkan")).args(["ledger", "verify"]).arg(&export).output()?;
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    twin.stop().await?;
    pair.stop().await?;
    Ok(())
}

async fn release(pair: &Pair, officer: &Member, count: usize, title: &str) -> Outcome<Vec<String>> {
    let mut released = Vec::new();
    for n in 0..count {
        let id = pair.approved(&format!("{title} {n}")).await?;
        officer.ask(&format!("/records/{id}/release")).await?;
        released.push(id);
    }
    Ok(released)
}

async fn approved_by(pair: &Pair, author: &Member, officer: &Member, title: &str) -> Outcome<String> {
    let made = author.post("/drafts", &pair.draft(title)).await?;
    let path = format!("/drafts/{}/{}/submission", pair::text(&made, "number"), pair::text(&made, "version"));
    let id = pair::text(&author.ask(&path).await?, "id");
    officer.ask(&format!("/records/{id}/approval")).await?;
    Ok(id)
}

async fn arrived(pair: &Pair, released: &[String]) -> Outcome {
    for id in released {
        pair.held(id, Duration::from_secs(60)).await?;
    }
    Ok(())
}

/// Ends the server as a power cut would; whoever started it starts it again.
fn kill_server(server: &str) -> Outcome {
    let data = pair::psql(server, "SHOW data_directory")?;
    let lock = std::fs::read_to_string(format!("{data}/postmaster.pid"))?;
    let id = lock.lines().next().unwrap_or_default();
    let killed = Command::new("kill").args(["-KILL", id]).status()?;
    if killed.success() { Ok(()) } else { Err(format!("the server {id} cannot be killed").into()) }
}

#[test]
fn what_is_unsafe_is_refused_at_the_start() -> Outcome {
    let Some(server) = pair::server() else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let node = Node::found(folder.path(), "cc-bench", "CC", "SE")?;
    let database = pair::scratch(&server, "refuse")?;
    let name = database.rsplit_once('/').map(|(_, name)| name).unwrap_or_default();
    node.move_store(&database)?;
    let refusal = |words: &str| -> Outcome {
        let said = node.refusal()?;
        if said.contains(words) { Ok(()) } else { Err(format!("`{words}` is not in: {said}").into()) }
    };
    pair::psql(&server, &format!("ALTER DATABASE {name} SET synchronous_commit = off"))?;
    refusal("`synchronous_commit` is off")?;
    node.configure("synchronous-standby = true\n")?;
    pair::psql(&server, &format!("ALTER DATABASE {name} SET synchronous_commit = local"))?;
    refusal("`local`")?;
    pair::psql(&server, &format!("ALTER DATABASE {name} RESET synchronous_commit"))?;
    // The standby follows, and nothing is decided on it.
    if let Some(standby) = std::env::var_os("SAMVERKAN_TEST_POSTGRES_STANDBY") {
        let standby = standby.into_string().unwrap_or_default();
        let (address, _) = standby.rsplit_once('/').unwrap_or_default();
        node.configure(&format!("database = \"{address}/{name}\"\n"))?;
        refusal("is a replica")?;
    }
    // A newer layout, half a store, and a database of somebody else.
    node.configure(&format!("database = \"{database}\"\n"))?;
    pair::psql(&database, "UPDATE samverkan.layout SET number = 99")?;
    refusal("the store has layout 99")?;
    pair::psql(&database, "UPDATE samverkan.layout SET number = 3; INSERT INTO samverkan.half VALUES (1, 'x')")?;
    refusal("half a store")?;
    pair::psql(&database, "DROP SCHEMA samverkan CASCADE; CREATE TABLE somebody_elses (n int)")?;
    refusal("something other than a Samverkan store")?;
    Ok(())
}
