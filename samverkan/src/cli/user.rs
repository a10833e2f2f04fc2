//! `user`: the organisation's own members.

use std::path::PathBuf;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use policy::access::Role;
use serde_json::{Value, json};

use super::{Context, password};
use crate::answer::Answer as _;
use crate::failure::{Failure, Outcome};
use crate::print::line;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  samverkan user add bo --name \"Bo Ek\" --role analyst --role liaison
  samverkan user set bo --role release-officer
  samverkan user set bo --inactive

An administrator has no other role: who keeps the node does not read or release what is in it. An
auditor has no other role either. Nobody changes their own.")]
pub(super) enum User {
    /// Add a member, with a password that is made and shown once
    Add {
        /// Log-in name: a-z, 0-9, . and -
        id: String,
        /// Name shown to colleagues
        #[arg(long)]
        name: String,
        /// What the member is there for; may be given several times
        #[arg(long = "role", required = true, value_parser = roles())]
        roles: Vec<Role>,
        /// File that holds the first password, instead of one that is made; - for standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// List the members
    List,
    /// Change what a member is there for, or whether the account is in use
    Set {
        /// Log-in name
        id: String,
        /// What the member is there for from now on; may be given several times
        #[arg(long = "role", value_parser = roles())]
        roles: Vec<Role>,
        /// Take the account into use again
        #[arg(long, conflicts_with = "inactive")]
        active: bool,
        /// Take the account out of use, and end its sessions and tokens
        #[arg(long)]
        inactive: bool,
    },
    /// Set a new password: your own, or another member's as an administrator
    Password {
        /// Log-in name of another member; your own password without it
        id: Option<String>,
        /// File that holds the new password, or for your own the old and the new, a line each; - for standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
}

fn roles() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.iter().map(|role| role.as_str())).try_map(|word| word.parse::<Role>())
}

pub(super) async fn run(context: &Context, verb: User) -> Outcome {
    let client = context.client()?;
    match verb {
        User::Add { id, name, roles, password_file } => {
            let given = password_file.map(|file| password(Some(&file), "")).transpose()?;
            let mut body = json!({ "id": id, "name": name, "roles": words(&roles) });
            add(&mut body, "password", given.map(Value::from));
            let answer = client.post(&["members"]).json(&body).send().await?;
            told_password(context, &answer, &format!("Added {id} ({}).", words(&roles).join(", ")));
        }
        User::List => {
            let answer = client.get(&["members"]).send().await?;
            context.printer.answer(&answer, || show(context, &answer));
        }
        User::Set { id, roles, active, inactive } => {
            let mut body = json!({});
            add(&mut body, "roles", (!roles.is_empty()).then(|| json!(words(&roles))));
            add(&mut body, "active", (active || inactive).then(|| Value::from(active)));
            if body == json!({}) {
                return Err(Failure::usage("there is nothing to change").remedy("Give --role, --active or --inactive."));
            }
            let answer = client.patch(&["members", &id]).json(&body).send().await?;
            context.printer.answer(&answer, || line(&format!("Changed {id}.")));
        }
        User::Password { id: Some(id), password_file } => {
            let given = password_file.map(|file| password(Some(&file), "")).transpose()?;
            let mut body = json!({});
            add(&mut body, "password", given.map(Value::from));
            let answer = client.put(&["members", &id, "password"]).json(&body).send().await?;
            told_password(context, &answer, &format!("{id} has a new password, and no session or token."));
        }
        User::Password { id: None, password_file } => {
            let (old, new) = own_passwords(password_file)?;
            let answer = client.put(&["me", "password"]).json(&json!({ "old": old, "new": new })).send().await?;
            context.printer.answer(&answer, || line("You have a new password. Every session and token of yours has ended: log in again."));
        }
    }
    Ok(())
}

fn show(context: &Context, answer: &Value) {
    let row = |member: &Value| {
        let standing = if member.holds("/active") { "in use" } else { "out of use" };
        vec![member.text("/id"), member.text("/name"), member.joined("/roles"), standing.to_owned()]
    };
    context.printer.table(&["Member", "Name", "Roles", "Account"], answer.items("/members").iter().map(row).collect(), "There are no members.");
}

fn told_password(context: &Context, answer: &Value, what: &str) {
    context.printer.answer(answer, || {
        line(what);
        let made = answer.text("/password");
        if !made.is_empty() {
            line(&format!("Password: {made}   (shown this once)"));
        }
    });
}

fn own_passwords(file: Option<PathBuf>) -> Outcome<(String, String)> {
    if let Some(file) = file {
        let text = password(Some(&file), "")?;
        let lines = text.split_once('\n').map(|(old, new)| (old.trim_end_matches('\r').to_owned(), new.to_owned()));
        return lines.ok_or_else(|| Failure::usage("the file does not hold two lines, the old password and the new"));
    }
    let old = password(None, "Password until now: ")?;
    let (new, again) = (password(None, "New password, at least 12 characters: ")?, password(None, "The same again: ")?);
    if new == again { Ok((old, new)) } else { Err(Failure::usage("the two new passwords differ, and nothing was changed")) }
}

fn words(roles: &[Role]) -> Vec<&'static str> {
    roles.iter().map(|role| role.as_str()).collect()
}

fn add(body: &mut Value, name: &str, value: Option<Value>) {
    if let (Some(object), Some(value)) = (body.as_object_mut(), value) {
        object.insert(name.to_owned(), value);
    }
}
