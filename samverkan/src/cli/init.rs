//! `init`: making a node.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use format::OrgId;
use format::agreement::Text;
use format::card::OrgKind;
use format::id::ShortName;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::Error as ValueError;
use serde_json::json;

use super::Context;
use crate::failure::Outcome;
use crate::founding::{Founding, found};
use crate::print::{groups, line};

/// The words for kinds of organisation, as cards write them.
const KINDS: [&str; 9] = ["security-service", "intelligence", "police", "prosecution", "customs", "migration", "defence", "civil", "international"];

#[derive(Debug, Args)]
#[command(
    override_usage = "samverkan init DIR --org ID --short NAME ...",
    after_help = "\
Examples:
  samverkan init sapo --org se-sapo --short SAPO \\
      --name-sv Säkerhetspolisen --name-en \"Swedish Security Service\" \\
      --country SE --kind security-service --address 127.0.0.1:7443 \\
      --contact \"Duty officer, +46 10 568 70 00\" --admin anna

The folder holds the organisation's secret keys. Keep a copy of keys.json in a safe: without it
nothing in the store can be read again."
)]
pub(super) struct Init {
    /// The data folder; it must be empty or not exist
    dir: PathBuf,
    /// Name of the organisation within the federation: country, -, short name
    #[arg(long, value_name = "ID")]
    org: OrgId,
    /// Prefix of its record numbers
    #[arg(long, value_name = "NAME")]
    short: ShortName,
    /// Its name in Swedish
    #[arg(long, value_name = "TEXT")]
    name_sv: String,
    /// Its name in English
    #[arg(long, value_name = "TEXT")]
    name_en: String,
    /// Its country, ISO 3166-1 alpha-2; EU for Union bodies, XX for worldwide ones
    #[arg(long, value_name = "CC")]
    country: String,
    /// What sort of organisation it is
    #[arg(long, value_parser = kind())]
    kind: OrgKind,
    /// Where other organisations reach this node; may be given several times, or not where nobody calls it
    #[arg(long = "address", value_name = "HOST:PORT")]
    addresses: Vec<String>,
    /// Its contact point, available at all hours
    #[arg(long, value_name = "TEXT")]
    contact: String,
    /// Where members reach this node
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8443")]
    web: SocketAddr,
    /// Log-in name of the first administrator
    #[arg(long, value_name = "MEMBER", default_value = "admin", value_parser = member)]
    admin: String,
}

fn kind() -> impl TypedValueParser<Value = OrgKind> {
    PossibleValuesParser::new(KINDS).try_map(|word| OrgKind::deserialize(word.as_str().into_deserializer()).map_err(|error: ValueError| error))
}

fn member(text: &str) -> Result<String, &'static str> {
    let grammar = (2..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b));
    if grammar && !text.starts_with('.') { Ok(text.to_owned()) } else { Err("a log-in name is 2 to 40 of a-z, 0-9, . and -") }
}

pub(super) fn run(context: &Context, verb: Init) -> Outcome {
    let Init { dir, org, short, name_sv, name_en, country, kind, addresses, contact, web, admin } = verb;
    let name = Text { sv: name_sv, en: name_en };
    let founding = Founding { org, short, name, country, kind, addresses, contact, web, administrator: admin, now: crate::assemble::now() };
    let founded = found(&dir, &founding)?;
    let told = json!({
        "organisation": founding.org, "data": dir, "fingerprint": founded.fingerprint,
        "administrator": founding.administrator, "password": founded.password,
    });
    context.printer.answer(&told, || {
        line(&format!("Made a node for {} in {}.\n", founding.org, dir.display()));
        context.printer.fields(&[
            ("Fingerprint", groups(&founded.fingerprint.to_string()).join("\n")),
            ("Administrator", founding.administrator.clone()),
            ("Password", format!("{}   (shown this once)", founded.password)),
        ]);
        line(&format!("\nNext: samverkan serve --data {}", dir.display()));
    });
    Ok(())
}
