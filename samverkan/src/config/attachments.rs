//! `[attachments]`: a place outside the store for attachments.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::place::PlaceAt;

/// Where attachments are kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Attachments {
    pub(crate) place: String,
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) credentials_file: PathBuf,
    pub(crate) certificate_file: PathBuf,
}

impl Default for Attachments {
    fn default() -> Self {
        Self {
            place: String::new(),
            endpoint: String::new(),
            region: "us-east-1".to_owned(),
            credentials_file: PathBuf::from("attachments-credentials"),
            certificate_file: PathBuf::from("attachments.pem"),
        }
    }
}

impl Attachments {
    pub(crate) fn at(&self) -> PlaceAt<'_> {
        PlaceAt {
            section: "attachments",
            place: &self.place,
            endpoint: &self.endpoint,
            region: &self.region,
            credentials_file: &self.credentials_file,
            certificate_file: &self.certificate_file,
        }
    }
}
