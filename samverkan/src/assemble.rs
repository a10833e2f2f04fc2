//! Putting a node together and running it: the one place that reads the clock and knows every part.
//!
//! The node, its store, its rules and its listeners are given to each other here and nowhere else, together with what
//! they may not have by themselves: time and randomness. Whatever is wrong is told before the first listener opens.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use format::id::ShortName;
use format::keys::{Seeds, SigningKeys};
use format::seal::OpeningKey;
use format::{OrgId, Timestamp};
use house::CedarRules;
use node::node::{Identity, Node};
use node::ports::{Entropy, Reader};
use node::vault::Vault;
use policy::house::{HouseRules, NoHouseRules};
use store::Sqlite;
use tokio::runtime::{Builder, Runtime};

use crate::config::Config;
use crate::failure::{Failure, Outcome};

/// The time.
pub(crate) fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is where the clock is read, for everything else to be given the time")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// 32 bytes from the operating system's source of randomness.
pub(crate) fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    OsEntropy.fill(&mut bytes);
    bytes
}

/// The operating system's source of randomness.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&mut self, bytes: &mut [u8; 32]) {
        if aws_lc_rs::rand::fill(bytes).is_err() {
            // WHY: without randomness no key, salt or nonce is safe, and there is nothing to go on with.
            tracing::error!("the operating system gives no randomness");
            std::process::abort();
        }
    }
}

/// Runs a verb of the command line, on this thread.
pub(crate) fn block_on(verb: impl Future<Output = Outcome>) -> Outcome {
    runtime(&mut Builder::new_current_thread())?.block_on(verb)
}

fn runtime(builder: &mut Builder) -> Outcome<Runtime> {
    builder.enable_all().build().map_err(|error| Failure::unreachable(format!("the operating system gives no thread or socket: {error}")))
}

/// The organisation's keys, from their seeds.
pub(crate) fn identity(org: &OrgId, short: &ShortName, seeds: &Seeds) -> Outcome<Identity> {
    let unusable = |fault| Failure::usage(format!("the organisation's keys cannot be used: {fault}"));
    Ok(Identity {
        short: short.clone(),
        keys: SigningKeys::new(org.clone(), seeds).map_err(unusable)?,
        opening: OpeningKey::new(&seeds.x_wing).map_err(unusable)?,
        vault: Vault::new(&seeds.storage),
    })
}

fn read_identity(config: &Config) -> Outcome<Identity> {
    let (Some(org), Some(short)) = (&config.node.organisation, &config.node.short) else {
        return Err(Failure::usage("the configuration does not say whose node it is"));
    };
    let bytes = read_secret(&config.node.keys_file)?;
    let seeds: Seeds = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::usage(format!("`{}` does not hold the seeds of a node's keys: {error}", config.node.keys_file.display())))?;
    identity(org, short, &seeds)
}

/// Reads a file of secrets, if nobody else can.
fn read_secret(path: &Path) -> Outcome<Vec<u8>> {
    let unreadable = |why: &dyn std::fmt::Display| Failure::usage(format!("`{}` cannot be used: {why}", path.display()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let mode = std::fs::metadata(path).map_err(|error| unreadable(&error))?.mode();
        if mode & 0o077 != 0 {
            return Err(unreadable(&format!("its rights are {:o}, and it holds a secret key", mode & 0o777)).remedy("Let only the node's user read it: chmod 600."));
        }
    }
    std::fs::read(path).map_err(|error| unreadable(&error))
}

/// The house rules that the store holds.
fn house_rules(text: &str) -> Result<Arc<dyn HouseRules + Send + Sync>, String> {
    if text.trim().is_empty() {
        return Ok(Arc::new(NoHouseRules));
    }
    CedarRules::parse(text).map(|rules| Arc::new(rules) as Arc<dyn HouseRules + Send + Sync>).map_err(|error| error.to_string())
}
