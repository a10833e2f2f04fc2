//! Envelopes as they come from the network, a mailbox or a stick.

use crate::cast::cast;

/// Opening comes back, and what opens goes on to the parcel's own reader.
pub fn run(bytes: &[u8]) {
    let cast = cast();
    match cast.me.opening.open(cast.me.org(), bytes) {
        Ok(plain) => crate::parcel::run(&plain),
        Err(fault) => assert!(!fault.code().is_empty(), "a fault has a code"),
    }
}
