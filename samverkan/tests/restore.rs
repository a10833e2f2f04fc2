//! A node is backed up while it serves, lost with its disk, restored, recognised, approved, accepted, and has back what
//! it lost. Two real processes, TLS, disks and the command line.

mod pair;

use std::fs;
use std::time::Duration;

use pair::{Member, Outcome, Pair, text};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Asks until an answer is as it should be.
async fn wait(what: &str, member: &Member, path: &str, is: impl Fn(&Value) -> bool) -> Outcome<Value> {
    let begun = Instant::now();
    loop {
        let answer = member.get(path).await;
        if let Ok(answer) = answer.as_ref().map(Clone::clone)
            && is(&answer)
        {
            return Ok(answer);
        }
        if begun.elapsed() > Duration::from_secs(60) {
            return Err(format!("{what} did not come about: {answer:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn holds(answer: &Value, record: &str, state: &str) -> bool {
    let copies = answer.pointer("/copies").or_else(|| answer.pointer("/holders")).and_then(Value::as_array).cloned().unwrap_or_default();
    !record.is_empty() && copies.iter().any(|copy| text(copy, "state") == state)
}

fn peer<'a>(answer: &'a Value, org: &str) -> Option<&'a Value> {
    answer.pointer("/peers")?.as_array()?.iter().find(|peer| text(peer, "org") == org)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_node_is_restored_recognised_and_made_whole() -> Outcome {
    let folder = tempfile::tempdir()?;
    let mut pair = Pair::start(folder.path()).await?;
    let liaison = pair.a.add("lars", &["liaison"]).await?;
    let kept = pair.approved("before the backup").await?;
    pair.officer.ask(&format!("/records/{kept}/release")).await?;
    wait("the first receipt", &liaison, &format!("/records/{kept}/holders"), |answer| holds(answer, &kept, "held")).await?;

    // The key, and a backup while records are being released.
    let (secret, backup) = (folder.path().join("recovery.secret"), folder.path().join("aa.backup"));
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
    pair.a.verb(None, &["recovery-key", &path(&secret)]).await?;
    let administrator = pair.a.administrator().await?;
    let during = pair.approved("during the backup").await?;
    let (to, release) = (path(&backup), format!("/records/{during}/release"));
    let arguments = ["backup", "--to", to.as_str()];
    let (made, released) = tokio::join!(pair.a.verb(Some(&administrator), &arguments), pair.officer.ask(&release));
    assert!(made?.pointer("/bytes").and_then(Value::as_u64).is_some_and(|bytes| bytes > 100_000));
    released?;
    assert!(!fs::read(&backup)?.windows(15).any(|window| window == b"samverkan/ledger"));
    assert!(!pair.a.data.join(".backup.db").exists(), "the plain copy is gone");

    // What happens now is lost: a record that the peer has, and the recall of another.
    let lost = pair.approved("after the backup").await?;
    pair.officer.ask(&format!("/records/{lost}/release")).await?;
    pair.officer.post(&format!("/records/{kept}/recall"), &json!({ "reason": "wrong" })).await?;
    wait("the last receipt", &liaison, &format!("/records/{lost}/holders"), |answer| holds(answer, &lost, "held")).await?;
    wait("the recall", &liaison, &format!("/records/{kept}/holders"), |answer| holds(answer, &kept, "removed")).await?;
    pair.a.kill()?;
    fs::rename(&pair.a.data, folder.path().join("the disk that died"))?;

    // Not with another key, and nothing half restored.
    let other = folder.path().join("other.secret");
    fs::create_dir(folder.path().join("elsewhere"))?;
    let refused = pair.a.verb(None, &["restore", &path(&backup), "--recovery-key", &path(&other)]).await;
    assert!(refused.is_err() && !pair.a.data.exists());
    pair.a.verb(None, &["restore", &path(&backup), "--recovery-key", &path(&secret)]).await?;
    assert!(pair.a.verb(None, &["restore", &path(&backup), "--recovery-key", &path(&secret)]).await.is_err(), "nothing is overwritten");
    pair.a.start().await?;
    let (officer, second, author, liaison) =
        (pair.officer.again(&pair.a)?, pair.second_officer.again(&pair.a)?, pair.author.again(&pair.a)?, liaison.again(&pair.a)?);

    // It is recognised before it does anything.
    let b_admin = pair.b.administrator().await?;
    let drafted = author.post("/drafts", &pair.draft("too early")).await;
    assert!(drafted.unwrap_err().to_string().contains("wrong-state"), "members read, and no more");
    let seen = pair.reader.clone();
    wait("the peer's suspicion", &seen, "/peers", |answer| peer(answer, "aa-bench").is_some_and(|peer| text(peer, "suspicion") == "rolled-back")).await?;
    let heard = |answer: &Value| peer(answer, "bb-bench").is_some_and(|peer| text(peer, "heard") == "true");
    let status = wait("the account", &liaison, "/recovery", heard).await?;
    let saw = peer(&status, "bb-bench").map(|peer| text(peer, "entries")).unwrap_or_default();
    assert!(saw.parse::<u64>()? > text(&status, "entries").parse()?, "the peer saw more than was restored: {status}");

    // Two persons approve; a third accepts at the peer, after a call.
    officer.ask("/recovery/approval").await?;
    assert!(officer.ask("/recovery/approval").await.is_err(), "one person alone is not two");
    second.ask("/recovery/approval").await?;
    let recovery = text(&liaison.get("/recovery").await?, "recovery");
    wait("the recovery at the peer", &seen, "/peers", |answer| {
        peer(answer, "aa-bench").and_then(|peer| peer.pointer("/recovery/recovery")).and_then(Value::as_str) == Some(recovery.as_str())
    })
    .await?;
    pair.b.verb(Some(&b_admin), &["peer", "accept", "aa-bench", "--recovery", &recovery]).await?;

    // What was lost is back, and what was recalled stays so.
    let back = wait("the lost record", &liaison, &format!("/records/{lost}/holders"), |answer| holds(answer, &lost, "held")).await?;
    assert!(holds(&back, &lost, "held"));
    let settled = |answer: &Value| peer(answer, "bb-bench").is_some_and(|peer| text(peer, "settled") == "true");
    wait("exchange", &liaison, "/recovery", settled).await?;
    wait("the recall again", &liaison, &format!("/records/{kept}"), |answer| answer.pointer("/here/condition").and_then(Value::as_str) == Some("recalled"))
        .await?;
    let made = author.post("/drafts", &pair.draft("after the recovery")).await?;
    let submitted = text(&author.ask(&format!("/drafts/{}/{}/submission", text(&made, "number"), text(&made, "version"))).await?, "id");
    officer.ask(&format!("/records/{submitted}/approval")).await?;
    officer.ask(&format!("/records/{submitted}/release")).await?;
    wait("exchange after the recovery", &liaison, &format!("/records/{submitted}/holders"), |answer| holds(answer, &submitted, "held")).await?;
    pair.stop().await
}
