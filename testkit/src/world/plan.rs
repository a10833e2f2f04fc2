//! The plan: what kind of run a seed stands for.

use fastrand::Rng;

use crate::acts::Temper;
use crate::network::{Place, Weather};

/// What kind of run it is, drawn from the seed.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many sites.
    pub sites: usize,
    /// How many steps with faults.
    pub steps: u64,
    /// What the network does.
    pub weather: Weather,
    /// What members do.
    pub temper: Temper,
    /// In thousandths, for each step: a fault is set in a store.
    pub store_faults: u32,
    /// In thousandths: a node is stopped.
    pub stops: u32,
    /// In thousandths: a connection is cut.
    pub cuts: u32,
    /// In thousandths: hours or days pass.
    pub days: u32,
    /// How far clocks may be wrong, in milliseconds.
    pub skew: i64,
    /// Answers come back as over a connection: each to its own parcel, in order.
    pub connected: bool,
    /// Stores are files.
    pub files: bool,
    /// A site with valid keys that forges.
    pub hostile: Option<Place>,
    /// In the end everything is recalled.
    pub endgame: bool,
    /// Everyone's parcels are kept, to be taken in again in another order.
    pub replays: bool,
    /// In thousandths: a store is put back to an old copy.
    pub restores: u32,
    /// Whose.
    pub restored: Place,
    /// Attachments are kept outside the stores.
    pub outside: bool,
}

impl Plan {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let mut rate = |most: u32| if rng.u8(..3) == 0 { 0 } else { rng.u32(1..=most) };
        let (store_faults, stops, cuts, days) = (rate(40), rate(12), rate(15), rate(12));
        let mut plan = Self {
            sites: [3, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 8].get(rng.usize(..12)).copied().unwrap_or(3),
            steps: rng.u64(120..360),
            weather: Weather::draw(rng),
            temper: Temper::draw(rng),
            store_faults,
            stops,
            cuts,
            days,
            skew: [0, 1000, 300_000, 36_000_000].get(rng.usize(..4)).copied().unwrap_or(0),
            connected: rng.u8(..3) > 0,
            files: rng.u8(..16) == 0,
            hostile: (rng.u8(..5) == 0).then_some(0),
            endgame: rng.u8(..3) == 0,
            replays: false,
            restores: 0,
            restored: 0,
            outside: false,
        };
        plan.hostile = plan.hostile.map(|_| rng.usize(..plan.sites));
        if plan.hostile.is_none() && rng.u8(..12) == 0 {
            plan.replays = true;
            plan.files = true;
            plan.days = 0;
            plan.skew = 0;
            plan.temper.stay();
        }
        if plan.hostile.is_none() && !plan.replays && rng.u8(..3) == 0 {
            plan.restores = rng.u32(4..24);
            plan.restored = rng.usize(..plan.sites);
        }
        plan
    }
}
