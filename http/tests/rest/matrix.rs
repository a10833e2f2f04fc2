//! The matrix: every route, asked by every role, answered with the reviewed status.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use samverkan_http::rest;
use serde_json::{Value, json};

use crate::face::{Call, Face, reviewed};
use crate::world::{MEMBERS, World, agreement_json, draft_json, token, world};

/// What is asked of a route: its path with names filled in, and its body.
fn asked(world: &World, line: &rest::Line, member: &str) -> Call {
    let path = line.path.strip_prefix(rest::BASE).unwrap();
    let draft = world.draft_of(member).clone();
    let record = record(world, line.method, path);
    let filled = path
        .replace("{record}", &record)
        .replace("{attachment}", "0")
        .replace("{number}", draft.as_str())
        .replace("{version}", "1")
        .replace("{organisation}", "no-pst")
        .replace("{agreement}", if path.ends_with("/signatures") { "pending" } else { "ctg" })
        .replace("{member}", "tove")
        .replace("{token}", &format::Digest::of(&token(member)).to_string());
    let query = match path {
        "/organisations" if line.method == "POST" => format!("?fingerprint={}", world.stranger.fingerprint),
        "/drafts/{number}/{version}/attachments" => "?name=a.txt&media-type=text/plain".to_owned(),
        "/ledger/proof" => "?entry=0".to_owned(),
        "/peers/{organisation}/answers" => "?first=1&last=1".to_owned(),
        _ => String::new(),
    };
    let call = Call::new(line.method, format!("{filled}{query}"));
    match (line.method, path) {
        ("POST", "/organisations") => call.of_type("application/cose", world.stranger.card.clone()),
        ("POST", "/drafts/{number}/{version}/attachments") => call.of_type("application/octet-stream", "bytes"),
        ("POST", "/parcels") => call.of_type("application/octet-stream", "no bundle"),
        (method, path) => match body(method, path) {
            Value::Null => call,
            body => call.json(&body),
        },
    }
}

fn record(world: &World, method: &str, path: &str) -> String {
    let verb = path.rsplit('/').next().unwrap();
    match (method, verb) {
        (_, "approval" | "return") => world.submitted.0,
        ("POST", "release") => world.approved.0,
        (_, "recall" | "correction" | "holders" | "log" | "preview") => world.released.0,
        (_, "passing-on") => world.free.0,
        (_, "consent-answer") => world.ask,
        (_, "emergency-release") => world.emergency,
        _ => world.received.0,
    }
    .to_string()
}

fn body(method: &str, path: &str) -> Value {
    let mut correction = draft_json("ctg", "corrected");
    correction["content"]["reason"] = json!("a wrong date");
    match (method, path) {
        ("POST", "/session") => json!({ "member": "anna", "password": crate::world::PASSWORD }),
        ("PUT", "/me/password") => json!({ "old": "not the password at all", "new": "another one entirely" }),
        ("POST", "/tokens") => json!({ "label": "nightly", "days": 30 }),
        ("POST", "/members") => json!({ "id": "nora", "name": "Nora", "roles": ["analyst"] }),
        ("PATCH", "/members/{member}") => json!({ "roles": ["analyst", "tip-desk"] }),
        ("PUT", "/members/{member}/password") => json!({}),
        ("POST", "/cards") => json!({ "addresses": ["node.sapo.example:7443"] }),
        ("POST", "/agreements") => agreement_json("new"),
        ("POST", "/agreements/{agreement}/signatures") => json!({ "version": 1 }),
        ("POST", "/drafts") | ("PUT", "/drafts/{number}/{version}") => draft_json("ctg", "another title"),
        ("POST", "/organisations/{organisation}/revocation" | "/records/{record}/return" | "/records/{record}/recall") => json!({ "reason": "a reason" }),
        ("POST", "/records/{record}/correction") => correction,
        ("POST", "/records/{record}/passing-on") => json!({ "to": "dk-pet" }),
        ("POST", "/records/{record}/consent-requests") => json!({ "recipient": "dk-pet", "reason": "they asked" }),
        ("POST", "/records/{record}/emergency-statements") => json!({ "to": "dk-pet", "reason": "a threat" }),
        ("POST", "/records/{record}/consent-answer") => json!({ "grant": true, "reason": "they may" }),
        ("PUT", "/house-rules") => json!({ "text": "forbid (principal, action, resource);" }),
        ("POST", "/peers/{organisation}/resumption") => json!({ "from": 1 }),
        _ => Value::Null,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_answers_every_role_as_reviewed() {
    let quiet = Face::new();
    let mut text = String::new();
    write!(text, "{:<64}  nobody", "").unwrap();
    for (_, role) in MEMBERS {
        write!(text, "  {role}").unwrap();
    }
    text.push('\n');
    for line in rest::table(std::sync::Arc::clone(&quiet.gate)) {
        write!(text, "{:<64}", format!("{} {}", line.method, line.path)).unwrap();
        let nobody = quiet.call(asked(world(), &line, "anna")).await;
        write!(text, "  {:<6}", nobody.status.as_u16()).unwrap();
        for (member, role) in MEMBERS {
            // Whoever may act gets a node of their own, so that no act is in the way of another.
            let granted = line.permission.is_some_and(|permission| policy::access::granted_to(permission).contains(&role));
            let own;
            let face = if granted && line.method != "GET" {
                own = Face::new();
                &own
            } else {
                &quiet
            };
            let status = face.call(asked(world(), &line, member).by(member)).await.status.as_u16();
            write!(text, "  {status:<width$}", width = role.as_str().len()).unwrap();
        }
        let trimmed = text.trim_end().len();
        text.truncate(trimmed);
        text.push('\n');
    }
    reviewed("matrix.txt", &text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_refused_role_leaves_a_trace_of_content() {
    let face = Face::new();
    for line in rest::table(std::sync::Arc::clone(&face.gate)) {
        let Some(permission) = line.permission else { continue };
        let refused: BTreeSet<_> = MEMBERS.iter().filter(|(_, role)| !policy::access::granted_to(permission).contains(role)).collect();
        for (member, _) in refused {
            let came = face.call(asked(face.world, &line, member).by(member)).await;
            assert!(matches!(came.status.as_u16(), 403 | 404), "{} {} by {member}: {}", line.method, line.path, came.status);
            let text = String::from_utf8_lossy(&came.body).into_owned();
            for secret in ["received", "released", "draft of", "What is known"] {
                assert!(!text.contains(secret), "{} {} by {member}: {text}", line.method, line.path);
            }
        }
    }
}
