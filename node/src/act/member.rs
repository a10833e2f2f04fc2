//! Members: who may log in, with which roles, sessions and tokens; and the organisation's own rules.

use std::collections::BTreeSet;

use format::{Digest, Timestamp};
use policy::access::{Pass, Permission, Role};

use super::directory::{invalid, wrong_state};
use crate::command::{Outcome, Refusal};
use crate::entry::Event;
use crate::node::{Node, Plan};
use crate::ports::Store;
use crate::rows::{Change, CredentialRow, MemberRow};

/// The longest a token can live, in days.
const MAX_TOKEN_DAYS: u32 = 366;

fn words(roles: &BTreeSet<Role>) -> BTreeSet<String> {
    roles.iter().map(ToString::to_string).collect()
}

impl<S: Store> Node<S> {
    pub(crate) fn back_up(key: Digest) -> (Outcome, Plan) {
        let mut plan = Plan::default();
        plan.event(Event::BackedUp { key });
        (Outcome::Done, plan)
    }

    pub(crate) fn add_member(&self, id: String, name: String, roles: BTreeSet<Role>, password: String) -> Result<(Outcome, Plan), Refusal> {
        let grammar = (2..=40).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b));
        if !grammar {
            return Err(invalid("id", "a log-in name is 2 to 40 of a-z, 0-9, . and -"));
        }
        if !(1..=200).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            return Err(invalid("name", "a name is 1 to 200 characters without control characters"));
        }
        if self.store.member(&id)?.is_some() {
            return Err(wrong_state(format!("det finns redan en medlem {id}"), format!("there is a member {id} already")));
        }
        check_roles(&roles)?;
        let mut plan = Plan::default();
        plan.event(Event::MemberAdded { member: id.clone(), roles: words(&roles) });
        plan.change(Change::Member(MemberRow { id, name, roles, active: true, password }));
        Ok((Outcome::Done, plan))
    }

    pub(crate) fn change_member(&self, pass: &Pass, id: &str, roles: BTreeSet<Role>, active: bool) -> Result<(Outcome, Plan), Refusal> {
        let mut member = self.known_member(id)?;
        if pass.member() == id {
            return Err(wrong_state(
                "ingen ändrar sina egna roller eller sitt eget konto: en annan administratör gör det",
                "nobody changes their own roles or account: another administrator does",
            ));
        }
        check_roles(&roles)?;
        member.roles = roles;
        member.active = active;
        let mut plan = Plan::default();
        plan.event(Event::MemberChanged { member: id.to_owned(), roles: words(&member.roles), active });
        plan.change(Change::Member(member));
        if !active {
            plan.change(Change::RevokeCredentials(id.to_owned()));
        }
        Ok((Outcome::Done, plan))
    }

    pub(crate) fn set_password(&self, pass: &Pass, id: &str, password: String) -> Result<(Outcome, Plan), Refusal> {
        if pass.permission() == Permission::ManageOwnTokens && pass.member() != id {
            return Err(Refusal::WrongPass);
        }
        let mut member = self.known_member(id)?;
        member.password = password;
        let mut plan = Plan::default();
        plan.event(Event::PasswordSet { member: id.to_owned() });
        plan.change(Change::Member(member));
        plan.change(Change::RevokeCredentials(id.to_owned()));
        Ok((Outcome::Done, plan))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one credential")]
    pub(crate) fn add_credential(
        &self,
        pass: &Pass,
        member: String,
        hash: Digest,
        label: String,
        token: bool,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(Outcome, Plan), Refusal> {
        if pass.member() != member {
            return Err(Refusal::WrongPass);
        }
        if expires <= now || expires > now.plus_days(MAX_TOKEN_DAYS) {
            return Err(invalid("expires", format!("a token lives at most {MAX_TOKEN_DAYS} days")));
        }
        if label.chars().count() > 100 || label.chars().any(char::is_control) {
            return Err(invalid("label", "a label is at most 100 characters without control characters"));
        }
        let mut plan = Plan::default();
        plan.event(Event::CredentialAdded { member: member.clone(), token, label: label.clone(), expires });
        plan.change(Change::Credential(CredentialRow { hash, member, label, token, created: now, expires }));
        Ok((Outcome::Done, plan))
    }

    pub(crate) fn revoke_credential(&self, pass: &Pass, hash: &Digest) -> Result<(Outcome, Plan), Refusal> {
        let credential = self.store.credential(hash)?;
        let credential = credential.filter(|c| c.member == pass.member() || pass.permission() == Permission::ManageMembers);
        let credential = credential.ok_or_else(|| Refusal::NotFound { what: "token", name: hash.short() })?;
        let mut plan = Plan::default();
        plan.event(Event::CredentialRevoked { member: credential.member });
        plan.change(Change::RevokeCredential(*hash));
        Ok((Outcome::Done, plan))
    }

    pub(crate) fn set_house_rules(text: String) -> (Outcome, Plan) {
        let mut plan = Plan::default();
        plan.event(Event::HouseRulesSet { digest: Digest::of(text.as_bytes()) });
        plan.change(Change::HouseRules(text));
        (Outcome::Done, plan)
    }

    fn known_member(&self, id: &str) -> Result<MemberRow, Refusal> {
        self.store.member(id)?.ok_or_else(|| Refusal::NotFound { what: "member", name: id.to_owned() })
    }
}

/// Who decides what leaves does not keep the node, and who oversees does neither.
fn check_roles(roles: &BTreeSet<Role>) -> Result<(), Refusal> {
    let has = |role| roles.contains(&role);
    if roles.is_empty() {
        return Err(invalid("roles", "a member has at least one"));
    }
    if has(Role::Administrator) && roles.len() > 1 {
        return Err(invalid("roles", "an administrator has no other role: who keeps the node does not read or release what is in it"));
    }
    if has(Role::Auditor) && roles.len() > 1 {
        return Err(invalid("roles", "an auditor has no other role: nobody oversees their own work"));
    }
    Ok(())
}
