//! The chest: secrets that are given to the nodes, and who may have them.

use crate::pair::Outcome;

/// A value that occurs nowhere else.
pub(crate) struct Secret {
    /// As the table calls it.
    pub(crate) name: &'static str,
    pub(crate) value: Vec<u8>,
    /// Organisations whose readers get it.
    pub(crate) holders: Vec<&'static str>,
    /// It was recalled: afterwards only the first of the holders, its originator, has it.
    pub(crate) recalled: bool,
}

impl Secret {
    /// Whether an organisation may have it, wherever it may have it.
    pub(crate) fn may_be_at(&self, org: &str, after_recall: bool) -> bool {
        let holders = if after_recall && self.recalled { self.holders.get(..1).unwrap_or_default() } else { &self.holders };
        holders.contains(&org)
    }
}

/// All of them.
#[derive(Default)]
pub(crate) struct Chest {
    pub(crate) secrets: Vec<Secret>,
}

impl Chest {
    /// A new secret of 128 random bits, in hex.
    pub(crate) fn draw(&mut self, name: &'static str, holders: &[&'static str]) -> Outcome<String> {
        let mut bytes = [0; 16];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "there are no random bytes")?;
        let value: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.keep(name, holders, value.as_bytes());
        Ok(value)
    }

    /// A secret that somebody else drew.
    pub(crate) fn keep(&mut self, name: &'static str, holders: &[&'static str], value: &[u8]) {
        self.secrets.push(Secret { name, value: value.to_vec(), holders: holders.to_vec(), recalled: false });
    }

    /// What was drawn until now was recalled, if its name is such.
    pub(crate) fn recall(&mut self, such: impl Fn(&str) -> bool) {
        for secret in self.secrets.iter_mut().filter(|secret| such(secret.name)) {
            secret.recalled = true;
        }
    }
}
