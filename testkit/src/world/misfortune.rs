//! Misfortune: what strikes between turns, and what a site with valid keys forges.

use std::sync::Arc;

use fastrand::Rng;
use format::{RecordId, Timestamp};
use node::Node;
use node::exchange::Answer;
use node::vault::SeededEntropy;
use policy::house::NoHouseRules;

use super::{Lane, Site, World};
use crate::chronicle::{Check, Violation, broken};
use crate::faulty::{Armed, Fault};
use crate::forger::{self, Workshop};
use crate::invariants;
use crate::network::Place;
use crate::shelf;

impl World {
    /// Whatever strikes between turns.
    pub(super) fn misfortune(&mut self) -> Check {
        let now = self.now;
        self.network.replay(&mut self.rng, now, &mut self.coverage);
        if self.chance(self.plan.store_faults) {
            let at = self.rng.usize(..self.plan.sites);
            let fault =
                [Fault::Fails, Fault::Full, Fault::Crash, Fault::Crash, Fault::DiesAfterCommit].get(self.rng.usize(..5)).copied().unwrap_or(Fault::Fails);
            let armed = Armed { fault, after: self.rng.u32(..60), burst: if self.rng.bool() { 1 } else { self.rng.u32(1..6) } };
            self.site(at).store.arm(Some(armed));
        }
        if self.chance(self.plan.stops) {
            let at = self.rng.usize(..self.plan.sites);
            if self.site(at).node.is_some() {
                self.coverage.fault("restart");
                self.stop(at);
            }
        }
        if self.chance(self.plan.cuts) {
            self.cut();
        }
        if self.network.is_cut() && self.rng.u8(..40) == 0 {
            self.network.mend();
        }
        if self.chance(self.plan.days) {
            self.coverage.fault("days-pass");
            self.now += if self.rng.bool() { self.rng.i64(1_000_000..20_000_000) } else { self.rng.i64(20_000_000..260_000_000) };
        }
        if self.plan.skew > 0 && self.rng.u8(..100) == 0 {
            self.shift_clock();
        }
        Ok(())
    }

    /// A shelf goes out of reach or comes back, and what nothing needs is removed from it.
    pub(super) fn shelves(&mut self) {
        for at in 0..self.plan.sites {
            let chance = self.shelves.u8(..64);
            let away = chance == 0 && !self.network.is_calm();
            if away {
                self.coverage.fault("attachments-away");
            }
            let shelf = self.site(at).shelf.clone();
            shelf.set(Timestamp::from_ms(self.now), away);
            if chance % 8 == 1 && self.site(at).node.is_some() {
                // Past the faults that wait in the store: nobody would learn that one had struck.
                let removed = self.site(at).store.peek(|store| shelf::sweep(store, &shelf)).unwrap_or_default();
                (0..removed).for_each(|_| self.coverage.act("remove-object"));
            }
        }
    }

    pub(super) fn cut(&mut self) {
        let (one, other) = (self.rng.usize(..self.plan.sites), self.rng.usize(..self.plan.sites));
        match self.rng.u8(..3) {
            0 => {
                self.coverage.fault("one-way");
                self.network.cut(one, other);
            }
            1 => {
                self.coverage.fault("partition");
                self.network.cut(one, other);
                self.network.cut(other, one);
            }
            _ => {
                // One site is cut off from all.
                self.coverage.fault("partition");
                for peer in 0..self.plan.sites {
                    self.network.cut(one, peer);
                    self.network.cut(peer, one);
                }
            }
        }
    }

    pub(super) fn shift_clock(&mut self) {
        let at = self.rng.usize(..self.plan.sites);
        let skew = self.rng.i64(-self.plan.skew..self.plan.skew);
        if skew < self.site(at).skew {
            self.coverage.fault("clock-back");
        }
        self.site_mut(at).skew = skew;
    }

    /// A node stops, and what it had in memory is gone.
    pub fn stop(&mut self, at: Place) {
        let long = if self.rng.u8(..4) == 0 { self.rng.i64(100_000..2_000_000) } else { self.rng.i64(0..4000) };
        if long > 100_000 {
            self.coverage.fault("down");
        }
        let up_at = self.now + long;
        let site = self.site_mut(at);
        site.node = None;
        site.store.end();
        site.up_at = up_at;
        site.lanes.iter_mut().for_each(Lane::give_up);
        if self.rng.u8(..3) == 0 && self.plan.skew > 0 {
            let back = self.rng.i64(0..self.plan.skew);
            self.coverage.fault("clock-back");
            self.site_mut(at).skew -= back;
        }
        self.mark(at, "stops");
        self.say(|| format!("{} stops", self.site(at).org()));
    }

    /// A node starts on what its store holds.
    ///
    /// # Errors
    /// An invariant does not hold.
    pub fn start(&mut self, at: Place) -> Check {
        let clock = self.clock(at);
        let site = self.site_mut(at);
        site.boots += 1;
        let seed = site.boots.wrapping_mul(1000).wrapping_add(u64::try_from(at).unwrap_or(0));
        if let Err(fault) = site.store.begin() {
            return broken(10, format!("the store does not open again: {fault}"));
        }
        let entropy = Box::new(SeededEntropy::new(seed, clock));
        match Node::open(site.store.clone(), Arc::clone(&site.organisation.identity), entropy, Arc::new(NoHouseRules)) {
            Ok(node) => site.node = Some(node),
            Err(fault) => return broken(10, format!("the node does not start again: {fault}")),
        }
        self.mark(at, "starts");
        self.say(|| format!("{} starts", self.site(at).org()));
        invariants::after_start(self, at)
    }

    pub(super) fn count_faults(&mut self, struck: &[Fault]) {
        for fault in struck {
            self.coverage.fault(match fault {
                Fault::Fails => "store-fails",
                Fault::Full => "store-full",
                Fault::Crash => "crash",
                Fault::DiesAfterCommit => "dies-after-commit",
            });
        }
    }

    pub(super) fn workshop<'a>(rng: &'a mut Rng, me: &'a Site, to: &'a Site, loot: &'a [Vec<u8>], foreign: &'a [RecordId], now: Timestamp) -> Workshop<'a> {
        Workshop { rng, me: &me.organisation.identity, to: &to.organisation.identity, loot, foreign, now }
    }

    /// What a hostile site makes of a parcel, now and then.
    pub(super) fn forged_parcel(&mut self, at: Place, peer: Place, envelope: &[u8], now: Timestamp) -> Result<Option<Vec<u8>>, Violation> {
        let Some(hostile) = self.plan.hostile else { return Ok(None) };
        let to = &self.site(peer).organisation.identity;
        let Ok(plain) = to.opening.open(to.org(), envelope) else { return Ok(None) };
        if peer == hostile {
            self.loot.extend(forger::records(&plain));
        }
        if at != hostile || self.network.is_calm() || self.rng.u8(..3) > 0 {
            return Ok(None);
        }
        let org = self.chronicle.org(at).clone();
        let foreign: Vec<RecordId> = self.chronicle.headers.iter().filter(|(_, header)| header.originator != org).map(|(id, _)| *id).collect();
        let mut rng = self.rng.fork();
        let forged = Self::workshop(&mut rng, self.site(at), self.site(peer), &self.loot, &foreign, now).parcel(&plain);
        let Some((forgery, plain, envelope)) = forged else { return Ok(None) };
        self.coverage.fault(forgery);
        self.say(|| format!("{org} sends that parcel with a {forgery}"));
        self.chronicle.observe(at, peer, &plain)?;
        Ok(Some(envelope))
    }

    /// What a hostile site makes of a receipt, now and then.
    pub(super) fn forged_answer(&mut self, at: Place, answer: &Answer) -> Option<Vec<u8>> {
        let Answer::Receipt(bytes) = answer else { return None };
        if self.plan.hostile != Some(at) || self.network.is_calm() || self.rng.u8(..4) > 0 {
            return None;
        }
        let mut rng = self.rng.fork();
        let site = self.site(at);
        let forged = Self::workshop(&mut rng, site, site, &[], &[], self.clock(at)).receipt(bytes)?;
        self.forged_receipts.extend(crate::chronicle::read_receipt(&forged).map(|(digest, _)| digest));
        self.coverage.fault("forged-receipt");
        Some(Answer::Receipt(forged).to_bytes())
    }
}
