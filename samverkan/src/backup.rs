//! Backups: everything that a node needs to start again, in one file that the recovery key alone opens.
//!
//! A line that says what the file is, the beginning of a stream, then its sealed pieces. What is sealed is a line of JSON
//! that names the files, and then the files one after the other. Both ways a piece is in memory at a time. The layout
//! is on `docs/protocol/backups.md`. Whether what comes out is in order is asked by whoever restores it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read, Write};
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use format::seal::stream::{BEGINNING, PIECE, StreamOpener, StreamSealer, TAG};
use format::seal::{OpeningKey, SealingKey};
use format::{Digest, OrgId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Outcome};

/// What a backup begins with.
const FIRST_LINE: &[u8] = b"samverkan backup 1\n";
/// What the halves of a recovery key begin with.
const PUBLIC_LINE: &str = "samverkan recovery key 1";
const SECRET_LINE: &str = "samverkan recovery secret 1";
/// The longest line that names the files.
const MAX_MANIFEST: u64 = 64 * 1024;
/// Where the public half lies in a data folder.
pub(crate) const PUBLIC_FILE: &str = "recovery.pub";

/// What a backup holds.
// STORED: the first line of what is sealed, version 1.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) version: u32,
    /// Whose node it is.
    pub(crate) organisation: OrgId,
    /// When it was made.
    pub(crate) made: Timestamp,
    /// The files, in order.
    pub(crate) files: Vec<Entry>,
}

/// One file of a backup.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Its path within the data folder.
    pub(crate) name: PathBuf,
    /// Its length.
    pub(crate) size: u64,
}

pub(crate) const VERSION: u32 = 1;

/// Makes a recovery key from a seed, and gives its public and secret halves as they are written.
pub(crate) fn new_key(seed: &[u8; 32]) -> Outcome<(String, String, Digest)> {
    let key = OpeningKey::new(seed).map_err(|error| Failure::usage(format!("the key cannot be made: {error}")))?;
    let public = key.sealing().to_bytes();
    let write = |line: &str, bytes: &[u8]| format!("{line}\n{}\n", STANDARD.encode(bytes));
    Ok((write(PUBLIC_LINE, &public), write(SECRET_LINE, seed), Digest::of(&public)))
}

fn decode(path: &Path, text: &str, first: &str) -> Outcome<Vec<u8>> {
    let bytes = text.strip_prefix(first).and_then(|rest| STANDARD.decode(rest.trim()).ok());
    bytes.ok_or_else(|| {
        Failure::usage(format!("`{}` does not hold a {}", path.display(), first.trim_end_matches(" 1")))
            .remedy("`samverkan recovery-key` makes both halves, each in a file of its own.")
    })
}

/// Reads the public half, and gives its fingerprint with it.
pub(crate) fn read_public(path: &Path) -> Outcome<(SealingKey, Digest)> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!("the recovery key `{}` cannot be read: {error}", path.display()))
            .remedy("Make one with `samverkan recovery-key FILE`, or name its public half with --recovery-key.")
    })?;
    let bytes = decode(path, &text, PUBLIC_LINE)?;
    let key = SealingKey::parse(&bytes).map_err(|error| Failure::usage(format!("`{}` cannot be used: {error}", path.display())))?;
    Ok((key, Digest::of(&bytes)))
}

/// Reads the secret half.
pub(crate) fn read_secret_half(path: &Path) -> Outcome<OpeningKey> {
    let bytes = crate::assemble::read_secret(path)?;
    let seed = decode(path, &String::from_utf8_lossy(&bytes), SECRET_LINE)?;
    let seed: [u8; 32] = seed.try_into().map_err(|_| Failure::usage(format!("`{}` does not hold a whole key", path.display())))?;
    OpeningKey::new(&seed).map_err(|error| Failure::usage(format!("`{}` cannot be used: {error}", path.display())))
}

/// A writer that seals what goes through it, piece by piece.
struct Sealing<W> {
    sealer: StreamSealer,
    to: W,
    piece: Vec<u8>,
}

impl<W: Write> Sealing<W> {
    fn begin(key: &SealingKey, mut to: W) -> io::Result<Self> {
        let (sealer, beginning) = StreamSealer::begin(key).map_err(io::Error::other)?;
        to.write_all(FIRST_LINE)?;
        to.write_all(&beginning)?;
        Ok(Self { sealer, to, piece: Vec::with_capacity(PIECE) })
    }

    fn finish(mut self) -> io::Result<W> {
        let last = self.sealer.piece(&self.piece, true).map_err(io::Error::other)?;
        self.to.write_all(&last)?;
        Ok(self.to)
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() == PIECE {
            // WHY: only when more comes, so that the last piece is always the one that is marked so.
            let sealed = self.sealer.piece(&self.piece, false).map_err(io::Error::other)?;
            self.to.write_all(&sealed)?;
            self.piece.clear();
        }
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend(bytes.iter().take(taken));
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that opens what comes through it, piece by piece.
struct Opening<R> {
    opener: StreamOpener,
    from: BufReader<R>,
    piece: Vec<u8>,
    read: usize,
    ended: bool,
}

impl<R: Read> Opening<R> {
    fn next(&mut self) -> io::Result<()> {
        let mut sealed = Vec::with_capacity(PIECE + TAG);
        self.from.by_ref().take((PIECE + TAG) as u64).read_to_end(&mut sealed)?;
        self.ended = self.from.fill_buf()?.is_empty();
        let broken = |_| io::Error::new(io::ErrorKind::InvalidData, "it was changed or cut off, or this is not the key that it was closed to");
        self.piece = self.opener.piece(&sealed, self.ended).map_err(broken)?;
        self.read = 0;
        Ok(())
    }
}

impl<R: Read> Read for Opening<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.read == self.piece.len() {
            if self.ended {
                return Ok(0);
            }
            self.next()?;
        }
        let rest = self.piece.get(self.read..).unwrap_or_default();
        let taken = rest.len().min(to.len());
        to.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.read += taken;
        Ok(taken)
    }
}

/// Writes a backup of these files, each with the name that it has within the data folder, to a new file.
pub(crate) fn write(to: &Path, key: &SealingKey, organisation: &OrgId, made: Timestamp, files: &[(PathBuf, PathBuf)], progress: impl Fn(u64)) -> Outcome<u64> {
    let unwritable = |error: io::Error| Failure::usage(format!("`{}` cannot be written: {error}", to.display()));
    let unreadable = |path: &Path, error: io::Error| Failure::usage(format!("`{}` cannot be read: {error}", path.display()));
    let size = |path: &Path| std::fs::metadata(path).map(|found| found.len()).map_err(|error| unreadable(path, error));
    let entries = files.iter().map(|(name, path)| Ok(Entry { name: name.clone(), size: size(path)? })).collect::<Outcome<_>>()?;
    let manifest = Manifest { version: VERSION, organisation: organisation.clone(), made, files: entries };
    let mut sealing = Sealing::begin(key, BufWriter::new(create(to).map_err(unwritable)?)).map_err(unwritable)?;
    let mut line = serde_json::to_vec(&manifest).unwrap_or_default();
    line.push(b'\n');
    sealing.write_all(&line).map_err(unwritable)?;
    for ((_, path), entry) in files.iter().zip(&manifest.files) {
        let mut file = File::open(path).map_err(|error| unreadable(path, error))?.take(entry.size);
        let copied = copy(&mut file, &mut sealing, &progress).map_err(unwritable)?;
        if copied != entry.size {
            return Err(Failure::unreachable(format!("`{}` changed while it was read", path.display())).remedy("Try again."));
        }
    }
    let file = sealing.finish().and_then(|writer| writer.into_inner().map_err(io::IntoInnerError::into_error)).map_err(unwritable)?;
    file.sync_all().map_err(unwritable)?;
    file.metadata().map(|found| found.len()).map_err(unwritable)
}

/// Opens a backup into the empty folder `folder`, and gives what it holds.
pub(crate) fn read(from: &Path, key: &OpeningKey, folder: &Path, progress: impl Fn(u64)) -> Outcome<Manifest> {
    let broken = |why: String| {
        Failure::refused(format!("`{}` is not a backup that can be restored: {why}", from.display()))
            .remedy("Try another backup, or another recovery key. Nothing was restored.")
    };
    let unusable = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => broken("it ends too early".to_owned()),
        _ => broken(error.to_string()),
    };
    let mut file = BufReader::new(File::open(from).map_err(|error| Failure::usage(format!("`{}` cannot be read: {error}", from.display())))?);
    let mut first = vec![0; FIRST_LINE.len()];
    let mut beginning = vec![0; BEGINNING];
    file.read_exact(&mut first).and_then(|()| file.read_exact(&mut beginning)).map_err(unusable)?;
    if first != FIRST_LINE {
        return Err(broken("it does not begin as one".to_owned()));
    }
    let opener = StreamOpener::begin(key, &beginning).map_err(|fault| broken(fault.to_string()))?;
    let mut stream = BufReader::new(Opening { opener, from: file, piece: Vec::new(), read: 0, ended: false });
    let mut line = Vec::new();
    stream.by_ref().take(MAX_MANIFEST).read_until(b'\n', &mut line).map_err(unusable)?;
    let manifest: Manifest = serde_json::from_slice(&line).map_err(|error| broken(format!("what it holds is not said as it should be: {error}")))?;
    if manifest.version != VERSION {
        return Err(broken(format!("it is of version {}, and this program knows version {VERSION}", manifest.version)));
    }
    for entry in &manifest.files {
        if !entry.name.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(broken(format!("`{}` lies outside the data folder", entry.name.display())));
        }
        let path = folder.join(&entry.name);
        let unwritable = |error: io::Error| Failure::usage(format!("`{}` cannot be written: {error}", path.display()));
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(unwritable)?;
        }
        let mut to = create(&path).map_err(unwritable)?;
        let copied = copy(&mut stream.by_ref().take(entry.size), &mut to, &progress).map_err(unusable)?;
        if copied != entry.size {
            return Err(broken("it ends too early".to_owned()));
        }
        to.sync_all().map_err(unwritable)?;
    }
    // The last piece must have been reached, or somebody cut the end off.
    if stream.read(&mut [0]).map_err(unusable)? != 0 {
        return Err(broken("there is more in it than it says".to_owned()));
    }
    Ok(manifest)
}

fn copy(from: &mut impl Read, to: &mut impl Write, progress: &impl Fn(u64)) -> io::Result<u64> {
    let mut buffer = vec![0; PIECE];
    let mut all = 0;
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(all);
        }
        to.write_all(buffer.get(..read).unwrap_or_default())?;
        all += read as u64;
        progress(read as u64);
    }
}

/// A new file that only its owner may read.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(folder: &Path, content: &[u8]) -> (PathBuf, OpeningKey) {
        let key = OpeningKey::new(&[3; 32]).unwrap();
        std::fs::write(folder.join("content"), content).unwrap();
        let backup = folder.join("backup");
        let files = [(PathBuf::from("keys.json"), folder.join("content"))];
        write(&backup, &key.sealing(), &"se-sapo".parse().unwrap(), Timestamp::from_ms(0), &files, |_| ()).unwrap();
        (backup, key)
    }

    #[test]
    fn what_was_backed_up_comes_out_again_whatever_its_length() {
        for length in [0, 1, PIECE - 200, PIECE, PIECE + 1, 3 * PIECE + 7] {
            let folder = tempfile::tempdir().unwrap();
            let content = vec![b'x'; length];
            let (backup, key) = made(folder.path(), &content);
            let out = folder.path().join("out");
            std::fs::create_dir(&out).unwrap();
            let manifest = read(&backup, &key, &out, |_| ()).unwrap();
            assert_eq!(manifest.files.len(), 1);
            assert!(std::fs::read(out.join("keys.json")).unwrap() == content, "{length}");
        }
    }

    #[test]
    fn a_backup_that_was_cut_off_changed_or_is_anothers_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (backup, key) = made(folder.path(), &vec![b'x'; 2 * PIECE]);
        let whole = std::fs::read(&backup).unwrap();
        let header = FIRST_LINE.len() + BEGINNING;
        let mut tried = 0;
        let mut refuse = |bytes: &[u8], key: &OpeningKey| {
            tried += 1;
            let (file, out) = (folder.path().join(format!("bad{tried}")), folder.path().join(format!("out{tried}")));
            std::fs::write(&file, bytes).unwrap();
            std::fs::create_dir(&out).unwrap();
            assert!(read(&file, key, &out, |_| ()).is_err(), "{tried}");
        };
        for end in [0, header, header + PIECE + TAG, whole.len() - 1] {
            refuse(&whole[..end], &key);
        }
        for place in [0, FIRST_LINE.len(), header, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            refuse(&changed, &key);
        }
        refuse(&[&whole[..], b"more"].concat(), &key);
        refuse(&whole, &OpeningKey::new(&[4; 32]).unwrap());
    }

    #[test]
    fn nothing_of_what_is_backed_up_shows() {
        let folder = tempfile::tempdir().unwrap();
        let (backup, _) = made(folder.path(), b"KANARIE-0123456789");
        let bytes = std::fs::read(backup).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"KANARIE" || window == b"keys.js"));
    }
}
