//! The journey: three nodes do the main job, with a secret wherever one can be given, and everything they leave is kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::Find;
use crate::chest::Chest;
use crate::pair::{Member, Node, Outcome, free_address, text};
use crate::table::Place;
use crate::tap::Tap;

const A: &str = "aa-canary";
const B: &str = "bb-canary";
const C: &str = "cc-canary";

/// How long something on its way is waited for.
const ARRIVAL: Duration = Duration::from_secs(60);

/// A node and its members.
struct Office {
    node: Node,
    ada: Member,
    analyst: Member,
    officer: Member,
    auditor: Member,
}

/// Everything that is kept of the journey.
pub(crate) struct Journey {
    offices: [Office; 3],
    chest: Chest,
    finds: Vec<Find>,
    taps: Vec<Tap>,
    mailbox: Mailbox,
    /// Answers to refused calls.
    told: Vec<String>,
}

impl Journey {
    /// Founds the nodes, connects them, and puts an agreement in force.
    pub(crate) async fn begin(folder: &Path) -> Outcome<Self> {
        let mut chest = Chest::default();
        let mailbox = Mailbox::watch(folder.join("mailbox"))?;
        let (mut offices, mut taps) = (Vec::new(), Vec::new());
        for (org, short, country, fellows) in [(A, "AA", "SE", &[C] as &[_]), (B, "BB", "DK", &[C]), (C, "CC", "NO", &[A, B])] {
            let listen = free_address()?;
            // Nobody calls the third: it is reached by the mailbox alone.
            let tap = if org == C { None } else { Some(Tap::lay(listen.parse()?).await?) };
            let address = tap.as_ref().map(|tap| tap.address.to_string());
            let words: Vec<&str> = address.iter().flat_map(|address| ["--address", address.as_str()]).collect();
            let mut node = Node::found_with(folder, org, short, country, &words)?;
            configure(&node.data, address.as_deref(), &listen, fellows)?;
            node.log = "trace";
            node.start().await?;
            keep_keys(&mut chest, &node)?;
            offices.push(Office::open(node, &mut chest).await?);
            taps.extend(tap);
        }
        let Ok(offices) = <[Office; 3]>::try_from(offices) else { return Err("there are three nodes".into()) };
        let journey = Self { offices, chest, finds: Vec::new(), taps, mailbox, told: Vec::new() };
        journey.agree().await?;
        Ok(journey)
    }

    /// Exchanges cards, and signs an agreement of all three.
    async fn agree(&self) -> Outcome {
        for from in &self.offices {
            let card = from.ada.bytes(&format!("/organisations/{}/card", from.node.org)).await?;
            for to in self.offices.iter().filter(|to| to.node.org != from.node.org) {
                to.ada.post_bytes(&format!("/organisations?fingerprint={}", from.node.fingerprint), "application/cose", card.clone()).await?;
            }
        }
        let party = |org: &str| json!({ "org": org, "role": "member", "from": "2020-01-01T00:00:00.000Z" });
        let agreement = json!({
            "id": "canary", "version": 1, "title": { "sv": "canary", "en": "canary" }, "form": "working-group",
            "parties": [party(A), party(B), party(C)],
            "terms": {
                "kinds": ["report", "correction", "recall", "consent"], "ceiling": "se:h", "purposes": ["counter-terrorism"],
                "legal-bases": ["2019:1182 2:4"], "onward": "consent", "longest-retention-days": 365, "joining": "all", "four-eyes": true,
            },
            "proposed-by": A, "proposed": "2026-11-22T08:00:00.000Z", "valid-from": "2020-01-01T00:00:00.000Z",
        });
        let [a, b, c] = &self.offices;
        a.analyst.post("/agreements", &agreement).await?;
        for signer in [b, c] {
            until("the agreement arrives", async || signer.officer.post("/agreements/canary/signatures", &json!({ "version": 1 })).await.is_ok()).await?;
        }
        for office in [a, b, c] {
            until("the agreement is in force", async || office.sees("/agreements/canary", "in-force").await).await?;
        }
        Ok(())
    }

    /// The main job, and everything that is refused on its way.
    pub(crate) async fn work(&mut self) -> Outcome {
        let onward = self.recalled_and_passed_on().await?;
        self.carried().await?;
        let [a, ..] = &self.offices;
        let draft = a.analyst.post("/drafts", &draft(&mut self.chest, "draft that never left", &[B], &[A])?).await?;
        self.refused(&onward, &text(&draft, "number")).await?;
        self.answers(false).await?;
        self.recall(&onward).await
    }

    /// A record for B, with everything a record can have, that is passed on to C with consent. Gives its id.
    async fn recalled_and_passed_on(&mut self) -> Outcome<String> {
        let [a, b, c] = &self.offices;
        let chest = &mut self.chest;
        let all = [A, B, C];
        let first = draft(chest, "text", &[B], &all)?;
        let made = a.analyst.post("/drafts", &first).await?;
        let place = format!("/drafts/{}/{}", text(&made, "number"), text(&made, "version"));
        let name = chest.draw("attachment name", &all)?;
        let attachment = format!("{} {}", "x".repeat(2_000_000), chest.draw("attachment", &all)?);
        a.analyst.post_bytes(&format!("{place}/attachments?name={name}.txt&media-type=text/plain"), "application/octet-stream", attachment).await?;

        let id = text(&a.analyst.ask(&format!("{place}/submission")).await?, "id");
        let reason = json!({ "reason": chest.draw("reason of sending back", &[A])? });
        a.officer.post(&format!("/records/{id}/return"), &reason).await?;
        let bytes = a.answers().await?.into_bytes();
        self.finds.push(Find { name: "what its author gets when it is sent back".to_owned(), org: A, place: Place::Answers, late: false, bytes });
        a.analyst.put(&place, &first).await?;
        let id = a.put_through(&made).await?;
        until("B holds the record", async || b.sees(&format!("/records/{id}"), &name).await).await?;
        b.analyst.bytes(&format!("/records/{id}/attachments/0")).await?;

        // The first question is denied, the second granted.
        for grant in [false, true] {
            let ask = json!({ "recipient": C, "reason": chest.draw("reason of a question about consent", &[A, B])? });
            let asked = text(&b.analyst.post(&format!("/records/{id}/consent-requests"), &ask).await?, "id");
            until("the question arrives", async || a.officer.get(&format!("/records/{asked}")).await.is_ok()).await?;
            // Whoever gets the record by a grant is shown that there is one, and not why.
            let answer = json!({ "grant": grant, "reason": chest.draw("reason of an answer about consent", &[A, B])? });
            let answered = text(&a.officer.post(&format!("/records/{asked}/consent-answer"), &answer).await?, "id");
            until("the answer arrives", async || b.officer.get(&format!("/records/{answered}")).await.is_ok()).await?;
            let passed = b.officer.post(&format!("/records/{id}/passing-on"), &json!({ "to": C })).await;
            if let Err(refusal) = passed {
                assert!(!grant, "{refusal}");
                self.told.push(refusal.to_string());
            }
        }
        until("C holds the record", async || c.sees(&format!("/records/{id}"), &name).await).await?;

        let mut correction = draft(chest, "text", &[B], &all)?;
        let reason = chest.draw("reason of a correction", &all)?;
        correction.pointer_mut("/content").and_then(Value::as_object_mut).ok_or("a draft has content")?.insert("reason".to_owned(), json!(reason));
        let corrected = a.analyst.post(&format!("/records/{id}/correction"), &correction).await?;
        let corrected = a.put_through(&corrected).await?;
        for office in [b, c] {
            until("the correction arrives", async || office.sees(&format!("/records/{corrected}"), &reason).await).await?;
        }
        // It will be. Questions and answers about consent are records of their own, and stay.
        chest.recall(|name| !name.contains("consent"));
        Ok(corrected)
    }

    /// A record for C alone, which C gets in a file while its node is down to the mailbox.
    async fn carried(&mut self) -> Outcome {
        let [a, _, c] = &mut self.offices;
        c.node.stop().await?;
        let draft = draft(&mut self.chest, "text", &[C], &[A, C])?;
        let made = a.analyst.post("/drafts", &draft).await?;
        let id = a.put_through(&made).await?;
        let bundle = a.parcels(C).await?;
        until("the mailbox has the record too", async || !self.mailbox.is_empty()).await?;
        c.node.start().await?;
        c.analyst.post_bytes("/parcels", "application/octet-stream", bundle.clone()).await?;
        until("C holds what was carried", async || c.analyst.get(&format!("/records/{id}")).await.is_ok()).await?;
        self.finds.push(Find::elsewhere("the bundle", bundle));
        Ok(())
    }

    /// Calls that are refused, each with a secret in what it says.
    async fn refused(&mut self, record: &str, number: &str) -> Outcome {
        let [a, b, _] = &self.offices;
        let mut secret = || self.chest.draw("content of a refused call", &[]);
        let good = draft(&mut Chest::default(), "text", &[B], &[])?;
        let with = |path: &str, value: Value| {
            let mut draft = good.clone();
            if let Some(place) = draft.pointer_mut(path) {
                *place = value;
            }
            draft
        };
        let drafts = [
            with("/content", json!(secret()?)),
            with("/content/text", json!({ secret()?: 1 })),
            with("/content/text", json!([secret()?])),
            with("/content/title", json!(secret()?.repeat(20))),
            with("/content/title", json!({ "title": secret()? })),
            with("/content/stix", json!({ "type": "bundle", "id": "bundle--1", "objects": [{ "type": secret()? }] })),
            with("/content/stix", json!(secret()?)),
            with("/content/caveat-text", json!([secret()?])),
            with("/kind", json!({ "kind": secret()? })),
        ];
        for draft in &drafts {
            self.told.push(refusal(a.analyst.post("/drafts", draft).await)?);
        }
        let unfinished = format!("{{\"content\":{{\"title\":\"{}\",\"text\":", secret()?);
        self.told.push(refusal(a.analyst.post_bytes("/drafts", "application/json", unfinished).await)?);
        self.told.push(refusal(a.analyst.post_bytes("/drafts", "text/plain", secret()?).await)?);
        let reason = |secret: String| json!({ "reason": secret });
        let calls = [
            (&a.analyst, format!("/records/{record}/recall"), json!({ "because": secret()? })),
            (&a.auditor, format!("/records/{record}/recall"), reason(secret()?)),
            (&a.officer, format!("/records/{record}/return"), reason(secret()?)),
            (&b.officer, format!("/records/{record}/recall"), reason(secret()?)),
            (&a.analyst, format!("/records/{record}/consent-requests"), json!({ "recipient": B, "reason": secret()? })),
            (&a.officer, format!("/records/{record}/consent-answer"), json!({ "grant": true, "reason": secret()? })),
            (&a.officer, format!("/records/{number}/recall"), reason(secret()?)),
        ];
        for (member, path, body) in &calls {
            self.told.push(refusal(member.post(path, body).await)?);
        }
        let name = format!("/drafts/{number}/1/attachments?name={}&media-type=", secret()?.repeat(10));
        self.told.push(refusal(a.analyst.post_bytes(&name, "application/octet-stream", secret()?).await)?);
        self.told.push(refusal(a.analyst.post_bytes("/parcels", "text/plain", secret()?).await)?);
        let wrong = self.chest.draw("wrong password", &[])?;
        self.told.push(refusal(a.analyst.post("/session", &json!({ "member": "anna", "password": wrong })).await)?);
        self.told.push(refusal(a.analyst.put("/me/password", &json!({ "old": wrong, "new": wrong })).await)?);
        let stranger = a.analyst.with_secret(&self.chest.draw("wrong token", &[])?);
        self.told.push(refusal(stranger.get("/records").await)?);
        Ok(())
    }

    async fn recall(&mut self, id: &str) -> Outcome {
        let [a, b, c] = &self.offices;
        let reason = json!({ "reason": self.chest.draw("reason of a recall", &[A, B, C])? });
        a.officer.post(&format!("/records/{id}/recall"), &reason).await?;
        until("both holders confirm", async || {
            let holders = a.officer.get(&format!("/records/{id}/holders")).await.unwrap_or_default();
            let count = |key: &str| holders.get(key).and_then(Value::as_array).map(Vec::len);
            count("outstanding") == Some(0) && count("confirmed") == Some(2)
        })
        .await?;
        for office in [b, c] {
            until("the reason is read", async || office.answers().await.is_ok_and(|read| read.contains(&text(&reason, "reason")))).await?;
        }
        self.answers(true).await
    }

    async fn answers(&mut self, late: bool) -> Outcome {
        for office in &self.offices {
            let (org, name) = (office.node.org, format!("what readers get at {}, {} the recall", office.node.org, if late { "after" } else { "before" }));
            let bytes = office.answers().await?.into_bytes();
            self.finds.push(Find { name, org, place: Place::Answers, late, bytes });
        }
        Ok(())
    }

    /// Collects the rest, ends the nodes and gives what they leave.
    pub(crate) async fn end(mut self) -> Outcome<(Vec<Find>, Chest)> {
        for office in &mut self.offices {
            let org = office.node.org;
            office.folder("while it runs", &mut self.finds)?;
            for path in ["/health", "/status", "/peers", "/house-rules", "/openapi.json"] {
                let bytes = office.auditor.bytes(path).await.unwrap_or_default();
                self.finds.push(Find::elsewhere(format!("{path} of {org}"), bytes));
            }
            self.finds.push(Find::elsewhere(format!("the ledger of {org}"), office.auditor.bytes("/ledger/export").await?));
            office.node.stop().await?;
            office.folder("when it had ended", &mut self.finds)?;
        }
        for (n, answer) in self.told.into_iter().enumerate() {
            self.finds.push(Find::elsewhere(format!("answer {n} to a refused call: {answer}"), answer.into_bytes()));
        }
        let wire: Vec<u8> = self.taps.iter().flat_map(Tap::kept).collect();
        let log: usize = self.finds.iter().filter(|find| find.name.contains("node.log")).map(|find| find.bytes.len()).sum();
        assert!(wire.len() > 2_000_000 && log > 100_000, "the wire has {} bytes and the logs have {log}: nothing is proven by that", wire.len());
        self.finds.push(Find::elsewhere("the wire", wire));
        self.finds.extend(self.mailbox.seen().into_iter().map(|(name, bytes)| Find::elsewhere(format!("the mailbox: {name}"), bytes)));
        Ok((self.finds, self.chest))
    }
}

impl Office {
    async fn open(node: Node, chest: &mut Chest) -> Outcome<Self> {
        let ada = node.log_in("ada", &node.password).await?;
        chest.keep("password", &[], node.password.as_bytes());
        let analyst = node.add("anna", &["analyst", "liaison"]).await?;
        let (officer, auditor) = (node.add("rolf", &["release-officer"]).await?, node.add("osk", &["auditor"]).await?);
        // The administrator changes the password that everybody in the room has seen.
        let own = chest.draw("password", &[])?;
        ada.put("/me/password", &json!({ "old": node.password, "new": own })).await?;
        let ada = node.log_in("ada", &own).await?;
        let token = analyst.post("/tokens", &json!({ "label": "canary", "days": 3 })).await?;
        let by_token = analyst.with_secret(&text(&token, "secret"));
        by_token.get("/agreements").await?;
        chest.keep("token", &[], by_token.secret().as_bytes());
        for member in [&ada, &analyst, &officer, &auditor] {
            chest.keep("session", &[], member.secret().as_bytes());
        }
        Ok(Self { node, ada, analyst, officer, auditor })
    }

    /// Submits, approves and releases a draft. Gives its id.
    async fn put_through(&self, made: &Value) -> Outcome<String> {
        let place = format!("/drafts/{}/{}", text(made, "number"), text(made, "version"));
        let id = text(&self.analyst.ask(&format!("{place}/submission")).await?, "id");
        self.officer.ask(&format!("/records/{id}/approval")).await?;
        self.officer.get(&format!("/records/{id}/preview")).await?;
        self.officer.ask(&format!("/records/{id}/release")).await?;
        Ok(id)
    }

    async fn sees(&self, path: &str, words: &str) -> bool {
        self.analyst.get(path).await.is_ok_and(|answer| answer.to_string().contains(words))
    }

    /// The parcels for a peer, as a file.
    async fn parcels(&self, peer: &str) -> Outcome<Vec<u8>> {
        self.analyst.post_for_bytes(&format!("/peers/{peer}/parcels")).await
    }

    /// Everything that a reader gets.
    async fn answers(&self) -> Outcome<String> {
        let list = self.analyst.get("/records?limit=200").await?;
        let mut read = list.to_string();
        for record in list.get("records").and_then(Value::as_array).into_iter().flatten() {
            let id = text(record, "id");
            read += &self.analyst.get(&format!("/records/{id}")).await?.to_string();
            // Most have none, and of what was recalled it is gone.
            if let Ok(attachment) = self.analyst.bytes(&format!("/records/{id}/attachments/0")).await {
                read += &String::from_utf8_lossy(&attachment);
            }
        }
        Ok(read)
    }

    /// Every file of the data folder, as it is now.
    fn folder(&self, when: &str, finds: &mut Vec<Find>) -> Outcome {
        let files = files(&self.node.data)?;
        if self.node.org == B && !files.iter().any(|(path, _)| path.starts_with(self.node.data.join("attachments"))) {
            return Err("no attachment lies outside the store".into());
        }
        for (path, bytes) in files {
            let place = match path.file_name().and_then(|name| name.to_str()) {
                Some("keys.json") => Place::Keys,
                Some("peer-key.pem" | "web-key.pem") => Place::ListenerKeys,
                _ => Place::Elsewhere,
            };
            finds.push(Find { name: format!("{} {when}", path.display()), org: self.node.org, place, late: false, bytes });
        }
        Ok(())
    }
}

/// A draft with a secret wherever one can be said.
fn draft(chest: &mut Chest, text: &'static str, audience: &[&str], holders: &[&'static str]) -> Outcome<Value> {
    let stix = json!({
        "type": "bundle", "id": "bundle--d7c067d6-1713-4055-883e-ddc52e177956",
        "objects": [{
            "type": "identity", "spec_version": "2.1", "id": "identity--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
            "created": "2026-10-01T00:00:00.000Z", "modified": "2026-10-01T00:00:00.000Z", "name": chest.draw("STIX object", holders)?,
        }],
    });
    Ok(json!({
        "kind": "report", "agreement": "canary", "audience": audience, "marking": { "classification": "se:k", "tlp": "green", "caveats": ["originator-control"] },
        "grading": "admiralty:B2", "purpose": "counter-terrorism", "legal-basis": "2019:1182 2:4", "language": "en", "retention-days": 30,
        "content": {
            "title": format!("A \"title\" å {}", chest.draw("title", holders)?), "text": format!("Text <b>\\ {}", chest.draw(text, holders)?),
            "caveat-text": chest.draw("caveat", holders)?, "stix": stix,
        },
    }))
}

/// The secret keys of a node, which it drew itself.
fn keep_keys(chest: &mut Chest, node: &Node) -> Outcome {
    let seeds: BTreeMap<String, String> = serde_json::from_slice(&fs::read(node.data.join("keys.json"))?)?;
    assert_eq!(seeds.len(), 4, "keys.json has other keys than this test knows");
    for seed in seeds.values() {
        chest.keep("secret key", &[node.org], &STANDARD.decode(seed)?);
    }
    for file in ["peer-key.pem", "web-key.pem"] {
        let key = PrivateKeyDer::from_pem_file(node.data.join(file))?;
        // In PKCS #8 the key itself stands in the middle, as an octet string of 32 bytes.
        let der = key.secret_der();
        let place = der.windows(2).position(|pair| pair == [0x04, 0x20]).ok_or("the key is of another kind")?;
        chest.keep("key of a listener", &[node.org], der.get(place + 2..place + 34).ok_or("the key is too short")?);
    }
    Ok(())
}

/// Where a node listens, and with whom it shares the mailbox.
fn configure(data: &Path, address: Option<&str>, listen: &str, fellows: &[&str]) -> Outcome {
    let path = data.join("samverkan.toml");
    let text = fs::read_to_string(&path)?;
    let own = address.map_or_else(|| "# listen = \"127.0.0.1:7443\"".to_owned(), |address| format!("listen = \"{address}\""));
    let text = text
        .replacen(&own, &format!("listen = \"{listen}\""), 1)
        .replacen("# place = \"\"", "place = \"../mailbox\"", 1)
        .replacen("# peers = []", &format!("peers = {}", json!(fellows)), 1)
        .replacen("# visit-seconds = 5", "visit-seconds = 1", 1);
    // The second keeps its attachments outside its store.
    let text = if fellows == [C] && data.ends_with(B) { text.replacen("# place = \"\"", "place = \"attachments\"", 1) } else { text };
    fs::create_dir(data.join("attachments"))?;
    Ok(fs::write(path, text)?)
}

/// What a refused call is answered.
fn refusal(answer: Outcome<Value>) -> Outcome<String> {
    match answer {
        Ok(answer) => Err(format!("a call that should be refused was answered with {answer}").into()),
        Err(error) => Ok(error.to_string()),
    }
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) -> Outcome {
    let begun = Instant::now();
    while !holds().await {
        if begun.elapsed() > ARRIVAL {
            return Err(format!("waited in vain: {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Every file in a folder, and in those within.
fn files(folder: &Path) -> Outcome<Vec<(PathBuf, Vec<u8>)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if let Ok(bytes) = fs::read(&path) {
            found.push((path, bytes));
        }
    }
    Ok(found)
}

/// A folder, and everything that was ever seen in it.
struct Mailbox {
    folder: PathBuf,
    seen: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    watching: JoinHandle<()>,
}

impl Mailbox {
    fn watch(folder: PathBuf) -> Outcome<Self> {
        fs::create_dir(&folder)?;
        let seen = Arc::new(Mutex::new(BTreeMap::new()));
        let watching = tokio::spawn({
            let (folder, seen) = (folder.clone(), Arc::clone(&seen));
            async move {
                loop {
                    // What is taken away between listing and reading is seen the next time, or was seen before.
                    for (path, bytes) in files(&folder).unwrap_or_default() {
                        seen.lock().unwrap_or_else(PoisonError::into_inner).insert(path.display().to_string(), bytes);
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        });
        Ok(Self { folder, seen, watching })
    }

    fn is_empty(&self) -> bool {
        files(&self.folder).is_ok_and(|files| files.is_empty())
    }

    fn seen(&self) -> BTreeMap<String, Vec<u8>> {
        self.watching.abort();
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
