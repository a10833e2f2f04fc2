//! Admission of STIX 2.1 bundles: what a bundle holds and how it is marked, without interpreting it.
//!
//! [`summary`] takes the bytes through the gate of [`json`] and then reads types, ids and marking references, wherever
//! in an object these stand. It rewrites nothing, follows no reference, and checks no pattern or relation: the bundle
//! stays the bytes that came. Its invariant: no marking reference is passed over; each is a TLP label known by its full
//! id, a statement that the bundle itself carries, or counted as unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

use crate::json::{self, Budget, JsonFault, Place};
use crate::marking::Tlp;

/// The most different object types in one bundle; STIX 2.1 itself has about forty.
pub const MAX_TYPES: usize = 1000;

/// The most different markings that the objects of one bundle refer to.
pub const MAX_MARKINGS: usize = 10_000;

/// A TLP label as STIX bundles carry it, least restrictive first.
///
/// Green, amber and red have ids of their own in TLP 1.0 and in TLP 2.0 and are the same labels in both. White is a
/// label of 1.0 alone: that clear takes its place is a mapping, and the bundle shows what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StixTlp {
    /// TLP:WHITE, of TLP 1.0.
    White,
    /// TLP:CLEAR.
    Clear,
    /// TLP:GREEN.
    Green,
    /// TLP:AMBER.
    Amber,
    /// TLP:AMBER+STRICT.
    AmberStrict,
    /// TLP:RED.
    Red,
}

/// The marking definitions of TLP 2.0 (the OASIS extension, 2022) and of TLP 1.0 (STIX 2.1, section 7.2.1.4).
const TLP_IDS: &[(&str, StixTlp)] = &[
    ("marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487", StixTlp::Clear),
    ("marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb", StixTlp::Green),
    ("marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421", StixTlp::Amber),
    ("marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003", StixTlp::AmberStrict),
    ("marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1", StixTlp::Red),
    ("marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9", StixTlp::White),
    ("marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da", StixTlp::Green),
    ("marking-definition--f88d31f6-486f-44da-b317-01333bde0b82", StixTlp::Amber),
    ("marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", StixTlp::Red),
];

impl StixTlp {
    /// The label whose marking definition has this id, matched in full; hexadecimal digits of either case are equal.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        TLP_IDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(id)).map(|(_, label)| *label)
    }
}

impl From<StixTlp> for Tlp {
    fn from(label: StixTlp) -> Self {
        match label {
            StixTlp::White | StixTlp::Clear => Self::Clear,
            StixTlp::Green => Self::Green,
            StixTlp::Amber => Self::Amber,
            StixTlp::AmberStrict => Self::AmberStrict,
            StixTlp::Red => Self::Red,
        }
    }
}

/// What a bundle holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StixSummary {
    /// The bundle's own id, `bundle--` and a UUID.
    pub bundle_id: String,
    /// How many objects it holds; a bundle may be empty.
    pub objects: usize,
    /// How many of each type.
    pub by_type: BTreeMap<String, usize>,
    /// The strictest TLP label that anything in the bundle refers to, if any does.
    pub tlp: Option<StixTlp>,
    /// How many different statements, carried in the bundle as marking definitions, are referred to.
    pub statements: usize,
    /// How many different markings are referred to that are neither. They may restrict more than any known label,
    /// so a bundle with such must be handled as the most restrictive, never as unmarked.
    pub unknown_markings: usize,
}

/// Reads what a STIX 2.1 bundle holds, within [`Budget::STIX`].
///
/// Markings are looked for under `object_marking_refs` and `marking_ref` at any depth, since observed data and
/// extensions can hold objects of their own. A marking definition that the bundle carries says nothing about its own
/// id if that is a TLP label's: ids decide.
///
/// # Errors
///
/// [`StixFault::Json`] when the bytes don't pass [`json::check`] or a field read here is of another kind than STIX
/// has it; otherwise the first part that is not as STIX 2.1 has it: sections 2.9 and 3.1 for identifiers and types, 7.2
/// for markings, 8 for the bundle. A `spec_version` may be absent, as observables have none; one that is stated must
/// be 2.1.
pub fn summary(bytes: &[u8]) -> Result<StixSummary, StixFault> {
    json::check(bytes, &Budget::STIX)?;
    let mut reading = Reading::default();
    let mut json = serde_json::Deserializer::from_slice(bytes);
    match json.deserialize_map(Bundle(&mut reading)) {
        Ok(bundle_id) => Ok(reading.summary(bundle_id)),
        Err(error) => Err(reading.fault(&error)),
    }
}

/// Why a bundle was not admitted. The sender is to blame for each of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StixFault {
    /// It is not JSON within the budget, or a field has a value of the wrong kind.
    #[error(transparent)]
    Json(#[from] JsonFault),
    /// The outermost object is not a bundle.
    #[error("not a STIX bundle: type isn't `bundle` at {at}")]
    NotABundle {
        /// Where.
        at: Place,
    },
    /// A bundle within the bundle, whose objects would go unseen.
    #[error("a bundle within the bundle at {at}")]
    NestedBundle {
        /// Where.
        at: Place,
    },
    /// `type` or `id` is missing.
    #[error("no type or no id at {at}")]
    Missing {
        /// Where.
        at: Place,
    },
    /// A type is not a type name.
    #[error("not a STIX type: 3 to 250 of a-z, 0-9 and -, starting with a letter, at {at}")]
    Type {
        /// Where.
        at: Place,
    },
    /// An id is not its object's type, two hyphens and a UUID.
    #[error("not the object's type followed by -- and a UUID at {at}")]
    Id {
        /// Where.
        at: Place,
    },
    /// A version of STIX other than 2.1 is stated.
    #[error("a STIX version other than 2.1 at {at}")]
    Version {
        /// Where.
        at: Place,
    },
    /// A marking reference is not the id of a marking definition.
    #[error("not marking-definition followed by -- and a UUID at {at}")]
    Marking {
        /// Where.
        at: Place,
    },
    /// More than [`MAX_TYPES`] different types.
    #[error("more than the {MAX_TYPES} different types allowed at {at}")]
    TooManyTypes {
        /// Where.
        at: Place,
    },
    /// More than [`MAX_MARKINGS`] different markings.
    #[error("more than the {MAX_MARKINGS} different markings allowed at {at}")]
    TooManyMarkings {
        /// Where.
        at: Place,
    },
}

/// What has been read so far.
#[derive(Debug, Default)]
struct Reading {
    objects: usize,
    by_type: BTreeMap<String, usize>,
    /// Ids referred to as markings, in lower case.
    markings: BTreeSet<String>,
    /// Ids of the marking definitions carried: whether each is a statement and nothing more.
    statements: BTreeMap<String, bool>,
    /// The object and the field being read, for faults.
    object: Option<usize>,
    field: &'static str,
    refusal: Option<fn(Place) -> StixFault>,
}

impl Reading {
    fn summary(self, bundle_id: String) -> StixSummary {
        let (labels, others): (Vec<_>, Vec<_>) = self.markings.iter().partition(|id| StixTlp::from_id(id).is_some());
        let statements = others.iter().filter(|id| self.statements.get(**id) == Some(&true)).count();
        StixSummary {
            bundle_id,
            objects: self.objects,
            by_type: self.by_type,
            tlp: labels.iter().filter_map(|id| StixTlp::from_id(id)).max(),
            statements,
            unknown_markings: others.len() - statements,
        }
    }

    /// Keeps what is wrong aside, since the parser's own error has no room for it.
    fn refuse<E: serde::de::Error>(&mut self, field: &'static str, fault: fn(Place) -> StixFault) -> E {
        self.field = field;
        self.refusal = Some(fault);
        E::custom("refused")
    }

    fn fault(&self, error: &serde_json::Error) -> StixFault {
        let field = if self.field.is_empty() { String::new() } else { format!("/{}", self.field) };
        let path = self.object.map_or(field.clone(), |index| format!("/objects/{index}{field}"));
        match self.refusal {
            Some(fault) => fault(Place::of(error, path)),
            None => JsonFault::shape(error, path).into(),
        }
    }

    fn version<E: serde::de::Error>(&mut self, version: &str) -> Result<(), E> {
        if version == "2.1" { Ok(()) } else { Err(self.refuse("spec_version", |at| StixFault::Version { at })) }
    }

    fn marking<E: serde::de::Error>(&mut self, field: &'static str, id: &str) -> Result<(), E> {
        if !is_id_of("marking-definition", id) {
            return Err(self.refuse(field, |at| StixFault::Marking { at }));
        }
        if self.markings.insert(id.to_ascii_lowercase()) && self.markings.len() > MAX_MARKINGS {
            return Err(self.refuse(field, |at| StixFault::TooManyMarkings { at }));
        }
        Ok(())
    }

    /// Reads the value of a key that no object reads for itself, taking the markings in it.
    fn other<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "object_marking_refs" => {
                self.field = "object_marking_refs";
                map.next_value::<Vec<String>>()?.iter().try_for_each(|id| self.marking("object_marking_refs", id))
            }
            "marking_ref" => {
                self.field = "marking_ref";
                let id: String = map.next_value()?;
                self.marking("marking_ref", &id)
            }
            _ => {
                self.field = "";
                map.next_value_seed(Markings(self))
            }
        }
    }

    fn text<'de, A: MapAccess<'de>>(&mut self, field: &'static str, map: &mut A) -> Result<String, A::Error> {
        self.field = field;
        map.next_value()
    }

    fn count<E: serde::de::Error>(&mut self, object: ObjectFields) -> Result<(), E> {
        let (Some(kind), Some(id)) = (object.kind, object.id) else {
            return Err(self.refuse("", |at| StixFault::Missing { at }));
        };
        if !is_type(&kind) {
            return Err(self.refuse("type", |at| StixFault::Type { at }));
        }
        if kind == "bundle" {
            return Err(self.refuse("type", |at| StixFault::NestedBundle { at }));
        }
        if !is_id_of(&kind, &id) {
            return Err(self.refuse("id", |at| StixFault::Id { at }));
        }
        if kind == "marking-definition" {
            // INVARIANT: of two definitions with one id, both must be statements for the id to count as one.
            *self.statements.entry(id.to_ascii_lowercase()).or_insert(true) &= object.statement && !object.extended;
        }
        if !self.by_type.contains_key(&kind) && self.by_type.len() >= MAX_TYPES {
            return Err(self.refuse("type", |at| StixFault::TooManyTypes { at }));
        }
        *self.by_type.entry(kind).or_default() += 1;
        self.objects += 1;
        Ok(())
    }
}

/// Reads the bundle itself and gives its id.
struct Bundle<'r>(&'r mut Reading);

impl<'de> Visitor<'de> for Bundle<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a STIX bundle")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        let reading = self.0;
        let (mut kind, mut id) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "type" => kind = Some(reading.text("type", &mut map)?),
                "id" => id = Some(reading.text("id", &mut map)?),
                "spec_version" => {
                    let version = reading.text("spec_version", &mut map)?;
                    reading.version(&version)?;
                }
                "objects" => {
                    reading.field = "objects";
                    map.next_value_seed(Objects(reading))?;
                    reading.object = None;
                }
                _ => reading.other(&key, &mut map)?,
            }
        }
        if kind.as_deref() != Some("bundle") {
            return Err(reading.refuse("type", |at| StixFault::NotABundle { at }));
        }
        match id {
            Some(id) if is_id_of("bundle", &id) => Ok(id),
            Some(_) => Err(reading.refuse("id", |at| StixFault::Id { at })),
            None => Err(reading.refuse("", |at| StixFault::Missing { at })),
        }
    }
}

/// Reads the list of objects.
struct Objects<'r>(&'r mut Reading);

impl<'de> DeserializeSeed<'de> for Objects<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Objects<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of STIX objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let reading = self.0;
        for index in 0.. {
            (reading.object, reading.field) = (Some(index), "");
            if list.next_element_seed(Object(reading))?.is_none() {
                break;
            }
        }
        Ok(())
    }
}

/// Reads one object.
struct Object<'r>(&'r mut Reading);

/// The fields of an object that are read; an object that is a marking definition may be a statement.
#[derive(Debug, Default)]
struct ObjectFields {
    kind: Option<String>,
    id: Option<String>,
    statement: bool,
    extended: bool,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a STIX object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let reading = self.0;
        let mut object = ObjectFields::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "type" => object.kind = Some(reading.text("type", &mut map)?),
                "id" => object.id = Some(reading.text("id", &mut map)?),
                "spec_version" => {
                    let version = reading.text("spec_version", &mut map)?;
                    reading.version(&version)?;
                }
                "definition_type" => object.statement = reading.text("definition_type", &mut map)? == "statement",
                "extensions" => {
                    object.extended = true;
                    reading.other(&key, &mut map)?;
                }
                _ => reading.other(&key, &mut map)?,
            }
        }
        reading.count(object)
    }
}

/// Reads any value for the markings that it refers to.
struct Markings<'r>(&'r mut Reading);

impl<'de> DeserializeSeed<'de> for Markings<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Markings<'_> {
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

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Markings(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            self.0.other(&key, &mut map)?;
        }
        Ok(())
    }
}

/// Whether `text` is a type name (STIX 2.1, section 3.1).
fn is_type(text: &str) -> bool {
    (3..=250).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && text.starts_with(|c: char| c.is_ascii_lowercase())
}

/// Whether `id` is an identifier of an object of type `kind` (STIX 2.1, section 2.9).
fn is_id_of(kind: &str, id: &str) -> bool {
    id.strip_prefix(kind).and_then(|rest| rest.strip_prefix("--")).is_some_and(is_uuid)
}

/// Whether `text` has the shape of a UUID (RFC 4122, section 3): hexadecimal digits in groups of 8, 4, 4, 4 and 12.
fn is_uuid(text: &str) -> bool {
    let mut groups = text.split('-');
    [8, 4, 4, 4, 12].into_iter().all(|length| groups.next().is_some_and(|group| group.len() == length && group.bytes().all(|b| b.is_ascii_hexdigit())))
        && groups.next().is_none()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    const UUID: &str = "69d82d14-9c11-4a45-aabf-b6115ba18bd1";

    fn folder(path: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
    }

    /// A bundle of objects of which each is given by its type and further fields.
    fn bundle(objects: &[(&str, &str)]) -> String {
        let object = |(kind, more): &(&str, &str)| format!(r#"{{"type":"{kind}","id":"{kind}--{UUID}"{more}}}"#);
        let objects: Vec<_> = objects.iter().map(object).collect();
        format!(r#"{{"type":"bundle","id":"bundle--{UUID}","objects":[{}]}}"#, objects.join(","))
    }

    fn marked(ids: &[&str]) -> StixSummary {
        let refs: Vec<_> = ids.iter().map(|id| format!("\"marking-definition--{id}\"")).collect();
        let more = format!(r#","object_marking_refs":[{}]"#, refs.join(","));
        summary(bundle(&[("identity", &more)]).as_bytes()).unwrap()
    }

    fn refused(text: &str) -> String {
        summary(text.as_bytes()).expect_err(text).to_string()
    }

    #[test]
    fn the_made_up_bundle_is_admitted() {
        let read = summary(&fs::read(folder("testdata/stix/made-up-bundle.json")).unwrap()).unwrap();
        assert_eq!(read.bundle_id, "bundle--d7c067d6-1713-4055-883e-ddc52e177956");
        assert_eq!((read.objects, read.by_type.values().sum()), (14, 14));
        assert_eq!(read.by_type.get("identity"), Some(&2));
        assert_eq!((read.tlp, read.statements, read.unknown_markings), (Some(StixTlp::Amber), 1, 0));
    }

    #[test]
    fn published_bundles_are_admitted_where_they_are_at_hand() {
        let Ok(entries) = fs::read_dir(folder("../../shared/data/stix")) else {
            println!("no published STIX bundles at hand: only the made-up one was read");
            return;
        };
        for file in entries.map(|entry| entry.unwrap().path()) {
            let read = summary(&fs::read(&file).unwrap());
            assert!(read.is_ok(), "{}: {read:?}", file.display());
            let read = read.unwrap();
            let markings = (read.tlp, read.statements, read.unknown_markings);
            let expected = match file.file_name().unwrap().to_str().unwrap() {
                "oasis-using-granular-markings.json" => (Some(StixTlp::Red), 0, 0),
                "oasis-using-marking-definitions.json" => (Some(StixTlp::Amber), 1, 0),
                name if name.starts_with("attack-") => (None, 1, 0),
                _ => markings,
            };
            assert_eq!(markings, expected, "{}", file.display());
            assert!(read.objects > 0 && read.objects == read.by_type.values().sum::<usize>());
        }
    }

    #[test]
    fn both_sets_of_tlp_ids_are_known_by_their_full_id() {
        for (id, label) in [
            ("94868c89-83c2-464b-929b-a1a8aa3c8487", StixTlp::Clear),
            ("bab4a63c-aed9-4cf5-a766-dfca5abac2bb", StixTlp::Green),
            ("55d920b0-5e8b-4f79-9ee9-91f868d9b421", StixTlp::Amber),
            ("939a9414-2ddd-4d32-a0cd-375ea402b003", StixTlp::AmberStrict),
            ("e828b379-4e03-4974-9ac4-e53a884c97c1", StixTlp::Red),
            ("613f2e26-407d-48c7-9eca-b8e91df99dc9", StixTlp::White),
            ("34098fce-860f-48ae-8e50-ebd3cc5e41da", StixTlp::Green),
            ("f88d31f6-486f-44da-b317-01333bde0b82", StixTlp::Amber),
            ("5E57C739-391A-4EB3-B6BE-7D15CA92D5ED", StixTlp::Red),
        ] {
            let read = marked(&[id]);
            assert_eq!((read.tlp, read.unknown_markings), (Some(label), 0), "{id}");
        }
        let near = marked(&["e828b379-4e03-4974-9ac4-e53a884c97c2"]);
        assert_eq!((near.tlp, near.unknown_markings), (None, 1));
    }

    #[test]
    fn the_strictest_counts_and_the_unknown_are_kept_apart() {
        let clear = "94868c89-83c2-464b-929b-a1a8aa3c8487";
        let strict = "939a9414-2ddd-4d32-a0cd-375ea402b003";
        let amber = "f88d31f6-486f-44da-b317-01333bde0b82";
        let read = marked(&[clear, strict, amber, UUID, UUID]);
        assert_eq!((read.tlp, read.statements, read.unknown_markings), (Some(StixTlp::AmberStrict), 0, 1));
        assert_eq!(marked(&[]).tlp, None);
        assert!(Tlp::from(StixTlp::White) < Tlp::from(StixTlp::Green));
    }

    #[test]
    fn markings_are_found_at_any_depth() {
        let red = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1";
        for more in [
            format!(r#","granular_markings":[{{"lang":"sv"}},{{"marking_ref":"{red}","selectors":["name"]}}]"#),
            format!(r#","objects":{{"0":{{"type":"ipv4-addr","object_marking_refs":["{red}"]}}}}"#),
            format!(r#","extensions":{{"x":[{{"y":{{"object_marking_refs":["{red}"]}}}}]}}"#),
        ] {
            let read = summary(bundle(&[("observed-data", &more)]).as_bytes()).unwrap();
            assert_eq!(read.tlp, Some(StixTlp::Red), "{more}");
        }
        let read = summary(bundle(&[("report", &format!(r#","object_refs":["{red}"]"#))]).as_bytes()).unwrap();
        assert_eq!(read.tlp, None, "an object that is only listed marks nothing");
    }

    #[test]
    fn a_statement_counts_as_one_only_if_nothing_says_otherwise() {
        let statement = r#","definition_type":"statement","definition":{"statement":"Made up."}"#;
        let refers = format!(r#","object_marking_refs":["marking-definition--{UUID}"]"#);
        let read = |objects: &[(&str, &str)]| {
            let read = summary(bundle(objects).as_bytes()).unwrap();
            (read.statements, read.unknown_markings)
        };
        let definition = "marking-definition";
        assert_eq!(read(&[("note", &refers), (definition, statement)]), (1, 0));
        assert_eq!(read(&[(definition, statement)]), (0, 0));
        let tlp = r#","definition_type":"tlp","definition":{"tlp":"amber"}"#;
        assert_eq!(read(&[("note", &refers), (definition, tlp)]), (0, 1));
        assert_eq!(read(&[("note", &refers), (definition, tlp), (definition, statement)]), (0, 1));
        let extended = format!(r#"{statement},"extensions":{{}}"#);
        assert_eq!(read(&[("note", &refers), (definition, &extended)]), (0, 1));
    }

    #[test]
    fn bundles_may_be_empty() {
        let absent = format!(r#"{{"id":"bundle--{UUID}","type":"bundle"}}"#);
        for text in [bundle(&[]), absent] {
            assert_eq!(summary(text.as_bytes()).unwrap().objects, 0);
        }
    }

    #[test]
    fn what_is_not_a_bundle_is_refused_with_its_place() {
        let sound = bundle(&[("note", ""), ("identity", "")]);
        assert!(summary(sound.as_bytes()).is_ok());
        for (from, to, fault) in [
            (r#""bundle","#, r#""report","#, "type isn't `bundle`"),
            ("bundle--69", "bundle--g9", "not the object's type followed by -- and a UUID"),
            (r#""type":"bundle","#, "", "type isn't `bundle`"),
            (r#""type":"identity","#, "", "no type or no id at line 1 column 201, `/objects/1`"),
            (r#""type":"identity""#, r#""type":"Identity""#, "not a STIX type"),
            (r#""type":"identity""#, r#""type":5"#, "invalid type: integer `5`, expected a string"),
            ("identity--", "identity-", "`/objects/1/id`"),
            ("identity--", "note--", "`/objects/1/id`"),
            (r#"bd1"}]"#, r#"bd"}]"#, "`/objects/1/id`"),
            (r#"bd1"}]"#, r#"bd1-"}]"#, "`/objects/1/id`"),
            (r#""type":"note""#, r#""spec_version":"2.0","type":"note""#, "other than 2.1 at line 1"),
            (r#""type":"note""#, r#""type":"note","object_marking_refs":["amber"]"#, "`/objects/0/object_marking_refs`"),
            (r#""type":"note""#, r#""type":"note","object_marking_refs":"amber""#, "expected a sequence"),
            (r#""type":"note""#, r#""type":"note","a":{"marking_ref":"note--1"}"#, "`/objects/0/marking_ref`"),
            (r#""type":"note""#, r#""type":"note","type":"note""#, "a key twice"),
            (r#"[{"#, r#"[[],{"#, "expected a STIX object at line 1 column 80, `/objects/0`"),
        ] {
            let text = sound.replacen(from, to, 1);
            assert_ne!(text, sound);
            assert!(refused(&text).contains(fault), "{text}\n{}", refused(&text));
        }
        assert!(refused(&bundle(&[("bundle", r#","objects":[]"#)])).starts_with("a bundle within the bundle"));
        assert!(refused(&format!(r#"["bundle","bundle--{UUID}",[]]"#)).contains("expected a STIX bundle"));
    }

    #[test]
    fn types_and_markings_are_limited() {
        let kinds: Vec<_> = (0..=MAX_TYPES).map(|n| format!("x-{n}")).collect();
        let objects: Vec<_> = kinds.iter().map(|kind| (kind.as_str(), "")).collect();
        assert!(refused(&bundle(&objects)).starts_with("more than the 1000 different types"));
        assert!(summary(bundle(objects.split_last().unwrap().1).as_bytes()).is_ok());
        let refs = |count: usize| {
            let ids: Vec<_> = (0..count).map(|n| format!("\"marking-definition--{n:08x}-0000-4000-8000-000000000000\"")).collect();
            bundle(&[("note", &format!(r#","object_marking_refs":[{}]"#, ids.join(",")))])
        };
        assert_eq!(summary(refs(MAX_MARKINGS).as_bytes()).unwrap().unknown_markings, MAX_MARKINGS);
        assert!(refused(&refs(MAX_MARKINGS + 1)).starts_with("more than the 10000 different markings"));
    }
}
