//! The story: one report, from its draft to the last holder's word that it is gone.
//!
//! Each step is taken as its person would take it, and checked: where the outcome is another than it must be, the story
//! ends with a failure that says which step. Persons and events are made up.

use std::path::Path;

use format::{Digest, OrgId};
use serde_json::{Value, json};

use super::nodes::Running;
use super::{Federation, say, wait_for};
use crate::answer::Answer as _;
use crate::client::Client;
use crate::export;
use crate::failure::{Failure, Outcome};

const PURPOSE: &str = "counter-terrorism";
/// Attached when no bundle is given.
const MADE_UP_STIX: &str = include_str!("../../data/made-up-bundle.json");

/// The organisations of the story.
struct Cast<'a> {
    sapo: &'a Running,
    pet: &'a Running,
    pst: &'a Running,
    europol: &'a Running,
}

impl<'a> Cast<'a> {
    fn of(federation: &'a Federation) -> Outcome<Self> {
        let node = |name: &str| name.parse::<OrgId>().map_err(|error| Failure::usage(error.to_string())).and_then(|org| federation.node(&org));
        Ok(Self { sapo: node("se-sapo")?, pet: node("dk-pet")?, pst: node("no-pst")?, europol: node("eu-europol")? })
    }
}

fn step(number: u32, words: &str) {
    say(&format!("\n{number:>2}. {words}"));
}

fn detail(words: &str) {
    say(&format!("    {words}"));
}

/// Ends the story unless something is so.
fn must(so: bool, what: &str) -> Outcome {
    if so { Ok(()) } else { Err(Failure::refused(format!("the story does not hold: {what}"))) }
}

/// Tells the story; gives the number of the record that it is about.
pub(super) async fn tell(federation: &Federation, stix: Option<&Path>) -> Outcome<String> {
    let cast = Cast::of(federation)?;
    let (number, record) = draft(&cast, stix).await?;
    second_person(&cast, &record).await?;
    release(&cast, &record).await?;
    let built = build_on(&cast, &record).await?;
    pass_on(&cast, &record).await?;
    correct(&cast, &number, &built).await?;
    recall(&cast, &number).await?;
    prove(&cast).await?;
    Ok(number)
}

/// After a second start: everything is as it was.
pub(super) async fn again(federation: &Federation, number: &str) -> Outcome {
    let cast = Cast::of(federation)?;
    let holders = cast.sapo.by("rolf")?.get(&["records", number, "holders"]).send().await?;
    must(holders.items("/outstanding").is_empty() && !holders.items("/confirmed").is_empty(), "what was confirmed before the restart is confirmed after it")?;
    say(&format!("Everything is as it was: {number} is recalled, and {} confirmed it.", holders.joined("/confirmed")));
    Ok(())
}

fn report(title: &str, text: &str, audience: &[&str]) -> Value {
    json!({
        "kind": "report", "agreement": "ctg", "audience": audience,
        "marking": { "classification": "se:k", "tlp": "green" },
        "grading": "admiralty:B2", "purpose": PURPOSE, "legal-basis": "2019:1182 2:4",
        "categories": ["suspected"], "language": "en", "retention-days": 365,
        "content": { "title": title, "text": text },
    })
}

async fn draft(cast: &Cast<'_>, stix: Option<&Path>) -> Outcome<(String, String)> {
    step(1, "At the Swedish Security Service, Siri drafts a report for the Danish and Norwegian services, and for the Swedish police.");
    let siri = cast.sapo.by("siri")?;
    let text = "A person known here as ALDER is said to plan travel through Copenhagen in December. One source, direct access.";
    let made = siri.post(&["drafts"]).json(&report("Travel of ALDER", text, &["dk-pet", "no-pst", "se-polisen"])).send().await?;
    let (number, version) = (made.text("/number"), made.text("/version"));
    let (name, bytes) = match stix {
        Some(path) => {
            let bytes = std::fs::read(path).map_err(|error| Failure::usage(format!("`{}` cannot be read: {error}", path.display())))?;
            (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), bytes)
        }
        None => ("made-up-bundle.json".to_owned(), MADE_UP_STIX.as_bytes().to_vec()),
    };
    detail(&format!("{number}, marked KONFIDENTIELL TLP:GREEN, with a STIX 2.1 bundle of {} kB attached ({name}).", bytes.len() / 1000));
    let attach = siri.post(&["drafts", &number, &version, "attachments"]).query("name", &name).query("media-type", "application/stix+json;version=2.1");
    attach.body("application/octet-stream", bytes).send().await?;
    let submitted = siri.post(&["drafts", &number, &version, "submission"]).send().await?;
    Ok((number, submitted.text("/id")))
}

async fn second_person(cast: &Cast<'_>, record: &str) -> Outcome {
    step(2, "Siri is a release officer too, and tries to approve it herself.");
    expect_refused(cast.sapo.by("siri")?.post(&["records", record, "approval"]).send().await, "own-draft")?;
    step(3, "Rolf, a second person, approves exactly these bytes.");
    cast.sapo.by("rolf")?.post(&["records", record, "approval"]).send().await?;
    Ok(())
}

async fn release(cast: &Cast<'_>, record: &str) -> Outcome {
    step(4, "Before release: who will get this, and why not the others?");
    let rolf = cast.sapo.by("rolf")?;
    let preview = rolf.get(&["records", record, "preview"]).purpose(PURPOSE).send().await?;
    for line in preview.items("/permitted").iter().filter(|line| line.holds("/audience")) {
        detail(&format!(
            "{:<12} will get it. {}",
            line.text("/org"),
            line.items("/grounds").first().map(|ground| ground.text("/sentence")).unwrap_or_default()
        ));
    }
    for line in preview.items("/refused").iter().filter(|line| line.holds("/audience")) {
        detail(&format!("{:<12} will not: {}", line.text("/org"), line.items("/reasons").first().map(|reason| reason.text("/sentence")).unwrap_or_default()));
    }
    let in_audience = |list: &str| preview.items(list).iter().filter(|line| line.holds("/audience")).map(|line| line.text("/org")).collect::<Vec<_>>();
    must(in_audience("/permitted") == ["dk-pet", "no-pst"] && in_audience("/refused") == ["se-polisen"], "the preview permits two and refuses one")?;

    step(5, "Rolf releases it under the CTG agreement.");
    let released = rolf.post(&["records", record, "release"]).send().await?;
    must(released.joined("/recipients") == "dk-pet, no-pst", "it goes to the two parties")?;
    must(released.items("/refused").first().is_some_and(|line| line.text("/org") == "se-polisen"), "it is refused to the police, with its reason")?;
    for holder in ["dk-pet", "no-pst"] {
        wait_holding(rolf, record, holder, "held").await?;
        detail(&format!("{holder} has it, by its signed receipt."));
    }
    for partner in [cast.pet, cast.pst] {
        let anna = partner.by("anna")?;
        let shown = anna.get(&["records", record]).purpose(PURPOSE).send().await?;
        must(shown.text("/content/title") == "Travel of ALDER", "the partners read what was written")?;
        let size = shown.items("/attachments").first().map(|attachment| attachment.number("/size")).unwrap_or_default();
        wait_for("the attachment to arrive whole", || async {
            let fetched = anna.get(&["records", record, "attachments", "0"]).purpose(PURPOSE).bytes().await;
            Ok(fetched.is_ok_and(|bytes| bytes.len() as u64 == size))
        })
        .await?;
    }
    detail("Both read it, attachment and all; each reading is in their ledgers, with its purpose.");
    Ok(())
}

/// The Norwegian service writes a report that builds on the Swedish one.
async fn build_on(cast: &Cast<'_>, record: &str) -> Outcome<String> {
    step(6, "The Norwegian service writes a report of its own that builds on it, and releases it to Denmark.");
    let mut body = report("ALDER in Oslo", "Seen in Oslo last week, which fits what Sweden told us.", &["dk-pet"]);
    if let Some(body) = body.as_object_mut() {
        body.insert("links".to_owned(), json!([{ "relation": "based-on", "to": record }]));
    }
    let anna = cast.pst.by("anna")?;
    let made = anna.post(&["drafts"]).json(&body).send().await?;
    put_through(cast.pst, "anna", &made.text("/number"), &made.text("/version")).await
}

async fn put_through(node: &Running, author: &str, number: &str, version: &str) -> Outcome<String> {
    let submitted = node.by(author)?.post(&["drafts", number, version, "submission"]).send().await?;
    let id = submitted.text("/id");
    let rolf = node.by("rolf")?;
    rolf.post(&["records", &id, "approval"]).send().await?;
    rolf.post(&["records", &id, "release"]).send().await?;
    Ok(id)
}

async fn pass_on(cast: &Cast<'_>, record: &str) -> Outcome {
    step(7, "Denmark would pass it on to Europol, and may not without the originator's consent.");
    let (lena, officer) = (cast.pet.by("lena")?, cast.pet.by("rolf")?);
    let to_europol = json!({ "to": "eu-europol" });
    expect_refused(officer.post(&["records", record, "passing-on"]).json(&to_europol).send().await, "consent-missing")?;
    step(8, "So Denmark asks Sweden, and Sweden consents: to this record, to this recipient.");
    let asked = lena
        .post(&["records", record, "consent-requests"])
        .json(&json!({ "recipient": "eu-europol", "reason": "Europol holds the other half." }))
        .send()
        .await?;
    let ask = asked.text("/id");
    let rolf = cast.sapo.by("rolf")?;
    wait_for("the question to arrive", || async { Ok(rolf.get(&["records", &ask]).purpose(PURPOSE).send().await.is_ok()) }).await?;
    let granted = rolf.post(&["records", &ask, "consent-answer"]).json(&json!({ "grant": true, "reason": "Agreed with the desk." })).send().await?;
    let grant = granted.text("/id");
    wait_for("the consent to arrive", || async { Ok(officer.get(&["records", &grant]).purpose(PURPOSE).send().await.is_ok()) }).await?;
    officer.post(&["records", record, "passing-on"]).json(&to_europol).send().await?;
    wait_holding(rolf, record, "eu-europol", "held").await?;
    detail("Europol has it, with the originator's own signature; Sweden sees it: eu-europol, by way of dk-pet.");
    must(cast.europol.by("anna")?.get(&["records", record]).purpose(PURPOSE).send().await?.text("/originator") == "se-sapo", "Europol reads it as Sweden's")
}

async fn correct(cast: &Cast<'_>, number: &str, built: &str) -> Outcome {
    step(9, "The Security Service learns that the city was wrong, and corrects the report.");
    let siri = cast.sapo.by("siri")?;
    let mut body =
        report("Travel of ALDER", "A person known here as ALDER is said to plan travel through Malmö, not Copenhagen, in December.", &["dk-pet", "no-pst"]);
    if let Some(content) = body.get_mut("content").and_then(Value::as_object_mut) {
        content.insert("reason".to_owned(), json!("The source named the wrong city."));
    }
    let made = siri.post(&["records", number, "correction"]).json(&body).send().await?;
    let corrected = put_through(cast.sapo, "siri", number, &made.text("/version")).await?;
    let rolf = cast.sapo.by("rolf")?;
    for holder in ["dk-pet", "no-pst", "eu-europol"] {
        wait_holding(rolf, &corrected, holder, "held").await?;
    }
    detail("The correction reached every holder, Europol too, by the way the report had gone.");
    let norway = cast.pst.by("anna")?;
    wait_for("the Norwegian report to be flagged", || async { Ok(norway.get(&["records", built]).purpose(PURPOSE).send().await?.holds("/here/flagged")) })
        .await?;
    detail("In Norway the report that builds on it is flagged: its source was corrected.");
    Ok(())
}

async fn recall(cast: &Cast<'_>, number: &str) -> Outcome {
    step(10, "The source withdraws. Sweden recalls the report, in every version, from every holder.");
    let rolf = cast.sapo.by("rolf")?;
    rolf.post(&["records", number, "recall"]).json(&json!({ "reason": "The source withdrew." })).send().await?;
    wait_for("every holder to confirm", || async {
        let holders = rolf.get(&["records", number, "holders"]).send().await?;
        Ok(holders.items("/outstanding").is_empty() && holders.items("/confirmed").len() >= 3)
    })
    .await?;
    let holders = rolf.get(&["records", number, "holders"]).send().await?;
    detail(&format!("Confirmed by signed notices: {}. Outstanding: none.", holders.joined("/confirmed")));
    for (partner, name) in [(cast.pet, "Denmark"), (cast.europol, "Europol")] {
        let shown = partner.by("anna")?.get(&["records", number]).purpose(PURPOSE).send().await?;
        must(shown.pointer("/content").is_none_or(Value::is_null), &format!("{name} cannot read it any more"))?;
    }
    detail("What is left at the holders is the evidence: header, signatures, receipts. The content's keys are destroyed.");
    Ok(())
}

async fn prove(cast: &Cast<'_>) -> Outcome {
    step(11, "Osk, the auditor, exports the ledger and verifies it with nothing but the export and the organisation's card.");
    let osk = cast.sapo.by("osk")?;
    let exported = osk.get(&["ledger", "export"]).bytes().await?;
    let card = osk.get(&["organisations", "se-sapo", "card"]).bytes().await?;
    let (card, keys) = format::card::introduce(&card).map_err(|error| Failure::refused(format!("the node's card does not verify: {error}")))?;
    let signer = export::Signer { card: card.value().clone(), keys };
    let report =
        export::verify(exported.as_slice(), &[signer], Vec::new(), |_| {}).map_err(|error| Failure::refused(format!("the ledger does not verify: {error}")))?;
    detail(&format!("{} entries, root {}: nothing was added, changed or left out.", report.entries, Digest::from(report.root).short()));
    Ok(())
}

/// Waits until the originator has a holder's word about its copy.
async fn wait_holding(client: &Client, record: &str, holder: &str, state: &str) -> Outcome {
    wait_for(&format!("{holder} to say that it has {record}"), || async {
        let holders = client.get(&["records", record, "holders"]).send().await?;
        Ok(holders.items("/copies").iter().any(|copy| copy.text("/holder") == holder && copy.text("/state") == state))
    })
    .await
}

/// The act must be refused for this reason; its sentence is shown.
fn expect_refused(outcome: Outcome<Value>, code: &str) -> Outcome {
    let Err(refused) = outcome else {
        return Err(Failure::refused(format!("the story does not hold: it was allowed, and must be refused ({code})")));
    };
    let told = refused.to_json();
    let reasons = told.pointer("/reasons").or_else(|| told.pointer("/problem/reasons")).and_then(Value::as_array).cloned().unwrap_or_default();
    let reason = reasons.iter().find(|reason| reason.text("/code") == code);
    let Some(reason) = reason else {
        return Err(Failure::refused(format!("the story does not hold: it was refused, but not as {code}: {told}")));
    };
    detail(&format!("Refused: {}", reason.text("/sentence")));
    Ok(())
}
