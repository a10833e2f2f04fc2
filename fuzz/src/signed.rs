//! Signed messages from strangers, in every context in which one is read.

use format::Signed;
use format::agreement::{Agreement, Withdrawal};
use format::card::{Card, Revocation, Succession};
use format::parcel::ParcelHeader;
use format::receipt::{Notice, Receipt};
use format::record::Header;
use format::verify::{KeyDirectory, Statement, verify};

use crate::cast::cast;

/// There is one spelling of a message, and what verifies is the statement of somebody whose keys are held.
pub fn run(bytes: &[u8]) {
    if let Ok(signed) = Signed::parse(bytes) {
        assert_eq!(signed.to_bytes(), bytes, "a message has one encoding");
    }
    let holds = [
        holds::<Header>(bytes),
        holds::<Card>(bytes),
        holds::<Revocation>(bytes),
        holds::<Succession>(bytes),
        holds::<Agreement>(bytes),
        holds::<Withdrawal>(bytes),
        holds::<ParcelHeader>(bytes),
        holds::<Receipt>(bytes),
        holds::<Notice>(bytes),
    ];
    assert!(holds.into_iter().filter(|held| *held).count() <= 1, "a signature holds in one context");
}

fn holds<T: Statement>(bytes: &[u8]) -> bool {
    let directory = &*cast().directory;
    let Ok(statement) = verify::<T>(bytes, directory) else {
        return false;
    };
    assert!(directory.keys(statement.signer()).is_some(), "the signer's card is held");
    assert!(statement.value().may_be_signed_by(statement.signer()), "the statement is the signer's to make");
    assert!(statement.value().check().is_ok(), "the statement is well formed");
    true
}
