//! Sessions: log in, log out, who am I.

use node::Command;

use super::input::{Json, Source, Told};
use super::reply::{Done, Made, View};
use super::route::Lobby;
use crate::access::Desk;
use crate::problem::Problem;
use crate::view::member::{LogIn, Me, OwnPassword, SessionView};

impl Told for LogIn {}
impl Told for OwnPassword {}

pub(super) async fn begin(lobby: Lobby, (source, Json(log_in)): (Source, Json<LogIn>)) -> Result<Made<SessionView>, Problem> {
    let session = lobby.log_in(&log_in.member, log_in.password, source).await?;
    Ok(Made(session.into()))
}

pub(super) async fn end(mut desk: Desk, (): ()) -> Result<Done, Problem> {
    let hash = desk.asker().credential;
    desk.execute(Command::RevokeCredential { hash }).await?;
    Ok(Done)
}

pub(super) async fn me(desk: Desk, (): ()) -> Result<View<Me>, Problem> {
    Ok(View(Me::of(desk.asker(), desk.identity().org())))
}

/// All the member's sessions and tokens end with the old password.
pub(super) async fn change_password(mut desk: Desk, (source, Json(change)): (Source, Json<OwnPassword>)) -> Result<Done, Problem> {
    desk.own_password(change.old, source.0).await?;
    let password = desk.hash_password(change.new).await?;
    let member = desk.asker().member.clone();
    desk.execute(Command::SetPassword { member, password }).await?;
    Ok(Done)
}
