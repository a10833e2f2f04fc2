//! What can be wrong with any signed message, whatever it says.
//!
//! [`core`] is written for each kind of statement; [`encodings`], every way of writing the same message otherwise, for
//! one of them. A statement that is signed with the keys that it brings along itself, a card, differs in that nobody
//! else's keys are ever looked at.

use samverkan_format::Digest;

use super::batch::{batches, no_batches};
use super::case::Case;
use super::cast::Org;
use super::json::{edit, escaped, members, object, other_spelling, values};
use super::pen::{ED25519, ML_DSA_65, Message, Pen, Slot, header, headers};
use super::{Shelf, cbor};

/// A sound statement, and who else there is.
pub(crate) struct Subject<'a> {
    pub(crate) pen: &'a Pen,
    pub(crate) org: &'a Org,
    /// An organisation whose card is held, and whose statement this cannot be.
    pub(crate) other: &'a Org,
    /// An organisation whose card is not held.
    pub(crate) stranger: &'a Org,
    pub(crate) context: &'static str,
    pub(crate) payload: &'a str,
    /// The most bytes that its JSON may have.
    pub(crate) budget: usize,
}

/// The limit on messages.
const MAX_SIGNED: usize = 512 * 1024;
const CARD: &str = "samverkan/card/v1";
const RECORD: &str = "samverkan/record/v1";

impl Subject<'_> {
    pub(crate) fn message(&self) -> Message {
        self.sign(self.payload.as_bytes())
    }

    pub(crate) fn sign(&self, payload: &[u8]) -> Message {
        self.pen.sign(self.org, self.context, payload)
    }

    fn is_card(&self) -> bool {
        self.context == CARD
    }
}

/// The faults that every kind of statement is tried with.
pub(crate) fn core(shelf: &mut Shelf, subject: &Subject<'_>) {
    let sound = subject.message();
    accepted(shelf, "plain", subject, subject.payload, "A sound statement.");
    accepted(
        shelf,
        "other-spelling",
        subject,
        &other_spelling(subject.payload),
        "The members stand in another order, with white space and an escape: no spelling of JSON is asked for.",
    );
    framing(shelf, &sound);
    signatures(shelf, subject, &sound);
    signers(shelf, subject, &sound);
    spellings(shelf, subject);
    budget(shelf, subject);
    if subject.context == RECORD { batches(shelf, subject) } else { no_batches(shelf, subject) }
}

/// Puts a sound statement on the shelf.
pub(crate) fn accepted<'a>(shelf: &'a mut Shelf, name: &str, subject: &Subject<'_>, payload: &str, why: &str) -> &'a mut Case {
    let case = shelf.put(name, "accept", &subject.sign(payload.as_bytes()).encoded(), why);
    case.signer = Some(subject.org.id.to_owned());
    case.digest = Some(Digest::of(payload.as_bytes()).to_string());
    case
}

/// Puts statements on the shelf that differ from the sound one in one place: name, what is replaced by what, and why.
pub(crate) fn edited(shelf: &mut Shelf, subject: &Subject<'_>, code: &str, edits: &[(&str, &str, &str, &str)]) {
    for (name, from, to, why) in edits {
        shelf.put(name, code, &subject.sign(edit(subject.payload, from, to).as_bytes()).encoded(), why);
    }
}

fn framing(shelf: &mut Shelf, sound: &Message) {
    let changed = |change: &dyn Fn(&mut Message)| {
        let mut message = sound.clone();
        change(&mut message);
        message.encoded()
    };
    let mut bad = |name: &str, bytes: &[u8], why: &str| {
        shelf.put(name, "bad-encoding", bytes, why);
    };
    bad("empty", &[], "No bytes.");
    bad("untagged", &changed(&|m| m.tag.clear()), "The tag 98 is missing.");
    bad("payload-detached", &changed(&|m| m.payload = cbor::null()), "The payload is left out, to come from elsewhere.");
    bad("first-missing", &changed(&|m| drop(m.slots.remove(0))), "Only the ML-DSA-65 signature is there.");
    bad("second-missing", &changed(&|m| drop(m.slots.remove(1))), "Only the Ed25519 signature is there.");
    bad("third-signature", &changed(&|m| m.slots.extend(m.slots.first().cloned())), "The Ed25519 signature is there twice.");
    bad("swapped", &changed(&|m| m.slots.reverse()), "Both signatures hold and stand in the wrong order.");
    bad("algorithms-swapped", &changed(&swap_headers), "Each signature stands under the other's header.");
    let key_id = cbor::map(&[(cbor::uint(4), cbor::bytes(b"no-pst"))]);
    bad("unprotected-header", &changed(&|m| edit_slot(m, 0, |slot| slot.unprotected.clone_from(&key_id))), "A signature has an unprotected header.");
    bad("array-indefinite", &[sound.tag.clone(), cbor::array_indefinite(&sound.parts())].concat(), "The array is of indefinite length.");
    bad("array-length-longer", &[sound.tag.clone(), cbor::array_longer(&sound.parts())].concat(), "The array's length takes a byte more than it needs.");
    bad("trailing-byte", &[sound.encoded(), vec![0]].concat(), "A byte follows the message.");
    shelf.put_filled("message-too-large", "too-large", (&[], 0, MAX_SIGNED + 1, &[]), "One byte more than a message may have; nothing of it is read.");
}

/// Every way of writing the same message in other bytes, and what a header may not hold.
pub(crate) fn encodings(shelf: &mut Shelf, subject: &Subject<'_>) {
    let sound = subject.message();
    let payload = subject.payload.as_bytes();
    let [first, second] = headers(subject.org.id);
    let changed = |change: &dyn Fn(&mut Message)| {
        let mut message = sound.clone();
        change(&mut message);
        message.encoded()
    };
    let signed = |first: &[u8], second: &[u8]| subject.pen.sign_under(subject.org, subject.context, payload, first, second).encoded();
    let mut bad = |name: &str, bytes: &[u8], why: &str| {
        shelf.put(name, "bad-encoding", bytes, why);
    };
    bad("tag-of-one-signature", &changed(&|m| m.tag = vec![0xd2]), "The tag is 18, COSE_Sign1.");
    bad("tag-longer", &changed(&|m| m.tag = vec![0xd9, 0, 98]), "The tag's number takes a byte more than it needs.");
    bad("payload-as-text", &changed(&|m| m.payload = cbor::text(subject.payload)), "The payload is a text string.");
    bad("payload-length-longer", &changed(&|m| m.payload = cbor::bytes_longer(payload)), "The payload's length takes more bytes than it needs.");
    bad("payload-indefinite", &changed(&|m| m.payload = cbor::bytes_indefinite(payload)), "The payload is of indefinite length.");
    bad(
        "message-header",
        &changed(&|m| m.protected = cbor::bytes(&cbor::map(&[(cbor::uint(3), cbor::uint(50))]))),
        "The message has a protected header of its own.",
    );
    bad(
        "message-header-empty-map",
        &changed(&|m| m.protected = cbor::bytes(&cbor::map(&[]))),
        "The message's empty header is written as an empty map, not as no bytes.",
    );
    bad("message-header-unprotected", &changed(&|m| m.unprotected = cbor::map(&[(cbor::uint(3), cbor::uint(50))])), "The message has an unprotected header.");
    bad("slot-indefinite", &first_slot_indefinite(&sound), "The first signature's array is of indefinite length.");
    bad("first-too-short", &changed(&|m| edit_slot(m, 0, |slot| slot.signature.truncate(63))), "The Ed25519 signature is 63 bytes.");
    bad("second-too-long", &changed(&|m| edit_slot(m, 1, |slot| slot.signature.push(0))), "The ML-DSA-65 signature is 3310 bytes.");
    bad("last-byte-missing", sound.encoded().split_last().map_or(&[][..], |(_, rest)| rest), "The message is cut short.");
    bad("key-ids-differ", &signed(&first, &header(ML_DSA_65, subject.other.id)), "The signatures name two organisations.");
    bad("key-id-malformed", &signed(&header(ED25519, "SE-SAPO"), &header(ML_DSA_65, "SE-SAPO")), "The key id is not an organisation's id.");
    bad("key-id-missing", &signed(&algorithm_alone(ED25519), &algorithm_alone(ML_DSA_65)), "The headers name no organisation.");
    let key_id_alone = cbor::map(&[(cbor::uint(4), cbor::bytes(subject.org.id.as_bytes()))]);
    bad("algorithm-missing", &signed(&key_id_alone, &second), "The first header names no algorithm.");
    bad("algorithm-eddsa", &signed(&header(7, subject.org.id), &second), "The first header names EdDSA (-8), not Ed25519 (-19).");
    bad("algorithm-ml-dsa-87", &signed(&first, &header(49, subject.org.id)), "The second header names ML-DSA-87 (-50), not ML-DSA-65 (-49).");
    bad("header-out-of-order", &signed(&out_of_order(subject.org), &second), "The first header has the key id before the algorithm.");
    bad("header-member-more", &signed(&one_more(subject.org), &second), "The first header has one member more.");
    bad("header-integer-longer", &signed(&longer(subject.org), &second), "The algorithm's number takes a byte more than it needs.");
}

fn first_slot_indefinite(sound: &Message) -> Vec<u8> {
    let slot = |(at, slot): (usize, &Slot)| {
        let parts = [cbor::bytes(&slot.protected), slot.unprotected.clone(), cbor::bytes(&slot.signature)];
        if at == 0 { cbor::array_indefinite(&parts) } else { cbor::array(&parts) }
    };
    let slots: Vec<Vec<u8>> = sound.slots.iter().enumerate().map(slot).collect();
    let [protected, unprotected, payload, _] = sound.parts();
    [sound.tag.clone(), cbor::array(&[protected, unprotected, payload, cbor::array(&slots)])].concat()
}

fn algorithm_alone(algorithm: u64) -> Vec<u8> {
    cbor::map(&[(cbor::uint(1), cbor::negative(algorithm))])
}

fn out_of_order(org: &Org) -> Vec<u8> {
    cbor::map(&[(cbor::uint(4), cbor::bytes(org.id.as_bytes())), (cbor::uint(1), cbor::negative(ED25519))])
}

fn one_more(org: &Org) -> Vec<u8> {
    cbor::map(&[(cbor::uint(1), cbor::negative(ED25519)), (cbor::uint(4), cbor::bytes(org.id.as_bytes())), (cbor::uint(5), cbor::bytes(&[0]))])
}

fn longer(org: &Org) -> Vec<u8> {
    cbor::map(&[(cbor::uint(1), vec![0x38, 18]), (cbor::uint(4), cbor::bytes(org.id.as_bytes()))])
}

fn edit_slot(message: &mut Message, at: usize, change: impl FnOnce(&mut Slot)) {
    change(message.slots.get_mut(at).expect("a message has two slots"));
}

fn swap_headers(message: &mut Message) {
    if let [first, second] = message.slots.as_mut_slice() {
        std::mem::swap(&mut first.protected, &mut second.protected);
    }
}

fn signatures(shelf: &mut Shelf, subject: &Subject<'_>, sound: &Message) {
    let changed = |at: usize, change: &dyn Fn(&mut Vec<u8>)| {
        let mut message = sound.clone();
        edit_slot(&mut message, at, |slot| change(&mut slot.signature));
        message.encoded()
    };
    let flip = |signature: &mut Vec<u8>| signature.iter_mut().skip(40).take(1).for_each(|byte| *byte ^= 1);
    let mut bad = |name: &str, bytes: &[u8], why: &str| {
        shelf.put(name, "bad-signature", bytes, why);
    };
    bad("first-changed", &changed(0, &flip), "One bit of the Ed25519 signature is changed.");
    bad("second-changed", &changed(1, &flip), "One bit of the ML-DSA-65 signature is changed.");
    bad(
        "first-malleable",
        &changed(0, &|signature| add_group_order(signature)),
        "The Ed25519 signature has S + L in the place of S, which RFC 8032 does not allow.",
    );
    bad("second-zeros", &changed(1, &|signature| signature.fill(0)), "The ML-DSA-65 signature is all zeros.");
    let mut message = sound.clone();
    message.payload = cbor::bytes(one_millisecond_later(subject.payload).as_bytes());
    bad("payload-changed", &message.encoded(), "One digit of the payload was changed after signing.");
    let elsewhere = if subject.context == "samverkan/notice/v1" { "samverkan/receipt/v1" } else { "samverkan/notice/v1" };
    bad(
        "context-of-another-kind",
        &subject.pen.sign(subject.org, elsewhere, subject.payload.as_bytes()).encoded(),
        "Both signatures were made in the context of another kind of statement.",
    );
    bad("context-missing", &subject.pen.sign(subject.org, "", subject.payload.as_bytes()).encoded(), "Both signatures were made without a context.");
    let [first, second] = headers(subject.org.id);
    let theirs = subject.pen.sign_under(subject.other, subject.context, subject.payload.as_bytes(), &first, &second);
    let mixed = |at: usize| {
        let mut message = sound.clone();
        if let Some(slot) = theirs.slots.get(at) {
            edit_slot(&mut message, at, |place| place.clone_from(slot));
        }
        message.encoded()
    };
    bad("first-by-another", &mixed(0), "The Ed25519 signature was made with another organisation's key.");
    bad("second-by-another", &mixed(1), "The ML-DSA-65 signature was made with another organisation's key.");
}

fn signers(shelf: &mut Shelf, subject: &Subject<'_>, sound: &Message) {
    let mut renamed = sound.clone();
    for (slot, header) in renamed.slots.iter_mut().zip(headers(subject.other.id)) {
        slot.protected = header;
    }
    let payload = subject.payload.as_bytes();
    let theirs = subject.pen.sign(subject.other, subject.context, payload).encoded();
    if subject.is_card() {
        shelf.put(
            "key-id-of-another",
            "unknown-organisation",
            &renamed.encoded(),
            "The key id is another organisation's: its keys are not those on this card.",
        );
        shelf.put("not-theirs", "unknown-organisation", &theirs, "Another organisation signed the card: its keys are not those on it.");
        return;
    }
    shelf.put("key-id-of-another", "bad-signature", &renamed.encoded(), "The key id was replaced by another organisation's.");
    shelf.put("not-theirs", "not-theirs", &theirs, "Another organisation signed it properly, and it is not that one's to make.");
    let stranger = subject.pen.sign(subject.stranger, subject.context, payload).encoded();
    shelf.put("signer-unknown", "unknown-organisation", &stranger, "No card of the signer is held.");
}

/// JSON that is signed properly and not what it should be.
fn spellings(shelf: &mut Shelf, subject: &Subject<'_>) {
    let text = subject.payload;
    let all = members(text);
    let first = all.first().expect("a statement has members").clone();
    let with = |more: (String, String)| object(&[all.clone(), vec![more]].concat());
    let mut bad = |name: &str, payload: &[u8], why: &str| {
        shelf.put(name, "bad-json", &subject.sign(payload).encoded(), why);
    };
    bad("json-empty", b"", "The payload is empty.");
    bad("json-array", values(text).as_bytes(), "The values stand in an array, without their names.");
    bad("json-twice", format!("{text}{{}}").as_bytes(), "Another value follows the statement.");
    bad("json-bom", format!("\u{feff}{text}").as_bytes(), "The payload starts with a byte order mark.");
    bad("json-not-utf8", &[text.as_bytes(), &[0xff]].concat(), "The payload is not UTF-8.");
    bad("member-twice", with(first.clone()).as_bytes(), "A member is there twice, with the same value.");
    bad("member-twice-escaped", with((escaped(&first.0), first.1.clone())).as_bytes(), "A member is there twice, once with an escape in its name.");
    bad("member-unknown", with(("note".to_owned(), "\"\"".to_owned())).as_bytes(), "There is a member that nobody knows.");
    let but_last = all.split_last().map_or(&[][..], |(_, rest)| rest);
    bad("member-missing", object(but_last).as_bytes(), "The last member is missing.");
    let upper: Vec<(String, String)> =
        all.iter().map(|(name, value)| (if *name == first.0 { name.to_uppercase() } else { name.clone() }, value.clone())).collect();
    bad("member-upper-case", object(&upper).as_bytes(), "A member's name is in capitals.");
}

/// The statement with spaces before its last brace, so that its JSON has exactly the bytes allowed, and one more.
fn budget(shelf: &mut Shelf, subject: &Subject<'_>) {
    for (name, size, result, why) in [
        ("json-at-the-limit", subject.budget, "accept", "The payload has as many bytes as it may have."),
        ("json-over-the-limit", subject.budget + 1, "bad-json", "The payload has one byte more than it may have."),
    ] {
        let text = subject.payload.strip_suffix('}').expect("a statement is an object");
        let spaces = size - subject.payload.len();
        let payload = format!("{text}{}}}", " ".repeat(spaces));
        let message = subject.sign(payload.as_bytes()).encoded();
        let start = message.windows(text.len()).position(|window| window == text.as_bytes()).expect("the payload is in the message") + text.len();
        let (head, rest) = message.split_at(start);
        let (_, tail) = rest.split_at(spaces);
        let case = shelf.put_filled(name, result, (head, b' ', spaces, tail), why);
        if result == "accept" {
            case.signer = Some(subject.org.id.to_owned());
            case.digest = Some(Digest::of(payload.as_bytes()).to_string());
        }
    }
}

/// The first time in a text, one millisecond later.
fn one_millisecond_later(text: &str) -> String {
    text.replacen(".000Z", ".001Z", 1)
}

/// Adds the order of the Ed25519 group, 2^252 + 27742317777372353535851937790883648493, to a signature's second half.
fn add_group_order(signature: &mut [u8]) {
    const ORDER: [u8; 32] =
        [0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10];
    let mut carry = 0;
    for (byte, order) in signature.iter_mut().skip(32).zip(ORDER) {
        let [sum, over] = (u16::from(*byte) + u16::from(order) + carry).to_le_bytes();
        *byte = sum;
        carry = u16::from(over);
    }
}
