//! Planted bugs: faults of this crate that can be switched on, so that a simulation can show that it finds them.
//!
//! Without the feature `planted`, which only the test kit asks for, no bug can be planted and every question is answered
//! no at compile time. Each bug has its line where it bites, and nothing else in the crate knows of them.

use strum::{EnumIter, IntoStaticStr};

/// A bug that can be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Bug {
    /// What waited in the queue leaves without being weighed again.
    ReleaseUnweighed,
    /// A record is taken in without asking the rules of admission.
    AdmissionUnasked,
    /// A holder that passed a record on does not hand its recall on.
    RecallNotRelayed,
    /// A recall leaves the content where it is.
    RecallKeepsContent,
    /// A recall that comes before its record is forgotten.
    TombstoneForgotten,
    /// A parcel is taken in whatever came before it.
    ForkAccepted,
    /// A receipt counts whatever parcel it is for.
    ReceiptUnmatched,
    /// A parcel leaves without a ledger entry.
    SentUnwritten,
    /// Memory does not follow the ledger's growth.
    FrontierStands,
    /// A checkpoint has another root than the ledger.
    CheckpointWrong,
    /// A parcel that comes twice is taken in twice.
    DuplicateApplied,
    /// A copy that comes again makes an outdated record current.
    SupersededRevived,
    /// An older version that comes late counts as current.
    LateVersionCurrent,
    /// Another party's withdrawal changes nothing.
    WithdrawalIgnored,
    /// What was refused for want of the agreement is not sent again with it.
    AgreementNotShown,
    /// What is due is not destroyed.
    RetentionIgnored,
    /// The originator is not told that its record is passed on.
    PassingOnUntold,
    /// Two records with one number are both taken in.
    EquivocationUnseen,
    /// A peer's ledger need not continue what it showed before.
    ConsistencyUnchecked,
    /// After a lost commit memory stays as it was.
    MemoryAhead,
    /// Reading leaves no ledger entry.
    OpenedUnwritten,
    /// A correction does not follow the copies that were passed on.
    CorrectionNotRelayed,
    /// A confirmed removal is undone by an older receipt.
    RemovalUndone,
    /// What is sent again is not weighed again.
    ResendUnweighed,
    /// A holder's word to the originator stops half-way.
    NoticeNotForwarded,
    /// A correction takes the place of the version just before it, and of no other.
    VersionsSkipped,
    /// An act forgets what it has just changed.
    PlanForgotten,
    /// A restored node goes on as if it had never been anywhere else.
    RestoreUnmarked,
    /// What was said before a recovery counts after it.
    EraIgnored,
    /// One person's approval declares a recovery.
    RecoveryAlone,
    /// A peer accepts any recovery without a person.
    RecoveryUnasked,
    /// A restored ledger need not continue what a peer has seen of it.
    RecoveryUntied,
    /// A peer does not give back what it has of a restored node's own.
    NothingGivenBack,
    /// A recall that comes back to its originator changes nothing.
    LostRecallRevived,
    /// A peer does not send again what a restored node has lost.
    LostParcelsForgotten,
    /// Numbers of records go on where the backup ended.
    NumbersReused,
    /// A record that comes after what it builds on was changed is not flagged.
    FlagForgotten,
    /// A recall that is taken in flags nothing that builds on what it recalls.
    RecallFlagsNothing,
    /// A recall holds back what is under way, as if it were still in line.
    UnderWayHeldBack,
    /// What has left stands as if it were still in line.
    SentUnmarked,
    /// A recall holds back what was confirmed as held, as if it had never left.
    HoldersForgotten,
    /// Records that are signed together get each other's places.
    PlacesSwapped,
    /// What a node released itself it keeps for ever.
    OwnKeptForEver,
}

#[cfg(feature = "planted")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug in this thread's nodes, or none.
#[cfg(feature = "planted")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether a bug is planted.
#[cfg(feature = "planted")]
pub(crate) fn planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether a bug is planted: never, without the feature.
#[cfg(not(feature = "planted"))]
pub(crate) const fn planted(_: Bug) -> bool {
    false
}
