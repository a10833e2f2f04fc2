//! The file of an organisation's secret keys: what signs and opens now, what was made to follow, and what was before.
//!
//! A node that never changed its keys has the seeds alone in its file. Keys change in three steps, so that at no time a peer
//! meets a signature that it cannot verify or a node a parcel that it cannot open: new ones are prepared, the card that
//! names them goes to every peer, and when all have it they take over. The invariant: the file is whole, readable by its
//! owner alone, and no key that a parcel may be sealed to is missing in it.

use std::path::{Path, PathBuf};

use format::OrgId;
use format::id::ShortName;
use format::keys::{Seeds, SigningKeys};
use format::seal::OpeningKey;
use node::node::Identity;
use node::vault::Vault;
use serde::{Deserialize, Serialize};

use crate::assemble::{self, OsEntropy};
use crate::failure::{Failure, Outcome};
use crate::founding;

/// How many keys from before are kept, to open what is still on its way.
const KEPT: usize = 2;

/// What the file holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Held {
    /// Keys that never changed.
    Once(Seeds),
    /// Keys that change, or did.
    Changing(Changing),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Changing {
    now: Seeds,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Seeds>,
    /// Newest first.
    #[serde(default)]
    before: Vec<Seeds>,
}

/// The file of secret keys.
#[derive(Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
    held: Changing,
}

impl KeyFile {
    /// Reads the file, if nobody else can.
    pub(crate) fn read(path: &Path) -> Outcome<Self> {
        let bytes = assemble::read_secret(path)?;
        let held = serde_json::from_slice(&bytes)
            .map_err(|_| Failure::usage(format!("`{}` does not hold the seeds of a node's keys", path.display())).remedy("Restore the file from a backup."))?;
        let held = match held {
            Held::Once(now) => Changing { now, next: None, before: Vec::new() },
            Held::Changing(changing) => changing,
        };
        Ok(Self { path: path.to_owned(), held })
    }

    /// The organisation with these keys.
    pub(crate) fn identity(&self, org: &OrgId, short: &ShortName) -> Outcome<Identity> {
        let Changing { now, next, before } = &self.held;
        let opening = |seeds: &Seeds| OpeningKey::new(&seeds.x_wing).map_err(unusable);
        let further = next.iter().chain(before).map(opening).collect::<Outcome<_>>()?;
        let next = next.as_ref().map(|seeds| SigningKeys::new(org.clone(), seeds).map_err(unusable)).transpose()?;
        Ok(Identity { next, further, ..identity(org, short, now)? })
    }

    /// Makes the keys that will follow, and gives them. The key of the store stays: everything in it would have to be
    /// encrypted anew.
    pub(crate) fn prepare(&mut self, org: &OrgId) -> Outcome<SigningKeys> {
        use node::ports::Entropy as _;
        if self.held.next.is_some() {
            return Err(Failure::refused("new keys are prepared already").remedy("Go on with `samverkan card renew --new-keys`."));
        }
        let mut next = Seeds::generate(|bytes| OsEntropy.fill(bytes));
        next.storage = self.held.now.storage;
        let keys = SigningKeys::new(org.clone(), &next).map_err(unusable)?;
        self.held.next = Some(next);
        self.write()?;
        Ok(keys)
    }

    /// The keys that will follow.
    pub(crate) fn next(&self, org: &OrgId) -> Outcome<SigningKeys> {
        let next = self.held.next.as_ref().ok_or_else(|| Failure::refused("no new keys are prepared").remedy("Prepare them: `samverkan keys prepare`."))?;
        SigningKeys::new(org.clone(), next).map_err(unusable)
    }

    /// Lets the new keys take over from the next start on. Those before still open what is on its way.
    pub(crate) fn switch(&mut self) -> Outcome {
        if let Some(next) = self.held.next.take() {
            let before = std::mem::replace(&mut self.held.now, next);
            self.held.before.insert(0, before);
            self.held.before.truncate(KEPT);
            self.write()?;
        }
        Ok(())
    }

    /// Writes a file beside it, and gives it its name when it is whole and on the disk.
    fn write(&self) -> Outcome {
        let unwritable = |error: std::io::Error| Failure::usage(format!("`{}` cannot be written: {error}", self.path.display()));
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let name = Path::new("keys.new");
        let whole = folder.join(name);
        // One that was left by a command that was broken off.
        _ = std::fs::remove_file(&whole);
        let bytes = serde_json::to_vec(&Held::Changing(self.held.clone())).map_err(|error| unwritable(error.into()))?;
        founding::write(folder, name, &bytes)?;
        std::fs::rename(&whole, &self.path).and_then(|()| std::fs::File::open(folder)?.sync_all()).map_err(unwritable)
    }
}

/// An organisation whose keys have not changed.
pub(crate) fn identity(org: &OrgId, short: &ShortName, seeds: &Seeds) -> Outcome<Identity> {
    Ok(Identity {
        short: short.clone(),
        keys: SigningKeys::new(org.clone(), seeds).map_err(unusable)?,
        opening: OpeningKey::new(&seeds.x_wing).map_err(unusable)?,
        next: None,
        further: Vec::new(),
        vault: Vault::new(&seeds.storage),
    })
}

fn unusable(fault: format::keys::KeyFault) -> Failure {
    Failure::usage(format!("the organisation's keys cannot be used: {fault}"))
}
