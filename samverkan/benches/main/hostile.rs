//! What a hostile peer costs the others: the same releases between two nodes, alone and while a third, whose card both hold,
//! calls the receiver as often as it is let.
//!
//! The third is no node but its keys. It sends what costs the receiver most for what it costs to send: a parcel of as many
//! signed items as there may be, made once and sent again and again, and bytes of the largest size that mean nothing. It
//! shares the two cores of this machine with the others, so that what it takes of them by sending counts as well.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use format::checkpoint::Checkpoint;
use format::keys::{Seeds, SigningKeys};
use format::parcel::{self, Item, ItemKind, ItemRef, MAX_ITEMS, ParcelHeader};
use format::receipt::{Notice, State as Word};
use format::seal::MAX_ENVELOPE;
use format::verify::{self, KeyDirectory as _};
use format::{Digest, OrgId, RecordId, Timestamp};
use http::peer;
use http::tls::{self, KeyedCertificate};
use node::state::State;
use store::Sqlite;
use tokio::task::JoinSet;

use crate::fill;
use crate::hold::{Place, agreement, folders, found, start};
use crate::measure::{Figures, Folder, quantile};
use crate::pair::{Node, Outcome};

/// Calls that are under way at a time: more than a node serves of one peer.
const AT_ONCE: usize = 16;

pub(crate) async fn hostile(figures: &mut Figures, quick: bool) -> Outcome {
    let folder = Folder::new("hostile")?;
    let mut nodes = found(&folder.0, 3).await?;
    fill::agreed(&folders(&nodes), &agreement(&nodes)?)?;
    let third = nodes.pop().ok_or("there is no third node")?;
    let mut nodes = start(nodes).await?;
    let receiver = nodes.pop().ok_or("there is no receiver")?;
    let sender = Place::open(nodes.pop().ok_or("there is no sender")?).await?;
    let seconds = if quick { 3 } else { 20 };

    latencies(&sender, receiver.org, 2).await?;
    let quiet = latencies(&sender, receiver.org, seconds).await?;
    figures.print("hostile.quiet_p99_ms", quantile(&quiet, 0.99), "ms", "", None);
    let caller = Caller::new(&third, &receiver)?;
    for (name, body) in [("replay", caller.parcel()?), ("noise", vec![0x5a; MAX_ENVELOPE])] {
        let flood = caller.flood(body)?;
        let beset = latencies(&sender, receiver.org, seconds).await?;
        let [answered, refused, broken] = flood.end();
        eprintln!("{name}: {answered} calls were answered, {refused} turned away, {broken} cut off");
        if answered + refused == 0 {
            return Err(format!("{name}: no call got through, and nothing was measured").into());
        }
        figures.print(&format!("hostile.{name}_p99_ms"), quantile(&beset, 0.99), "ms", "", None);
        figures.print(&format!("hostile.{name}_p99_ratio"), quantile(&beset, 0.99) / quantile(&quiet, 0.99), "ratio", "<= 2", None);
    }
    Ok(())
}

/// The third organisation's keys, and the way to the node that it calls.
struct Caller {
    keys: SigningKeys,
    to: OrgId,
    state: State,
    client: reqwest::Client,
    url: String,
}

/// Calls that go on until they are ended.
struct Flood {
    calls: JoinSet<()>,
    counts: Arc<[AtomicU64; 3]>,
}

impl Caller {
    fn new(third: &Node, receiver: &Node) -> Outcome<Self> {
        let read = |name: &str| std::fs::read(third.data.join(name));
        let org: OrgId = third.org.parse()?;
        let seeds: Seeds = serde_json::from_slice(&read("keys.json")?)?;
        let state = State::load(&Sqlite::open(&third.data.join("samverkan.db"), &store::Options::default())?)?;
        let certificate = KeyedCertificate::from_pem(&read("peer.pem")?, &read("peer-key.pem")?)?;
        let to: OrgId = receiver.org.parse()?;
        let published = Arc::new(RwLock::new(Arc::clone(&state.directory)));
        let tls = tls::peer_client(&certificate, &org, &to, published)?;
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls).http2_prior_knowledge().no_proxy().build()?;
        let address = state.directory.card(&to).and_then(|pinned| pinned.card.addresses.first().cloned()).ok_or("its card has no address")?;
        Ok(Self { keys: SigningKeys::new(org, &seeds)?, to, state, client, url: format!("https://{address}{}", peer::PARCELS) })
    }

    /// A first parcel of as many notices as there may be, each signed, about records that nobody has.
    fn parcel(&self) -> Outcome<Vec<u8>> {
        let now = Timestamp::from_date("2026-11-26")?;
        let holder = self.keys.org().clone();
        let mut items = Vec::new();
        for n in 0..MAX_ITEMS as u64 {
            let record = RecordId(Digest::of(&n.to_be_bytes()));
            let notice = Notice { holder: holder.clone(), originator: self.to.clone(), record, state: Word::Held, at: now };
            items.push(Item::Notice(Box::new(verify::state(&notice, &self.keys)?.signed().clone())).to_bytes());
        }
        let name = node::node::ledger_name(&holder);
        let header = ParcelHeader {
            from: holder,
            to: self.to.clone(),
            sequence: 1,
            previous: Digest::from([0; 32]),
            created: now,
            checkpoint: Checkpoint::new(name.clone(), 1, [7; 32])?.sign(&name, self.keys.ed25519())?,
            seen: 0,
            consistency: Vec::new(),
            items: items.iter().map(|bytes| ItemRef { kind: ItemKind::Notice, digest: Digest::of(bytes) }).collect(),
            era: None,
        };
        let plain = parcel::write(verify::state(&header, &self.keys)?.signed(), &items.into_iter().map(Some).collect::<Vec<_>>());
        let keys = self.state.directory.keys(&self.to).ok_or("the receiver's card is not held")?;
        Ok(keys.sealing().seal(&self.to, &plain)?)
    }

    /// Sends a body again and again, many at a time.
    fn flood(&self, body: Vec<u8>) -> Outcome<Flood> {
        let (mut calls, counts) = (JoinSet::new(), Arc::new([const { AtomicU64::new(0) }; 3]));
        for _ in 0..AT_ONCE {
            let call = self.client.post(&self.url).header("content-type", peer::MEDIA_TYPE).body(body.clone());
            let counts = Arc::clone(&counts);
            calls.spawn(async move {
                while let Some(call) = call.try_clone() {
                    let ended = match call.send().await {
                        Ok(answer) if answer.status().is_success() => 0,
                        Ok(_) => 1,
                        Err(_) => 2,
                    };
                    if let Some(count) = counts.get(ended) {
                        count.fetch_add(1, Relaxed);
                    }
                }
            });
        }
        Ok(Flood { calls, counts })
    }
}

impl Flood {
    /// Ends it; gives how many calls were answered, turned away, and cut off.
    fn end(self) -> [u64; 3] {
        drop(self.calls);
        std::array::from_fn(|ended| self.counts.get(ended).map_or(0, |count| count.load(Relaxed)))
    }
}

/// Releases 20 a second on schedule for so many seconds; gives for each the milliseconds to its receipt, sorted.
async fn latencies(sender: &Place, to: &'static str, seconds: usize) -> Outcome<Vec<f64>> {
    let mut ids = Vec::new();
    for n in 0..seconds * 20 {
        ids.push(sender.approved(&format!("no {n}"), &[to]).await?);
    }
    let mut running = JoinSet::new();
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    for id in ids {
        let (due, officer) = (ticks.tick().await, sender.officer.clone());
        running.spawn(async move { crate::measure::until_receipt(&officer, &id, due).await });
    }
    let mut all = Vec::new();
    while let Some(next) = running.join_next().await {
        all.push(next??);
    }
    all.sort_by(f64::total_cmp);
    Ok(all)
}
