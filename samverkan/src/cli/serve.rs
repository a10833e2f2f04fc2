//! `serve`: running a node.

use clap::Args;

use super::Context;
use crate::assemble;
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

    // Read from the environment alone.
    #[arg(long, hide = true, env = assemble::LARGE_BLOCKS)]
    large_blocks: Option<String>,
}

pub(super) fn run(context: &Context, verb: &Serve) -> Outcome {
    if verb.large_blocks.is_none() {
        assemble::give_back_large_blocks();
    }
    let data = context.data()?;
    let mut config = Config::load(data)?;
    if let Some(filter) = &verb.log {
        config.log.filter.clone_from(filter);
    }
    assemble::serve(data, &config)
}
