//! House rules: an organisation's own policies about what leaves it, written in Cedar.
//!
//! House rules can only forbid further. They are checked when they are put in place: each is a `forbid` that fits the
//! schema, has a name of its own, and carries the sentence in both languages that is shown to whoever it stops. They
//! see codes and names, never content. The invariant: a rule that can't be evaluated is an error and never silence,
//! and an error refuses the release.

mod facts;
mod fault;
mod text;

use std::collections::BTreeMap;

use cedar_policy::{Authorizer, Decision, Effect, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use policy::house::{Facts, HouseError, HouseForbid, HouseRules};

pub use fault::RuleFault;

/// The longest text of all rules together, in bytes.
pub const MAX_TEXT: usize = 64 * 1024;
/// The most rules.
pub const MAX_RULES: usize = 200;
/// The schema that rules are written against.
pub const SCHEMA: &str = include_str!("schema.cedarschema");

/// Rules that were parsed, checked against the schema, and can be asked.
#[derive(Debug, Clone)]
pub struct CedarRules {
    schema: Schema,
    policies: PolicySet,
    sentences: BTreeMap<String, HouseForbid>,
}

impl CedarRules {
    /// Reads rules from Cedar text. An empty text is no rules.
    ///
    /// # Errors
    /// The first thing that is wrong with them, see [`RuleFault`]; none of the rules is taken then.
    pub fn parse(text: &str) -> Result<Self, RuleFault> {
        if text.len() > MAX_TEXT {
            return Err(RuleFault::TooLong { bytes: text.len() });
        }
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|error| RuleFault::Internal(error.to_string()))?;
        let read: PolicySet = text.parse().map_err(|errors| RuleFault::syntax(&errors, text))?;
        if read.num_of_policies() + read.num_of_templates() > MAX_RULES {
            return Err(RuleFault::TooMany { rules: read.num_of_policies() + read.num_of_templates() });
        }
        if read.num_of_templates() > 0 {
            return Err(RuleFault::Template);
        }
        let mut rules = Self { schema, policies: everything_permitted()?, sentences: BTreeMap::new() };
        let mut given: Vec<&Policy> = read.policies().collect();
        // As written: the parser numbers them policy0, policy1 and so on.
        given.sort_by_key(|policy| policy.id().to_string().trim_start_matches("policy").parse::<usize>().unwrap_or(usize::MAX));
        for (place, policy) in given.into_iter().enumerate() {
            rules.add(policy, place + 1)?;
        }
        rules.validate()?;
        Ok(rules)
    }

    /// The rules' names with their sentences, in the order of their names.
    pub fn rules(&self) -> impl Iterator<Item = &HouseForbid> {
        self.sentences.values()
    }

    fn add(&mut self, policy: &Policy, place: usize) -> Result<(), RuleFault> {
        let rule = text::annotation(policy, "id", place, text::is_name)?;
        if policy.effect() != Effect::Forbid {
            return Err(RuleFault::Permits { rule });
        }
        let sentence = |language| text::annotation(policy, language, place, text::is_sentence);
        let forbid = HouseForbid { sv: sentence("sv")?, en: sentence("en")?, rule: rule.clone() };
        let named = policy.new_id(PolicyId::new(&rule));
        if self.sentences.insert(rule.clone(), forbid).is_some() || self.policies.add(named).is_err() {
            return Err(RuleFault::SameName { rule });
        }
        Ok(())
    }

    fn validate(&self) -> Result<(), RuleFault> {
        let result = Validator::new(self.schema.clone()).validate(&self.policies, ValidationMode::Strict);
        let errors = result.validation_errors().map(|error| (error.policy_id(), error.to_string()));
        let warnings = result.validation_warnings().map(|warning| (warning.policy_id(), warning.to_string()));
        let first = errors.chain(warnings).map(|(rule, why)| (rule.to_string(), why)).min();
        first.map_or(Ok(()), |(rule, why)| Err(RuleFault::DoesNotFit { rule, why }))
    }
}

/// Rules forbid what is otherwise permitted, so one policy permits everything; no rule can have its name.
fn everything_permitted() -> Result<PolicySet, RuleFault> {
    let internal = |why: String| RuleFault::Internal(why);
    let id = PolicyId::new("everything else");
    let permit = Policy::parse(Some(id), "permit(principal, action, resource);").map_err(|error| internal(error.to_string()))?;
    PolicySet::from_policies([permit]).map_err(|error| internal(error.to_string()))
}

impl HouseRules for CedarRules {
    fn forbids(&self, facts: &Facts<'_>) -> Result<Vec<HouseForbid>, HouseError> {
        let (request, entities) = facts::question(facts, &self.schema).map_err(|why| HouseError::new(text::one_line(&why)))?;
        let response = Authorizer::new().is_authorized(&request, &self.policies, &entities);
        if let Some(why) = response.diagnostics().errors().map(ToString::to_string).min() {
            return Err(HouseError::new(text::one_line(&why)));
        }
        let mut forbids = Vec::new();
        if response.decision() == Decision::Deny {
            for id in response.diagnostics().reason() {
                let name: &str = id.as_ref();
                let forbid = self.sentences.get(name).ok_or_else(|| HouseError::new(format!("rule {name} has no sentence")))?;
                forbids.push(forbid.clone());
            }
            if forbids.is_empty() {
                return Err(HouseError::new("the release was denied by no rule".to_owned()));
            }
        }
        forbids.sort_by(|a, b| a.rule.cmp(&b.rule));
        Ok(forbids)
    }
}
