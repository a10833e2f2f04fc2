//! A restored node's question, and a peer's account.

use format::recovery::{Account, Ask};
use format::verify::verify;
use node::recovery::Asked;

use crate::cast::cast;

/// A question survives being written, and one that is believed is its carrier's; an account is its signer's.
pub fn run(bytes: &[u8]) {
    let cast = cast();
    if let Ok(ask) = Ask::parse(bytes) {
        assert_eq!(ask.to_bytes(), bytes, "a question has one encoding");
    }
    if let Ok(asked) = Asked::read(cast.me.org(), cast.peer.org(), bytes, cast.directory.as_ref()) {
        assert_eq!(asked.from(), cast.peer.org(), "a question is its carrier's");
    }
    if let Ok(account) = verify::<Account>(bytes, cast.directory.as_ref()) {
        assert_eq!(*account.signer(), account.org, "an account is its signer's");
    }
}
