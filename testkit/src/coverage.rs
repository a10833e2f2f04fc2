//! Coverage: how often each fault struck and each act was done, so that silence can be told from health.
//!
//! A run proves nothing about what never happened in it. The lists name everything that must happen at least once in a
//! longer simulation; a name that is counted and not listed is a mistake that the tests of this module find.

use std::collections::BTreeMap;

/// Every class of fault.
pub const FAULTS: &[&str] = &[
    "loss",
    "delay",
    "hold",
    "duplicate",
    "disorder",
    "flip",
    "truncate",
    "misdeliver",
    "replay",
    "partition",
    "one-way",
    "store-fails",
    "store-full",
    "crash",
    "dies-after-commit",
    "restart",
    "down",
    "skew",
    "clock-back",
    "days-pass",
    "careless-caller",
    "forged-previous",
    "forged-root",
    "forged-proof",
    "forged-size",
    "smuggled-record",
    "equivocation",
    "foreign-recall",
    "foreign-number",
    "forged-receipt",
    "forged-recovery",
    "old-backup",
    "attachments-away",
];

/// Every kind of act that must have succeeded, by members and by nodes.
pub const ACTS: &[&str] = &[
    "draft",
    "edit",
    "attach",
    "attach-large",
    "discard",
    "submit",
    "approve",
    "send-back",
    "release",
    "correct",
    "recall",
    "ask-consent",
    "answer-consent",
    "pass-on",
    "open",
    "open-piece",
    "list",
    "export-ledger",
    "propose-agreement",
    "sign-agreement",
    "expel",
    "withdraw",
    "expire",
    "remove-object",
    "dispatch",
    "receive",
    "acknowledge",
    "approve-recovery",
    "accept-recovery",
    "settle",
];

/// How often what happened.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    /// Faults by class.
    pub faults: BTreeMap<&'static str, u64>,
    /// Acts that succeeded, by kind.
    pub acts: BTreeMap<&'static str, u64>,
}

impl Coverage {
    /// Counts a fault.
    pub fn fault(&mut self, class: &'static str) {
        *self.faults.entry(class).or_default() += 1;
    }

    /// Counts an act.
    pub fn act(&mut self, kind: &'static str) {
        *self.acts.entry(kind).or_default() += 1;
    }

    /// Adds another run's counts.
    pub fn add(&mut self, other: &Self) {
        for (class, count) in &other.faults {
            *self.faults.entry(class).or_default() += count;
        }
        for (kind, count) in &other.acts {
            *self.acts.entry(kind).or_default() += count;
        }
    }

    /// What is listed and never happened.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let faults = FAULTS.iter().filter(|class| !self.faults.contains_key(*class));
        let acts = ACTS.iter().filter(|kind| !self.acts.contains_key(*kind));
        faults.chain(acts).copied().collect()
    }

    /// What happened and is not listed.
    #[must_use]
    pub fn unlisted(&self) -> Vec<&'static str> {
        let faults = self.faults.keys().filter(|class| !FAULTS.contains(class));
        let acts = self.acts.keys().filter(|kind| !ACTS.contains(kind));
        faults.chain(acts).copied().collect()
    }
}

/// Counts in one line, `a=1, b=2`.
#[must_use]
pub fn line(counts: &BTreeMap<&'static str, u64>) -> String {
    counts.iter().map(|(name, count)| format!("{name}={count}")).collect::<Vec<_>>().join(", ")
}
