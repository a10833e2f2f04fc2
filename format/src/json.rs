//! The one gate through which every stranger's JSON passes before anything gives it a meaning.
//!
//! [`check`] walks the bytes once against a [`Budget`] and builds no tree; [`parse`] does the same and then reads a
//! type. What the gate does not do is know any field: that is the type's own work, with unknown fields denied.
//! Its invariant: bytes that passed are one I-JSON value (RFC 8259 as narrowed by RFC 7493) within the budget, in
//! which no object holds a key twice and no number is outside what every reader holds exactly, so that two readers
//! can't come to different contents.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use serde::Deserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};

/// The largest integer that every JSON reader holds exactly, 2^53 - 1 (RFC 7493, section 2.2); the least is its
/// negative.
pub const MAX_INTEGER: u64 = 9_007_199_254_740_991;

/// The longest key, in bytes of UTF-8. STIX 2.1 allows 250 for a property's name.
pub const MAX_KEY_BYTES: usize = 256;

/// The most levels of nesting, whatever a budget says: just below the parser's own limit, so that this one is told.
pub const MAX_DEPTH: usize = 126;

/// How much JSON is read from a stranger before it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of the whole input.
    pub bytes: usize,
    /// Levels of nesting: `[]` has one, `[{}]` has two. Never more than [`MAX_DEPTH`].
    pub depth: usize,
    /// Values of every kind, the outermost and each array and object included; keys are not counted.
    pub values: usize,
    /// Bytes of UTF-8 in one string, after its escapes are resolved. Keys have [`MAX_KEY_BYTES`] as well.
    pub string: usize,
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

impl Budget {
    /// The header of a record, or another signed statement.
    pub const HEADER: Self = Self { bytes: 256 * KIB, depth: 8, values: 4096, string: 16 * KIB };
    /// The body of a record.
    pub const BODY: Self = Self { bytes: MIB, depth: 32, values: 100_000, string: MIB };
    /// A STIX 2.1 bundle: whole catalogues of techniques come in one file.
    pub const STIX: Self = Self { bytes: 16 * MIB, depth: 64, values: 1_000_000, string: 4 * MIB };
    /// The card with which a node presents itself and its keys.
    pub const CARD: Self = Self { bytes: 64 * KIB, depth: 8, values: 1024, string: 16 * KIB };
}

/// Checks that `bytes` are one JSON value within `budget`.
///
/// The length is looked at first, so that nothing is read of an input that is too long. Memory in use is bounded by
/// the keys of the objects that are open at one time, and most of those are borrowed from `bytes`.
///
/// # Errors
///
/// The first fault met, from the front. Besides what the budget limits these are: bytes that are not UTF-8, anything
/// that RFC 8259 doesn't allow, more bytes after the value, a key twice in one object, a number outside
/// ±[`MAX_INTEGER`] (a double of that size is an integer too), and a key with a control character or one that
/// changes the direction of text (U+202A to U+202E, U+2066 to U+2069). Values may hold such characters.
pub fn check(bytes: &[u8], budget: &Budget) -> Result<(), JsonFault> {
    if bytes.len() > budget.bytes {
        return Err(JsonFault::TooManyBytes { given: bytes.len(), limit: budget.bytes });
    }
    let text = std::str::from_utf8(bytes).map_err(|fault| JsonFault::NotUtf8 { at: Place::after(bytes.get(..fault.valid_up_to()).unwrap_or_default()) })?;
    let mut json = serde_json::Deserializer::from_str(text);
    let mut walk = Walk { budget, depth: 0, values: 0, refusal: None, path: Vec::new() };
    Node(&mut walk).deserialize(&mut json).map_err(|error| walk.fault(&error))?;
    json.end().map_err(|error| JsonFault::TrailingBytes { at: Place::of(&error, String::new()) })
}

/// Checks `bytes` against `budget`, then reads a `T` from them.
///
/// `T` should deny unknown fields. A derived struct can also be read from an array of its fields' values; where only
/// an object will do, read an [`Object`] of it.
///
/// # Errors
///
/// As for [`check`], and [`JsonFault::Shape`] when the value is not a `T`.
pub fn parse<T: DeserializeOwned>(bytes: &[u8], budget: &Budget) -> Result<T, JsonFault> {
    check(bytes, budget)?;
    serde_json::from_slice(bytes).map_err(|error| JsonFault::shape(&error, String::new()))
}

/// Reads a `T` from a JSON object only, where a derived struct would take an array of its fields' values as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: serde::Deserialize<'de>> serde::Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: serde::Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor(std::marker::PhantomData))
    }
}

/// Where in the input a fault is: its line, its column in bytes, and the path to it as in JSON Pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    line: usize,
    column: usize,
    path: String,
}

impl Place {
    /// The line, from 1; 0 when it is not known.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }

    /// The column in bytes, as the parser counts it: it stands at the fault or just after it.
    #[must_use]
    pub const fn column(&self) -> usize {
        self.column
    }

    /// The path, empty for the outermost value or when it is not known. At most 201 characters: a longer one ends with
    /// `…`, and so does a long key within it. Characters that could disturb a reader are replaced.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn of(error: &serde_json::Error, path: String) -> Self {
        Self { line: error.line(), column: error.column(), path }
    }

    fn after(prefix: &[u8]) -> Self {
        let before = prefix.iter().filter(|byte| **byte == b'\n').count();
        let column = prefix.iter().rev().take_while(|byte| **byte != b'\n').count();
        Self { line: before + 1, column: column + 1, path: String::new() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.path.as_str()) {
            (0, "") => f.write_str("the outermost value"),
            (0, path) => write!(f, "`{path}`"),
            (line, "") => write!(f, "line {line} column {}", self.column),
            (line, path) => write!(f, "line {line} column {}, `{path}`", self.column),
        }
    }
}

/// Why JSON was refused. The sender is to blame for each of them.
///
/// No message quotes a string of the input, except that a type may name, in backticks, a word that it doesn't know.
/// Keys appear in paths, shortened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonFault {
    /// The input is longer than the budget; nothing of it was read.
    #[error("{given} bytes, where at most {limit} are allowed")]
    TooManyBytes {
        /// Bytes given.
        given: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The input is not UTF-8 (RFC 8259, section 8.1).
    #[error("not UTF-8 at {at}")]
    NotUtf8 {
        /// The first byte that is not.
        at: Place,
    },
    /// The input is not JSON.
    #[error("not JSON: {why} at {at}")]
    Syntax {
        /// What the parser says.
        why: String,
        /// Where.
        at: Place,
    },
    /// The value has ended and the input has not.
    #[error("more bytes after the end of the value at {at}")]
    TrailingBytes {
        /// The first of them.
        at: Place,
    },
    /// Arrays and objects within one another beyond the limit.
    #[error("nested deeper than the {limit} levels allowed at {at}")]
    TooDeep {
        /// Levels allowed.
        limit: usize,
        /// Where.
        at: Place,
    },
    /// More values than the limit.
    #[error("more than the {limit} values allowed at {at}")]
    TooManyValues {
        /// Values allowed.
        limit: usize,
        /// Where.
        at: Place,
    },
    /// A string value beyond the limit.
    #[error("a string of {given} bytes, where at most {limit} are allowed, at {at}")]
    StringTooLong {
        /// Bytes given.
        given: usize,
        /// Bytes allowed.
        limit: usize,
        /// Where.
        at: Place,
    },
    /// A key beyond the limit.
    #[error("a key of {given} bytes, where at most {limit} are allowed, at {at}")]
    KeyTooLong {
        /// Bytes given.
        given: usize,
        /// Bytes allowed.
        limit: usize,
        /// Where.
        at: Place,
    },
    /// A key twice in one object (RFC 7493, section 2.3), compared after escapes are resolved.
    #[error("a key twice in one object at {at}")]
    DuplicateKey {
        /// The second of them.
        at: Place,
    },
    /// A key holds a control character or one that changes the direction of text.
    #[error("character U+{code:04X} in a key at {at}")]
    KeyCharacter {
        /// The character's code point.
        code: u32,
        /// Where.
        at: Place,
    },
    /// A key that the parser itself gives a meaning.
    #[error("a key reserved for the parser at {at}")]
    KeyReserved {
        /// Where.
        at: Place,
    },
    /// A number outside ±[`MAX_INTEGER`], or beyond any double.
    #[error("a number outside ±{MAX_INTEGER} at {at}")]
    NumberOutOfRange {
        /// Where.
        at: Place,
    },
    /// The JSON is sound but is not what was asked for.
    #[error("not of the form expected: {why} at {at}")]
    Shape {
        /// What the type says, without the input's strings.
        why: String,
        /// Where; the path is not known.
        at: Place,
    },
}

impl JsonFault {
    /// A stable word for the fault, for problem details, counters and test vectors.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooManyBytes { .. } => "too-many-bytes",
            Self::NotUtf8 { .. } => "not-utf8",
            Self::Syntax { .. } => "syntax",
            Self::TrailingBytes { .. } => "trailing-bytes",
            Self::TooDeep { .. } => "too-deep",
            Self::TooManyValues { .. } => "too-many-values",
            Self::StringTooLong { .. } => "string-too-long",
            Self::KeyTooLong { .. } => "key-too-long",
            Self::DuplicateKey { .. } => "duplicate-key",
            Self::KeyCharacter { .. } => "key-character",
            Self::KeyReserved { .. } => "key-reserved",
            Self::NumberOutOfRange { .. } => "number-out-of-range",
            Self::Shape { .. } => "shape",
        }
    }

    pub(crate) fn shape(error: &serde_json::Error, path: String) -> Self {
        Self::Shape { why: reason(error), at: Place::of(error, path) }
    }
}

/// The state of one walk. `path` fills from the inside out, and only while a fault is on its way up.
struct Walk<'b> {
    budget: &'b Budget,
    depth: usize,
    values: usize,
    refusal: Option<Refusal>,
    path: Vec<Step>,
}

enum Step {
    Key(String),
    Index(usize),
}

enum Refusal {
    TooDeep,
    TooManyValues,
    StringTooLong(usize),
    KeyTooLong(usize),
    DuplicateKey,
    KeyCharacter(char),
    KeyReserved,
    NumberOutOfRange,
}

impl Walk<'_> {
    /// Keeps what is wrong aside, since the parser's own error has no room for it.
    fn refuse<E: serde::de::Error>(&mut self, refusal: Refusal) -> E {
        self.refusal = Some(refusal);
        E::custom("refused")
    }

    fn enter<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if self.depth >= self.depth_limit() {
            return Err(self.refuse(Refusal::TooDeep));
        }
        self.depth += 1;
        Ok(())
    }

    fn depth_limit(&self) -> usize {
        self.budget.depth.min(MAX_DEPTH)
    }

    fn key_limit(&self) -> usize {
        self.budget.string.min(MAX_KEY_BYTES)
    }

    fn fault(&mut self, error: &serde_json::Error) -> JsonFault {
        let at = Place::of(error, pointer(&self.path));
        match self.refusal.take() {
            Some(Refusal::TooDeep) => JsonFault::TooDeep { limit: self.depth_limit(), at },
            Some(Refusal::TooManyValues) => JsonFault::TooManyValues { limit: self.budget.values, at },
            Some(Refusal::StringTooLong(given)) => JsonFault::StringTooLong { given, limit: self.budget.string, at },
            Some(Refusal::KeyTooLong(given)) => JsonFault::KeyTooLong { given, limit: self.key_limit(), at },
            Some(Refusal::DuplicateKey) => JsonFault::DuplicateKey { at },
            Some(Refusal::KeyCharacter(char)) => JsonFault::KeyCharacter { code: u32::from(char), at },
            Some(Refusal::KeyReserved) => JsonFault::KeyReserved { at },
            Some(Refusal::NumberOutOfRange) => JsonFault::NumberOutOfRange { at },
            None => match reason(error) {
                why if why == "number out of range" => JsonFault::NumberOutOfRange { at },
                why => JsonFault::Syntax { why, at },
            },
        }
    }
}

/// Reads one value of any kind and keeps nothing of it.
struct Node<'w, 'b>(&'w mut Walk<'b>);

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.0.values >= self.0.budget.values {
            return Err(self.0.refuse(Refusal::TooManyValues));
        }
        self.0.values += 1;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        if number > MAX_INTEGER { Err(self.0.refuse(Refusal::NumberOutOfRange)) } else { Ok(()) }
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        self.visit_u64(number.unsigned_abs())
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        // WHY: every double beyond this is an integer, and integers beyond 64 bits arrive here as doubles.
        const MAX: f64 = 9_007_199_254_740_991.0;
        if (-MAX..=MAX).contains(&number) { Ok(()) } else { Err(self.0.refuse(Refusal::NumberOutOfRange)) }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        if text.len() > self.0.budget.string {
            return Err(self.0.refuse(Refusal::StringTooLong(text.len())));
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let walk = self.0;
        walk.enter()?;
        for index in 0.. {
            match list.next_element_seed(Node(walk)) {
                Ok(Some(())) => {}
                Ok(None) => break,
                Err(error) => {
                    walk.path.push(Step::Index(index));
                    return Err(error);
                }
            }
        }
        walk.depth -= 1;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let walk = self.0;
        walk.enter()?;
        let mut keys = BTreeSet::new();
        while let Some(key) = map.next_key_seed(Key(walk))? {
            let outcome = if keys.contains(&key) { Err(walk.refuse(Refusal::DuplicateKey)) } else { map.next_value_seed(Node(walk)) };
            if let Err(error) = outcome {
                walk.path.push(Step::Key(key.into_owned()));
                return Err(error);
            }
            keys.insert(key);
        }
        walk.depth -= 1;
        Ok(())
    }
}

/// Reads one key, borrowed from the input where it has no escapes.
struct Key<'w, 'b>(&'w mut Walk<'b>);

impl Key<'_, '_> {
    fn check<E: serde::de::Error>(self, key: &str) -> Result<(), E> {
        let refusal = if key.len() > self.0.key_limit() {
            Refusal::KeyTooLong(key.len())
        } else if let Some(char) = key.chars().find(|char| disturbs(*char)) {
            Refusal::KeyCharacter(char)
        } else if key.starts_with("$serde_json::private::") {
            // WHY: the parser reads the string below its raw-value key as JSON of its own, past this gate.
            Refusal::KeyReserved
        } else {
            return Ok(());
        };
        self.0.path.push(Step::Key(key.chars().take(MAX_KEY_BYTES).collect()));
        Err(self.0.refuse(refusal))
    }
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_, '_> {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, key: &'de str) -> Result<Cow<'de, str>, E> {
        self.check(key).map(|()| Cow::Borrowed(key))
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Cow<'de, str>, E> {
        self.check(key).map(|()| Cow::Owned(key.to_owned()))
    }
}

/// Whether a character is a control or changes the direction of the text around it.
fn disturbs(char: char) -> bool {
    char.is_control() || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The longest path in a fault, and the longest key and reason in one, in characters.
const PATH_CHARS: usize = 200;
const STEP_CHARS: usize = 48;
const REASON_CHARS: usize = 160;

/// The path from the outermost value, whose steps come from the inside out.
fn pointer(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps.iter().rev() {
        path.push('/');
        match step {
            // Writing to a string can't fail.
            Step::Index(index) => _ = write!(path, "{index}"),
            Step::Key(key) => {
                path.push_str(&shorten(key, STEP_CHARS).replace('~', "~0").replace('/', "~1").replace('`', "…"));
            }
        }
        if path.len() > PATH_CHARS {
            break;
        }
    }
    shorten(&path, PATH_CHARS)
}

/// At most `limit` characters of `text`, with `…` for what is left out and in place of what would disturb a reader.
fn shorten(text: &str, limit: usize) -> String {
    let mut chars = text.chars().map(|char| if disturbs(char) { '…' } else { char });
    let mut short: String = chars.by_ref().take(limit).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}

/// The parser's reason without its position, and with `…` for every string that it quotes from the input.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    let mut plain = String::new();
    let mut quoted = false;
    let mut chars = text.strip_suffix(&position).unwrap_or(&text).chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' if quoted => _ = chars.next(),
            '"' if quoted => quoted = false,
            '"' => {
                quoted = true;
                plain.push('…');
            }
            char if !quoted => plain.push(char),
            _ => {}
        }
    }
    shorten(&plain, REASON_CHARS)
}

#[cfg(test)]
mod tests {

    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    const SMALL: Budget = Budget { bytes: 4096, depth: 3, values: 10, string: 20 };

    fn refused(text: &str) -> JsonFault {
        check(text.as_bytes(), &SMALL).expect_err(text)
    }

    fn vectors(name: &str) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/json").join(name);
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= 12, "only {} vectors in {name}", files.len());
        files
    }

    #[test]
    fn accepts_the_accept_vectors() {
        for file in vectors("accept") {
            assert_eq!(check(&fs::read(&file).unwrap(), &Budget::HEADER), Ok(()), "{}", file.display());
        }
    }

    /// A reject vector is named by the code of its fault, then a dot and what is particular to it.
    #[test]
    fn rejects_the_reject_vectors_for_the_reason_in_their_name() {
        for file in vectors("reject") {
            let fault = check(&fs::read(&file).unwrap(), &Budget::HEADER).expect_err(&file.display().to_string());
            let name = file.file_name().unwrap().to_str().unwrap();
            assert_eq!(name.split('.').next(), Some(fault.code()), "{name}: {fault}");
        }
    }

    #[test]
    fn every_limit_holds_to_the_unit() {
        let accepted = |text: &str| check(text.as_bytes(), &SMALL).is_ok();
        assert!(accepted("[[[]]]") && accepted(r#"{"a":[{}]}"#));
        assert_eq!(refused("[[[[]]]]").code(), "too-deep");
        assert!(accepted("[1,2,3,4,5,6,7,8,9]"));
        assert_eq!(refused("[1,2,3,4,5,6,7,8,9,10]").code(), "too-many-values");
        assert!(accepted(&format!("\"{}\"", "å".repeat(10))));
        assert_eq!(refused(&format!("\"{}a\"", "å".repeat(10))).code(), "string-too-long");
        assert_eq!(refused(r#"{"aaaaaaaaaaaaaaaaaaaaa":1}"#).code(), "key-too-long");
        assert!(accepted(&format!("{:4096}", 1)));
        assert_eq!(refused(&format!("{:4097}", 1)).code(), "too-many-bytes");
        let key = |length: usize| check(format!("{{\"{}\":1}}", "k".repeat(length)).as_bytes(), &Budget::BODY);
        assert!(key(MAX_KEY_BYTES).is_ok() && key(MAX_KEY_BYTES + 1).is_err());
    }

    #[test]
    fn no_budget_reaches_the_parsers_own_recursion_limit() {
        let endless = Budget { depth: usize::MAX, ..Budget::BODY };
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(check(nested(MAX_DEPTH).as_bytes(), &endless), Ok(()));
        let fault = check(nested(MAX_DEPTH + 1).as_bytes(), &endless).unwrap_err();
        assert!(matches!(fault, JsonFault::TooDeep { limit: MAX_DEPTH, .. }), "{fault}");
    }

    #[test]
    fn a_fault_says_what_where_and_the_limit() {
        let text = "{\"a/b\": [\n  1,\n  {\"k\": 1, \"\\u006b\": 2}]}";
        let fault = refused(text);
        assert_eq!(fault.to_string(), "a key twice in one object at line 3 column 19, `/a~1b/1/k`");
        assert_eq!(refused("[[[\n[]]]]").to_string(), "nested deeper than the 3 levels allowed at line 2 column 2, `/0/0/0`");
        assert_eq!(refused("{\"a\":\n[tru]}").to_string(), "not JSON: expected ident at line 2 column 5, `/a/0`");
        assert_eq!(refused("1 2").to_string(), "more bytes after the end of the value at line 1 column 3");
        assert_eq!(refused("{\"a\u{202e}b\":1}").to_string(), "character U+202E in a key at line 1 column 8, `/a…b`");
        let utf8 = check(b"{\"a\":\n \"\xff\"}", &SMALL).unwrap_err();
        assert_eq!(utf8.to_string(), "not UTF-8 at line 2 column 3");
    }

    #[test]
    fn paths_are_bounded() {
        let key = "~".repeat(250);
        let text = format!("{}[{}", format!("{{\"{key}\":").repeat(30), "}".repeat(30));
        let fault = check(text.as_bytes(), &Budget::BODY).unwrap_err();
        let JsonFault::Syntax { at, .. } = &fault else { unreachable!("{fault}") };
        assert!(at.path().starts_with("/~0~0") && at.path().ends_with('…'));
        assert_eq!(at.path().chars().count(), PATH_CHARS + 1);
    }

    #[derive(Debug, PartialEq, Eq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Note {
        name: String,
        count: u32,
    }

    #[test]
    fn parses_into_a_type_without_repeating_the_input() {
        let read = |text: &str| parse::<Note>(text.as_bytes(), &SMALL);
        assert_eq!(read(r#"{"name":"a","count":1}"#), Ok(Note { name: "a".to_owned(), count: 1 }));
        let fault = read(r#"{"name":"a","count":"see \" cret"}"#).unwrap_err();
        assert_eq!(fault.to_string(), "not of the form expected: invalid type: string …, expected u32 at line 1 column 33");
        assert_eq!(read(r#"{"name":"a","count":1,"more":2}"#).unwrap_err().code(), "shape");
        assert_eq!(read(r#"{"name":"a","name":"b","count":1}"#).unwrap_err().code(), "duplicate-key");
    }

    #[test]
    fn an_object_is_not_read_from_an_array() {
        let array = br#"["a",1]"#;
        assert!(parse::<Note>(array, &SMALL).is_ok(), "the derive takes arrays, which is why `Object` is there");
        assert_eq!(parse::<Object<Note>>(array, &SMALL).unwrap_err().code(), "shape");
        assert!(parse::<Object<Note>>(br#"{"name":"a","count":1}"#, &SMALL).is_ok());
        assert_eq!(parse::<Object<Note>>(br#"{"name":"a","x":1}"#, &SMALL).unwrap_err().code(), "shape");
    }

    #[test]
    fn every_truncation_of_a_sound_value_is_refused() {
        let text = br#"{"a":[1,-2.5e3,"x\u00e5",true,null],"b":{}}"#;
        assert_eq!(check(text, &SMALL), Ok(()));
        for end in 0..text.len() {
            assert!(check(&text[..end], &SMALL).is_err(), "{end}");
        }
    }
}
