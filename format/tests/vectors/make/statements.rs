//! Vectors of the statements that stand alone: cards, agreements, withdrawals, receipts and notices.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use samverkan_format::Digest;

use super::cast::{Cast, Org};
use super::json::edit;
use super::parts::{Subject, accepted, core, edited};
use super::pen::Pen;
use super::{Shelf, texts};

const KIB: usize = 1024;

pub(super) fn subject<'a>(cast: &'a Cast, pen: &'a Pen, (org, other): (&'a Org, &'a Org), context: &'static str, payload: &'a str) -> Subject<'a> {
    let budget = if context == "samverkan/card/v1" { 64 * KIB } else { 256 * KIB };
    Subject { pen, org, other, stranger: &cast.pet, context, payload, budget }
}

/// Cards with the keys that follow, in the word of those before, and in their own.
fn later_cards(shelf: &mut Shelf, cast: &Cast, pen: &Pen) {
    let (word, to) = (texts::succession(cast), cast.later.expanded.public().fingerprint());
    let mut put = |name: &str, signer: &Org, why: &str| {
        let said = STANDARD.encode(pen.sign(signer, "samverkan/succession/v1", word.as_bytes()).encoded());
        let card = edit(&texts::card(&cast.later), r#""serial":1"#, r#""serial":2"#);
        let card = format!(r#"{},"succession":"{said}"}}"#, card.trim_end_matches('}'));
        let case = shelf.put(name, "accept", &pen.sign(&cast.later, "samverkan/card/v1", card.as_bytes()).encoded(), why);
        case.signer = Some(cast.later.id.to_owned());
        case.digest = Some(Digest::of(card.as_bytes()).to_string());
        case.fingerprint = Some(to.to_string());
    };
    put("succession", &cast.sapo, "A card with new keys, which follow those of `se-sapo` by their own word: nobody compares anything.");
    put("succession-by-itself", &cast.later, "A card whose new keys say themselves that they follow: it takes a person.");
}

pub(crate) fn cards(cast: &Cast, pen: &Pen) -> Shelf {
    let mut shelf = Shelf::new("card", "cose");
    let text = texts::card(&cast.sapo);
    let subject = subject(cast, pen, (&cast.sapo, &cast.pst), "samverkan/card/v1", &text);
    for org in cast.all() {
        let card = texts::card(org);
        let bytes = pen.sign(org, subject.context, card.as_bytes()).encoded();
        let case = shelf.put(org.id, "accept", &bytes, "The card by which every vector of this organisation is verified.");
        case.signer = Some(org.id.to_owned());
        case.digest = Some(Digest::of(card.as_bytes()).to_string());
        case.fingerprint = Some(org.expanded.public().fingerprint().to_string());
    }
    core(&mut shelf, &subject);
    accepted(
        &mut shelf,
        "without-address",
        &subject,
        &edit(&text, r#"["node.sapo.example:7443"]"#, "[]"),
        "An organisation that is reached by mailbox or file alone.",
    );
    let eight = (1..=9).map(|n| format!("\"node{n}.example:7443\"")).collect::<Vec<_>>();
    let addresses = |count: usize| edit(&text, r#""node.sapo.example:7443""#, &eight.iter().take(count).cloned().collect::<Vec<_>>().join(","));
    accepted(&mut shelf, "addresses-eight", &subject, &addresses(8), "As many addresses as a card may have.");
    shelf.put("addresses-nine", "malformed", &subject.sign(addresses(9).as_bytes()).encoded(), "One address more than a card may have.");
    accepted(&mut shelf, "second-card", &subject, &edit(&text, r#""serial":1"#, r#""serial":2"#), "A later card of the same organisation.");
    later_cards(&mut shelf, cast, pen);
    let address = r#""node.sapo.example:7443""#;
    let keys = cast.sapo.expanded.public().texts();
    let shorter = |key: &str| format!("\"{}\"", key.chars().skip(4).collect::<String>());
    edited(
        &mut shelf,
        &subject,
        "malformed",
        &[
            ("serial-0", r#""serial":1"#, r#""serial":0"#, "Cards are counted from 1."),
            ("country-lower-case", r#""country":"SE""#, r#""country":"se""#, "A country is two capital letters."),
            ("country-three-letters", r#""country":"SE""#, r#""country":"SWE""#, "A country is two capital letters."),
            ("address-without-port", address, r#""node.sapo.example""#, "An address has a port."),
            ("address-port-0", address, r#""node.sapo.example:0""#, "A port is 1 to 65535."),
            ("address-port-65536", address, r#""node.sapo.example:65536""#, "A port is 1 to 65535."),
            ("address-port-signed", address, r#""node.sapo.example:+443""#, "A port is digits without a sign."),
            ("address-port-zeros", address, r#""node.sapo.example:0443""#, "A port has no leading zeros."),
            ("address-with-path", address, r#""node.sapo.example/a:443""#, "An address is host and port alone."),
            ("name-empty", r#""en":"Swedish Security Service (example)""#, r#""en":"""#, "A name has at least one character."),
            ("name-control-character", r#""en":"Swedish Security Service (example)""#, r#""en":"Swedish\u001b[2J""#, "A name has no control characters."),
            ("contact-two-lines", r#""contact":"duty desk, all hours""#, r#""contact":"duty desk,\nall hours""#, "A contact point has no control characters."),
            ("key-ed25519-short", &format!("\"{}\"", keys.ed25519), &shorter(&keys.ed25519), "The Ed25519 key is 29 bytes."),
            ("key-ml-dsa-65-short", &format!("\"{}\"", keys.ml_dsa_65), &shorter(&keys.ml_dsa_65), "The ML-DSA-65 key is 1949 bytes."),
            ("key-x-wing-short", &format!("\"{}\"", keys.x_wing), &shorter(&keys.x_wing), "The X-Wing key is 1213 bytes."),
            (
                "key-base64-unpadded",
                &format!("\"{}\"", keys.ed25519),
                &format!("\"{}\"", keys.ed25519.trim_end_matches('=')),
                "The Ed25519 key's base64 lacks its padding.",
            ),
            (
                "array-for-object",
                r#""name":{"sv":"Säkerhetspolisen (exempel)","en":"Swedish Security Service (example)"}"#,
                r#""name":["Säkerhetspolisen (exempel)","Swedish Security Service (example)"]"#,
                "The names stand in an array.",
            ),
        ],
    );
    edited(
        &mut shelf,
        &subject,
        "bad-json",
        &[
            ("org-upper-case", r#""org":"se-sapo""#, r#""org":"SE-SAPO""#, "An organisation's id is in small letters."),
            ("short-lower-case", r#""short":"SAPO""#, r#""short":"Sapo""#, "A short name is capital letters and digits."),
            ("kind-unknown", r#""kind":"security-service""#, r#""kind":"bank""#, "There is no such kind of organisation."),
            ("tls-key-upper-case", r#""tls-key":"5"#, r#""tls-key":"F"#, "A digest is in small letters."),
            ("keys-one-missing", r#","x-wing""#, r#","y-wing""#, "A card has all three keys."),
        ],
    );
    shelf
}

pub(crate) fn agreements(cast: &Cast, pen: &Pen) -> Shelf {
    let mut shelf = Shelf::new("agreement", "cose");
    let subject = subject(cast, pen, (&cast.sapo, &cast.supo), "samverkan/agreement/v1", texts::AGREEMENT);
    core(&mut shelf, &subject);
    let text = texts::AGREEMENT;
    let second = pen.sign(&cast.pst, subject.context, text.as_bytes());
    let case = shelf.put("plain-by-the-other-party", "accept", &second.encoded(), "The same bytes as `plain`, signed by the other party.");
    (case.signer, case.digest) = (Some(cast.pst.id.to_owned()), Some(Digest::of(text.as_bytes()).to_string()));
    accepted(&mut shelf, "body", &subject, texts::BODY, "A body of three, with a chair who admits parties, duties, answer times and an end.");
    let supersedes = format!(r#""version":2,"supersedes":"{}""#, Digest::of(text.as_bytes()));
    accepted(&mut shelf, "second-version", &subject, &edit(text, r#""version":1"#, &supersedes), "Version 2 of `plain`, whose digest it names.");
    let sapo = r#"{"org":"se-sapo","role":"member","from":"2026-11-22T08:00:00.000Z"}"#;
    let pst = r#"{"org":"no-pst","role":"member","from":"2026-11-22T08:00:00.000Z"}"#;
    let duty = |words: &str| format!(r#""four-eyes":true,"duties":[{{"id":"tell","text":{{"sv":"Berätta","en":"{words}"}}}}]"#);
    let duties = vec![r#"{"id":"tell","text":{"sv":"Berätta","en":"Tell"}}"#; 65].join(",");
    edited(
        &mut shelf,
        &subject,
        "malformed",
        &[
            ("version-0", r#""version":1"#, r#""version":0"#, "Versions are counted from 1."),
            ("second-version-without-supersedes", r#""version":1"#, r#""version":2"#, "Version 2 names the one before."),
            ("first-version-supersedes", r#""version":1"#, &edit(&supersedes, ":2", ":1"), "There is nothing before version 1."),
            ("parties-one", &format!("{pst},{sapo}"), sapo, "It takes two."),
            ("parties-out-of-order", &format!("{pst},{sapo}"), &format!("{sapo},{pst}"), "Parties stand in the order of their ids."),
            ("parties-twice", &format!("{pst},{sapo}"), &format!("{sapo},{sapo}"), "A party is named once."),
            ("bilateral-of-three", pst, &format!("{},{pst}", edit(pst, "no-pst", "dk-pet")), "A bilateral agreement has two parties."),
            ("party-ends-before", sapo, &edit(sapo, r#""from""#, r#""until":"2026-11-22T08:00:00.000Z","from""#), "A party's end is after its beginning."),
            ("proposed-by-another", r#""proposed-by":"se-sapo""#, r#""proposed-by":"fi-supo""#, "A party puts the version forward."),
            ("joining-without-chair", r#""joining":"all""#, r#""joining":"chair""#, "Where the chair admits parties there is a chair."),
            ("kinds-none", r#""kinds":["report","lesson","alert","correction","recall","consent"]"#, r#""kinds":[]"#, "It permits some kind of record."),
            ("kinds-out-of-order", r#""report","lesson""#, r#""lesson","report""#, "Kinds stand in the order of the page."),
            ("kinds-twice", r#""report","lesson""#, r#""report","report","lesson""#, "A kind is named once."),
            ("purposes-none", r#"["counter-terrorism"]"#, "[]", "It names a purpose."),
            ("legal-bases-none", r#"["2019:1182 2:4"]"#, "[]", "It names a legal basis."),
            ("ceiling-unknown", r#""ceiling":"se:h""#, r#""ceiling":"se:x""#, "The ceiling is a classification that is known."),
            ("retention-0", r#""longest-retention-days":365"#, r#""longest-retention-days":0"#, "Retention is 1 to 36500 days."),
            ("retention-36501", r#""longest-retention-days":365"#, r#""longest-retention-days":36501"#, "Retention is 1 to 36500 days."),
            ("duties-65", r#""four-eyes":true"#, &format!(r#""four-eyes":true,"duties":[{duties}]"#), "There are at most 64 duties."),
            ("duty-control-character", r#""four-eyes":true"#, &duty(r"Tell\u0007"), "A duty has no control characters."),
            ("title-control-character", r#""en":"Sapo and PST""#, r#""en":"Sapo\u001b[31m""#, "A title has no control characters."),
            ("title-empty", r#""en":"Sapo and PST""#, r#""en":"""#, "A title has at least one character."),
            (
                "ends-before-it-begins",
                r#""valid-from":"2026-11-22T08:00:00.000Z""#,
                r#""valid-from":"2026-11-22T08:00:00.000Z","valid-until":"2026-11-22T08:00:00.000Z""#,
                "Its end is after its beginning.",
            ),
            ("null-for-absent", r#""version":1"#, r#""version":1,"supersedes":null"#, "What is absent is left out."),
            ("default-written", r#""four-eyes":true"#, r#""four-eyes":true,"duties":[]"#, "An empty list of duties is left out."),
            ("array-for-object", pst, r#"["no-pst","member","2026-11-22T08:00:00.000Z",null]"#, "A party stands in an array."),
        ],
    );
    edited(
        &mut shelf,
        &subject,
        "bad-json",
        &[
            ("kind-unknown", r#""report","lesson""#, r#""report","request""#, "There is no such kind of record."),
            ("form-unknown", r#""form":"bilateral""#, r#""form":"club""#, "There is no such form."),
            ("onward-unknown", r#""onward":"consent""#, r#""onward":"perhaps""#, "There is no such onward rule."),
            ("role-unknown", sapo, &edit(sapo, "member", "guest"), "There is no such party role."),
            ("retention-fraction", r#""longest-retention-days":365"#, r#""longest-retention-days":365.0"#, "A number of days has no fraction."),
            ("time-without-milliseconds", r#""valid-from":"2026-11-22T08:00:00.000Z""#, r#""valid-from":"2026-11-22T08:00:00Z""#, "A time has three decimals."),
            ("time-with-offset", r#""valid-from":"2026-11-22T08:00:00.000Z""#, r#""valid-from":"2026-11-22T09:00:00.000+01:00""#, "A time is in UTC."),
            ("four-eyes-missing", r#","four-eyes":true"#, "", "Whether a second person approves is always said."),
        ],
    );
    shelf
}

pub(crate) fn withdrawals(cast: &Cast, pen: &Pen) -> Shelf {
    let mut shelf = Shelf::new("withdrawal", "cose");
    let subject = subject(cast, pen, (&cast.pst, &cast.sapo), "samverkan/withdrawal/v1", texts::WITHDRAWAL);
    core(&mut shelf, &subject);
    edited(
        &mut shelf,
        &subject,
        "bad-json",
        &[
            ("agreement-malformed", r#""agreement":"sapo-pst""#, r#""agreement":"sapo pst""#, "An agreement's id has no space."),
            ("time-leap-second", "08:00:00.000Z", "08:00:60.000Z", "There is no such time."),
            ("time-not-a-day", "2026-12-01", "2026-02-29", "There is no such day."),
        ],
    );
    shelf
}

pub(crate) fn revocations(cast: &Cast, pen: &Pen) -> Shelf {
    let mut shelf = Shelf::new("revocation", "cose");
    let text = texts::revocation(cast);
    let subject = subject(cast, pen, (&cast.pst, &cast.sapo), "samverkan/revocation/v1", &text);
    core(&mut shelf, &subject);
    let because = r#""reason":"keys.json was stolen""#;
    let reason = |length: usize| edit(&text, because, &format!(r#""reason":"{}""#, "a".repeat(length)));
    accepted(&mut shelf, "by-another", &subject, &edit(&text, r#""org":"no-pst""#, r#""org":"se-sapo""#), "Whoever held a card believes it no longer.");
    accepted(&mut shelf, "reason-1000", &subject, &reason(1000), "As long a reason as there may be.");
    shelf.put("reason-1001", "malformed", &subject.sign(reason(1001).as_bytes()).encoded(), "A reason has at most 1000 characters.");
    edited(&mut shelf, &subject, "malformed", &[("reason-empty", because, r#""reason":"""#, "There is a reason.")]);
    edited(
        &mut shelf,
        &subject,
        "bad-json",
        &[
            ("fingerprint-short", r#""fingerprint":""#, r#""fingerprint":"0"#, "A fingerprint has 64 digits."),
            ("time-not-a-day", "2026-12-01", "2026-02-29", "There is no such day."),
        ],
    );
    shelf
}

pub(crate) fn successions(cast: &Cast, pen: &Pen) -> Shelf {
    let mut shelf = Shelf::new("succession", "cose");
    let text = texts::succession(cast);
    let subject = subject(cast, pen, (&cast.sapo, &cast.pst), "samverkan/succession/v1", &text);
    core(&mut shelf, &subject);
    let itself = pen.sign(&cast.later, subject.context, text.as_bytes()).encoded();
    shelf.put("by-the-new-keys", "bad-signature", &itself, "The keys that follow cannot say so themselves.");
    let from = cast.sapo.expanded.public().fingerprint().to_string();
    let to = cast.later.expanded.public().fingerprint().to_string();
    edited(&mut shelf, &subject, "malformed", &[("to-itself", &to, &from, "Keys do not follow themselves.")]);
    edited(&mut shelf, &subject, "bad-json", &[("fingerprint-short", r#""to":""#, r#""to":"0"#, "A fingerprint has 64 digits.")]);
    shelf
}

pub(crate) fn receipts(cast: &Cast, pen: &Pen) -> Shelf {
    let mut shelf = Shelf::new("receipt", "cose");
    let text = texts::receipt(cast, pen);
    let subject = subject(cast, pen, (&cast.pst, &cast.sapo), "samverkan/receipt/v1", &text);
    core(&mut shelf, &subject);
    let accepted_outcome = r#","result":"accepted"}"#;
    let with = |outcome: &str| edit(&text, accepted_outcome, outcome);
    accepted(
        &mut shelf,
        "refused",
        &subject,
        &with(r#","result":"refused","reasons":["above-ceiling","not-a-party"]}"#),
        "An item was refused, for two reasons.",
    );
    accepted(&mut shelf, "withheld", &subject, &with(r#","result":"withheld"}"#), "An item that the header names was not in the parcel.");
    let reasons = |count: u32| {
        let all: Vec<String> = (10..10 + count).map(|n| format!("\"reason-{n}\"")).collect();
        format!(r#","result":"refused","reasons":[{}]}}"#, all.join(","))
    };
    accepted(&mut shelf, "reasons-16", &subject, &with(&reasons(16)), "As many reasons as an item may have.");
    let outcome = format!(r#"{{"item":"{}","result":"withheld"}}"#, Digest::of(b"an item"));
    let outcomes = |count: usize| {
        let (before, rest) = text.split_once(r#""outcomes":["#).expect("a receipt has outcomes");
        let (_, after) = rest.split_once(']').expect("a receipt has outcomes");
        format!(r#"{before}"outcomes":[{}]{after}"#, vec![outcome.clone(); count].join(","))
    };
    accepted(&mut shelf, "outcomes-256", &subject, &outcomes(256), "As many outcomes as a parcel has items at most.");
    shelf.put("outcomes-257", "malformed", &subject.sign(outcomes(257).as_bytes()).encoded(), "More outcomes than a parcel can have items.");
    let hash = format!("\"{}\"", Digest::of(b"a hash"));
    edited(
        &mut shelf,
        &subject,
        "malformed",
        &[
            ("sequence-0", r#""sequence":1"#, r#""sequence":0"#, "Parcels are counted from 1."),
            ("reasons-17", accepted_outcome, &reasons(17), "An item has at most 16 reasons."),
            ("reason-upper-case", accepted_outcome, r#","result":"refused","reasons":["Recalled"]}"#, "A reason is a code."),
            ("reason-empty", accepted_outcome, r#","result":"refused","reasons":[""]}"#, "A reason has at least one letter."),
            ("reason-61-letters", accepted_outcome, &format!(r#","result":"refused","reasons":["{}"]}}"#, "a".repeat(61)), "A reason has at most 60 letters."),
            (
                "reasons-out-of-order",
                accepted_outcome,
                r#","result":"refused","reasons":["not-a-party","above-ceiling"]}"#,
                "Reasons stand in the order of their bytes.",
            ),
            ("reasons-empty", accepted_outcome, r#","result":"accepted","reasons":[]}"#, "An empty list of reasons is left out."),
            ("consistency-65", r#""consistency":[]"#, &format!(r#""consistency":[{}]"#, vec![hash; 65].join(",")), "A proof has at most 64 hashes."),
        ],
    );
    edited(
        &mut shelf,
        &subject,
        "bad-json",
        &[
            ("result-unknown", accepted_outcome, r#","result":"lost"}"#, "There is no such outcome."),
            ("sequence-beyond-53-bits", r#""sequence":1"#, r#""sequence":9007199254740992"#, "A number that not every reader holds exactly."),
            ("sequence-negative", r#""sequence":1"#, r#""sequence":-1"#, "A sequence is not negative."),
        ],
    );
    shelf
}

pub(crate) fn notices(cast: &Cast, pen: &Pen) -> Shelf {
    let mut shelf = Shelf::new("notice", "cose");
    let text = texts::notice();
    let subject = subject(cast, pen, (&cast.pst, &cast.sapo), "samverkan/notice/v1", &text);
    core(&mut shelf, &subject);
    let held = r#""state":"held""#;
    accepted(&mut shelf, "refused", &subject, &edit(&text, held, r#""state":"refused""#), "The holder did not take the record in.");
    accepted(&mut shelf, "removed", &subject, &edit(&text, held, r#""state":"removed""#), "The holder has destroyed the content.");
    let passed_on = |to: &str| format!(r#""state":{{"passed-on":{{"to":"{to}"}}}}"#);
    accepted(&mut shelf, "passed-on", &subject, &edit(&text, held, &passed_on("fi-supo")), "The holder is about to pass the record on.");
    edited(
        &mut shelf,
        &subject,
        "malformed",
        &[
            ("passed-on-to-oneself", held, &passed_on("no-pst"), "Nobody passes on to itself."),
            ("passed-on-to-the-originator", held, &passed_on("se-sapo"), "The originator has the record."),
            ("state-as-object", held, r#""state":{"held":null}"#, "A state without members is a word."),
            ("array-for-object", held, r#""state":{"passed-on":["fi-supo"]}"#, "To whom it is passed on stands in an array."),
        ],
    );
    edited(
        &mut shelf,
        &subject,
        "bad-json",
        &[
            ("state-unknown", held, r#""state":"lost""#, "There is no such state."),
            ("passed-on-to-nobody", held, r#""state":"passed-on""#, "It says to whom the record is passed on."),
            ("passed-on-unknown-member", held, r#""state":{"passed-on":{"to":"fi-supo","by":"post"}}"#, "There is a member that nobody knows."),
        ],
    );
    shelf
}
