//! Writes the seeds of the corpus: for each target what it takes when nothing is wrong, and little more.
//!
//! Signatures are not the same twice, so a seed is written once and kept; run this again only when a form changes.

// Gives the counters, which all code here is built with, somewhere to count.
use libfuzzer_sys as _;

use std::path::Path;
use std::{fs, io};

use format::Signed;
use format::checkpoint::Checkpoint;
use format::merkle::Frontier;
use format::parcel::Item;
use format::receipt::{ItemResult, Outcome, Receipt};
use format::record::Salted;
use format::recovery::{Account, Ask, Inquiry};
use format::verify::to_payload;
use format::{Digest, Timestamp};
use node::exchange::Answer;
use node::node::ledger_name;
use samverkan_fuzz::cast::{Cast, agreement, cast, header, now, signed};
use samverkan_fuzz::inbound;

fn main() -> io::Result<()> {
    let cast = cast();
    for (target, seeds) in seeds(cast) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        fs::create_dir_all(&folder)?;
        for (name, bytes) in seeds {
            fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(())
}

type Seeds = Vec<(&'static str, Vec<u8>)>;

fn seeds(cast: &Cast) -> Vec<(&'static str, Seeds)> {
    let content = Salted { salt: [7; 32], bytes: br#"{"title":"A title","text":"Some words."}"#.to_vec() };
    let header = header(cast.peer.org(), content.reference());
    let record = signed(&header, &cast.peer);
    let envelope = inbound::sample(cast);
    let opened = cast.me.opening.open(cast.me.org(), &envelope).expect("the sample opens");
    let whole = Signed::parse(&record).expect("a signed header");
    let item = Item::Record { signed: Box::new(whole), content: content.clone(), evidence: Box::default() };
    let piece = Item::Piece { record: format::RecordId(Digest::of(&record)), attachment: 0, index: 0, proof: vec![[1; 32]], bytes: vec![2; 16] };
    vec![
        ("json", vec![("header", to_payload(&header).expect("a header")), ("content", content.bytes.clone())]),
        ("signed", vec![("record", record), ("agreement", signed(&agreement(), &cast.third)), ("receipt", receipt(cast))]),
        ("card", vec![("one", cast.cards.first().cloned().unwrap_or_default())]),
        ("envelope", vec![("sample", envelope)]),
        ("parcel", vec![("opened", opened), ("record", item.to_bytes()), ("piece", piece.to_bytes())]),
        ("checkpoint", vec![("signed", note(cast).into_bytes()), ("cosigned", cosigned(cast).into_bytes())]),
        ("stix", vec![("bundle", include_bytes!("../../../format/testdata/stix/made-up-bundle.json").to_vec())]),
        ("answer", vec![("receipt", Answer::Receipt(receipt(cast)).to_bytes()), ("expected", Answer::Expected(7).to_bytes())]),
        ("marking", vec![("two", markings()), ("chosen", (0..24).collect())]),
        ("recovery", vec![("ask", ask(cast)), ("account", account(cast))]),
        ("proof", vec![("counting", (0..=255).collect())]),
        ("inbound", vec![("nothing", Vec::new()), ("counting", (0..=255).collect())]),
    ]
}

fn checkpoint(cast: &Cast) -> Checkpoint {
    Checkpoint::new(ledger_name(cast.peer.org()), 0, Frontier::default().root()).expect("an empty ledger has a checkpoint")
}

fn note(cast: &Cast) -> String {
    checkpoint(cast).sign(&ledger_name(cast.peer.org()), cast.peer.ed25519()).expect("a ledger's name is a name")
}

fn cosigned(cast: &Cast) -> String {
    let line = checkpoint(cast).cosign(&ledger_name(cast.peer.org()), cast.peer.ed25519(), now()).expect("a ledger's name is a name");
    note(cast) + &line
}

fn receipt(cast: &Cast) -> Vec<u8> {
    let receipt = Receipt {
        holder: cast.peer.org().clone(),
        sender: cast.me.org().clone(),
        sequence: 1,
        parcel: Digest::of(b"parcel"),
        outcomes: vec![Outcome { item: Digest::of(b"item"), result: ItemResult::Refused, reasons: ["not-in-force".to_owned()].into() }],
        checkpoint: note(cast),
        seen: 0,
        consistency: Vec::new(),
        cosignature: String::new(),
        received: Timestamp::from_ms(now().as_ms() + 1000),
        era: None,
    };
    signed(&receipt, &cast.peer)
}

fn ask(cast: &Cast) -> Vec<u8> {
    let inquiry = Inquiry {
        org: cast.peer.org().clone(),
        to: cast.me.org().clone(),
        era: now(),
        checkpoint: note(cast),
        acknowledged: 0,
        received: 0,
        cosigned: None,
        cosigned_consistency: Vec::new(),
        receipted_consistency: Vec::new(),
        parcel_seen: 0,
        receipt_seen: 0,
        recovery: None,
        asked: now(),
    };
    let inquiry = Signed::parse(&signed(&inquiry, &cast.peer)).expect("a signed inquiry");
    Ask { inquiry, recovery: None }.to_bytes()
}

fn account(cast: &Cast) -> Vec<u8> {
    let account = Account {
        org: cast.peer.org().clone(),
        to: cast.me.org().clone(),
        inquiry: Digest::of(b"inquiry"),
        era: None,
        accepted: false,
        received: 0,
        received_digest: Digest::from([0; 32]),
        acknowledged: 0,
        acknowledged_digest: Digest::from([0; 32]),
        parcel_checkpoint: None,
        parcel_consistency: Vec::new(),
        receipt_checkpoint: None,
        receipt_consistency: Vec::new(),
        seen_in_parcel: Some(note(cast)),
        seen_in_receipt: None,
        at: now(),
    };
    signed(&account, &cast.peer)
}

fn markings() -> Vec<u8> {
    let first = r#"{"classification":"se:h","tlp":"amber+strict","pap":"red","handling":["h1"],"caveats":["originator-control"]}"#;
    let second = r#"{"classification":"xx:what","tlp":"ex:chr","releasable-to":["se-one","se-two"]}"#;
    format!("[{first},{second}]").into_bytes()
}
