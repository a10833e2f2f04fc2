//! The disk: names, bytes, what was done to them in order, and the one fault that waits for its moment.
//!
//! What is written is seen at once by whoever reads, and is on the platter only once its file was synchronised, as with
//! a page cache. The invariant: the operations, carried out on the image that the disk began with, give the bytes that
//! readers see, unless a fault said otherwise.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::locks::Locks;

/// What lies on a disk: the bytes of each file by its name within the folder.
pub type Image = BTreeMap<String, Vec<u8>>;

/// Something that was done to the disk, and can still be lost until it was synchronised.
#[derive(Debug, Clone)]
pub enum Op {
    /// A file was made.
    Create {
        /// Which.
        file: usize,
        /// By what name.
        name: String,
    },
    /// Bytes were written.
    Write {
        /// To which file.
        file: usize,
        /// From where on.
        offset: usize,
        /// What.
        bytes: Arc<[u8]>,
    },
    /// A file was cut or filled up to a size.
    Truncate {
        /// Which.
        file: usize,
        /// Its size.
        size: usize,
    },
    /// A name was taken away.
    Delete {
        /// Which.
        name: String,
    },
    /// A file was synchronised, and with it perhaps the folder.
    Sync {
        /// Which.
        file: usize,
        /// Whether the names in the folder are durable too.
        folder: bool,
    },
    /// The folder was synchronised.
    SyncFolder,
    /// A file could not be synchronised. What was written before is not durable, also not when the next one succeeds:
    /// the page cache has forgotten that it still was to be written.
    SyncRefused {
        /// Which.
        file: usize,
    },
}

/// How the disk fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A read is refused.
    Read,
    /// A read gives half of what was asked for, and the rest is refused. WHY: SQLite's own file layer asks again for what is
    /// missing, and only at the end of a file takes a short read for an answer.
    ShortRead,
    /// A write, or a cut of a file, is refused.
    Write,
    /// Half of a write is carried out, and then it is refused.
    HalfWrite,
    /// A synchronisation is refused.
    Sync,
    /// There is no room from here on, until the fault is taken away.
    Full,
}

/// A fault that waits until its kind of call was made so many times.
#[derive(Debug, Clone, Copy)]
pub struct Planned {
    /// Which.
    pub fault: Fault,
    /// How many calls of its kind go well before.
    pub after: u64,
}

/// What a call to the disk answers instead of doing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Read,
    ShortRead,
    Write,
    Sync,
    Full,
}

/// How often the disk was called since this was last asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Calls {
    /// To read.
    pub reads: u64,
    /// To write or cut.
    pub writes: u64,
    /// To synchronise.
    pub syncs: u64,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    names: BTreeMap<String, usize>,
    bytes: Vec<Vec<u8>>,
    ops: Vec<Op>,
    /// Journals whose name is not durable yet: synchronising them synchronises the folder.
    fresh: Vec<usize>,
    planned: Option<Planned>,
    struck: bool,
    calls: Calls,
    pub(crate) locks: Locks,
}

/// A disk in memory; clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// A disk with these files, all of them durable.
    #[must_use]
    pub fn new(image: &Image) -> Self {
        let mut state = State::default();
        for (name, bytes) in image {
            state.names.insert(name.clone(), state.bytes.len());
            state.bytes.push(bytes.clone());
        }
        Self(Arc::new(Mutex::new(state)))
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What readers see now.
    #[must_use]
    pub fn image(&self) -> Image {
        let state = self.state();
        state.names.iter().filter_map(|(name, file)| Some((name.clone(), state.bytes.get(*file)?.clone()))).collect()
    }

    /// What was done to it, in order.
    #[must_use]
    pub fn ops(&self) -> Vec<Op> {
        self.state().ops.clone()
    }

    /// How much was done to it.
    #[must_use]
    pub fn ops_count(&self) -> usize {
        self.state().ops.len()
    }

    /// Has a fault wait in place of one that did, and forgets that one struck.
    pub fn plan(&self, planned: Option<Planned>) {
        let mut state = self.state();
        (state.planned, state.struck) = (planned, false);
    }

    /// Whether the fault has struck.
    #[must_use]
    pub fn has_struck(&self) -> bool {
        self.state().struck
    }

    /// How often it was called since this was last asked.
    #[must_use]
    pub fn take_calls(&self) -> Calls {
        std::mem::take(&mut self.state().calls)
    }
}

impl State {
    /// Counts a call, and gives how it fails if the moment of the fault has come.
    fn strike(&mut self, fits: impl Fn(Fault) -> bool) -> Option<Fault> {
        let planned = self.planned.as_mut().filter(|planned| fits(planned.fault))?;
        if planned.after > 0 {
            planned.after -= 1;
            return None;
        }
        self.struck = true;
        let fault = planned.fault;
        if fault != Fault::Full {
            self.planned = None;
        }
        Some(fault)
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    pub(crate) fn size(&self, file: usize) -> usize {
        self.bytes.get(file).map_or(0, Vec::len)
    }

    /// Makes a file; a journal's name becomes durable when it is first synchronised.
    pub(crate) fn create(&mut self, name: &str, journal: bool) -> Result<usize, Refused> {
        self.calls.writes += 1;
        match self.strike(|fault| matches!(fault, Fault::Write | Fault::HalfWrite | Fault::Full)) {
            Some(Fault::Full) => return Err(Refused::Full),
            Some(_) => return Err(Refused::Write),
            None => {}
        }
        let file = self.bytes.len();
        self.bytes.push(Vec::new());
        self.names.insert(name.to_owned(), file);
        self.ops.push(Op::Create { file, name: name.to_owned() });
        if journal {
            self.fresh.push(file);
        }
        Ok(file)
    }

    /// A file without a name, which nobody finds again.
    pub(crate) fn nameless(&mut self) -> usize {
        self.bytes.push(Vec::new());
        self.bytes.len() - 1
    }

    pub(crate) fn delete(&mut self, name: &str, folder: bool) -> bool {
        let found = self.names.remove(name).is_some();
        if found {
            self.ops.push(Op::Delete { name: name.to_owned() });
            if folder {
                self.ops.push(Op::SyncFolder);
            }
        }
        found
    }

    /// Reads into `buffer` and fills what is beyond the end with zeros.
    pub(crate) fn read(&mut self, file: usize, offset: usize, buffer: &mut [u8]) -> Result<(), Refused> {
        self.calls.reads += 1;
        let struck = self.strike(|fault| matches!(fault, Fault::Read | Fault::ShortRead));
        if struck == Some(Fault::Read) {
            return Err(Refused::Read);
        }
        let whole = self.bytes.get(file).and_then(|bytes| bytes.get(offset..)).unwrap_or_default();
        let short = struck.is_some();
        let wanted = if short { buffer.len() / 2 } else { buffer.len() };
        let found = whole.get(..wanted.min(whole.len())).unwrap_or_default();
        let (have, missing) = buffer.split_at_mut(found.len());
        have.copy_from_slice(found);
        missing.fill(0);
        match missing {
            _ if short => Err(Refused::Read),
            [] => Ok(()),
            _ => Err(Refused::ShortRead),
        }
    }

    pub(crate) fn write(&mut self, file: usize, offset: usize, bytes: &[u8]) -> Result<(), Refused> {
        self.calls.writes += 1;
        let struck = self.strike(|fault| matches!(fault, Fault::Write | Fault::HalfWrite | Fault::Full));
        let kept = match struck {
            None => bytes,
            Some(Fault::HalfWrite) => bytes.get(..bytes.len() / 2).unwrap_or_default(),
            Some(Fault::Full) => return Err(Refused::Full),
            Some(_) => return Err(Refused::Write),
        };
        let op = Op::Write { file, offset, bytes: kept.into() };
        apply(&mut self.bytes, &op);
        self.ops.push(op);
        if struck.is_some() { Err(Refused::Write) } else { Ok(()) }
    }

    pub(crate) fn truncate(&mut self, file: usize, size: usize) -> Result<(), Refused> {
        self.calls.writes += 1;
        // WHY: cutting a file needs no room.
        if self.strike(|fault| matches!(fault, Fault::Write | Fault::HalfWrite)).is_some() {
            return Err(Refused::Write);
        }
        let op = Op::Truncate { file, size };
        apply(&mut self.bytes, &op);
        self.ops.push(op);
        Ok(())
    }

    pub(crate) fn sync(&mut self, file: usize) -> Result<(), Refused> {
        self.calls.syncs += 1;
        if self.strike(|fault| fault == Fault::Sync).is_some() {
            self.ops.push(Op::SyncRefused { file });
            return Err(Refused::Sync);
        }
        let folder = self.fresh.contains(&file);
        self.fresh.retain(|fresh| *fresh != file);
        self.ops.push(Op::Sync { file, folder });
        Ok(())
    }
}

/// Carries out what changes the bytes of a file.
pub(crate) fn apply(files: &mut [Vec<u8>], op: &Op) {
    match op {
        Op::Write { file, offset, bytes } => {
            let Some(held) = files.get_mut(*file) else { return };
            let end = offset + bytes.len();
            if held.len() < end {
                held.resize(end, 0);
            }
            if let Some(place) = held.get_mut(*offset..end) {
                place.copy_from_slice(bytes);
            }
        }
        Op::Truncate { file, size } => {
            if let Some(held) = files.get_mut(*file) {
                held.resize(*size, 0);
            }
        }
        _ => {}
    }
}
