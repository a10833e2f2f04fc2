//! Rules about crates: who may depend on whom, and what a manifest says.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Faults, Tree};
use crate::shell::{line, output};

/// The rooms, what each is built on, and what its tests may use besides.
const EDGES: &[(&str, &[&str], &[&str])] = &[
    ("format", &[], &[]),
    ("policy", &["format"], &[]),
    ("house", &["format", "policy"], &[]),
    ("node", &["format", "policy"], &["store"]),
    ("store", &["format", "node", "policy"], &[]),
    ("http", &["format", "node", "policy"], &["house", "store", "testkit"]),
    ("place", &["format", "node"], &[]),
    ("mailbox", &["format", "node", "place"], &["store", "testkit"]),
    ("samverkan", &["format", "house", "http", "mailbox", "node", "place", "policy", "store"], &[]),
    ("testkit", &["format", "node", "policy", "store"], &["disk", "house"]),
    ("disk", &[], &[]),
    ("fuzz", &["format", "node", "policy"], &[]),
    ("xtask", &[], &[]),
];

/// What the pure rooms never depend on, through however many others.
const OUTSIDE: &[&str] = &["axum", "hyper", "mio", "openssl", "reqwest", "rusqlite", "rustls", "tokio", "tokio-postgres"];

/// The one manifest that does not forbid `unsafe`: its crate is called by SQLite, and by no product crate.
const UNSAFE: &str = "disk/Cargo.toml";

const REASONS: &str = "docs/decisions/0006-dependencies.md";

pub(super) fn edges(tree: &Tree) -> Faults {
    let mut faults = Vec::new();
    for package in &tree.packages {
        let name = package.get("name").and_then(Value::as_str).unwrap_or_default().trim_start_matches("samverkan-");
        let (built_on, tests_use) = EDGES.iter().find(|(room, _, _)| *room == name).map_or((&[] as &[_], &[] as &[_]), |(_, on, tests)| (*on, *tests));
        let rooms = |tests: bool| dependencies_of(package).filter(move |d| d.get("path").is_some() && d.get("kind").is_some_and(Value::is_string) == tests);
        let found: BTreeSet<&str> = rooms(false).filter_map(called).collect();
        if found != built_on.iter().copied().collect() {
            faults.push(format!("{name} is built on {found:?}, and by the table in xtask/src/tidy/crates.rs on {built_on:?}"));
        }
        let allowed = |room: &&str| built_on.contains(room) || tests_use.contains(room);
        faults.extend(rooms(true).filter_map(called).filter(|room| !allowed(room)).map(|room| format!("the tests of {name} use {room}")));
    }
    Ok(faults)
}

pub(super) fn pure_core(_: &Tree) -> Faults {
    let mut faults = Vec::new();
    for room in ["format", "policy", "node"] {
        let listed = output(&mut line(&format!("cargo tree --locked -p samverkan-{room} -e normal,build --prefix none --target all")))?;
        let names: BTreeSet<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
        faults.extend(OUTSIDE.iter().filter(|name| names.contains(**name)).map(|name| format!("{room} depends on {name}")));
    }
    Ok(faults)
}

pub(super) fn planted(_: &Tree) -> Faults {
    let listed = output(&mut line("cargo tree --locked -p samverkan -e features,no-dev --prefix none"))?;
    Ok(listed.lines().filter(|line| line.contains("feature \"planted\"")).map(str::to_owned).collect())
}

pub(super) fn manifests(tree: &Tree) -> Faults {
    let mut faults = Vec::new();
    for manifest in tree.ending(&["Cargo.toml"]) {
        let room: &[&str] = &["license.workspace = true", "[lints]\nworkspace = true"];
        let alone = manifest.path == "Cargo.toml" || manifest.path.starts_with("fuzz/");
        let lints: &[&str] = &["license.workspace = true", "unsafe_code = \"deny\""];
        let missing = if alone {
            &["license = \"EUPL-1.2\""]
        } else if manifest.path == UNSAFE {
            lints
        } else {
            room
        }
        .iter()
        .filter(|words| !manifest.text.contains(**words));
        faults.extend(missing.map(|words| format!("{} does not say {words:?}", manifest.path)));
    }
    Ok(faults)
}

pub(super) fn dependencies(tree: &Tree) -> Faults {
    let page = tree.text(REASONS).unwrap_or_default();
    let told: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let outside = tree.packages.iter().flat_map(dependencies_of).filter(|d| d.get("path").is_none());
    let used: BTreeSet<&str> = outside.filter_map(|d| d.get("name")?.as_str()).collect();
    let untold = used.difference(&told).map(|name| format!("{name} has no row in {REASONS}"));
    let unused = told.difference(&used).map(|name| format!("{name} has a row in {REASONS}, and no crate uses it"));
    Ok(untold.chain(unused).collect())
}

fn dependencies_of(package: &Value) -> impl Iterator<Item = &Value> {
    package.get("dependencies").and_then(Value::as_array).into_iter().flatten()
}

/// What a package calls one of our rooms.
fn called(dependency: &Value) -> Option<&str> {
    dependency.get("rename")?.as_str()
}
