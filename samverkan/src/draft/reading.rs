//! From the text of a file to a [`Draft`], noting every fault on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

use format::marking::{Caveat, Classification, Handling, Level, Marking, Pap, Tlp};
use format::record::{Kind, MAX_LINKS, Relation, SubjectCategory};
use format::stix;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde_json::value::RawValue;

use super::keys::KEYS;
use super::{Draft, MAX_EMBEDDED, Stix};
use crate::keyed::{Document, Fault};

/// The most characters in a title.
const MAX_TITLE: usize = 300;

/// The header as TOML gives it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Front {
    kind: Option<String>,
    agreement: Option<String>,
    audience: Option<Vec<String>>,
    classification: Option<String>,
    tlp: Option<String>,
    pap: Option<String>,
    handling: Vec<String>,
    caveats: Vec<String>,
    caveat_text: Option<String>,
    releasable_to: Option<Vec<String>>,
    grading: Option<String>,
    purpose: Option<String>,
    legal_basis: Option<String>,
    categories: Vec<String>,
    language: Option<String>,
    retention_days: Option<u32>,
    based_on: Vec<String>,
    answers: Vec<String>,
    stix: Option<String>,
    reason: Option<String>,
}

pub(super) fn parse(text: &str, beside: &Path) -> Result<Draft, Vec<Fault>> {
    let parts = split(text)?;
    let mut document = Document::new(parts.front, 2);
    let (front, lines) = document.top::<Front>();
    let mut reading = Reading { faults: document.end("the keys of a draft"), lines };
    reading.faults.iter_mut().for_each(|fault| fault.what = with_example(&fault.key, &fault.what));
    let draft = reading.draft(front, &parts, beside);
    match draft {
        Some(draft) if reading.faults.is_empty() => Ok(draft),
        _ => {
            reading.faults.sort_by_key(|fault| fault.line.unwrap_or(usize::MAX));
            Err(reading.faults)
        }
    }
}

/// A file cut into its parts.
struct Parts<'a> {
    front: &'a str,
    title: Option<(usize, &'a str)>,
    text: &'a str,
    body_line: usize,
}

fn split(text: &str) -> Result<Parts<'_>, Vec<Fault>> {
    let fault = |line, what: &str| Err(vec![Fault { line: Some(line), key: String::new(), what: what.to_owned() }]);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some((first, rest)) = text.split_once('\n') else { return fault(1, "the file is empty: begin it with a line `+++`") };
    match first.trim_end() {
        "+++" => {}
        "---" => return fault(1, "the header is TOML between lines `+++`, not YAML between lines `---`"),
        _ => return fault(1, "the file must begin with a line `+++`, followed by the header and another line `+++`"),
    }
    let mut end = 0;
    for (count, line) in rest.split_inclusive('\n').enumerate() {
        if line.trim_end() == "+++" {
            let front = rest.get(..end).unwrap_or_default();
            let body = rest.get(end + line.len()..).unwrap_or_default();
            return Ok(cut_body(front, body, count + 3));
        }
        end += line.len();
    }
    fault(1, "the header does not end: write a line `+++` after its last key")
}

fn cut_body<'a>(front: &'a str, body: &'a str, body_line: usize) -> Parts<'a> {
    let mut start = 0;
    for (count, line) in body.split_inclusive('\n').enumerate() {
        start += line.len();
        let Some(title) = line.strip_prefix("# ") else {
            if line.trim().is_empty() {
                continue;
            }
            break;
        };
        let text = body.get(start..).unwrap_or_default().trim();
        return Parts { front, title: Some((body_line + count, title.trim())), text, body_line };
    }
    Parts { front, title: None, text: body.trim(), body_line }
}

struct Reading {
    faults: Vec<Fault>,
    lines: BTreeMap<String, usize>,
}

impl Reading {
    fn draft(&mut self, front: Front, parts: &Parts<'_>, beside: &Path) -> Option<Draft> {
        let kind = self.needed("kind", front.kind).and_then(|text| self.kind(&text));
        let agreement = self.needed("agreement", front.agreement).and_then(|text| self.parse("agreement", &text));
        let audience = self.needed("audience", front.audience).map(|list| self.parse_all("audience", &list));
        let purpose = self.needed("purpose", front.purpose).and_then(|text| self.parse("purpose", &text));
        let legal_basis = self.needed("legal-basis", front.legal_basis).and_then(|text| self.parse("legal-basis", &text));
        let language = self.needed("language", front.language).and_then(|text| self.language(text));
        let marking = self.marking(front.classification, front.tlp, front.pap, &front.handling, &front.caveats, front.releasable_to.as_deref());
        if audience.as_ref().is_some_and(BTreeSet::is_empty) && !self.faulty("audience") {
            self.fault("audience", &"names nobody");
        }
        if front.handling.iter().any(|code| code == "h3") && front.caveat_text.is_none() {
            self.fault("caveat-text", &"is missing: handling code h3 asks for it");
        }
        if front.retention_days == Some(0) {
            self.fault("retention-days", &"must be 1 or more");
        }
        let links = self.links(front.based_on, front.answers);
        let categories = front.categories.iter().filter_map(|text| self.word::<SubjectCategory>("categories", text)).collect();
        let grading = front.grading.and_then(|text| self.parse("grading", &text));
        let stix = front.stix.map_or(Stix::None, |file| self.stix(&file, beside, marking.as_ref()));
        let title = self.title(parts);
        Some(Draft {
            kind: kind?,
            agreement: agreement?,
            audience: audience?,
            marking: marking?,
            grading,
            purpose: purpose?,
            legal_basis: legal_basis?,
            categories,
            language: language?,
            retention_days: front.retention_days,
            links,
            title: title?,
            text: parts.text.to_owned(),
            caveat_text: front.caveat_text,
            reason: front.reason,
            stix,
        })
    }

    fn marking(
        &mut self,
        classification: Option<String>,
        tlp: Option<String>,
        pap: Option<String>,
        handling: &[String],
        caveats: &[String],
        releasable_to: Option<&[String]>,
    ) -> Option<Marking> {
        let classification = self.needed("classification", classification).and_then(|text| self.classification(&text));
        let tlp = self.needed("tlp", tlp).and_then(|text| self.code("tlp", &text, Tlp::KNOWN));
        let pap = pap.and_then(|text| self.code("pap", &text, Pap::KNOWN));
        let handling = handling.iter().filter_map(|text| self.code("handling", text, Handling::KNOWN)).collect();
        let caveats = caveats.iter().filter_map(|text| self.code("caveats", text, Caveat::KNOWN)).collect();
        let releasable_to = releasable_to.map(|list| self.parse_all("releasable-to", list));
        Some(Marking { classification: classification?, tlp: tlp?, pap, handling, caveats, releasable_to })
    }

    fn kind(&mut self, text: &str) -> Option<Kind> {
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == text);
        let drafted = kind.filter(|kind| matches!(kind, Kind::Report | Kind::Lesson | Kind::Alert));
        if drafted.is_none() {
            self.fault("kind", &format!("`{text}` is not something to draft: write report, lesson or alert"));
        }
        drafted
    }

    fn classification(&mut self, text: &str) -> Option<Classification> {
        let known = text.parse().ok().filter(|code: &Classification| code.level() != Level::Unknown);
        if known.is_none() {
            let codes: Vec<String> = Classification::known().map(|code| code.to_string()).collect();
            self.fault("classification", &format!("`{text}` is not known: write one of {}", codes.join(", ")));
        }
        known
    }

    /// A code of a closed set; what other versions may know is not for authors to write.
    fn code<T: Clone + Display>(&mut self, key: &str, text: &str, known: &[T]) -> Option<T> {
        let found = known.iter().find(|code| code.to_string() == text);
        if found.is_none() {
            let codes: Vec<String> = known.iter().map(ToString::to_string).collect();
            self.fault(key, &format!("`{text}` is not known: write {}", codes.join(", ")));
        }
        found.cloned()
    }

    /// A word of a set that is known to serde alone.
    fn word<T: DeserializeOwned>(&mut self, key: &str, text: &str) -> Option<T> {
        let word = T::deserialize(StrDeserializer::<ValueError>::new(text));
        word.map_err(|error| self.fault(key, &error)).ok()
    }

    fn parse<T: FromStr<Err: Display>>(&mut self, key: &str, text: &str) -> Option<T> {
        text.parse().map_err(|error| self.fault(key, &error)).ok()
    }

    fn parse_all<T: FromStr<Err: Display> + Ord>(&mut self, key: &str, list: &[String]) -> BTreeSet<T> {
        list.iter().filter_map(|text| self.parse(key, text)).collect()
    }

    fn language(&mut self, text: String) -> Option<String> {
        let tag = (2..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !tag {
            self.fault("language", &format!("`{text}` is not a language tag: write sv or en, for example"));
        }
        tag.then_some(text)
    }

    fn links(&mut self, based_on: Vec<String>, answers: Vec<String>) -> Vec<(Relation, String)> {
        let (built, answered) = (based_on.into_iter().map(|to| (Relation::BasedOn, to)), answers.into_iter().map(|to| (Relation::Answers, to)));
        let links: Vec<_> = built.chain(answered).collect();
        for (relation, to) in &links {
            let key = if *relation == Relation::BasedOn { "based-on" } else { "answers" };
            if !crate::reference::is_reference(to) {
                self.fault(key, &format!("`{to}` is not a record: write its number, such as PST-2026-000017, its number and version, or its id"));
            }
        }
        if links.len() > MAX_LINKS {
            self.fault("based-on", &format!("with `answers` names {} records; at most {MAX_LINKS} can be", links.len()));
        }
        links
    }

    fn title(&mut self, parts: &Parts<'_>) -> Option<String> {
        let fault = |line, what: String| Fault { line: Some(line), key: String::new(), what };
        let Some((line, title)) = parts.title else {
            self.faults.push(fault(parts.body_line, "the text must begin with its title: a line that starts with `# `".to_owned()));
            return None;
        };
        let length = title.chars().count();
        if !(1..=MAX_TITLE).contains(&length) || title.chars().any(char::is_control) {
            self.faults.push(fault(line, format!("the title has {length} characters: write 1 to {MAX_TITLE}, without control characters")));
            return None;
        }
        Some(title.to_owned())
    }

    fn stix(&mut self, file: &str, beside: &Path, marking: Option<&Marking>) -> Stix {
        let path = beside.join(file);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                self.fault("stix", &format!("`{}` cannot be read: {error}", path.display()));
                return Stix::None;
            }
        };
        match stix::summary(text.as_bytes()) {
            Ok(found) => {
                let strictest = found.tlp.map(Tlp::from);
                if let (Some(inside), Some(marking)) = (strictest, marking)
                    && inside > marking.tlp
                {
                    self.fault("tlp", &format!("is {}, and `{file}` has objects marked {inside}: write tlp = \"{inside}\", or leave them out", marking.tlp));
                }
            }
            Err(error) => self.fault("stix", &format!("`{file}` is not a STIX 2.1 bundle that can be admitted: {error}")),
        }
        if text.len() > MAX_EMBEDDED {
            return Stix::Attached(path);
        }
        RawValue::from_string(text.trim().to_owned()).map_or(Stix::None, Stix::Embedded)
    }

    fn needed<T>(&mut self, key: &str, value: Option<T>) -> Option<T> {
        if value.is_none() && !self.faulty(key) {
            self.fault(key, &"is missing");
        }
        value
    }

    fn faulty(&self, key: &str) -> bool {
        self.faults.iter().any(|fault| fault.key == key)
    }

    fn fault(&mut self, key: &str, what: &dyn Display) {
        let what = with_example(key, &what.to_string());
        self.faults.push(Fault { line: self.lines.get(key).copied(), key: key.to_owned(), what });
    }
}

/// What is wrong, and a line that would be right unless that was said already.
fn with_example(key: &str, what: &str) -> String {
    match KEYS.iter().find(|known| known.name == key) {
        Some(known) if !what.contains("write ") => format!("{what}; write for example {key} = {}", known.example),
        _ => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft::template;

    fn faults(text: &str) -> String {
        parse(text, Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_template_is_a_draft_and_shows_every_key() {
        let draft = parse(&template(), Path::new("")).unwrap();
        assert_eq!((draft.kind, draft.title.as_str(), draft.text.as_str()), (Kind::Report, "Title of the report", "The text, in Markdown."));
        let all = template().replace("# Keys", "## Keys");
        let all: String =
            all.lines().map(|line| line.strip_prefix("# ").filter(|l| l.contains(" = ")).unwrap_or(line)).fold(String::new(), |all, line| all + line + "\n");
        let found = parse(&all, Path::new("/nowhere")).unwrap_err();
        assert_eq!(found.len(), 1, "only the bundle is not there: {found:?}");
        let Front { kind: _, .. } = Front::default();
        let keys: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
        let unknown = faults("+++\nnothing = 1\n+++\n# T\n");
        assert!(keys.iter().all(|key| unknown.contains(&format!("`{key}`"))), "{unknown}");
    }

    #[test]
    fn every_fault_is_told_with_its_line_and_what_to_write() {
        insta::assert_snapshot!(faults(
            "+++\n\
             kind = \"recall\"\n\
             audience = [\"no-pst\", \"PET\"]\n\
             classification = \"hemlig\"\n\
             tlp = \"ambr\"\n\
             handling = [\"h3\", \"h9\"]\n\
             grading = \"B2\"\n\
             purpose = \"counter terrorism\"\n\
             legal-basis = 2019\n\
             categories = [\"suspects\"]\n\
             language = \"swedish language\"\n\
             retention-days = -1\n\
             based-on = [\"the last one\"]\n\
             tittle = \"x\"\n\
             +++\n\
             \n\
             No title here.\n"
        ));
    }

    #[test]
    fn the_shape_of_the_file_is_told_first() {
        for (text, fault) in [
            ("", "line 1: the file is empty: begin it with a line `+++`"),
            ("---\nkind: report\n---\n", "line 1: the header is TOML between lines `+++`, not YAML between lines `---`"),
            ("# Title\n", "line 1: the file must begin with a line `+++`, followed by the header and another line `+++`"),
            ("+++\nkind = \"report\"\n", "line 1: the header does not end: write a line `+++` after its last key"),
        ] {
            assert_eq!(faults(text), fault);
        }
    }

    #[test]
    fn a_bundle_may_not_be_stricter_than_the_draft_that_carries_it() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../format/testdata/stix/made-up-bundle.json");
        let Ok(file) = file.canonicalize() else { return };
        let text = template().replace("# stix = \"bundle.json\"", &format!("stix = {:?}", file.to_str().unwrap()));
        let draft = parse(&text, Path::new("")).unwrap();
        assert!(matches!(draft.stix, Stix::Embedded(_)));
        let loose = text.replace("tlp = \"amber\"\n", "tlp = \"green\"\n");
        assert!(faults(&loose).contains("has objects marked amber: write tlp = \"amber\""), "{}", faults(&loose));
    }
}
