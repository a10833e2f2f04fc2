//! Records: immutable signed statements of one organisation.
//!
//! A record has a header, which is signed and kept for ever, and content, which lies under a key of its own and can be
//! destroyed. The header holds codes, identifiers and times, never free text, and commits to the content by a salted
//! hash: after a purge the header and its signatures still prove that the record existed and how it was marked, and
//! tell nothing of what it said. A record's id is the SHA-256 of the header bytes.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::attachment::AttachmentRef;
use crate::grading::Grading;
use crate::id::{AgreementId, Digest, LegalBasis, OrgId, Purpose, RecordId, RecordNumber};
use crate::json::{self, Budget, JsonFault};
use crate::marking::Marking;
use crate::time::Timestamp;
use crate::verify::{Malformed, Statement, ensure};

/// The most organisations in an audience.
pub const MAX_AUDIENCE: usize = 512;
/// The most links from one record.
pub const MAX_LINKS: usize = 64;
/// The most attachments of one record.
pub const MAX_ATTACHMENTS: usize = 32;
/// The largest content, in bytes, without attachments.
pub const MAX_CONTENT: usize = 1024 * 1024;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Information exchanged.
    Report,
    /// Experience exchanged.
    Lesson,
    /// Something to act on now.
    Alert,
    /// A new version of a record, with the reason.
    Correction,
    /// The originator takes a record back from every holder.
    Recall,
    /// A holder asks, or the originator answers, whether a record may be passed on.
    Consent,
    /// A holder states what it accepted, refused or removed.
    Receipt,
}

impl Kind {
    /// Every kind, in order.
    pub const ALL: [Self; 7] = [Self::Report, Self::Lesson, Self::Alert, Self::Correction, Self::Recall, Self::Consent, Self::Receipt];

    /// The word in bytes and interfaces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Lesson => "lesson",
            Self::Alert => "alert",
            Self::Correction => "correction",
            Self::Recall => "recall",
            Self::Consent => "consent",
            Self::Receipt => "receipt",
        }
    }

    /// Whether the kind carries information of its own, rather than steering another record.
    #[must_use]
    pub const fn carries_information(self) -> bool {
        matches!(self, Self::Report | Self::Lesson | Self::Alert | Self::Correction)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let known = Self::ALL.into_iter().find(|k| k.as_str() == text);
        known.ok_or(Malformed { what: "kind", rule: "is report, lesson, alert, correction, recall, consent or receipt" })
    }
}

/// Whom the record's personal data concern (Directive (EU) 2016/680 art. 6); empty when it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubjectCategory {
    /// Serious grounds to believe that the person has committed or is about to commit an offence.
    Suspected,
    /// Convicted of an offence.
    Convicted,
    /// Victim, or possible victim.
    Victim,
    /// Witness, informant, contact or associate: not suspected.
    Other,
}

/// How a record relates to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// Answers it.
    Answers,
    /// Is built on it; a correction or recall of it flags this one.
    BasedOn,
    /// Is about it: what a recall takes back, what consent is asked for.
    Concerns,
}

/// A link to another record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Link {
    /// How.
    pub relation: Relation,
    /// To which.
    pub to: RecordId,
}

/// The agreement, in a certain version, under which a record is released.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AgreementRef {
    /// The agreement.
    pub id: AgreementId,
    /// Its version.
    pub version: u32,
}

/// The header's commitment to the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ContentRef {
    /// SHA-256 of the 32 bytes of salt followed by the content bytes.
    pub sha256: Digest,
    /// Length of the content in bytes, without salt.
    pub size: u64,
}

/// The signed part of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// Whose statement it is, and who signs.
    pub originator: OrgId,
    /// The number people use. All versions of a record share it.
    pub number: RecordNumber,
    /// 1 for the first version.
    pub version: u32,
    /// The version before, from version 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<RecordId>,
    /// The agreement under which it is released.
    pub agreement: AgreementRef,
    /// The organisations it is for, in order, each once, never the originator.
    pub audience: Vec<OrgId>,
    /// How it must be handled.
    pub marking: Marking,
    /// How reliable and how sure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grading: Option<Grading>,
    /// What it may be processed for.
    pub purpose: Purpose,
    /// The provision that permits the release.
    pub legal_basis: LegalBasis,
    /// Whom its personal data concern.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub categories: BTreeSet<SubjectCategory>,
    /// Language of the content, a BCP 47 tag.
    pub language: String,
    /// When the header was made.
    pub created: Timestamp,
    /// Every holder destroys the content at this time.
    pub retain_until: Timestamp,
    /// Other records that this one answers, builds on or concerns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Commitment to the content.
    pub content: ContentRef,
    /// Commitments to the attachments, in the order of the content's list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<AttachmentRef>,
}

impl Header {
    /// The records this one has the given relation to.
    pub fn linked(&self, relation: Relation) -> impl Iterator<Item = RecordId> + '_ {
        self.links.iter().filter(move |l| l.relation == relation).map(|l| l.to)
    }
}

impl Statement for Header {
    const CONTEXT: &'static str = "samverkan/record/v1";
    const BUDGET: Budget = Budget::HEADER;
    const BATCHED: bool = true;

    fn check(&self) -> Result<(), Malformed> {
        ensure(self.kind != Kind::Receipt, "kind", "of a record with this header is not receipt")?;
        ensure(self.version >= 1, "version", "starts at 1")?;
        ensure((self.version == 1) == self.supersedes.is_none(), "supersedes", "names the version before, from version 2 on")?;
        ensure((self.kind == Kind::Correction) == (self.version > 1), "kind", "of every version after the first, and of no first version, is correction")?;
        ensure((1..=MAX_AUDIENCE).contains(&self.audience.len()), "audience", "names 1 to 512 organisations")?;
        ensure(self.audience.windows(2).all(|w| matches!(w, [a, b] if a < b)), "audience", "is in order, each organisation once")?;
        ensure(!self.audience.contains(&self.originator), "audience", "does not name the originator")?;
        ensure(is_language(&self.language), "language", "is a tag such as sv or en")?;
        ensure(self.retain_until > self.created, "retain-until", "is after created")?;
        ensure(self.links.len() <= MAX_LINKS, "links", "are at most 64")?;
        ensure(self.attachments.len() <= MAX_ATTACHMENTS, "attachments", "are at most 32")?;
        ensure(self.content.size <= MAX_CONTENT as u64, "content.size", "is at most 1 MiB")?;
        let concerns = self.linked(Relation::Concerns).count();
        match self.kind {
            Kind::Recall => ensure(concerns >= 1, "links", "name the versions that a recall takes back")?,
            Kind::Consent => ensure(concerns == 1, "links", "name the one record that consent is about")?,
            _ => {}
        }
        self.attachments.iter().try_for_each(AttachmentRef::check)
    }

    fn may_be_signed_by(&self, signer: &OrgId) -> bool {
        self.originator == *signer
    }
}

fn is_language(tag: &str) -> bool {
    (2..=12).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// An attachment's name and type, which are content and lie under the record's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AttachmentName {
    /// File name, a label only: never used as a path.
    pub name: String,
    /// Media type as the author gave it.
    pub media_type: String,
}

/// Content of a report, lesson or alert, and what a correction puts in place.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TextContent {
    /// Title, up to 300 characters.
    pub title: String,
    /// Markdown.
    pub text: String,
    /// What handling code H3 or a caveat asks for in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caveat_text: Option<String>,
    /// Names of the attachments, in the header's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<AttachmentName>,
    /// An embedded STIX 2.1 bundle, kept as the bytes that came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stix: Option<Box<RawValue>>,
    /// Why, in a correction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Content of a recall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RecallContent {
    /// Why.
    pub reason: String,
}

/// What a consent record does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConsentAct {
    /// A holder asks.
    Ask,
    /// The originator permits.
    Grant,
    /// The originator does not permit.
    Deny,
    /// A holder passes on in an emergency, without having been able to ask.
    Emergency,
}

/// Content of a consent record: one holder, one recipient, one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConsentContent {
    /// Asks, permits or does not; or states an emergency.
    pub act: ConsentAct,
    /// The holder that would pass the record on.
    pub holder: OrgId,
    /// The organisation that would get it.
    pub recipient: OrgId,
    /// Why it is asked, or so answered; in an emergency, the threat and why nobody could be asked in time.
    pub reason: String,
    /// A grant holds until this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// A record's content, by kind.
#[derive(Debug, Clone)]
pub enum Content {
    /// Report, lesson, alert, correction.
    Text(TextContent),
    /// Recall.
    Recall(RecallContent),
    /// Consent.
    Consent(ConsentContent),
}

impl Content {
    /// Reads the content of a record of `kind` from its exact bytes.
    ///
    /// # Errors
    /// The bytes are not strict JSON within [`Budget::BODY`], or not the shape that the kind has.
    pub fn parse(kind: Kind, bytes: &[u8]) -> Result<Self, JsonFault> {
        Ok(match kind {
            Kind::Recall => Self::Recall(json::parse::<json::Object<_>>(bytes, &Budget::BODY)?.0),
            Kind::Consent => Self::Consent(json::parse::<json::Object<_>>(bytes, &Budget::BODY)?.0),
            _ => Self::Text(json::parse::<json::Object<_>>(bytes, &Budget::BODY)?.0),
        })
    }

    /// The title, for kinds that have one.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(&text.title),
            Self::Recall(_) | Self::Consent(_) => None,
        }
    }
}

/// A record's content bytes with the salt under which the header commits to them.
#[derive(Clone, PartialEq, Eq)]
pub struct Salted {
    /// 32 random bytes, destroyed with the content.
    pub salt: [u8; 32],
    /// The exact content bytes.
    pub bytes: Vec<u8>,
}

impl Salted {
    /// What a header must say to commit to this content.
    #[must_use]
    pub fn reference(&self) -> ContentRef {
        ContentRef { sha256: Digest::of_parts(&[&self.salt, &self.bytes]), size: self.bytes.len() as u64 }
    }
}

impl fmt::Debug for Salted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Salted({} bytes)", self.bytes.len())
    }
}
