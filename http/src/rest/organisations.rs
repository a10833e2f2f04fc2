//! Organisations: whose cards are believed here.

use format::{Digest, Signed};
use node::Command;

use super::input::{Cose, Json, Query, Told};
use super::reply::{Done, Made, View};
use crate::access::{Desk, Org};
use crate::problem::Problem;
use crate::view::organisation::{CardRenewal, Compared, OrganisationView, Organisations};
use crate::view::record::Because;

impl Told for CardRenewal {}

pub(super) async fn list(desk: Desk, (): ()) -> Result<View<Organisations>, Problem> {
    let (directory, me) = (desk.directory(), desk.identity().org());
    let organisations = directory.cards().map(|pinned| OrganisationView::of(pinned, me, &directory)).collect();
    Ok(View(Organisations { organisations }))
}

pub(super) async fn show(desk: Desk<Org>, (): ()) -> Result<View<OrganisationView>, Problem> {
    Ok(View(OrganisationView::of(&desk.subject().0, desk.identity().org(), &desk.directory())))
}

pub(super) async fn card(desk: Desk<Org>, (): ()) -> Result<Cose, Problem> {
    Ok(Cose(desk.subject().0.bytes.clone()))
}

pub(super) async fn import(mut desk: Desk, (Query(compared), Cose(bytes)): (Query<Compared>, Cose)) -> Result<Made<OrganisationView>, Problem> {
    let fingerprint: Digest = compared.fingerprint.parse().map_err(|fault| Problem::invalid("fingerprint", fault))?;
    let org = Signed::parse(&bytes)?.signer().clone();
    desk.execute(Command::ImportCard { bytes, fingerprint }).await?;
    let directory = desk.directory();
    let pinned = directory.card(&org).ok_or_else(|| Problem::internal("a card that was imported is not in the directory"))?;
    Ok(Made(OrganisationView::of(pinned, desk.identity().org(), &directory)))
}

pub(crate) async fn renew(mut desk: Desk, Json(renewal): Json<CardRenewal>) -> Result<Made<OrganisationView>, Problem> {
    let CardRenewal { addresses, contact, new_keys } = renewal;
    desk.execute(Command::RenewCard { addresses, contact, new_keys }).await?;
    let (directory, me) = (desk.directory(), desk.identity().org());
    let pinned = directory.card(me).ok_or_else(|| Problem::internal("this node's own card is not in the directory"))?;
    Ok(Made(OrganisationView::of(pinned, me, &directory)))
}

/// This organisation's own card is revoked, and every peer told; another's is believed no longer here.
pub(super) async fn revoke(mut desk: Desk<Org>, Json(Because { reason }): Json<Because>) -> Result<Done, Problem> {
    let org = desk.subject().0.card.org.clone();
    desk.execute(Command::RevokeCard { org, reason }).await?;
    Ok(Done)
}
