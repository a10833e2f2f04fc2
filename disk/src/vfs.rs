//! The way from SQLite to a [`Disk`]: what SQLite calls when it opens, reads, writes, locks and synchronises files.
//!
//! The one place with `unsafe`, because SQLite is told what to call by pointers to functions. Each function turns what it
//! is given into a reference, a slice or a text, and leaves the rest to `disk.rs`. What SQLite promises of its arguments
//! is in its documentation of `sqlite3_vfs` and `sqlite3_io_methods`, and is relied on here: pointers to files come from
//! `open` and are not used after `close`, one thread at a time uses a file, and lengths are those of the buffers.
//! The invariant: whatever lies in a mounted folder is on the disk, and never in the file system.

#![expect(unsafe_code, reason = "SQLite calls these functions by pointers; nothing else in the workspace has unsafe code")]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use rusqlite::ffi;

use crate::disk::{Disk, Refused};
use crate::locks::PLACES;

/// Bytes of a region of a log's index, as SQLite asks for it.
const REGION: usize = 32 * 1024;

/// The longest path.
const LONGEST_PATH: c_int = 1024;

/// Disks by the folder in whose place they are.
static MOUNTED: Mutex<BTreeMap<PathBuf, Disk>> = Mutex::new(BTreeMap::new());

/// The indexes, by folder and file. Whoever has mapped one keeps it, also when it was taken from here.
static INDEXES: Mutex<BTreeMap<(PathBuf, usize), Index>> = Mutex::new(BTreeMap::new());

/// The regions of one index.
type Index = Arc<Mutex<Vec<Region>>>;

/// A region of an index, which several connections write to through its address.
struct Region(*mut [u8; REGION]);

// SAFETY: the address is of memory that belongs to nobody else, and whoever reads or writes there holds SQLite's locks.
unsafe impl Send for Region {}

impl Region {
    fn new() -> Self {
        Self(Box::into_raw(Box::new([0; REGION])))
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: it was made by `Box::into_raw` and is dropped once. SQLite uses the address until it unmaps the index or
        // closes the file, and until then the open file keeps the index.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

fn mounted() -> MutexGuard<'static, BTreeMap<PathBuf, Disk>> {
    MOUNTED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn indexes() -> MutexGuard<'static, BTreeMap<(PathBuf, usize), Index>> {
    INDEXES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A disk in place of a folder, for as long as this is kept. Files that are open go on with it.
#[derive(Debug)]
pub struct Mount(PathBuf, Disk);

impl Mount {
    /// Puts a disk in the place of an existing folder, instead of one that was there.
    #[must_use]
    pub fn new(folder: &Path, disk: &Disk) -> Self {
        static REGISTERED: Once = Once::new();
        REGISTERED.call_once(register);
        indexes().retain(|(of, _), _| of != folder);
        mounted().insert(folder.to_owned(), disk.clone());
        Self(folder.to_owned(), disk.clone())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let Self(folder, disk) = self;
        let mut mounted = mounted();
        // Another may have taken its place.
        if mounted.get(folder).is_some_and(|there| there.is(disk)) {
            mounted.remove(folder);
            indexes().retain(|(of, _), _| of != folder);
        }
    }
}

/// An open file.
struct Open {
    folder: PathBuf,
    disk: Disk,
    file: usize,
    me: u64,
    index: Mutex<Option<Index>>,
    delete_when_closed: Option<String>,
}

/// What SQLite allocates for a file: its own part first.
#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    open: *mut Open,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(map_index),
    xShmLock: Some(lock_index),
    xShmBarrier: Some(barrier),
    xShmUnmap: Some(unmap_index),
    xFetch: None,
    xUnfetch: None,
};

/// Makes this what SQLite opens files with in this process, unless it is told another way by name.
fn register() {
    // SAFETY: SQLite looks its default up; it lives as long as the process.
    let Some(system) = (unsafe { ffi::sqlite3_vfs_find(ptr::null()).as_ref() }) else { return };
    // Time, waiting and randomness stay the system's; these functions do not look at the file system they are given.
    let vfs = ffi::sqlite3_vfs {
        iVersion: 1,
        szOsFile: c_int::try_from(size_of::<File>()).unwrap_or_default(),
        mxPathname: LONGEST_PATH,
        pNext: ptr::null_mut(),
        zName: c"samverkan-disk".as_ptr(),
        pAppData: ptr::null_mut(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_path),
        xDlOpen: None,
        xDlError: None,
        xDlSym: None,
        xDlClose: None,
        ..*system
    };
    // SAFETY: the structure is never freed, and all that it names lives as long as the process.
    unsafe { ffi::sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), 1) };
}

/// The disk of a path, and the file's name on it.
///
/// # Safety
/// `path` is a text that ends in zero, or null.
unsafe fn place(path: *const c_char) -> Option<(PathBuf, Disk, String)> {
    if path.is_null() {
        return None;
    }
    // SAFETY: as promised by the caller.
    let path = Path::new(unsafe { CStr::from_ptr(path) }.to_str().ok()?);
    let (folder, name) = (path.parent()?, path.file_name()?.to_str()?.to_owned());
    let disk = mounted().get(folder)?.clone();
    Some((folder.to_owned(), disk, name))
}

/// The open file behind SQLite's pointer.
///
/// # Safety
/// The pointer was given to [`open`], which succeeded, and not to [`close`] since; no other reference to it is alive.
unsafe fn opened<'a>(file: *mut ffi::sqlite3_file) -> &'a Open {
    // SAFETY: `open` put a `File` there, whose `open` came from a `Box`.
    unsafe { &*(*file.cast::<File>()).open }
}

const fn code(refused: Refused) -> c_int {
    match refused {
        Refused::Read => ffi::SQLITE_IOERR_READ,
        Refused::ShortRead => ffi::SQLITE_IOERR_SHORT_READ,
        Refused::Write => ffi::SQLITE_IOERR_WRITE,
        Refused::Sync => ffi::SQLITE_IOERR_FSYNC,
        Refused::Full => ffi::SQLITE_FULL,
    }
}

fn answer(done: Result<(), Refused>) -> c_int {
    done.map_or_else(code, |()| ffi::SQLITE_OK)
}

fn unsigned(number: i64) -> usize {
    usize::try_from(number).unwrap_or_default()
}

unsafe extern "C" fn open(_: *mut ffi::sqlite3_vfs, path: ffi::sqlite3_filename, file: *mut ffi::sqlite3_file, flags: c_int, out: *mut c_int) -> c_int {
    // SAFETY: SQLite gives room for a `File`; without methods it does not close what could not be opened.
    unsafe { (*file).pMethods = ptr::null() };
    // SAFETY: SQLite gives the path as a text or null.
    let (folder, disk, name) = match unsafe { place(path) } {
        Some(place) => place,
        None if path.is_null() => (PathBuf::new(), Disk::default(), String::new()),
        None => return ffi::SQLITE_CANTOPEN,
    };
    let mut state = disk.state();
    let journal = flags & (ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_SUPER_JOURNAL) != 0;
    let found = match state.find(&name) {
        Some(found) => found,
        None if name.is_empty() => state.nameless(),
        None if flags & ffi::SQLITE_OPEN_CREATE == 0 => return ffi::SQLITE_CANTOPEN,
        None => match state.create(&name, journal) {
            Ok(made) => made,
            Err(refused) => return code(refused),
        },
    };
    let me = state.locks.enter();
    drop(state);
    let delete_when_closed = (flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0).then_some(name);
    let open = Box::into_raw(Box::new(Open { folder, disk, file: found, me, index: Mutex::default(), delete_when_closed }));
    // SAFETY: there is room for a `File`, and `out` is null or has room for a number.
    unsafe {
        ptr::write(file.cast::<File>(), File { base: ffi::sqlite3_file { pMethods: &raw const METHODS }, open });
        if let Some(out) = out.as_mut() {
            *out = flags;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: `open` made it of a `Box`, and SQLite closes a file once.
    let open = unsafe { Box::from_raw((*file.cast::<File>()).open) };
    let mut state = open.disk.state();
    state.locks.leave(open.file, open.me);
    if let Some(name) = &open.delete_when_closed {
        state.delete(name, false);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, buffer: *mut c_void, amount: c_int, offset: i64) -> c_int {
    // SAFETY: an open file, and a buffer of `amount` bytes that nobody else uses during the call.
    let (open, buffer) = unsafe { (opened(file), std::slice::from_raw_parts_mut(buffer.cast::<u8>(), unsigned(amount.into()))) };
    answer(open.disk.state().read(open.file, unsigned(offset), buffer))
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, bytes: *const c_void, amount: c_int, offset: i64) -> c_int {
    // SAFETY: an open file, and `amount` bytes that nobody changes during the call.
    let (open, bytes) = unsafe { (opened(file), std::slice::from_raw_parts(bytes.cast::<u8>(), unsigned(amount.into()))) };
    answer(open.disk.state().write(open.file, unsigned(offset), bytes))
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    answer(open.disk.state().truncate(open.file, unsigned(size)))
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    answer(open.disk.state().sync(open.file))
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    // SAFETY: an open file, and room for a number.
    let (open, size) = unsafe { (opened(file), &mut *size) };
    *size = i64::try_from(open.disk.state().size(open.file)).unwrap_or(i64::MAX);
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    if open.disk.state().locks.raise(open.file, open.me, level) { ffi::SQLITE_OK } else { ffi::SQLITE_BUSY }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    open.disk.state().locks.lower(open.file, open.me, level);
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved(file: *mut ffi::sqlite3_file, reserved: *mut c_int) -> c_int {
    // SAFETY: an open file, and room for a number.
    let (open, reserved) = unsafe { (opened(file), &mut *reserved) };
    *reserved = open.disk.state().locks.is_reserved(open.file).into();
    ffi::SQLITE_OK
}

const unsafe extern "C" fn control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

/// As on any file system of today.
const unsafe extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    4096
}

/// What SQLite takes for granted on any file system of today, and no more.
const unsafe extern "C" fn characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn map_index(file: *mut ffi::sqlite3_file, region: c_int, size: c_int, extend: c_int, address: *mut *mut c_void) -> c_int {
    // SAFETY: an open file, and room for an address.
    let (open, address) = unsafe { (opened(file), &mut *address) };
    *address = ptr::null_mut();
    if unsigned(size.into()) != REGION {
        return ffi::SQLITE_IOERR_SHMSIZE;
    }
    let mut index = open.index.lock().unwrap_or_else(PoisonError::into_inner);
    let index = index.get_or_insert_with(|| Arc::clone(indexes().entry((open.folder.clone(), open.file)).or_default()));
    let mut mapped = index.lock().unwrap_or_else(PoisonError::into_inner);
    while extend != 0 && mapped.len() <= unsigned(region.into()) {
        mapped.push(Region::new());
    }
    if let Some(Region(start)) = mapped.get(unsigned(region.into())) {
        *address = start.cast();
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock_index(file: *mut ffi::sqlite3_file, first: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    let first = unsigned(first.into());
    let places = first..(first + unsigned(count.into())).min(PLACES);
    let alone = flags & ffi::SQLITE_SHM_EXCLUSIVE != 0;
    let mut state = open.disk.state();
    if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        state.locks.give_up(open.file, open.me, places, alone);
        return ffi::SQLITE_OK;
    }
    if state.locks.take(open.file, open.me, places, alone) { ffi::SQLITE_OK } else { ffi::SQLITE_BUSY }
}

unsafe extern "C" fn barrier(_: *mut ffi::sqlite3_file) {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

unsafe extern "C" fn unmap_index(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    open.disk.state().locks.forget_index(open.file, open.me);
    *open.index.lock().unwrap_or_else(PoisonError::into_inner) = None;
    if delete != 0 {
        // SQLite deletes it from the last connection, which has locked out all others.
        indexes().remove(&(open.folder.clone(), open.file));
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, path: *const c_char, folder: c_int) -> c_int {
    // SAFETY: SQLite gives the path as a text.
    let Some((_, disk, name)) = (unsafe { place(path) }) else { return ffi::SQLITE_IOERR_DELETE };
    if disk.state().delete(&name, folder != 0) { ffi::SQLITE_OK } else { ffi::SQLITE_IOERR_DELETE_NOENT }
}

unsafe extern "C" fn access(_: *mut ffi::sqlite3_vfs, path: *const c_char, _: c_int, found: *mut c_int) -> c_int {
    // SAFETY: SQLite gives the path as a text, and room for a number.
    let (place, found) = unsafe { (place(path), &mut *found) };
    // As on the file system: a file without anything in it counts as none.
    *found = place.is_some_and(|(_, disk, name)| {
        let state = disk.state();
        state.find(&name).is_some_and(|file| state.size(file) > 0)
    }) as c_int;
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_path(_: *mut ffi::sqlite3_vfs, path: *const c_char, room: c_int, out: *mut c_char) -> c_int {
    // SAFETY: SQLite gives the path as a text.
    let bytes = unsafe { CStr::from_ptr(path) }.to_bytes_with_nul();
    if bytes.len() > unsigned(room.into()) {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: there is room for so many bytes, and the two do not overlap.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr().cast(), out, bytes.len()) };
    ffi::SQLITE_OK
}
