//! `config`: what can be configured, and what is.

use clap::Subcommand;

use super::Context;
use crate::config;
use crate::failure::Outcome;
use crate::print::line;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  samverkan config explain                     every key with its default
  samverkan config explain --data sapo         every key as it is in force for that node")]
pub(super) enum Config {
    /// Print each key, what it is for, and the value in force
    Explain,
}

pub(super) fn run(context: &Context, verb: &Config) -> Outcome {
    let Config::Explain = verb;
    let config = match &context.global.data {
        Some(data) => config::Config::load(data)?,
        None => config::Config::default(),
    };
    if context.printer.is_json() {
        line(&format!("{:#}", serde_json::to_value(&config).unwrap_or_default()));
    } else {
        line(config::explain(&config).trim_end());
    }
    Ok(())
}
