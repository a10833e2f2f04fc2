//! `completions`: what a shell needs to complete commands.

use std::io::Write as _;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::failure::{Failure, Outcome};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samverkan completions bash > ~/.local/share/bash-completion/completions/samverkan
  samverkan completions zsh > ~/.zfunc/_samverkan
  samverkan completions fish > ~/.config/fish/completions/samverkan.fish")]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

pub(super) fn run(verb: &Completions) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(verb.shell, &mut super::Cli::command(), "samverkan", &mut text);
    std::io::stdout().write_all(&text).map_err(|error| Failure::usage(format!("the completions cannot be written: {error}")))
}
