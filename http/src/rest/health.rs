//! Health: that the node answers, for anyone; how it is, for those who may know.

use super::reply::{Document, View, Well};
use super::route::Lobby;
use crate::access::Desk;
use crate::problem::{Point, Problem};
use crate::view::peer::Status;

pub(super) async fn well(lobby: Lobby, (): ()) -> Result<Well, Problem> {
    lobby.well().await?;
    Ok(Well)
}

pub(super) async fn document(lobby: Lobby, (): ()) -> Result<Document, Problem> {
    Ok(Document(lobby.document()))
}

pub(super) async fn status(desk: Desk, (): ()) -> Result<View<Status>, Problem> {
    let (counts, opening) = desk.read(|reader| Ok((reader.counts()?, reader.opening()?))).await?;
    // A revoked card of this node's own stands among them, and is no peer.
    let stopped = opening.peers.iter().filter(|row| row.suspicion.is_some() && row.org != *desk.identity().org()).count();
    let restored = opening.recovery.is_some_and(|recovery| recovery.declared.is_none());
    let troubles = desk.troubles().await.into_iter();
    let troubles = troubles.map(|trouble| Point { code: trouble.as_str().to_owned(), sentence: trouble.sentence(desk.language()).to_owned() }).collect();
    let unreachable = desk.peer_health().values().filter(|health| health.reachable == Some(false)).count();
    Ok(View(Status::of(desk.identity().org(), desk.now(), counts, unreachable, stopped, restored, troubles)))
}
