//! Peers: how exchange with each goes, and letting it go on after a person has looked.

use std::collections::BTreeMap;

use format::{Digest, OrgId};
use node::Command;
use node::ports::Reader;
use node::recovery::pending_recovery;
use node::rows::PeerRow;

use super::input::{Json, Told};
use super::reply::{Done, View};
use crate::access::{Desk, Org};
use crate::problem::Problem;
use crate::view::peer::{PeerView, Peers, Resumption};
use crate::view::recovery::{ComparedRecovery, PendingRecovery};

impl Told for Resumption {}
impl Told for ComparedRecovery {}

pub(super) async fn list(desk: Desk, (): ()) -> Result<View<Peers>, Problem> {
    let (directory, me) = (desk.directory(), desk.identity().org());
    let others: Vec<OrgId> = directory.cards().map(|pinned| pinned.card.org.clone()).filter(|org| org != me).collect();
    let rows = desk.read(move |reader| {
        let known = states(reader)?;
        let row = |org: OrgId| {
            let row = known.get(&org).cloned();
            let pending = row.as_ref().map(|row| pending(reader, row)).transpose()?.flatten();
            Ok((reader.outgoing_count(&org)?, row, pending, org))
        };
        others.into_iter().map(row).collect::<Result<Vec<_>, _>>()
    });
    let health = desk.peer_health();
    let peers = rows.await?.into_iter().map(|(waiting, row, pending, org)| PeerView::of(&org, row.as_ref(), waiting, health.get(&org), pending));
    Ok(View(Peers { peers: peers.collect() }))
}

pub(super) async fn resume(mut desk: Desk<Org>, Json(body): Json<Resumption>) -> Result<Done, Problem> {
    let peer = desk.subject().0.card.org.clone();
    desk.execute(Command::Resume { peer, from: body.from }).await?;
    Ok(Done)
}

pub(super) async fn accept(mut desk: Desk<Org>, Json(body): Json<ComparedRecovery>) -> Result<Done, Problem> {
    let peer = desk.subject().0.card.org.clone();
    let recovery: Digest = body.recovery.parse().map_err(|fault| Problem::invalid("recovery", fault))?;
    desk.execute(Command::AcceptRecovery { peer, recovery }).await?;
    Ok(Done)
}

/// A peer's latest recovery, if it waits for a person here.
fn pending(reader: &dyn Reader, row: &PeerRow) -> node::ports::StoreResult<Option<PendingRecovery>> {
    Ok(pending_recovery(reader, row)?.map(|(digest, recovery)| PendingRecovery::of(row, digest, &recovery)))
}

/// The state of exchange with each peer.
pub(super) fn states(reader: &dyn Reader) -> node::ports::StoreResult<BTreeMap<OrgId, PeerRow>> {
    Ok(reader.opening()?.peers.into_iter().map(|row| (row.org.clone(), row)).collect())
}
