//! The facts of a release in the terms of the schema.
//!
//! Every value is given in code as data, so that nothing in a record can be read as policy text.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::str::FromStr;

use cedar_policy::{Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression, Schema};
use format::OrgId;
use format::marking::{Caveat, Handling, Level};
use format::record::SubjectCategory;
use policy::house::Facts;

/// The question to the rules, and the entities it speaks of.
pub(crate) fn question(facts: &Facts<'_>, schema: &Schema) -> Result<(Request, Entities), String> {
    let record = uid("Record", "record")?;
    let mut entities = vec![Entity::new(record.clone(), attributes(facts)?, HashSet::new()).map_err(|error| error.to_string())?];
    let mut countries: BTreeMap<&OrgId, Option<&str>> = BTreeMap::from([(facts.sender, None)]);
    for (org, country) in [(facts.originator, facts.originator_country), (facts.recipient, facts.recipient_country)] {
        let known = countries.entry(org).or_default();
        *known = country.or(*known);
    }
    for (org, country) in countries {
        let attributes = country.map(|country| ("country".to_owned(), string(country)));
        entities.push(Entity::new(organisation(org)?, attributes.into_iter().collect(), HashSet::new()).map_err(|error| error.to_string())?);
    }
    let entities = Entities::from_entities(entities, Some(schema)).map_err(|error| error.to_string())?;
    let recipient = organisation(facts.recipient)?;
    let request = Request::new(recipient, uid("Action", "release")?, record, Context::empty(), Some(schema)).map_err(|error| error.to_string())?;
    Ok((request, entities))
}

fn attributes(facts: &Facts<'_>) -> Result<HashMap<String, RestrictedExpression>, String> {
    let named = [
        ("kind", string(facts.kind.as_str())),
        ("level", RestrictedExpression::new_long(level(facts.level))),
        ("tlp", string(facts.tlp.as_str())),
        ("handling", set(facts.handling.iter().map(Handling::as_str))),
        ("caveats", set(facts.caveats.iter().map(Caveat::as_str))),
        ("purpose", string(facts.purpose.as_str())),
        ("legalBasis", string(facts.legal_basis.as_str())),
        ("categories", set(facts.categories.iter().map(|category| word(*category)))),
        ("agreement", string(facts.agreement.id.as_str())),
        ("agreementVersion", RestrictedExpression::new_long(facts.agreement.version.into())),
        ("originator", RestrictedExpression::new_entity_uid(organisation(facts.originator)?)),
        ("sender", RestrictedExpression::new_entity_uid(organisation(facts.sender)?)),
        ("onward", RestrictedExpression::new_bool(facts.onward)),
        ("emergency", RestrictedExpression::new_bool(facts.emergency)),
    ];
    Ok(named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

const fn level(level: Level) -> i64 {
    match level {
        Level::Open => 0,
        Level::Restricted => 1,
        Level::Confidential => 2,
        Level::Secret => 3,
        Level::TopSecret => 4,
        Level::Unknown => 5,
    }
}

const fn word(category: SubjectCategory) -> &'static str {
    match category {
        SubjectCategory::Suspected => "suspected",
        SubjectCategory::Convicted => "convicted",
        SubjectCategory::Victim => "victim",
        SubjectCategory::Other => "other",
    }
}

fn organisation(org: &OrgId) -> Result<EntityUid, String> {
    uid("Organisation", org.as_str())
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let kind = EntityTypeName::from_str(kind).map_err(|errors| errors.to_string())?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

fn string(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn set<'a>(words: impl Iterator<Item = &'a str>) -> RestrictedExpression {
    RestrictedExpression::new_set(words.map(string))
}
