//! Bad networks between two nodes over real TLS: what is lost on the way goes again by itself, and arrives once.
//!
//! The road between them delays, thins out, stalls, resets, carries one way, or leaves a connection half open, and cuts
//! connections after any byte. The nodes are never told that it is over.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests say what they expect by failing")]

mod peers;

use std::time::Duration;

use format::RecordId;
use node::rows::HoldingState;
use samverkan_http::courier::Pace;
use tokio::time::Instant;

use peers::road::Weather;
use peers::{QUICK, Running, pair};

/// A courier that gives up on a silent peer within seconds, so that the test need not wait for minutes.
const IMPATIENT: Pace = Pace { connect: Duration::from_secs(2), parcel: Duration::from_secs(3), ..QUICK };

/// A courier that tries again at once, so that many cuts take little time.
const BRISK: Pace = Pace { heartbeat: Duration::from_millis(50), first_retry: Duration::from_millis(5), last_retry: Duration::from_millis(30), ..QUICK };

/// How soon a record is there once the weather is fair: the courier's patience, its rest, and the machine's.
const SOON: Duration = Duration::from_secs(20);

/// From one cut to the next, in bytes; every one of the first.
const STEP: usize = 131;
const FIRST: usize = 16;

/// Each record was taken in once, and each parcel has its receipt.
async fn arrived_once(a: &Running, b: &Running, records: &[RecordId]) {
    for &record in records {
        let entries = b.handle.read(move |reader| reader.entries_about(&record).unwrap()).await;
        assert_eq!(entries.iter().filter(|entry| entry.what == "received").count(), 1, "{record}");
    }
    let open = a.handle.read(|reader| reader.counts().unwrap()).await;
    assert_eq!((open.outgoing, open.parcels), (0, 0), "something still waits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_any_weather_nothing_is_lost_or_doubled_and_exchange_goes_on_by_itself() {
    let (mut a, mut b) = pair().await;
    a.send_couriers_at(IMPATIENT);
    b.send_couriers_at(IMPATIENT);
    let mut records = Vec::new();
    let passable = [Weather::Late(20), Weather::Late(150), Weather::Thick(64), Weather::Thick(512)];
    for weather in passable {
        b.road.weather(weather);
        a.road.weather(weather);
        let record = a.report(&b, &format!("{weather:?}"), 8000).await;
        a.until_held(record, &b).await;
        records.push(record);
    }
    let stops = [
        Weather::OneWay,
        Weather::HalfOpen,
        Weather::Still(0),
        Weather::Still(700),
        Weather::Still(9000),
        Weather::Reset(0),
        Weather::Reset(700),
        Weather::Reset(9000),
    ];
    for weather in stops {
        b.road.weather(weather);
        let record = a.report(&b, &format!("{weather:?}"), 30_000).await;
        // Until it has been tried, the weather has stopped nothing.
        let before = b.road.connections();
        a.until_health(&b.org, |health| health.reachable == Some(false) && health.retries > 0).await;
        assert!(b.road.connections() >= before);
        assert_ne!(a.copy_at(record, &b.org).await, Some(HoldingState::Held), "{weather:?} stops nothing");
        b.road.weather(Weather::Fair);
        let begun = Instant::now();
        a.until_held(record, &b).await;
        assert!(begun.elapsed() < SOON, "{weather:?}: it took {:?}", begun.elapsed());
        records.push(record);
    }
    arrived_once(&a, &b, &records).await;
}

/// One parcel's exchange, from the first byte of the handshake to the last of the receipt, cut after every so many bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_anywhere_heals() {
    let (mut a, b) = pair().await;
    a.send_couriers_at(BRISK);
    let mut records = vec![a.report(&b, "uncut", 0).await];
    a.until_held(records[0], &b).await;
    let (forth, back) = b.road.carried();
    let places = |whole: usize| (0..FIRST).chain((FIRST..whole).step_by(STEP)).chain([whole - 1, whole]);
    let cuts: Vec<(usize, usize)> = places(forth).map(|bytes| (bytes, usize::MAX)).chain(places(back).map(|bytes| (usize::MAX, bytes))).collect();
    println!("{forth} bytes forth and {back} back, cut at {} places", cuts.len());
    for (forth, back) in cuts {
        b.road.close();
        a.until_health(&b.org, |health| health.reachable == Some(false)).await;
        b.road.cut_next(forth, back);
        let record = a.report(&b, "cut", 0).await;
        b.road.open(b.address);
        a.until_held(record, &b).await;
        records.push(record);
    }
    arrived_once(&a, &b, &records).await;
}
