//! Two nodes that exchange through a mailbox: a folder that both reach, and nothing else between them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests say what they expect by failing")]

mod pair;

use std::time::Duration;

use format::seal;
use place::Place;

use pair::{Pair, until};

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.to_string_lossy().contains('#') {
            // What is still being written is kept beside its name, with a `#`, until it is whole.
            found.push(path);
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_and_receipts_go_through_a_folder_and_nothing_is_left_there() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::Folder(folder.path().to_owned());
    let pair = Pair::new();
    let one = pair.a.report(&pair.b, "one");
    let _posts = (pair.a.start(&pair.b, &place), pair.b.start(&pair.a, &place));
    until("the receipt", || pair.a.held(one, &pair.b)).await;
    let back = pair.b.report(&pair.a, "two");
    until("the other receipt", || pair.b.held(back, &pair.a)).await;
    for n in 0..12 {
        pair.a.report(&pair.b, &format!("no {n}"));
    }
    until("all receipts", || pair.a.all_acknowledged(&pair.b)).await;
    until("an empty mailbox", || files(folder.path()).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_there_shows_no_name_and_no_size_and_opens_for_its_recipient_alone() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::Folder(folder.path().to_owned());
    let pair = Pair::new();
    pair.a.report(&pair.b, "a title of some length");
    let post = pair.a.start(&pair.b, &place);
    until("a parcel", || !files(folder.path()).is_empty()).await;
    drop(post);
    let found = files(folder.path());
    assert_eq!(found.len(), 1);
    let bytes = std::fs::read(&found[0]).unwrap();
    for name in ["sapo", "fra"] {
        assert!(!found[0].strip_prefix(folder.path()).unwrap().to_string_lossy().contains(name));
        assert!(!bytes.windows(name.len()).any(|window| window == name.as_bytes()), "{name}");
    }
    let envelope = seal::with_recipient(pair.b.org(), &bytes).unwrap();
    let plain = pair.b.open(&envelope).unwrap();
    assert!(seal::BUCKETS.contains(&plain.len()), "{}", plain.len());
    assert!(pair.a.open(&seal::with_recipient(pair.a.org(), &bytes).unwrap()).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_away_is_put_there_again_and_what_is_spoiled_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::Folder(folder.path().to_owned());
    let pair = Pair::new();
    let one = pair.a.report(&pair.b, "one");
    let post = pair.a.start(&pair.b, &place);
    until("a parcel", || !files(folder.path()).is_empty()).await;
    // Somebody empties the mailbox: the parcel comes again, under its number.
    let before = files(folder.path());
    before.iter().for_each(|file| std::fs::remove_file(file).unwrap());
    until("the parcel again", || files(folder.path()) == before).await;
    // Somebody writes over it, and leaves other things beside it.
    drop(post);
    std::fs::write(&before[0], b"not an envelope").unwrap();
    let beside = before[0].with_file_name("notes.txt");
    std::fs::write(&beside, b"hello").unwrap();
    let _reader = pair.b.start(&pair.a, &place);
    until("it was looked at", || pair.b.visits() > 3).await;
    assert_eq!(std::fs::read(&before[0]).unwrap(), b"not an envelope", "what cannot be taken in is not taken away");
    std::fs::remove_file(&before[0]).unwrap();
    let _post = pair.a.start(&pair.b, &place);
    until("the receipt", || pair.a.held(one, &pair.b)).await;
    assert!(beside.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_that_is_away_for_a_while_loses_nothing() {
    let base = tempfile::tempdir().unwrap();
    let (there, away) = (base.path().join("mailbox"), base.path().join("away"));
    std::fs::create_dir(&there).unwrap();
    let place = Place::Folder(there.clone());
    let pair = Pair::new();
    let _posts = (pair.a.start(&pair.b, &place), pair.b.start(&pair.a, &place));
    let one = pair.a.report(&pair.b, "one");
    until("the receipt", || pair.a.held(one, &pair.b)).await;
    std::fs::rename(&there, &away).unwrap();
    std::fs::write(&there, b"a file where the folder was").unwrap();
    let two = pair.a.report(&pair.b, "two");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!pair.a.held(two, &pair.b));
    std::fs::remove_file(&there).unwrap();
    std::fs::rename(&away, &there).unwrap();
    until("the receipt", || pair.a.held(two, &pair.b)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_stopped_exchange_says_so_once_and_takes_nothing_away() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::Folder(folder.path().to_owned());
    let pair = Pair::new();
    pair.b.suspect(&pair.a);
    pair.a.report(&pair.b, "one");
    let post = pair.a.start(&pair.b, &place);
    until("a parcel", || !files(folder.path()).is_empty()).await;
    drop(post);
    let _reader = pair.b.start(&pair.a, &place);
    until("the word that it is stopped", || files(folder.path()).len() == 2).await;
    let before = pair.b.visits();
    until("some visits", || pair.b.visits() > before + 3).await;
    assert_eq!(files(folder.path()).len(), 2, "the parcel is still there");
    let _post = pair.a.start(&pair.b, &place);
    until("the word was read", || files(folder.path()).len() == 1).await;
    assert!(!pair.a.suspects(&pair.b), "that the other has stopped is no fault of it");
}

/// The same exchange over the S3 protocol, with a server that `cargo xtask s3` sets up and starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs an S3-compatible server: run `cargo xtask s3`"]
async fn records_and_receipts_go_through_a_bucket() {
    #[expect(clippy::disallowed_methods, reason = "the address of a server that was started for this test")]
    let endpoint = std::env::var("SAMVERKAN_S3").unwrap();
    let bucket = |prefix: &str| {
        Place::Bucket(place::Bucket {
            endpoint: endpoint.clone(),
            region: "us-east-1".to_owned(),
            bucket: "mailbox".to_owned(),
            prefix: prefix.to_owned(),
            key_id: "testing".to_owned(),
            secret: "testing".to_owned(),
            certificate: Vec::new(),
        })
    };
    let place = bucket("shared/by/many");
    let pair = Pair::new();
    let _posts = (pair.a.start(&pair.b, &place), pair.b.start(&pair.a, &place));
    let mut records = Vec::new();
    for n in 0..5 {
        records.push(pair.a.large_report(&pair.b, &format!("no {n}"), 900_000));
    }
    for record in records {
        until("the receipt", || pair.a.held(record, &pair.b)).await;
    }
    let back = pair.b.report(&pair.a, "back");
    until("the receipt", || pair.b.held(back, &pair.a)).await;
}
