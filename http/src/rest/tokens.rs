//! Tokens: what programs show in place of a session. A token cannot make tokens, so that one that leaked ends for good
//! when it is revoked.

use node::Command;

use super::input::{Json, Told};
use super::limits::MAX_TOKEN_DAYS;
use super::reply::{Done, Made, View};
use crate::access::{Desk, OwnToken};
use crate::problem::Problem;
use crate::view::member::{NewToken, TokenMade, TokenView, Tokens};

impl Told for NewToken {}

pub(super) async fn list(desk: Desk, (): ()) -> Result<View<Tokens>, Problem> {
    let (member, now) = (desk.asker().member.clone(), desk.now());
    let rows = desk.read(move |reader| reader.credentials(&member)).await?;
    let tokens = rows.into_iter().filter(|row| now < row.expires).map(|row| TokenView::of(row, desk.asker())).collect();
    Ok(View(Tokens { tokens }))
}

pub(super) async fn create(mut desk: Desk, Json(wanted): Json<NewToken>) -> Result<Made<TokenMade>, Problem> {
    if desk.asker().token {
        return Err(Problem::session_needed());
    }
    if !(1..=MAX_TOKEN_DAYS).contains(&wanted.days) {
        return Err(Problem::invalid("days", format_args!("a token lives 1 to {MAX_TOKEN_DAYS} days")));
    }
    let (secret, hash) = desk.new_token();
    let (member, expires) = (desk.asker().member.clone(), desk.now().plus_days(wanted.days));
    desk.execute(Command::AddCredential { member, hash, label: wanted.label, token: true, expires }).await?;
    Ok(Made(TokenMade { id: hash.to_string(), secret, expires: expires.to_string() }))
}

pub(super) async fn revoke(mut desk: Desk<OwnToken>, (): ()) -> Result<Done, Problem> {
    let hash = desk.subject().0.hash;
    desk.execute(Command::RevokeCredential { hash }).await?;
    Ok(Done)
}
