//! kill -9 of either node in the middle of exchange: nothing acknowledged is lost, nothing arrives twice in effect.
//!
//! The processes, the store, the disk and the connections are real. An outside ledger notes every release that was
//! acknowledged; after the last restart each of them must be held, and have been taken in exactly once.

mod pair;

use std::time::Duration;

use pair::{Outcome, Pair};

const RECORDS: usize = 120;
const KILLS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_arrives_twice() -> Outcome {
    let folder = tempfile::tempdir()?;
    let mut pair = Pair::start(folder.path()).await?;
    let mut ids = Vec::with_capacity(RECORDS);
    for n in 0..RECORDS {
        ids.push(pair.approved(&format!("record {n}")).await?);
    }
    let officer = pair.officer.clone();
    let releasing = tokio::spawn(async move {
        let mut acknowledged = Vec::new();
        let mut open = ids;
        while !open.is_empty() {
            // What a killed node did not answer is asked again; a second release of the same record is refused.
            let mut still = Vec::new();
            for id in open {
                match officer.ask(&format!("/records/{id}/release")).await {
                    Ok(_) => acknowledged.push(id),
                    Err(error) if error.to_string().starts_with("40") => acknowledged.push(id),
                    Err(_) => still.push(id),
                }
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
            open = still;
        }
        acknowledged
    });
    for kill in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(130 + 37 * kill as u64)).await;
        let victim = if kill % 2 == 0 { &mut pair.a } else { &mut pair.b };
        victim.kill()?;
        let back = victim.start().await?;
        assert!(back < Duration::from_secs(10), "{} served again only after {back:?}", victim.org);
    }
    let acknowledged = releasing.await?;
    assert_eq!(acknowledged.len(), RECORDS);

    for id in &acknowledged {
        pair.held(id, Duration::from_secs(60)).await?;
        pair.reader.get(&format!("/records/{id}")).await?;
    }
    let received = pair.received().await?;
    for id in &acknowledged {
        assert_eq!(received.get(id), Some(&1), "{id} was not taken in exactly once");
    }
    Ok(())
}
