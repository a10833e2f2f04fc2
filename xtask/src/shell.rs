//! Starting other programs from the workspace's root.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// A command as it is typed, without quotes.
pub(crate) fn line(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).current_dir(root());
    command
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("`{}` does not start", shown(command)))?;
    if status.success() { Ok(()) } else { bail!("`{}` failed: {status}", shown(command)) }
}

/// What a command prints, when it succeeds.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let out = command.output().with_context(|| format!("`{}` does not start", shown(command)))?;
    if !out.status.success() {
        bail!("`{}` failed: {}\n{}", shown(command), out.status, String::from_utf8_lossy(&out.stderr));
    }
    String::from_utf8(out.stdout).context("the output is not text")
}

pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The target triple of this machine.
pub(crate) fn host() -> Result<String> {
    Ok(output(&mut line("rustc --print host-tuple"))?.trim().to_owned())
}
