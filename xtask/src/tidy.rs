//! House rules that no compiler checks. Each is one function with its reason, and answers with what breaks it.
//!
//! A rule reads the tree as it lies on disk. Some know a limit with exceptions: [`LONG_FILES`] and [`LONG_FUNCTIONS`]
//! list them, and the lists may only shrink.

mod crates;
mod text;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell::{line, output, root};

/// What breaks a rule, one line each.
type Faults = Result<Vec<String>>;

/// A rule: its name, its reason, and the check.
struct Rule(&'static str, &'static str, fn(&Tree) -> Faults);

const RULES: &[Rule] = &[
    Rule("crate edges", "the house has one direction, and a new edge is a decision", crates::edges),
    Rule("pure core", "format, policy and node run in a simulator: no runtime, socket, database or TLS", crates::pure_core),
    Rule("manifests", "one licence and one set of lints for everything", crates::manifests),
    Rule("dependencies", "each direct dependency has its reason written down, and no reason outlives it", crates::dependencies),
    Rule("planted bugs", "the product is built without the feature that can switch faults on", crates::planted),
    Rule("small policy", "the rules can be read in a day: at most 3,000 lines", text::small_policy),
    Rule("named paths", "ARCHITECTURE.md leads to places that exist", text::named_paths),
    Rule("protocol pages", "each page in docs/protocol is found from its README", text::protocol_pages),
    Rule("names", "a name that says nothing hides what belongs together", text::names),
    Rule("loose ends", "what is left to do belongs in the tracker, and old code in the history", text::loose_ends),
    Rule("raw HTML", "no page is put together from strings", |tree| text::containing(tree, &[".rs", ".js", ".html"], text::RAW_HTML)),
    Rule("machine paths", "a path of one machine works on no other", |tree| text::containing(tree, &[""], text::MACHINE_PATHS)),
    Rule("long files", "a file of more than 700 lines tells two stories", text::long_files),
    Rule("long functions", "a function of more than 100 lines cannot be held in mind", text::long_functions),
];

/// Files that are longer, with their lines.
const LONG_FILES: &[(&str, usize)] = &[];
/// Functions that are longer, with their lines.
const LONG_FUNCTIONS: &[(&str, usize)] = &[("policy/src/reason/sentences.rs: texts", 210)];

/// Folders that are built or run, not written.
const NOT_OURS: &[&str] = &[".git", "target", "artifacts", "demo-data", "node_modules"];

struct File {
    /// Path from the root.
    path: String,
    text: String,
}

struct Tree {
    files: Vec<File>,
    /// What cargo says of each crate, that of the fuzz targets included.
    packages: Vec<Value>,
}

pub(crate) fn run() -> Result<()> {
    let mut tree = Tree { files: Vec::new(), packages: Vec::new() };
    tree.walk(root(), "")?;
    tree.files.sort_by(|a, b| a.path.cmp(&b.path));
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        let metadata = output(&mut line(&format!("cargo metadata --format-version 1 --no-deps --manifest-path {manifest}")))?;
        let metadata: Value = serde_json::from_str(&metadata).context("what cargo says is not JSON")?;
        tree.packages.extend(metadata.get("packages").and_then(Value::as_array).cloned().context("cargo names no packages")?);
    }
    let mut broken = 0;
    for Rule(name, reason, check) in RULES {
        let faults = check(&tree)?;
        if !faults.is_empty() {
            broken += 1;
            println!("{name}: {reason}\n    {}", faults.join("\n    "));
        }
    }
    if broken > 0 {
        bail!("{broken} of {} rules are broken", RULES.len());
    }
    println!("{} rules hold in {} files", RULES.len(), tree.files.len());
    Ok(())
}

impl Tree {
    fn walk(&mut self, folder: &Path, under: &str) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{under}{name}");
            if NOT_OURS.contains(&name.as_str()) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                self.walk(&entry.path(), &format!("{path}/"))?;
            } else if let Ok(text) = fs::read_to_string(entry.path()) {
                self.files.push(File { path, text });
            }
        }
        Ok(())
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    fn ending<'a>(&'a self, endings: &'a [&str]) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(|file| endings.iter().any(|ending| file.path.ends_with(ending)))
    }
}
