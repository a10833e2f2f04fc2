//! Parcels as files: what is asked for a bundle, and what was found in one.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use format::OrgId;
use format::receipt::Why;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What of each list is told; beyond, it is only counted.
const MAX_TOLD: usize = 100;

/// Which parcels go into a bundle.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Wanted {
    /// Begin with the parcel of this number; with the first that has no receipt, when nothing is said.
    pub from: Option<u64>,
    /// Only what was never in a parcel before.
    #[serde(default)]
    pub new: bool,
    /// Begin no further parcel once there are this many bytes.
    #[param(minimum = 1)]
    pub most: Option<u64>,
}

/// Which answers go into a bundle.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// The number of the first parcel that is answered.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
}

/// What was found in the bytes of one or several bundles, and what became of it.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CarriedIn {
    /// Parcels for this node, by sender.
    pub parcels: Vec<FromSender>,
    /// Answers to this node's parcels, by who gave them.
    pub answers: Vec<FromHolder>,
    /// Parcels and answers for other organisations; they were left alone.
    pub others: Vec<ForOther>,
    /// Parts that came as they were written and were refused all the same.
    pub refused: Vec<RefusedPart>,
    /// Places where bytes were lost.
    pub damaged: Vec<Lost>,
    /// Further refusals and damages, not told one by one.
    pub further: u64,
    /// Bundles that came to their end with every part.
    pub whole: u64,
    /// Bundles whose end came and from which parts are missing, or are not in their order.
    pub incomplete: u64,
    /// Whether the bytes ended before the last bundle did.
    pub cut_short: bool,
    /// From where on nothing was read, because too much was damaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub given_up: Option<u64>,
}

/// Numbers from a first to a last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Numbers {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

/// What there was from one sender.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FromSender {
    /// The sender.
    pub org: String,
    /// Parcels that were taken in.
    pub taken_in: Vec<Numbers>,
    /// Items in them.
    pub items: u64,
    /// Parcels that had been taken in before.
    pub seen_before: Vec<Numbers>,
    /// Parcels that wait for an earlier one; bring them again.
    pub early: Vec<Numbers>,
    /// The number of the parcel that is awaited.
    pub awaits: u64,
    /// Why exchange with the sender is stopped, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub stopped: Option<&'static str>,
}

/// What there was from one holder.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FromHolder {
    /// The holder.
    pub org: String,
    /// Parcels for which there was a receipt.
    pub receipts: Vec<Numbers>,
    /// The last parcel for which a receipt of the holder is kept here now.
    pub acknowledged: u64,
    /// The last parcel that was put together for the holder.
    pub sent: u64,
    /// The number that the holder awaits, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub awaits: Option<u64>,
    /// Why the holder has stopped exchange, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub stopped: Option<&'static str>,
}

/// What there was for somebody else.
#[derive(Debug, Serialize, ToSchema)]
pub struct ForOther {
    /// The organisation.
    pub org: String,
    /// How many parts.
    pub parts: u64,
}

/// A part that was refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusedPart {
    /// Where it begins, in bytes.
    pub at: u64,
    /// `parcel` or `answer`.
    pub kind: &'static str,
    /// The number that its line says.
    pub number: u64,
    /// The stable code of the reason.
    pub code: &'static str,
    /// The reason in words.
    pub detail: String,
}

/// Bytes that were lost.
#[derive(Debug, Serialize, ToSchema)]
pub struct Lost {
    /// The first.
    pub from: u64,
    /// The first after them.
    pub to: u64,
}

impl CarriedIn {
    /// Notes a refusal.
    pub(crate) fn refuse(&mut self, refused: RefusedPart) {
        if self.refused.len() < MAX_TOLD { self.refused.push(refused) } else { self.further += 1 }
    }

    /// Notes a damage.
    pub(crate) fn lose(&mut self, from: u64, to: u64) {
        if self.damaged.len() < MAX_TOLD { self.damaged.push(Lost { from, to }) } else { self.further += 1 }
    }
}

/// Numbers as they come, kept as ranges.
#[derive(Debug, Default)]
pub(crate) struct Ranges(Vec<RangeInclusive<u64>>);

impl Ranges {
    /// Takes in a number. Those that follow on the last range extend it.
    pub(crate) fn add(&mut self, number: u64) {
        let room = self.0.len() < MAX_TOLD;
        match self.0.last_mut() {
            Some(last) if last.contains(&number) => {}
            Some(last) if last.end().checked_add(1) == Some(number) => *last = *last.start()..=number,
            _ if room => self.0.push(number..=number),
            _ => {}
        }
    }

    pub(crate) fn told(&self) -> Vec<Numbers> {
        self.0.iter().map(|range| Numbers { first: *range.start(), last: *range.end() }).collect()
    }
}

/// What others were sent, counted by organisation; those beyond a limit together.
pub(crate) fn others(counted: BTreeMap<OrgId, u64>) -> Vec<ForOther> {
    counted.into_iter().map(|(org, parts)| ForOther { org: org.to_string(), parts }).collect()
}

/// The word for why a holder has stopped exchange.
pub(crate) const fn stopped(why: Why) -> Option<&'static str> {
    match why {
        Why::Awaits(_) => None,
        Why::Fork => Some("fork"),
        Why::RolledBack => Some("rolled-back"),
        Why::SplitLedger => Some("split-ledger"),
        Why::Restored => Some("restored"),
    }
}
