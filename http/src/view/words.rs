//! Closed sets of words as schemas, taken from the types that define them.

use format::agreement::{Form, Joining, Onward, PartyRole};
use format::marking::{Caveat, Classification, Handling, Pap, Tlp};
use format::record::{Kind, Relation, SubjectCategory};
use node::rows::{HoldingState, Stage, Suspicion};
use policy::access::{Permission, Role};
use policy::release::Condition;
use serde::Serialize;
use utoipa::openapi::Schema;
use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, SchemaType, Type};

fn of<T: Into<serde_json::Value>>(words: impl IntoIterator<Item = T>) -> Object {
    let words: Vec<serde_json::Value> = words.into_iter().map(Into::into).collect();
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).enum_values(Some(words)).build()
}

fn list(items: Object) -> Schema {
    ArrayBuilder::new().items(items).build().into()
}

/// A word as the type itself writes it.
pub(crate) fn written<T: Serialize>(word: &T) -> String {
    serde_json::to_value(word).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

pub(crate) fn kind() -> Object {
    of(Kind::ALL.map(Kind::as_str))
}

pub(crate) fn kinds() -> Schema {
    list(kind())
}

pub(crate) fn stage() -> Object {
    of(Stage::ALL.iter().map(|stage| stage.as_str()))
}

pub(crate) fn roles() -> Schema {
    list(of(Role::ALL.iter().map(|role| role.as_str())))
}

pub(crate) fn permissions() -> Schema {
    list(of(Permission::ALL.iter().map(|permission| permission.as_str())))
}

pub(crate) fn relation() -> Object {
    of([Relation::Answers, Relation::BasedOn, Relation::Concerns].map(|word| written(&word)))
}

pub(crate) fn categories() -> Schema {
    let all = [SubjectCategory::Suspected, SubjectCategory::Convicted, SubjectCategory::Victim, SubjectCategory::Other];
    list(of(all.map(|word| written(&word))))
}

pub(crate) fn classification() -> Object {
    of(Classification::known().map(|code| code.as_str().to_owned()))
}

pub(crate) fn tlp() -> Object {
    of(Tlp::KNOWN.iter().map(Tlp::as_str))
}

pub(crate) fn pap() -> Object {
    of(Pap::KNOWN.iter().map(Pap::as_str))
}

pub(crate) fn handling() -> Schema {
    list(of(Handling::KNOWN.iter().map(Handling::as_str)))
}

pub(crate) fn caveats() -> Schema {
    list(of(Caveat::KNOWN.iter().map(Caveat::as_str)))
}

pub(crate) fn form() -> Object {
    of([Form::Bilateral, Form::Body, Form::Council, Form::WorkingGroup, Form::Programme, Form::Convention].map(|word| written(&word)))
}

pub(crate) fn party_role() -> Object {
    of([PartyRole::Chair, PartyRole::Secretariat, PartyRole::Member, PartyRole::Observer].map(|word| written(&word)))
}

pub(crate) fn onward() -> Object {
    of([Onward::Never, Onward::Consent, Onward::Within, Onward::Free].map(|word| written(&word)))
}

pub(crate) fn joining() -> Object {
    of([Joining::All, Joining::Chair].map(|word| written(&word)))
}

pub(crate) fn standing() -> Object {
    of(["proposed", "not-yet", "in-force", "ended"])
}

pub(crate) fn suspicion() -> Object {
    of([Suspicion::Fork, Suspicion::RolledBack, Suspicion::SplitLedger, Suspicion::Restored, Suspicion::Revoked].map(Suspicion::as_str))
}

pub(crate) fn condition() -> Object {
    let all = [Condition::Current, Condition::Superseded, Condition::Recalled, Condition::Expired, Condition::Removed];
    of(all.map(condition_word))
}

/// The word for how a record stands.
pub(crate) const fn condition_word(condition: Condition) -> &'static str {
    match condition {
        Condition::Current => "current",
        Condition::Superseded => "superseded",
        Condition::Recalled => "recalled",
        Condition::Expired => "expired",
        Condition::Removed => "removed",
    }
}

pub(crate) fn holding() -> Object {
    let all = [HoldingState::Queued, HoldingState::Sent, HoldingState::Held, HoldingState::Refused, HoldingState::HeldBack, HoldingState::Removed];
    of(all.map(holding_word))
}

/// The word for how a copy stands.
pub(crate) const fn holding_word(state: HoldingState) -> &'static str {
    match state {
        HoldingState::Queued => "queued",
        HoldingState::Sent => "sent",
        HoldingState::Held => "held",
        HoldingState::Refused => "refused",
        HoldingState::HeldBack => "held-back",
        HoldingState::Removed => "removed",
    }
}
