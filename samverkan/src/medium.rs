//! Files on media that somebody carries: written so that half of one is never there, and read with care.
//!
//! What is written has another name until all of it is on the medium; then it is renamed, and the folder is written too.
//! What is read must be an ordinary file: a link, device, pipe or folder is refused before a byte of it is.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use futures_util::Stream;
use futures_util::stream::try_unfold;
use rustix::fs::{AtFlags, OFlags, RenameFlags};
use tokio::io::AsyncReadExt as _;

use crate::failure::{Failure, Outcome};

/// Bytes that are read at a time.
const PIECE: usize = 256 * 1024;

/// Where a file is to be.
#[derive(Debug)]
pub(crate) enum Place {
    /// In this folder, under a name that does not exist.
    In(PathBuf),
    /// Here, where nothing is.
    New(PathBuf),
    /// Here, in the place of what may be there.
    Over(PathBuf),
}

impl Place {
    /// Whether something is there that is not to be written over.
    pub(crate) fn check(&self) -> Outcome {
        match self {
            Self::New(path) if path.symlink_metadata().is_ok() => {
                Err(unwritable(path, &"it exists").remedy("Choose another name: what was carried before is not written over."))
            }
            _ => Ok(()),
        }
    }

    fn folder(&self) -> PathBuf {
        let parent = |path: &Path| path.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_owned);
        match self {
            Self::In(folder) => folder.clone(),
            Self::New(path) | Self::Over(path) => parent(path),
        }
    }
}

/// A file that is being written. It is gone when dropped before it is finished.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    place: &'a Place,
    folder: PathBuf,
    path: PathBuf,
    file: File,
    finished: bool,
}

impl<'a> Draft<'a> {
    /// Begins to write.
    pub(crate) fn begin(place: &'a Place) -> Outcome<Self> {
        let folder = place.folder();
        place.check()?;
        let path = folder.join(format!(".{}.part", uuid(&crate::assemble::random())));
        let file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(|error| unwritable(&folder, &error))?;
        Ok(Self { place, folder, path, file, finished: false })
    }

    /// Writes more.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Outcome {
        self.file.write_all(bytes).map_err(|error| unwritable(&self.folder, &error).remedy("Is the medium full, or pulled out? No file was written."))
    }

    /// Has everything on the medium and gives the file its name: `name`, where the place is a folder.
    pub(crate) fn finish(mut self, name: &str) -> Outcome<PathBuf> {
        let (path, over) = match self.place {
            Place::In(folder) => (folder.join(name), false),
            Place::New(path) => (path.clone(), false),
            Place::Over(path) => (path.clone(), true),
        };
        self.file.sync_all().map_err(|error| unwritable(&path, &error))?;
        let renamed = if over { std::fs::rename(&self.path, &path) } else { rename_new(&self.path, &path) };
        renamed.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => unwritable(&path, &"it exists").remedy("Choose another name: what was carried before is not written over."),
            _ => unwritable(&path, &error),
        })?;
        self.finished = true;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(|error| unwritable(&path, &error))?;
        Ok(path)
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // The medium may be gone; there is nothing more to be done then.
            _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Renames, if nothing has the new name. A medium whose file system cannot say so in one step is asked first.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let done = rustix::fs::renameat_with(rustix::fs::CWD, from, rustix::fs::CWD, to, RenameFlags::NOREPLACE);
    match done {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
            let there = rustix::fs::statat(rustix::fs::CWD, to, AtFlags::SYMLINK_NOFOLLOW).is_ok();
            if there { Err(io::ErrorKind::AlreadyExists.into()) } else { std::fs::rename(from, to) }
        }
        other => Ok(other?),
    }
}

fn uuid(bytes: &[u8; 32]) -> String {
    bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn unwritable(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::usage(format!("`{}` cannot be written: {why}", path.display()))
}

/// Opens an ordinary file for reading, and tells its length.
pub(crate) fn open(path: &Path) -> Outcome<(File, u64)> {
    let refused = |why: &dyn std::fmt::Display| Failure::usage(format!("`{}` is not read: {why}", path.display()));
    // Without blocking: a pipe would be waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).map(File::from);
    let file = opened.map_err(|errno| match errno {
        rustix::io::Errno::LOOP => refused(&"it is a link").remedy("Name the file itself."),
        errno => refused(&io::Error::from(errno)),
    })?;
    let found = file.metadata().map_err(|error| refused(&error))?;
    if !found.is_file() {
        let kind = if found.is_dir() { "it is a folder" } else { "it is a device or a pipe" };
        return Err(refused(&kind).remedy("Name the bundle files themselves."));
    }
    Ok((file, found.len()))
}

/// The bytes of a file, piece by piece.
pub(crate) fn pieces(file: File) -> impl Stream<Item = io::Result<Vec<u8>>> + Send {
    try_unfold(tokio::fs::File::from_std(file), |mut file| async move {
        let mut piece = vec![0; PIECE];
        let length = file.read(&mut piece).await?;
        piece.truncate(length);
        Ok((length > 0).then_some((piece, file)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_file_is_never_there() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::New(folder.path().join("a.bundle"));
        let mut draft = Draft::begin(&place).unwrap();
        draft.write(b"half").unwrap();
        assert!(!folder.path().join("a.bundle").exists());
        drop(draft);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut draft = Draft::begin(&place).unwrap();
        draft.write(b"whole").unwrap();
        assert_eq!(std::fs::read(draft.finish("").unwrap()).unwrap(), b"whole");
        assert!(Draft::begin(&place).is_err(), "what is there is not written over");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_name_that_was_taken_meanwhile_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bundle");
        let place = Place::New(path.clone());
        let draft = Draft::begin(&place).unwrap();
        std::fs::write(&path, b"another's").unwrap();
        assert!(draft.finish("").is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"another's");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let over = Place::Over(path.clone());
        Draft::begin(&over).unwrap().finish("").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn only_ordinary_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link, pipe) = (folder.path().join("file"), folder.path().join("link"), folder.path().join("pipe"));
        std::fs::write(&file, b"bytes").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        assert_eq!(open(&file).unwrap().1, 5);
        for (path, why) in
            [(link.as_path(), "it is a link"), (&pipe, "a device or a pipe"), (Path::new("/dev/zero"), "a device or a pipe"), (folder.path(), "it is a folder")]
        {
            let refused = open(path).unwrap_err().to_string();
            assert!(refused.contains(why), "{}: {refused}", path.display());
        }
        assert!(open(&folder.path().join("none")).is_err());
    }
}
