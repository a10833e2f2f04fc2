//! The throttle: how often a log-in may fail, for one member and from one place.
//!
//! Each attempt is paid for before the password is looked at, so that attempts made at the same time count too, and a
//! log-in that succeeds gets its payment back. Debts run off with time, by a clock that only goes forward. What is
//! remembered is bounded; when there is no room, the smallest debt is forgotten first.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// One attempt for a member is forgotten in this time.
const MEMBER_PACE: Duration = Duration::from_secs(30);
/// Attempts for a member before there is a wait.
const MEMBER_BURST: u32 = 8;
/// One attempt from a place is forgotten in this time.
const PLACE_PACE: Duration = Duration::from_secs(6);
/// Attempts from a place before there is a wait.
const PLACE_BURST: u32 = 30;
/// Members and places remembered.
const MAX_DEBTORS: usize = 20_000;

/// Who pays.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Debtor {
    Member(String),
    /// An IPv4 address, or the first 64 bits of an IPv6 address: as much as one subscriber has.
    Place(Option<[u8; 8]>),
}

impl Debtor {
    const fn terms(&self) -> (Duration, u32) {
        match self {
            Self::Member(_) => (MEMBER_PACE, MEMBER_BURST),
            Self::Place(_) => (PLACE_PACE, PLACE_BURST),
        }
    }
}

fn place(address: Option<IpAddr>) -> Debtor {
    Debtor::Place(address.map(|ip| match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            [0, 0, 0, 0, a, b, c, d]
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h, ..] = v6.octets();
            [a, b, c, d, e, f, g, h]
        }
    }))
}

/// An attempt that was paid for.
#[derive(Debug)]
#[must_use = "an attempt that succeeded is given back"]
pub(super) struct Attempt([Debtor; 2]);

/// Counts failed log-ins.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<HashMap<Debtor, Instant>>);

impl Throttle {
    /// Pays for an attempt, or says how long to wait.
    pub(super) fn attempt(&self, member: &str, address: Option<IpAddr>, now: Instant) -> Result<Attempt, Duration> {
        let debtors = [Debtor::Member(member.to_owned()), place(address)];
        let mut debts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = debtors.iter().map(|debtor| wait(debts.get(debtor), debtor, now)).max().unwrap_or_default();
        if !wait.is_zero() {
            return Err(wait);
        }
        for debtor in &debtors {
            make_room(&mut debts, now);
            let free = debts.entry(debtor.clone()).or_insert(now);
            *free = (*free).max(now) + debtor.terms().0;
        }
        Ok(Attempt(debtors))
    }

    /// Gives back what an attempt cost.
    pub(super) fn succeeded(&self, attempt: Attempt) {
        let mut debts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for debtor in attempt.0 {
            let pace = debtor.terms().0;
            if let Some(free) = debts.get_mut(&debtor) {
                *free = free.checked_sub(pace).unwrap_or(*free);
            }
        }
    }
}

/// How long until the debtor may try again: a debt is the time until it has run off, and `burst` attempts are free.
fn wait(free: Option<&Instant>, debtor: &Debtor, now: Instant) -> Duration {
    let (pace, burst) = debtor.terms();
    let owed = free.map_or(Duration::ZERO, |free| free.saturating_duration_since(now));
    (owed + pace).saturating_sub(pace * burst)
}

fn make_room(debts: &mut HashMap<Debtor, Instant>, now: Instant) {
    if debts.len() < MAX_DEBTORS {
        return;
    }
    debts.retain(|_, free| *free > now);
    if debts.len() >= MAX_DEBTORS
        && let Some(least) = debts.iter().min_by_key(|(_, free)| **free).map(|(debtor, _)| debtor.clone())
    {
        debts.remove(&least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    #[tokio::test(start_paused = true)]
    async fn a_member_waits_after_the_free_attempts_and_no_longer_than_the_pace() {
        let throttle = Throttle::default();
        for _ in 0..MEMBER_BURST {
            let _ = throttle.attempt("anna", HERE, Instant::now()).unwrap();
        }
        assert_eq!(throttle.attempt("anna", HERE, Instant::now()).unwrap_err(), MEMBER_PACE);
        assert!(throttle.attempt("bo", HERE, Instant::now()).is_ok());
        tokio::time::advance(MEMBER_PACE).await;
        assert!(throttle.attempt("anna", HERE, Instant::now()).is_ok());
        assert!(throttle.attempt("anna", HERE, Instant::now()).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn success_costs_nothing() {
        let throttle = Throttle::default();
        for _ in 0..1000 {
            let attempt = throttle.attempt("anna", HERE, Instant::now()).unwrap();
            throttle.succeeded(attempt);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_waits_whoever_it_tries_for() {
        let throttle = Throttle::default();
        let refused = (0..100).filter(|n| throttle.attempt(&format!("m{n}"), HERE, Instant::now()).is_err()).count();
        assert_eq!(refused, 70);
        let same: IpAddr = "2001:db8:1:2:3::4".parse().unwrap();
        let near: IpAddr = "2001:db8:1:2:ffff::9".parse().unwrap();
        assert_eq!(place(Some(same)), place(Some(near)));
        assert_eq!(place(Some("::ffff:127.0.0.1".parse().unwrap())), place(HERE));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let mut debts = HashMap::new();
        for n in 0..MAX_DEBTORS + 10 {
            make_room(&mut debts, Instant::now());
            debts.insert(Debtor::Member(n.to_string()), Instant::now() + MEMBER_PACE);
        }
        assert_eq!(debts.len(), MAX_DEBTORS);
    }
}
