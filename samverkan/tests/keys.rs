//! An organisation changes its keys in the steps of docs/operations/rotate-keys.md: real processes, TLS and the command line.

mod pair;

use std::time::Duration;

use pair::{Member, Outcome, Pair, text};
use serde_json::{Value, json};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(60);

/// Tries a command again until it succeeds.
async fn verb_in_time(pair: &Pair, member: &Member, arguments: &[&str]) -> Outcome<Value> {
    let begun = Instant::now();
    loop {
        match pair.a.verb(Some(member), arguments).await {
            Err(_) if begun.elapsed() < PATIENCE => tokio::time::sleep(Duration::from_millis(100)).await,
            ended => return ended,
        }
    }
}

async fn release(pair: &Pair, title: &str) -> Outcome<String> {
    let record = pair.approved(title).await?;
    pair.officer.ask(&format!("/records/{record}/release")).await?;
    Ok(record)
}

/// Starts the first node again, with the same members.
async fn restart(pair: &mut Pair) -> Outcome {
    pair.a.stop().await?;
    pair.a.start().await?;
    pair.renew()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_change_while_records_go_on() -> Outcome {
    let folder = tempfile::tempdir()?;
    let mut pair = Pair::start(folder.path()).await?;
    let liaison = pair.a.add("lars", &["liaison"]).await?;
    let administrator = pair.a.administrator().await?;
    let before = release(&pair, "signed with the old keys").await?;
    pair.held(&before, PATIENCE).await?;

    let early = pair.a.verb(Some(&administrator), &["card", "renew", "--new-keys"]).await.unwrap_err().to_string();
    assert!(early.contains("keys prepare"), "{early}");
    let prepared = text(&pair.a.verb(None, &["keys", "prepare"]).await?, "fingerprint");
    assert!(pair.a.verb(None, &["keys", "prepare"]).await.is_err(), "once is enough");
    let early = pair.a.verb(Some(&liaison), &["keys", "switch"]).await.unwrap_err().to_string();
    assert!(early.contains("no card names the new keys"), "{early}");
    restart(&mut pair).await?;
    let (liaison, administrator) = (liaison.again(&pair.a)?, administrator.again(&pair.a)?);
    pair.a.verb(Some(&administrator), &["card", "renew", "--new-keys"]).await?;
    let between = release(&pair, "on the day between").await?;
    pair.held(&between, PATIENCE).await?;

    verb_in_time(&pair, &liaison, &["keys", "switch"]).await?;
    restart(&mut pair).await?;
    let administrator = administrator.again(&pair.a)?;
    let after = release(&pair, "signed with the new keys").await?;
    pair.held(&after, PATIENCE).await?;
    let card = pair.b.administrator().await?.get("/organisations/aa-bench").await?;
    assert_eq!((text(&card, "fingerprint"), text(&card, "serial")), (prepared, "2".to_owned()));

    // What an auditor takes away is signed with the keys on the card.
    let auditor = pair.a.add("ulla", &["auditor"]).await?;
    let (export, own) = (folder.path().join("aa.jsonl"), folder.path().join("aa.card"));
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
    pair.a.verb(Some(&auditor), &["ledger", "export", &path(&export)]).await?;
    pair.a.verb(Some(&administrator), &["card", "export", &path(&own)]).await?;
    pair.a.verb(None, &["ledger", "verify", &path(&export), "--card", &path(&own)]).await?;

    // A recall of what the old keys signed still reaches its holder.
    pair.officer.post(&format!("/records/{before}/recall"), &json!({ "reason": "wrong" })).await?;
    let begun = Instant::now();
    loop {
        let holders = pair.officer.get(&format!("/records/{before}/holders")).await?;
        if holders.to_string().contains("\"removed\"") {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{holders}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    pair.stop().await
}
