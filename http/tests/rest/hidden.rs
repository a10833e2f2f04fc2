//! What is absent and what may not be seen are the same.

use serde_json::{Value, json};

use crate::face::{Call, Came, Face};

/// A problem without what differs between any two calls.
fn plain(came: &Came) -> (u16, Value) {
    let mut body = came.json();
    body["instance"] = Value::Null;
    (came.status.as_u16(), body)
}

const UNKNOWN_ID: &str = "00000000000000000000000000000000000000000000000000000000000000ff";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_hidden_and_other_sorts_of_names_get_the_same_answer() {
    let face = Face::new();
    let missing = plain(&face.get("anna", format!("/records/{UNKNOWN_ID}")).await.expect(404));
    let draft = face.world.draft_of("lena");
    let hidden =
        [draft.to_string(), format!("{draft}@1"), "se-sapo".into(), "ctg".into(), "x".into(), "..".into(), "%2e%2e%2f".into(), "SAPO-2026-999999".into()];
    for name in hidden {
        for verb in ["", "/signed", "/preview", "/attachments/0"] {
            let came = face.get("anna", format!("/records/{name}{verb}")).await;
            assert_eq!(plain(&came), missing, "{name}{verb}");
        }
    }
    for (member, name) in [("lena", "release"), ("rolf", "approval"), ("rolf", "release")] {
        let came = face.post(member, format!("/records/{}/{name}", face.world.draft_of("anna")), Value::Null).await;
        assert!(came.status == 404 || (member == "lena" && came.status == 403), "{member} {name} {}", came.status);
    }
    // Ids of one sort under the paths of another.
    for path in [
        format!("/organisations/{UNKNOWN_ID}"),
        "/organisations/ctg".into(),
        "/organisations/ctg/card".into(),
        "/agreements/no-pst".into(),
        "/agreements/ctg?version=9".into(),
        format!("/records/{}/attachments/9", face.world.received.0),
        format!("/records/{}/attachments/x", face.world.received.0),
        format!("/records/{}/attachments/0", face.world.released.0),
    ] {
        assert_eq!(plain(&face.get("anna", &path).await), missing, "{path}");
    }
    let tokens = format::Digest::of(&crate::world::token("lena"));
    let came = face.call(Call::new("DELETE", format!("/tokens/{tokens}")).by("anna")).await;
    assert_eq!(plain(&came), missing, "another's token");
    let came = face.call(Call::new("PATCH", "/members/nobody").by("ada").json(&json!({ "active": false }))).await;
    assert_eq!(plain(&came), missing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_may_do_nothing_learns_nothing_of_what_is_here() {
    let face = Face::new();
    let there = face.get("ada", format!("/records/{}", face.world.released.0)).await.expect(403);
    let absent = face.get("ada", format!("/records/{UNKNOWN_ID}")).await.expect(403);
    assert_eq!(plain(&there), plain(&absent));
    // The tip desk reads its own drafts and nothing else: a released record is not here for it.
    let own = face.world.draft_of("tove");
    face.get("tove", format!("/records/{own}")).await.expect(200);
    face.get("tove", format!("/records/{}", face.world.released.0)).await.expect(404);
    let mut correction = crate::world::draft_json("ctg", "corrected");
    correction["content"]["reason"] = json!("a wrong date");
    face.post("tove", format!("/records/{}/correction", face.world.released.0), correction).await.expect(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_have_only_what_can_be_opened() {
    let face = Face::new();
    for member in ["anna", "lena", "rolf", "sven"] {
        let page = face.get(member, "/records?limit=200").await.expect(200).json();
        let records = page["records"].as_array().unwrap().clone();
        assert!(!records.is_empty());
        for record in records {
            let came = face.get(member, format!("/records/{}", record["id"].as_str().unwrap())).await;
            assert_eq!(came.status, 200, "{member} sees {} and cannot open it", record["title"]);
        }
    }
    let anna = face.get("anna", "/records?stage=draft").await.json();
    assert_eq!(anna["records"].as_array().unwrap().len(), 1, "one's own drafts only");
    let lena = face.get("lena", "/records?stage=submitted").await.json();
    assert!(lena["records"].as_array().unwrap().is_empty(), "what waits for approval is its author's and the release officers'");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_lead_from_one_to_the_next_past_what_is_hidden() {
    let face = Face::new();
    let whole = face.get("sven", "/records?limit=200").await.json();
    assert!(whole["next"].is_null());
    let (mut found, mut before) = (Vec::new(), String::new());
    loop {
        let page = face.get("sven", format!("/records?limit=1{before}")).await.expect(200).json();
        found.extend(page["records"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_u64() else { break };
        before = format!("&before={next}");
    }
    assert_eq!(&found, whole["records"].as_array().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_without_a_purpose_is_refused_and_says_what_to_add() {
    let face = Face::new();
    for path in ["/records".to_owned(), format!("/records/{}", face.world.received.0), format!("/records/{UNKNOWN_ID}")] {
        let came = face.call(Call::new("GET", &path).by("anna").without_purpose()).await.expect(403);
        assert_eq!((came.code().as_str(), came.reasons()), ("purpose-missing", vec!["purpose-missing".to_owned()]), "{path}");
        assert!(came.json()["detail"].as_str().unwrap().contains("Samverkan-Purpose: counter-terrorism"));
    }
    let other = Call { purpose: Some("curiosity"), ..Call::new("GET", format!("/records/{}", face.world.received.0)).by("anna") };
    assert_eq!(face.call(other).await.expect(403).reasons(), ["purpose-not-allowed"]);
    let odd = Call { purpose: Some("What I Like"), ..Call::new("GET", "/records").by("anna") };
    assert_eq!(face.call(odd).await.expect(422).code(), "invalid");
}
