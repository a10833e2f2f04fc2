//! STIX bundles as they come embedded in a record.

use format::json::{Budget, check};
use format::stix::summary;

/// A bundle that has a summary has passed the gate for JSON.
pub fn run(bytes: &[u8]) {
    match summary(bytes) {
        Ok(_) => assert!(check(bytes, &Budget::STIX).is_ok(), "a bundle is JSON within its budget"),
        Err(fault) => assert!(!fault.to_string().is_empty(), "a fault tells what it is"),
    }
}
