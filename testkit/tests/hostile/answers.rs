//! What a hostile peer answers to a parcel that it was sent: never a word that counts as a receipt.

use std::sync::Arc;

use format::checkpoint::{self, Checkpoint};
use format::parcel::{self, ParcelHeader};
use format::receipt::{ItemResult, Outcome, Receipt};
use format::verify::Verified;
use format::{Digest, Signed};
use node::exchange::Answer;
use node::node::Identity;
use node::rows::Suspicion;
use samverkan_testkit::federation::id;

use crate::{End, Scene};

pub(crate) struct Behaviour {
    pub(crate) name: &'static str,
    pub(crate) end: End,
    pub(crate) act: fn(&mut Scene, &[u8]) -> Vec<u8>,
}

const fn answers(name: &'static str, end: End, act: fn(&mut Scene, &[u8]) -> Vec<u8>) -> Behaviour {
    Behaviour { name, end, act }
}

/// A receipt that would count, changed.
macro_rules! receipt {
    ($name:literal, $end:expr, $change:expr) => {
        answers($name, $end, |scene, envelope| {
            let mut receipt = sound(scene, envelope);
            let change: fn(&mut Scene, &mut Receipt) = $change;
            change(scene, &mut receipt);
            signed(&receipt, &scene.mal.identity)
        })
    };
}

fn signed(receipt: &Receipt, by: &Identity) -> Vec<u8> {
    let signed = Signed::sign::<Receipt>(serde_json::to_vec(receipt).unwrap(), &by.keys).unwrap();
    Answer::Receipt(signed.to_bytes()).to_bytes()
}

fn opened(scene: &mut Scene, envelope: &[u8]) -> Verified<ParcelHeader> {
    let plain = scene.mal.identity.opening.open(scene.mal.org(), envelope).unwrap();
    let victim = Arc::clone(scene.federation.node(&scene.victim).identity());
    parcel::read(&plain, &(victim.org(), victim.keys.public())).unwrap().header
}

/// The receipt that an honest peer would give.
fn sound(scene: &mut Scene, envelope: &[u8]) -> Receipt {
    let header = opened(scene, envelope);
    let victim = Arc::clone(scene.federation.node(&scene.victim).identity());
    let name = victim.ledger_name();
    let shown = checkpoint::parse_and_verify(header.checkpoint.as_bytes(), &name, victim.keys.public().ed25519_raw()).unwrap();
    let me = Arc::clone(&scene.mal.identity);
    Receipt {
        holder: me.org().clone(),
        sender: victim.org().clone(),
        sequence: header.sequence,
        parcel: header.digest(),
        outcomes: header.items.iter().map(|item| Outcome { item: item.digest, result: ItemResult::Accepted, reasons: [].into() }).collect(),
        checkpoint: scene.mal.checkpoint(scene.mal.in_receipts),
        seen: scene.mal.in_receipts.0,
        consistency: Vec::new(),
        cosignature: shown.cosign(&me.ledger_name(), me.keys.ed25519(), scene.now).unwrap(),
        received: scene.now,
        era: None,
    }
}

pub(crate) fn all() -> Vec<Behaviour> {
    vec![
        answers("noise", End::Refused("bad-encoding"), |_, _| vec![0x55; 300]),
        answers("a receipt that an honest peer signed", End::Refused("not-theirs"), |scene, envelope| {
            let receipt = Receipt { holder: id("no-pst"), ..sound(scene, envelope) };
            let honest = Arc::clone(scene.federation.node(&scene.honest).identity());
            signed(&receipt, &honest)
        }),
        answers("a receipt in an honest peer's name", End::Refused("not-theirs"), |scene, envelope| {
            let receipt = Receipt { holder: id("no-pst"), ..sound(scene, envelope) };
            signed(&receipt, &scene.mal.identity)
        }),
        receipt!("a receipt for somebody else", End::Stopped(Suspicion::Fork), |_, receipt| receipt.sender = id("no-pst")),
        receipt!("a receipt for another parcel", End::Stopped(Suspicion::Fork), |_, receipt| receipt.parcel = Digest::of(b"another")),
        receipt!("a receipt for a parcel that was never sent", End::Stopped(Suspicion::Fork), |_, receipt| receipt.sequence += 100),
        receipt!("a receipt for a parcel that was receipted before", End::Nothing, |_, receipt| receipt.sequence -= 1),
        receipt!("a receipt with an outcome too few", End::Stopped(Suspicion::Fork), |_, receipt| receipt.outcomes.clear()),
        receipt!("a receipt for an item that was not sent", End::Stopped(Suspicion::Fork), |_, receipt| {
            receipt.outcomes.iter_mut().for_each(|outcome| outcome.item = Digest::of(b"another"));
        }),
        receipt!("a cosignature of another checkpoint", End::Stopped(Suspicion::Fork), |scene, receipt| {
            let other = Checkpoint::new("se-sapo/ledger", 3, [7; 32]).unwrap();
            receipt.cosignature = other.cosign(&scene.mal.identity.ledger_name(), scene.mal.identity.keys.ed25519(), scene.now).unwrap();
        }),
        receipt!("no cosignature", End::Stopped(Suspicion::Fork), |_, receipt| receipt.cosignature.clear()),
        receipt!("a checkpoint that another signed", End::Stopped(Suspicion::SplitLedger), |scene, receipt| {
            let name = scene.mal.identity.ledger_name();
            let other = Checkpoint::new(name.clone(), scene.mal.in_receipts.0, scene.mal.in_receipts.1).unwrap();
            receipt.checkpoint = other.sign(&name, scene.stranger.identity.keys.ed25519()).unwrap();
        }),
        receipt!("another ledger than before", End::Stopped(Suspicion::SplitLedger), |scene, receipt| receipt.checkpoint =
            scene.mal.checkpoint((scene.mal.in_receipts.0, [7; 32]))),
        receipt!("a ledger that has shrunk", End::Stopped(Suspicion::SplitLedger), |scene, receipt| receipt.checkpoint =
            scene.mal.checkpoint((scene.mal.in_receipts.0 - 1, [7; 32]))),
        answers("it awaits a parcel that it has confirmed", End::Stopped(Suspicion::RolledBack), |_, _| Answer::Expected(1).to_bytes()),
        answers("it awaits a parcel that there is not", End::Nothing, |_, _| Answer::Expected(9999).to_bytes()),
        answers("it has stopped exchange, it says", End::Nothing, |_, _| Answer::Stopped(Suspicion::Fork).to_bytes()),
        answers("the parcel itself", End::Refused("bad-encoding"), |_, envelope| envelope.to_vec()),
    ]
}
