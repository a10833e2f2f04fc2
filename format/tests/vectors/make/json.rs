//! Edits of JSON texts, which keep everything else byte for byte.

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A text with one part of it replaced; the part occurs once.
pub(crate) fn edit(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "`{from}` occurs once in `{text}`");
    text.replace(from, to)
}

/// The members of the outermost object, in their order, as texts.
pub(crate) fn members(text: &str) -> Vec<(String, String)> {
    struct Members(Vec<(String, String)>);

    impl<'de> Deserialize<'de> for Members {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Reader;
            impl<'de> Visitor<'de> for Reader {
                type Value = Members;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }

                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                    let mut all = Vec::new();
                    while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                        all.push((name, value.get().to_owned()));
                    }
                    Ok(Members(all))
                }
            }
            deserializer.deserialize_map(Reader)
        }
    }

    serde_json::from_str::<Members>(text).expect("an object").0
}

/// An object of these members.
pub(crate) fn object(members: &[(String, String)]) -> String {
    let member = |(name, value): &(String, String)| format!("\"{name}\":{value}");
    format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
}

/// The same object, its members in the opposite order, with white space and an escape in the first name.
pub(crate) fn other_spelling(text: &str) -> String {
    let mut members = members(text);
    members.reverse();
    let lines: Vec<String> = members.iter().map(|(name, value)| format!("  \"{}\" : {value}", escaped(name))).collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

/// A name with its first letter escaped.
pub(crate) fn escaped(name: &str) -> String {
    let mut chars = name.chars();
    let first = chars.next().map_or(0, u32::from);
    format!("\\u{first:04x}{}", chars.as_str())
}

/// The values without their names.
pub(crate) fn values(text: &str) -> String {
    let values: Vec<String> = members(text).into_iter().map(|(_, value)| value).collect();
    format!("[{}]", values.join(","))
}
