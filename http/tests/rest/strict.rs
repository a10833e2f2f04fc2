//! What the face does not take: other methods, types, sizes and spellings.

use axum::body::Body;
use axum::http::Request;
use futures_util::{StreamExt, stream};
use samverkan_http::rest;
use serde_json::json;

use crate::face::{Call, Face};
use crate::world::draft_json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_declared_methods_are_there() {
    let face = Face::new();
    let entries = |face: &Face| {
        let handle = face.handle.clone();
        async move { handle.read(|reader| reader.counts().unwrap().entries).await }
    };
    let before = entries(&face).await;
    for line in rest::table(std::sync::Arc::clone(&face.gate)) {
        let declared: Vec<_> =
            rest::table(std::sync::Arc::clone(&face.gate)).into_iter().filter(|other| other.path == line.path).map(|other| other.method).collect();
        let path = line.path.strip_prefix(rest::BASE).unwrap().replace(['{', '}'], "");
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
            if declared.contains(&method) {
                continue;
            }
            let came = face.call(Call::new(method, &path).by("anna")).await.expect(405);
            assert_eq!(came.header("allow"), declared.join(", "), "{method} {path}");
            if method != "HEAD" {
                assert_eq!(came.code(), "method-not-allowed");
            }
        }
    }
    let overridden = Call::new("GET", "/records").by("anna").header("x-http-method-override", "DELETE");
    face.call(overridden).await.expect(200);
    assert_eq!(entries(&face).await, before + 1, "nothing but the one list was written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_has_one_spelling() {
    let face = Face::new();
    for path in ["/records/", "//records", "/Records", "/records%2f", "/re%63ords", "/records;x", "/records/../records", "/nothing"] {
        face.call(Call::new("GET", path).by("anna")).await.expect(404);
    }
    for uri in ["/api", "/api/", "/api/v2/records", "/api/v1", "/api/v1/"] {
        let request = Request::builder().uri(uri).body(Body::empty()).unwrap();
        assert_eq!(face.send(request).await.expect(404).code(), "not-found");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_media_types_and_unasked_bodies_are_refused() {
    let face = Face::new();
    for media_type in ["text/plain", "application/xml", "application/json; charset=latin1", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
        let call = Call::new("POST", "/drafts").by("anna").of_type(media_type, draft_json("ctg", "x").to_string());
        assert_eq!(face.call(call).await.expect(415).code(), "media-type", "{media_type}");
    }
    let call = Call::new("POST", "/drafts").by("anna").of_type("application/json; charset=utf-8", draft_json("ctg", "x").to_string());
    face.call(call).await.expect(201);
    let card = Call::new("POST", format!("/organisations?fingerprint={}", face.world.stranger.fingerprint)).by("ada");
    face.call(card.of_type("application/octet-stream", face.world.stranger.card.clone())).await.expect(415);
    let unasked = Call::new("GET", "/records").by("anna").json(&json!({}));
    face.call(unasked).await.expect(415);
    let unasked = Call::new("POST", format!("/records/{}/approval", face.world.submitted.0)).by("rolf").json(&json!({}));
    face.call(unasked).await.expect(415);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_are_strict_json_within_limits() {
    let face = Face::new();
    let post = |path: &'static str, body: String| face.call(Call::new("POST", path).by("ada").of_type("application/json", body));
    let member = |rest: &str| format!("{{\"id\":\"nora\",\"name\":\"Nora\",\"roles\":[\"analyst\"]{rest}}}");
    for (rest, reason) in
        [(",\"id\":\"other\"", "duplicate-key"), (",\"x\":[[[[[[[[[]]]]]]]]]", "too-deep"), (",\"n\":9007199254740993", "number-out-of-range"), (",", "syntax")]
    {
        let came = post("/members", member(rest)).await.expect(400);
        assert_eq!((came.code().as_str(), came.reasons()), ("body-unreadable", vec![reason.to_owned()]));
    }
    for body in [member(",\"active\":true"), "[\"nora\",\"Nora\",[\"analyst\"],null]".to_owned(), "7".to_owned()] {
        assert_eq!(post("/members", body).await.expect(422).reasons(), ["shape"]);
    }
    let large = format!("{{\"id\":\"{}\"}}", "x".repeat(70_000));
    assert_eq!(post("/members", large.clone()).await.expect(413).code(), "too-large");
    let lying = Call::new("POST", "/members").by("ada").of_type("application/json", large).header("content-length", "10");
    face.call(lying).await.expect(413);
    let mut draft = draft_json("ctg", "x");
    draft["content"]["text"] = "x".repeat(1_200_000).into();
    face.post("anna", "/drafts", draft).await.expect(413);
    let mut draft = draft_json("ctg", "x");
    draft["marking"]["tlp"] = "purple".into();
    assert!(face.post("anna", "/drafts", draft).await.expect(422).json()["detail"].as_str().unwrap().contains("purple"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_say_what_they_cannot_read() {
    let face = Face::new();
    for query in ["stage=done", "kind=memo", "originator=SE", "limit=many", "before=-1", "colour=red", "stage=draft&stage=draft"] {
        let came = face.get("anna", format!("/records?{query}")).await.expect(400);
        assert_eq!(came.code(), "query-unreadable", "{query}");
    }
    face.get("osk", "/ledger/entries?record=x").await.expect(400);
    face.get("osk", "/ledger/proof").await.expect(400);
    face.get("osk", "/ledger/proof?entry=999999").await.expect(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_for_one_reader_and_says_who_to_ask() {
    let face = Face::new();
    for path in ["/records", "/health", "/nothing", "/members"] {
        let came = face.get("anna", path).await;
        assert_eq!((came.header("cache-control"), came.header("x-content-type-options")), ("no-store", "nosniff"), "{path}");
        assert!(came.header("content-security-policy").starts_with("default-src 'none'"));
        assert_eq!(came.header("x-request-id").len(), 32);
        if came.status.is_client_error() {
            assert_eq!(came.header("content-type"), "application/problem+json");
            assert_eq!(came.json()["instance"], came.header("x-request-id"));
        }
    }
    let health = face.call(Call::new("GET", "/health")).await.expect(200);
    assert!(health.body.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentences_are_in_the_language_asked_for() {
    let face = Face::new();
    let call = |language: &'static str| face.call(Call::new("GET", "/members").by("anna").header("accept-language", language));
    let swedish = call("sv-SE,sv;q=0.9,en;q=0.5").await.expect(403).json();
    assert_eq!(swedish["title"], "Det är inte tillåtet");
    assert!(swedish["reasons"][0]["sentence"].as_str().unwrap().contains("roller"));
    assert_eq!(call("de").await.json()["title"], "It is not permitted");
}

/// A body that begins and does not go on.
fn stalled() -> Body {
    let first = stream::iter([Ok::<_, std::io::Error>(axum::body::Bytes::from_static(b"{"))]);
    Body::from_stream(first.chain(stream::pending()))
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let face = Face::new();
    let json = Call::new("POST", "/members").by("ada").of_type("application/json", stalled());
    assert_eq!(face.call(json).await.expect(408).code(), "too-slow");
    let path = format!("/drafts/{}/1/attachments?name=a&media-type=b", face.world.draft_of("anna"));
    let upload = Call::new("POST", path).by("anna").of_type("application/octet-stream", stalled());
    assert_eq!(face.call(upload).await.expect(408).code(), "too-slow");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_read_of_a_body_before_it_is_known_who_sends_it_and_may() {
    let face = Face::new();
    let untouchable =
        || Body::from_stream(stream::poll_fn(|_| -> std::task::Poll<Option<Result<axum::body::Bytes, std::io::Error>>> { panic!("it was read") }));
    let call = || Call::new("POST", "/drafts").of_type("application/json", untouchable());
    face.call(call()).await.expect(401);
    face.call(call().with_secret("x")).await.expect(401);
    face.call(call().by("ada")).await.expect(403);
    let path = format!("/drafts/{}/1/attachments?name=a&media-type=b", face.world.draft_of("lena"));
    face.call(Call::new("POST", path).by("anna").of_type("application/octet-stream", untouchable())).await.expect(404);
}
