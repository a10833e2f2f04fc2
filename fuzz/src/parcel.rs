//! Opened parcels and their items, before anything is believed.

use format::parcel::{self, Item};

use crate::cast::cast;

/// An item has one encoding, and a parcel that is read has the items that its header names.
pub fn run(bytes: &[u8]) {
    if let Ok(item) = Item::parse(bytes) {
        assert_eq!(item.to_bytes(), bytes, "an item has one encoding");
    }
    if let Ok(parcel) = parcel::read(bytes, &*cast().directory) {
        assert_eq!(parcel.items.len(), parcel.header.items.len(), "each item is there or known to be missing");
        let again = parcel::write(parcel.header.signed(), &parcel.items);
        assert!(parcel::read(&again, &*cast().directory).is_ok(), "what was read can be written and read");
    }
}
