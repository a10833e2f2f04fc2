//! `serve`: running a node.

use clap::Args;

use super::Context;
use crate::config::Config;
use crate::failure::Outcome;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samverkan serve --data sapo
  samverkan serve --data sapo --log info,samverkan_http=debug")]
pub(super) struct Serve {
    /// What to log, instead of what the configuration says
    #[arg(long, value_name = "FILTER", env = "SAMVERKAN_LOG", hide_env_values = true)]
    log: Option<String>,
}

pub(super) fn run(context: &Context, verb: &Serve) -> Outcome {
    let data = context.data()?;
    let mut config = Config::load(data)?;
    if let Some(filter) = &verb.log {
        config.log.filter.clone_from(filter);
    }
    crate::assemble::serve(data, &config)
}
