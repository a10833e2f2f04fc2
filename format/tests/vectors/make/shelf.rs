//! A folder of vectors while it is being filled.

use super::case::{Case, Fill, hex};

/// The longest vector that is written into its index rather than into a file.
const SHORT: usize = 64;

/// A folder of vectors.
pub(crate) struct Shelf {
    pub(crate) folder: &'static str,
    /// How its files end.
    ending: &'static str,
    /// As what the next vectors are read.
    pub(crate) reader: Option<&'static str>,
    pub(crate) cases: Vec<Case>,
    /// Names and bytes of its files.
    pub(crate) files: Vec<(String, Vec<u8>)>,
}

impl Shelf {
    pub(crate) fn new(folder: &'static str, ending: &'static str) -> Self {
        Self { folder, ending, reader: None, cases: Vec::new(), files: Vec::new() }
    }

    /// Puts a vector with these bytes on the shelf, and gives it back to be told more of.
    pub(crate) fn put(&mut self, name: &str, result: &str, bytes: &[u8], why: &str) -> &mut Case {
        let mut case = Case::new(name, result, why);
        if bytes.len() <= SHORT {
            case.hex = Some(hex(bytes));
        } else {
            let file = format!("{name}.{}", self.ending);
            case.file = Some(file.clone());
            self.files.push((file, bytes.to_vec()));
        }
        self.add(case)
    }

    /// Puts a vector on the shelf that is mostly one byte.
    pub(crate) fn put_filled(&mut self, name: &str, result: &str, (head, byte, count, tail): (&[u8], u8, usize, &[u8]), why: &str) -> &mut Case {
        let mut case = Case::new(name, result, why);
        case.hex = Some(hex(head));
        case.fill = Some(Fill { byte: hex(&[byte]), count });
        case.tail = (!tail.is_empty()).then(|| hex(tail));
        self.add(case)
    }

    pub(crate) fn add(&mut self, mut case: Case) -> &mut Case {
        assert!(self.cases.iter().all(|other| other.name != case.name), "two vectors of {} are named {}", self.folder, case.name);
        case.reader = self.reader.map(ToOwned::to_owned);
        self.cases.push(case);
        self.cases.last_mut().expect("it was just put there")
    }

    /// The index, a vector a line.
    pub(crate) fn index(&self) -> String {
        let line = |case: &Case| serde_json::to_string(case).expect("a case is JSON");
        format!("[\n{}\n]\n", self.cases.iter().map(line).collect::<Vec<_>>().join(",\n"))
    }
}
