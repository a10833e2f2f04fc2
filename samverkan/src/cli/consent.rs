//! `consent`: whether a record may be passed on to somebody that its originator did not name.

use clap::Subcommand;
use format::{OrgId, Timestamp};
use serde_json::json;

use super::{Context, report::named};
use crate::failure::Outcome;
use crate::print::line;
use crate::reference::Reference;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  samverkan consent ask PST-2026-000017 --recipient dk-pet --reason \"Travels there tomorrow.\"
  samverkan inbox --kind consent                       the originator finds the question, and shows it
  samverkan consent grant SAPO-2026-000124 --reason \"For this journey.\" --until 2027-01-01
  samverkan consent deny SAPO-2026-000124 --reason \"The source could be told from it.\"")]
pub(super) enum Consent {
    /// Ask a record's originator whether it may be passed on
    Ask {
        /// The record, another organisation's
        record: Reference,
        /// Who would get it
        #[arg(long)]
        recipient: OrgId,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Permit it: this holder, this record, this recipient
    Grant {
        /// The question, a record in the inbox
        question: Reference,
        /// Why
        #[arg(long)]
        reason: String,
        /// It holds until this day, or time; as long as the record when not given
        #[arg(long, value_parser = moment)]
        until: Option<Timestamp>,
    },
    /// Do not permit it
    Deny {
        /// The question, a record in the inbox
        question: Reference,
        /// Why
        #[arg(long)]
        reason: String,
    },
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let day = || Timestamp::from_date(text).ok().filter(|_| text.len() == 10);
    text.parse().ok().or_else(day).ok_or_else(|| "write a day, 2027-01-01, or a time, 2027-01-01T12:00:00.000Z".to_owned())
}

pub(super) async fn run(context: &Context, verb: Consent) -> Outcome {
    let client = context.client()?;
    match verb {
        Consent::Ask { record, recipient, reason } => {
            let call = client.post(&["records", &record.to_string(), "consent-requests"]);
            let answer = call.json(&json!({ "recipient": recipient, "reason": reason })).send().await?;
            context
                .printer
                .answer(&answer, || line(&format!("Asked whether {record} may go to {recipient}: {}. The answer comes to the inbox.", named(&answer))));
        }
        Consent::Grant { question, reason, until } => {
            let body = json!({ "grant": true, "reason": reason, "expires": until });
            let answer = client.post(&["records", &question.to_string(), "consent-answer"]).json(&body).send().await?;
            context.printer.answer(&answer, || line(&format!("Permitted, in {}.", named(&answer))));
        }
        Consent::Deny { question, reason } => {
            let body = json!({ "grant": false, "reason": reason });
            let answer = client.post(&["records", &question.to_string(), "consent-answer"]).json(&body).send().await?;
            context.printer.answer(&answer, || line(&format!("Not permitted, in {}.", named(&answer))));
        }
    }
    Ok(())
}
