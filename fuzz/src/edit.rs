//! Edits: what a hostile author does to a well-formed statement before signing it.
//!
//! Edits of a JSON tree keep the rest of it whole, so that the fault lies where the types look; edits of bytes break
//! the tree itself. Both are read from libFuzzer's bytes, and small changes there make small changes here.

use arbitrary::Arbitrary;
use serde_json::Value;

/// One edit of a JSON tree, at a place counted through all its values.
#[derive(Debug, Arbitrary)]
pub enum Edit {
    /// Something else stands there.
    Put(u8, Odd),
    /// The object or array there loses one.
    Drop(u8, u8),
    /// The object there gets one more member, or the array one more value.
    Add(u8, Word, Odd),
    /// The array there holds its values twice.
    Double(u8),
}

/// A value that the place did not expect, or that it did.
#[derive(Debug, Arbitrary)]
pub enum Odd {
    /// Nothing.
    Null,
    /// A truth value.
    Flag(bool),
    /// An integer.
    Integer(i64),
    /// A small integer.
    Small(u8),
    /// A fraction, or nothing where JSON cannot write it.
    Fraction(f64),
    /// Any text.
    Text(String),
    /// A word that means something somewhere.
    Known(Word),
    /// A long text.
    Long(u16),
    /// Nested arrays.
    Deep(u8),
    /// Many values.
    Wide(u16),
    /// An empty object.
    Object,
}

/// A word that means something somewhere.
#[derive(Debug, Arbitrary)]
pub struct Word(u8);

const WORDS: &[&str] = &[
    "report",
    "lesson",
    "alert",
    "correction",
    "recall",
    "consent",
    "receipt",
    "se-one",
    "se-two",
    "se-three",
    "se-none",
    "three",
    "se:open",
    "se:kh",
    "xx:what",
    "clear",
    "red",
    "amber+strict",
    "h1",
    "originator-control",
    "national-only",
    "releasable-to",
    "supersedes",
    "links",
    "attachments",
    "concerns",
    "based-on",
    "answers",
    "ask",
    "grant",
    "deny",
    "held",
    "refused",
    "removed",
    "passed-on",
    "TWO-2026-000001",
    "1900-01-01T00:00:00.000Z",
    "9999-12-30T22:00:00.000Z",
    "2026-11-22T08:30:00.000Z",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "relation",
    "to",
    "sha256",
    "size",
    "root",
    "pap",
    "caveats",
    "grading",
    "4x4:A1",
    "admiralty:F6",
    "sv",
    "until",
    "from",
    "role",
    "chair",
    "observer",
    "never",
    "free",
    "within",
    "stix",
    "bundle",
    "\u{202e}",
    "",
    "\u{0}",
];

impl Word {
    fn text(&self) -> &'static str {
        WORDS[usize::from(self.0) % WORDS.len()]
    }
}

impl Odd {
    fn value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Flag(flag) => (*flag).into(),
            Self::Integer(number) => (*number).into(),
            Self::Small(number) => (*number).into(),
            Self::Fraction(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
            Self::Known(word) => word.text().into(),
            Self::Long(length) => "a".repeat(usize::from(*length)).into(),
            Self::Deep(levels) => (0..*levels).fold(Value::Null, |inner, _| Value::Array(vec![inner])),
            Self::Wide(count) => Value::Array((0..*count).map(Value::from).collect()),
            Self::Object => Value::Object(serde_json::Map::new()),
        }
    }
}

/// The most edits, and the most cuts, that are applied: doubling often enough fills any memory.
const MOST: usize = 8;

/// Applies the edits in order.
pub fn apply(edits: &[Edit], value: &mut Value) {
    for edit in edits.iter().take(MOST) {
        let places = count(value);
        match edit {
            Edit::Put(at, odd) => {
                if let Some(place) = nth(value, &mut (usize::from(*at) % places)) {
                    *place = odd.value();
                }
            }
            Edit::Drop(at, which) => match nth(value, &mut (usize::from(*at) % places)) {
                Some(Value::Object(members)) if !members.is_empty() => {
                    let name = members.keys().nth(usize::from(*which) % members.len()).cloned().unwrap_or_default();
                    members.remove(&name);
                }
                Some(Value::Array(values)) if !values.is_empty() => {
                    values.remove(usize::from(*which) % values.len());
                }
                _ => {}
            },
            Edit::Add(at, name, odd) => match nth(value, &mut (usize::from(*at) % places)) {
                Some(Value::Object(members)) => {
                    members.insert(name.text().to_owned(), odd.value());
                }
                Some(Value::Array(values)) => values.push(odd.value()),
                _ => {}
            },
            Edit::Double(at) => {
                if let Some(Value::Array(values)) = nth(value, &mut (usize::from(*at) % places)) {
                    values.extend(values.clone());
                }
            }
        }
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(values) => values.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

fn nth<'a>(value: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(values) => values.iter_mut().find_map(|inner| nth(inner, left)),
        Value::Object(members) => members.values_mut().find_map(|inner| nth(inner, left)),
        _ => None,
    }
}

/// One edit of bytes.
#[derive(Debug, Arbitrary)]
pub enum Cut {
    /// Another byte stands there.
    Set(u16, u8),
    /// These bytes come in between.
    Insert(u16, Vec<u8>),
    /// These many bytes are gone.
    Remove(u16, u8),
    /// Everything from there on is gone.
    Truncate(u16),
    /// The bytes from there on come twice.
    Repeat(u16),
}

/// Applies the cuts in order.
pub fn cut(cuts: &[Cut], bytes: &mut Vec<u8>) {
    for cut in cuts.iter().take(MOST) {
        let place = |at: u16| usize::from(at) % (bytes.len() + 1);
        match cut {
            Cut::Set(at, byte) => {
                let at = place(*at);
                if let Some(place) = bytes.get_mut(at) {
                    *place = *byte;
                }
            }
            Cut::Insert(at, more) => {
                let at = place(*at);
                bytes.splice(at..at, more.iter().copied());
            }
            Cut::Remove(at, length) => {
                let at = place(*at);
                let end = (at + usize::from(*length)).min(bytes.len());
                bytes.drain(at..end);
            }
            Cut::Truncate(at) => bytes.truncate(place(*at)),
            Cut::Repeat(at) => bytes.extend_from_within(place(*at)..),
        }
    }
}
