//! Reading TOML so that every fault in it is told at once.
//!
//! serde stops at the first thing it does not like. Here each key of a table is tried alone against the type that the
//! table has, what does not fit is noted with its line and left out, and the rest is read together. The type says what
//! keys there are: it denies unknown fields and has a default for every field.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Something in a TOML text that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The line, from 1; none where the fault is that something is missing.
    pub(crate) line: Option<usize>,
    /// The key, with its table.
    pub(crate) key: String,
    /// What is wrong, and what would be right.
    pub(crate) what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "`{}`: ", self.key)?;
        }
        f.write_str(&self.what)
    }
}

/// A TOML text being read, with its faults so far.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    text: &'a str,
    first_line: usize,
    /// The tables and keys at the top that are not yet taken.
    rest: DeTable<'a>,
    /// What was found wrong, in the order of the reading.
    pub(crate) faults: Vec<Fault>,
}

impl<'a> Document<'a> {
    /// Begins to read `text`, whose first line has the number `first_line` in its file.
    pub(crate) fn new(text: &'a str, first_line: usize) -> Self {
        let (rest, errors) = DeTable::parse_recoverable(text);
        let mut document = Self { text, first_line, rest: rest.into_inner(), faults: Vec::new() };
        for error in errors {
            let line = error.span().map(|span| document.line(span.start));
            document.faults.push(Fault { line, key: String::new(), what: error.message().to_owned() });
        }
        document
    }

    /// Reads the table `name` as a `T`; as the default where there is none.
    pub(crate) fn table<T: DeserializeOwned + Default>(&mut self, name: &str) -> T {
        let Some((key, value)) = self.rest.remove_entry(name) else { return T::default() };
        let line = self.line(key.span().start);
        if let DeValue::Table(table) = value.into_inner() {
            return self.keys(table, name).0;
        }
        self.faults.push(Fault { line: Some(line), key: name.to_owned(), what: format!("must be a table: write [{name}] on a line of its own") });
        T::default()
    }

    /// Reads all the keys at the top as a `T`, and tells on which line each key stands.
    pub(crate) fn top<T: DeserializeOwned + Default>(&mut self) -> (T, BTreeMap<String, usize>) {
        let table = std::mem::take(&mut self.rest);
        self.keys(table, "")
    }

    /// Ends the reading: what is left was not asked for.
    pub(crate) fn end(mut self, known: &str) -> Vec<Fault> {
        for (key, _) in std::mem::take(&mut self.rest) {
            let line = Some(self.line(key.span().start));
            let name = key.into_inner().into_owned();
            self.faults.push(Fault { line, key: name, what: format!("is not known here; known are {known}") });
        }
        self.faults.sort_by_key(|fault| fault.line);
        self.faults
    }

    fn keys<T: DeserializeOwned + Default>(&mut self, table: DeTable<'a>, within: &str) -> (T, BTreeMap<String, usize>) {
        let (mut sound, mut lines) = (DeTable::new(), BTreeMap::new());
        for (key, value) in table {
            let line = self.line(key.span().start);
            let name = key.get_ref().clone().into_owned();
            let alone = DeTable::from_iter([(key.clone(), value.clone())]);
            match read::<T>(alone) {
                Ok(_) => {
                    sound.insert(key, value);
                }
                Err(error) => {
                    let full = if within.is_empty() { name.clone() } else { format!("{within}.{name}") };
                    self.faults.push(Fault { line: Some(line), key: full, what: plain(error.message()) });
                }
            }
            lines.insert(name, line);
        }
        // INVARIANT: keys that are accepted one by one, each against the default of the others, are accepted together.
        (read(sound).unwrap_or_default(), lines)
    }

    fn line(&self, offset: usize) -> usize {
        let before = self.text.get(..offset).unwrap_or(self.text);
        self.first_line + before.matches('\n').count()
    }
}

fn read<T: DeserializeOwned>(table: DeTable<'_>) -> Result<T, toml::de::Error> {
    T::deserialize(toml::de::Deserializer::from(Spanned::new(0..0, table)))
}

/// The reader's message in the words of this program.
fn plain(message: &str) -> String {
    let Some(rest) = message.strip_prefix("unknown field ") else { return message.trim_end().to_owned() };
    let known = rest.split_once("expected").map_or("", |(_, known)| known.trim_start_matches(" one of").trim());
    format!("is not a key here; the keys are {known}")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Eq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Door {
        width: u32,
        colour: String,
    }

    #[test]
    fn every_fault_is_told_with_its_line() {
        let text = "[door]\nwidth = \"wide\"\ncolor = \"red\"\ncolour = \"green\"\n\n[window]\n";
        let mut document = Document::new(text, 1);
        assert_eq!(document.table::<Door>("door"), Door { width: 0, colour: "green".to_owned() });
        let faults: Vec<String> = document.end("door").iter().map(ToString::to_string).collect();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults[0].starts_with("line 2: `door.width`: invalid type: string \"wide\""), "{faults:?}");
        assert_eq!(faults[1], "line 3: `door.color`: is not a key here; the keys are `width` or `colour`");
        assert_eq!(faults[2], "line 6: `window`: is not known here; known are door");
    }

    #[test]
    fn broken_toml_is_told_and_the_rest_is_still_read() {
        let mut document = Document::new("width = = 3\ncolour = \"red\"\n", 5);
        let (door, lines) = document.top::<Door>();
        assert_eq!(door.colour, "red");
        assert_eq!(lines.get("colour"), Some(&6));
        assert!(document.faults.iter().any(|fault| fault.line == Some(5)), "{:?}", document.faults);
    }
}
