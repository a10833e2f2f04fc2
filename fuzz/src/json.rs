//! The gate for strangers' JSON, and the reading of a record's header behind it.

use format::json::{Budget, Object, check, parse};
use format::record::{Content, Header, Kind};
use format::verify::{Statement, to_payload};

/// What passes the gate is JSON to another reader as well, and a header that is well formed survives being written.
pub fn run(bytes: &[u8]) {
    for budget in [Budget::HEADER, Budget::BODY, Budget::STIX, Budget::CARD] {
        match check(bytes, &budget) {
            Ok(()) => {
                serde_json::from_slice::<&serde_json::value::RawValue>(bytes).expect("what passed the gate is JSON");
            }
            Err(fault) => {
                assert!(!fault.to_string().is_empty(), "a fault tells what it is");
            }
        }
    }
    for kind in Kind::ALL {
        let _ = Content::parse(kind, bytes);
    }
    let Ok(Object(header)) = parse::<Object<Header>>(bytes, &Header::BUDGET) else {
        return;
    };
    if header.check().is_ok() {
        let written = to_payload(&header).expect("a well-formed header can be written");
        let Object(again) = parse::<Object<Header>>(&written, &Header::BUDGET).expect("what was written can be read");
        assert_eq!(header, again, "a header survives being written and read");
    }
}
