//! Markings: the laws of joining, on whatever markings can be written.
//!
//! The input is a JSON array of markings. Where it is not, its bytes choose codes from lists, known and unknown.

use format::json::{Budget, parse};
use format::marking::{Classification, Marking};
use serde_json::{Value, json};

const MOST: usize = 4;

/// Joining never loosens, and neither order nor repetition changes how strict the result is.
pub fn run(bytes: &[u8]) {
    let markings = parse::<Vec<Marking>>(bytes, &Budget::HEADER).unwrap_or_else(|_| chosen(bytes));
    let markings = &markings[..markings.len().min(MOST)];
    for a in markings {
        let written = serde_json::to_string(a).expect("a marking can be written");
        assert_eq!(*a, serde_json::from_str(&written).expect("what was written can be read"), "a marking survives being written");
        assert_eq!(*a, a.join(a), "joining with itself changes nothing");
        for b in markings {
            let joined = a.join(b);
            assert!(joined.covers(a) && joined.covers(b), "joining never loosens");
            assert!(as_strict(&joined, &b.join(a)), "the order of two does not matter");
            if a.unknown_code().is_some() {
                assert!(joined.unknown_code().is_some(), "an unknown code is not lost");
            }
            for c in markings {
                assert!(as_strict(&joined.join(c), &a.join(&b.join(c))), "nor that of three");
            }
        }
    }
}

fn as_strict(a: &Marking, b: &Marking) -> bool {
    a.covers(b) && b.covers(a)
}

fn chosen(bytes: &[u8]) -> Vec<Marking> {
    bytes.chunks_exact(6).take(MOST).filter_map(|choice| serde_json::from_value(value(choice)).ok()).collect()
}

fn value(choice: &[u8]) -> Value {
    let &[classification, tlp, pap, handling, caveats, organisations] = choice else {
        return Value::Null;
    };
    let known: Vec<Classification> = Classification::known().collect();
    let classification = known.get(usize::from(classification)).map_or("xx:what", Classification::as_str);
    let one = |codes: &[&str], at: u8| codes[usize::from(at) % codes.len()].to_owned();
    let some = |codes: &[&str], of: u8| -> Vec<String> {
        codes.iter().enumerate().filter(|(bit, _)| of & (1 << bit) != 0).map(|(_, code)| (*code).to_owned()).collect()
    };
    let mut value = json!({
        "classification": classification,
        "tlp": one(&["clear", "green", "amber", "amber+strict", "red", "ex:chr", "ex:a"], tlp),
        "handling": some(&["h0", "h1", "h2", "h3", "h9"], handling),
        "caveats": some(&["originator-control", "national-only", "z"], caveats),
    });
    if pap % 2 == 1 {
        value["pap"] = one(&["clear", "green", "amber", "red", "q"], pap / 2).into();
    }
    if organisations & 1 == 1 {
        value["releasable-to"] = some(&["aa", "bb", "cc", "dd"], organisations >> 1).into();
    }
    value
}
