//! Attachments: streamed in, streamed out, never held whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use format::attachment::PIECE;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use tower::ServiceExt;

use crate::face::{Call, Face};
use crate::world::TAIL;

const LARGE: usize = 20 * 1024 * 1024 + 12_345;
const PART: usize = 64 * 1024;

/// Byte `n` of a made-up file.
fn byte(n: usize) -> u8 {
    u8::try_from((n / 7 + n * n) % 251).unwrap()
}

/// The file in parts, counting the parts that were asked for.
fn file(asked: Arc<AtomicUsize>) -> Body {
    let parts = (0..LARGE.div_ceil(PART)).map(move |part| {
        asked.fetch_add(1, Ordering::SeqCst);
        let bytes: Vec<u8> = (part * PART..((part + 1) * PART).min(LARGE)).map(byte).collect();
        Ok::<_, std::io::Error>(Bytes::from(bytes))
    });
    Body::from_stream(stream::iter(parts))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_megabytes_go_in_and_come_out_the_same() {
    let face = Face::new();
    let draft = face.world.draft_of("anna");
    let path = format!("/drafts/{draft}/1/attachments?name=large.bin&media-type=application/octet-stream");
    let made = face.call(Call::new("POST", path).by("anna").of_type("application/octet-stream", file(Arc::default()))).await.expect(201).json();
    assert_eq!(made["size"], LARGE);
    let shown = face.get("anna", format!("/records/{draft}")).await.expect(200).json();
    assert_eq!((shown["attachments"][0]["name"].as_str(), shown["attachments"][0]["size"].as_u64()), (Some("large.bin"), Some(LARGE as u64)));
    let came = face.get("anna", format!("/records/{draft}/attachments/0")).await.expect(200);
    assert_eq!(came.body.len(), LARGE);
    assert!(came.body.iter().enumerate().all(|(n, got)| *got == byte(n)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_is_not_read_ahead_of_what_is_stored_and_stops_with_the_right_to_it() {
    let face = Face::new();
    let draft = face.world.draft_of("anna");
    let asked = Arc::new(AtomicUsize::new(0));
    let stored = Arc::clone(&asked);
    let handle = face.handle.clone();
    // While the body is being read, what was taken and not yet stored stays within a few pieces.
    let number = draft.clone();
    let watched = file(Arc::clone(&asked)).into_data_stream().then(move |part| {
        let (handle, number, stored) = (handle.clone(), number.clone(), Arc::clone(&stored));
        async move {
            let pieces = handle.read(move |reader| reader.piece_leaves(&(number, 1), 0).unwrap().len()).await;
            let taken = stored.load(Ordering::SeqCst) * PART / PIECE;
            assert!(taken <= pieces + 2, "{taken} pieces taken and {pieces} stored");
            part
        }
    });
    let path = format!("/drafts/{draft}/1/attachments?name=a&media-type=b");
    face.call(Call::new("POST", &path).by("anna").of_type("application/octet-stream", Body::from_stream(watched))).await.expect(201);

    // Halfway through another, the session is revoked.
    let hash = format::Digest::of(&crate::world::secret("anna")).to_string();
    let (router, asked) = (face.router.clone(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&asked);
    let revoking = file(Arc::clone(&asked)).into_data_stream().then(move |part| {
        let (router, hash, halfway) = (router.clone(), hash.clone(), counted.load(Ordering::SeqCst) == 160);
        async move {
            if halfway {
                let request = axum::http::Request::delete(format!("/api/v1/tokens/{hash}"));
                let request = request.header("authorization", format!("Bearer {}", crate::face::bearer(crate::world::token("anna"))));
                assert_eq!(router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status(), 204);
            }
            part
        }
    });
    face.call(Call::new("POST", &path).by("anna").of_type("application/octet-stream", Body::from_stream(revoking))).await.expect(401);
    assert!(asked.load(Ordering::SeqCst) < 200, "the rest was not read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_a_stranger_is_for_saving_only() {
    let face = Face::new();
    let came = face.get("anna", format!("/records/{}/attachments/0", face.world.received.0)).await.expect(200);
    assert_eq!(came.body.len(), PIECE + TAIL.len());
    assert!(came.body.ends_with(TAIL));
    assert_eq!(came.header("content-type"), "application/octet-stream", "whatever its author called it");
    assert_eq!(came.header("content-disposition"), "attachment; filename=\".._a _file_.html\"; filename*=UTF-8''.._a%20%22file%22.html");
    assert_eq!(came.header("content-length"), came.body.len().to_string());
    assert!(came.header("content-security-policy").contains("sandbox"));
    assert_eq!(came.header("x-content-type-options"), "nosniff");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_breaks_off_attaches_nothing() {
    let face = Face::new();
    let draft = face.world.draft_of("anna");
    let path = format!("/drafts/{draft}/1/attachments?name=a&media-type=b");
    let broken = stream::iter([Ok(Bytes::from(vec![1; PIECE + 5])), Err(std::io::Error::other("gone"))]);
    let call = |body: Body| Call::new("POST", &path).by("anna").of_type("application/octet-stream", body);
    assert_eq!(face.call(call(Body::from_stream(broken))).await.expect(400).code(), "body-unreadable");
    face.call(call(Body::empty())).await.expect(422);
    face.call(call(Body::from("whole"))).await.expect(201);
    let shown = face.get("anna", format!("/records/{draft}")).await.json();
    assert_eq!(shown["attachments"].as_array().unwrap().len(), 1);
    let came = face.get("anna", format!("/records/{draft}/attachments/0")).await.expect(200);
    assert_eq!(&came.body[..], b"whole");
    let foreign = Call::new("POST", format!("/drafts/{draft}/1/attachments?name=a&media-type=b")).by("lena").of_type("application/octet-stream", "x");
    assert_eq!(face.call(foreign).await.expect(404).json()["reasons"], Value::Array(Vec::new()));
}
