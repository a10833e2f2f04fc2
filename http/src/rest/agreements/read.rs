//! Reading agreements: on what terms, and whether they hold.

use format::AgreementId;
use format::record::AgreementRef;
use node::state::Directory;
use policy::accord::Known;

use crate::access::{Desk, Pact};
use crate::problem::Problem;
use crate::rest::input::Query;
use crate::rest::reply::View;
use crate::view::agreement::{AgreementLine, AgreementLines, AgreementView, OfVersion};

pub(crate) async fn list(desk: Desk, (): ()) -> Result<View<AgreementLines>, Problem> {
    let (directory, now) = (desk.directory(), desk.now());
    let agreements = directory.agreements();
    let lines = agreements.ids().filter_map(|id| {
        let newest = agreements.versions(id).last()?;
        let spoken_of = agreements.current(id, now).or_else(|| agreements.known(&newest.name(), now))?;
        Some(AgreementLine::of(&spoken_of, newest, now))
    });
    Ok(View(AgreementLines { agreements: lines.collect() }))
}

pub(crate) async fn show(desk: Desk<Pact>, Query(of): Query<OfVersion>) -> Result<View<AgreementView>, Problem> {
    let (directory, now, id) = (desk.directory(), desk.now(), &desk.subject().0);
    let agreements = directory.agreements();
    let newest = || agreements.versions(id).last().and_then(|accord| agreements.known(&accord.name(), now));
    let known = match of.version {
        Some(version) => agreements.known(&AgreementRef { id: id.clone(), version }, now),
        None => agreements.current(id, now).or_else(newest),
    };
    view(&directory, &known.ok_or_else(Problem::not_found)?).map(View)
}

/// A version as it stands now.
pub(super) fn version<S>(desk: &Desk<S>, id: AgreementId, version: u32) -> Result<AgreementView, Problem> {
    let directory = desk.directory();
    let known = directory.agreements().known(&AgreementRef { id, version }, desk.now());
    view(&directory, &known.ok_or_else(Problem::not_found)?)
}

fn view(directory: &Directory, known: &Known<'_>) -> Result<AgreementView, Problem> {
    let AgreementRef { id, version } = known.accord().name();
    AgreementView::of(known, directory.agreement_digest(&id, version))
}
