//! `[mailbox]`: a place where parcels wait for nodes that cannot be reached directly.

use std::collections::BTreeSet;
use std::path::PathBuf;

use format::OrgId;
use serde::{Deserialize, Serialize};

use super::ensure;
use super::place::PlaceAt;
use crate::keyed::Fault;

/// A place where parcels wait.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Mailbox {
    pub(crate) place: String,
    pub(crate) peers: BTreeSet<OrgId>,
    pub(crate) padding: bool,
    pub(crate) visit_seconds: u32,
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) credentials_file: PathBuf,
    pub(crate) certificate_file: PathBuf,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self {
            place: String::new(),
            peers: BTreeSet::new(),
            padding: true,
            visit_seconds: 5,
            endpoint: String::new(),
            region: "us-east-1".to_owned(),
            credentials_file: PathBuf::from("mailbox-credentials"),
            certificate_file: PathBuf::from("mailbox.pem"),
        }
    }
}

impl Mailbox {
    pub(crate) fn at(&self) -> PlaceAt<'_> {
        PlaceAt {
            section: "mailbox",
            place: &self.place,
            endpoint: &self.endpoint,
            region: &self.region,
            credentials_file: &self.credentials_file,
            certificate_file: &self.certificate_file,
        }
    }

    pub(super) fn check(&self, faults: &mut Vec<Fault>) {
        ensure((1..=3600).contains(&self.visit_seconds), "mailbox.visit-seconds", "must be 1 to 3600", faults);
        let named = !self.place.is_empty() || self.peers.is_empty();
        ensure(named, "mailbox.place", "must say where the mailbox is: a folder, s3://BUCKET or s3://BUCKET/PREFIX", faults);
        self.at().check(faults);
    }
}
