//! Records, as their readers see them.

use format::json;
use format::record::{Content, Header, SubjectCategory, TextContent};
use format::verify::Statement;
use node::act::release::header_of;
use node::command::RecordView;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::draft::{LinkBody, MarkingBody};
use super::{texts, words};
use crate::problem::Problem;

/// Which records to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// Only at this stage: draft, submitted, approved, released or received.
    pub stage: Option<String>,
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only from this originator.
    pub originator: Option<String>,
    /// Only those that build on something that was corrected or recalled.
    #[serde(default)]
    pub flagged: bool,
    /// Older than this place in the list, as `next` of the page before says.
    pub before: Option<u64>,
    /// At most this many.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<usize>,
}

/// A page of records, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordPage {
    /// The records.
    pub records: Vec<RecordLine>,
    /// What to give as `before` for the next page; none when this is the last.
    pub next: Option<u64>,
}

/// A record in one line.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RecordLine {
    /// SHA-256 of the signed bytes.
    pub id: String,
    /// What it is.
    #[schema(schema_with = words::kind)]
    pub kind: &'static str,
    /// Whose it is.
    pub originator: String,
    /// The number people use.
    pub number: String,
    /// 1 for the first version.
    pub version: u32,
    /// Title; none when it has none, or when it was destroyed.
    pub title: Option<String>,
    /// How it must be handled, as people write it.
    #[schema(example = "HEMLIG TLP:AMBER+STRICT H1")]
    pub marking_text: String,
    /// The agreement.
    pub agreement: String,
    /// How far it has come here.
    #[schema(schema_with = words::stage)]
    pub stage: &'static str,
    /// Whether it still stands.
    #[schema(schema_with = words::condition)]
    pub condition: &'static str,
    /// It builds on something that was corrected or recalled.
    pub flagged: bool,
    /// It was sent back by whoever was to approve it.
    pub sent_back: bool,
    /// When its header was made.
    #[schema(format = DateTime)]
    pub created: String,
    /// When it came to this node.
    #[schema(format = DateTime)]
    pub arrived: String,
}

impl RecordLine {
    pub(crate) fn of(view: &RecordView) -> Result<Self, Problem> {
        let row = &view.row;
        let header = header_of(row)?;
        let content = content(view)?;
        Ok(Self {
            id: row.id.to_string(),
            kind: row.kind.as_str(),
            originator: row.originator.to_string(),
            number: row.number.to_string(),
            version: row.version,
            title: content.as_ref().and_then(Content::title).map(str::to_owned),
            marking_text: header.marking.to_string(),
            agreement: row.agreement.to_string(),
            stage: row.stage.as_str(),
            condition: words::condition_word(row.condition),
            flagged: row.flagged,
            sent_back: row.sent_back,
            created: row.created.to_string(),
            arrived: row.arrived.to_string(),
        })
    }
}

/// A record with its content.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Record)]
pub struct RecordBody {
    /// SHA-256 of the signed bytes.
    pub id: String,
    /// What it is.
    #[schema(schema_with = words::kind)]
    pub kind: &'static str,
    /// Whose it is.
    pub originator: String,
    /// The number people use; all versions share it.
    pub number: String,
    /// 1 for the first version.
    pub version: u32,
    /// The version before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<String>,
    /// The agreement under which it is released.
    pub agreement: String,
    /// The version of that agreement.
    pub agreement_version: u32,
    /// For whom.
    pub audience: Vec<String>,
    /// How it must be handled.
    pub marking: MarkingBody,
    /// The same as people write it.
    pub marking_text: String,
    /// How reliable and how sure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grading: Option<String>,
    /// What it may be processed for.
    pub purpose: String,
    /// The provision that permits the release.
    pub legal_basis: String,
    /// Whom its personal data concern.
    #[schema(schema_with = words::categories)]
    pub categories: Vec<String>,
    /// Language of the content.
    pub language: String,
    /// When the header was made.
    #[schema(format = DateTime)]
    pub created: String,
    /// When every holder destroys the content.
    #[schema(format = DateTime)]
    pub retain_until: String,
    /// Records that it answers, builds on or concerns.
    pub links: Vec<LinkBody>,
    /// Its attachments, in order.
    pub attachments: Vec<AttachmentView>,
    /// What it says; none when that was destroyed.
    pub content: Option<ContentView>,
    /// How it stands on this node.
    pub here: HereView,
}

/// How a record stands on this node.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct HereView {
    /// How far it has come.
    #[schema(schema_with = words::stage)]
    pub stage: &'static str,
    /// Whether it still stands.
    #[schema(schema_with = words::condition)]
    pub condition: &'static str,
    /// It builds on something that was corrected or recalled.
    pub flagged: bool,
    /// It was sent back by whoever was to approve it.
    pub sent_back: bool,
    /// Why it was sent back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_back_because: Option<String>,
    /// Member who drafted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drafted_by: Option<String>,
    /// Member who submitted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitted_by: Option<String>,
    /// Member who approved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// The organisation that handed it over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// When it was drafted or received.
    #[schema(format = DateTime)]
    pub arrived: String,
    /// The consent under which it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// Who passed it on to here in an emergency, without its originator's consent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emergency: Option<String>,
    /// When its originator's card was revoked, if that was after it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub revoked_later: Option<String>,
}

impl From<&RecordView> for HereView {
    fn from(view: &RecordView) -> Self {
        let row = &view.row;
        Self {
            stage: row.stage.as_str(),
            condition: words::condition_word(row.condition),
            flagged: row.flagged,
            sent_back: row.sent_back,
            sent_back_because: view.sent_back_because.clone(),
            drafted_by: Some(row.drafted_by.clone()).filter(|member| !member.is_empty()),
            submitted_by: row.submitted_by.clone(),
            approved_by: row.approved_by.clone(),
            from: row.from.as_ref().map(ToString::to_string),
            arrived: row.arrived.to_string(),
            grant: row.grant.map(|grant| grant.to_string()),
            emergency: view.emergency.as_ref().map(ToString::to_string),
            revoked_later: view.revoked_later.map(|at| at.to_string()),
        }
    }
}

/// An attachment, without its bytes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AttachmentView {
    /// File name, a label only; none when it was destroyed.
    pub name: Option<String>,
    /// Media type as the author gave it.
    pub media_type: Option<String>,
    /// Length in bytes.
    pub size: u64,
}

/// What a record says, by kind.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ContentView {
    /// Title, in a report, lesson, alert or correction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What handling code H3 or a caveat asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caveat_text: Option<String>,
    /// A STIX 2.1 bundle, as its author gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub stix: Option<Box<RawValue>>,
    /// Why, in a correction, recall or consent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What a consent record does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent: Option<ConsentView>,
}

/// What a consent record does.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsentView {
    /// `ask`, `grant`, `deny` or `emergency`.
    pub act: String,
    /// The holder that would pass the record on.
    pub holder: String,
    /// The organisation that would get it.
    pub recipient: String,
    /// A grant holds until this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub expires: Option<String>,
}

impl From<Content> for ContentView {
    fn from(content: Content) -> Self {
        match content {
            Content::Text(TextContent { title, text, caveat_text, stix, reason, .. }) => {
                Self { title: Some(title), text: Some(text), caveat_text, stix, reason, consent: None }
            }
            Content::Recall(recall) => Self { reason: Some(recall.reason), ..Self::default() },
            Content::Consent(consent) => {
                let expires = consent.expires.map(|at| at.to_string());
                let (holder, recipient) = (consent.holder.to_string(), consent.recipient.to_string());
                let view = ConsentView { act: words::written(&consent.act), holder, recipient, expires };
                Self { reason: Some(consent.reason), consent: Some(view), ..Self::default() }
            }
        }
    }
}

impl RecordBody {
    pub(crate) fn of(view: &RecordView) -> Result<Self, Problem> {
        let row = &view.row;
        let header: Header = json::parse(&row.header, &Header::BUDGET).map_err(Problem::internal)?;
        let content = content(view)?;
        let attachments = attachments(&header, content.as_ref());
        Ok(Self {
            id: row.id.to_string(),
            kind: header.kind.as_str(),
            originator: header.originator.to_string(),
            number: header.number.to_string(),
            version: header.version,
            supersedes: header.supersedes.map(|id| id.to_string()),
            agreement: header.agreement.id.to_string(),
            agreement_version: header.agreement.version,
            audience: texts(&header.audience),
            marking_text: header.marking.to_string(),
            marking: header.marking.into(),
            grading: header.grading.map(|grading| grading.to_string()),
            purpose: header.purpose.to_string(),
            legal_basis: header.legal_basis.to_string(),
            categories: header.categories.iter().map(words::written::<SubjectCategory>).collect(),
            language: header.language,
            created: header.created.to_string(),
            retain_until: header.retain_until.to_string(),
            links: header.links.iter().map(|link| LinkBody { relation: link.relation, to: link.to }).collect(),
            attachments,
            content: content.map(Into::into),
            here: view.into(),
        })
    }
}

/// The content of an opened record, read.
pub(crate) fn content(view: &RecordView) -> Result<Option<Content>, Problem> {
    let bytes = view.content.as_ref().map(|salted| salted.bytes.as_slice());
    bytes.map(|bytes| Content::parse(view.row.kind, bytes)).transpose().map_err(Problem::internal)
}

fn attachments(header: &Header, content: Option<&Content>) -> Vec<AttachmentView> {
    let names = match content {
        Some(Content::Text(text)) => text.attachments.as_slice(),
        _ => &[],
    };
    let names = names.iter().map(Some).chain(std::iter::repeat(None));
    let attachments = header.attachments.iter().zip(names);
    attachments
        .map(|(reference, name)| AttachmentView { name: name.map(|n| n.name.clone()), media_type: name.map(|n| n.media_type.clone()), size: reference.size })
        .collect()
}

/// Why something is sent back, taken back or asked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// Why, in words for whoever reads it later.
    pub reason: String,
}

/// To whom a record is passed on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PassingOn {
    /// The organisation.
    #[schema(value_type = String)]
    pub to: format::OrgId,
}

/// A question to the originator: may the record be passed on?
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsentRequest {
    /// The organisation that would get it.
    #[schema(value_type = String)]
    pub recipient: format::OrgId,
    /// Why.
    pub reason: String,
}

/// A threat for which a record should be passed on without its originator's consent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmergencyStatement {
    /// The organisation that should get it.
    #[schema(value_type = String)]
    pub to: format::OrgId,
    /// What the threat is, and why the originator cannot be asked in good time. The originator reads it, and nobody else.
    pub reason: String,
}

/// The originator's answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsentAnswer {
    /// Whether it may.
    pub grant: bool,
    /// Why, or why not.
    pub reason: String,
    /// A grant holds until this time; as long as the record when absent.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<format::Timestamp>,
}
