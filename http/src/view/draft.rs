//! Drafts, as their authors give them.

use std::collections::BTreeSet;

use format::grading::Grading;
use format::id::{LegalBasis, Purpose};
use format::marking::{Caveat, Classification, Handling, Marking, Pap, Tlp};
use format::record::{Kind, Link, Relation, SubjectCategory, TextContent};
use format::{AgreementId, OrgId, RecordId};
use node::command::DraftInput;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::words;
use crate::problem::Problem;

/// A draft of a report, lesson or alert, or of a correction.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schema(as = Draft)]
pub struct DraftBody {
    /// What it is; a correction is of the kind that it corrects.
    #[schema(schema_with = words::kind)]
    pub kind: Kind,
    /// The agreement, in its version in force.
    #[schema(value_type = String, example = "ctg")]
    pub agreement: AgreementId,
    /// For whom; in a correction the audience until now is added.
    #[schema(value_type = Vec<String>, example = json!(["no-pst", "dk-pet"]))]
    pub audience: BTreeSet<OrgId>,
    /// How it must be handled.
    pub marking: MarkingBody,
    /// How reliable and how sure: `admiralty:B2` or `4x4:A1`.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "admiralty:B2")]
    pub grading: Option<Grading>,
    /// What it may be processed for.
    #[schema(value_type = String, example = "counter-terrorism")]
    pub purpose: Purpose,
    /// The provision that permits the release.
    #[schema(value_type = String, example = "2019:1182 2:4")]
    pub legal_basis: LegalBasis,
    /// Whom its personal data concern; empty when it has none.
    #[serde(default)]
    #[schema(schema_with = words::categories, required = false)]
    pub categories: BTreeSet<SubjectCategory>,
    /// Language of the text, a BCP 47 tag.
    #[schema(example = "sv")]
    pub language: String,
    /// Days until every holder destroys it; the agreement's longest when absent.
    #[serde(default)]
    pub retention_days: Option<u32>,
    /// Records that it answers or builds on.
    #[serde(default)]
    pub links: Vec<LinkBody>,
    /// What it says.
    pub content: DraftContent,
}

/// What a draft says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DraftContent {
    /// Title.
    #[schema(max_length = 300)]
    pub title: String,
    /// Markdown.
    pub text: String,
    /// What handling code H3 or a caveat asks for, in words.
    #[serde(default)]
    pub caveat_text: Option<String>,
    /// A STIX 2.1 bundle, kept as the bytes that come in.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub stix: Option<Box<RawValue>>,
    /// Why, in a correction.
    #[serde(default)]
    pub reason: Option<String>,
}

/// How something must be handled.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schema(as = Marking)]
pub struct MarkingBody {
    /// Classification in the originator's scheme.
    #[schema(schema_with = words::classification)]
    pub classification: Classification,
    /// Traffic light.
    #[schema(schema_with = words::tlp)]
    pub tlp: Tlp,
    /// Permissible actions, where stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::pap, required = false)]
    pub pap: Option<Pap>,
    /// Europol handling codes.
    #[serde(default)]
    #[schema(schema_with = words::handling, required = false)]
    pub handling: BTreeSet<Handling>,
    /// Caveats.
    #[serde(default)]
    #[schema(schema_with = words::caveats, required = false)]
    pub caveats: BTreeSet<Caveat>,
    /// The organisations to which it is releasable; not limited in this way when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub releasable_to: Option<BTreeSet<OrgId>>,
}

impl From<MarkingBody> for Marking {
    fn from(body: MarkingBody) -> Self {
        let MarkingBody { classification, tlp, pap, handling, caveats, releasable_to } = body;
        Self { classification, tlp, pap, handling, caveats, releasable_to }
    }
}

impl From<Marking> for MarkingBody {
    fn from(marking: Marking) -> Self {
        let Marking { classification, tlp, pap, handling, caveats, releasable_to } = marking;
        Self { classification, tlp, pap, handling, caveats, releasable_to }
    }
}

/// A link to another record.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Link)]
pub struct LinkBody {
    /// How it is related.
    #[schema(schema_with = words::relation)]
    pub relation: Relation,
    /// To which record, by id.
    #[schema(value_type = String)]
    pub to: RecordId,
}

impl DraftBody {
    /// The same as the node takes it.
    pub(crate) fn read(self) -> Result<DraftInput, Problem> {
        let marking: Marking = self.marking.into();
        if let Some(code) = marking.unknown_code() {
            return Err(Problem::invalid("marking", format_args!("the code `{code}` is not known")));
        }
        let DraftContent { title, text, caveat_text, stix, reason } = self.content;
        Ok(DraftInput {
            kind: self.kind,
            agreement: self.agreement,
            audience: self.audience,
            marking,
            grading: self.grading,
            purpose: self.purpose,
            legal_basis: self.legal_basis,
            categories: self.categories,
            language: self.language,
            retention_days: self.retention_days,
            links: self.links.into_iter().map(|link| Link { relation: link.relation, to: link.to }).collect(),
            content: TextContent { title, text, caveat_text, attachments: Vec::new(), stix, reason },
        })
    }
}

/// A draft that was begun or changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct DraftPlace {
    /// Its number, which it keeps.
    #[schema(example = "SAPO-2026-000123")]
    pub number: String,
    /// Its version, which it keeps.
    pub version: u32,
}

/// A record that was submitted, approved or made.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordPlace {
    /// Its id: SHA-256 of exactly the bytes that were meant.
    pub id: String,
    /// Its number.
    pub number: String,
    /// Its version.
    pub version: u32,
}

/// What an attachment is called. The body is the attachment.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AttachmentLabel {
    /// File name, a label only.
    #[param(max_length = 200)]
    pub name: String,
    /// Media type.
    #[param(max_length = 100)]
    pub media_type: String,
}

/// An attachment that was added to a draft.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttachmentMade {
    /// The draft's number.
    pub number: String,
    /// The draft's version.
    pub version: u32,
    /// Length in bytes.
    pub size: u64,
}
