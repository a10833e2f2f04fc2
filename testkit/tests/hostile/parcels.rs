//! What a hostile peer sends: envelopes, parcels and items, each wrong in one way.

use format::agreement::{Agreement, Onward, Withdrawal};
use format::attachment::AttachmentRef;
use format::card::{Card, Revocation};
use format::parcel::{Item, ItemKind, ItemRef, ParcelHeader};
use format::receipt::{Notice, State};
use format::record::{Header, Kind, Link, Relation, Salted, TextContent};
use format::signed::Signatures;
use format::{Digest, OrgId, RecordId, Signed};
use node::ports::{MAX_PAGE, Reader, RecordQuery};
use node::rows::Suspicion;
use samverkan_testkit::federation::{agreement, id};

use crate::peer::Peer;
use crate::{End, Scene};

pub(crate) struct Behaviour {
    pub(crate) name: &'static str,
    pub(crate) end: End,
    pub(crate) act: fn(&mut Scene) -> Vec<u8>,
}

const fn sends(name: &'static str, end: End, act: fn(&mut Scene) -> Vec<u8>) -> Behaviour {
    Behaviour { name, end, act }
}

/// A parcel with one record that is wrong in its header.
macro_rules! record {
    ($name:literal, $code:literal, $change:expr) => {
        sends($name, End::Item($code), |scene| {
            let item = scene.mal.record(scene.now, $change);
            scene.mal.parcel(&[item])
        })
    };
}

pub(crate) fn all() -> Vec<Behaviour> {
    let mut all = envelopes();
    all.extend(headers());
    all.extend(sequences());
    all.extend(records());
    all.extend(others_records());
    all.extend(statements());
    all.extend(revocations());
    all
}

fn sound(scene: &mut Scene) -> Vec<u8> {
    scene.mal.record(scene.now, |_| {})
}

fn envelopes() -> Vec<Behaviour> {
    vec![
        sends("noise instead of an envelope", End::Refused("bad-encoding"), |_| vec![0x5a; 4096]),
        sends("an envelope that claims 2^40 parts", End::Refused("bad-encoding"), |_| vec![0x9b, 0, 0, 1, 0, 0, 0, 0, 0]),
        sends("an envelope cut short", End::Refused("bad-encoding"), |scene| {
            let item = sound(scene);
            let mut envelope = scene.mal.parcel(&[item]);
            envelope.truncate(envelope.len() / 2);
            envelope
        }),
        sends("an envelope with one bit flipped in it", End::Refused("not-opened"), |scene| {
            let item = sound(scene);
            let mut envelope = scene.mal.parcel(&[item]);
            let middle = envelope.len() - 100;
            envelope.get_mut(middle).into_iter().for_each(|byte| *byte ^= 1);
            envelope
        }),
        sends("an envelope one byte too large", End::Refused("too-large"), |_| vec![0; format::seal::MAX_ENVELOPE + 1]),
        sends("an envelope sealed to somebody else", End::Refused("wrong-recipient"), |scene| {
            let honest = std::sync::Arc::clone(scene.federation.node(&scene.honest).identity());
            honest.keys.public().sealing().seal(honest.org(), b"anything").unwrap()
        }),
        sends("an envelope addressed to the node and sealed to another key", End::Refused("not-opened"), |scene| {
            let keys = scene.federation.node(&scene.honest).identity().keys.public().clone();
            keys.sealing().seal(&scene.victim, b"anything").unwrap()
        }),
        sends("noise inside a sound envelope", End::Refused("bad-encoding"), |scene| scene.mal.seal(&[0x13; 100_000])),
        sends("a parcel that claims more items than there are bytes", End::Refused("bad-encoding"), |scene| {
            let item = sound(scene);
            let header = scene.mal.header(&[item]);
            let signed = scene.mal.sign(&header).to_bytes();
            let length = u32::try_from(signed.len()).unwrap().to_be_bytes();
            scene.mal.seal(&[&[0x82, 0x5a], length.as_slice(), &signed, &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]].concat())
        }),
    ]
}

/// The next header with one item, changed.
fn header(scene: &mut Scene, change: impl FnOnce(&mut ParcelHeader)) -> Vec<u8> {
    let items = [sound(scene)];
    let mut header = scene.mal.header(&items);
    change(&mut header);
    scene.mal.parcel_with(&header, &items)
}

/// The next header as JSON text, changed, and properly signed.
fn spelt(scene: &mut Scene, from: &str, to: &str) -> Vec<u8> {
    let items = [sound(scene)];
    let text = serde_json::to_string(&scene.mal.header(&items)).unwrap();
    assert!(text.contains(from), "{text}");
    let signed = Signed::sign::<ParcelHeader>(text.replacen(from, to, 1).into_bytes(), &scene.mal.identity.keys).unwrap();
    scene.mal.envelope(&signed, &items)
}

fn headers() -> Vec<Behaviour> {
    vec![
        sends("a parcel signed by an organisation that nobody knows", End::Refused("unknown-organisation"), |scene| {
            let items = [sound(scene)];
            let header = ParcelHeader { from: scene.stranger.identity.org().clone(), ..scene.mal.header(&items) };
            let signed = Signed::sign::<ParcelHeader>(serde_json::to_vec(&header).unwrap(), &scene.stranger.identity.keys).unwrap();
            scene.mal.envelope(&signed, &items)
        }),
        sends("a parcel that an honest peer signed, in other hands", End::Refused("wrong-sender"), |scene| {
            let items = [sound(scene)];
            let header = ParcelHeader { from: scene.honest.clone(), ..scene.mal.header(&items) };
            let honest = std::sync::Arc::clone(scene.federation.node(&scene.honest).identity());
            scene.mal.envelope(&Signed::sign::<ParcelHeader>(serde_json::to_vec(&header).unwrap(), &honest.keys).unwrap(), &items)
        }),
        sends("a parcel in an honest peer's name", End::Refused("bad-signature"), |scene| {
            let items = [sound(scene)];
            let header = ParcelHeader { from: scene.honest.clone(), ..scene.mal.header(&items) };
            let own = scene.mal.sign(&header);
            scene.mal.envelope(&Signed::from_parts(scene.honest.clone(), own.payload().to_vec(), own.signatures().clone()), &items)
        }),
        sends("a parcel addressed to another", End::Refused("wrong-recipient"), |scene| {
            let honest = scene.honest.clone();
            header(scene, |header| header.to = honest)
        }),
        sends("a parcel whose header is signed as a receipt", End::Refused("bad-signature"), |scene| {
            let items = [sound(scene)];
            let payload = serde_json::to_vec(&scene.mal.header(&items)).unwrap();
            scene.mal.envelope(&Signed::sign::<format::receipt::Receipt>(payload, &scene.mal.identity.keys).unwrap(), &items)
        }),
        sends("a parcel with one of the two signatures", End::Refused("bad-signature"), |scene| {
            let items = [sound(scene)];
            let signed = scene.mal.sign(&scene.mal.header(&items));
            let half = Signatures { ml_dsa_65: std::sync::Arc::new([0; 3309]), ..signed.signatures().clone() };
            scene.mal.envelope(&Signed::from_parts(signed.signer().clone(), signed.payload().to_vec(), half), &items)
        }),
        sends("an item that the header does not name", End::Refused("bad-encoding"), |scene| {
            let items = [sound(scene)];
            let signed = scene.mal.sign(&scene.mal.header(&items));
            let other = sound(scene);
            scene.mal.envelope(&signed, &[other])
        }),
        sends("an item more than the header names", End::Refused("bad-encoding"), |scene| {
            let items = [sound(scene)];
            let signed = scene.mal.sign(&scene.mal.header(&items));
            let [item] = items;
            scene.mal.envelope(&signed, &[item.clone(), item])
        }),
        sends("257 items", End::Refused("malformed"), |scene| {
            let items = vec![sound(scene); 257];
            scene.mal.parcel(&items)
        }),
        sends("a parcel with number 0", End::Refused("malformed"), |scene| header(scene, |header| header.sequence = 0)),
        sends("a header with a member twice", End::Refused("bad-json"), |scene| spelt(scene, "{", r#"{"from":"xx-mal","#)),
        sends("a header with a member that nobody knows", End::Refused("bad-json"), |scene| spelt(scene, "{", r#"{"critical":true,"#)),
        sends("a header with a number beyond 2^53", End::Refused("bad-json"), |scene| spelt(scene, r#""seen":"#, r#""seen":184467440737095516160"#)),
        sends("a header with NaN", End::Refused("bad-json"), |scene| spelt(scene, r#""seen":"#, r#""seen":NaN,"x":"#)),
        sends("a header that nests without end", End::Refused("bad-json"), |scene| {
            let deep = format!(r#"{{"x":{}1{},"#, "[".repeat(10_000), "]".repeat(10_000));
            spelt(scene, "{", &deep)
        }),
        sends("a header that turns text around", End::Refused("bad-json"), |scene| spelt(scene, r#""from""#, "\"fr\u{202e}om\"")),
        sends("a header in another spelling than its kind is written in", End::Refused("malformed"), |scene| {
            spelt(scene, r#""kind":"record""#, r#""kind":{"record":null}"#)
        }),
    ]
}

fn sequences() -> Vec<Behaviour> {
    vec![
        sends("a gap in the sequence", End::Awaited(3), |scene| header(scene, |header| header.sequence += 5)),
        sends("a gap to the end of all numbers", End::Awaited(3), |scene| header(scene, |header| header.sequence = u64::MAX >> 12)),
        sends("another parcel with a number that was used", End::Stopped(Suspicion::Fork), |scene| {
            let previous = scene.mal.previous;
            header(scene, |header| {
                header.sequence -= 1;
                header.previous = if header.sequence == 1 { Digest::from([0; 32]) } else { previous };
            })
        }),
        sends("a parcel that follows another than the one before", End::Stopped(Suspicion::Fork), |scene| {
            header(scene, |header| header.previous = Digest::of(b"another history"))
        }),
        sends("a ledger with another root at the same size", End::Stopped(Suspicion::SplitLedger), |scene| {
            let checkpoint = scene.mal.checkpoint((scene.mal.in_parcels.0, [3; 32]));
            header(scene, |header| header.checkpoint = checkpoint)
        }),
        sends("a ledger that has shrunk", End::Stopped(Suspicion::SplitLedger), |scene| {
            let checkpoint = scene.mal.checkpoint((scene.mal.in_parcels.0 - 1, scene.mal.in_parcels.1));
            header(scene, |header| header.checkpoint = checkpoint)
        }),
        sends("a ledger that has grown, with a proof for another", End::Stopped(Suspicion::SplitLedger), |scene| {
            let checkpoint = scene.mal.checkpoint((scene.mal.in_parcels.0 + 3, [4; 32]));
            header(scene, |header| {
                header.checkpoint = checkpoint;
                header.consistency = vec![Digest::of(b"a hash"); 3];
            })
        }),
        sends("a ledger that forgets what it has shown", End::Stopped(Suspicion::SplitLedger), |scene| header(scene, |header| header.seen = 0)),
        sends("a checkpoint that another signed", End::Stopped(Suspicion::SplitLedger), |scene| {
            let honest = std::sync::Arc::clone(scene.federation.node(&scene.honest).identity());
            let name = honest.ledger_name();
            let note = format::checkpoint::Checkpoint::new(name.clone(), scene.mal.in_parcels.0, scene.mal.in_parcels.1)
                .unwrap()
                .sign(&name, honest.keys.ed25519())
                .unwrap();
            header(scene, |header| header.checkpoint = note)
        }),
    ]
}

fn records() -> Vec<Behaviour> {
    vec![
        record!("a record for an audience without the recipient", "not-in-audience", |header| header.audience = vec![id("no-pst")]),
        record!("an audience in which somebody is named twice", "malformed", |header| header.audience = vec![id("se-sapo"), id("se-sapo")]),
        record!("an agreement that nobody has made", "agreement-unknown", |header| header.agreement.id = id("never")),
        record!("an agreement of which the sender is no party", "not-a-party", |header| header.agreement.id = id("two")),
        record!("a version of the agreement that there is not", "agreement-unknown", |header| header.agreement.version = 9),
        record!("more than the agreement's ceiling", "above-ceiling", |header| header.marking.classification = id("se:kh")),
        record!("a marking that nobody knows", "marking-unknown", |header| header.marking.classification = id("xx:zz")),
        record!("a purpose that was not agreed", "purpose-not-agreed", |header| header.purpose = id("advertising")),
        record!("a legal basis that was not agreed", "legal-basis-not-agreed", |header| header.legal_basis = id("none at all")),
        record!("a record to be kept for ever", "retained-too-long", |header| header.retain_until = header.created.plus_days(36_500)),
        record!("a record whose time is over", "expired", |header| {
            header.created = header.created.plus_ms(-60 * 24 * 3_600_000);
            header.retain_until = header.created.plus_days(30);
        }),
        record!("a record from the future", "created-ahead", |header| {
            header.created = header.created.plus_days(3650);
            header.retain_until = header.created.plus_days(30);
        }),
        record!("a number in another's series", "number-not-theirs", |header| header.number = id("SAPO-2026-000001")),
        record!("65 links", "malformed", |header| {
            header.links = (0..65_u32).map(|n| Link { relation: Relation::BasedOn, to: RecordId(Digest::of(&n.to_be_bytes())) }).collect();
        }),
        record!("a recall of nothing", "malformed", |header| header.kind = Kind::Recall),
        record!("an attachment of 2^60 bytes", "bad-json", |header| header.attachments = vec![AttachmentRef { size: 1 << 60, root: Digest::of(b"huge") }]),
        sends("content that the header does not commit to", End::Item("bad-encoding"), |scene| {
            let (header, content) = scene.mal.draft(scene.now, |_| {});
            let item = Peer::item(scene.mal.sign(&header), Salted { salt: [9; 32], ..content });
            scene.mal.parcel(&[item])
        }),
        sends("content with STIX that is none", End::Item("bad-encoding"), |scene| {
            let words = r#"{"title":"a","text":"b","stix":{"type":"bundle","id":"bundle--x","objects":[{"type":"identity"}]}}"#;
            let content = Salted { salt: [1; 32], bytes: words.as_bytes().to_vec() };
            assert!(serde_json::from_str::<TextContent>(words).is_ok());
            let reference = content.reference();
            let (header, _) = scene.mal.draft(scene.now, |header| header.content = reference);
            let item = Peer::item(scene.mal.sign(&header), content);
            scene.mal.parcel(&[item])
        }),
        sends("two records with one number and version", End::Item("equivocation"), |scene| {
            let used = scene.held().into_iter().map(|(number, ..)| number).find(|number| number.as_str().starts_with("MAL-")).unwrap();
            let item = scene.mal.record(scene.now, |header| header.number = used);
            scene.mal.parcel(&[item])
        }),
        sends("an item of another kind than the header says", End::Item("bad-encoding"), |scene| {
            let items = [sound(scene)];
            let mut header = scene.mal.header(&items);
            header.items = vec![ItemRef { kind: ItemKind::Notice, digest: Digest::of(items.first().unwrap()) }];
            scene.mal.parcel_with(&header, &items)
        }),
        sends("an item of no kind", End::Item("bad-encoding"), |scene| scene.mal.parcel(&[vec![0x82, 9, 0x41, 0]])),
        sends("a record under the signatures of another batch", End::Item("bad-signature"), |scene| {
            let payloads = |scene: &mut Scene| -> Vec<Vec<u8>> { (0..2).map(|_| serde_json::to_vec(&scene.mal.draft(scene.now, |_| {}).0).unwrap()).collect() };
            let batch = Signed::sign_all::<Header>(payloads(scene), &scene.mal.identity.keys).unwrap();
            let (header, content) = scene.mal.draft(scene.now, |_| {});
            let borrowed = batch.first().unwrap().signatures().clone();
            let signed = Signed::from_parts(scene.mal.org().clone(), serde_json::to_vec(&header).unwrap(), borrowed);
            scene.mal.parcel(&[Peer::item(signed, content)])
        }),
    ]
}

/// A record of the node itself, or of the honest peer, that the hostile one has heard of.
fn another_record(scene: &mut Scene, of: &OrgId) -> RecordId {
    scene.honest_peer_is_heard();
    let query = RecordQuery { limit: MAX_PAGE, originator: Some(of.clone()), ..RecordQuery::default() };
    scene.federation.node(&scene.victim).store().records(&query).unwrap().first().unwrap().1.id
}

fn others_records() -> Vec<Behaviour> {
    vec![
        sends("a correction of another's record", End::Item("number-not-theirs"), |scene| {
            let honest = scene.honest.clone();
            let record = another_record(scene, &honest);
            let number = scene.federation.node(&scene.victim).store().record(&record).unwrap().unwrap().number;
            let item = scene.mal.record(scene.now, |header| {
                header.kind = Kind::Correction;
                header.number = number;
                header.version = 2;
                header.supersedes = Some(record);
            });
            scene.mal.parcel(&[item])
        }),
        sends("an honest peer's words in the hostile one's name", End::Item("bad-signature"), |scene| {
            let (header, content) = scene.mal.draft(scene.now, |header| {
                header.originator = id("no-pst");
                header.number = id("PST-2026-000777");
            });
            let own = scene.mal.sign(&header);
            let item = Peer::item(Signed::from_parts(scene.honest.clone(), own.payload().to_vec(), own.signatures().clone()), content);
            scene.mal.parcel(&[item])
        }),
        sends("an honest peer named as originator by the hostile one", End::Item("not-theirs"), |scene| {
            let item = scene.mal.record(scene.now, |header| header.originator = id("no-pst"));
            scene.mal.parcel(&[item])
        }),
        sends("a record of an honest peer, passed on without its consent", End::Item("consent-missing"), |scene| {
            let honest = std::sync::Arc::clone(scene.federation.node(&scene.honest).identity());
            let (header, content) = scene.mal.draft(scene.now, |header| {
                header.originator = id("no-pst");
                header.number = id("PST-2026-000777");
                header.audience = vec![id("xx-mal")];
            });
            let signed = Signed::sign::<Header>(serde_json::to_vec(&header).unwrap(), &honest.keys).unwrap();
            scene.mal.parcel(&[Peer::item(signed, content)])
        }),
    ]
}

fn statements() -> Vec<Behaviour> {
    vec![
        sends("a notice about a record that is not held", End::Item("not-concerned"), |scene| {
            let notice = Notice {
                holder: scene.mal.org().clone(),
                originator: scene.victim.clone(),
                record: RecordId(Digest::of(b"none")),
                state: State::Removed,
                at: scene.now,
            };
            let item = Item::Notice(Box::new(scene.mal.stated(&notice))).to_bytes();
            scene.mal.parcel(&[item])
        }),
        sends("a notice in another's name", End::Item("not-theirs"), |scene| {
            let notice = Notice {
                holder: scene.honest.clone(),
                originator: scene.victim.clone(),
                record: RecordId(Digest::of(b"none")),
                state: State::Removed,
                at: scene.now,
            };
            let item = Item::Notice(Box::new(scene.mal.sign(&notice))).to_bytes();
            scene.mal.parcel(&[item])
        }),
        sends("a notice about a record that it was never given", End::Item("not-concerned"), |scene| {
            let honest = scene.honest.clone();
            let record = another_record(scene, &honest);
            let notice = Notice { holder: scene.mal.org().clone(), originator: scene.victim.clone(), record, state: State::Removed, at: scene.now };
            let item = Item::Notice(Box::new(scene.mal.stated(&notice))).to_bytes();
            scene.mal.parcel(&[item])
        }),
        sends("a piece of a record that is not held", End::Item("record-not-held"), |scene| {
            let item = Item::Piece { record: RecordId(Digest::of(b"none")), attachment: 0, index: 0, proof: Vec::new(), bytes: vec![1; 1000] }.to_bytes();
            scene.mal.parcel(&[item])
        }),
        sends("a piece of an attachment that there is not", End::Item("no-such-attachment"), |scene| {
            let (_, record, _) = scene.held().into_iter().find(|(number, ..)| number.as_str().starts_with("MAL-")).unwrap();
            let item = Item::Piece { record, attachment: 7, index: 0, proof: Vec::new(), bytes: vec![1; 1000] }.to_bytes();
            scene.mal.parcel(&[item])
        }),
        sends("an agreement of which the node is no party", End::Item("not-a-party"), |scene| {
            let made: Agreement = agreement("apart", &[&id("xx-mal"), &id("no-pst")], Onward::Free);
            let item = Item::Agreement(Box::new(scene.mal.stated(&made))).to_bytes();
            scene.mal.parcel(&[item])
        }),
        sends("other words for a version of an agreement that is signed", End::Item("agreement-differs"), |scene| {
            let mut made: Agreement = agreement("all", &[&id("se-sapo"), &id("no-pst"), &id("xx-mal")], Onward::Free);
            made.terms.ceiling = id("se:kh");
            let item = Item::Agreement(Box::new(scene.mal.stated(&made))).to_bytes();
            scene.mal.parcel(&[item])
        }),
        sends("a withdrawal in another's name", End::Item("not-theirs"), |scene| {
            let withdrawal = Withdrawal { agreement: id("two"), org: scene.honest.clone(), at: scene.now };
            let item = Item::Withdrawal(Box::new(scene.mal.sign(&withdrawal))).to_bytes();
            scene.mal.parcel(&[item])
        }),
        sends("a withdrawal from what nobody has agreed", End::Item("agreement-unknown"), |scene| {
            let withdrawal = Withdrawal { agreement: id("never"), org: scene.mal.org().clone(), at: scene.now };
            let item = Item::Withdrawal(Box::new(scene.mal.stated(&withdrawal))).to_bytes();
            scene.mal.parcel(&[item])
        }),
    ]
}

/// A revocation in the hostile peer's hand, changed.
fn revocation(scene: &mut Scene, change: impl FnOnce(&mut Revocation)) -> Vec<u8> {
    let (mal, fingerprint) = (scene.mal.org().clone(), scene.mal.identity.keys.public().fingerprint());
    let mut revocation = Revocation { by: mal.clone(), org: mal, fingerprint, reason: "because".to_owned(), at: scene.now };
    change(&mut revocation);
    let item = Item::Revocation(Box::new(scene.mal.sign(&revocation))).to_bytes();
    scene.mal.parcel(&[item])
}

fn revocations() -> Vec<Behaviour> {
    vec![
        sends("a revocation of an honest peer's card", End::Item("card-not-theirs"), |scene| {
            let honest = std::sync::Arc::clone(scene.federation.node(&scene.honest).identity());
            revocation(scene, |revocation| {
                revocation.org = honest.org().clone();
                revocation.fingerprint = honest.keys.public().fingerprint();
            })
        }),
        sends("a revocation of the node's own card", End::Item("card-not-theirs"), |scene| {
            let victim = scene.victim.clone();
            revocation(scene, |revocation| revocation.org = victim)
        }),
        sends("a revocation in an honest peer's name", End::Item("not-theirs"), |scene| {
            let honest = scene.honest.clone();
            revocation(scene, |revocation| (revocation.by, revocation.org) = (honest.clone(), honest))
        }),
        sends("a revocation of keys that are not on the card", End::Item("card-differs"), |scene| {
            revocation(scene, |revocation| revocation.fingerprint = Digest::of(b"other keys"))
        }),
        sends("a revocation without a word why", End::Item("malformed"), |scene| revocation(scene, |revocation| revocation.reason.clear())),
        sends("an older card once more", End::Item("card-outdated"), |scene| {
            let held = std::sync::Arc::clone(scene.federation.node(&scene.victim).state().directory.card(scene.mal.org()).unwrap());
            let older = Card { addresses: vec!["elsewhere.example:7443".to_owned()], ..held.card.clone() };
            let item = Item::Card(Box::new(scene.mal.stated(&older))).to_bytes();
            scene.mal.parcel(&[item])
        }),
        sends("a card with the same keys and another TLS key", End::Item("card-differs"), |scene| {
            let held = std::sync::Arc::clone(scene.federation.node(&scene.victim).state().directory.card(scene.mal.org()).unwrap());
            let other = Card { serial: 9, tls_key: Digest::of(b"another"), ..held.card.clone() };
            let item = Item::Card(Box::new(scene.mal.stated(&other))).to_bytes();
            scene.mal.parcel(&[item])
        }),
        sends("a card with keys that nothing vouches for", End::Item("card-differs"), |scene| {
            let held = std::sync::Arc::clone(scene.federation.node(&scene.victim).state().directory.card(scene.mal.org()).unwrap());
            let keys = scene.federation.node(&scene.honest).identity().keys.public().texts().clone();
            let other = Card { serial: 9, keys, ..held.card.clone() };
            let item = Item::Card(Box::new(scene.mal.stated(&other))).to_bytes();
            scene.mal.parcel(&[item])
        }),
        sends("a card with new keys that vouch for themselves", End::Item("bad-signature"), |scene| {
            let held = std::sync::Arc::clone(scene.federation.node(&scene.victim).state().directory.card(scene.mal.org()).unwrap());
            let seeds = |byte| format::keys::Seeds::generate(|bytes| *bytes = [byte; 32]);
            let [new, other] = [1, 2].map(|byte| format::keys::SigningKeys::new(scene.mal.org().clone(), &seeds(byte)).unwrap());
            let card = Card { serial: 9, ..held.card.clone() }.with_keys(new.public(), &other).unwrap();
            let item = Item::Card(Box::new(format::verify::state(&card, &new).unwrap().signed().clone())).to_bytes();
            scene.mal.parcel(&[item])
        }),
        sends("a revoked key that goes on sending", End::Refused("card-revoked"), |scene| {
            let envelope = revocation(scene, |_| {});
            assert_eq!(scene.hand(&envelope), (End::Nothing, Some(Vec::new())), "its own revocation is taken in");
            scene.mal.was_taken_in();
            let items = [sound(scene)];
            scene.mal.parcel(&items)
        }),
        sends("a distrusted key that goes on sending", End::Refused("card-revoked"), |scene| {
            let (victim, org, now) = (scene.victim.clone(), scene.mal.org().clone(), scene.now);
            let distrust = node::Command::RevokeCard { org, reason: "its key is in other hands".to_owned() };
            samverkan_testkit::federation::act(scene.federation.node(&victim), "ada", None, distrust, now).unwrap();
            let items = [sound(scene)];
            scene.mal.parcel(&items)
        }),
    ]
}
