//! A peer's answer to a parcel.

use node::exchange::{Acknowledgement, Answer};

use crate::cast::cast;

/// An answer survives being written, and one that is acknowledged is the peer's.
pub fn run(bytes: &[u8]) {
    let cast = cast();
    let Some(answer) = Answer::parse(bytes) else {
        return;
    };
    assert_eq!(Answer::parse(&answer.to_bytes()), Some(answer), "an answer survives being written");
    if let Ok(acknowledgement) = Acknowledgement::read(cast.peer.org(), bytes, &cast.directory) {
        assert_eq!(acknowledgement.from(), cast.peer.org(), "an answer is its peer's");
    }
}
