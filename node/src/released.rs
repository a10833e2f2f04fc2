//! The door out: [`Released`].
//!
//! Nothing leaves a node except inside a `Released` value. It names its recipient, is made only where a decision has
//! been taken and its ledger entry written, cannot be copied, and is consumed by handing it over: what was released
//! for one recipient cannot reach another.

use format::OrgId;

/// To whom something is released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// Another organisation.
    Organisation(OrgId),
    /// A member of this organisation.
    Member(String),
}

/// Something that may leave, to one recipient.
#[derive(Debug)]
#[must_use = "what is released has been written down as disclosed; hand it over or drop it knowingly"]
pub struct Released<T> {
    to: Recipient,
    value: T,
}

impl<T> Released<T> {
    /// Made in this crate alone, by the acts that decide and write the ledger entry.
    pub(crate) const fn new(to: Recipient, value: T) -> Self {
        Self { to, value }
    }

    /// The same release of what comes of the value.
    pub(crate) fn try_map<U, E>(self, change: impl FnOnce(T) -> Result<U, E>) -> Result<Released<U>, E> {
        Ok(Released { to: self.to, value: change(self.value)? })
    }

    /// To whom it is released.
    #[must_use]
    pub const fn to(&self) -> &Recipient {
        &self.to
    }

    /// Gives the value to whoever hands it over to `recipient`.
    ///
    /// # Errors
    /// It was released to someone else; it is given back.
    pub fn hand_to(self, recipient: &Recipient) -> Result<T, Self> {
        if self.to == *recipient { Ok(self.value) } else { Err(self) }
    }
}
