//! Recovery: a node that was restored from a backup, as its own members see it, and as a peer's do.

use format::OrgId;
use format::checkpoint::Checkpoint;
use format::recovery::{Account, Recovery};
use node::rows::{PeerRow, RecoveryRow, Suspicion};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How this node's own recovery stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RecoveryView {
    /// Whether the node was restored and is open for reading alone, until two members approve that it goes on.
    pub restored: bool,
    /// When the era began that the last restoring began; none if the node was never restored.
    #[schema(format = DateTime)]
    pub era: Option<String>,
    /// How many entries the ledger had as it was restored.
    pub entries: u64,
    /// Members who have approved.
    pub approved_by: Vec<String>,
    /// SHA-256 of the recovery, once it is declared: what partners compare over another channel.
    pub recovery: Option<String>,
    /// What each peer knows.
    pub peers: Vec<HeardView>,
}

/// What one peer last saw of this node.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct HeardView {
    /// The peer.
    pub org: String,
    /// Whether exchange with it goes on.
    pub settled: bool,
    /// Whether it has said what it last saw.
    pub heard: bool,
    /// The largest ledger that it saw: what is beyond the restored one is lost.
    pub entries: Option<u64>,
    /// The last parcel of this node's that it took in.
    pub received: Option<u64>,
}

impl RecoveryView {
    pub(crate) fn of(recovery: Option<&RecoveryRow>, peers: &[PeerRow], account: impl Fn(&OrgId) -> Option<Account>) -> Self {
        let size = |note: &String| Checkpoint::claimed(note).map(|checkpoint| checkpoint.size());
        let heard = |peer: &PeerRow| {
            let account = account(&peer.org);
            let entries = account.as_ref().and_then(|account| [&account.seen_in_parcel, &account.seen_in_receipt].into_iter().flatten().filter_map(size).max());
            HeardView {
                org: peer.org.to_string(),
                settled: peer.suspicion != Some(Suspicion::Restored),
                heard: account.is_some(),
                entries,
                received: account.map(|account| account.received),
            }
        };
        Self {
            restored: recovery.is_some_and(|recovery| recovery.declared.is_none()),
            era: recovery.map(|recovery| recovery.era.to_string()),
            entries: recovery.map_or(0, |recovery| recovery.size),
            approved_by: recovery.map(|recovery| recovery.approvals.iter().map(|(member, _)| member.clone()).collect()).unwrap_or_default(),
            recovery: recovery.and_then(|recovery| recovery.declared).map(|digest| digest.to_string()),
            peers: if recovery.is_some() { peers.iter().map(heard).collect() } else { Vec::new() },
        }
    }
}

/// A peer's recovery that waits for a person here.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PendingRecovery {
    /// Its SHA-256, to be compared over another channel.
    pub recovery: String,
    /// When the new era began.
    #[schema(format = DateTime)]
    pub era: String,
    /// How many entries the peer's ledger was restored with.
    pub entries: u64,
    /// The largest ledger of the peer's that was seen here: what is beyond the restored one is lost.
    pub seen: u64,
}

impl PendingRecovery {
    pub(crate) fn of(row: &PeerRow, digest: format::Digest, recovery: &Recovery) -> Self {
        let seen = [&row.checkpoint, &row.receipt_checkpoint].into_iter().flatten().map(|seen| seen.size).max();
        Self {
            recovery: digest.to_string(),
            era: recovery.era.to_string(),
            entries: Checkpoint::claimed(&recovery.checkpoint).map_or(0, |checkpoint| checkpoint.size()),
            seen: seen.unwrap_or(0),
        }
    }
}

/// Which recovery was compared.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ComparedRecovery {
    /// Its SHA-256.
    pub recovery: String,
}

/// With which key a backup is to be opened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupKey {
    /// The recovery key's fingerprint.
    pub key: String,
}
