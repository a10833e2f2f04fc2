//! Peers: how exchange with each goes, and letting it go on after a person has looked.

use std::collections::BTreeMap;

use format::OrgId;
use node::Command;
use node::ports::Reader;
use node::rows::PeerRow;

use super::input::{Json, Told};
use super::reply::{Done, View};
use crate::access::{Desk, Org};
use crate::problem::Problem;
use crate::view::peer::{PeerView, Peers, Resumption};

impl Told for Resumption {}

pub(super) async fn list(desk: Desk, (): ()) -> Result<View<Peers>, Problem> {
    let (directory, me) = (desk.directory(), desk.identity().org());
    let others: Vec<OrgId> = directory.cards().map(|pinned| pinned.card.org.clone()).filter(|org| org != me).collect();
    let rows = desk.read(move |reader| {
        let known = states(reader)?;
        others.into_iter().map(|org| Ok((reader.outgoing_count(&org)?, known.get(&org).cloned(), org))).collect::<Result<Vec<_>, _>>()
    });
    let health = desk.peer_health();
    let peers = rows.await?.into_iter().map(|(waiting, row, org)| PeerView::of(&org, row.as_ref(), waiting, health.get(&org)));
    Ok(View(Peers { peers: peers.collect() }))
}

pub(super) async fn resume(mut desk: Desk<Org>, Json(body): Json<Resumption>) -> Result<Done, Problem> {
    let peer = desk.subject().0.card.org.clone();
    desk.execute(Command::Resume { peer, from: body.from }).await?;
    Ok(Done)
}

/// The state of exchange with each peer.
pub(super) fn states(reader: &dyn Reader) -> node::ports::StoreResult<BTreeMap<OrgId, PeerRow>> {
    Ok(reader.opening()?.peers.into_iter().map(|row| (row.org.clone(), row)).collect())
}
