//! Locks: who of the connections of one process may read and write a file, and its log's index.
//!
//! They are SQLite's own two kinds: five levels on the file, and eight places in the index that are held together or
//! alone. They live as long as the disk has power. The invariant: whoever holds something alone is the only one.

use std::collections::BTreeMap;

/// Places in the index of a log that can be locked.
pub(crate) const PLACES: usize = 8;

/// How much of a file a connection has: none, shared, reserved, pending, exclusive.
pub(crate) type Level = i32;
const SHARED: Level = 1;
const RESERVED: Level = 2;
const PENDING: Level = 3;
const EXCLUSIVE: Level = 4;

/// What every connection holds, by its number and its file.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    next: u64,
    levels: BTreeMap<(usize, u64), Level>,
    together: BTreeMap<(usize, u64), [bool; PLACES]>,
    alone: BTreeMap<(usize, u64), [bool; PLACES]>,
}

impl Locks {
    /// The number of a new connection.
    pub(crate) fn enter(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A connection ends.
    pub(crate) fn leave(&mut self, file: usize, me: u64) {
        self.levels.remove(&(file, me));
        self.forget_index(file, me);
    }

    pub(crate) fn forget_index(&mut self, file: usize, me: u64) {
        self.together.remove(&(file, me));
        self.alone.remove(&(file, me));
    }

    fn others(&self, file: usize, me: u64) -> impl Iterator<Item = Level> {
        self.levels.iter().filter(move |((of, who), _)| *of == file && *who != me).map(|(_, level)| *level)
    }

    /// Raises a connection's level, and gives whether it could.
    pub(crate) fn raise(&mut self, file: usize, me: u64, level: Level) -> bool {
        let held = self.levels.get(&(file, me)).copied().unwrap_or_default();
        if held >= level {
            return true;
        }
        let most = self.others(file, me).max().unwrap_or_default();
        let (got, granted) = match level {
            SHARED => (SHARED, most < PENDING),
            RESERVED => (RESERVED, most < RESERVED),
            _ if most >= RESERVED => (held, false),
            // Whoever waits for the readers to go lets no new ones in.
            EXCLUSIVE if most >= SHARED => (PENDING, false),
            other => (other, true),
        };
        if granted || got > held {
            self.levels.insert((file, me), got);
        }
        granted
    }

    pub(crate) fn lower(&mut self, file: usize, me: u64, level: Level) {
        self.levels.insert((file, me), level);
    }

    pub(crate) fn is_reserved(&self, file: usize) -> bool {
        self.levels.iter().any(|((of, _), level)| *of == file && *level >= RESERVED)
    }

    /// Takes places in the index, together with others or alone, and gives whether it could.
    pub(crate) fn take(&mut self, file: usize, me: u64, places: std::ops::Range<usize>, alone: bool) -> bool {
        let held = |all: &BTreeMap<(usize, u64), [bool; PLACES]>| {
            let mine = |(of, who): &(usize, u64)| *of == file && *who != me;
            all.iter().filter(|(key, _)| mine(key)).any(|(_, held)| held.get(places.clone()).is_some_and(|held| held.contains(&true)))
        };
        if held(&self.alone) || (alone && held(&self.together)) {
            return false;
        }
        let all = if alone { &mut self.alone } else { &mut self.together };
        if let Some(mine) = all.entry((file, me)).or_default().get_mut(places) {
            mine.fill(true);
        }
        true
    }

    pub(crate) fn give_up(&mut self, file: usize, me: u64, places: std::ops::Range<usize>, alone: bool) {
        let all = if alone { &mut self.alone } else { &mut self.together };
        if let Some(mine) = all.get_mut(&(file, me)).and_then(|mine| mine.get_mut(places)) {
            mine.fill(false);
        }
    }
}
