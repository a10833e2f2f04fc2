//! `card`: how organisations come to know each other.
//!
//! A card proves that it and its keys belong together, and nothing about whose they are. That is settled by two people
//! who read its fingerprint to each other over another channel, and only then is it taken in.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use format::{Digest, OrgId};
use serde_json::{Value, json};

use super::{Context, prompt};
use crate::answer::Answer as _;
use crate::client::Client;
use crate::failure::{Failure, Outcome};
use crate::print::{aside, groups, line, time_of};

/// The media type of signed statements.
const COSE: &str = "application/cose";
/// The largest card that is looked at.
const MAX_CARD: u64 = 512 * 1024;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  samverkan card export                          write your own card to ORG.card, to send to a partner
  samverkan card import no-pst.card              compare the fingerprint on the telephone, line by line
  samverkan card import no-pst.card --fingerprint 3f9a...   when it was read to you already
  samverkan card renew --address node.sapo.example:7443     this node is reached elsewhere now
  samverkan card distrust no-pst --reason \"their duty officer says that a key was stolen\"
  samverkan card revoke --reason \"keys.json was stolen\"     nobody believes this organisation's keys any more")]
pub(super) enum Card {
    /// Write a card to a file: your own, or another that is held here
    Export {
        /// The file; ORG.card when not given, - for standard output
        file: Option<PathBuf>,
        /// The organisation; your own when not given
        #[arg(long)]
        org: Option<OrgId>,
    },
    /// Take in another organisation's card, once its fingerprint was compared
    Import {
        /// The file
        file: PathBuf,
        /// The fingerprint as it was read to you over another channel; spaces do not matter
        #[arg(long, value_name = "HEX")]
        fingerprint: Option<String>,
    },
    /// Make this organisation's next card and send it to every peer; what is not given stays as it is
    #[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
    Renew {
        /// Where other organisations reach this node from now on; may be given several times
        #[arg(long = "address", value_name = "HOST:PORT", group = "change")]
        addresses: Vec<String>,
        /// Another contact point, available at all hours
        #[arg(long, value_name = "TEXT", group = "change")]
        contact: Option<String>,
        /// With the keys that `samverkan keys prepare` made
        #[arg(long, group = "change")]
        new_keys: bool,
    },
    /// Believe another organisation's card no longer: nothing new of theirs is taken in, and nothing goes to them
    Distrust {
        /// The organisation
        org: OrgId,
        /// Why, for whoever reads it later
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Revoke this organisation's own card, for ever, and tell every peer
    Revoke {
        /// Why; peers get to see it
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Do not ask whether it is meant
        #[arg(long)]
        yes: bool,
    },
    /// Show a card that is held here, with its fingerprint to read out
    Show {
        /// The organisation; your own when not given
        org: Option<OrgId>,
    },
    /// List the organisations whose cards are held here
    List,
}

pub(super) async fn run(context: &Context, verb: Card) -> Outcome {
    let client = context.client()?;
    match verb {
        Card::Export { file, org } => {
            let org = named_or_own(&client, org).await?;
            let bytes = client.get(&["organisations", &org, "card"]).bytes().await?;
            export(context, &org, &bytes, file)
        }
        Card::Import { file, fingerprint } => {
            let bytes = read(&file)?;
            let (org, found) = introduce(&file, &bytes)?;
            match fingerprint {
                Some(given) => same(&org, &given, &found)?,
                // Signed with keys that were compared before, it needs nobody's ear again.
                None if held(&client, &org).await? == found.to_string() => {}
                None => compare(&org, &found)?,
            }
            let answer = client.post(&["organisations"]).query("fingerprint", found).body(COSE, bytes).send().await?;
            context.printer.answer(&answer, || line(&format!("The card of {org} is held here now.")));
            Ok(())
        }
        Card::Renew { addresses, contact, new_keys } => {
            let addresses = Some(addresses).filter(|addresses| !addresses.is_empty());
            let renewal = json!({ "addresses": addresses, "contact": contact, "new-keys": new_keys });
            let answer = client.post(&["cards"]).json(&renewal).send().await?;
            let told = || line(&format!("Card {} of {} goes to every peer: {}.", answer.text("/serial"), answer.text("/id"), answer.joined("/addresses")));
            context.printer.answer(&answer, told);
            Ok(())
        }
        Card::Distrust { org, reason } => distrust(context, &client, &org, &reason).await,
        Card::Revoke { reason, yes } => revoke(context, &client, &reason, yes).await,
        Card::Show { org } => {
            let org = named_or_own(&client, org).await?;
            let answer = client.get(&["organisations", &org]).send().await?;
            context.printer.answer(&answer, || show(context, &answer));
            Ok(())
        }
        Card::List => {
            let answer = client.get(&["organisations"]).send().await?;
            context.printer.answer(&answer, || list(context, &answer));
            Ok(())
        }
    }
}

async fn named_or_own(client: &Client, named: Option<OrgId>) -> Outcome<String> {
    match named {
        Some(org) => Ok(org.to_string()),
        None => own(client).await,
    }
}

async fn distrust(context: &Context, client: &Client, org: &OrgId, reason: &str) -> Outcome {
    if org.as_str() == own(client).await? {
        return Err(Failure::usage("this is your own organisation's card").remedy("To revoke it: `samverkan card revoke --reason TEXT`."));
    }
    let answer = client.post(&["organisations", org.as_str(), "revocation"]).json(&json!({ "reason": reason })).send().await?;
    let told = || line(&format!("The card of {org} is believed no longer. Exchange goes on when a new one is imported and its fingerprint compared."));
    context.printer.answer(&answer, told);
    Ok(())
}

async fn revoke(context: &Context, client: &Client, reason: &str, yes: bool) -> Outcome {
    let org = own(client).await?;
    if !yes {
        let asked = format!("Nobody believes the keys of {org} any more, for ever, and nothing new leaves this node. Type {org} if that is meant: ");
        if prompt(&asked)? != org {
            return Err(Failure::refused("nothing was changed"));
        }
    }
    let answer = client.post(&["organisations", &org, "revocation"]).json(&json!({ "reason": reason })).send().await?;
    context.printer.answer(&answer, || line(&format!("The card of {org} is revoked, and every peer is told.")));
    Ok(())
}

/// The fingerprint of the card that is believed of an organisation; empty where none is.
pub(super) async fn held(client: &Client, org: &OrgId) -> Outcome<String> {
    let known = client.get(&["organisations"]).send().await?;
    Ok(known
        .items("/organisations")
        .iter()
        .find(|known| known.text("/id") == org.as_str() && !known.holds("/revoked"))
        .map(|known| known.text("/fingerprint"))
        .unwrap_or_default())
}

/// The organisation whose node this is.
pub(super) async fn own(client: &Client) -> Outcome<String> {
    Ok(client.get(&["me"]).send().await?.text("/organisation"))
}

fn export(context: &Context, org: &str, bytes: &[u8], file: Option<PathBuf>) -> Outcome {
    let path = file.unwrap_or_else(|| PathBuf::from(format!("{org}.card")));
    let failed = |error: std::io::Error| Failure::usage(format!("`{}` cannot be written: {error}", path.display()));
    if path == Path::new("-") {
        return std::io::stdout().write_all(bytes).map_err(failed);
    }
    std::fs::File::create_new(&path).and_then(|mut file| file.write_all(bytes)).map_err(failed)?;
    let (_, fingerprint) = introduce(&path, bytes)?;
    let told = json!({ "organisation": org, "file": path, "fingerprint": fingerprint });
    context.printer.answer(&told, || {
        line(&format!("Wrote the card of {org} to {}. Send it, and read its fingerprint over another channel:", path.display()));
        groups(&fingerprint.to_string()).iter().for_each(|row| line(&format!("  {row}")));
    });
    Ok(())
}

fn read(file: &Path) -> Outcome<Vec<u8>> {
    let unreadable = |why: &dyn std::fmt::Display| Failure::usage(format!("`{}` cannot be read: {why}", file.display()));
    let size = std::fs::metadata(file).map_err(|error| unreadable(&error))?.len();
    if size > MAX_CARD {
        return Err(unreadable(&"it is larger than any card"));
    }
    std::fs::read(file).map_err(|error| unreadable(&error))
}

fn introduce(file: &Path, bytes: &[u8]) -> Outcome<(OrgId, Digest)> {
    let (card, keys) = format::card::introduce(bytes).map_err(|error| {
        Failure::refused(format!("`{}` is not a card that holds together: {error}", file.display()))
            .remedy("Ask the organisation to send it again; do not believe it as it is.")
    })?;
    Ok((card.org.clone(), keys.fingerprint()))
}

fn same(org: &OrgId, given: &str, found: &Digest) -> Outcome {
    let given: String = given.chars().filter(|c| !c.is_whitespace() && !"-:".contains(*c)).collect::<String>().to_ascii_lowercase();
    let given: Digest = given.parse().map_err(|_| {
        Failure::usage(format!("a fingerprint has 64 of 0-9 and a-f, and the one given has {} characters", given.chars().count()))
            .remedy("Have it read to you again, whole.")
    })?;
    if given == *found {
        return Ok(());
    }
    Err(Failure::refused(format!("the card says that it is of {org}, and its fingerprint is not the one that was read to you"))
        .details([format!("the card has   {}", groups(&found.to_string()).join(" ")), format!("read to you    {}", groups(&given.to_string()).join(" "))])
        .remedy("Do not use this file. Ask the organisation for its card again, over another channel."))
}

/// Has a person compare the fingerprint, line by line.
fn compare(org: &OrgId, found: &Digest) -> Outcome {
    use std::io::IsTerminal as _;
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("nobody has compared the card's fingerprint")
            .remedy("Give the fingerprint that was read to you with --fingerprint HEX, or run this on a terminal."));
    }
    aside(&format!("The card says that it is of {org}. Call the organisation on a number that you have from elsewhere, and have its"));
    aside("fingerprint read to you. It is yours to compare: answer yes only to what you hear.");
    for (number, row) in groups(&found.to_string()).iter().enumerate() {
        let answer = prompt(&format!("  line {} of 4:  {row}   the same? [yes/no] ", number + 1))?;
        if !matches!(answer.to_lowercase().as_str(), "yes" | "y" | "ja" | "j") {
            return Err(Failure::refused("the fingerprint is not the same, and the card was not taken in")
                .remedy("Do not use this file. Ask the organisation for its card again, over another channel."));
        }
    }
    Ok(())
}

fn show(context: &Context, answer: &Value) {
    let language = context.language();
    context.printer.fields(&[
        ("Organisation", answer.text("/id")),
        ("Name", answer.words("/name", language)),
        ("Short name", answer.text("/short")),
        ("Country", answer.text("/country")),
        ("Kind", answer.text("/kind")),
        ("Addresses", answer.joined("/addresses")),
        ("Contact", answer.text("/contact")),
        (
            "Card",
            format!("number {}, of {}{}", answer.text("/serial"), time_of(answer.pointer("/issued")), if answer.holds("/revoked") { ", revoked" } else { "" }),
        ),
        ("Fingerprint", groups(&answer.text("/fingerprint")).join("\n")),
    ]);
}

fn list(context: &Context, answer: &Value) {
    let language = context.language();
    let row = |org: &Value| {
        let whose = match (org.holds("/own"), org.holds("/revoked")) {
            (true, true) => "this node, revoked",
            (true, false) => "this node",
            (false, true) => "revoked",
            (false, false) => "",
        };
        vec![org.text("/id"), org.words("/name", language), org.text("/country"), org.joined("/addresses"), whose.to_owned()]
    };
    let rows = answer.items("/organisations").iter().map(row).collect();
    context.printer.table(&["Organisation", "Name", "Country", "Addresses", ""], rows, "No cards are held here.");
}
