//! Quotas: how many of something one holder may have at a time.
//!
//! Handshakes per source address, connections per caller and parcels per peer are counted here, so that nobody's
//! eagerness or slowness takes what others need. A quota keeps nothing about a holder that has nothing.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts what each holder has.
#[derive(Debug)]
pub(crate) struct Quota<K: Ord> {
    each: usize,
    all: usize,
    held: Mutex<BTreeMap<K, usize>>,
}

impl<K: Ord + Clone> Quota<K> {
    /// At most `each` for one holder, and `all` together.
    pub(crate) fn new(each: usize, all: usize) -> Arc<Self> {
        Arc::new(Self { each, all, held: Mutex::default() })
    }

    /// One more for `holder`, until the seat is dropped; none when it has its share or nothing is left.
    pub(crate) fn take(self: &Arc<Self>, holder: K) -> Option<Seat<K>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.values().sum::<usize>() >= self.all || held.get(&holder).is_some_and(|count| *count >= self.each) {
            return None;
        }
        *held.entry(holder.clone()).or_default() += 1;
        Some(Seat { quota: Arc::clone(self), holder })
    }
}

/// One of a quota, given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat<K: Ord + Clone> {
    quota: Arc<Quota<K>>,
    holder: K,
}

impl<K: Ord + Clone> Drop for Seat<K> {
    fn drop(&mut self) {
        let mut held = self.quota.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_holder_has_its_share_and_gives_it_back() {
        let quota = Quota::new(2, 3);
        let first = quota.take("a").unwrap();
        let _second = quota.take("a").unwrap();
        assert!(quota.take("a").is_none(), "a has its share");
        let _third = quota.take("b").unwrap();
        assert!(quota.take("c").is_none(), "nothing is left");
        drop(first);
        assert!(quota.take("c").is_some());
        assert_eq!(quota.held.lock().unwrap().len(), 2, "c gave back what it had");
    }
}
