//! Exchange between nodes over real TLS: it works, it takes no bad bytes, and it heals.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests say what they expect by failing")]

mod peers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use format::{RecordId, seal};
use node::exchange::Answer;
use node::rows::Suspicion;
use node::{Command, Outcome};
use samverkan_http::handle::PeerHealth;
use samverkan_http::listener::{Limits, TlsListener};
use samverkan_http::{peer, tls};

use peers::{Party, answer, card, found, hand_over, pair, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_goes_out_and_its_receipt_comes_back() {
    let (mut a, mut b) = pair().await;
    a.send_couriers();
    b.send_couriers();
    let record = a.report(&b, "one", 0).await;
    a.until_held(record, &b).await;
    let well = |health: &PeerHealth| health.reachable == Some(true) && health.last_error.is_none() && health.retries == 0;
    a.until_health(&b.org, |health| well(health) && health.last_receipt.is_some()).await;
    let back = b.report(&a, "two", 0).await;
    b.until_held(back, &a).await;

    // A recall goes the same way, and the holder's word that the copy is gone comes back.
    let number = a.handle.read(move |reader| reader.record(&record).unwrap().unwrap().number).await;
    let recalled = a.act("rolf", None, Command::Recall { number, reason: "made up".to_owned() }).await.unwrap();
    assert!(matches!(recalled, Outcome::Record { .. }));
    let gone = async {
        while a.copy_at(record, &b.org).await != Some(node::rows::HoldingState::Removed) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
    assert!(b.handle.read(move |reader| reader.content(&record).unwrap().is_none()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_large_parcels_go_a_window_at_a_time_and_arrive_in_order() {
    let (mut a, b) = pair().await;
    let mut records = Vec::new();
    for n in 0..20 {
        records.push(a.report(&b, &format!("large {n}"), 900_000).await);
    }
    a.send_couriers();
    for record in &records {
        a.until_held(*record, &b).await;
    }
    let arrived: Vec<RecordId> = b
        .handle
        .read(|reader| reader.records(&node::ports::RecordQuery { limit: 200, ..Default::default() }).unwrap())
        .await
        .into_iter()
        .map(|(_, row)| row.id)
        .rev()
        .collect();
    assert_eq!(arrived, records, "in the order in which they left");
    assert_eq!(a.health(&b.org).retries, 0);
    assert!(a.handle.peer_health()[&b.org].last_error.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parcels_that_arrive_in_the_wrong_order_are_taken_in_in_the_right_one() {
    let (a, b) = pair().await;
    let mut records = Vec::new();
    let mut parcels = Vec::new();
    for n in 0..4 {
        records.push(a.report(&b, &format!("no {n}"), 0).await);
        let after = parcels.last().map_or(0, |(sequence, _)| *sequence);
        parcels.push(a.parcel(&b, after).await.unwrap());
    }
    let mut answers = Vec::new();
    for (_, envelope) in parcels.into_iter().rev() {
        let (client, address) = (a.client(&b), b.address);
        answers.push(tokio::spawn(async move {
            let url = format!("https://{address}{}", peer::PARCELS);
            client.post(url).header("content-type", peer::MEDIA_TYPE).body(envelope).send().await.unwrap().bytes().await.unwrap()
        }));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for bytes in answers {
        assert!(matches!(Answer::parse(&bytes.await.unwrap()), Some(Answer::Receipt(_))));
    }
    for record in records {
        assert!(b.holds(record).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parcel_after_a_gap_is_answered_with_the_number_that_is_awaited() {
    let (a, b) = pair().await;
    a.report(&b, "one", 0).await;
    let (first, _) = a.parcel(&b, 0).await.unwrap();
    a.report(&b, "two", 0).await;
    let (_, envelope) = a.parcel(&b, first).await.unwrap();
    let bytes = hand_over(&a.client(&b), &b, envelope).await.unwrap().bytes().await.unwrap();
    assert_eq!(Answer::parse(&bytes), Some(Answer::Expected(first)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_peer_that_is_down_goes_out_when_it_is_back() {
    let (mut a, b) = pair().await;
    b.road.close();
    a.send_couriers();
    let mut records = Vec::new();
    for n in 0..5 {
        records.push(a.report(&b, &format!("no {n}"), 0).await);
    }
    a.until_health(&b.org, |health| health.reachable == Some(false) && health.retries > 3).await;
    assert!(a.health(&b.org).last_error.is_some());
    b.road.open(b.address);
    for record in records {
        a.until_held(record, &b).await;
    }
    a.until_health(&b.org, |health| health.reachable == Some(true) && health.retries == 0 && health.last_error.is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_comes_back_is_heard_of_before_it_is_tried_again() {
    let (mut a, mut b) = pair().await;
    b.road.close();
    let patient = samverkan_http::courier::Pace { first_retry: Duration::from_secs(600), last_retry: Duration::from_secs(600), ..peers::QUICK };
    let _couriers = samverkan_http::courier::start(a.handle.clone(), a.certificate.clone(), patient);
    let record = a.report(&b, "one", 0).await;
    a.until_health(&b.org, |health| health.retries == 1).await;
    b.road.open(b.address);
    b.send_couriers();
    a.until_held(record, &b).await;
    a.call_couriers_back();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_one_peer_is_back_the_others_are_tried_too() {
    let mut parties = Vec::new();
    for (org, short) in [("se-sapo", "SAPO"), ("se-fra", "FRA"), ("se-must", "MUST")] {
        parties.push(Party::new(org, short, tls::generate_peer_certificate().unwrap()).await);
    }
    let mut running = Vec::new();
    for node in found(parties) {
        running.push(run(node, Limits::PEERS).await);
    }
    let [a, mut b, c] = <[peers::Running; 3]>::try_from(running).ok().unwrap();
    b.road.close();
    c.road.close();
    let patient = samverkan_http::courier::Pace { first_retry: Duration::from_secs(600), last_retry: Duration::from_secs(600), ..peers::QUICK };
    let _couriers = samverkan_http::courier::start(a.handle.clone(), a.certificate.clone(), patient);
    let record = a.report(&c, "one", 0).await;
    for silent in [&b, &c] {
        a.until_health(&silent.org, |health| health.retries == 1).await;
    }
    // The network is back. Only one of the two says something, and both are tried.
    b.road.open(b.address);
    c.road.open(c.address);
    b.send_couriers();
    a.until_held(record, &c).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_bytes_are_refused_and_the_next_good_parcel_is_taken_in() {
    let (mut a, b) = pair().await;
    let before = b.handle.read(|reader| reader.counts().unwrap().entries).await;
    let client = a.client(&b);
    let bad = async |bytes: Vec<u8>| answer(hand_over(&client, &b, bytes).await.unwrap()).await;
    assert_eq!(bad(Vec::new()).await, (400, "bad-encoding".to_owned()));
    assert_eq!(bad(b"garbage".to_vec()).await, (400, "bad-encoding".to_owned()));
    assert_eq!(bad(vec![0xff; 1_000_000]).await, (400, "bad-encoding".to_owned()));
    assert_eq!(bad(vec![0; seal::MAX_ENVELOPE]).await.0, 400);
    assert_eq!(bad(vec![0; seal::MAX_ENVELOPE + 1]).await, (413, "too-large".to_owned()));

    let record = a.report(&b, "one", 0).await;
    let (_, envelope) = a.parcel(&b, 0).await.unwrap();
    let mut changed = envelope.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(bad(changed).await, (400, "not-opened".to_owned()));

    let url = |path: &str| format!("https://{}{path}", b.address);
    let plain = client.post(url(peer::PARCELS)).header("content-type", "text/plain").body(envelope.clone()).send().await.unwrap();
    assert_eq!(answer(plain).await, (415, "media-type".to_owned()));
    let unmeasured = reqwest::Body::wrap_stream(Endless { left: seal::MAX_ENVELOPE + 100_000 });
    let unmeasured = client.post(url(peer::PARCELS)).header("content-type", peer::MEDIA_TYPE).body(unmeasured).send().await;
    assert!(unmeasured.is_err() || unmeasured.unwrap().status() == 413, "its size was not announced");
    assert_eq!(answer(client.get(url(peer::PARCELS)).send().await.unwrap()).await, (405, "method-not-allowed".to_owned()));
    assert_eq!(answer(client.post(url("/records")).send().await.unwrap()).await, (404, "not-found".to_owned()));
    assert_eq!(client.post(url(peer::HEARTBEAT)).send().await.unwrap().status(), 204);
    assert_eq!(client.post(url(peer::HEARTBEAT)).body(vec![0; 1000]).send().await.unwrap().status(), 204, "a body is not read");

    assert_eq!(b.handle.read(|reader| reader.counts().unwrap().entries).await, before, "nothing of it reached the node");
    a.send_couriers();
    a.until_held(record, &b).await;
}

/// A body that does not say how long it is.
struct Endless {
    left: usize,
}

impl futures_util::Stream for Endless {
    type Item = Result<Vec<u8>, std::io::Error>;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<Self::Item>> {
        let size = self.left.min(50_000);
        self.left -= size;
        std::task::Poll::Ready((size > 0).then(|| Ok(vec![0; size])))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_whose_bytes_keep_failing_is_turned_away_and_nobody_else() {
    let certificate = || tls::generate_peer_certificate().unwrap();
    let mut parties = Vec::new();
    for (org, short) in [("se-sapo", "SAPO"), ("se-fra", "FRA"), ("se-tull", "TULL")] {
        parties.push(Party::new(org, short, certificate()).await);
    }
    let mut nodes = Vec::new();
    for founded in found(parties) {
        nodes.push(run(founded, Limits::PEERS).await);
    }
    let [mut a, b, c] = <[peers::Running; 3]>::try_from(nodes).unwrap_or_else(|_| panic!());

    // What one organisation signed is not taken in from another.
    a.report(&b, "one", 0).await;
    let (_, envelope) = a.parcel(&b, 0).await.unwrap();
    let third = c.client(&b);
    assert_eq!(answer(hand_over(&third, &b, envelope).await.unwrap()).await, (403, "wrong-sender".to_owned()));
    // What is sealed to one is not opened by another.
    let (_, envelope) = c.parcel(&a, 0).await.unwrap_or((0, Vec::new()));
    assert_ne!(answer(hand_over(&third, &b, envelope).await.unwrap()).await.0, 200);

    let mut refused = Vec::new();
    for _ in 0..30 {
        match hand_over(&third, &b, b"garbage".to_vec()).await {
            Ok(response) => refused.push(answer(response).await),
            Err(_) => refused.push((0, "hung up".to_owned())),
        }
    }
    assert_eq!(refused.iter().filter(|told| told.0 == 400).count(), 18, "twenty faults with the two before: {refused:?}");
    assert!(refused[18..].iter().all(|told| told.1 == "too-many-faults" || told.1 == "hung up"), "{refused:?}");

    a.send_couriers();
    let record = a.report(&b, "two", 0).await;
    a.until_held(record, &b).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_card_is_in_force_on_connections_that_stand() {
    let (mut a, b) = pair().await;
    let client = a.client(&b);
    let url = format!("https://{}{}", b.address, peer::HEARTBEAT);
    assert_eq!(client.post(&url).send().await.unwrap().status(), 204);

    let other = tls::generate_peer_certificate().unwrap();
    let bytes = card(&a.organisation, 2, &other, &[a.road.address]);
    b.act("ada", None, Command::ImportCard { bytes, fingerprint: a.organisation.fingerprint }).await.unwrap();
    let told = client.post(&url).send().await;
    assert!(told.is_err() || told.unwrap().status() == 403, "the key before is nobody's now");
    assert!(client.post(&url).send().await.is_err(), "and it gets no new connection");

    a.certificate = Arc::new(other.read().unwrap());
    assert_eq!(a.client(&b).post(&url).send().await.unwrap().status(), 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_that_is_imported_later_gets_its_courier() {
    let certificate = || tls::generate_peer_certificate().unwrap();
    let alone = |party| async { run(found(vec![party]).remove(0), Limits::PEERS).await };
    let mut a = alone(Party::new("se-sapo", "SAPO", certificate()).await).await;
    let b = alone(Party::new("se-fra", "FRA", certificate()).await).await;
    a.send_couriers();
    b.act("ada", None, Command::ImportCard { bytes: a.organisation.card.clone(), fingerprint: a.organisation.fingerprint }).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(b.road.connections(), 0);
    a.act("ada", None, Command::ImportCard { bytes: b.organisation.card.clone(), fingerprint: b.organisation.fingerprint }).await.unwrap();
    a.until_health(&b.org, |health| health.reachable == Some(true)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_address_serves_when_the_first_does_not() {
    let (mut a, b) = pair().await;
    b.road.close();
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let certificate = tls::generate_peer_certificate().unwrap();
    let mut card_of_b: format::card::Card = format::json::parse(
        format::Signed::parse(&card(&b.organisation, 2, &certificate, &[nowhere, b.address])).unwrap().payload(),
        &format::json::Budget::CARD,
    )
    .unwrap();
    card_of_b.tls_key = b.certificate.pin().unwrap();
    let bytes = format::verify::state(&card_of_b, &b.organisation.identity.keys).unwrap().signed().to_bytes();
    a.act("ada", None, Command::ImportCard { bytes, fingerprint: b.organisation.fingerprint }).await.unwrap();
    a.send_couriers();
    let record = a.report(&b, "one", 0).await;
    a.until_held(record, &b).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_is_destroyed_when_its_time_has_come() {
    let (mut a, b) = pair().await;
    a.send_couriers();
    let record = a.report(&b, "one", 0).await;
    a.until_held(record, &b).await;
    let jobs = [&a, &b].map(|node| samverkan_http::retention::start(node.handle.clone(), Duration::from_millis(20)));
    tokio::time::sleep(Duration::from_millis(100)).await;
    for node in [&a, &b] {
        assert!(node.has_content(record).await, "its time has not come");
        node.pass_days(31);
    }
    let destroyed = async {
        while a.has_content(record).await || b.has_content(record).await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), destroyed).await.unwrap();
    jobs.into_iter().for_each(|job| job.abort());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_closes_in_good_order() {
    let (mut a, mut b) = pair().await;
    a.send_couriers();
    b.send_couriers();
    let record = a.report(&b, "one", 0).await;
    a.until_held(record, &b).await;
    // The other's courier is still connected, and told to go.
    let gone = a.org.clone();
    tokio::time::timeout(Duration::from_secs(10), a.close()).await.unwrap();
    b.until_health(&gone, |health| health.reachable == Some(false)).await;
}

/// A node that takes parcels in through `route` instead of its own listener.
async fn instead(b: &peers::Running, route: axum::routing::MethodRouter) -> SocketAddr {
    let config = tls::peer_server(&b.certificate, &b.org, b.handle.published()).unwrap();
    let listener = TlsListener::bind("127.0.0.1:0".parse().unwrap(), config, Limits::PEERS).await.unwrap();
    let address = listener.address();
    let router = axum::Router::new().route(peer::PARCELS, route.layer(axum::extract::DefaultBodyLimit::disable()));
    let router = router.route(peer::HEARTBEAT, axum::routing::post(|| async { axum::http::StatusCode::NO_CONTENT }));
    tokio::spawn(axum::serve(listener, router).into_future());
    address
}

async fn suspicion(node: &peers::Running, peer: &peers::Running) -> Option<Suspicion> {
    let peer = peer.org.clone();
    node.handle.read(move |reader| reader.opening().unwrap().peers.into_iter().find(|row| row.org == peer).and_then(|row| row.suspicion)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parcel_that_overtakes_another_goes_again_and_nobody_is_suspected() {
    let (mut a, b) = pair().await;
    let mut records = Vec::new();
    for n in 0..12 {
        records.push(a.report(&b, &format!("large {n}"), 900_000).await);
    }
    // Every other parcel waits until the one after it was turned back.
    let turned_back = Arc::new(tokio::sync::Notify::new());
    let (handle, from, turned) = (b.handle.clone(), a.org.clone(), Arc::clone(&turned_back));
    let seen = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let gaps = Arc::clone(&seen);
    let address = instead(
        &b,
        axum::routing::post(move |body: axum::body::Bytes| async move {
            let inbound = node::exchange::open(handle.identity(), &handle.directory(), &from, &body).unwrap();
            if inbound.sequence().is_multiple_of(2) {
                // Not for ever: the last has nothing after it, and the first after a pause goes alone.
                let _waited = tokio::time::timeout(Duration::from_millis(500), turned.notified()).await;
            }
            let answer = handle.receive(inbound).await.unwrap();
            if matches!(answer, Answer::Expected(_)) {
                gaps.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                turned.notify_one();
            }
            answer.to_bytes()
        }),
    )
    .await;
    b.road.open(address);
    a.send_couriers();
    for record in &records {
        a.until_held(*record, &b).await;
    }
    assert!(seen.load(std::sync::atomic::Ordering::SeqCst) > 0, "none was turned back, and nothing was tested");
    assert_eq!(suspicion(&a, &b).await, None);
    assert_eq!(a.health(&b.org).retries, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_has_forgotten_what_it_confirmed_is_suspected() {
    let (mut a, b) = pair().await;
    a.send_couriers();
    let record = a.report(&b, "one", 0).await;
    a.until_held(record, &b).await;
    b.road.close();
    let address = instead(&b, axum::routing::post(|| async { Answer::Expected(1).to_bytes() })).await;
    a.report(&b, "two", 0).await;
    b.road.open(address);
    let suspected = async {
        while suspicion(&a, &b).await.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), suspected).await.unwrap();
    assert_eq!(suspicion(&a, &b).await, Some(Suspicion::RolledBack));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_takes_nothing_in_is_tried_with_one_parcel_at_a_time() {
    let (mut a, b) = pair().await;
    for n in 0..12 {
        a.report(&b, &format!("large {n}"), 900_000).await;
    }
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counting = Arc::clone(&asked);
    let address = instead(
        &b,
        axum::routing::post(|| async move {
            counting.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            axum::http::StatusCode::SERVICE_UNAVAILABLE
        }),
    )
    .await;
    b.road.open(address);
    a.send_couriers();
    a.until_health(&b.org, |health| health.retries == 6).await;
    assert!((6..=7).contains(&asked.load(std::sync::atomic::Ordering::SeqCst)), "one for each try");
    assert_eq!(a.health(&b.org).reachable, Some(true), "it answers, if not as it should");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parcels_go_by_file_and_by_connection_at_once_under_the_same_numbers() {
    let (mut a, b) = pair().await;
    let (mut records, mut files, mut after) = (Vec::new(), Vec::new(), 0);
    for n in 0..6 {
        records.push(a.report(&b, &format!("no {n}"), 0).await);
        let dispatch = a.handle.dispatch_carried(b.org.clone(), after).await.unwrap().unwrap();
        after = dispatch.sequence();
        let sealed = a.handle.seal(dispatch.padded()).await.unwrap();
        files.push(sealed.hand_to(&node::Recipient::Organisation(b.org.clone())).unwrap());
    }
    // Some arrive by file; the rest, and those again, by the connection that comes to life.
    let mut answers = Vec::new();
    for file in &files[..3] {
        let (me, directory) = (Arc::clone(b.handle.identity()), b.handle.directory());
        let inbound = node::exchange::open_carried(&me, &directory, file).unwrap();
        let number = inbound.sequence();
        let answer = b.handle.receive(inbound).await.unwrap();
        let sealed = node::exchange::seal_answer(&me, &directory, &a.org, number, &answer, b.handle.now()).unwrap();
        answers.push(sealed.hand_to(&node::Recipient::Organisation(a.org.clone())).unwrap());
    }
    a.send_couriers();
    for record in records {
        a.until_held(record, &b).await;
    }
    // What comes late by the other way changes nothing, in either direction.
    for (file, answer) in files.iter().zip(&answers).rev() {
        let inbound = node::exchange::open_carried(b.handle.identity(), &b.handle.directory(), file).unwrap();
        assert!(matches!(b.handle.receive(inbound).await.unwrap(), Answer::Receipt(_)));
        let read = node::exchange::Acknowledgement::open(a.handle.identity(), &a.handle.directory(), answer).unwrap();
        a.handle.acknowledge(read).await.unwrap();
    }
    let (here, there) = (b.org.clone(), a.org.clone());
    let sent = a.handle.read(move |reader| reader.peer(&here).unwrap().unwrap()).await;
    let received = b.handle.read(move |reader| reader.peer(&there).unwrap().unwrap()).await;
    assert_eq!((sent.sent, sent.acknowledged, received.received), (after, after, after));
    assert_eq!((sent.suspicion, received.suspicion), (None, None));
}
