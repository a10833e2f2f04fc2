//! The sound statements that the vectors start from, as the exact JSON that is signed.
//!
//! They are written here by hand, not by the crate's types, and only what has to be computed is put in.

use samverkan_format::Digest;
use samverkan_format::checkpoint::Checkpoint;

use super::cast::{Cast, Org};
use super::pen::Pen;
use super::{hex, parcel};

/// The salt of the record's content.
pub(crate) const SALT: [u8; 32] = [0x5a; 32];

/// The content of the record: what its header commits to.
pub(crate) const CONTENT: &str = r#"{"title":"En gränspassage","text":"Två personer passerade gränsen i natt."}"#;

pub(crate) fn card(org: &Org) -> String {
    let keys = org.expanded.public().texts();
    let (sv, en, host) = match org.id {
        "se-sapo" => ("Säkerhetspolisen (exempel)", "Swedish Security Service (example)", "sapo"),
        "no-pst" => ("Politiets sikkerhetstjeneste (exempel)", "Norwegian Police Security Service (example)", "pst"),
        "fi-supo" => ("Skyddspolisen (exempel)", "Finnish Security and Intelligence Service (example)", "supo"),
        _ => ("Politiets Efterretningstjeneste (exempel)", "Danish Security and Intelligence Service (example)", "pet"),
    };
    format!(
        concat!(
            r#"{{"org":"{}","short":"{}","name":{{"sv":"{}","en":"{}"}},"country":"{}","kind":"{}","addresses":["node.{}.example:7443"],"#,
            r#""contact":"duty desk, all hours","keys":{{"ed25519":"{}","ml-dsa-65":"{}","x-wing":"{}"}},"tls-key":"{}","#,
            r#""serial":1,"issued":"2026-11-22T08:00:00.000Z"}}"#,
        ),
        org.id,
        org.short,
        sv,
        en,
        org.country,
        org.kind,
        host,
        keys.ed25519,
        keys.ml_dsa_65,
        keys.x_wing,
        "5".repeat(64),
    )
}

pub(crate) const AGREEMENT: &str = concat!(
    r#"{"id":"sapo-pst","version":1,"title":{"sv":"Säpo och PST","en":"Sapo and PST"},"form":"bilateral","#,
    r#""parties":[{"org":"no-pst","role":"member","from":"2026-11-22T08:00:00.000Z"},{"org":"se-sapo","role":"member","from":"2026-11-22T08:00:00.000Z"}],"#,
    r#""terms":{"kinds":["report","lesson","alert","correction","recall","consent"],"ceiling":"se:h","purposes":["counter-terrorism"],"#,
    r#""legal-bases":["2019:1182 2:4"],"onward":"consent","longest-retention-days":365,"joining":"all","four-eyes":true},"#,
    r#""proposed-by":"se-sapo","proposed":"2026-11-21T12:00:00.000Z","valid-from":"2026-11-22T08:00:00.000Z"}"#,
);

pub(crate) const BODY: &str = concat!(
    r#"{"id":"northern-group","version":1,"title":{"sv":"Nordliga gruppen","en":"Northern group"},"form":"body","#,
    r#""parties":[{"org":"fi-supo","role":"observer","from":"2026-11-22T08:00:00.000Z","until":"2027-11-22T08:00:00.000Z"},"#,
    r#"{"org":"no-pst","role":"secretariat","from":"2026-11-22T08:00:00.000Z"},{"org":"se-sapo","role":"chair","from":"2026-11-22T08:00:00.000Z"}],"#,
    r#""terms":{"kinds":["report","alert"],"ceiling":"eu:confidential","purposes":["border","counter-terrorism"],"legal-bases":["2018:1177 2:1","2019:1182 2:4"],"#,
    r#""onward":"within","longest-retention-days":3650,"joining":"chair","membership-confidential":true,"four-eyes":false,"#,
    r#""answer-times":{"urgent":8,"priority":72,"normal":168},"#,
    r#""duties":[{"id":"tell","text":{"sv":"Berätta för de andra","en":"Tell the others"},"within-hours":24,"unconfirmed":true}]},"#,
    r#""proposed-by":"se-sapo","proposed":"2026-11-21T12:00:00.000Z","valid-from":"2026-11-22T08:00:00.000Z","valid-until":"2031-11-22T08:00:00.000Z"}"#,
);

/// A revocation by no-pst of its own card.
pub(crate) fn revocation(cast: &Cast) -> String {
    let fingerprint = cast.pst.expanded.public().fingerprint();
    format!(r#"{{"by":"no-pst","org":"no-pst","fingerprint":"{fingerprint}","reason":"keys.json was stolen","at":"2026-12-01T08:00:00.000Z"}}"#)
}

/// The word of the keys of se-sapo on those that follow.
pub(crate) fn succession(cast: &Cast) -> String {
    let [from, to] = [&cast.sapo, &cast.later].map(|org| org.expanded.public().fingerprint());
    format!(r#"{{"org":"se-sapo","from":"{from}","to":"{to}","at":"2026-12-01T08:00:00.000Z"}}"#)
}

pub(crate) const WITHDRAWAL: &str = r#"{"org":"no-pst","agreement":"sapo-pst","at":"2026-12-01T08:00:00.000Z"}"#;

/// The header of a report from se-sapo to no-pst.
pub(crate) fn record() -> String {
    let commitment = Digest::of_parts(&[&SALT, CONTENT.as_bytes()]);
    format!(
        concat!(
            r#"{{"kind":"report","originator":"se-sapo","number":"SAPO-2026-000123","version":1,"agreement":{{"id":"sapo-pst","version":1}},"#,
            r#""audience":["no-pst"],"marking":{{"classification":"se:k","tlp":"amber"}},"grading":"admiralty:B2","purpose":"counter-terrorism","#,
            r#""legal-basis":"2019:1182 2:4","categories":["suspected","other"],"language":"sv","created":"2026-11-22T08:30:00.000Z","#,
            r#""retain-until":"2027-02-20T08:30:00.000Z","content":{{"sha256":"{}","size":{}}}}}"#,
        ),
        commitment,
        CONTENT.len(),
    )
}

/// The record's id.
pub(crate) fn record_id() -> Digest {
    Digest::of(record().as_bytes())
}

/// A checkpoint of an organisation's ledger, signed by it.
pub(crate) fn note(org: &Org) -> String {
    let name = format!("{}/ledger", org.id);
    checkpoint(org).sign(&name, &org.ed25519).expect("the key signs")
}

/// The ledger of the three entries in `docs/protocol/ledger.md`, whoever it is.
pub(crate) fn checkpoint(org: &Org) -> Checkpoint {
    let root: Digest = "82fac0c37d1c27fb094b5aeafde0cade47a5d573d827291fbf5399ee3f4283e3".parse().expect("a digest written here");
    Checkpoint::new(format!("{}/ledger", org.id), 3, *root.as_bytes()).expect("a checkpoint written here")
}

/// A JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text is JSON")
}

/// The header of the first parcel from se-sapo to no-pst, with these items: kind and bytes of each.
pub(crate) fn parcel(cast: &Cast, items: &[(&str, Vec<u8>)]) -> String {
    let named: Vec<String> = items.iter().map(|(kind, bytes)| format!(r#"{{"kind":"{kind}","digest":"{}"}}"#, Digest::of(bytes))).collect();
    format!(
        r#"{{"from":"se-sapo","to":"no-pst","sequence":1,"previous":"{}","created":"2026-11-22T08:31:00.000Z","checkpoint":{},"seen":0,"consistency":[],"items":[{}]}}"#,
        "0".repeat(64),
        quoted(&note(&cast.sapo)),
        named.join(","),
    )
}

/// The receipt for that parcel.
pub(crate) fn receipt(cast: &Cast, pen: &Pen) -> String {
    let header = parcel::header(cast, pen);
    let outcomes: Vec<String> =
        parcel::items(cast, pen).iter().map(|(_, bytes)| format!(r#"{{"item":"{}","result":"accepted"}}"#, Digest::of(bytes))).collect();
    let at = "2026-11-22T08:31:02.000Z".parse().expect("a time written here");
    let cosignature = checkpoint(&cast.sapo).cosign("no-pst/ledger", &cast.pst.ed25519, at).expect("the key signs");
    format!(
        concat!(
            r#"{{"holder":"no-pst","sender":"se-sapo","sequence":1,"parcel":"{}","outcomes":[{}],"checkpoint":{},"seen":0,"#,
            r#""consistency":[],"cosignature":{},"received":"2026-11-22T08:31:02.000Z"}}"#,
        ),
        Digest::of(header.as_bytes()),
        outcomes.join(","),
        quoted(&note(&cast.pst)),
        quoted(&cosignature),
    )
}

pub(crate) fn notice() -> String {
    format!(r#"{{"holder":"no-pst","originator":"se-sapo","record":"{}","state":"held","at":"2026-11-22T08:31:02.000Z"}}"#, record_id())
}

/// The record's salt, in digits.
pub(crate) fn salt() -> String {
    hex(&SALT)
}
