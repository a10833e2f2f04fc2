//! The keys of a draft's header: what each is for, whether it is needed, and what can be written.

use std::fmt::Write as _;

/// One key of the header.
pub(super) struct Key {
    /// Its name.
    pub(super) name: &'static str,
    /// Whether a draft must have it.
    pub(super) needed: bool,
    /// What to write, as it would stand in the file.
    pub(super) example: &'static str,
    /// What it is for.
    doc: &'static str,
}

const fn needed(name: &'static str, example: &'static str, doc: &'static str) -> Key {
    Key { name, needed: true, example, doc }
}

const fn optional(name: &'static str, example: &'static str, doc: &'static str) -> Key {
    Key { name, needed: false, example, doc }
}

/// Every key, in the order in which the template shows them.
pub(super) const KEYS: &[Key] = &[
    needed("kind", "\"report\"", "report (information), lesson (experience) or alert (something to act on now)."),
    needed("agreement", "\"se-no\"", "The agreement under which it is released, in the version that is in force."),
    needed("audience", "[\"no-pst\"]", "For whom: every organisation by name."),
    needed("classification", "\"se:bh\"", "scheme:code. Swedish se:open, se:bh, se:k, se:h, se:kh; likewise eu:, nato:, uk:."),
    needed("tlp", "\"amber\"", "Traffic Light Protocol 2.0: clear, green, amber, amber+strict or red."),
    optional("pap", "\"amber\"", "Permissible actions: clear, green, amber or red."),
    optional("handling", "[\"h1\"]", "Europol handling codes: h0, h1, h2, h3."),
    optional("caveats", "[\"originator-control\"]", "originator-control, national-only."),
    optional("caveat-text", "\"Not to be used in interviews.\"", "What handling code h3 asks for, in words."),
    optional("releasable-to", "[\"no-pst\"]", "The only organisations to which it may ever go."),
    optional("grading", "\"admiralty:B2\"", "Source and information: admiralty:A1 to admiralty:F6, or 4x4:A1 to 4x4:X4."),
    needed("purpose", "\"counter-terrorism\"", "What it may be processed for: one of the agreement's purposes."),
    needed("legal-basis", "\"2019:1182 2:4\"", "The provision that permits the release: one of the agreement's legal bases."),
    optional("categories", "[\"suspected\"]", "Whom its personal data concern: suspected, convicted, victim, other. Leave out if it has none."),
    needed("language", "\"sv\"", "Language of the text, a tag such as sv or en."),
    optional("retention-days", "365", "Days until every holder destroys it; without it, the longest that the agreement permits."),
    optional("based-on", "[\"PST-2026-000017\"]", "Records it builds on, by number or id. Their correction or recall flags it."),
    optional("answers", "[\"PST-2026-000017\"]", "Records it answers, by number or id."),
    optional("stix", "\"bundle.json\"", "A STIX 2.1 bundle to go with it: a file beside this one."),
    optional("reason", "\"The date was wrong.\"", "Why, in a correction."),
];

/// A whole draft with every key explained; those that are not needed are comments.
pub(crate) fn template() -> String {
    let mut out = String::from("+++\n# Keys that are not needed have a # before them: take it away to use one.\n");
    for key in KEYS {
        let mark = if key.needed { "" } else { "# " };
        // Writing to a string can't fail.
        _ = write!(out, "\n# {}\n{mark}{} = {}\n", key.doc, key.name, key.example);
    }
    out + "+++\n\n# Title of the report\n\nThe text, in Markdown.\n"
}
