//! `keys`: an organisation changes its keys, and no peer has to compare anything.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Context, card};
use crate::answer::Answer as _;
use crate::config::Config;
use crate::failure::{Failure, Outcome};
use crate::keys::KeyFile;
use crate::print::{groups, line};

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  samverkan keys prepare --data sapo                    make new keys; they sign nothing yet
  samverkan card renew --new-keys --data sapo --as ada  tell every peer, in the word of the old keys
  samverkan keys switch --data sapo --as lena           once every peer has the card

In this order, and the node is started again after the first and after the last.

Was a key stolen? Then do not change it: `samverkan card revoke`.")]
pub(super) enum Keys {
    /// Make the keys that will follow, in the node's file of keys; start the node again afterwards
    Prepare,
    /// Let the new keys sign from the next start on, once every peer has the card that names them
    Switch(Switch),
}

#[derive(Debug, Args)]
pub(super) struct Switch {
    /// Do not wait for this peer, which then has to import the new card by hand; may be given several times
    #[arg(long, value_name = "ORG")]
    without: Vec<String>,
}

pub(super) fn prepare(context: &Context) -> Outcome {
    let config = Config::load(context.data()?)?;
    let org = config.node.organisation.as_ref().ok_or_else(|| Failure::usage("the configuration does not say whose node it is"))?;
    let fingerprint = KeyFile::read(&config.node.keys_file)?.prepare(org)?.public().fingerprint();
    context.printer.answer(&json!({ "organisation": org, "fingerprint": fingerprint }), || {
        line(&format!("New keys of {org} are prepared. Their fingerprint:"));
        groups(&fingerprint.to_string()).iter().for_each(|row| line(&format!("  {row}")));
        line("\nNext: start the node again, make a backup, and run `samverkan card renew --new-keys`.");
    });
    Ok(())
}

pub(super) async fn run(context: &Context, verb: Keys) -> Outcome {
    let Keys::Switch(verb) = verb else { return prepare(context) };
    let config = Config::load(context.data()?)?;
    let org = config.node.organisation.as_ref().ok_or_else(|| Failure::usage("the configuration does not say whose node it is"))?;
    let mut file = KeyFile::read(&config.node.keys_file)?;
    let fingerprint = file.next(org)?.public().fingerprint().to_string();
    let client = context.client()?;
    if card::held(&client, org).await? != fingerprint {
        return Err(Failure::refused("no card names the new keys yet").remedy("Make it: `samverkan card renew --new-keys`."));
    }
    let peers = client.get(&["peers"]).send().await?;
    let behind = |peer: &&serde_json::Value| {
        let waits = peer.text("/waiting") != "0" || peer.text("/sent") != peer.text("/acknowledged");
        waits && !verb.without.contains(&peer.text("/org"))
    };
    let behind: Vec<String> = peers.items("/peers").iter().filter(behind).map(|peer| peer.text("/org")).collect();
    if !behind.is_empty() {
        return Err(Failure::refused("some peers may not have the new card yet").details(behind).remedy(
            "Wait until `samverkan peer list` shows that nothing waits for them and everything has its receipt, or leave one out with \
             --without ORG: it refuses what this node signs until it has imported the new card and compared its fingerprint.",
        ));
    }
    file.switch()?;
    context.printer.answer(&json!({ "organisation": org, "fingerprint": fingerprint, "without": verb.without }), || {
        line(&format!("The new keys of {org} sign from the next start on. Start the node again now, and make a backup."));
    });
    Ok(())
}
