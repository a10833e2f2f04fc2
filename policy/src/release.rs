//! Release: may this record leave for this organisation, now?
//!
//! It is asked at the moment of leaving, for one record and one recipient. It sends nothing and remembers nothing. The
//! invariant: [`decide`] is the one maker of [`Permit`], which names the record, who sends and who gets it, so that a
//! permit for one recipient serves no other. Rules R1 to R22 and E1 to E4 of `docs/protocol/release.md`.

use format::record::{ConsentAct, ConsentContent, Header, Kind, Relation};
use format::{OrgId, RecordId, Timestamp};

use crate::accord::{Agreements, Known};
use crate::ground::Ground;
use crate::house::{Facts, HouseRules};
use crate::passage::{Passage, Way, under_allows};
use crate::reason::Reason;

/// The question.
#[derive(Debug, Clone)]
pub struct Release<'a> {
    /// The time of leaving.
    pub now: Timestamp,
    /// Who would send: this node's organisation.
    pub sender: &'a OrgId,
    /// Who would get it.
    pub recipient: &'a OrgId,
    /// Whether the recipient's card is held here.
    pub recipient_known: bool,
    /// Countries, from the cards held here.
    pub countries: Countries<'a>,
    /// The record's id.
    pub record: RecordId,
    /// The record's header.
    pub header: &'a Header,
    /// How the record stands here.
    pub condition: Condition,
    /// Who drafted, submitted and approved it here.
    pub approval: Approval<'a>,
    /// The version that the header names.
    pub named: Option<Known<'a>>,
    /// What there is for a release outside the audience.
    pub onward: Option<PassingOn<'a>>,
    /// The sender's own rules.
    pub house: &'a dyn HouseRules,
    /// Whether it recalls or corrects a record that the recipient got from the sender: such a record follows every
    /// copy, wherever it went (E3).
    pub steers_held: bool,
}

/// Countries of the two ends, as ISO 3166-1 alpha-2 codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Countries<'a> {
    /// The originator's.
    pub originator: Option<&'a str>,
    /// The recipient's.
    pub recipient: Option<&'a str>,
}

/// How a record stands on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// It is what its originator says now.
    Current,
    /// A newer version is here.
    Superseded,
    /// Its originator took it back.
    Recalled,
    /// Its retention has ended.
    Expired,
    /// Its content was destroyed.
    Removed,
}

/// Who did what with a record before its release. An empty name counts as none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Approval<'a> {
    /// Member who drafted it.
    pub drafted_by: Option<&'a str>,
    /// Member who submitted it.
    pub submitted_by: Option<&'a str>,
    /// Member who approved exactly these bytes.
    pub approved_by: Option<&'a str>,
}

/// What a holder has to pass a record on with.
#[derive(Debug, Clone, Default)]
pub struct PassingOn<'a> {
    /// The originator's consent, not recalled.
    pub grant: Option<&'a Grant>,
    /// An emergency that the sender has stated.
    pub emergency: Option<&'a Emergency>,
    /// An agreement between sender and recipient; [`under`] finds one.
    pub under: Option<Known<'a>>,
}

/// An originator's consent, as read from its verified record: holder may pass record on to recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who consents.
    pub by: OrgId,
    /// To what.
    pub record: RecordId,
    /// Who may pass it on.
    pub holder: OrgId,
    /// To whom.
    pub recipient: OrgId,
    /// Until when, not included.
    pub expires: Option<Timestamp>,
}

/// A holder's statement that passing one record on to one recipient is needed at once to prevent an immediate and serious
/// threat to public security, and that the originator cannot be asked in good time (E4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emergency {
    /// What is passed on.
    pub record: RecordId,
    /// Who states it and passes on.
    pub holder: OrgId,
    /// To whom.
    pub recipient: OrgId,
    /// Whether the originator was asked, and said no.
    pub denied: bool,
}

impl Grant {
    /// The grant that a verified consent record gives, if it gives one.
    #[must_use]
    pub fn read(header: &Header, content: &ConsentContent) -> Option<Self> {
        let mut concerned = header.linked(Relation::Concerns);
        let (Some(record), None) = (concerned.next(), concerned.next()) else { return None };
        let given = header.kind == Kind::Consent && content.act == ConsentAct::Grant;
        let ConsentContent { holder, recipient, expires, .. } = content.clone();
        given.then(|| Self { by: header.originator.clone(), record, holder, recipient, expires })
    }
}

/// The answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may leave.
    Permit(Permit),
    /// It may not, for every one of these reasons.
    Refuse(Vec<Reason>),
}

/// Leave for one record to go from one organisation to another, decided at one time.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    record: RecordId,
    sender: OrgId,
    recipient: OrgId,
    decided: Timestamp,
    grounds: Vec<Ground>,
}

impl Permit {
    /// The record that may leave.
    #[must_use]
    pub const fn record(&self) -> RecordId {
        self.record
    }

    /// Who may send it.
    #[must_use]
    pub const fn sender(&self) -> &OrgId {
        &self.sender
    }

    /// To whom, and to nobody else.
    #[must_use]
    pub const fn recipient(&self) -> &OrgId {
        &self.recipient
    }

    /// When it was decided.
    #[must_use]
    pub const fn decided(&self) -> Timestamp {
        self.decided
    }

    /// What it rests on, the way first.
    #[must_use]
    pub fn grounds(&self) -> &[Ground] {
        &self.grounds
    }
}

/// Decides whether the record may leave.
#[must_use]
pub fn decide(release: &Release<'_>) -> Decision {
    let passage = release.passage();
    let mut reasons = Vec::new();
    recipient_known(release, &mut reasons);
    passage.two_organisations(&mut reasons);
    passage.marking_known(&mut reasons);
    match (release.header.kind, passage.way()) {
        (Kind::Recall, way) => {
            recall_reaches(release, way, &mut reasons);
            passage.concerns_a_record(&mut reasons);
        }
        (_, Way::Returned) => {
            passage.receipts_apart(&mut reasons);
            passage.not_expired(&mut reasons);
            stands_at_home(release, &mut reasons);
            house_rules(release, &passage, &mut reasons);
        }
        (_, way) => {
            passage.receipts_apart(&mut reasons);
            passage.in_force(&mut reasons);
            agreed(&passage, &mut reasons);
            stands(release, &mut reasons);
            passage.audience(&mut reasons);
            outside(&passage, way, &mut reasons);
            passage.national_only(&mut reasons);
            passage.releasable(&mut reasons);
            four_eyes(release, &passage, &mut reasons);
            house_rules(release, &passage, &mut reasons);
        }
    }
    if !reasons.is_empty() {
        return Decision::Refuse(reasons);
    }
    Decision::Permit(Permit {
        record: release.record,
        sender: release.sender.clone(),
        recipient: release.recipient.clone(),
        decided: release.now,
        grounds: grounds(release, &passage),
    })
}

fn grounds(release: &Release<'_>, passage: &Passage<'_>) -> Vec<Ground> {
    let mut grounds = passage.grounds();
    if asks_four_eyes(passage) {
        grounds.extend(release.approval.approved_by.map(|member| Ground::Approved(member.to_owned())));
    }
    grounds
}

/// The agreement under which `sender` could pass a record with this header on to `recipient` (R18).
///
/// If none allows it, one that the two have, so that a refusal can say what is wrong with it.
#[must_use]
pub fn under<'a>(agreements: &'a Agreements, sender: &'a OrgId, recipient: &'a OrgId, header: &Header, now: Timestamp) -> Option<Known<'a>> {
    let allows = |known: &Known<'_>| {
        let mut reasons = Vec::new();
        under_allows(known, sender, recipient, header, now, &mut reasons);
        reasons.is_empty()
    };
    let shared = || agreements.shared(sender, recipient, now);
    shared().find(allows).or_else(|| shared().next())
}

/// R6 to R13.
pub(crate) fn agreed(passage: &Passage<'_>, out: &mut Vec<Reason>) {
    passage.parties(out);
    passage.no_observer_sends(out);
    passage.kind_agreed(out);
    passage.below_ceiling(out);
    passage.purpose_agreed(out);
    passage.legal_basis_agreed(out);
    passage.retention_agreed(out);
    passage.not_expired(out);
}

/// R16 to R18, and E3.
pub(crate) fn outside(passage: &Passage<'_>, way: Way, out: &mut Vec<Reason>) {
    if !matches!(way, Way::Onward | Way::Steered) {
        return;
    }
    passage.may_go_onward(out);
    if way == Way::Onward {
        passage.consented(out);
    }
    passage.under_agreement(out);
}

/// R1.
fn recipient_known(release: &Release<'_>, out: &mut Vec<Reason>) {
    if !release.recipient_known {
        out.push(Reason::RecipientUnknown { recipient: release.recipient.clone() });
    }
}

/// R14.
fn stands(release: &Release<'_>, out: &mut Vec<Reason>) {
    let expired = Reason::Expired { since: release.header.retain_until };
    out.extend(match release.condition {
        Condition::Current => None,
        Condition::Superseded => Some(Reason::Superseded),
        Condition::Recalled => Some(Reason::Recalled),
        Condition::Expired => Some(expired).filter(|reason| !out.contains(reason)),
        Condition::Removed => Some(Reason::Removed),
    });
}

/// E2: R14 where the record goes back to its originator.
fn stands_at_home(release: &Release<'_>, out: &mut Vec<Reason>) {
    if release.condition != Condition::Superseded {
        stands(release, out);
    }
}

/// E1: R15, and nothing outside the audience.
fn recall_reaches(release: &Release<'_>, way: Way, out: &mut Vec<Reason>) {
    if matches!(way, Way::None | Way::Onward) {
        out.push(Reason::NotInAudience { recipient: release.recipient.clone() });
    }
}

/// R21.
fn four_eyes(release: &Release<'_>, passage: &Passage<'_>, out: &mut Vec<Reason>) {
    if !asks_four_eyes(passage) {
        return;
    }
    let stated = |member: Option<&str>| member.is_some_and(|id| !id.is_empty());
    let Approval { drafted_by, submitted_by, approved_by } = release.approval;
    if !stated(approved_by) {
        out.push(Reason::ApprovalMissing);
    } else if !stated(drafted_by) || !stated(submitted_by) {
        out.push(Reason::ApprovalUnproven);
    } else if approved_by == drafted_by || approved_by == submitted_by {
        out.push(Reason::ApprovalOwn { member: approved_by.unwrap_or_default().to_owned() });
    }
}

fn asks_four_eyes(passage: &Passage<'_>) -> bool {
    let asked = passage.named.is_some_and(|named| named.binding().any(|accord| accord.agreement.terms.four_eyes));
    asked && *passage.sender == passage.header.originator && passage.header.kind.carries_information()
}

/// R22.
fn house_rules(release: &Release<'_>, passage: &Passage<'_>, out: &mut Vec<Reason>) {
    let header = release.header;
    let facts = Facts {
        sender: release.sender,
        recipient: release.recipient,
        recipient_country: release.countries.recipient,
        originator: &header.originator,
        originator_country: release.countries.originator,
        agreement: &header.agreement,
        kind: header.kind,
        level: header.marking.classification.level(),
        tlp: &header.marking.tlp,
        handling: &header.marking.handling,
        caveats: &header.marking.caveats,
        purpose: &header.purpose,
        legal_basis: &header.legal_basis,
        categories: &header.categories,
        onward: passage.way() == Way::Onward,
        emergency: passage.by_emergency(),
    };
    match release.house.forbids(&facts) {
        Ok(forbids) => out.extend(forbids.into_iter().map(Reason::HouseRule)),
        Err(error) => out.push(Reason::HouseRuleError { why: error.why().to_owned() }),
    }
}

impl<'a> Release<'a> {
    fn passage(&'a self) -> Passage<'a> {
        Passage {
            now: self.now,
            sender: self.sender,
            recipient: self.recipient,
            countries: self.countries,
            record: self.record,
            header: self.header,
            named: self.named.as_ref().filter(|known| known.accord().is(&self.header.agreement)),
            terms: None,
            grant: self.onward.as_ref().and_then(|onward| onward.grant),
            emergency: self.onward.as_ref().and_then(|onward| onward.emergency),
            under: self.onward.as_ref().and_then(|onward| onward.under.as_ref()),
            steers_held: self.steers_held,
        }
    }
}
