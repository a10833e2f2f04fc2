//! `[store]`: where everything is kept, and how much of the machine that takes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ensure;
use crate::keyed::Fault;

/// Where everything is kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Store {
    pub(crate) file: PathBuf,
    /// Empty where the file is the store.
    pub(crate) database: String,
    pub(crate) password_file: PathBuf,
    pub(crate) authority_file: PathBuf,
    pub(crate) synchronous_standby: bool,
    pub(crate) largest_gib: u32,
    pub(crate) cache_mib: u32,
    pub(crate) readers: u32,
    pub(crate) reader_cache_mib: u32,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            file: PathBuf::from("samverkan.db"),
            database: String::new(),
            password_file: PathBuf::new(),
            authority_file: PathBuf::new(),
            synchronous_standby: false,
            largest_gib: 0,
            cache_mib: 8,
            readers: 4,
            reader_cache_mib: 2,
        }
    }
}

impl Store {
    pub(super) fn check(&self, faults: &mut Vec<Fault>) {
        let postgres = self.database.starts_with("postgres://") || self.database.starts_with("postgresql://");
        ensure(self.database.is_empty() || postgres, "store.database", "must be like postgres://samverkan@localhost/samverkan, or empty", faults);
        let alone = self.password_file.as_os_str().is_empty() && self.authority_file.as_os_str().is_empty() && !self.synchronous_standby;
        ensure(postgres || alone, "store.database", "is empty, and what is set beside it is for a database alone", faults);
        ensure(self.largest_gib <= 262_144, "store.largest-gib", "must be at most 262144", faults);
        ensure((1..=4096).contains(&self.cache_mib), "store.cache-mib", "must be 1 to 4096", faults);
        ensure((1..=64).contains(&self.readers), "store.readers", "must be 1 to 64", faults);
        ensure((1..=4096).contains(&self.reader_cache_mib), "store.reader-cache-mib", "must be 1 to 4096", faults);
    }
}
