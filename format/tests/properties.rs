//! What holds for every item, parcel, envelope and attachment, tried with many that chance made.
//!
//! What is written reads back as the same and is written as the same bytes again; what is sealed opens for its
//! recipient and nobody else; a piece proves itself in its own place and in no other.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that goes wrong should stop")]

use std::sync::{Arc, LazyLock};

use proptest::collection::vec;
use proptest::prelude::*;
use samverkan_format::attachment::{AttachmentRef, PIECE, piece_leaf, verify_piece};
use samverkan_format::batch::Inclusion;
use samverkan_format::keys::{ED25519_SIGNATURE, ML_DSA_65_SIGNATURE, Seeds, SigningKeys};
use samverkan_format::merkle::{self, Frontier, Hash, ProofError, Subtrees};
use samverkan_format::parcel::{self, Evidence, Item, ItemKind, ItemRef, ParcelHeader};
use samverkan_format::record::Salted;
use samverkan_format::seal::{OpeningKey, SealFault};
use samverkan_format::signed::Signatures;
use samverkan_format::verify::{Verified, state};
use samverkan_format::{Digest, OrgId, RecordId, Signed, Timestamp};

/// An organisation's keys.
struct Org {
    id: OrgId,
    keys: SigningKeys,
    opening: OpeningKey,
}

impl Org {
    fn new(name: &str) -> Self {
        let seed = |which: u8| *Digest::of_parts(&[name.as_bytes(), &[which]]).as_bytes();
        let seeds = Seeds { ed25519: seed(1), ml_dsa_65: seed(2), x_wing: seed(3), storage: [0; 32] };
        let id: OrgId = name.parse().unwrap();
        Self { keys: SigningKeys::new(id.clone(), &seeds).unwrap(), opening: OpeningKey::new(&seeds.x_wing).unwrap(), id }
    }
}

static SENDER: LazyLock<Org> = LazyLock::new(|| Org::new("se-one"));
static RECIPIENT: LazyLock<Org> = LazyLock::new(|| Org::new("se-two"));
static THIRD: LazyLock<Org> = LazyLock::new(|| Org::new("se-three"));

fn time() -> Timestamp {
    "2026-11-22T08:30:00.000Z".parse().unwrap()
}

/// A message that nobody signed: items are read without verifying.
fn signed() -> impl Strategy<Value = Signed> {
    ("[a-z][a-z0-9-]{0,38}[a-z0-9]", vec(any::<u8>(), 0..400), any::<u8>(), any::<u8>(), prop::option::of(inclusion())).prop_map(
        |(signer, payload, a, b, inclusion)| {
            let signatures = Signatures { ed25519: [a; ED25519_SIGNATURE], ml_dsa_65: Arc::new([b; ML_DSA_65_SIGNATURE]), inclusion };
            Signed::from_parts(signer.parse().unwrap(), payload, signatures)
        },
    )
}

/// A place in a batch, of the right form, that need not lead anywhere.
fn inclusion() -> impl Strategy<Value = Inclusion> {
    (2..=256_u64, any::<prop::sample::Index>(), vec(any::<[u8; 32]>(), 0..=8)).prop_map(|(size, index, path)| {
        let mut out = Vec::new();
        let mut e = minicbor::Encoder::new(&mut out);
        e.array(3).unwrap().u64(size).unwrap().u64(index.index(usize::try_from(size).unwrap()) as u64).unwrap().array(path.len() as u64).unwrap();
        path.iter().for_each(|hash| _ = e.bytes(hash).unwrap());
        Inclusion::parse(&out).unwrap()
    })
}

fn salted() -> impl Strategy<Value = Salted> {
    (any::<[u8; 32]>(), vec(any::<u8>(), 0..400)).prop_map(|(salt, bytes)| Salted { salt, bytes })
}

fn evidence() -> impl Strategy<Value = Evidence> {
    (prop::option::of((signed(), salted())), prop::option::of(signed()), prop::option::of(signed())).prop_map(|(grant, terms, emergency)| Evidence {
        emergency: emergency.filter(|_| grant.is_none()),
        grant,
        terms,
    })
}

fn item() -> impl Strategy<Value = Item> {
    let piece = (any::<[u8; 32]>(), any::<u32>(), any::<u64>(), vec(any::<[u8; 32]>(), 0..=64), vec(any::<u8>(), 0..400));
    prop_oneof![
        (signed(), salted(), evidence()).prop_map(|(signed, content, evidence)| Item::Record {
            signed: Box::new(signed),
            content,
            evidence: Box::new(evidence)
        }),
        piece.prop_map(|(record, attachment, index, proof, bytes)| { Item::Piece { record: RecordId(Digest::from(record)), attachment, index, proof, bytes } }),
        signed().prop_map(|signed| Item::Agreement(Box::new(signed))),
        signed().prop_map(|signed| Item::Withdrawal(Box::new(signed))),
        signed().prop_map(|signed| Item::Card(Box::new(signed))),
        signed().prop_map(|signed| Item::Revocation(Box::new(signed))),
        signed().prop_map(|signed| Item::Notice(Box::new(signed))),
    ]
}

/// A signed header that names these items.
fn header(items: &[Item]) -> Verified<ParcelHeader> {
    let named = |item: &Item| ItemRef { kind: item.kind(), digest: Digest::of(&item.to_bytes()) };
    let header = ParcelHeader {
        from: SENDER.id.clone(),
        to: RECIPIENT.id.clone(),
        sequence: 1,
        previous: Digest::from([0; 32]),
        created: time(),
        checkpoint: String::new(),
        seen: 0,
        consistency: Vec::new(),
        items: items.iter().map(named).collect(),
        era: None,
    };
    state(&header, &SENDER.keys).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_message_is_read_as_it_was_written(message in signed()) {
        let bytes = message.to_bytes();
        let read = Signed::parse(&bytes).unwrap();
        prop_assert_eq!(&read, &message);
        prop_assert_eq!(read.to_bytes(), bytes);
    }

    #[test]
    fn an_item_is_read_as_it_was_written(item in item()) {
        let bytes = item.to_bytes();
        let read = Item::parse(&bytes).unwrap();
        prop_assert_eq!(&read, &item);
        prop_assert_eq!(read.to_bytes(), bytes);
    }

    #[test]
    fn an_item_with_something_after_it_is_refused(item in item(), more in vec(any::<u8>(), 1..4)) {
        prop_assert!(Item::parse(&[item.to_bytes(), more].concat()).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_parcel_is_read_as_it_was_written(items in vec((item(), any::<bool>()), 1..6)) {
        let all: Vec<Item> = items.iter().map(|(item, _)| item.clone()).collect();
        let present: Vec<Option<Vec<u8>>> = items.iter().map(|(item, there)| there.then(|| item.to_bytes())).collect();
        let header = header(&all);
        let bytes = parcel::write(header.signed(), &present);
        let read = parcel::read(&bytes, &(&SENDER.id, SENDER.keys.public())).unwrap();
        prop_assert_eq!(&read.items, &present);
        prop_assert_eq!(read.header.value(), header.value());
        prop_assert_eq!(parcel::write(read.header.signed(), &read.items), bytes);
        let kinds: Vec<ItemKind> = read.header.items.iter().map(|named| named.kind).collect();
        prop_assert_eq!(kinds, all.iter().map(Item::kind).collect::<Vec<_>>());
    }

    #[test]
    fn a_parcel_with_another_item_than_its_header_names_is_refused(first in item(), second in item()) {
        prop_assume!(first != second);
        let header = header(std::slice::from_ref(&first));
        let bytes = parcel::write(header.signed(), &[Some(second.to_bytes())]);
        prop_assert!(parcel::read(&bytes, &(&SENDER.id, SENDER.keys.public())).is_err());
    }

    #[test]
    fn an_envelope_opens_for_its_recipient_alone(plain in vec(any::<u8>(), 0..4000), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let envelope = RECIPIENT.keys.public().sealing().seal(&RECIPIENT.id, &plain).unwrap();
        prop_assert_eq!(RECIPIENT.opening.open(&RECIPIENT.id, &envelope), Ok(plain.clone()));
        prop_assert_eq!(THIRD.opening.open(&THIRD.id, &envelope), Err(SealFault::Recipient(RECIPIENT.id.clone())));
        prop_assert_eq!(THIRD.opening.open(&RECIPIENT.id, &envelope), Err(SealFault::Open));
        // Sealed to the recipient's key under another name, it is nobody's.
        let renamed = RECIPIENT.keys.public().sealing().seal(&THIRD.id, &plain).unwrap();
        prop_assert_eq!(RECIPIENT.opening.open(&RECIPIENT.id, &renamed), Err(SealFault::Recipient(THIRD.id.clone())));
        prop_assert_eq!(THIRD.opening.open(&THIRD.id, &renamed), Err(SealFault::Open));
        // Twice the same plaintext makes two envelopes.
        prop_assert_ne!(&RECIPIENT.keys.public().sealing().seal(&RECIPIENT.id, &plain).unwrap(), &envelope);
        let mut changed = envelope.clone();
        changed[at.index(envelope.len())] ^= 1 << bit;
        prop_assert!(RECIPIENT.opening.open(&RECIPIENT.id, &changed).is_err());
    }
}

/// The leaf hashes of an attachment's pieces.
struct Leaves(Vec<Hash>);

#[derive(Debug)]
struct Absent;

impl From<ProofError> for Absent {
    fn from(_: ProofError) -> Self {
        Self
    }
}

impl Subtrees for Leaves {
    type Error = Absent;

    fn subtree(&self, level: u8, index: u64) -> Result<Hash, Absent> {
        if level == 0 {
            return usize::try_from(index).ok().and_then(|index| self.0.get(index)).copied().ok_or(Absent);
        }
        Ok(merkle::node_hash(&self.subtree(level - 1, index * 2)?, &self.subtree(level - 1, index * 2 + 1)?))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Up to five pieces, so that trees are whole and not, and a last piece of any length.
    #[test]
    fn a_piece_proves_itself_in_its_own_place_only(whole in 0..5_usize, rest in 1..=PIECE, salt in any::<[u8; 32]>()) {
        let mut pieces: Vec<Vec<u8>> = (0..whole).map(|n| vec![u8::try_from(n).unwrap(); PIECE]).collect();
        pieces.push(vec![0xee; rest]);
        let leaves = Leaves(pieces.iter().map(|piece| piece_leaf(&salt, piece)).collect());
        let mut frontier = Frontier::default();
        for leaf in &leaves.0 {
            frontier.push(*leaf);
        }
        let reference = AttachmentRef { size: (whole * PIECE + rest) as u64, root: Digest::from(frontier.root()) };
        prop_assert_eq!(reference.pieces(), pieces.len() as u64);
        let count = pieces.len() as u64;
        let proofs: Vec<Vec<Hash>> = (0..count).map(|index| merkle::inclusion_proof(index, count, &leaves).unwrap()).collect();
        let holds = |index: u64, piece: &[u8], proof: &[Hash]| verify_piece(&reference, &salt, index, piece, proof).is_ok();
        for (at, piece) in pieces.iter().enumerate() {
            for (index, proof) in proofs.iter().enumerate() {
                prop_assert_eq!(holds(index as u64, piece, proof), index == at, "piece {} in place {}", at, index);
                prop_assert_eq!(holds(at as u64, piece, proof), index == at || *proof == proofs[at], "piece {} with the proof of {}", at, index);
            }
            prop_assert!(!holds(count, piece, &proofs[at]) && !holds(u64::MAX, piece, &proofs[at]));
            prop_assert!(!holds(at as u64, &piece[..piece.len() - 1], &proofs[at]));
            prop_assert!(!holds(at as u64, &[piece.as_slice(), &[0]].concat(), &proofs[at]));
            let mut changed = piece.clone();
            changed[0] ^= 1;
            prop_assert!(!holds(at as u64, &changed, &proofs[at]));
            prop_assert!(!holds(at as u64, piece, &[proofs[at].as_slice(), &[[0; 32]]].concat()));
            prop_assert!(!holds(at as u64, piece, proofs[at].split_last().map_or(&[[0; 32]][..], |(_, rest)| rest)));
        }
        let other = AttachmentRef { root: Digest::from([0; 32]), ..reference };
        prop_assert!(verify_piece(&other, &salt, 0, &pieces[0], &proofs[0]).is_err());
        prop_assert!(verify_piece(&reference, &[0xa5; 32], 0, &pieces[0], &proofs[0]).is_err() || salt == [0xa5; 32]);
    }

    #[test]
    fn the_lengths_of_pieces_add_up(size in 1..=samverkan_format::attachment::MAX_SIZE) {
        let reference = AttachmentRef { size, root: Digest::from([0; 32]) };
        let total: u64 = (0..reference.pieces()).map(|index| reference.piece_len(index).unwrap() as u64).sum();
        prop_assert_eq!(total, size);
        prop_assert_eq!(reference.piece_len(reference.pieces()), None);
        prop_assert_eq!(reference.piece_len(u64::MAX), None);
    }
}
