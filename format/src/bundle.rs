//! Bundles: parcels and answers as one file, for a person to carry where there is no network.
//!
//! A bundle is a row of parts, each a line that says what it is and then the bytes of an envelope, and ends with a part
//! that counts them. Bundles may be joined, cut short or damaged on the way: the reader gives every part that is whole,
//! says where bytes were lost, and begins again at the next line that begins a part. It believes nothing of what the
//! lines say but that their bytes came as they were written; who says what is settled when the envelope is opened.

use std::str::FromStr;

use crate::id::Digest;
use crate::seal::MAX_ENVELOPE;

/// How each part begins.
const BEGIN: &[u8] = b"samverkan-bundle/1 ";
/// The longest line of a part, its end included.
const MAX_LINE: usize = 160;
/// Parts whose bytes are not those that their line names, after which a reader reads no further.
const MAX_MISSES: u32 = 16;

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A sealed parcel.
    Parcel,
    /// A sealed answer to a parcel.
    Answer,
}

impl Kind {
    /// The word in bytes and interfaces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parcel => "parcel",
            Self::Answer => "answer",
        }
    }
}

const END: &str = "end";

/// Writes a bundle, part by part.
#[derive(Debug)]
pub struct BundleWriter {
    parts: u64,
    chain: Digest,
}

impl Default for BundleWriter {
    fn default() -> Self {
        Self { parts: 0, chain: Digest::from([0; 32]) }
    }
}

impl BundleWriter {
    /// The bytes of the next part: an envelope, with the number of the parcel that it is or answers.
    pub fn part(&mut self, kind: Kind, number: u64, envelope: &[u8]) -> Vec<u8> {
        let line = line(kind.as_str(), number, envelope.len(), &Digest::of(envelope));
        self.parts += 1;
        self.chain = chained(&self.chain, line.as_bytes());
        [line.as_bytes(), envelope, b"\n"].concat()
    }

    /// How many parts were written.
    #[must_use]
    pub const fn parts(&self) -> u64 {
        self.parts
    }

    /// The bytes that end the bundle.
    #[must_use]
    pub fn end(self) -> Vec<u8> {
        (line(END, self.parts, 0, &self.chain) + "\n").into_bytes()
    }
}

fn line(word: &str, number: u64, length: usize, digest: &Digest) -> String {
    format!("samverkan-bundle/1 {word} {number} {length} {digest}\n")
}

/// The digest of all lines so far, with one more.
fn chained(before: &Digest, line: &[u8]) -> Digest {
    Digest::of_parts(&[before.as_bytes(), line])
}

/// What a reader comes upon.
#[derive(Clone, PartialEq, Eq)]
pub enum Found {
    /// A part, as it was written.
    Part {
        /// What it says it is.
        kind: Kind,
        /// The number of the parcel, as its line says: for people, nothing follows from it.
        number: u64,
        /// Where it begins, in bytes from the beginning.
        at: u64,
        /// The envelope.
        envelope: Vec<u8>,
    },
    /// The end of a bundle.
    End {
        /// Where it is.
        at: u64,
        /// How many parts the bundle had when it was written.
        parts: u64,
        /// Whether all of them came, in their order.
        whole: bool,
    },
    /// Bytes that are no part, or were one.
    Damaged {
        /// The first of them.
        from: u64,
        /// The first after them.
        to: u64,
    },
    /// The bytes end, and the last bundle does not.
    CutShort {
        /// Where they end.
        at: u64,
    },
    /// Too much is damaged; what follows is not read.
    GivenUp {
        /// From where on.
        at: u64,
    },
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Part { kind, number, at, envelope } => write!(f, "Part({} {number} at {at}, {} bytes)", kind.as_str(), envelope.len()),
            Self::End { at, parts, whole } => write!(f, "End(at {at}, {parts} parts, whole: {whole})"),
            Self::Damaged { from, to } => write!(f, "Damaged({from} to {to})"),
            Self::CutShort { at } => write!(f, "CutShort(at {at})"),
            Self::GivenUp { at } => write!(f, "GivenUp(at {at})"),
        }
    }
}

/// Reads bundles from bytes that come piece by piece. It holds one part and what was pushed last, and no more.
#[derive(Debug)]
pub struct BundleReader {
    bytes: Vec<u8>,
    /// What of `bytes` is read already.
    read: usize,
    /// Where `bytes` begins.
    at: u64,
    parts: u64,
    chain: Digest,
    lost_from: Option<u64>,
    misses: u32,
    given_up: bool,
}

impl Default for BundleReader {
    fn default() -> Self {
        Self { bytes: Vec::new(), read: 0, at: 0, parts: 0, chain: Digest::from([0; 32]), lost_from: None, misses: 0, given_up: false }
    }
}

/// What stands at a place.
enum Here {
    /// A part of so many bytes.
    Part { word: Word, number: u64, line: usize, length: usize },
    /// More bytes are needed to tell.
    Unknown,
    /// No part.
    Nothing,
}

enum Word {
    Envelope(Kind),
    End,
}

impl BundleReader {
    /// Takes in the next bytes. Ask for what is in them with [`Self::next`] before pushing more.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.given_up {
            return;
        }
        self.bytes.drain(..self.read);
        self.at += self.read as u64;
        self.read = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// What comes next; nothing until more is pushed, or, if these were the `last` bytes, at the end.
    pub fn next(&mut self, last: bool) -> Option<Found> {
        loop {
            if self.given_up {
                return None;
            }
            let here = self.here(last);
            if let Here::Part { word, number, line, length } = here {
                return Some(self.lost().unwrap_or_else(|| self.take(&word, number, line, length)));
            }
            if matches!(here, Here::Unknown) {
                return None;
            }
            if self.rest().is_empty() {
                return if last { self.finish() } else { None };
            }
            self.lost_from.get_or_insert(self.place());
            if self.misses > MAX_MISSES {
                self.given_up = true;
                self.bytes = Vec::new();
                return Some(Found::GivenUp { at: self.lost_from.take().unwrap_or_default() });
            }
            self.skip(last);
        }
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.read..).unwrap_or_default()
    }

    fn place(&self) -> u64 {
        self.at + self.read as u64
    }

    /// Looks at what stands at this place.
    fn here(&mut self, last: bool) -> Here {
        let rest = self.rest();
        let short = |enough: usize| if !last && rest.len() < enough { Here::Unknown } else { Here::Nothing };
        if !rest.starts_with(BEGIN.get(..rest.len().min(BEGIN.len())).unwrap_or_default()) {
            return Here::Nothing;
        }
        let Some(end) = rest.iter().take(MAX_LINE).position(|byte| *byte == b'\n') else {
            return short(MAX_LINE);
        };
        let Some((word, number, length, digest)) = rest.get(..=end).and_then(read_line) else {
            return Here::Nothing;
        };
        let Some(body) = rest.get(end + 1..end + 1 + length) else {
            return short(usize::MAX);
        };
        if rest.get(end + 1 + length).is_none() {
            return short(usize::MAX);
        }
        let sound = rest.get(end + 1 + length) == Some(&b'\n') && (matches!(word, Word::End) || Digest::of(body) == digest);
        if !sound {
            self.misses += 1;
            return Here::Nothing;
        }
        Here::Part { word, number, line: end + 1, length }
    }

    fn lost(&mut self) -> Option<Found> {
        let to = self.place();
        self.lost_from.take().map(|from| Found::Damaged { from, to })
    }

    fn take(&mut self, word: &Word, number: u64, line: usize, length: usize) -> Found {
        let at = self.place();
        let rest = self.rest();
        let line_bytes = rest.get(..line).unwrap_or_default().to_vec();
        let envelope = rest.get(line..line + length).unwrap_or_default().to_vec();
        self.read += line + length + 1;
        if let Word::Envelope(kind) = *word {
            self.parts += 1;
            self.chain = chained(&self.chain, &line_bytes);
            return Found::Part { kind, number, at, envelope };
        }
        let (parts, chain) = (std::mem::take(&mut self.parts), std::mem::replace(&mut self.chain, Digest::from([0; 32])));
        let whole = parts == number && self::line(END, parts, 0, &chain).as_bytes() == line_bytes;
        Found::End { at, parts: number, whole }
    }

    /// Passes over bytes up to the next that could begin a part.
    fn skip(&mut self, last: bool) {
        let rest = self.rest();
        let next = rest.windows(BEGIN.len()).skip(1).position(|window| window == BEGIN);
        // The beginning of a part may be cut by the end of what was pushed.
        let kept = if last { 0 } else { BEGIN.len() - 1 };
        let step = next.map_or_else(|| rest.len().saturating_sub(kept).max(1), |place| place + 1);
        self.read += step;
    }

    fn finish(&mut self) -> Option<Found> {
        if let Some(lost) = self.lost() {
            return Some(lost);
        }
        let at = self.place();
        (std::mem::take(&mut self.parts) > 0).then(|| {
            self.chain = Digest::from([0; 32]);
            Found::CutShort { at }
        })
    }
}

/// Reads a part's line. There is one spelling.
fn read_line(bytes: &[u8]) -> Option<(Word, u64, usize, Digest)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut words = text.strip_suffix('\n')?.split(' ').skip(1);
    let word = match words.next()? {
        "parcel" => Word::Envelope(Kind::Parcel),
        "answer" => Word::Envelope(Kind::Answer),
        END => Word::End,
        _ => return None,
    };
    let (number, length): (u64, usize) = (plain(words.next()?)?, plain(words.next()?)?);
    let digest = words.next()?.parse().ok()?;
    let most = if matches!(word, Word::End) { 0 } else { MAX_ENVELOPE };
    (words.next().is_none() && length <= most).then_some((word, number, length, digest))
}

/// A number in its one spelling.
fn plain<T: FromStr + ToString>(text: &str) -> Option<T> {
    text.parse().ok().filter(|number: &T| number.to_string() == text)
}

#[cfg(test)]
mod tests;
