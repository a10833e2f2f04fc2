//! Vectors of parcels: their signed headers, whole parcels as they are when opened, and items.

use samverkan_format::Digest;

use super::cast::Cast;
use super::json::edit;
use super::parts::{Subject, accepted, core, edited};
use super::pen::Pen;
use super::{Shelf, cbor, texts};

const CONTEXT: &str = "samverkan/parcel/v1";
const RECORD: &str = "samverkan/record/v1";
const MAX_ITEM: usize = 3 * 1024 * 1024;
const MAX_CONTENT: usize = 1024 * 1024;

/// The record's header as se-sapo signed it.
fn signed_record(cast: &Cast, pen: &Pen) -> Vec<u8> {
    pen.sign(&cast.sapo, RECORD, texts::record().as_bytes()).encoded()
}

/// The six parts of an item that is a record.
fn record_parts(cast: &Cast, pen: &Pen) -> [Vec<u8>; 6] {
    [cbor::uint(0), cbor::bytes(&signed_record(cast, pen)), cbor::bytes(&texts::SALT), cbor::bytes(texts::CONTENT.as_bytes()), cbor::null(), cbor::null()]
}

/// The items of the first parcel: kind and bytes.
pub(crate) fn items(cast: &Cast, pen: &Pen) -> Vec<(&'static str, Vec<u8>)> {
    vec![("record", cbor::array(&record_parts(cast, pen)))]
}

/// The header of the first parcel.
pub(crate) fn header(cast: &Cast, pen: &Pen) -> String {
    texts::parcel(cast, &items(cast, pen))
}

/// The first parcel, opened.
pub(crate) fn first(cast: &Cast, pen: &Pen) -> Vec<u8> {
    let signed = pen.sign(&cast.sapo, CONTEXT, header(cast, pen).as_bytes()).encoded();
    let items: Vec<Vec<u8>> = items(cast, pen).iter().map(|(_, bytes)| cbor::bytes(bytes)).collect();
    cbor::array(&[cbor::bytes(&signed), cbor::array(&items)])
}

pub(crate) fn parcels(cast: &Cast, pen: &Pen) -> Shelf {
    let mut shelf = Shelf::new("parcel", "cbor");
    shelf.reader = Some("header");
    let text = header(cast, pen);
    let subject = Subject { pen, org: &cast.sapo, other: &cast.pst, stranger: &cast.pet, context: CONTEXT, payload: &text, budget: 256 * 1024 };
    core(&mut shelf, &subject);
    headers(&mut shelf, &subject);
    shelf.reader = Some("parcel");
    whole(&mut shelf, cast, pen);
    shelf.reader = Some("item");
    records(&mut shelf, cast, pen);
    others(&mut shelf, cast, pen);
    shelf
}

fn headers(shelf: &mut Shelf, subject: &Subject<'_>) {
    let zeros = "0".repeat(64);
    let hash = Digest::of(b"the header before").to_string();
    let notice = format!(r#"{{"kind":"notice","digest":"{hash}"}}"#);
    let (before, named) = subject.payload.split_once(r#""items":["#).expect("a header has items");
    let items = |count: usize| format!(r#"{before}"items":[{}]}}"#, vec![notice.clone(); count].join(","));
    let named = named.strip_suffix("]}").expect("a header ends with its items");
    let digest = named.split('"').nth(7).expect("an item has a digest");
    accepted(shelf, "items-256", subject, &items(256), "As many items as a parcel may have.");
    let second = edit(&edit(subject.payload, r#""sequence":1"#, r#""sequence":2"#), &zeros, &hash);
    accepted(shelf, "second", subject, &second, "The second parcel names the first.");
    for (name, count, why) in [("items-none", 0, "A parcel has at least one item."), ("items-257", 257, "A parcel has at most 256 items.")] {
        shelf.put(name, "malformed", &subject.sign(items(count).as_bytes()).encoded(), why);
    }
    let proof = vec![format!("\"{hash}\""); 65].join(",");
    let long = format!(r#""checkpoint":"{}","seen""#, "a".repeat(8193));
    let (_, rest) = subject.payload.split_once(r#""checkpoint":"#).expect("a header has a checkpoint");
    let (note, _) = rest.split_once(r#","seen""#).expect("a header has a checkpoint");
    edited(
        shelf,
        subject,
        "malformed",
        &[
            ("to-oneself", r#""to":"no-pst""#, r#""to":"se-sapo""#, "Nobody sends to itself."),
            ("sequence-0", r#""sequence":1"#, r#""sequence":0"#, "Parcels are counted from 1."),
            ("first-with-previous", &zeros, &hash, "There is nothing before the first parcel."),
            ("second-without-previous", r#""sequence":1"#, r#""sequence":2"#, "Only the first parcel has nothing before it."),
            ("consistency-65", r#""consistency":[]"#, &format!(r#""consistency":[{proof}]"#), "A proof has at most 64 hashes."),
            ("checkpoint-over-8-kib", &format!(r#""checkpoint":{note},"seen""#), &long, "A checkpoint is at most 8 KiB."),
            ("array-for-object", named, &format!(r#"["record","{digest}"]"#), "An item stands in an array."),
        ],
    );
    edited(
        shelf,
        subject,
        "bad-json",
        &[
            ("item-kind-unknown", r#""kind":"record""#, r#""kind":"letter""#, "There is no such kind of item."),
            ("sequence-beyond-53-bits", r#""sequence":1"#, r#""sequence":9007199254740992"#, "A number that not every reader holds exactly."),
            ("previous-short", &zeros, "00", "A digest has 64 digits."),
        ],
    );
}

fn whole(shelf: &mut Shelf, cast: &Cast, pen: &Pen) {
    let items = items(cast, pen);
    let item = cbor::bytes(&items.iter().flat_map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>());
    let message = pen.sign(&cast.sapo, CONTEXT, header(cast, pen).as_bytes());
    let signed = cbor::bytes(&message.encoded());
    let parcel = |items: &[Vec<u8>]| cbor::array(&[signed.clone(), cbor::array(items)]);
    shelf.put("first", "accept", &first(cast, pen), "The first parcel from se-sapo to no-pst, with one record.").present = Some(vec![true]);
    let padded = shelf.put_filled("padded", "accept", (&first(cast, pen), 0, 16_384 - first(cast, pen).len(), &[]), "The same, padded to 16 KiB.");
    padded.present = Some(vec![true]);
    shelf.put("withheld", "accept", &parcel(&[cbor::null()]), "The same parcel, its one item held back.").present = Some(vec![false]);
    // Two items, of which the first is held back and the other swapped in.
    let notice = notice_item(cast, pen);
    let two = texts::parcel(cast, &[("record", cbor::array(&record_parts(cast, pen))), ("notice", notice.clone())]);
    let signed_two = cbor::bytes(&pen.sign(&cast.sapo, CONTEXT, two.as_bytes()).encoded());
    let of_two = |items: &[Vec<u8>]| cbor::array(&[signed_two.clone(), cbor::array(items)]);
    let notice = cbor::bytes(&notice);
    shelf.put("two-items", "accept", &of_two(&[item.clone(), notice.clone()]), "A record and a notice.").present = Some(vec![true, true]);
    shelf.put("two-items-one-withheld", "accept", &of_two(&[cbor::null(), notice.clone()]), "The record is held back, the notice is there.").present =
        Some(vec![false, true]);
    let mut changed = item.clone();
    changed.iter_mut().next_back().into_iter().for_each(|byte| *byte ^= 1);
    let mut bad = |name: &str, bytes: &[u8], why: &str| {
        shelf.put(name, "bad-encoding", bytes, why);
    };
    bad("item-changed", &parcel(&[changed]), "One bit of the item is changed.");
    bad("item-missing", &parcel(&[]), "The header names an item, and the parcel has none.");
    bad("item-more", &parcel(&[item.clone(), item.clone()]), "The parcel has an item that the header does not name.");
    bad("items-swapped", &of_two(&[notice.clone(), item.clone()]), "The items stand in another order than in the header.");
    bad("item-as-text", &parcel(&[cbor::text("item")]), "An item is neither bytes nor null.");
    bad("parcel-trailing-byte", &[first(cast, pen), vec![1]].concat(), "A byte follows the parcel, and is no padding.");
    bad("parcel-padded-otherwise", &[first(cast, pen), vec![0, 0, 1, 0]].concat(), "Padding is zeros.");
    bad("parcel-of-three", &cbor::array(&[signed.clone(), cbor::array(std::slice::from_ref(&item)), cbor::null()]), "The array has three parts.");
    bad("parcel-indefinite", &cbor::array_indefinite(&[signed.clone(), cbor::array(std::slice::from_ref(&item))]), "The array is of indefinite length.");
    bad(
        "parcel-length-longer",
        &cbor::array_longer(&[signed.clone(), cbor::array(std::slice::from_ref(&item))]),
        "The array's length takes a byte more than it needs.",
    );
    bad(
        "items-length-longer",
        &cbor::array(&[signed.clone(), cbor::array_longer(std::slice::from_ref(&item))]),
        "The length of the array of items takes a byte more than it needs.",
    );
    bad(
        "header-length-longer",
        &cbor::array(&[cbor::bytes_longer(&message.encoded()), cbor::array(std::slice::from_ref(&item))]),
        "The header's length takes more bytes than it needs.",
    );
    let theirs = pen.sign(&cast.pst, CONTEXT, header(cast, pen).as_bytes()).encoded();
    shelf.put(
        "parcel-not-theirs",
        "not-theirs",
        &cbor::array(&[cbor::bytes(&theirs), cbor::array(std::slice::from_ref(&item))]),
        "The recipient signed the header.",
    );
    let mut forged = message;
    forged.slots.reverse();
    shelf.put(
        "parcel-header-swapped",
        "bad-encoding",
        &cbor::array(&[cbor::bytes(&forged.encoded()), cbor::array(&[item])]),
        "The header's signatures stand in the wrong order.",
    );
}

/// A consent by se-sapo: no-pst may pass the record on to fi-supo.
fn grant(cast: &Cast, pen: &Pen) -> Vec<u8> {
    let content = r#"{"act":"grant","holder":"no-pst","recipient":"fi-supo","reason":"Samma ärende.","expires":"2026-12-22T08:00:00.000Z"}"#;
    let reference = |content: &str| format!(r#""sha256":"{}","size":{}"#, Digest::of_parts(&[&texts::SALT, content.as_bytes()]), content.len());
    let text = edit(&texts::record(), &reference(texts::CONTENT), &reference(content));
    let text = edit(&text, r#""kind":"report""#, r#""kind":"consent""#);
    let text = edit(&text, "SAPO-2026-000123", "SAPO-2026-000124");
    let text = edit(&text, r#""audience":["no-pst"]"#, r#""audience":["fi-supo","no-pst"]"#);
    let link = format!(r#""links":[{{"relation":"concerns","to":"{}"}}],"content":"#, texts::record_id());
    let text = edit(&text, r#""content":"#, &link);
    let signed = pen.sign(&cast.sapo, RECORD, text.as_bytes()).encoded();
    cbor::array(&[cbor::bytes(&signed), cbor::bytes(&texts::SALT), cbor::bytes(content.as_bytes())])
}

fn notice_item(cast: &Cast, pen: &Pen) -> Vec<u8> {
    let notice = pen.sign(&cast.pst, "samverkan/notice/v1", texts::notice().as_bytes()).encoded();
    cbor::array(&[cbor::uint(4), cbor::bytes(&notice)])
}

fn item(shelf: &mut Shelf, name: &str, bytes: &[u8], why: &str) {
    shelf.put(name, "accept", bytes, why).digest = Some(Digest::of(bytes).to_string());
}

fn records(shelf: &mut Shelf, cast: &Cast, pen: &Pen) {
    let parts = record_parts(cast, pen);
    let with = |at: usize, part: Vec<u8>| {
        let mut parts = parts.to_vec();
        parts.splice(at..=at, [part]);
        cbor::array(&parts)
    };
    let terms = cbor::bytes(&pen.sign(&cast.sapo, "samverkan/agreement/v1", texts::AGREEMENT.as_bytes()).encoded());
    item(shelf, "item-record", &cbor::array(&parts), "A record from its originator.");
    item(shelf, "item-record-with-grant", &with(4, grant(cast, pen)), "A record passed on, with the originator's consent.");
    item(shelf, "item-record-with-terms", &with(5, terms.clone()), "A record passed on, with the originator's signature on the terms.");
    let notice = pen.sign(&cast.pst, "samverkan/notice/v1", texts::notice().as_bytes()).encoded();
    let stated = [parts.to_vec(), vec![cbor::bytes(&notice)]].concat();
    item(shelf, "item-record-in-emergency", &cbor::array(&stated), "A record passed on without consent, with the notice to its originator.");
    item(shelf, "item-record-empty-content", &with(3, cbor::bytes(&[])), "Content of no bytes: whether the header commits to it is asked later.");
    let mut bad = |name: &str, bytes: &[u8], why: &str| {
        shelf.put(name, "bad-encoding", bytes, why);
    };
    bad("item-record-of-five", &cbor::array(&parts.iter().take(5).cloned().collect::<Vec<_>>()), "A record has six parts, or seven.");
    bad("item-record-of-seven", &cbor::array(&[parts.to_vec(), vec![cbor::null()]].concat()), "A record has six parts, or seven.");
    bad("item-record-indefinite", &cbor::array_indefinite(&parts), "The array is of indefinite length.");
    bad("item-record-length-longer", &cbor::array_longer(&parts), "The array's length takes a byte more than it needs.");
    bad("item-kind-longer", &with(0, vec![0x18, 0]), "The kind's number takes a byte more than it needs.");
    bad("item-salt-31", &with(2, cbor::bytes(&[0x5a; 31])), "A salt is 32 bytes.");
    bad("item-salt-33", &with(2, cbor::bytes(&[0x5a; 33])), "A salt is 32 bytes.");
    bad("item-content-as-text", &with(3, cbor::text(texts::CONTENT)), "Content is a byte string.");
    bad("item-grant-of-two", &with(4, cbor::array(&[terms.clone(), terms])), "A grant has three parts.");
    bad("item-terms-undefined", &with(5, vec![0xf7]), "What is not there is null, not undefined.");
    bad("item-trailing-byte", &[cbor::array(&parts), vec![0]].concat(), "A byte follows the item.");
    let [kind, signed, salt, _, grant, terms] = parts;
    let filled = |size: usize| {
        let length = u32::try_from(size).expect("a vector is small").to_be_bytes().to_vec();
        ([cbor::head(4, 6), kind.clone(), signed.clone(), salt.clone(), vec![0x5a], length].concat(), [grant.clone(), terms.clone()].concat())
    };
    for (name, result, size, why) in [
        ("item-content-at-the-limit", "accept", MAX_CONTENT, "Content has as many bytes as it may have."),
        ("item-content-too-large", "too-large", MAX_CONTENT + 1, "Content has one byte more than it may have."),
    ] {
        let (head, tail) = filled(size);
        let whole = [head.clone(), vec![0x20; size], tail.clone()].concat();
        let case = shelf.put_filled(name, result, (&head, 0x20, size, &tail), why);
        case.digest = (result == "accept").then(|| Digest::of(&whole).to_string());
    }
    shelf.put_filled("item-too-large", "too-large", (&[], 0, MAX_ITEM + 1, &[]), "One byte more than an item may have; nothing of it is read.");
}

fn others(shelf: &mut Shelf, cast: &Cast, pen: &Pen) {
    let sign = |context, text: &str, org| cbor::bytes(&pen.sign(org, context, text.as_bytes()).encoded());
    let agreement = sign("samverkan/agreement/v1", texts::AGREEMENT, &cast.sapo);
    let withdrawal = sign("samverkan/withdrawal/v1", texts::WITHDRAWAL, &cast.pst);
    item(shelf, "item-agreement", &cbor::array(&[cbor::uint(2), agreement.clone()]), "A party's signature on an agreement.");
    item(shelf, "item-withdrawal", &cbor::array(&[cbor::uint(3), withdrawal.clone()]), "A party's withdrawal.");
    item(shelf, "item-notice", &notice_item(cast, pen), "A holder's notice.");
    let card = sign("samverkan/card/v1", &texts::card(&cast.sapo), &cast.sapo);
    item(shelf, "item-card", &cbor::array(&[cbor::uint(6), card]), "The sender's own next card.");
    let revocation = sign("samverkan/revocation/v1", &texts::revocation(cast), &cast.pst);
    item(shelf, "item-revocation", &cbor::array(&[cbor::uint(7), revocation]), "The sender's revocation of its own card.");
    item(
        shelf,
        "item-withdrawal-as-notice",
        &cbor::array(&[cbor::uint(4), withdrawal.clone()]),
        "A withdrawal where a notice is said to be: it parses, and does not verify as one.",
    );
    let piece = |attachment: u64, index: u64, proof: &[u8], bytes: &[u8]| {
        let record = cbor::bytes(texts::record_id().as_bytes());
        cbor::array(&[cbor::uint(1), record, cbor::uint(attachment), cbor::uint(index), cbor::bytes(proof), cbor::bytes(bytes)])
    };
    item(shelf, "item-piece", &piece(0, 2, &[7; 64], b"the rest"), "A piece with a proof of two hashes.");
    item(shelf, "item-piece-proof-64", &piece(31, 4095, &[7; 64 * 32], b"the rest"), "A proof of as many hashes as it may have.");
    let record = sign("samverkan/record/v1", &texts::record(), &cast.sapo);
    let content = cbor::array(&[cbor::bytes(&texts::SALT), cbor::bytes(texts::CONTENT.as_bytes())]);
    item(shelf, "item-returned", &cbor::array(&[cbor::uint(5), record.clone(), content]), "A record that goes back to whose it is, with its content.");
    item(shelf, "item-returned-without-content", &cbor::array(&[cbor::uint(5), record, cbor::null()]), "The holder has destroyed the content.");
    let mut bad = |name: &str, bytes: &[u8], why: &str| {
        shelf.put(name, "bad-encoding", bytes, why);
    };
    bad("item-piece-proof-uneven", &piece(0, 0, &[7; 33], b"the rest"), "A proof is whole hashes.");
    bad("item-piece-proof-65", &piece(0, 0, &[7; 65 * 32], b"the rest"), "A proof has at most 64 hashes.");
    let record = cbor::bytes(&[1; 31]);
    bad(
        "item-piece-record-31",
        &cbor::array(&[cbor::uint(1), record, cbor::uint(0), cbor::uint(0), cbor::bytes(&[]), cbor::bytes(b"rest")]),
        "A record's id is 32 bytes.",
    );
    bad("item-kind-8", &cbor::array(&[cbor::uint(8), agreement.clone()]), "There is no such kind of item.");
    bad("item-returned-of-two", &cbor::array(&[cbor::uint(5), agreement.clone()]), "A record that is given back has three parts.");
    bad("item-agreement-of-three", &cbor::array(&[cbor::uint(2), agreement, cbor::null()]), "An agreement has two parts.");
    bad("item-empty", &[], "No bytes.");
    bad("item-not-a-message", &cbor::array(&[cbor::uint(2), cbor::bytes(b"agreement")]), "What is inside is no message.");
}
