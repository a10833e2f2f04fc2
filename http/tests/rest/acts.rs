//! What members do, from draft to recall, through this face alone.

use format::Signed;
use format::record::Header;
use format::verify;
use serde_json::{Value, json};

use crate::face::{Call, Face};
use crate::world::{agreement_json, draft_json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_becomes_a_record_by_two_persons() {
    let face = Face::new();
    let place = face.post("lena", "/drafts", draft_json("ctg", "a report")).await.expect(201).json();
    let number = place["number"].as_str().unwrap();
    let changed = Call::new("PUT", format!("/drafts/{number}/1")).by("lena").json(&draft_json("ctg", "a better report"));
    face.call(changed).await.expect(200);
    let submitted = face.post("lena", format!("/drafts/{number}/1/submission"), Value::Null).await.expect(200).json();
    let id = submitted["id"].as_str().unwrap().to_owned();

    let preview = face.get("rolf", format!("/records/{id}/preview")).await.expect(200).json();
    let refused: Vec<_> = preview["refused"].as_array().unwrap().iter().map(|row| (row["org"].as_str().unwrap(), row["audience"].as_bool().unwrap())).collect();
    assert_eq!(refused, [("dk-pet", true), ("no-pst", false)], "nobody yet: it is not approved");
    let approved = face.post("rolf", format!("/records/{id}/approval"), Value::Null).await.expect(200).json();
    assert_eq!(approved["id"], id);
    let preview = face.get("rolf", format!("/records/{id}/preview")).await.json();
    assert_eq!(preview["permitted"][0]["org"], "dk-pet");
    assert!(preview["permitted"][0]["grounds"].as_array().unwrap().iter().any(|ground| ground["code"] == "agreement"));
    assert_eq!(preview["refused"][0]["reasons"][0]["code"], "not-in-audience");

    let released = face.post("rolf", format!("/records/{id}/release"), Value::Null).await.expect(200).json();
    assert_eq!((released["recipients"].clone(), released["id"].as_str()), (json!(["dk-pet"]), Some(id.as_str())));
    let shown = face.get("anna", format!("/records/{number}")).await.expect(200).json();
    assert_eq!((shown["content"]["title"].as_str(), shown["here"]["stage"].as_str()), (Some("a better report"), Some("released")));
    assert_eq!((shown["here"]["submitted-by"].as_str(), shown["here"]["approved-by"].as_str()), (Some("lena"), Some("rolf")));

    let signed = face.get("anna", format!("/records/{id}/signed")).await.expect(200);
    assert_eq!(signed.header("content-type"), "application/cose");
    let verified = verify::<Header>(&signed.body, &*face.handle.directory()).unwrap();
    assert_eq!(verified.digest().to_string(), id);
    let holders = face.get("rolf", format!("/records/{id}/holders")).await.expect(200).json();
    assert_eq!((holders["copies"][0]["holder"].as_str(), holders["copies"][0]["state"].as_str()), (Some("dk-pet"), Some("queued")));
    let log = face.get("osk", format!("/records/{id}/log")).await.expect(200).json();
    let told: Vec<_> = log["entries"].as_array().unwrap().iter().map(|entry| entry["what"].as_str().unwrap()).collect();
    assert_eq!(told, ["submitted", "approved", "released", "opened", "opened"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_approves_their_own() {
    let face = Face::new();
    let change = Call::new("PATCH", "/members/anna").by("ada").json(&json!({ "roles": ["analyst", "release-officer"] }));
    face.call(change).await.expect(200);
    for name in [face.world.submitted.0.to_string(), face.world.submitted.1.to_string(), format!("{}@1", face.world.submitted.1)] {
        let came = face.post("anna", format!("/records/{name}/approval"), Value::Null).await.expect(403);
        assert_eq!(came.reasons(), ["own-draft"]);
        let came = face.post("anna", format!("/records/{name}/return"), json!({ "reason": "mine" })).await.expect(403);
        assert_eq!(came.reasons(), ["own-draft"]);
        face.post("anna", format!("/records/{name}/release"), Value::Null).await.expect(409);
    }
    let ledger = face.get("osk", "/ledger/entries?limit=200").await.expect(200).json();
    let tries = |entry: &&Value| entry.to_string().contains("\"denied\"") && entry.to_string().contains("own-draft");
    assert_eq!(ledger["entries"].as_array().unwrap().iter().filter(tries).count(), 6, "each try is in the ledger: {ledger}");
    face.post("rolf", format!("/records/{}/approval", face.world.submitted.0), Value::Null).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_back_can_be_mended_and_submitted_again() {
    let face = Face::new();
    let (id, number) = &face.world.submitted;
    face.post("rolf", format!("/records/{id}/return"), json!({ "reason": "say when" })).await.expect(200);
    let shown = face.get("anna", format!("/records/{number}")).await.expect(200).json();
    assert_eq!((shown["here"]["sent-back"].as_bool(), shown["here"]["stage"].as_str()), (Some(true), Some("draft")));
    assert_eq!(shown["here"]["sent-back-because"], "say when");
    let ledger = face.get("osk", "/ledger/entries?limit=200").await.expect(200).json().to_string();
    assert!(ledger.contains("sent-back") && !ledger.contains("say when"), "{ledger}");
    face.post("rolf", format!("/records/{number}/approval"), Value::Null).await.expect(404);
    let again = face.post("anna", format!("/drafts/{number}/1/submission"), Value::Null).await.expect(200).json();
    assert_ne!(again["id"], id.to_string(), "what the second person saw before is not what is approved now");
    face.post("rolf", format!("/records/{id}/approval"), Value::Null).await.expect(404);
    face.post("rolf", format!("/records/{}/approval", again["id"].as_str().unwrap()), Value::Null).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drafts_are_their_authors_alone() {
    let face = Face::new();
    let draft = face.world.draft_of("anna");
    for (method, verb) in [("PUT", ""), ("DELETE", ""), ("POST", "/submission")] {
        let call = Call::new(method, format!("/drafts/{draft}/1{verb}")).by("lena");
        face.call(if method == "PUT" { call.json(&draft_json("ctg", "x")) } else { call }).await.expect(404);
    }
    face.call(Call::new("DELETE", format!("/drafts/{draft}/1")).by("anna")).await.expect(204);
    face.get("anna", format!("/records/{draft}")).await.expect(404);
    let unknown = face.post("anna", "/drafts", draft_json("nothing", "x")).await;
    assert_eq!(unknown.status, 404, "no such agreement");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recall_lists_who_has_not_confirmed() {
    let face = Face::new();
    let (id, number) = &face.world.released;
    assert_eq!(face.post("rolf", format!("/records/{id}/recall"), json!({ "reason": " " })).await.expect(422).code(), "invalid");
    face.post("rolf", format!("/records/{number}/recall"), json!({ "reason": "wrong person" })).await.expect(200);
    let holders = face.get("osk", format!("/records/{id}/holders")).await.expect(200).json();
    assert_eq!((holders["outstanding"].clone(), holders["confirmed"].clone()), (json!(["dk-pet"]), json!([])));
    assert_eq!(face.post("rolf", format!("/records/{number}/recall"), json!({ "reason": "again" })).await.expect(409).code(), "wrong-state");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correction_is_the_next_version_and_hides_as_a_draft() {
    let face = Face::new();
    let number = &face.world.released.1;
    let mut correction = draft_json("ctg", "corrected");
    correction["content"]["reason"] = json!("a wrong date");
    let place = face.post("lena", format!("/records/{number}/correction"), correction).await.expect(201).json();
    assert_eq!(place["version"], 2);
    let lena = face.get("lena", format!("/records/{number}")).await.expect(200).json();
    assert_eq!((lena["version"].as_u64(), lena["kind"].as_str()), (Some(2), Some("correction")));
    let anna = face.get("anna", format!("/records/{number}")).await.expect(200).json();
    assert_eq!(anna["version"], 1, "others see the newest version that is for them to see");
    face.get("anna", format!("/records/{number}@2")).await.expect(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passing_on_takes_consent_and_consent_can_be_asked_and_given() {
    let face = Face::new();
    let received = face.world.received.0;
    let refused = face.post("rolf", format!("/records/{received}/passing-on"), json!({ "to": "dk-pet" })).await.expect(403);
    assert!(refused.reasons().contains(&"consent-missing".to_owned()), "{:?}", refused.reasons());
    face.post("anna", format!("/records/{received}/consent-requests"), json!({ "recipient": "dk-pet", "reason": "they asked" })).await.expect(201);
    let passed = face.post("rolf", format!("/records/{}/passing-on", face.world.free.0), json!({ "to": "dk-pet" })).await.expect(200).json();
    assert_eq!(passed["recipients"], json!(["dk-pet"]));
    let ask = face.get("rolf", format!("/records/{}", face.world.ask)).await.expect(200).json();
    assert_eq!((ask["content"]["consent"]["act"].as_str(), ask["content"]["consent"]["recipient"].as_str()), (Some("ask"), Some("no-pst")));
    let answer = json!({ "grant": true, "reason": "for this case", "expires": "2027-01-01T00:00:00.000Z" });
    let made = face.post("rolf", format!("/records/{}/consent-answer", face.world.ask), answer).await.expect(201).json();
    let shown = face.get("rolf", format!("/records/{}", made["id"].as_str().unwrap())).await.expect(200).json();
    assert_eq!(shown["content"]["consent"]["act"], "grant");
    face.post("rolf", format!("/records/{received}/consent-answer"), json!({ "grant": false, "reason": "x" })).await.expect(409);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emergency_is_stated_by_one_and_released_by_another() {
    let face = Face::new();
    let received = face.world.received.0;
    let statements = format!("/records/{received}/emergency-statements");
    face.post("rolf", &statements, json!({ "to": "dk-pet", "reason": "  " })).await.expect(422);
    let usual = face.post("rolf", format!("/records/{}/emergency-statements", face.world.free.0), json!({ "to": "dk-pet", "reason": "a threat" })).await;
    usual.expect(409);
    let own = face.post("rolf", &statements, json!({ "to": "dk-pet", "reason": "a threat" })).await.expect(201).json();
    let release = |id: &str| format!("/records/{id}/emergency-release");
    let refused = face.post("rolf", release(own["id"].as_str().unwrap()), Value::Null).await.expect(403);
    assert!(refused.reasons().contains(&"own-draft".to_owned()), "{:?}", refused.reasons());
    face.post("rolf", format!("/records/{}/approval", face.world.emergency), Value::Null).await.expect(409);
    let stated = face.get("rolf", format!("/records/{}", face.world.emergency)).await.expect(200).json();
    assert_eq!((stated["content"]["consent"]["act"].as_str(), stated["audience"].clone()), (Some("emergency"), json!(["no-pst"])));
    let released = face.post("rolf", release(&face.world.emergency.to_string()), Value::Null).await.expect(200).json();
    assert_eq!(released["recipients"], json!(["dk-pet"]));
    face.post("rolf", release(&face.world.emergency.to_string()), Value::Null).await.expect(403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agreements_show_how_they_stand() {
    let face = Face::new();
    let pending = face.get("anna", "/agreements/pending").await.expect(200).json();
    assert_eq!((pending["standing"].as_str(), pending["missing"].clone()), (Some("proposed"), json!(["se-sapo"])));
    let signed = face.post("rolf", "/agreements/pending/signatures", json!({ "version": 1 })).await.expect(200).json();
    assert_eq!((signed["standing"].as_str(), signed["signed"].clone()), (Some("in-force"), json!(["no-pst", "se-sapo"])));
    face.post("rolf", "/agreements/pending/signatures", json!({ "version": 1 })).await.expect(409);
    face.post("rolf", "/agreements/pending/withdrawal", Value::Null).await.expect(204);
    let left = face.get("anna", "/agreements/pending").await.json();
    assert_eq!((left["standing"].as_str(), left["withdrawn"][0]["org"].as_str()), (Some("ended"), Some("se-sapo")));

    let made = face.post("lena", "/agreements", agreement_json("nordic")).await.expect(201).json();
    assert_eq!((made["standing"].as_str(), made["missing"].clone()), (Some("proposed"), json!(["no-pst"])));
    assert_eq!(made["agreement"], agreement_json("nordic"), "what is shown is what is signed");
    let mut foreign = agreement_json("other");
    foreign["proposed-by"] = json!("no-pst");
    assert_eq!(face.post("lena", "/agreements", foreign).await.expect(422).code(), "invalid");
    let mut unordered = agreement_json("other");
    unordered["parties"].as_array_mut().unwrap().reverse();
    assert!(face.post("lena", "/agreements", unordered).await.expect(422).json()["detail"].as_str().unwrap().contains("ordered"));
    let listed = face.get("ada", "/agreements").await.expect(200).json();
    let names: Vec<_> = listed["agreements"].as_array().unwrap().iter().map(|line| line["id"].as_str().unwrap()).collect();
    assert_eq!(names, ["ctg", "nordic", "open", "pending"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_is_believed_when_its_fingerprint_was_compared() {
    let face = Face::new();
    let import = |fingerprint: String| {
        let call = Call::new("POST", format!("/organisations?fingerprint={fingerprint}")).by("ada");
        face.call(call.of_type("application/cose", face.world.stranger.card.clone()))
    };
    import(face.world.home.fingerprint.to_string()).await.expect(422);
    import("x".to_owned()).await.expect(422);
    let made = import(face.world.stranger.fingerprint.to_string()).await.expect(201).json();
    assert_eq!((made["id"].as_str(), made["own"].as_bool()), (Some("fi-supo"), Some(false)));
    import(face.world.stranger.fingerprint.to_string()).await.expect(409);
    let card = face.get("anna", "/organisations/fi-supo/card").await.expect(200);
    assert_eq!(Signed::parse(&card.body).unwrap().signer().as_str(), "fi-supo");
    let rubbish = Call::new("POST", format!("/organisations?fingerprint={}", face.world.stranger.fingerprint)).by("ada");
    assert_eq!(face.call(rubbish.of_type("application/cose", "rubbish")).await.expect(422).reasons(), ["bad-encoding"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_is_read_proven_and_exported() {
    let face = Face::new();
    let note = face.get("osk", "/ledger/checkpoint").await.expect(200);
    assert!(note.body.starts_with(b"se-sapo/ledger\n"));
    let page = face.get("osk", "/ledger/entries?from=2&limit=3").await.expect(200).json();
    let places: Vec<_> = page["entries"].as_array().unwrap().iter().map(|entry| entry["index"].as_u64().unwrap()).collect();
    assert_eq!((places, page["next"].as_u64()), (vec![2, 3, 4], Some(5)));
    let about = face.get("osk", format!("/ledger/entries?record={}", face.world.released.0)).await.expect(200).json();
    assert!(about["entries"].as_array().unwrap().iter().any(|entry| entry["what"] == "released"));
    let proof = face.get("osk", "/ledger/proof?entry=3").await.expect(200).json();
    assert_eq!((proof["entry"]["index"].as_u64(), proof["salt"].as_str().unwrap().len()), (Some(3), 64));

    let export = face.get("osk", "/ledger/export").await.expect(200);
    assert_eq!(export.header("content-type"), "application/jsonl");
    let text = String::from_utf8(export.body.to_vec()).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (first, entries) = lines.split_first().unwrap();
    let size: usize = first["checkpoint"].as_str().unwrap().lines().nth(1).unwrap().parse().unwrap();
    assert_eq!(entries.len(), size);
    assert!(entries.iter().enumerate().all(|(place, entry)| entry["index"] == place));
    assert_eq!(entries.last().unwrap()["entry"]["what"], "ledger-exported");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn house_rules_peers_and_status_are_shown_and_kept() {
    let face = Face::new();
    let put = |text: &str| face.call(Call::new("PUT", "/house-rules").by("rolf").json(&json!({ "text": text })));
    assert!(put("permit (principal, action, resource);").await.expect(422).json()["detail"].as_str().unwrap().contains("only forbid"));
    put("forbid (principal, action, resource);").await.expect(204);
    assert_eq!(face.get("osk", "/house-rules").await.expect(200).json()["text"], "forbid (principal, action, resource);");

    let peers = face.get("lena", "/peers").await.expect(200).json();
    let first = &peers["peers"][0];
    assert_eq!(
        (first["org"].as_str(), first["waiting"].as_u64(), first["reachable"].is_null(), first["suspicion"].is_null()),
        (Some("dk-pet"), Some(0), true, true)
    );
    assert!(first["sent"].as_u64().unwrap() > 0 && first["sent"] == first["acknowledged"]);
    face.post("ada", "/peers/no-pst/resumption", json!({ "from": 1 })).await.expect(409);

    let status = face.get("ada", "/status").await.expect(200).json();
    assert_eq!((status["organisation"].as_str(), status["waiting"].as_u64(), status["stopped"].as_u64()), (Some("se-sapo"), Some(0), Some(0)));
    assert!(status["entries"].as_u64().unwrap() > 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reading_is_in_the_ledger_with_its_purpose_before_it_is_shown() {
    let face = Face::new();
    let id = face.world.received.0;
    face.get("anna", format!("/records/{id}")).await.expect(200);
    face.get("anna", "/records?kind=report").await.expect(200);
    let entries = face.get("osk", "/ledger/entries?limit=200").await.json();
    let entries = entries["entries"].as_array().unwrap();
    let opened = entries.iter().rev().find(|entry| entry["what"] == "opened").unwrap();
    assert_eq!((opened["record"].as_str(), opened["entry"]["purpose"].as_str()), (Some(id.to_string().as_str()), Some("counter-terrorism")));
    assert_eq!(opened["entry"]["by"]["member"], "anna");
    let listed = entries.iter().rev().find(|entry| entry["what"] == "listed").unwrap();
    assert_eq!((listed["entry"]["query"].as_str(), listed["entry"]["purpose"].as_str()), (Some("kind=report"), Some("counter-terrorism")));
}
