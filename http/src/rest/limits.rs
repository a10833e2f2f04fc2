//! The limits of the REST face, in one place.
//!
//! Larger things have limits of their own where they are defined: signed messages in [`format::verify`], attachments
//! in [`format::attachment`], pages of records in [`node::ports`].

use std::time::Duration;

use format::json::Budget;

/// Most JSON bodies: names, reasons, roles.
pub(crate) const SMALL_BODY: Budget = Budget { bytes: 64 * 1024, depth: 8, values: 4096, string: 16 * 1024 };
/// A draft with its text and an embedded bundle: what a record's content may be, and its header around it.
pub(crate) const DRAFT_BODY: Budget = Budget { bytes: (1 << 20) + 128 * 1024, depth: 40, values: 100_000, string: 1 << 20 };
/// An agreement, as it is signed.
pub(crate) const AGREEMENT_BODY: Budget = Budget::HEADER;
/// House rules.
pub(crate) const MAX_HOUSE_RULES: usize = 256 * 1024;

/// The whole of a body that is read at once.
pub(crate) const BODY_TIME: Duration = Duration::from_secs(30);
/// The next part of a body that is read piece by piece.
pub(crate) const PART_TIME: Duration = Duration::from_secs(30);

/// Rows in a page when nothing is said.
pub(crate) const PAGE: usize = 50;
/// Ledger entries in a page, and read at one time for an export.
pub(crate) const MAX_ENTRIES: usize = 200;
/// Days that a token can live.
pub(crate) const MAX_TOKEN_DAYS: u32 = 366;
