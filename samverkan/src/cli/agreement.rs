//! `agreement`: who cooperates, and on what terms.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use format::{AgreementId, OrgId};
use serde_json::{Map, Value, json};

use super::{Context, card, prompt};
use crate::answer::Answer as _;
use crate::client::Client;
use crate::failure::{Failure, Outcome};
use crate::print::{line, time_of};
use crate::proposal::{self, Missing};

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  samverkan agreement propose --template > se-no.toml
  samverkan agreement propose se-no.toml       sign it and put it before the other parties
  samverkan agreement list
  samverkan agreement show se-no
  samverkan agreement sign se-no --version 1   it is in force when every party has signed
  samverkan agreement admit ctg fi-supo        put forward the next version, with one party more
  samverkan agreement expel ctg fi-supo        put forward the next version, without that party")]
pub(super) enum Agreement {
    /// Put a version forward, signed by this organisation
    Propose {
        /// The agreement, TOML or JSON
        #[arg(required_unless_present = "template")]
        file: Option<PathBuf>,
        /// Print a whole file to begin with
        #[arg(long)]
        template: bool,
    },
    /// Sign a version that was put forward
    Sign {
        /// The agreement
        id: AgreementId,
        /// The version that you have read; the newest when not given
        #[arg(long)]
        version: Option<u32>,
    },
    /// Put forward the next version with one party more, and nothing else changed
    Admit {
        /// The agreement
        id: AgreementId,
        /// Who is to join
        org: OrgId,
        /// Its part: secretariat, member or observer
        #[arg(long, default_value = "member", value_parser = ["secretariat", "member", "observer"])]
        role: String,
    },
    /// Put forward the next version without a party, and nothing else changed; every other party signs it
    Expel {
        /// The agreement
        id: AgreementId,
        /// Who is to be a party no longer
        org: OrgId,
    },
    /// Leave an agreement, in every version, at once
    Withdraw {
        /// The agreement
        id: AgreementId,
        /// Do not ask whether it is meant
        #[arg(long)]
        yes: bool,
    },
    /// List the agreements and how they stand
    List,
    /// Show an agreement: parties, terms, signatures
    Show {
        /// The agreement
        id: AgreementId,
        /// The version; the one in force when not given, or else the newest
        #[arg(long)]
        version: Option<u32>,
    },
}

pub(super) async fn run(context: &Context, verb: Agreement) -> Outcome {
    match verb {
        Agreement::Propose { template: true, .. } => line(proposal::TEMPLATE.trim_end()),
        Agreement::Propose { file, .. } => propose(context, &file.unwrap_or_default()).await?,
        Agreement::Admit { id, org, role } => {
            let from = crate::assemble::now().to_string();
            revise(context, &id, |parties| parties.push(json!({ "org": org, "role": role, "from": from }))).await?;
        }
        Agreement::Expel { id, org } => revise(context, &id, |parties| parties.retain(|party| party.text("/org") != org.as_str())).await?,
        Agreement::Sign { id, version } => sign(context, &id, version).await?,
        Agreement::Withdraw { id, yes } => withdraw(context, &id, yes).await?,
        Agreement::List => {
            let answer = context.client()?.get(&["agreements"]).send().await?;
            context.printer.answer(&answer, || list(context, &answer));
        }
        Agreement::Show { id, version } => {
            let answer = context.client()?.get(&["agreements", id.as_str()]).query_if("version", version).send().await?;
            context.printer.answer(&answer, || show(context, &answer));
        }
    }
    Ok(())
}

/// Every purpose that some agreement here knows.
pub(super) async fn purposes(client: &Client) -> Outcome<BTreeSet<String>> {
    let answer = client.get(&["agreements"]).send().await?;
    let all = answer.items("/agreements").iter().flat_map(|agreement| agreement.items("/purposes"));
    Ok(all.filter_map(|purpose| purpose.as_str().map(ToOwned::to_owned)).collect())
}

async fn propose(context: &Context, path: &Path) -> Outcome {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("`{shown}` cannot be read: {error}")))?;
    let file = proposal::read(&text, path.extension().is_some_and(|extension| extension == "json"), &shown)?;
    let client = context.client()?;
    let id = file.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let before = in_force(&client, &id).await?.map(|(newest, followed)| (newest, followed.text("/digest")));
    put_forward(context, &client, file, before, &shown).await
}

/// Puts forward the next version of an agreement, with other parties and the same terms.
async fn revise(context: &Context, id: &AgreementId, change: impl FnOnce(&mut Vec<Value>)) -> Outcome {
    let client = context.client()?;
    let (newest, followed) = in_force(&client, id.as_str()).await?.ok_or_else(|| unknown(id))?;
    let mut file = followed.pointer("/agreement").and_then(Value::as_object).cloned().unwrap_or_default();
    for stated in ["version", "supersedes", "proposed-by", "proposed"] {
        file.remove(stated);
    }
    let mut parties = followed.items("/agreement/parties").to_vec();
    change(&mut parties);
    if parties.len() == followed.items("/agreement/parties").len() {
        return Err(Failure::refused(format!("that is no party to {id}")).remedy(format!("`samverkan agreement show {id}` names the parties.")));
    }
    file.insert("parties".to_owned(), parties.into());
    put_forward(context, &client, file, Some((newest, followed.text("/digest"))), id.as_str()).await
}

/// The version that a new one follows, which is the one in force or else the newest, with the newest number.
async fn in_force(client: &Client, id: &str) -> Outcome<Option<(u64, Value)>> {
    let known = client.get(&["agreements"]).send().await?;
    let Some(agreement) = known.items("/agreements").iter().find(|agreement| agreement.text("/id") == id) else { return Ok(None) };
    let followed = client.get(&["agreements", id]).send().await?;
    Ok(Some((agreement.number("/newest"), followed)))
}

async fn put_forward(context: &Context, client: &Client, file: Map<String, Value>, before: Option<(u64, String)>, shown: &str) -> Outcome {
    let own = card::own(client).await?;
    let proposed_by = own.parse().map_err(|_| Failure::unreachable("the node does not say whose it is"))?;
    let agreement = proposal::complete(file, &Missing { proposed_by, now: crate::assemble::now(), before }, shown)?;
    let answer = client.post(&["agreements"]).json(&agreement).send().await?;
    context.printer.answer(&answer, || {
        let others: Vec<&str> = agreement.parties.iter().map(|party| party.org.as_str()).filter(|org| *org != own).collect();
        line(&format!("Put forward version {} of {}, signed by {own}. It goes to {} for signature.", agreement.version, agreement.id, others.join(", ")));
    });
    Ok(())
}

async fn sign(context: &Context, id: &AgreementId, version: Option<u32>) -> Outcome {
    let client = context.client()?;
    let version = match version {
        Some(version) => u64::from(version),
        None => newest(&client, id).await?,
    };
    let answer = client.post(&["agreements", id.as_str(), "signatures"]).json(&json!({ "version": version })).send().await?;
    context.printer.answer(&answer, || line(&format!("Signed version {version} of {id}. {}", standing(&answer))));
    Ok(())
}

async fn newest(client: &Client, id: &AgreementId) -> Outcome<u64> {
    let known = client.get(&["agreements"]).send().await?;
    let found = known.items("/agreements").iter().find(|agreement| agreement.text("/id") == id.as_str()).map(|agreement| agreement.number("/newest"));
    found.ok_or_else(|| unknown(id))
}

fn unknown(id: &AgreementId) -> Failure {
    Failure::refused(format!("there is no agreement `{id}` here")).remedy("`samverkan agreement list` shows those that are.")
}

async fn withdraw(context: &Context, id: &AgreementId, yes: bool) -> Outcome {
    let client = context.client()?;
    if !yes {
        let typed = prompt(&format!("This organisation leaves {id} at once and sends and receives nothing more under it. Type {id} if that is meant: "))?;
        if typed != id.as_str() {
            return Err(Failure::refused("nothing was changed"));
        }
    }
    let answer = client.post(&["agreements", id.as_str(), "withdrawal"]).send().await?;
    context.printer.answer(&answer, || line(&format!("This organisation has left {id}.")));
    Ok(())
}

fn list(context: &Context, answer: &Value) {
    let language = context.language();
    let row = |agreement: &Value| {
        let newer = agreement.number("/newest") > agreement.number("/version");
        let version = if newer { format!("{} ({} put forward)", agreement.text("/version"), agreement.text("/newest")) } else { agreement.text("/version") };
        vec![agreement.text("/id"), version, agreement.words("/title", language), standing(agreement), agreement.joined("/parties")]
    };
    let rows = answer.items("/agreements").iter().map(row).collect();
    context.printer.table(&["Agreement", "Version", "Title", "Standing", "Parties"], rows, "No agreements are known here.");
}

/// How an agreement stands, as a sentence.
fn standing(agreement: &Value) -> String {
    match agreement.text("/standing").as_str() {
        "in-force" => "In force.".to_owned(),
        "proposed" => format!("Waits for {}.", agreement.joined("/missing")),
        "not-yet" => "Signed; not in force yet.".to_owned(),
        "ended" => "Ended.".to_owned(),
        other => other.to_owned(),
    }
}

fn show(context: &Context, answer: &Value) {
    let language = context.language();
    let text = |path: &str| answer.text(&format!("/agreement{path}"));
    let joined = |path: &str| answer.joined(&format!("/agreement{path}"));
    let four_eyes = if answer.holds("/agreement/terms/four-eyes") { "a second person approves each release" } else { "not asked for" };
    let withdrawn: Vec<String> = answer.items("/withdrawn").iter().map(|left| format!("{} on {}", left.text("/org"), time_of(left.pointer("/at")))).collect();
    context.printer.fields(&[
        ("Agreement", format!("{}, version {}", text("/id"), text("/version"))),
        ("Title", answer.words("/agreement/title", language)),
        ("Form", text("/form")),
        ("Standing", standing(answer)),
        ("Signed by", answer.joined("/signed")),
        ("Has left", withdrawn.join(", ")),
        ("Put forward", format!("by {} on {}", text("/proposed-by"), time_of(answer.pointer("/agreement/proposed")))),
        ("In force from", time_of(answer.pointer("/agreement/valid-from"))),
        ("Until", time_of(answer.pointer("/agreement/valid-until"))),
        ("Kinds", joined("/terms/kinds")),
        ("Ceiling", text("/terms/ceiling")),
        ("Purposes", joined("/terms/purposes")),
        ("Legal bases", joined("/terms/legal-bases")),
        ("Passing on", text("/terms/onward")),
        ("Retention", format!("{} days at most", text("/terms/longest-retention-days"))),
        ("Four eyes", four_eyes.to_owned()),
        ("Joining", text("/terms/joining")),
        ("Digest", answer.text("/digest")),
    ]);
    line("");
    let row = |party: &Value| vec![party.text("/org"), party.text("/role"), time_of(party.pointer("/from")), time_of(party.pointer("/until"))];
    context.printer.table(&["Party", "Part", "From", "Until"], answer.items("/agreement/parties").iter().map(row).collect(), "It has no parties.");
    for duty in answer.items("/agreement/terms/duties") {
        line(&format!("\nDuty {}: {}", duty.text("/id"), duty.words("/text", language)));
    }
}
