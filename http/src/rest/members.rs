//! Members: who has an account, with which roles.

use node::Command;

use super::input::{Json, Told};
use super::reply::{Made, View};
use crate::access::{Colleague, Desk, Password};
use crate::problem::Problem;
use crate::view::member::{MemberChange, MemberView, Members, NewMember, NewPassword, PasswordMade, roles};

impl Told for NewMember {}
impl Told for MemberChange {}
impl Told for NewPassword {}

pub(super) async fn list(desk: Desk, (): ()) -> Result<View<Members>, Problem> {
    let rows = desk.read(|reader| reader.members()).await?;
    Ok(View(Members { members: rows.into_iter().map(Into::into).collect() }))
}

pub(super) async fn create(mut desk: Desk, Json(wanted): Json<NewMember>) -> Result<Made<PasswordMade>, Problem> {
    let roles = roles(&wanted.roles)?;
    let (password, told) = given_or_new(&desk, wanted.password);
    let password = desk.hash_password(password).await?;
    desk.execute(Command::AddMember { id: wanted.id.clone(), name: wanted.name, roles, password }).await?;
    Ok(Made(PasswordMade { id: wanted.id, password: told }))
}

pub(super) async fn change(mut desk: Desk<Colleague>, Json(change): Json<MemberChange>) -> Result<View<MemberView>, Problem> {
    let mut member = desk.subject().0.clone();
    member.roles = change.roles.as_ref().map(roles).transpose()?.unwrap_or(member.roles);
    member.active = change.active.unwrap_or(member.active);
    desk.execute(Command::ChangeMember { id: member.id.clone(), roles: member.roles.clone(), active: member.active }).await?;
    Ok(View(member.into()))
}

pub(super) async fn set_password(mut desk: Desk<Colleague>, Json(wanted): Json<NewPassword>) -> Result<View<PasswordMade>, Problem> {
    let id = desk.subject().0.id.clone();
    let (password, told) = given_or_new(&desk, wanted.password);
    let password = desk.hash_password(password).await?;
    desk.execute(Command::SetPassword { member: id.clone(), password }).await?;
    Ok(View(PasswordMade { id, password: told }))
}

/// The password given, or a new one with its text to be told once.
fn given_or_new<S>(desk: &Desk<S>, given: Option<Password>) -> (Password, Option<String>) {
    match given {
        Some(password) => (password, None),
        None => {
            let (password, text) = desk.new_password();
            (password, Some(text))
        }
    }
}
