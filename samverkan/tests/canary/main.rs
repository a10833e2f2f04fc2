//! What a thief finds: every kind of secret, looked for in everything that three nodes leave behind after the main job.
//!
//! The nodes are real processes. Each secret is a random value that occurs nowhere else; the table of
//! `docs/assurance/canaries.md` says where it may be found, and anything else fails. That the search finds what is there
//! is proven by planted values, and that there was something to find by what readers get.

mod chest;
mod journey;
#[path = "../pair/mod.rs"]
mod pair;
mod search;
mod table;
mod tap;

use std::fs;
use std::path::Path;
use std::time::Duration;

use chest::Chest;
use journey::Journey;
use pair::Outcome;
use search::Needles;
use table::{Place, Table};

/// The whole of it has to be over by then.
const PATIENCE: Duration = Duration::from_secs(240);

/// Something that a thief, a colleague or a partner could look through.
struct Find {
    name: String,
    /// Whose node it is of.
    org: &'static str,
    place: Place,
    /// From after the recall.
    late: bool,
    bytes: Vec<u8>,
}

impl Find {
    fn elsewhere(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), org: "", place: Place::Elsewhere, late: false, bytes }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thief_finds_nothing_that_the_table_does_not_permit() -> Outcome {
    tokio::time::timeout(PATIENCE, job()).await?
}

async fn job() -> Outcome {
    let folder = tempfile::tempdir()?;
    let table = Table::read()?;
    let mut journey = Journey::begin(folder.path()).await?;
    journey.work().await?;
    let (finds, chest) = journey.end().await?;

    let untold: Vec<&str> = chest.secrets.iter().map(|secret| secret.name).filter(|name| !table.secrets().any(|known| known == *name)).collect();
    assert!(untold.is_empty(), "docs/assurance/canaries.md has no row for {untold:?}");
    let unused: Vec<&str> = table.secrets().filter(|name| !chest.secrets.iter().any(|secret| secret.name == *name)).collect();
    assert!(unused.is_empty(), "nothing plays {unused:?} of docs/assurance/canaries.md");

    let faults = look(&table, &chest, &finds);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    let missing = missing(&table, &chest, &finds);
    assert!(missing.is_empty(), "what readers should get they did not get, so nothing is proven:\n{}", missing.join("\n"));
    planted(&table, &chest, folder.path())
}

/// Each secret that is where it may not be.
fn look(table: &Table, chest: &Chest, finds: &[Find]) -> Vec<String> {
    let mut faults = Vec::new();
    for secret in &chest.secrets {
        let needles = Needles::of(&secret.value);
        for find in finds {
            let there = table.permits(secret.name, &find.place) && secret.may_be_at(find.org, find.late);
            if !there && let Some(form) = needles.found_in(&find.bytes) {
                faults.push(format!("`{}` is in {} ({form})", secret.name, find.name));
            }
        }
    }
    faults
}

/// Each secret that a reader should have got, and did not.
fn missing(table: &Table, chest: &Chest, finds: &[Find]) -> Vec<String> {
    let readable = chest.secrets.iter().filter(|secret| table.permits(secret.name, &Place::Answers));
    let pairs = readable.flat_map(|secret| secret.holders.iter().map(move |org| (secret, *org)));
    let got = |secret: &chest::Secret, org: &str| {
        let needles = Needles::of(&secret.value);
        finds.iter().any(|find| find.place == Place::Answers && find.org == org && needles.found_in(&find.bytes).is_some())
    };
    pairs.filter(|(secret, org)| !got(secret, org)).map(|(secret, org)| format!("`{}` at {org}", secret.name)).collect()
}

/// A leak in each form, in a file among others, is found.
fn planted(table: &Table, chest: &Chest, folder: &Path) -> Outcome {
    search::prove()?;
    let path = folder.join("planted");
    for secret in &chest.secrets {
        use base64::Engine as _;
        let leak = base64::engine::general_purpose::STANDARD.encode([b"leak ".as_slice(), &secret.value, b" leak"].concat());
        fs::write(&path, format!("{}{leak}\n", "nothing to see\n".repeat(1000)))?;
        let faults = look(table, chest, &[Find::elsewhere("a planted file", fs::read(&path)?)]);
        assert!(faults.iter().any(|fault| fault.starts_with(&format!("`{}`", secret.name))), "a planted `{}` was not found", secret.name);
    }
    Ok(())
}
