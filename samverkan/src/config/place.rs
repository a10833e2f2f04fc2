//! A place outside the node, as more than one section of the configuration names it.

use std::path::Path;

use super::ensure;
use crate::keyed::Fault;

/// A folder or a bucket.
#[derive(Debug)]
pub(crate) struct PlaceAt<'a> {
    /// The section that names it.
    pub(crate) section: &'static str,
    pub(crate) place: &'a str,
    pub(crate) endpoint: &'a str,
    pub(crate) region: &'a str,
    pub(crate) credentials_file: &'a Path,
    pub(crate) certificate_file: &'a Path,
}

impl PlaceAt<'_> {
    /// Bucket and prefix, where it is a bucket.
    pub(crate) fn bucket(&self) -> Option<(&str, &str)> {
        let rest = self.place.strip_prefix("s3://")?;
        Some(rest.split_once('/').unwrap_or((rest, "")))
    }

    pub(super) fn check(&self, faults: &mut Vec<Fault>) {
        let reached = self.bucket().is_none() || !self.endpoint.is_empty();
        ensure(reached, &format!("{}.endpoint", self.section), "must say where the bucket is: https://HOST:PORT", faults);
    }
}
