//! The network: everything that is on its way, and everything that can befall it.
//!
//! It carries envelopes and answers between sites and looks into none. Loss, delay, disorder, doubling, cuts in one or
//! both directions, damage, wrong addresses and old envelopes brought back each have a rate of their own, drawn anew
//! for each run, so that runs differ in kind and not only in detail. It decides by the world's own chance and time.

use std::collections::BTreeSet;

use fastrand::Rng;

use crate::coverage::Coverage;

/// A site's number.
pub type Place = usize;

/// What is carried.
#[derive(Debug, Clone)]
pub enum Cargo {
    /// A sealed parcel.
    Parcel(Vec<u8>),
    /// The answer to one.
    Answer(Vec<u8>),
}

/// Something on its way.
#[derive(Debug, Clone)]
pub struct Message {
    /// Who hands it over.
    pub from: Place,
    /// At whose door it arrives.
    pub to: Place,
    /// Not before this time, in milliseconds.
    pub due: i64,
    /// The exchange it belongs to: a parcel and its answer share the number.
    pub request: u64,
    /// What.
    pub cargo: Cargo,
    /// It was damaged or goes to the wrong door: nobody may take it in.
    pub spoiled: bool,
    /// Its place in the order in which things were sent.
    pub order: u64,
}

impl Message {
    /// The envelope, if it is one.
    #[must_use]
    pub fn envelope(&self) -> Option<&[u8]> {
        if let Cargo::Parcel(envelope) = &self.cargo { Some(envelope) } else { None }
    }
}

/// Rates in thousandths.
#[derive(Debug, Clone, Default)]
pub struct Weather {
    /// Lost on the way.
    pub loss: u32,
    /// Late by up to ten seconds.
    pub delay: u32,
    /// Held for hours.
    pub hold: u32,
    /// Carried twice.
    pub duplicate: u32,
    /// Handed over out of order.
    pub disorder: u32,
    /// A bit is flipped.
    pub flip: u32,
    /// Cut short.
    pub truncate: u32,
    /// Handed over at another door.
    pub misdeliver: u32,
    /// An old envelope is brought again.
    pub replay: u32,
}

impl Weather {
    /// Draws rates: each trouble is absent in about a third of the runs.
    pub fn draw(rng: &mut Rng) -> Self {
        let mut rate = |most: u32| if rng.u8(..3) == 0 { 0 } else { rng.u32(1..=most) };
        Self {
            loss: rate(250),
            delay: rate(400),
            hold: rate(40),
            duplicate: rate(120),
            disorder: rate(500),
            flip: rate(60),
            truncate: rate(30),
            misdeliver: rate(30),
            replay: rate(60),
        }
    }
}

/// How many old envelopes are remembered, to be brought again.
const REMEMBERED: usize = 48;

/// Everything on its way.
#[derive(Debug, Default)]
pub struct Network {
    messages: Vec<Message>,
    past: Vec<Message>,
    cut: BTreeSet<(Place, Place)>,
    sent: u64,
    calm: bool,
    /// The rates in force.
    pub weather: Weather,
}

fn happens(rng: &mut Rng, rate: u32) -> bool {
    rate > 0 && rng.u32(..1000) < rate
}

impl Network {
    /// A network with nothing on its way.
    #[must_use]
    pub fn new(weather: Weather) -> Self {
        Self { weather, ..Self::default() }
    }

    /// Takes something to carry.
    pub fn send(&mut self, rng: &mut Rng, sites: usize, mut message: Message, now: i64, coverage: &mut Coverage) {
        if matches!(message.cargo, Cargo::Parcel(_)) {
            if self.past.len() >= REMEMBERED {
                self.past.swap_remove(rng.usize(..REMEMBERED));
            }
            self.past.push(message.clone());
        }
        self.sent += 1;
        message.order = self.sent;
        message.due = if self.calm { now } else { now + rng.i64(1..60) };
        if self.cut.contains(&(message.from, message.to)) && rng.bool() {
            return;
        }
        if happens(rng, self.weather.loss) {
            coverage.fault("loss");
            return;
        }
        if happens(rng, self.weather.delay) {
            coverage.fault("delay");
            message.due += rng.i64(100..10_000);
        }
        if happens(rng, self.weather.hold) {
            coverage.fault("hold");
            message.due += rng.i64(600_000..40_000_000);
        }
        if happens(rng, self.weather.duplicate) {
            coverage.fault("duplicate");
            let again = Message { due: message.due + rng.i64(1..20_000), ..message.clone() };
            self.messages.push(again);
        }
        self.spoil(rng, sites, &mut message, coverage);
        self.messages.push(message);
    }

    fn spoil(&self, rng: &mut Rng, sites: usize, message: &mut Message, coverage: &mut Coverage) {
        // An answer goes back the way its parcel came: it has no address that could be wrong, and only the receipt in it
        // is signed, so that damage to any other is for the channel to find.
        let parcel = matches!(message.cargo, Cargo::Parcel(_));
        let (Cargo::Parcel(bytes) | Cargo::Answer(bytes)) = &mut message.cargo;
        if !parcel && bytes.len() < 1000 {
            return;
        }
        if happens(rng, self.weather.flip) {
            coverage.fault("flip");
            let place = rng.usize(..bytes.len());
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= 1 << rng.u8(..8);
            }
            message.spoiled = true;
        } else if happens(rng, self.weather.truncate) {
            coverage.fault("truncate");
            bytes.truncate(rng.usize(..bytes.len()));
            message.spoiled = true;
        } else if parcel && happens(rng, self.weather.misdeliver) && sites > 2 {
            coverage.fault("misdeliver");
            message.to = (message.to + rng.usize(1..sites)) % sites;
            message.spoiled = true;
        }
    }

    /// What arrives next at a door, if anything is due and not cut off.
    pub fn arrive(&mut self, rng: &mut Rng, to: Place, now: i64, coverage: &mut Coverage) -> Option<Message> {
        let cut = &self.cut;
        let ready = |message: &Message| message.to == to && message.due <= now && message.from != to && !cut.contains(&(message.from, to));
        let due: Vec<usize> = self.messages.iter().enumerate().filter(|(_, message)| ready(message)).map(|(place, _)| place).collect();
        let first = due.iter().copied().min_by_key(|place| self.messages.get(*place).map(|message| (message.due, message.order)))?;
        let mut chosen = first;
        if due.len() > 1 && happens(rng, self.weather.disorder) {
            chosen = rng.choice(due).unwrap_or(first);
            if chosen != first {
                coverage.fault("disorder");
            }
        }
        Some(self.messages.swap_remove(chosen))
    }

    /// Brings an old envelope again, if the weather has it so.
    pub fn replay(&mut self, rng: &mut Rng, now: i64, coverage: &mut Coverage) {
        if happens(rng, self.weather.replay)
            && let Some(mut old) = rng.choice(&self.past).cloned()
        {
            coverage.fault("replay");
            old.due = now;
            self.messages.push(old);
        }
    }

    /// Cuts a connection, in one direction.
    pub fn cut(&mut self, from: Place, to: Place) {
        self.cut.insert((from, to));
    }

    /// Mends every cut.
    pub fn mend(&mut self) {
        self.cut.clear();
    }

    /// Whether anything is cut.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        !self.cut.is_empty()
    }

    /// Drops what is on its way, and carries faithfully from now on.
    pub fn calm(&mut self) {
        self.messages.clear();
        self.past.clear();
        self.cut.clear();
        self.weather = Weather::default();
        self.calm = true;
    }

    /// Whether it carries faithfully.
    #[must_use]
    pub const fn is_calm(&self) -> bool {
        self.calm
    }

    /// When the next message is due.
    #[must_use]
    pub fn next_due(&self) -> Option<i64> {
        self.messages.iter().map(|message| message.due).min()
    }
}
