//! Checkpoints: what a ledger says of itself at one size, signed by its owner and cosigned by its peers.
//!
//! The text is a C2SP tlog-checkpoint in a C2SP signed-note, with Ed25519 signatures (type 0x01) and timestamped
//! cosignatures (`cosignature/v1`, type 0x04). Reading is stricter than the specifications ask: one spelling for every
//! checkpoint, and no extension lines. A note says nothing about the tree itself; that is for [`crate::merkle`], and
//! whether to cosign is for the caller. Its invariant: a [`Checkpoint`] always has a note, and what is read from a note
//! was signed by the key that the caller named.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::id::Digest;
use crate::merkle::{self, Hash};
use crate::time::Timestamp;

#[cfg(test)]
mod tests;

/// The most bytes a note may have, with all its signatures: room for some sixty of them.
pub const MAX_NOTE: usize = 8 * 1024;

/// The most bytes an origin or a key name may have.
pub const MAX_NAME: usize = 255;

/// One ledger's statement: at this size it had this root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
}

impl Checkpoint {
    /// The checkpoint of the ledger `origin` with `size` entries and this `root`.
    ///
    /// # Errors
    /// The origin is empty, longer than [`MAX_NAME`] or holds a control character, or the size exceeds
    /// [`merkle::MAX_SIZE`].
    pub fn new(origin: impl Into<String>, size: u64, root: Hash) -> Result<Self, NoteError> {
        let origin = origin.into();
        if origin.is_empty() || origin.len() > MAX_NAME || origin.contains(char::is_control) {
            return Err(NoteError::Origin);
        }
        if size > merkle::MAX_SIZE {
            return Err(NoteError::Size);
        }
        Ok(Self { origin, size, root })
    }

    /// What a note says, whoever signed it: for showing, and for comparing with what is known otherwise.
    #[must_use]
    pub fn claimed(note: &str) -> Option<Self> {
        Note::parse(note.as_bytes()).ok().map(|note| note.checkpoint)
    }

    /// Which ledger this speaks of. The caller compares it with the one it asked about: a key may sign for several.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The number of entries.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree over those entries.
    #[must_use]
    pub const fn root(&self) -> Hash {
        self.root
    }

    /// The text that is signed: origin, size and root, a line each (C2SP tlog-checkpoint, "Note text").
    #[must_use]
    pub fn to_note(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root))
    }

    /// The whole note, signed by `key` under `name`: the text, a blank line, a signature line.
    ///
    /// # Errors
    /// The name is empty, longer than [`MAX_NAME`] or holds white space, `+` or a control character, or the key
    /// cannot sign.
    pub fn sign(&self, name: &str, key: &Ed25519KeyPair) -> Result<String, NoteError> {
        let text = self.to_note();
        let line = signature_line(name, Kind::Ed25519, key, text.as_bytes(), &[])?;
        Ok(format!("{text}\n{line}"))
    }

    /// A signature line by which `name` states that at this time, rounded down to the second, this was the largest
    /// tree it knew of this ledger. Appended to a signed note, it makes a cosigned one.
    ///
    /// Before it calls this, the cosigner checks that the checkpoint continues every earlier one it has cosigned.
    ///
    /// # Errors
    /// The name is not a key name, as for [`Checkpoint::sign`], the time is before 1970, or the key cannot sign.
    pub fn cosign(&self, name: &str, key: &Ed25519KeyPair, at: Timestamp) -> Result<String, NoteError> {
        let seconds = u64::try_from(at.as_ms().div_euclid(1000)).map_err(|_| NoteError::Time)?;
        let message = cosigned(seconds, &self.to_note());
        signature_line(name, Kind::Cosignature, key, message.as_bytes(), &seconds.to_be_bytes())
    }
}

/// Reads a signed note and returns its checkpoint if `name` signed it with this Ed25519 public key.
///
/// Other signatures must be well formed and are otherwise ignored, as the specification demands.
///
/// # Errors
/// The note exceeds [`MAX_NOTE`] or breaks the grammar, the key has not signed it, or one of its signatures is wrong.
pub fn parse_and_verify(note: &[u8], name: &str, ed25519_public: &[u8; 32]) -> Result<Checkpoint, NoteError> {
    let note = Note::parse(note)?;
    let mut signed = false;
    for signature in note.signatures_of(name, Kind::Ed25519, ed25519_public) {
        signature.check(ed25519_public, note.text.as_bytes(), &signature.bytes)?;
        signed = true;
    }
    if signed { Ok(note.checkpoint) } else { Err(NoteError::Unsigned { name: shown(name) }) }
}

/// Reads a cosigned note and returns its checkpoint, and the latest time at which `name` cosigned it with this Ed25519
/// public key.
///
/// It does not ask whether the ledger itself signed: for that there is [`parse_and_verify`].
///
/// # Errors
/// The note exceeds [`MAX_NOTE`] or breaks the grammar, the key has not cosigned it, one of its cosignatures is wrong,
/// or one bears a time after the year 9999.
pub fn verify_cosignature(note: &[u8], name: &str, ed25519_public: &[u8; 32]) -> Result<(Checkpoint, Timestamp), NoteError> {
    let note = Note::parse(note)?;
    let mut latest = None;
    for signature in note.signatures_of(name, Kind::Cosignature, ed25519_public) {
        let (seconds, bytes) = signature.bytes.split_first_chunk().ok_or_else(|| signature.wrong())?;
        let seconds = u64::from_be_bytes(*seconds);
        signature.check(ed25519_public, cosigned(seconds, note.text).as_bytes(), bytes)?;
        latest = latest.max(Some(timestamp(seconds)?));
    }
    let at = latest.ok_or_else(|| NoteError::Unsigned { name: shown(name) })?;
    Ok((note.checkpoint, at))
}

/// A note cannot be read, verified or signed. Lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// The note exceeds [`MAX_NOTE`].
    #[error("a note of {bytes} bytes is longer than the {MAX_NOTE} allowed")]
    TooLong {
        /// The length of the note.
        bytes: usize,
    },
    /// The note is not UTF-8.
    #[error("the note is not UTF-8 at byte {offset}")]
    Encoding {
        /// Where the first such byte is, from 0.
        offset: usize,
    },
    /// The note holds a control character other than the newline.
    #[error("line {line} holds a control character")]
    Control {
        /// Where it is.
        line: usize,
    },
    /// The text and the signatures are not separated by a blank line.
    #[error("no blank line separates the text from the signatures")]
    NoBlankLine,
    /// The text is not the three lines of a checkpoint.
    #[error("the text has {lines} lines, not the three of origin, size and root")]
    Lines {
        /// How many it has.
        lines: usize,
    },
    /// The origin is empty, too long or holds a control character.
    #[error("line 1 is no origin: 1 to {MAX_NAME} bytes without control characters")]
    Origin,
    /// The size is misspelt or exceeds [`merkle::MAX_SIZE`].
    #[error("line 2 is no size: digits without leading zeros, at most {}", merkle::MAX_SIZE)]
    Size,
    /// The root is not 32 bytes in base64.
    #[error("line 3 is no root: 32 bytes in base64")]
    Root,
    /// A signature line is misspelt.
    #[error("line {line} is no signature: an em dash, a key name and base64, ended by a newline")]
    SignatureLine {
        /// Which line.
        line: usize,
    },
    /// A key cannot have this name.
    #[error("`{name}` is no key name: 1 to {MAX_NAME} bytes without white space, `+` and control characters")]
    Name {
        /// The name given.
        name: String,
    },
    /// The key asked for has not signed the note.
    #[error("no signature by `{name}` with the key given")]
    Unsigned {
        /// The name of the key.
        name: String,
    },
    /// A signature under the name and id of the key asked for is not by that key.
    #[error("the signature on line {line} does not verify")]
    Wrong {
        /// Which line.
        line: usize,
    },
    /// A cosignature's time is outside the years 1970 to 9999.
    #[error("the time of a cosignature is outside the years 1970 to 9999")]
    Time,
    /// The key could not sign.
    #[error("the key could not sign")]
    Signing,
}

/// The kinds of signature used here, by their identifier bytes (C2SP signed-note, "Signature types").
#[derive(Clone, Copy)]
enum Kind {
    Ed25519 = 0x01,
    Cosignature = 0x04,
}

/// A well-formed note of which nothing is verified yet.
struct Note<'a> {
    text: &'a str,
    checkpoint: Checkpoint,
    signatures: Vec<Signature<'a>>,
}

/// A well-formed signature line.
struct Signature<'a> {
    line: usize,
    name: &'a str,
    key_id: [u8; 4],
    bytes: Vec<u8>,
}

impl<'a> Note<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE {
            return Err(NoteError::TooLong { bytes: bytes.len() });
        }
        let note = str::from_utf8(bytes).map_err(|e| NoteError::Encoding { offset: e.valid_up_to() })?;
        if let Some(line) = note.split('\n').position(|line| line.contains(char::is_control)) {
            return Err(NoteError::Control { line: line + 1 });
        }
        // The last blank line separates; the text keeps the newline before it.
        let (text, signatures) = note
            .rfind("\n\n")
            .and_then(|end| note.split_at_checked(end + 1))
            .and_then(|(text, rest)| Some((text, rest.strip_prefix('\n')?)))
            .ok_or(NoteError::NoBlankLine)?;
        let first_line = text.matches('\n').count() + 2;
        let signatures = signatures
            .split_inclusive('\n')
            .zip(first_line..)
            .map(|(text, line)| Signature::parse(text, line).ok_or(NoteError::SignatureLine { line }))
            .collect::<Result<_, _>>()?;
        Ok(Self { text, checkpoint: parse_text(text)?, signatures })
    }

    /// The signatures that claim to be of this kind by this key.
    fn signatures_of(&self, name: &str, kind: Kind, public: &[u8; 32]) -> impl Iterator<Item = &Signature<'a>> {
        let id = key_id(name, kind, public);
        self.signatures.iter().filter(move |s| s.name == name && s.key_id == id)
    }
}

impl<'a> Signature<'a> {
    fn parse(text: &'a str, line: usize) -> Option<Self> {
        let (name, base64) = text.strip_prefix("— ")?.strip_suffix('\n')?.split_once(' ')?;
        let decoded = BASE64.decode(base64).ok()?;
        let (key_id, bytes) = decoded.split_first_chunk()?;
        let whole = is_key_name(name) && !bytes.is_empty();
        whole.then(|| Self { line, name, key_id: *key_id, bytes: bytes.to_vec() })
    }

    fn check(&self, public: &[u8; 32], message: &[u8], signature: &[u8]) -> Result<(), NoteError> {
        UnparsedPublicKey::new(&ED25519, public).verify(message, signature).map_err(|_| self.wrong())
    }

    fn wrong(&self) -> NoteError {
        NoteError::Wrong { line: self.line }
    }
}

fn parse_text(text: &str) -> Result<Checkpoint, NoteError> {
    let lines: Vec<&str> = text.lines().collect();
    let [origin, size, root] = *lines else {
        return Err(NoteError::Lines { lines: lines.len() });
    };
    // Of all the ways to write a number, only the one that we write is read.
    let size = size.parse().ok().filter(|n: &u64| n.to_string() == size).ok_or(NoteError::Size)?;
    let root = BASE64.decode(root).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(NoteError::Root)?;
    Checkpoint::new(origin, size, root)
}

/// The message that a cosigner signs (C2SP tlog-cosignature, "Ed25519 signed message").
fn cosigned(seconds: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {seconds}\n{text}")
}

/// A line with the signature of `message`, preceded by the key id and by what else the kind of signature carries.
fn signature_line(name: &str, kind: Kind, key: &Ed25519KeyPair, message: &[u8], carried: &[u8]) -> Result<String, NoteError> {
    if !is_key_name(name) {
        return Err(NoteError::Name { name: shown(name) });
    }
    let signature = key.try_sign(message).map_err(|_| NoteError::Signing)?;
    let id = key_id(name, kind, key.public_key().as_ref());
    Ok(format!("— {name} {}\n", BASE64.encode([&id, carried, signature.as_ref()].concat())))
}

/// The first four bytes of `SHA-256(name ‖ "\n" ‖ kind ‖ public key)` (C2SP signed-note, "Signatures").
fn key_id(name: &str, kind: Kind, public: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = *Digest::of_parts(&[name.as_bytes(), b"\n", &[kind as u8], public]).as_bytes();
    [a, b, c, d]
}

fn is_key_name(name: &str) -> bool {
    let excluded = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    !name.is_empty() && name.len() <= MAX_NAME && !name.contains(excluded)
}

fn timestamp(seconds: u64) -> Result<Timestamp, NoteError> {
    let ms = i64::try_from(seconds).ok().and_then(|s| s.checked_mul(1000)).ok_or(NoteError::Time)?;
    let at = Timestamp::from_ms(ms);
    if at.as_ms() == ms { Ok(at) } else { Err(NoteError::Time) }
}

/// A name as it may stand in a message: short, and without control characters.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(60).collect()
}
