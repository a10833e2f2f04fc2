//! Recovery: how this node stands after it was restored from a backup, its approval, and the note that one is made.

use std::collections::BTreeMap;

use format::{Digest, OrgId};
use node::Command;
use node::recovery::last_account;

use super::input::{Json, Told};
use super::reply::{Done, View};
use crate::access::Desk;
use crate::problem::Problem;
use crate::view::recovery::{BackupKey, RecoveryView};

impl Told for BackupKey {}

pub(super) async fn show(desk: Desk, (): ()) -> Result<View<RecoveryView>, Problem> {
    let (recovery, peers, heard) = desk
        .read(|reader| {
            let opening = reader.opening()?;
            let mut heard = BTreeMap::new();
            for peer in &opening.peers {
                if let Some(recovery) = &opening.recovery {
                    heard.insert(peer.org.clone(), last_account(reader, &peer.org, recovery)?);
                }
            }
            Ok((opening.recovery, opening.peers, heard))
        })
        .await?;
    Ok(View(RecoveryView::of(recovery.as_ref(), &peers, |org: &OrgId| heard.get(org).cloned().flatten())))
}

pub(super) async fn approve(mut desk: Desk, (): ()) -> Result<Done, Problem> {
    desk.execute(Command::ApproveRecovery).await?;
    Ok(Done)
}

pub(super) async fn back_up(mut desk: Desk, Json(body): Json<BackupKey>) -> Result<Done, Problem> {
    let key: Digest = body.key.parse().map_err(|fault| Problem::invalid("key", fault))?;
    desk.execute(Command::BackUp { key }).await?;
    Ok(Done)
}
