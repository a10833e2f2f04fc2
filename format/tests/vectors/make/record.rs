//! Vectors of record headers.

use samverkan_format::Digest;

use super::cast::Cast;
use super::json::edit;
use super::parts::{Subject, accepted, core, edited, encodings};
use super::pen::Pen;
use super::{Shelf, texts};

const CONTEXT: &str = "samverkan/record/v1";

pub(crate) fn records(cast: &Cast, pen: &Pen) -> Shelf {
    let mut shelf = Shelf::new("record", "cose");
    let text = texts::record();
    let subject = Subject { pen, org: &cast.sapo, other: &cast.pst, stranger: &cast.pet, context: CONTEXT, payload: &text, budget: 256 * 1024 };
    core(&mut shelf, &subject);
    encodings(&mut shelf, &subject);
    sound(&mut shelf, &subject);
    malformed(&mut shelf, &subject);
    misspelt(&mut shelf, &subject);
    shelf
}

/// A list of links to as many made-up records.
fn links(relation: &str, count: u32) -> String {
    let link = |n: u32| format!(r#"{{"relation":"{relation}","to":"{}"}}"#, Digest::of(&n.to_be_bytes()));
    format!(r#""links":[{}],"#, (0..count).map(link).collect::<Vec<_>>().join(","))
}

fn attachments(size: u64, count: usize) -> String {
    let one = format!(r#"{{"size":{size},"root":"{}"}}"#, Digest::of(b"an attachment"));
    format!(r#","attachments":[{}]}}"#, vec![one; count].join(","))
}

/// The header as another kind, and with links.
fn of_kind(text: &str, kind: &str, links: &str) -> String {
    let text = edit(text, r#""kind":"report""#, &format!(r#""kind":"{kind}""#));
    edit(&text, r#""content":"#, &format!(r#"{links}"content":"#))
}

fn with_end(text: &str, end: &str) -> String {
    format!("{}{end}", text.strip_suffix('}').expect("an object"))
}

fn correction(text: &str) -> String {
    let before = format!(r#""version":2,"supersedes":"{}","agreement""#, texts::record_id());
    edit(&edit(text, r#""kind":"report""#, r#""kind":"correction""#), r#""version":1,"agreement""#, &before)
}

fn sound(shelf: &mut Shelf, subject: &Subject<'_>) {
    let text = subject.payload;
    accepted(shelf, "correction", subject, &correction(text), "Version 2 of `plain`, which it names.");
    accepted(shelf, "recall", subject, &of_kind(text, "recall", &links("concerns", 2)), "A recall of two versions.");
    accepted(shelf, "consent", subject, &of_kind(text, "consent", &links("concerns", 1)), "A consent, about one record.");
    accepted(shelf, "links-64", subject, &of_kind(text, "alert", &links("based-on", 64)), "As many links as a record may have.");
    accepted(shelf, "attachments-32", subject, &with_end(text, &attachments(4 << 30, 32)), "As many attachments as a record may have, each of 4 GiB.");
    accepted(shelf, "without-grading", subject, &edit(text, r#""grading":"admiralty:B2","#, ""), "Not everything is graded.");
    let full = r#"{"classification":"eu:secret","tlp":"amber+strict","pap":"red","handling":["h1","h3"],"caveats":["originator-control"],"releasable-to":["fi-supo","no-pst"]}"#;
    let plain = r#"{"classification":"se:k","tlp":"amber"}"#;
    accepted(shelf, "marking-full", subject, &edit(text, plain, full), "A marking with every part.");
    accepted(
        shelf,
        "marking-unknown",
        subject,
        &edit(text, plain, r#"{"classification":"se:k","tlp":"ex:chr"}"#),
        "A code that nobody knows parses; it counts as the most restrictive there is.",
    )
    .unknown = Some("ex:chr".to_owned());
}

fn malformed(shelf: &mut Shelf, subject: &Subject<'_>) {
    let text = subject.payload;
    let audience = r#""audience":["no-pst"]"#;
    let until = r#""retain-until":"2027-02-20T08:30:00.000Z""#;
    let language = r#""language":"sv""#;
    let size = format!(r#""size":{}"#, texts::CONTENT.len());
    edited(
        shelf,
        subject,
        "malformed",
        &[
            ("kind-receipt", r#""kind":"report""#, r#""kind":"receipt""#, "A receipt is no record with a header."),
            ("version-0", r#""version":1,"agreement""#, r#""version":0,"agreement""#, "Versions are counted from 1."),
            (
                "first-version-supersedes",
                r#""version":1,"agreement""#,
                &format!(r#""version":1,"supersedes":"{}","agreement""#, texts::record_id()),
                "There is nothing before version 1.",
            ),
            ("first-version-correction", r#""kind":"report""#, r#""kind":"correction""#, "A first version corrects nothing."),
            ("audience-empty", audience, r#""audience":[]"#, "A record is for somebody."),
            ("audience-out-of-order", audience, r#""audience":["no-pst","fi-supo"]"#, "The audience stands in the order of ids."),
            ("audience-twice", audience, r#""audience":["no-pst","no-pst"]"#, "An organisation is named once."),
            ("audience-with-originator", audience, r#""audience":["no-pst","se-sapo"]"#, "The originator is not its own audience."),
            ("language-underscore", language, r#""language":"sv_SE""#, "A language tag has letters, digits and hyphens."),
            ("language-one-letter", language, r#""language":"s""#, "A language tag has at least two characters."),
            ("language-13-letters", language, r#""language":"sv-aaaaaaaaaa""#, "A language tag has at most twelve characters."),
            ("retained-until-created", until, r#""retain-until":"2026-11-22T08:30:00.000Z""#, "Retention ends after the record was made."),
            ("retained-until-before", until, r#""retain-until":"2026-11-22T08:29:59.999Z""#, "Retention ends after the record was made."),
            ("links-65", r#""content":"#, &format!("{}\"content\":", links("based-on", 65)), "One link more than a record may have."),
            ("content-over-1-mib", &size, r#""size":1048577"#, "Content is at most 1 MiB."),
            ("categories-out-of-order", r#"["suspected","other"]"#, r#"["other","suspected"]"#, "Categories stand in the order of the page."),
            ("categories-twice", r#"["suspected","other"]"#, r#"["suspected","suspected"]"#, "A category is named once."),
            ("categories-empty", r#"["suspected","other"]"#, "[]", "An empty list of categories is left out."),
            ("null-for-absent", r#""grading":"admiralty:B2""#, r#""grading":null"#, "What is absent is left out."),
            ("array-for-object", r#"{"id":"sapo-pst","version":1}"#, r#"["sapo-pst",1]"#, "The agreement stands in an array."),
            ("kind-as-object", r#""kind":"report""#, r#""kind":{"report":null}"#, "A kind is a word."),
            ("handling-out-of-order", r#""tlp":"amber""#, r#""tlp":"amber","handling":["h2","h1"]"#, "Codes stand in the order of the page."),
        ],
    );
    let mut bad = |name: &str, payload: String, why: &str| {
        shelf.put(name, "malformed", &subject.sign(payload.as_bytes()).encoded(), why);
    };
    let corrected = correction(text);
    bad("second-version-without-supersedes", edit(&corrected, &format!(r#","supersedes":"{}""#, texts::record_id()), ""), "Version 2 names the one before.");
    bad("second-version-report", edit(&corrected, r#""kind":"correction""#, r#""kind":"report""#), "Every later version is a correction.");
    bad("recall-without-link", edit(text, r#""kind":"report""#, r#""kind":"recall""#), "A recall names what it takes back.");
    bad("recall-of-nothing", of_kind(text, "recall", &links("answers", 1)), "A recall names what it takes back by the relation `concerns`.");
    bad("consent-without-link", edit(text, r#""kind":"report""#, r#""kind":"consent""#), "A consent names what it is about.");
    bad("consent-about-two", of_kind(text, "consent", &links("concerns", 2)), "A consent is about one record.");
    bad("attachments-33", with_end(text, &attachments(1, 33)), "One attachment more than a record may have.");
    bad("attachment-empty", with_end(text, &attachments(0, 1)), "An attachment has at least one byte.");
    bad("attachment-over-4-gib", with_end(text, &attachments((4 << 30) + 1, 1)), "An attachment has at most 4 GiB.");
}

fn misspelt(shelf: &mut Shelf, subject: &Subject<'_>) {
    let number = r#""number":"SAPO-2026-000123""#;
    let created = "2026-11-22T08:30:00.000Z";
    edited(
        shelf,
        subject,
        "bad-json",
        &[
            ("kind-unknown", r#""kind":"report""#, r#""kind":"request""#, "There is no such kind of record."),
            ("number-five-digits", number, r#""number":"SAPO-2026-00123""#, "A serial has at least six digits."),
            ("number-lower-case", number, r#""number":"sapo-2026-000123""#, "A short name is in capitals."),
            ("version-as-text", r#""version":1,"agreement""#, r#""version":"1","agreement""#, "A version is a number."),
            ("version-with-fraction", r#""version":1,"agreement""#, r#""version":1.0,"agreement""#, "A version has no fraction."),
            ("version-beyond-32-bits", r#""version":1,"agreement""#, r#""version":4294967296,"agreement""#, "A version is at most 4294967295."),
            ("version-leading-zero", r#""version":1,"agreement""#, r#""version":01,"agreement""#, "JSON has no leading zeros."),
            ("audience-upper-case", r#""audience":["no-pst"]"#, r#""audience":["NO-PST"]"#, "An organisation's id is in small letters."),
            ("audience-everyone", r#""audience":["no-pst"]"#, r#""audience":"everyone""#, "An audience is a list of organisations."),
            ("digest-upper-case", r#""sha256":""#, r#""sha256":"A"#, "A digest is 64 digits, in small letters."),
            ("time-to-the-second", created, "2026-11-22T08:30:00Z", "A time has three decimals."),
            ("time-to-the-microsecond", created, "2026-11-22T08:30:00.000000Z", "A time has three decimals."),
            ("time-with-space", created, "2026-11-22 08:30:00.000Z", "Date and time are joined by a T."),
            ("time-lower-case", created, "2026-11-22T08:30:00.000z", "UTC is a capital Z."),
            ("time-before-1900", created, "1899-12-31T23:59:59.999Z", "Times begin with the year 1900."),
            ("grading-unknown", "admiralty:B2", "6x6:B2", "There is no such scheme."),
            ("classification-without-scheme", "se:k", "secret", "A classification names its scheme."),
            ("classification-41-letters", "se:k", &format!("se:{}", "k".repeat(38)), "A code has at most 40 characters."),
            ("marking-unknown-member", r#""tlp":"amber""#, r#""tlp":"amber","colour":"red""#, "There is a member that nobody knows, inside."),
            ("marking-member-twice", r#""tlp":"amber""#, r#""tlp":"amber","tlp":"clear""#, "A member is there twice, inside."),
            ("legal-basis-control-character", "2019:1182 2:4", r"2019:1182\n2:4", "A legal basis has no control characters."),
            ("legal-basis-space-around", "2019:1182 2:4", "2019:1182 2:4 ", "A legal basis has no spaces around it."),
            ("control-character-raw", "2019:1182 2:4", "2019:1182\n2:4", "JSON has no control characters within a string."),
            ("member-name-bidi", r#""language""#, "\"\u{202e}language\"", "A member's name has no character that turns text around."),
            (
                "deep",
                r#""version":1,"agreement""#,
                &format!(r#""version":{}1{},"agreement""#, "[".repeat(8), "]".repeat(8)),
                "Nested deeper than eight levels.",
            ),
            ("comment", r#""version":1,"agreement""#, r#""version":1,/* */"agreement""#, "JSON has no comments."),
        ],
    );
}
