//! `demo`: the example federation on this machine, and the story of one report.
//!
//! Each organisation has a process of its own, and everything goes the way it goes in earnest: over REST for members,
//! over mutual TLS between nodes. The first start founds the nodes, compares fingerprints, agrees and tells the story;
//! a second start finds everything as it was. Nothing here is used by a node in service.

mod example;
mod nodes;
mod story;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use format::OrgId;
use format::agreement::Agreement;
use serde_json::json;

use crate::answer::Answer as _;
use crate::assemble;
use crate::failure::{Failure, Outcome};
use example::Example;
use nodes::{ADMINISTRATOR, Kept, Running};

/// How long the demonstration waits for something that should happen at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Starts the example federation on this machine, one process a node, and tells the story of one report: drafted,
/// approved by a second person, released, refused to one, passed on with consent, corrected, recalled and proven.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samverkan demo                       five nodes; Ctrl-C stops them, and a second start finds everything as it was
  samverkan demo --nodes all           every organisation of the example federation
  samverkan demo --once                play the story, check each step, stop; exit code 0 only if all held")]
pub(crate) struct Demo {
    /// Play the whole story without a person, check each step, and stop
    #[arg(long)]
    once: bool,
    /// How many nodes, or `all`; at least five
    #[arg(long, value_name = "N|all", default_value = "5")]
    nodes: Count,
    /// Folder for the nodes' data
    #[arg(long = "folder", value_name = "DIR", default_value = "demo-data")]
    folder: PathBuf,
    /// STIX 2.1 bundle to attach to the report; a made-up one when absent
    #[arg(long, value_name = "FILE")]
    stix: Option<PathBuf>,
}

/// How many nodes to start.
#[derive(Debug, Clone, Copy)]
enum Count {
    Some(usize),
    All,
}

impl std::str::FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            number => match number.parse() {
                Ok(count) if count >= 5 => Ok(Self::Some(count)),
                _ => Err("it is a number from 5 on, or `all`: the story needs five organisations".to_owned()),
            },
        }
    }
}

/// Says what happens, to whoever watches.
pub(crate) fn say(words: &str) {
    println!("{words}");
}

pub(crate) fn run(demo: &Demo) -> Outcome {
    assemble::block_on(async {
        let folder = if demo.once && !demo.folder.exists() { Folder::passing(&demo.folder)? } else { Folder::lasting(&demo.folder)? };
        let mut federation = Federation::start(&folder.path, demo).await?;
        let told = tokio::select! {
            told = federation.play(demo) => told,
            stop = stopped() => stop,
        };
        federation.stop().await;
        told
    })
}

/// Ctrl-C, or a request to stop.
async fn stopped() -> Outcome {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(|error| Failure::unreachable(format!("the operating system gives no signals: {error}")))?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// The nodes' folder; gone afterwards when it was made for one play.
struct Folder {
    path: PathBuf,
    passing: bool,
}

impl Folder {
    fn lasting(path: &Path) -> Outcome<Self> {
        std::fs::create_dir_all(path).map_err(|error| Failure::usage(format!("`{}` cannot be made: {error}", path.display())))?;
        Ok(Self { path: path.to_owned(), passing: false })
    }

    fn passing(path: &Path) -> Outcome<Self> {
        let mut folder = Self::lasting(path)?;
        folder.passing = true;
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.passing {
            _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// The running federation.
struct Federation {
    folder: PathBuf,
    example: Example,
    kept: Kept,
    nodes: Vec<Running>,
    fresh: bool,
}

impl Federation {
    async fn start(folder: &Path, demo: &Demo) -> Outcome<Self> {
        let example = Example::shipped()?;
        let before = Kept::load(folder)?;
        let fresh = before.is_none();
        let mut kept = before.unwrap_or_default();
        let orgs: Vec<OrgId> = if fresh {
            let count = match demo.nodes {
                Count::Some(count) => count,
                Count::All => usize::MAX,
            };
            let chosen = example.first(count);
            say(&format!("Founding {} nodes in {}: each gets its own keys, certificates, store and ports.", chosen.len(), folder.display()));
            let now = assemble::now();
            for organisation in &chosen {
                nodes::found_node(folder, organisation, &mut kept, now)?;
            }
            chosen.into_iter().map(|organisation| organisation.id).collect()
        } else {
            say(&format!("Starting the {} nodes that are in {}.", kept.fingerprints.len(), folder.display()));
            let all = example.first(usize::MAX);
            all.into_iter().map(|organisation| organisation.id).filter(|org| kept.fingerprints.contains_key(org)).collect()
        };
        let mut nodes = Vec::with_capacity(orgs.len());
        for org in &orgs {
            nodes.push(Running::start(folder, org)?);
        }
        for node in &mut nodes {
            node.ready().await?;
        }
        Ok(Self { folder: folder.to_owned(), example, kept, nodes, fresh })
    }

    async fn play(&mut self, demo: &Demo) -> Outcome {
        if self.fresh {
            self.meet().await?;
            self.agree().await?;
            self.kept.save(&self.folder)?;
        } else {
            self.log_in(&["anna", "lena", "siri", "rolf", "osk"]).await?;
        }
        let number = match self.kept.story.clone() {
            Some(number) => {
                story::again(self, &number).await?;
                number
            }
            None => story::tell(self, demo.stix.as_deref()).await?,
        };
        self.kept.story = Some(number);
        self.kept.save(&self.folder)?;
        if demo.once {
            say("\nEvery step held.");
            return Ok(());
        }
        self.show_log_ins();
        std::future::pending().await
    }

    /// Everyone gets everyone's card, and compares its fingerprint.
    async fn meet(&mut self) -> Outcome {
        say("Members are added, and every organisation imports every other's card after its fingerprint was compared.");
        self.log_in(&[ADMINISTRATOR]).await?;
        let mut cards = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            node.add_members(&mut self.kept).await?;
            let org = node.org.as_str();
            cards.push((node.org.clone(), node.by(ADMINISTRATOR)?.get(&["organisations", org, "card"]).bytes().await?));
        }
        for node in &self.nodes {
            for (org, card) in cards.iter().filter(|(org, _)| *org != node.org) {
                let fingerprint = self.kept.fingerprints.get(org).ok_or_else(|| Failure::usage(format!("the fingerprint of {org} is not kept")))?;
                let call = node.by(ADMINISTRATOR)?.post(&["organisations"]).query("fingerprint", fingerprint);
                call.body("application/cose", card.clone()).send().await?;
            }
        }
        self.log_in(&["anna", "lena", "siri", "rolf", "osk"]).await
    }

    async fn log_in(&mut self, members: &[&str]) -> Outcome {
        for node in &mut self.nodes {
            for member in members {
                let password = self.kept.passwords.get(&node.org).and_then(|all| all.get(*member));
                let password = password.ok_or_else(|| Failure::usage(format!("no password of {member} at {} is kept", node.org)))?;
                node.log_in(member, password).await?;
            }
        }
        Ok(())
    }

    /// The agreements of the example federation are put forward and signed, as far as their parties run here.
    async fn agree(&self) -> Outcome {
        let present: BTreeSet<OrgId> = self.nodes.iter().map(|node| node.org.clone()).collect();
        let agreements = self.example.agreements(&present, assemble::now())?;
        say(&format!(
            "{} agreements are put forward and signed by their parties among these organisations (data of {}).",
            agreements.len(),
            self.example.as_of
        ));
        for agreement in &agreements {
            self.node(&agreement.proposed_by)?.by("lena")?.post(&["agreements"]).json(agreement).send().await?;
        }
        for agreement in &agreements {
            self.sign(agreement).await?;
        }
        for agreement in &agreements {
            for party in &agreement.parties {
                self.in_force(agreement, &party.org).await?;
            }
        }
        Ok(())
    }

    async fn sign(&self, agreement: &Agreement) -> Outcome {
        let (id, version) = (agreement.id.as_str(), agreement.version);
        for party in agreement.parties.iter().filter(|party| party.org != agreement.proposed_by) {
            let officer = self.node(&party.org)?.by("rolf")?;
            wait_for(&format!("{id} to reach {}", party.org), || async { Ok(officer.get(&["agreements", id]).send().await.is_ok()) }).await?;
            officer.post(&["agreements", id, "signatures"]).json(&json!({ "version": version })).send().await?;
        }
        Ok(())
    }

    async fn in_force(&self, agreement: &Agreement, at: &OrgId) -> Outcome {
        let officer = self.node(at)?.by("rolf")?;
        let id = agreement.id.as_str();
        wait_for(&format!("{id} to be in force at {at}"), || async {
            let shown = officer.get(&["agreements", id]).send().await?;
            // One that begins later, or whose only parties here have left, is signed and waits or is over.
            Ok(!shown.text("/standing/state").starts_with("proposed") && shown.items("/standing/missing").is_empty())
        })
        .await
    }

    fn node(&self, org: &OrgId) -> Outcome<&Running> {
        self.nodes.iter().find(|node| node.org == *org).ok_or_else(|| Failure::usage(format!("{org} does not run in this demonstration")))
    }

    fn show_log_ins(&self) {
        say("\nThe nodes run until you press Ctrl-C. Addresses, folders and log-ins:");
        for node in &self.nodes {
            let passwords = self.kept.passwords.get(&node.org);
            say(&format!("\n  {}  {}  --data {}", node.org, node.address(), self.folder.join(node.org.as_str()).display()));
            for (member, password) in passwords.into_iter().flatten() {
                let roles = nodes::MEMBERS.iter().find(|(id, ..)| id == member).map_or("administrator".to_owned(), |(_, _, roles)| roles.join(", "));
                say(&format!("    {member:<6} {password:<28} {roles}"));
            }
        }
        say(&format!("\nTry: samverkan login --data {}/se-sapo --as anna", self.folder.display()));
    }

    async fn stop(&mut self) {
        say("Stopping the nodes.");
        for node in &self.nodes {
            node.ask_to_stop();
        }
        for node in &mut self.nodes {
            node.stopped().await;
        }
    }
}

/// Asks again and again, for a bounded time, until something is so.
pub(crate) async fn wait_for<F: Future<Output = Outcome<bool>>>(what: &str, mut so: impl FnMut() -> F) -> Outcome {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !so().await? {
        if tokio::time::Instant::now() > deadline {
            return Err(Failure::unreachable(format!("waited {} seconds for {what}", PATIENCE.as_secs())));
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    Ok(())
}
