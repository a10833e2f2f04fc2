//! Rules about files: what they are called, how long they are, and what must not stand in them.

use super::{Faults, File, LONG_FILES, LONG_FUNCTIONS, Tree};
use crate::shell::root;

const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "manager", "helper", "helpers", "misc"];

// Written in two parts, so that these lines do not break the rules that they are for.
const LOOSE_ENDS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!("), concat!("dbg", "!("), concat!("unimpl", "emented!(")];
pub(super) const RAW_HTML: &[&str] = &[concat!("Html", "("), concat!("PreEsc", "aped"), concat!("|", "safe"), concat!("inner", "HTML")];
pub(super) const MACHINE_PATHS: &[&str] = &[concat!("/wor", "k/"), concat!("/tm", "p/"), concat!("/hom", "e/"), concat!("/roo", "t/")];

pub(super) fn small_policy(tree: &Tree) -> Faults {
    let sources = tree.ending(&[".rs"]).filter(|file| file.path.starts_with("policy/src/") && !file.path.ends_with("/tests.rs"));
    let lines: usize = sources.map(|file| file.text.lines().count()).sum();
    Ok((lines > 3000).then(|| format!("policy has {lines} lines")).into_iter().collect())
}

pub(super) fn named_paths(tree: &Tree) -> Faults {
    let page = tree.text("ARCHITECTURE.md").unwrap_or("`docs/ARCHITECTURE.md`");
    let linked = page.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let words = page.split('`').skip(1).step_by(2).chain(linked).map(|word| word.trim_end_matches('/'));
    let missing = words.filter(|word| is_path(word) && !root().join(word).exists() && tree.ending(&[&format!("/src/{word}")]).next().is_none());
    Ok(missing.map(|path| format!("{path} does not exist")).collect())
}

/// Whether a word is meant as a path, from the root or from a room's `src`: it begins with one of our folders, or ends like a file.
fn is_path(word: &str) -> bool {
    let plain = word.contains('/') && !word.starts_with('/') && word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    let ours = word.split('/').next().is_some_and(|first| root().join(first).is_dir());
    plain && (ours || [".rs", ".md", ".toml", ".sql"].iter().any(|ending| word.ends_with(ending)))
}

pub(super) fn protocol_pages(tree: &Tree) -> Faults {
    let index = tree.text("docs/protocol/README.md").unwrap_or_default();
    let pages = tree.ending(&[".md"]).filter_map(|file| file.path.strip_prefix("docs/protocol/"));
    Ok(pages.filter(|page| *page != "README.md" && !index.contains(&format!("({page}"))).map(|page| format!("no link leads to {page}")).collect())
}

pub(super) fn names(tree: &Tree) -> Faults {
    let files = tree.files.iter().filter(|file| file.path.split(['/', '.', '-', '_']).any(|word| EMPTY_NAMES.contains(&word)));
    let types = lines(tree, &[".rs"]).filter_map(|(file, number, line)| {
        let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
        let ("mod" | "struct" | "enum" | "trait" | "type") = words.next()? else { return None };
        let name = words.next()?.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        let empty = EMPTY_NAMES.iter().any(|word| name.starts_with(word) || name.ends_with(word));
        empty.then(|| format!("{}:{number}: {name}", file.path))
    });
    Ok(files.map(|file| file.path.clone()).chain(types).collect())
}

pub(super) fn loose_ends(tree: &Tree) -> Faults {
    let code = lines(tree, &[".rs"]).filter(|(_, _, line)| line.trim_start().strip_prefix("// ").is_some_and(is_code));
    let code = code.map(|(file, number, _)| format!("{}:{number}: code in a comment", file.path));
    Ok(containing(tree, &[".rs", ".sql", ".toml", ".js", ".css", ".html"], LOOSE_ENDS)?.into_iter().chain(code).collect())
}

fn is_code(comment: &str) -> bool {
    let begins = ["let ", "use ", "pub ", "fn ", "if let ", "return ", "assert", "#["].iter().any(|word| comment.starts_with(word));
    let ends = comment.ends_with([';', '{']) || comment.ends_with("),");
    comment == "}" || (begins && (ends || comment.contains(" = "))) || (ends && comment.contains(['(', '=']) && !comment.contains(". "))
}

pub(super) fn long_files(tree: &Tree) -> Faults {
    let found = tree.ending(&[".rs", ".js", ".css"]).map(|file| (file.path.clone(), file.text.lines().count()));
    Ok(ratchet(found, 700, LONG_FILES))
}

pub(super) fn long_functions(tree: &Tree) -> Faults {
    let found = tree.ending(&[".rs"]).flat_map(|file| functions(&file.text).map(|(name, length)| (format!("{}: {name}", file.path), length)));
    Ok(ratchet(found, 100, LONG_FUNCTIONS))
}

/// Each function with its lines; formatted code ends one with a brace as far in as its first line.
fn functions(text: &str) -> impl Iterator<Item = (&str, usize)> {
    text.lines().enumerate().filter_map(move |(start, line)| {
        let code = line.trim_start();
        let (before, after) = code.split_once("fn ").filter(|_| !code.ends_with([';', '}']))?;
        before.split_whitespace().all(|word| word.starts_with("pub") || ["const", "async", "in"].contains(&word)).then_some(())?;
        let end = format!("{}}}", line.strip_suffix(code)?);
        let length = text.lines().skip(start).position(|line| line == end)? + 1;
        Some((after.split(['(', '<']).next()?, length))
    })
}

/// Over the limit: what the list does not allow, and what it allows in vain.
fn ratchet(found: impl Iterator<Item = (String, usize)>, limit: usize, allowed: &[(&str, usize)]) -> Vec<String> {
    let over: Vec<(String, usize)> = found.filter(|(_, lines)| *lines > limit).collect();
    let new = over.iter().filter(|(name, lines)| !allowed.iter().any(|(known, most)| known == name && lines <= most));
    let stale = allowed.iter().filter(|(known, most)| !over.iter().any(|(name, lines)| name == known && lines >= most));
    let stale = stale.map(|(known, most)| format!("{known} is no longer {most} lines long: lower or remove its entry in xtask/src/tidy.rs"));
    new.map(|(name, lines)| format!("{name}: {lines} lines")).chain(stale).collect()
}

pub(super) fn containing(tree: &Tree, endings: &[&str], words: &[&str]) -> Faults {
    let found = lines(tree, endings).filter(|(_, _, line)| words.iter().any(|word| line.contains(word)));
    Ok(found.map(|(file, number, line)| format!("{}:{number}: {}", file.path, line.trim())).collect())
}

fn lines<'a>(tree: &'a Tree, endings: &'a [&str]) -> impl Iterator<Item = (&'a File, usize, &'a str)> {
    tree.ending(endings).flat_map(|file| file.text.lines().enumerate().map(move |(n, line)| (file, n + 1, line)))
}
