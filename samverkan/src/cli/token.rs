//! `token`: secrets for programs that act for a member.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Context;
use crate::answer::Answer as _;
use crate::client::Client;
use crate::failure::{Failure, Outcome};
use crate::print::{line, time_of};

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  samverkan token create --label \"nightly import\" --days 90
  SAMVERKAN_TOKEN=... samverkan inbox --purpose counter-terrorism --json

A program shows its token in SAMVERKAN_TOKEN, or as `Authorization: Bearer` over REST. It may do
what you may, but not make tokens.")]
pub(super) enum Token {
    /// Make a token; its secret is shown once
    Create {
        /// What it is for
        #[arg(long)]
        label: String,
        /// For how many days it holds
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=366))]
        days: u32,
    },
    /// List your tokens and sessions
    List,
    /// End a token or session
    Revoke {
        /// Its id, or the beginning of it
        id: String,
    },
}

pub(super) async fn run(context: &Context, verb: Token) -> Outcome {
    let client = context.client()?;
    match verb {
        Token::Create { label, days } => {
            let answer = client.post(&["tokens"]).json(&json!({ "label": label, "days": days })).send().await?;
            context.printer.answer(&answer, || {
                line(&format!("Made a token that holds until {}.", time_of(answer.pointer("/expires"))));
                line(&format!("Secret: {}   (shown this once)", answer.text("/secret")));
            });
        }
        Token::List => {
            let answer = client.get(&["tokens"]).send().await?;
            context.printer.answer(&answer, || show(context, &answer));
        }
        Token::Revoke { id } => {
            let id = whole(&client, &id).await?;
            let answer = client.delete(&["tokens", &id]).send().await?;
            context.printer.answer(&answer, || line("It has ended."));
        }
    }
    Ok(())
}

fn show(context: &Context, answer: &Value) {
    let row = |token: &Value| {
        let what = match (token.holds("/token"), token.holds("/this")) {
            (true, _) => token.text("/label"),
            (false, true) => "(this session)".to_owned(),
            (false, false) => "(session)".to_owned(),
        };
        let id = token.text("/id").chars().take(12).collect();
        vec![id, what, time_of(token.pointer("/created")), time_of(token.pointer("/expires"))]
    };
    context.printer.table(&["Id", "What for", "Made", "Holds until"], answer.items("/tokens").iter().map(row).collect(), "You have no tokens.");
}

/// The one token whose id begins so.
async fn whole(client: &Client, beginning: &str) -> Outcome<String> {
    let answer = client.get(&["tokens"]).send().await?;
    let mut found = answer.items("/tokens").iter().map(|token| token.text("/id")).filter(|id| id.starts_with(beginning));
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (None, _) => Err(Failure::refused(format!("you have no token whose id begins with `{beginning}`")).remedy("`samverkan token list` shows them.")),
        _ => Err(Failure::usage(format!("several of your tokens begin with `{beginning}`")).remedy("Write more of the id.")),
    }
}
