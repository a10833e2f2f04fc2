//! Agreements as people write them: a TOML or JSON file, completed and checked before it is put forward.
//!
//! A file says what the parties agree on. What follows from where and when it is put forward (version, digest of the
//! version before, who, when) may be left out and is filled in. Parties may be named by their ids alone, and a day
//! stands for its first moment, UTC. The result is exactly what the parties will sign.

use format::agreement::Agreement;
use format::json::{self, Budget};
use format::{OrgId, Statement as _, Timestamp};
use serde_json::{Map, Value, json};

use crate::failure::{Failure, Outcome};

/// What a file may leave out.
#[derive(Debug)]
pub(crate) struct Missing {
    /// Who puts it forward.
    pub(crate) proposed_by: OrgId,
    /// When.
    pub(crate) now: Timestamp,
    /// The newest number that is known, and the digest of the version that this one follows.
    pub(crate) before: Option<(u64, String)>,
}

/// A file that could be put forward, as a start.
pub(crate) const TEMPLATE: &str = r#"# An agreement, as it is put forward with `samverkan agreement propose`.
# Version, dates of joining, and who puts it forward when are filled in.

id = "se-no"
form = "bilateral"   # bilateral, body, council, working-group, programme or convention
title = { sv = "Svensk-norskt utbyte", en = "Swedish-Norwegian exchange" }
parties = ["no-pst", "se-sapo"]   # or with a part: { org = "se-sapo", role = "chair" }
# valid-from = 2027-01-01
# valid-until = 2032-01-01

[terms]
kinds = ["report", "lesson", "alert", "correction", "recall", "consent"]
ceiling = "se:h"                       # highest classification
purposes = ["counter-terrorism"]
legal-bases = ["2019:1182 2:4"]
onward = "consent"                     # never, consent, within or free
longest-retention-days = 1825
joining = "all"                        # all, or chair
four-eyes = true
"#;

/// Reads a file's text, TOML or JSON, as a tree of values.
pub(crate) fn read(text: &str, is_json: bool, shown: &str) -> Outcome<Map<String, Value>> {
    let refuse = |why: String| Failure::usage(format!("`{shown}` is not an agreement: {why}")).remedy("`samverkan agreement propose --template` shows one.");
    if is_json {
        return json::parse(text.as_bytes(), &Budget::HEADER).map_err(|error| refuse(error.to_string()));
    }
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| refuse(error.to_string().trim_end().to_owned()))?;
    Ok(table.into_iter().map(|(key, value)| (key, from_toml(value))).collect())
}

fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(from_toml).collect(),
        toml::Value::Table(table) => Value::Object(table.into_iter().map(|(key, value)| (key, from_toml(value))).collect()),
    }
}

/// Fills in what is left out and checks the whole, as whoever signs it would.
pub(crate) fn complete(mut file: Map<String, Value>, missing: &Missing, shown: &str) -> Outcome<Agreement> {
    let now = missing.now.to_string();
    let version = missing.before.as_ref().map_or(1, |(version, _)| version + 1);
    for time in ["proposed", "valid-from", "valid-until"] {
        file.get_mut(time).map(spell);
    }
    file.entry("version").or_insert(version.into());
    file.entry("proposed-by").or_insert(missing.proposed_by.to_string().into());
    file.entry("proposed").or_insert(now.clone().into());
    let valid_from = file.entry("valid-from").or_insert(now.into()).clone();
    if let Some((_, digest)) = &missing.before {
        file.entry("supersedes").or_insert(digest.clone().into());
    }
    if let Some(Value::Array(parties)) = file.get_mut("parties") {
        parties.iter_mut().for_each(|party| complete_party(party, &valid_from));
        parties.sort_by_key(|party| party.get("org").and_then(Value::as_str).unwrap_or_default().to_owned());
    }
    let refuse = |why: &dyn std::fmt::Display| {
        Failure::usage(format!("`{shown}` is not an agreement that could be signed: {why}")).remedy("`samverkan agreement propose --template` shows one.")
    };
    let agreement: Agreement = serde_json::from_value(Value::Object(file)).map_err(|error| refuse(&error))?;
    agreement.check().map_err(|error| refuse(&error))?;
    Ok(agreement)
}

fn complete_party(party: &mut Value, valid_from: &Value) {
    if let Value::String(org) = party {
        *party = json!({ "org": org });
    }
    if let Some(party) = party.as_object_mut() {
        party.entry("role").or_insert("member".into());
        party.entry("from").or_insert(valid_from.clone());
        for time in ["from", "until"] {
            party.get_mut(time).map(spell);
        }
    }
}

/// Writes a day or a time with an offset in the one spelling that is signed; anything else is left to be refused.
fn spell(value: &mut Value) {
    let Some(text) = value.as_str() else { return };
    let instant = text.parse().map(|instant: jiff::Timestamp| Timestamp::from_ms(instant.as_millisecond()));
    // WHY: a day is ten characters; a longer text that begins with one may be a time without an offset.
    let day = || Timestamp::from_date(text).ok().filter(|_| text.len() == 10);
    if let Some(time) = instant.ok().or_else(day) {
        *value = time.to_string().into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(before: Option<(u64, String)>) -> Missing {
        Missing { proposed_by: "se-sapo".parse().unwrap(), now: "2026-11-22T08:30:00.000Z".parse().unwrap(), before }
    }

    #[test]
    fn the_template_is_an_agreement_once_completed() {
        let agreement = complete(read(TEMPLATE, false, "x").unwrap(), &missing(None), "x").unwrap();
        assert_eq!((agreement.version, agreement.supersedes), (1, None));
        assert_eq!(agreement.valid_from.to_string(), "2026-11-22T08:30:00.000Z");
        assert_eq!(agreement.parties.iter().map(|party| party.org.as_str()).collect::<Vec<_>>(), ["no-pst", "se-sapo"]);
        let later = complete(read(TEMPLATE, false, "x").unwrap(), &missing(Some((1, "ab".repeat(32)))), "x").unwrap();
        assert_eq!((later.version, later.supersedes.unwrap().to_string()), (2, "ab".repeat(32)));
    }

    #[test]
    fn days_and_offsets_become_the_one_spelling() {
        let text = TEMPLATE
            .replace("# valid-from = 2027-01-01", "valid-from = 2027-01-01")
            .replace("# valid-until = 2032-01-01", "valid-until = 2031-12-31T23:00:00+01:00");
        let agreement = complete(read(&text, false, "x").unwrap(), &missing(None), "x").unwrap();
        assert_eq!(agreement.valid_from.to_string(), "2027-01-01T00:00:00.000Z");
        assert_eq!(agreement.parties[0].from, agreement.valid_from);
        assert_eq!(agreement.valid_until.unwrap().to_string(), "2031-12-31T22:00:00.000Z");
    }

    #[test]
    fn what_could_not_be_signed_is_not_sent() {
        let fault = |from: &str, to: &str| {
            complete(read(&TEMPLATE.replace(from, to), false, "se-no.toml").unwrap(), &missing(None), "se-no.toml").unwrap_err().to_string()
        };
        assert!(fault("\"no-pst\", ", "").contains("`parties` are 2 to 512"), "{}", fault("\"no-pst\", ", ""));
        assert!(fault("onward = \"consent\"", "onward = \"perhaps\"").contains("unknown variant `perhaps`"));
        assert!(fault("four-eyes = true", "four-eye = true").contains("unknown field `four-eye`"));
        assert!(read("id = ", false, "se-no.toml").unwrap_err().to_string().starts_with("`se-no.toml` is not an agreement"));
        assert!(read("{\"id\":1,\"id\":2}", true, "se-no.json").is_err());
    }
}
