//! The cut: what a disk may hold when its power goes at a certain point.
//!
//! Whatever was synchronised is there. Of what was not, everything, nothing, or any part may be: single writes can be
//! missing, and the last one can be torn. How many of the possible disks are given is bounded by [`Depth`]. The
//! invariant: the same operations give the same disks, in the same order.

use std::collections::{BTreeMap, BTreeSet};

use crate::disk::{Image, Op, apply};

/// What a sector is: the unit in which a write is torn.
const SECTOR: usize = 512;
/// What newer disks have instead.
const LARGE_SECTOR: usize = 4096;

/// How many of the possible disks are looked at.
#[derive(Debug, Clone, Copy)]
pub struct Depth {
    /// Up to so many operations that may be lost, every subset of them is.
    pub subsets: usize,
    /// Up to so many, each pair is lost and each pair is all that is kept; beyond, each alone.
    pub pairs: usize,
    /// Points between two synchronisations at which the last write is torn: every so many.
    pub every: usize,
}

/// A disk after its power was cut.
#[derive(Debug)]
pub struct Cut {
    /// How many operations had been begun.
    pub point: usize,
    /// What became of those that were not synchronised.
    pub what: String,
    /// What it holds.
    pub image: Image,
}

/// What became of an operation that was not synchronised.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Kept,
    Lost,
    /// Of a write, only these bytes came to the disk.
    Torn(std::ops::Range<usize>),
    /// The file has grown, and where the write should be there are zeros.
    Zeros,
}

/// Goes through the points at which power can be cut.
#[derive(Debug)]
pub struct Cuts<'a> {
    ops: &'a [Op],
    depth: Depth,
    names: BTreeMap<String, usize>,
    bytes: Vec<Vec<u8>>,
    /// Operations before the current point that are not durable.
    pending: Vec<&'a Op>,
    point: usize,
}

impl<'a> Cuts<'a> {
    /// Begins with what was on the disk before the first of `ops`.
    #[must_use]
    pub fn new(before: &Image, ops: &'a [Op], depth: Depth) -> Self {
        let names = before.keys().cloned().zip(0..).collect();
        Self { ops, depth, names, bytes: before.values().cloned().collect(), pending: Vec::new(), point: 0 }
    }

    /// The disks that are possible at the next point, none when all points have been. Two of them can be alike.
    pub fn next_point(&mut self) -> Option<Vec<Cut>> {
        let next = self.ops.get(self.point);
        if self.point > self.ops.len() {
            return None;
        }
        let settles = next.is_none() || matches!(next, Some(Op::Sync { .. } | Op::SyncFolder | Op::SyncRefused { .. }));
        let fates = self.fates(settles);
        let cuts = fates.into_iter().map(|(what, fates)| Cut { point: self.point, what, image: self.image(&fates) }).collect();
        if let Some(op) = next {
            self.advance(op);
        }
        self.point += 1;
        Some(cuts)
    }

    fn advance(&mut self, op: &'a Op) {
        match op {
            Op::Sync { file, folder } => self.settle(|op| file_of(op) == Some(*file) || (*folder && file_of(op).is_none())),
            Op::SyncFolder => self.settle(|op| file_of(op).is_none()),
            // Only where a fault was planned: see [`durable`].
            Op::SyncRefused { .. } => {}
            other => self.pending.push(other),
        }
    }

    /// Makes durable what a synchronisation covers.
    fn settle(&mut self, covers: impl Fn(&Op) -> bool) {
        let (durable, pending): (Vec<&Op>, Vec<&Op>) = std::mem::take(&mut self.pending).into_iter().partition(|op| covers(op));
        self.pending = pending;
        for op in durable {
            carry_out(&mut self.names, &mut self.bytes, op, &Fate::Kept);
        }
    }

    fn image(&self, fates: &[Fate]) -> Image {
        let (mut names, mut bytes) = (self.names.clone(), self.bytes.clone());
        for (op, fate) in self.pending.iter().zip(fates) {
            carry_out(&mut names, &mut bytes, op, fate);
        }
        named(names, &bytes)
    }

    /// What may have become of the pending operations. `settles` is whether the next one is a synchronisation: between
    /// two of those, what is pending only grows, so every subset of an earlier point is one of the last point too.
    fn fates(&self, settles: bool) -> Vec<(String, Vec<Fate>)> {
        let count = self.pending.len();
        let all = vec![Fate::Kept; count];
        let mut fates = vec![("all written".to_owned(), all.clone())];
        if count == 0 {
            return fates;
        }
        fates.push(("only what was synchronised".to_owned(), vec![Fate::Lost; count]));
        if settles || self.point.is_multiple_of(self.depth.every.max(1)) {
            self.tear(&all, &mut fates);
        }
        if settles {
            self.lose(&mut fates);
        }
        fates
    }

    /// The last write torn: at a sector, in the middle, at a large sector, its first sector missing, and zeros in its place.
    fn tear(&self, all: &[Fate], fates: &mut Vec<(String, Vec<Fate>)>) {
        let Some((Op::Write { bytes, .. }, before)) = self.pending.last().zip(all.split_last().map(|(_, before)| before)) else { return };
        let size = bytes.len();
        let mut ways = vec![(format!("the last write torn at {}", size / 2), Fate::Torn(0..size / 2)), ("the last write zeros".to_owned(), Fate::Zeros)];
        for at in [SECTOR, LARGE_SECTOR].into_iter().filter(|at| *at < size) {
            ways.push((format!("the last write torn at {at}"), Fate::Torn(0..at)));
        }
        if size > SECTOR {
            ways.push(("the last write without its first sector".to_owned(), Fate::Torn(SECTOR..size)));
        }
        fates.extend(ways.into_iter().map(|(what, fate)| (what, before.iter().cloned().chain([fate]).collect())));
    }

    fn lose(&self, fates: &mut Vec<(String, Vec<Fate>)>) {
        let count = self.pending.len();
        let mut add = |lost: &dyn Fn(usize) -> bool| {
            let chosen: Vec<usize> = (0..count).filter(|place| lost(*place)).collect();
            let fate = (0..count).map(|place| if lost(place) { Fate::Lost } else { Fate::Kept }).collect();
            fates.push((format!("of {count} not synchronised, lost {chosen:?}"), fate));
        };
        if count <= self.depth.subsets {
            (1_u64..(1 << count) - 1).for_each(|subset| add(&|place| subset & (1 << place) != 0));
            return;
        }
        for one in 0..count {
            add(&|place| place == one);
            add(&|place| place != one);
        }
        if count <= self.depth.pairs {
            for (one, other) in (0..count).flat_map(|one| (one + 1..count).map(move |other| (one, other))) {
                add(&|place| place == one || place == other);
                add(&|place| place != one && place != other);
            }
        }
    }
}

/// What is durable of what was done to a disk, and no more. What stood before a refused synchronisation is not, until it is
/// written again.
#[must_use]
pub fn durable(before: &Image, ops: &[Op]) -> Image {
    let (mut covered, mut folder, mut kept) = (BTreeSet::new(), false, Vec::new());
    for op in ops.iter().rev() {
        match op {
            Op::Sync { file, folder: too } => {
                covered.insert(*file);
                folder |= too;
            }
            Op::SyncFolder => folder = true,
            Op::SyncRefused { file } => _ = covered.remove(file),
            other if file_of(other).map_or(folder, |file| covered.contains(&file)) => kept.push(other),
            _ => {}
        }
    }
    let mut names = before.keys().cloned().zip(0..).collect();
    let mut bytes = before.values().cloned().collect();
    kept.into_iter().rev().for_each(|op| carry_out(&mut names, &mut bytes, op, &Fate::Kept));
    named(names, &bytes)
}

fn named(names: BTreeMap<String, usize>, bytes: &[Vec<u8>]) -> Image {
    names.into_iter().map(|(name, file)| (name, bytes.get(file).cloned().unwrap_or_default())).collect()
}

/// The file whose bytes an operation changes; none where it changes names.
const fn file_of(op: &Op) -> Option<usize> {
    match op {
        Op::Write { file, .. } | Op::Truncate { file, .. } => Some(*file),
        _ => None,
    }
}

fn carry_out(names: &mut BTreeMap<String, usize>, bytes: &mut Vec<Vec<u8>>, op: &Op, fate: &Fate) {
    // A file has its place whether its name is durable or not.
    let file = match op {
        Op::Create { file, .. } | Op::Write { file, .. } | Op::Truncate { file, .. } => Some(*file),
        _ => None,
    };
    if let Some(file) = file.filter(|file| *file >= bytes.len()) {
        bytes.resize(file + 1, Vec::new());
    }
    match (op, fate) {
        (_, Fate::Lost) => {}
        (Op::Create { file, name }, _) => _ = names.insert(name.clone(), *file),
        (Op::Delete { name }, _) => _ = names.remove(name),
        (Op::Write { file, offset, bytes: written }, Fate::Torn(part)) => {
            let came = written.get(part.clone()).unwrap_or_default();
            apply(bytes, &Op::Write { file: *file, offset: offset + part.start, bytes: came.into() });
        }
        (Op::Write { file, offset, bytes: written }, Fate::Zeros) => {
            apply(bytes, &Op::Write { file: *file, offset: *offset, bytes: vec![0; written.len()].into() });
        }
        (change, _) => apply(bytes, change),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Depth = Depth { subsets: 4, pairs: 8, every: 1 };

    fn write(file: usize, offset: usize, byte: u8) -> Op {
        Op::Write { file, offset, bytes: vec![byte; 2].into() }
    }

    fn images(ops: &[Op]) -> Vec<Vec<Image>> {
        let before = Image::from([("a".to_owned(), Vec::new())]);
        let mut cuts = Cuts::new(&before, ops, ALL);
        std::iter::from_fn(|| cuts.next_point()).map(|cuts| cuts.into_iter().map(|cut| cut.image).collect()).collect()
    }

    #[test]
    fn what_was_synchronised_is_there_and_of_the_rest_every_part() {
        let points = images(&[write(0, 0, 1), Op::Sync { file: 0, folder: false }, write(0, 2, 2), write(0, 4, 3)]);
        assert_eq!(points.len(), 5);
        assert!(points[0].iter().all(|image| image["a"].is_empty()));
        assert!(points[1].iter().any(|image| image["a"].is_empty()), "not synchronised yet");
        assert!(points[2..].iter().flatten().all(|image| image["a"].starts_with(&[1, 1])));
        let last: Vec<&[u8]> = points[4].iter().map(|image| image["a"].as_slice()).collect();
        for expected in [&[1, 1][..], &[1, 1, 2, 2], &[1, 1, 0, 0, 3, 3], &[1, 1, 2, 2, 3], &[1, 1, 2, 2, 0, 0], &[1, 1, 2, 2, 3, 3]] {
            assert!(last.contains(&expected), "{expected:?} is not among {last:?}");
        }
    }

    #[test]
    fn a_refused_synchronisation_is_not_made_good_by_the_next() {
        let before = Image::from([("a".to_owned(), Vec::new())]);
        let (sync, refused) = (Op::Sync { file: 0, folder: false }, Op::SyncRefused { file: 0 });
        let ops = [write(0, 0, 1), sync.clone(), write(0, 2, 2), refused, write(0, 4, 3), sync];
        assert_eq!(durable(&before, &ops)["a"], [1, 1, 0, 0, 3, 3]);
        assert_eq!(durable(&before, &ops[..5])["a"], [1, 1]);
    }

    #[test]
    fn a_name_is_durable_with_the_folder_and_not_with_another_file() {
        let made = Op::Create { file: 1, name: "b".to_owned() };
        let points = images(&[made.clone(), write(1, 0, 7), Op::Sync { file: 1, folder: false }]);
        assert!(points[3].iter().any(|image| !image.contains_key("b")));
        let points = images(&[made, write(1, 0, 7), Op::Sync { file: 1, folder: true }, Op::Delete { name: "b".to_owned() }]);
        assert!(points[3].iter().all(|image| image["b"] == [7, 7]));
        assert_eq!(points[4].iter().filter(|image| image.contains_key("b")).count(), 1);
    }
}
