//! Vectors of what is not a message: pieces of attachments, markings, gradings.

use samverkan_format::Digest;
use samverkan_format::merkle::{leaf_hash, node_hash};

use super::case::{Case, Join, Piece, hex};
use super::{Shelf, texts};

const PIECE: usize = 1024 * 1024;

/// The bytes of each piece of the attachment: two whole ones and a rest.
const PIECES: [(u8, usize); 3] = [(0x61, PIECE), (0x62, PIECE), (0x63, 5)];

pub(crate) fn attachments() -> Shelf {
    let mut shelf = Shelf::new("attachment", "bin");
    let leaf = |(byte, length): (u8, usize)| leaf_hash(Digest::of_parts(&[&texts::SALT, &vec![byte; length]]).as_bytes());
    let [a, b, c] = PIECES.map(leaf);
    let ab = node_hash(&a, &b);
    let root = node_hash(&ab, &c);
    let digits = |hash: &[u8; 32]| hex(hash);
    let piece = |index: u64, (byte, length): (u8, usize), proof: &[[u8; 32]]| Piece {
        size: 2 * PIECE as u64 + 5,
        root: digits(&root),
        salt: texts::salt(),
        index,
        byte: hex(&[byte]),
        length,
        proof: proof.iter().map(digits).collect(),
    };
    let mut put = |name: &str, result: &str, piece: Piece, why: &str| {
        shelf.add(Case::new(name, result, why)).piece = Some(piece);
    };
    const NO: &str = "piece-mismatch";
    let [first, second, third] = PIECES;
    put("first-of-three", "accept", piece(0, first, &[b, c]), "The first piece.");
    put("second-of-three", "accept", piece(1, second, &[a, c]), "The second piece.");
    put("last-of-three", "accept", piece(2, third, &[ab]), "The rest.");
    let alone = |length: usize| {
        let leaf = leaf((0x61, length));
        Piece { size: length as u64, root: digits(&leaf), ..piece(0, (0x61, length), &[]) }
    };
    put("one-piece", "accept", alone(1), "An attachment of one byte: the root is the leaf hash.");
    put("one-whole-piece", "accept", alone(PIECE), "An attachment of exactly 1 MiB has one piece.");
    put("other-index", NO, piece(1, first, &[b, c]), "The first piece in the second's place.");
    put("index-outside", NO, piece(3, third, &[ab]), "There is no fourth piece.");
    put("index-far-outside", NO, piece(1 << 62, third, &[ab]), "There is no such piece, and its place overflows 64 bits.");
    put("other-byte", NO, piece(1, (0x64, PIECE), &[a, c]), "Other bytes than those committed to.");
    put("one-byte-short", NO, piece(1, (0x62, PIECE - 1), &[a, c]), "Every piece but the last is 1 MiB.");
    put("one-byte-long", NO, piece(2, (0x63, 6), &[ab]), "The last piece is what the size leaves.");
    put("empty", NO, piece(2, (0x63, 0), &[ab]), "A piece has at least one byte.");
    put("proof-short", NO, piece(0, first, &[b]), "A hash is missing from the proof.");
    put("proof-long", NO, piece(2, third, &[ab, ab]), "There is a hash more in the proof than it takes.");
    put("proof-reversed", NO, piece(0, first, &[c, b]), "The hashes stand in the wrong order.");
    put("proof-empty", NO, piece(0, first, &[]), "There is no proof.");
    put("other-salt", NO, Piece { salt: "00".repeat(32), ..piece(0, first, &[b, c]) }, "The salt is not the record's.");
    put("other-root", NO, Piece { root: digits(&ab), ..piece(0, first, &[b, c]) }, "The root is not the attachment's.");
    put("other-size", NO, Piece { size: 2 * PIECE as u64 + 6, ..piece(2, third, &[ab]) }, "The size is not the attachment's.");
    shelf
}

pub(crate) fn markings() -> Shelf {
    let mut shelf = Shelf::new("marking", "json");
    let mut put = |name: &str, text: &str, unknown: Option<&str>, shown: &str, why: &str| {
        let case = shelf.add(Case::new(name, "accept", why));
        case.text = Some(text.to_owned());
        case.unknown = unknown.map(ToOwned::to_owned);
        case.shown = Some(shown.to_owned());
    };
    put("least", r#"{"classification":"se:open","tlp":"clear"}"#, None, "ÖPPEN TLP:CLEAR", "The least restrictive marking.");
    put(
        "two-parts",
        r#"{"classification":"se:h","tlp":"amber+strict","handling":["h1"]}"#,
        None,
        "HEMLIG TLP:AMBER+STRICT H1",
        "A classification, a label and a handling code.",
    );
    let full = r#"{"classification":"eu:secret","tlp":"red","pap":"amber","handling":["h0","h1","h2","h3"],"caveats":["originator-control","national-only"],"releasable-to":["fi-supo","no-pst"]}"#;
    put("full", full, None, "SECRET UE/EU SECRET TLP:RED PAP:AMBER H0 H1 H2 H3 ORIGINATOR-CONTROL NATIONAL-ONLY REL fi-supo,no-pst", "Every part.");
    put(
        "releasable-to-nobody",
        r#"{"classification":"se:k","tlp":"red","releasable-to":[]}"#,
        None,
        "KONFIDENTIELL TLP:RED REL ",
        "An empty list is a limit, unlike no list.",
    );
    put(
        "classification-unknown",
        r#"{"classification":"xx:what","tlp":"clear"}"#,
        Some("xx:what"),
        "XX:WHAT TLP:CLEAR",
        "A classification that nobody knows stands above all.",
    );
    put("tlp-unknown", r#"{"classification":"se:k","tlp":"ex:chr"}"#, Some("ex:chr"), "KONFIDENTIELL TLP:EX:CHR", "A label that nobody knows.");
    put(
        "pap-unknown",
        r#"{"classification":"se:k","tlp":"red","pap":"white"}"#,
        Some("white"),
        "KONFIDENTIELL TLP:RED PAP:WHITE",
        "Permissible actions that nobody knows.",
    );
    put(
        "handling-unknown",
        r#"{"classification":"se:k","tlp":"red","handling":["h1","h9"]}"#,
        Some("h9"),
        "KONFIDENTIELL TLP:RED H1 H9",
        "A handling code that nobody knows.",
    );
    put(
        "caveat-unknown",
        r#"{"classification":"se:k","tlp":"red","caveats":["eyes-only"]}"#,
        Some("eyes-only"),
        "KONFIDENTIELL TLP:RED EYES-ONLY",
        "A caveat that nobody knows.",
    );
    for (code, shown) in CLASSIFICATIONS {
        put(
            &format!("known-{}", code.replace(':', "-")),
            &format!(r#"{{"classification":"{code}","tlp":"clear"}}"#),
            None,
            &format!("{shown} TLP:CLEAR"),
            "A classification that is known.",
        );
    }
    let mut bad = |name: &str, result: &str, text: &str, why: &str| {
        shelf.add(Case::new(name, result, why)).text = Some(text.to_owned());
    };
    bad("tlp-missing", "shape", r#"{"classification":"se:k"}"#, "A marking has a traffic light.");
    bad("classification-missing", "shape", r#"{"tlp":"red"}"#, "A marking has a classification.");
    bad("member-unknown", "shape", r#"{"classification":"se:k","tlp":"red","colour":"red"}"#, "There is a member that nobody knows.");
    bad("member-twice", "duplicate-key", r#"{"classification":"se:k","tlp":"red","tlp":"clear"}"#, "A member is there twice.");
    bad("array", "shape", r#"["se:k","red"]"#, "A marking is an object.");
    bad("classification-without-scheme", "shape", r#"{"classification":"secret","tlp":"red"}"#, "A classification names its scheme.");
    bad("classification-two-colons", "shape", r#"{"classification":"se:k:x","tlp":"red"}"#, "A code has at most one colon.");
    bad("classification-upper-case", "shape", r#"{"classification":"SE:K","tlp":"red"}"#, "A code is in small letters.");
    bad("classification-41-characters", "shape", &format!(r#"{{"classification":"se:{}","tlp":"red"}}"#, "k".repeat(38)), "A code has at most 40 characters.");
    bad("tlp-upper-case", "shape", r#"{"classification":"se:k","tlp":"RED"}"#, "A code is in small letters.");
    bad("tlp-empty", "shape", r#"{"classification":"se:k","tlp":""}"#, "A code has at least one character.");
    bad("tlp-space", "shape", r#"{"classification":"se:k","tlp":"amber strict"}"#, "A code has no space.");
    bad("handling-as-text", "shape", r#"{"classification":"se:k","tlp":"red","handling":"h1"}"#, "Handling codes are a list.");
    bad("releasable-to-malformed", "shape", r#"{"classification":"se:k","tlp":"red","releasable-to":["NO"]}"#, "The list is of organisations.");
    joins(&mut shelf);
    shelf
}

const CLASSIFICATIONS: [(&str, &str); 17] = [
    ("se:open", "ÖPPEN"),
    ("se:bh", "BEGRÄNSAT HEMLIG"),
    ("se:k", "KONFIDENTIELL"),
    ("se:h", "HEMLIG"),
    ("se:kh", "KVALIFICERAT HEMLIG"),
    ("eu:restricted", "RESTREINT UE/EU RESTRICTED"),
    ("eu:confidential", "CONFIDENTIEL UE/EU CONFIDENTIAL"),
    ("eu:secret", "SECRET UE/EU SECRET"),
    ("eu:top-secret", "TRÈS SECRET UE/EU TOP SECRET"),
    ("nato:nu", "NATO UNCLASSIFIED"),
    ("nato:nr", "NATO RESTRICTED"),
    ("nato:nc", "NATO CONFIDENTIAL"),
    ("nato:ns", "NATO SECRET"),
    ("nato:cts", "COSMIC TOP SECRET"),
    ("uk:official", "OFFICIAL"),
    ("uk:secret", "SECRET"),
    ("uk:top-secret", "TOP SECRET"),
];

fn joins(shelf: &mut Shelf) {
    let mut put = |name: &str, (a, b, joined): (&str, &str, &str), (a_covers_b, b_covers_a): (bool, bool), why: &str| {
        shelf.add(Case::new(name, "accept", why)).join = Some(Join { a: a.to_owned(), b: b.to_owned(), joined: joined.to_owned(), a_covers_b, b_covers_a });
    };
    let open = r#"{"classification":"se:open","tlp":"clear"}"#;
    let secret = r#"{"classification":"se:h","tlp":"green"}"#;
    put("join-higher", (open, secret, secret), (false, true), "The higher of each part.");
    let (se, eu) = (r#"{"classification":"se:k","tlp":"red"}"#, r#"{"classification":"eu:confidential","tlp":"red"}"#);
    put("join-same-level", (se, eu, se), (true, true), "Of two classifications on one level the first stays.");
    let (h1, h2) = (
        r#"{"classification":"se:k","tlp":"red","handling":["h1"]}"#,
        r#"{"classification":"se:k","tlp":"red","handling":["h2"],"caveats":["national-only"]}"#,
    );
    put(
        "join-restrictive-sets",
        (h1, h2, r#"{"classification":"se:k","tlp":"red","handling":["h1","h2"],"caveats":["national-only"]}"#),
        (false, false),
        "Restrictive sets unite.",
    );
    let (wide, narrow) = (
        r#"{"classification":"se:k","tlp":"red","releasable-to":["fi-supo","no-pst"]}"#,
        r#"{"classification":"se:k","tlp":"red","releasable-to":["dk-pet","no-pst"]}"#,
    );
    put(
        "join-permissive-lists",
        (wide, narrow, r#"{"classification":"se:k","tlp":"red","releasable-to":["no-pst"]}"#),
        (false, false),
        "Permissive lists intersect.",
    );
    put("join-list-with-none", (se, wide, wide), (false, true), "A list limits; none does not.");
    let pap = r#"{"classification":"se:k","tlp":"red","pap":"clear"}"#;
    put("join-pap-with-none", (se, pap, pap), (false, true), "What is stated stands above what is not.");
    let unknown = r#"{"classification":"se:begransad","tlp":"ex:chr"}"#;
    put(
        "join-unknown",
        (r#"{"classification":"se:kh","tlp":"red"}"#, unknown, unknown),
        (false, true),
        "What nobody knows restricts more than anything known.",
    );
}

pub(crate) fn gradings() -> Shelf {
    let mut shelf = Shelf::new("grading", "json");
    let codes = |sources: &str, informations: &str| -> Vec<String> {
        sources.chars().flat_map(|source| informations.chars().map(move |information| format!("{source}{information}"))).collect()
    };
    let mut put = |name: String, result: &str, text: &str, why: &str| {
        shelf.add(Case::new(&name, result, why)).text = Some(format!("\"{text}\""));
    };
    for (scheme, codes) in [("admiralty", codes("ABCDEF", "123456")), ("4x4", codes("ABCX", "1234"))] {
        for code in codes {
            put(format!("{scheme}-{}", code.to_lowercase()), "accept", &format!("{scheme}:{code}"), "A grade of the scheme.");
        }
    }
    for (name, text, why) in [
        ("scheme-missing", "B2", "A grading names its scheme."),
        ("scheme-unknown", "6x6:B2", "There is no such scheme."),
        ("scheme-upper-case", "Admiralty:B2", "A scheme is in small letters."),
        ("source-outside", "admiralty:G1", "Sources are A to F."),
        ("information-outside", "admiralty:A7", "Information is 1 to 6."),
        ("information-0", "admiralty:A0", "Information is 1 to 6."),
        ("4x4-source-outside", "4x4:D1", "Sources are A, B, C and X."),
        ("4x4-information-outside", "4x4:A5", "Information is 1 to 4."),
        ("lower-case", "admiralty:b2", "A source is a capital letter."),
        ("turned-around", "admiralty:2B", "The source comes first."),
        ("one-more", "4x4:A11", "A grade has two characters."),
        ("one-less", "4x4:A", "A grade has two characters."),
        ("space", "admiralty: B2", "There is no space."),
        ("empty", "", "A grading says something."),
    ] {
        put(name.to_owned(), "shape", text, why);
    }
    shelf
}
