//! Cards by which strangers introduce themselves.

use format::card::introduce;

/// A card that introduces somebody is that somebody's, with the keys that it names.
pub fn run(bytes: &[u8]) {
    if let Ok((card, keys)) = introduce(bytes) {
        assert_eq!(*card.signer(), card.org, "a card is signed by whom it introduces");
        assert_eq!(card.keys, *keys.texts(), "the keys are those of the card");
    }
}
