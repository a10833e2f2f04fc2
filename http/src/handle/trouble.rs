//! Troubles: what keeps this node from its work, in one place, for health, status and log.
//!
//! Whoever finds that something is wrong, or is right again, notes it here; it is logged when it begins and when it ends,
//! and not in between. Nothing is decided here. The invariant: while there is a trouble that stops decisions, no act is
//! answered as done.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use format::Timestamp;
use policy::Language;
use tokio::time::Instant;

/// Whatever the store is asked that takes longer is a trouble.
pub(super) const SLOW: Duration = Duration::from_secs(5);

/// How far the clock may be from where it should be, in milliseconds.
const CLOCK_LEEWAY_MS: i64 = 5 * 60 * 1000;

/// Something that keeps the node from its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// The store is out of reach.
    StoreAway,
    /// The store has no room.
    StoreFull,
    /// The store lost what was last to be kept.
    StoreFailing,
    /// The store takes long, or does not answer.
    StoreSlow,
    /// The place where attachments are kept outside the store is out of reach.
    AttachmentsAway,
    /// The certificate towards members has expired, or will within a week.
    CertificateExpires,
    /// The clock has jumped while the node ran: nothing is decided.
    ClockJumped,
    /// The clock is before the last ledger entry: time stands still.
    ClockBehind,
}

impl Trouble {
    /// Every trouble, in order.
    pub const ALL: [Self; 8] = [
        Self::StoreAway,
        Self::StoreFull,
        Self::StoreFailing,
        Self::StoreSlow,
        Self::AttachmentsAway,
        Self::CertificateExpires,
        Self::ClockJumped,
        Self::ClockBehind,
    ];

    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StoreAway => "store-away",
            Self::StoreFull => "store-full",
            Self::StoreFailing => "store-failing",
            Self::StoreSlow => "store-slow",
            Self::AttachmentsAway => "attachments-away",
            Self::CertificateExpires => "certificate-expires",
            Self::ClockJumped => "clock-jumped",
            Self::ClockBehind => "clock-behind",
        }
    }

    /// The same in a sentence, with what to do.
    #[must_use]
    pub const fn sentence(self, language: Language) -> &'static str {
        let (sv, en) = match self {
            Self::StoreAway => {
                ("Lagringen går inte att nå; inget beslutas förrän den är tillbaka.", "The store cannot be reached: nothing is decided until it is back.")
            }
            Self::StoreFull => (
                "Lagringen är full; inget sparas förrän det finns plats. Gör plats på disken, eller höj gränsen.",
                "The store is full: nothing is kept until there is room. Make room on the disk, or raise the limit.",
            ),
            Self::StoreFailing => (
                "Lagringen svarade med fel; det senaste sparades inte. Se efter i loggen, och kontrollera disken.",
                "The store failed: what was last to be kept was not. Look at the log, and check the disk.",
            ),
            Self::StoreSlow => {
                ("Lagringen svarar långsamt. Kontrollera disken och vad som belastar den.", "The store is slow. Check the disk, and what else uses it.")
            }
            Self::AttachmentsAway => (
                "Platsen för bilagor går inte att nå; allt utom bilagor fortsätter, och de skickas när den är tillbaka.",
                "The place for attachments cannot be reached: everything but attachments goes on, and they are sent when it is back.",
            ),
            Self::CertificateExpires => (
                "Certifikatet mot medlemmarna har gått ut, eller gör det inom en vecka. Lägg dit ett nytt, och starta om noden.",
                "The certificate towards members has expired, or will within a week. Put a new one there, and start the node again.",
            ),
            Self::ClockJumped => (
                "Klockan har hoppat; inget beslutas. Ställ den rätt, eller starta om noden om den är rätt nu.",
                "The clock has jumped: nothing is decided. Set it right, or start the node again if it is right now.",
            ),
            Self::ClockBehind => (
                "Klockan visar en tid före den senaste anteckningen i liggaren; tiden står still här till dess. Kontrollera klockan.",
                "The clock is before the last ledger entry: time stands still here until then. Check the clock.",
            ),
        };
        match language {
            Language::Sv => sv,
            Language::En => en,
        }
    }
}

/// What is wrong now.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    now: Mutex<BTreeMap<Trouble, String>>,
    /// Since when the writer and the readers have been at what they do.
    under_way: Mutex<BTreeMap<u64, Instant>>,
    works: AtomicU64,
}

/// Something that the store was asked; it is over when this is dropped.
pub(crate) struct Work<'a>(&'a Troubles, u64);

impl Drop for Work<'_> {
    fn drop(&mut self) {
        let Self(troubles, number) = *self;
        let begun = troubles.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        troubles.note_slow(begun.is_some_and(|begun| begun.elapsed() > SLOW) || troubles.is_stuck());
    }
}

impl Troubles {
    /// Notes that something is wrong, and why, or that it is over, and tells the log when that changes.
    pub(crate) fn note(&self, trouble: Trouble, why: Option<String>) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(why) = why else {
            if now.remove(&trouble).is_some() {
                tracing::info!(trouble = trouble.as_str(), "the trouble is over");
            }
            return;
        };
        if now.insert(trouble, why.clone()).is_none() {
            tracing::error!(trouble = trouble.as_str(), error = %why, "{}", trouble.sentence(Language::En));
        }
    }

    fn note_slow(&self, slow: bool) {
        self.note(Trouble::StoreSlow, slow.then(|| format!("what it was asked takes longer than {} s", SLOW.as_secs())));
    }

    /// Whether this is wrong.
    pub(crate) fn has(&self, trouble: Trouble) -> bool {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&trouble)
    }

    /// The store is asked something.
    pub(crate) fn work(&self) -> Work<'_> {
        let number = self.works.fetch_add(1, Relaxed);
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).insert(number, Instant::now());
        Work(self, number)
    }

    /// Whether the store has owed an answer for too long.
    pub(super) fn is_stuck(&self) -> bool {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).values().any(|begun| begun.elapsed() > SLOW)
    }

    /// Everything that is wrong, also when the writer is stuck.
    pub(crate) fn all(&self) -> Vec<Trouble> {
        if self.is_stuck() {
            self.note_slow(true);
        }
        self.now.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }
}

/// Finds out when the clock jumps, by comparing it with one that cannot be set.
pub(super) struct ClockWatch {
    /// Time since some beginning, which nobody can set.
    steady: Box<dyn Fn() -> Duration + Send + Sync>,
    /// What both showed when they last agreed.
    agreed: Mutex<(Timestamp, Duration)>,
}

impl ClockWatch {
    pub(super) fn new(steady: Box<dyn Fn() -> Duration + Send + Sync>, now: Timestamp) -> Self {
        let agreed = Mutex::new((now, steady()));
        Self { steady, agreed }
    }

    /// The time when the clock shows `shown`, and how it has jumped if it has. Then the time goes on as it should have.
    pub(super) fn look(&self, shown: Timestamp) -> (Timestamp, Option<String>) {
        let steady = (self.steady)();
        let mut agreed = self.agreed.lock().unwrap_or_else(PoisonError::into_inner);
        let since = i64::try_from(steady.saturating_sub(agreed.1).as_millis()).unwrap_or(i64::MAX);
        let expected = Timestamp::from_ms(agreed.0.as_ms().saturating_add(since));
        if is_near(shown, expected) {
            *agreed = (shown, steady);
            return (shown, None);
        }
        (expected, Some(format!("the clock shows {shown} and should show {expected}")))
    }
}

fn is_near(one: Timestamp, other: Timestamp) -> bool {
    one.as_ms().abs_diff(other.as_ms()) <= CLOCK_LEEWAY_MS.unsigned_abs()
}

/// Why time stands still, where the clock is before the last ledger entry.
pub(super) fn behind(shown: Timestamp, last_entry: Timestamp) -> Option<String> {
    let behind = last_entry.as_ms().saturating_sub(shown.as_ms()) > CLOCK_LEEWAY_MS;
    behind.then(|| format!("the clock shows {shown}, and the last ledger entry is of {last_entry}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_jump_is_seen_both_ways_and_is_over_when_the_clock_is_back() {
        let seconds = Arc::new(AtomicU64::new(0));
        let steady = Arc::clone(&seconds);
        let at = |second: i64| Timestamp::from_ms(1_800_000_000_000 + second * 1000);
        let watch = ClockWatch::new(Box::new(move || Duration::from_secs(steady.load(Relaxed))), at(0));
        seconds.store(60, Relaxed);
        assert_eq!(watch.look(at(61)), (at(61), None));
        for jumped in [at(7200), at(-7200)] {
            let (time, why) = watch.look(jumped);
            assert_eq!(time, at(61), "time goes on as it should have");
            assert!(why.is_some());
        }
        seconds.store(120, Relaxed);
        assert_eq!(watch.look(at(7260)).0, at(121));
        assert_eq!(watch.look(at(122)), (at(122), None), "it is back");
        // Small corrections are followed, however many there are.
        for minute in 1..100_i64 {
            seconds.store(120 + 60 * minute.unsigned_abs(), Relaxed);
            assert_eq!(watch.look(at(122 + 64 * minute)).1, None);
        }
    }

    #[test]
    fn every_word_is_another() {
        let words: std::collections::BTreeSet<&str> = Trouble::ALL.into_iter().map(Trouble::as_str).collect();
        assert_eq!(words.len(), Trouble::ALL.len());
    }
}
