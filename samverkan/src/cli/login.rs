//! `login` and `logout`: a session with a node, kept on disk for its member alone.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Context, password};
use crate::answer::Answer as _;
use crate::failure::{Failure, Outcome};
use crate::print::{line, time_of};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samverkan login --data sapo --as anna
  pass show sapo/anna | samverkan login --data sapo --as anna --password-file -
  samverkan login --as anna --server https://samverkan.sapo.se:8443 --certificate sapo.pem")]
pub(super) struct Login {
    /// File that holds the password; - for standard input
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samverkan logout --data sapo --as anna")]
pub(super) struct Logout {}

pub(super) async fn login(context: &Context, verb: Login) -> Outcome {
    let member = context.global.member.clone().ok_or_else(|| Failure::usage("who logs in is not said").remedy("Give the log-in name with --as MEMBER."))?;
    let place = context.place()?;
    let sessions = context.sessions(&place)?;
    let client = context.stranger(place)?;
    let password = password(verb.password_file.as_deref(), &format!("Password of {member}: "))?;
    let answer = client.post(&["session"]).json(&json!({ "member": member, "password": password })).send().await?;
    sessions.keep(&member, &answer.text("/secret"))?;
    let told = json!({ "member": answer.text("/member"), "expires": answer.text("/expires") });
    context.printer.answer(&told, || line(&format!("Logged in as {member} until {}.", time_of(answer.pointer("/expires")))));
    Ok(())
}

pub(super) async fn logout(context: &Context, _: &Logout) -> Outcome {
    let place = context.place()?;
    let sessions = context.sessions(&place)?;
    let member = context.global.member.clone().map_or_else(|| sessions.only(), Ok)?;
    let ended = context.client()?.delete(&["session"]).send().await;
    sessions.forget(&member);
    // A session that the node no longer knows has ended, which is what was asked.
    if let Err(failure) = ended
        && failure.to_json().text("/code") != "credentials-invalid"
    {
        return Err(failure);
    }
    context.printer.answer(&json!({ "member": member }), || line(&format!("{member} is logged out.")));
    Ok(())
}
