//! Vectors of a recovery: se-sapo was restored and asks no-pst, no-pst answers, and two members of se-sapo have approved.

use samverkan_format::Digest;

use super::cast::Cast;
use super::json::edit;
use super::parts::{accepted, core, edited};
use super::pen::Pen;
use super::statements::subject;
use super::{Shelf, texts};

const ERA: &str = "2026-11-25T07:00:00.001Z";

/// The ledger of se-sapo with the cosignature of no-pst.
fn cosigned(cast: &Cast) -> String {
    let at = "2026-11-22T08:31:02.000Z".parse().expect("a time written here");
    let checkpoint = texts::checkpoint(&cast.sapo);
    let line = checkpoint.cosign("no-pst/ledger", &cast.pst.ed25519, at).expect("the key signs");
    format!("{}\n{line}", checkpoint.to_note())
}

fn recovery(cast: &Cast) -> String {
    format!(
        concat!(
            r#"{{"org":"se-sapo","era":"{}","checkpoint":{},"approvals":[{{"entry":7,"leaf":"{}"}},{{"entry":9,"leaf":"{}"}}],"#,
            r#""declared":"2026-11-25T07:30:00.000Z"}}"#,
        ),
        ERA,
        texts::quoted(&texts::note(&cast.sapo)),
        Digest::of(b"the first approval"),
        Digest::of(b"the second approval"),
    )
}

fn inquiry(cast: &Cast) -> String {
    format!(
        concat!(
            r#"{{"org":"se-sapo","to":"no-pst","era":"{}","checkpoint":{},"acknowledged":1,"received":0,"cosigned":{},"#,
            r#""cosigned-consistency":[],"receipted-consistency":[],"parcel-seen":0,"receipt-seen":3,"recovery":"{}","#,
            r#""asked":"2026-11-25T07:31:00.000Z"}}"#,
        ),
        ERA,
        texts::quoted(&texts::note(&cast.sapo)),
        texts::quoted(&cosigned(cast)),
        Digest::of(recovery(cast).as_bytes()),
    )
}

fn account(cast: &Cast) -> String {
    format!(
        concat!(
            r#"{{"org":"no-pst","to":"se-sapo","inquiry":"{}","accepted":false,"received":2,"received-digest":"{}","acknowledged":0,"#,
            r#""acknowledged-digest":"{}","parcel-consistency":[],"receipt-checkpoint":{},"receipt-consistency":[],"seen-in-parcel":{},"#,
            r#""at":"2026-11-25T07:31:01.000Z"}}"#,
        ),
        Digest::of(inquiry(cast).as_bytes()),
        Digest::of(b"the second header"),
        "0".repeat(64),
        texts::quoted(&texts::note(&cast.pst)),
        texts::quoted(&texts::note(&cast.sapo)),
    )
}

fn hashes(count: usize) -> String {
    vec![format!("\"{}\"", Digest::of(b"a hash")); count].join(",")
}

pub(crate) fn recoveries(cast: &Cast, pen: &Pen) -> Shelf {
    let mut shelf = Shelf::new("recovery", "cose");
    let text = recovery(cast);
    let subject = subject(cast, pen, (&cast.sapo, &cast.pst), "samverkan/recovery/v1", &text);
    core(&mut shelf, &subject);
    let second = format!(r#",{{"entry":9,"leaf":"{}"}}"#, Digest::of(b"the second approval"));
    edited(
        &mut shelf,
        &subject,
        "malformed",
        &[
            ("approved-by-one", &second, "", "It takes two members."),
            ("approved-by-three", &second, &format!(r#"{second},{{"entry":11,"leaf":"{}"}}"#, Digest::of(b"a third")), "It takes two members, and no more."),
            ("approvals-of-one-entry", r#""entry":9"#, r#""entry":7"#, "One entry is one approval."),
            ("approvals-out-of-order", r#""entry":9"#, r#""entry":5"#, "Approvals stand in the order of their entries."),
        ],
    );
    edited(&mut shelf, &subject, "bad-json", &[("era-as-number", &format!("\"{ERA}\""), "2", "An era is a time.")]);
    shelf
}

pub(crate) fn inquiries(cast: &Cast, pen: &Pen) -> Shelf {
    let mut shelf = Shelf::new("inquiry", "cose");
    let text = inquiry(cast);
    let subject = subject(cast, pen, (&cast.sapo, &cast.pst), "samverkan/inquiry/v1", &text);
    core(&mut shelf, &subject);
    let named = format!(r#","recovery":"{}""#, Digest::of(recovery(cast).as_bytes()));
    accepted(&mut shelf, "before-it-is-approved", &subject, &edit(&text, &named, ""), "Nobody has approved yet: it asks, and no more.");
    let known = format!(r#","cosigned":{}"#, texts::quoted(&cosigned(cast)));
    accepted(&mut shelf, "cosignature-lost", &subject, &edit(&text, &known, ""), "An earlier recovery lost the receipt, and its cosignature.");
    let nothing = edit(&edit(&text, &known, ""), r#""acknowledged":1"#, r#""acknowledged":0"#);
    accepted(&mut shelf, "nothing-remembered", &subject, &nothing, "A node that was restored to before its first parcel.");
    edited(
        &mut shelf,
        &subject,
        "malformed",
        &[
            ("to-oneself", r#""to":"no-pst""#, r#""to":"se-sapo""#, "Nobody asks itself."),
            ("cosigned-without-receipt", r#""acknowledged":1"#, r#""acknowledged":0"#, "Without a receipt there is no cosignature."),
            (
                "cosigned-consistency-65",
                r#""cosigned-consistency":[]"#,
                &format!(r#""cosigned-consistency":[{}]"#, hashes(65)),
                "A proof has at most 64 hashes.",
            ),
            (
                "receipted-consistency-65",
                r#""receipted-consistency":[]"#,
                &format!(r#""receipted-consistency":[{}]"#, hashes(65)),
                "A proof has at most 64 hashes.",
            ),
        ],
    );
    shelf
}

pub(crate) fn accounts(cast: &Cast, pen: &Pen) -> Shelf {
    let mut shelf = Shelf::new("account", "cose");
    let text = account(cast);
    let subject = subject(cast, pen, (&cast.pst, &cast.sapo), "samverkan/account/v1", &text);
    core(&mut shelf, &subject);
    let era = format!(r#","era":"{ERA}","accepted":true"#);
    accepted(&mut shelf, "accepted", &subject, &edit(&text, r#","accepted":false"#, &era), "A person has accepted the recovery.");
    edited(
        &mut shelf,
        &subject,
        "malformed",
        &[
            ("to-oneself", r#""to":"se-sapo""#, r#""to":"no-pst""#, "Nobody answers itself."),
            ("received-without-digest", &Digest::of(b"the second header").to_string(), &"0".repeat(64), "What was taken in has a digest."),
            ("nothing-received-with-checkpoint", r#""received":2"#, r#""received":0"#, "Where nothing was taken in there is no digest, and no checkpoint."),
            ("acknowledged-without-digest", r#""acknowledged":0"#, r#""acknowledged":3"#, "A parcel with a receipt has a digest."),
            ("parcel-consistency-65", r#""parcel-consistency":[]"#, &format!(r#""parcel-consistency":[{}]"#, hashes(65)), "A proof has at most 64 hashes."),
        ],
    );
    shelf
}
