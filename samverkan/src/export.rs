//! Verifying a ledger export, with nothing but the file and public keys.
//!
//! The export is read from the first line to the last and only the right edge of the tree is kept, so a ledger of any
//! size is verified in the same little memory. The form and each step are those of `docs/protocol/ledger.md`. No node,
//! no store and no network is asked, and the export is never believed about the key that signed it.

use std::io::{self, BufRead, Read as _};

use format::card::Card;
use format::checkpoint::{self, Checkpoint, NoteError};
use format::keys::PublicKeys;
use format::merkle::{self, Frontier, Hash};
use format::{Digest, OrgId, Timestamp};

/// The most bytes a line may have.
const MAX_LINE: u64 = 1024 * 1024;

/// An organisation's card, for the key that signs its checkpoints.
#[derive(Debug)]
pub(crate) struct Signer {
    pub(crate) card: Card,
    pub(crate) keys: PublicKeys,
}

impl Signer {
    fn name(&self) -> String {
        format!("{}/ledger", self.card.org)
    }
}

/// A checkpoint from elsewhere, such as one that a peer remembers, to compare the export with on its way.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    pub(crate) size: u64,
    pub(crate) root: Hash,
    /// Where it comes from, for messages.
    pub(crate) source: String,
}

/// What was found in an export that holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// Whose ledger it says it is.
    pub(crate) origin: String,
    /// Who signed the checkpoint; none when no card of the ledger's owner was given.
    pub(crate) signed_by: Option<OrgId>,
    pub(crate) entries: u64,
    pub(crate) erased: u64,
    pub(crate) root: Hash,
    /// Peers that cosigned, and when.
    pub(crate) cosigned: Vec<(OrgId, Timestamp)>,
    /// Remembered checkpoints that the export continues.
    pub(crate) continued: usize,
}

/// Why an export does not hold. Lines are counted from 1, entries from 0.
#[derive(Debug)]
pub(crate) enum ExportFault {
    /// The file could not be read to its end.
    Read(io::Error),
    /// The first line is not a checkpoint.
    NoCheckpoint { why: &'static str },
    /// The checkpoint's note is not as it must be, or not signed by whom it should be.
    Note(NoteError),
    /// No card given is that of the ledger's owner.
    Owner { origin: String },
    /// A line is misspelt, too long or out of order.
    Line { line: u64, why: &'static str },
    /// A leaf is not the hash of its salt and entry.
    Leaf { index: u64 },
    /// The tree differs from a checkpoint at its size.
    Root { size: u64, source: String },
    /// The export has another number of entries than the checkpoint.
    Size { says: u64, has: u64 },
    /// A remembered checkpoint is of a larger ledger.
    Beyond { size: u64, source: String },
}

impl std::fmt::Display for ExportFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Read(error) => write!(f, "the file cannot be read: {error}"),
            Self::NoCheckpoint { why } => write!(f, "line 1 is not the checkpoint of an export: {why}"),
            Self::Note(error) => write!(f, "the checkpoint does not hold: {error}"),
            Self::Owner { origin } => write!(f, "the export is of the ledger `{}`, and no card given is its owner's", plain(origin)),
            Self::Line { line, why } => write!(f, "line {line} {why}; the export is not verified from entry {} on", line.saturating_sub(2)),
            Self::Leaf { index } => write!(f, "entry {index} is not the one that was recorded: its leaf is not the hash of its salt and text"),
            Self::Root { size, source } => {
                write!(f, "at {size} entries the export is not the ledger of {source}: entries were added, removed, reordered or replaced before")
            }
            Self::Size { says, has } => write!(f, "the checkpoint is of {says} entries, and the export has {has}"),
            Self::Beyond { size, source } => write!(f, "{source} is of {size} entries, more than the export has: the ledger was cut off"),
        }
    }
}

impl std::error::Error for ExportFault {}

/// Verifies the export that `input` gives, calling `progress` with the bytes of each line.
pub(crate) fn verify(
    mut input: impl BufRead,
    signers: &[Signer],
    mut remembered: Vec<Remembered>,
    mut progress: impl FnMut(u64),
) -> Result<Report, ExportFault> {
    let mut line = Vec::new();
    next_line(&mut input, &mut line, 1)?;
    progress(line.len() as u64);
    let (checkpoint, note) = first_line(&line)?;
    let (signed_by, cosigned) = signatures(&checkpoint, &note, signers)?;
    remembered.sort_by_key(|checkpoint| checkpoint.size);
    let mut waiting = remembered.iter().peekable();
    let mut frontier = Frontier::default();
    let mut erased = 0;
    for number in 2.. {
        while let Some(known) = waiting.next_if(|known| known.size == frontier.size()) {
            if frontier.root() != known.root {
                return Err(ExportFault::Root { size: known.size, source: known.source.clone() });
            }
        }
        if !next_line(&mut input, &mut line, number)? {
            break;
        }
        progress(line.len() as u64);
        let index = frontier.size();
        let entry = read_entry(&line, index).map_err(|why| ExportFault::Line { line: number, why })?;
        match entry.told {
            Some((salt, text)) if Digest::of_parts(&[salt.as_bytes(), text]) != entry.leaf => return Err(ExportFault::Leaf { index }),
            Some(_) => {}
            None => erased += 1,
        }
        frontier.push(merkle::leaf_hash(entry.leaf.as_bytes()));
    }
    if let Some(known) = waiting.next() {
        return Err(ExportFault::Beyond { size: known.size, source: known.source.clone() });
    }
    if frontier.size() != checkpoint.size() {
        return Err(ExportFault::Size { says: checkpoint.size(), has: frontier.size() });
    }
    if frontier.root() != checkpoint.root() {
        return Err(ExportFault::Root { size: checkpoint.size(), source: "its own checkpoint".to_owned() });
    }
    let (origin, entries, root) = (plain(checkpoint.origin()), frontier.size(), frontier.root());
    Ok(Report { origin, signed_by, entries, erased, root, cosigned, continued: remembered.len() })
}

/// Reads one line without its end; gives whether there was one.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>, number: u64) -> Result<bool, ExportFault> {
    line.clear();
    input.by_ref().take(MAX_LINE + 1).read_until(b'\n', line).map_err(ExportFault::Read)?;
    if line.is_empty() {
        return Ok(false);
    }
    match line.pop() {
        Some(b'\n') => Ok(true),
        _ if line.len() as u64 >= MAX_LINE => Err(ExportFault::Line { line: number, why: "is longer than 1 MiB" }),
        _ => Err(ExportFault::Line { line: number, why: "does not end: the file was cut off" }),
    }
}

fn first_line(line: &[u8]) -> Result<(Checkpoint, String), ExportFault> {
    let why = "it must be {\"checkpoint\":\"...\"}";
    let inner = line.strip_prefix(b"{\"checkpoint\":").and_then(|rest| rest.strip_suffix(b"}")).ok_or(ExportFault::NoCheckpoint { why })?;
    let note: String = serde_json::from_slice(inner).map_err(|_| ExportFault::NoCheckpoint { why })?;
    let checkpoint = unverified(&note).ok_or(ExportFault::NoCheckpoint { why: "its note has no origin, size and root" })?;
    Ok((checkpoint, note))
}

/// What a note says, whoever signed it.
pub(crate) fn unverified(note: &str) -> Option<Checkpoint> {
    let (text, _) = note.split_once("\n\n")?;
    let mut lines = text.lines();
    let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
    let root: Vec<u8> = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, root).ok()?;
    Checkpoint::new(origin, size.parse().ok()?, root.try_into().ok()?).ok()
}

type Signatures = (Option<OrgId>, Vec<(OrgId, Timestamp)>);

/// Verifies the owner's signature and the cosignatures of those whose cards are given.
fn signatures(checkpoint: &Checkpoint, note: &str, signers: &[Signer]) -> Result<Signatures, ExportFault> {
    if signers.is_empty() {
        return Ok((None, Vec::new()));
    }
    let (mut owner, mut cosigned) = (None, Vec::new());
    for signer in signers {
        let (name, key) = (signer.name(), signer.keys.ed25519_raw());
        if name == checkpoint.origin() {
            let signed = checkpoint::parse_and_verify(note.as_bytes(), &name, key).map_err(ExportFault::Note)?;
            if signed != *checkpoint {
                return Err(ExportFault::NoCheckpoint { why: "its note can be read in two ways" });
            }
            owner = Some(signer.card.org.clone());
            continue;
        }
        match checkpoint::verify_cosignature(note.as_bytes(), &name, key) {
            Ok((_, at)) => cosigned.push((signer.card.org.clone(), at)),
            Err(NoteError::Unsigned { .. }) => {}
            Err(error) => return Err(ExportFault::Note(error)),
        }
    }
    if owner.is_none() {
        return Err(ExportFault::Owner { origin: checkpoint.origin().to_owned() });
    }
    Ok((owner, cosigned))
}

/// One entry's line.
struct EntryLine<'a> {
    leaf: Digest,
    /// Salt and text; none where they were erased.
    told: Option<(Digest, &'a [u8])>,
}

/// Reads a line in its one spelling.
fn read_entry(line: &[u8], index: u64) -> Result<EntryLine<'_>, &'static str> {
    let misspelt = "is not an entry of an export";
    let rest = line.strip_prefix(format!("{{\"index\":{index},\"leaf\":\"").as_bytes()).ok_or("is not the entry that comes next")?;
    let (leaf, rest) = hash(rest).ok_or(misspelt)?;
    let rest = rest.strip_prefix(b"\",\"salt\":").ok_or(misspelt)?;
    if rest == b"null,\"entry\":null}" {
        return Ok(EntryLine { leaf, told: None });
    }
    let (salt, rest) = rest.strip_prefix(b"\"").and_then(hash).ok_or(misspelt)?;
    let text = rest.strip_prefix(b"\",\"entry\":").and_then(|rest| rest.strip_suffix(b"}")).ok_or(misspelt)?;
    if !text.starts_with(b"{") || !text.ends_with(b"}") {
        return Err(misspelt);
    }
    Ok(EntryLine { leaf, told: Some((salt, text)) })
}

fn hash(text: &[u8]) -> Option<(Digest, &[u8])> {
    let (digits, rest) = text.split_at_checked(64)?;
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

/// A name as it may stand in a message.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests;
