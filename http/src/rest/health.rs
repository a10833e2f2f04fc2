//! Health: that the node answers, for anyone; how it is, for those who may know.

use super::peers::states;
use super::reply::{Document, View, Well};
use super::route::Lobby;
use crate::access::Desk;
use crate::problem::Problem;
use crate::view::peer::Status;

pub(super) async fn well(lobby: Lobby, (): ()) -> Result<Well, Problem> {
    lobby.well().await?;
    Ok(Well)
}

pub(super) async fn document(lobby: Lobby, (): ()) -> Result<Document, Problem> {
    Ok(Document(lobby.document()))
}

pub(super) async fn status(desk: Desk, (): ()) -> Result<View<Status>, Problem> {
    let (counts, stopped) = desk.read(|reader| Ok((reader.counts()?, states(reader)?.values().filter(|row| row.suspicion.is_some()).count()))).await?;
    let unreachable = desk.peer_health().values().filter(|health| health.reachable == Some(false)).count();
    Ok(View(Status::of(desk.identity().org(), desk.now(), counts, unreachable, stopped)))
}
