//! A vector as its folder's `index.json` lists it.
//!
//! The bytes of a vector are a file or hexadecimal digits, then a byte repeated, then a tail; most have only the first.
//! Vectors that are not messages have members of their own. Whoever reads an index finds one vector on each line.

use serde::{Deserialize, Serialize};

/// One vector.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Case {
    /// Names it within its folder.
    pub(crate) name: String,
    /// As what it is read, where a folder holds more than one sort.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    pub(crate) reader: Option<String>,
    /// `accept`, or the code of the refusal.
    pub(crate) result: String,
    /// What it is about.
    pub(crate) why: String,
    /// The file with its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// Or its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hex: Option<String>,
    /// A byte that follows, many times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fill: Option<Fill>,
    /// Bytes that follow that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tail: Option<String>,
    /// Or the text that is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    /// Of an accepted message: who signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) signer: Option<String>,
    /// Of an accepted message: SHA-256 of its payload. Of an accepted item: of all its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    /// Of an accepted card: its fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fingerprint: Option<String>,
    /// Of an accepted parcel: which of its items are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) present: Option<Vec<bool>>,
    /// Who opens an envelope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) opener: Option<String>,
    /// What an envelope opens to: a file, relative to the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) opens: Option<String>,
    /// Of an accepted marking or record: the code in it that nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unknown: Option<String>,
    /// Of an accepted marking: how people read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shown: Option<String>,
    /// A piece of an attachment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) piece: Option<Piece>,
    /// Two markings and what they make together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) join: Option<Join>,
}

/// A byte, many times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fill {
    pub(crate) byte: String,
    pub(crate) count: usize,
}

/// A piece of an attachment, with what it is held against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Piece {
    pub(crate) size: u64,
    pub(crate) root: String,
    pub(crate) salt: String,
    pub(crate) index: u64,
    /// The piece is this byte, `length` times.
    pub(crate) byte: String,
    pub(crate) length: usize,
    pub(crate) proof: Vec<String>,
}

/// Two markings, as JSON texts, and what they make together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Join {
    pub(crate) a: String,
    pub(crate) b: String,
    pub(crate) joined: String,
    pub(crate) a_covers_b: bool,
    pub(crate) b_covers_a: bool,
}

impl Case {
    /// A vector of which only the outcome is said.
    pub(crate) fn new(name: &str, result: &str, why: &str) -> Self {
        Self { name: name.to_owned(), result: result.to_owned(), why: why.to_owned(), ..Self::default() }
    }
}

/// Hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes from hexadecimal digits.
pub(crate) fn unhex(digits: &str) -> Vec<u8> {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok()).expect("a hexadecimal digit");
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    assert!(rest.is_empty(), "digits come in pairs");
    pairs.iter().map(|[high, low]| value(*high) << 4 | value(*low)).collect()
}
