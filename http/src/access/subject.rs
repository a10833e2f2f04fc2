//! Subjects: what a path names, found and looked at before anyone acts on it.
//!
//! A handler never holds a raw id. It holds what the gate found under it, for an asker who may see that it is there;
//! what is absent, hidden or another sort of thing ends here in one and the same answer.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use format::id::Purpose;
use format::{AgreementId, Digest, OrgId, RecordId, RecordNumber};
use node::act::release::header_of;
use node::ports::{Reader, StoreResult};
use node::rows::{CredentialRow, MemberRow, RecordRow, Stage};
use node::state::{Directory, Pinned};
use policy::access::{About, Access, Decision, Permission, decide};

use super::log_in::MAX_NAME;
use super::{Asker, Gate, Names};
use crate::problem::Problem;

/// What a path names.
pub trait Subject: Sized + Send + Sync + 'static {
    /// Finds it.
    fn resolve(gate: &Gate, asker: &Asker, names: &Names) -> impl Future<Output = Result<Self, Problem>> + Send;

    /// The record that it is or belongs to, for the ledger.
    fn record(&self) -> Option<RecordId> {
        None
    }

    /// What access has to know of it, where the act is about a record.
    fn about(&self) -> Option<About<'_>> {
        None
    }

    /// The purposes for which it may be read; all that any agreement here has, where it is not one record.
    fn purposes(&self, directory: &Directory) -> BTreeSet<Purpose> {
        let agreements = directory.agreements();
        agreements.ids().flat_map(|id| agreements.versions(id)).flat_map(|accord| accord.agreement.terms.purposes.iter().cloned()).collect()
    }
}

/// Nothing in particular.
impl Subject for () {
    async fn resolve(_: &Gate, _: &Asker, _: &Names) -> Result<Self, Problem> {
        Ok(())
    }
}

/// A record, named by `{record}`: by id, number, or number and version.
#[derive(Debug)]
pub struct Held(pub RecordRow);

impl Subject for Held {
    async fn resolve(gate: &Gate, asker: &Asker, names: &Names) -> Result<Self, Problem> {
        let reference: Reference = names.parse("record")?;
        let asker = asker.clone();
        let now = gate.handle.now();
        let found = gate.read(move |reader| reference.find(reader, |row| visible(row, &asker, now)));
        found.await?.map(Self).ok_or_else(Problem::not_found)
    }

    fn about(&self) -> Option<About<'_>> {
        Some(about(&self.0))
    }

    fn purposes(&self, directory: &Directory) -> BTreeSet<Purpose> {
        purposes(&self.0, directory)
    }

    fn record(&self) -> Option<RecordId> {
        Some(self.0.id)
    }
}

/// A record, named by `{record}`, that the act refers to and does not change.
#[derive(Debug)]
pub struct Cited(pub RecordRow);

impl Subject for Cited {
    async fn resolve(gate: &Gate, asker: &Asker, names: &Names) -> Result<Self, Problem> {
        Held::resolve(gate, asker, names).await.map(|Held(row)| Self(row))
    }

    fn record(&self) -> Option<RecordId> {
        Some(self.0.id)
    }
}

/// A record, named by `{record}`, that is to be corrected: by whoever may read it, or once drafted it.
#[derive(Debug)]
pub struct Corrected(pub RecordRow);

impl Subject for Corrected {
    async fn resolve(gate: &Gate, asker: &Asker, names: &Names) -> Result<Self, Problem> {
        let Held(row) = Held::resolve(gate, asker, names).await?;
        let known = asker.has_role_for(Permission::ReadRecord) || row.drafted_by == asker.member;
        if known { Ok(Self(row)) } else { Err(Problem::not_found()) }
    }

    fn record(&self) -> Option<RecordId> {
        Some(self.0.id)
    }
}

/// An attachment, named by `{record}` and `{attachment}`.
#[derive(Debug)]
pub struct Enclosure {
    /// The record.
    pub row: RecordRow,
    /// Which attachment, from 0.
    pub attachment: u32,
}

impl Subject for Enclosure {
    async fn resolve(gate: &Gate, asker: &Asker, names: &Names) -> Result<Self, Problem> {
        let attachment = names.parse("attachment")?;
        Held::resolve(gate, asker, names).await.map(|Held(row)| Self { row, attachment })
    }

    fn about(&self) -> Option<About<'_>> {
        Some(about(&self.row))
    }

    fn purposes(&self, directory: &Directory) -> BTreeSet<Purpose> {
        purposes(&self.row, directory)
    }

    fn record(&self) -> Option<RecordId> {
        Some(self.row.id)
    }
}

/// A draft, named by `{number}` and `{version}`.
#[derive(Debug)]
pub struct Drafted(pub RecordRow);

impl Subject for Drafted {
    async fn resolve(gate: &Gate, asker: &Asker, names: &Names) -> Result<Self, Problem> {
        let reference = Reference::Number(names.parse("number")?, Some(names.parse("version")?));
        let asker = asker.clone();
        let now = gate.handle.now();
        let found = gate.read(move |reader| reference.find(reader, |row| visible(row, &asker, now)));
        found.await?.map(Self).ok_or_else(Problem::not_found)
    }

    fn about(&self) -> Option<About<'_>> {
        Some(about(&self.0))
    }

    fn record(&self) -> Option<RecordId> {
        Some(self.0.id)
    }
}

/// An organisation whose card is held, named by `{organisation}`.
#[derive(Debug)]
pub struct Org(pub Arc<Pinned>);

impl Subject for Org {
    async fn resolve(gate: &Gate, _: &Asker, names: &Names) -> Result<Self, Problem> {
        let id: OrgId = names.parse("organisation")?;
        gate.handle.directory().card(&id).map(|pinned| Self(Arc::clone(pinned))).ok_or_else(Problem::not_found)
    }
}

/// An agreement that is known here, named by `{agreement}`.
#[derive(Debug)]
pub struct Pact(pub AgreementId);

impl Subject for Pact {
    async fn resolve(gate: &Gate, _: &Asker, names: &Names) -> Result<Self, Problem> {
        let id: AgreementId = names.parse("agreement")?;
        let known = gate.handle.directory().agreements().versions(&id).next().is_some();
        if known { Ok(Self(id)) } else { Err(Problem::not_found()) }
    }
}

/// A member of this organisation, named by `{member}`.
#[derive(Debug)]
pub struct Colleague(pub MemberRow);

impl Subject for Colleague {
    async fn resolve(gate: &Gate, _: &Asker, names: &Names) -> Result<Self, Problem> {
        let id: String = names.parse("member")?;
        if id.len() > MAX_NAME {
            return Err(Problem::not_found());
        }
        gate.read(move |reader| reader.member(&id)).await?.map(Self).ok_or_else(Problem::not_found)
    }
}

/// One of the member's own tokens or sessions, named by `{token}`.
#[derive(Debug)]
pub struct OwnToken(pub CredentialRow);

impl Subject for OwnToken {
    async fn resolve(gate: &Gate, asker: &Asker, names: &Names) -> Result<Self, Problem> {
        let hash: Digest = names.parse("token")?;
        let found = gate.read(move |reader| reader.credential(&hash)).await?;
        found.filter(|row| row.member == asker.member).map(Self).ok_or_else(Problem::not_found)
    }
}

/// How people and programs name a record.
enum Reference {
    Id(RecordId),
    Number(RecordNumber, Option<u32>),
}

impl std::str::FromStr for Reference {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        match text.split_once('@') {
            None => Ok(Self::Number(text.parse().map_err(|_| ())?, None)),
            Some((number, version)) => Ok(Self::Number(number.parse().map_err(|_| ())?, Some(version.parse().map_err(|_| ())?))),
        }
    }
}

impl Reference {
    /// The record, if it is here and may be seen; by number alone, the newest version that may be seen.
    fn find(&self, reader: &dyn Reader, may_see: impl Fn(&RecordRow) -> bool) -> StoreResult<Option<RecordRow>> {
        let found = match self {
            Self::Id(id) => reader.record(id)?,
            Self::Number(number, Some(version)) => reader.record_by_number(number, Some(*version))?,
            Self::Number(number, None) => return Ok(reader.versions(number)?.into_iter().rev().find(|row| may_see(row))),
        };
        Ok(found.filter(|row| may_see(row)))
    }
}

/// Whether the asker may know that the record is here: once released, all who may read at all; before, those who may
/// read the draft.
pub(crate) fn visible(row: &RecordRow, asker: &Asker, now: format::Timestamp) -> bool {
    if matches!(row.stage, Stage::Released | Stage::Received) {
        return true;
    }
    let nothing = BTreeSet::new();
    let permission = Permission::ReadDraft;
    let access = Access { member: asker.as_member(), permission, about: Some(about(row)), purpose: None, allowed_purposes: &nothing, now };
    matches!(decide(&access), Decision::Allow(_))
}

fn about(row: &RecordRow) -> About<'_> {
    About { drafted_by: &row.drafted_by, submitted_by: row.submitted_by.as_deref(), approved_by: row.approved_by.as_deref(), stage: row.stage }
}

/// The record's own purpose, and those of the agreement version that it names.
fn purposes(row: &RecordRow, directory: &Directory) -> BTreeSet<Purpose> {
    let Ok(header) = header_of(row) else { return BTreeSet::new() };
    let accord = directory.agreements().get(&header.agreement.id, header.agreement.version);
    let agreed = accord.into_iter().flat_map(|accord| accord.agreement.terms.purposes.iter().cloned());
    agreed.chain([header.purpose]).collect()
}
