//! The command line as it is promised: its verbs, the help of each, and that help teaches.
//!
//! The snapshots of all help are in `testdata/help`: a reviewer reads there what changed for whoever types.

use clap::CommandFactory as _;

use super::Cli;

/// The help of every command, in the order in which a reader meets them.
fn helps(command: &mut clap::Command, path: &str, all: &mut Vec<(String, String)>) {
    all.push((path.to_owned(), command.render_long_help().to_string()));
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        if let Some(sub) = command.find_subcommand_mut(&name) {
            helps(sub, &format!("{path} {name}"), all);
        }
    }
}

fn all() -> Vec<(String, String)> {
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut all = Vec::new();
    helps(&mut command, "samverkan", &mut all);
    all
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn the_help_of_every_command_is_as_reviewed() {
    for (path, help) in all() {
        insta::with_settings!({ snapshot_path => "../../testdata/help", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(path.replace(' ', "-"), help);
        });
    }
}

#[test]
fn every_verb_teaches_by_example() {
    let groups = [
        "samverkan user",
        "samverkan token",
        "samverkan card",
        "samverkan keys",
        "samverkan agreement",
        "samverkan report",
        "samverkan consent",
        "samverkan emergency",
        "samverkan ledger",
        "samverkan peer",
        "samverkan recovery",
        "samverkan config",
        "samverkan store",
    ];
    for (path, help) in all() {
        let grouped = groups.iter().any(|group| path.starts_with(&format!("{group} ")));
        assert!(grouped || help.contains("Examples:\n  ") || help.contains("From draft to release:") || path == "samverkan", "{path}\n{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{path} has a line that no terminal shows whole");
    }
}

#[test]
fn the_verbs_are_those_that_are_promised() {
    let command = Cli::command();
    let verbs: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).filter(|name| *name != "demo").collect();
    let promised = [
        "init",
        "serve",
        "login",
        "logout",
        "user",
        "token",
        "card",
        "keys",
        "agreement",
        "report",
        "inbox",
        "show",
        "who-has",
        "correct",
        "recall",
        "pass-on",
        "consent",
        "emergency",
        "ledger",
        "peer",
        "parcels",
        "recovery-key",
        "backup",
        "restore",
        "recovery",
        "config",
        "store",
        "completions",
        "status",
    ];
    assert_eq!(verbs, promised);
}
