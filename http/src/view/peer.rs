//! Peers: how exchange with each organisation goes; and how the node is.

use format::OrgId;
use node::ports::Counts;
use node::rows::PeerRow;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::recovery::PendingRecovery;
use super::words;
use crate::handle::PeerHealth;
use crate::problem::Point;

/// The organisations with which this node exchanges.
#[derive(Debug, Serialize, ToSchema)]
pub struct Peers {
    /// Ordered by organisation.
    pub peers: Vec<PeerView>,
}

/// How exchange with one organisation goes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PeerView {
    /// The organisation.
    pub org: String,
    /// What waits to leave for it.
    pub waiting: u64,
    /// The last parcel put together for it.
    pub sent: u64,
    /// The last parcel for which it has given a receipt.
    pub acknowledged: u64,
    /// The last parcel taken in from it.
    pub received: u64,
    /// Whether it answered when it was last tried; none before the first try.
    pub reachable: Option<bool>,
    /// When its last receipt arrived, since this node was started.
    #[schema(format = DateTime)]
    pub last_receipt: Option<String>,
    /// Tries in a row that failed.
    pub failed_tries: u32,
    /// Why exchange is stopped until a person has looked, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::suspicion, required = false)]
    pub suspicion: Option<&'static str>,
    /// Its recovery from a backup, where one waits for a person here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<PendingRecovery>,
}

impl PeerView {
    pub(crate) fn of(org: &OrgId, row: Option<&PeerRow>, waiting: u64, health: Option<&PeerHealth>, recovery: Option<PendingRecovery>) -> Self {
        Self {
            org: org.to_string(),
            waiting,
            sent: row.map_or(0, |row| row.sent),
            acknowledged: row.map_or(0, |row| row.acknowledged),
            received: row.map_or(0, |row| row.received),
            reachable: health.and_then(|health| health.reachable),
            last_receipt: health.and_then(|health| health.last_receipt).map(|at| at.to_string()),
            failed_tries: health.map_or(0, |health| health.retries),
            suspicion: row.and_then(|row| row.suspicion).map(|suspicion| suspicion.as_str()),
            recovery,
        }
    }
}

/// From where exchange goes on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resumption {
    /// The number of the next parcel to be taken in from the organisation.
    pub from: u64,
}

/// How the node is, in numbers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// The organisation whose node this is.
    pub organisation: String,
    /// The node's time.
    #[schema(format = DateTime)]
    pub now: String,
    /// Records held, drafts included.
    pub records: u64,
    /// Ledger entries.
    pub entries: u64,
    /// Rows that wait to leave, over all organisations.
    pub waiting: u64,
    /// Parcels without a receipt, over all organisations.
    pub parcels: u64,
    /// Organisations that did not answer when they were last tried.
    pub unreachable: usize,
    /// Organisations with which exchange is stopped until a person has looked.
    pub stopped: usize,
    /// Whether the node was restored from a backup and is open for reading alone, until two members approve that it goes on.
    pub restored: bool,
    /// What keeps the node from its work.
    pub troubles: Vec<Point>,
}

impl Status {
    pub(crate) fn of(
        organisation: &OrgId,
        now: format::Timestamp,
        counts: Counts,
        unreachable: usize,
        stopped: usize,
        restored: bool,
        troubles: Vec<Point>,
    ) -> Self {
        Self {
            organisation: organisation.to_string(),
            now: now.to_string(),
            records: counts.records,
            entries: counts.entries,
            waiting: counts.outgoing,
            parcels: counts.parcels,
            unreachable,
            stopped,
            restored,
            troubles,
        }
    }
}

/// House rules, as their text.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HouseRulesText {
    /// The rules; empty when there are none.
    pub text: String,
}
