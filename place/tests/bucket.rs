//! Attachments over the S3 protocol, with a server that `cargo xtask s3` sets up and starts.
#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::time::Duration;

use node::ports::Objects;
use node::rows::ObjectName;
use samverkan_place::{Attachments, Bucket, Place};

#[test]
#[ignore = "needs an S3-compatible server: run `cargo xtask s3`"]
fn attachments_go_through_a_bucket() {
    #[expect(clippy::disallowed_methods, reason = "the address of a server that was started for this test")]
    let endpoint = std::env::var("SAMVERKAN_S3").unwrap();
    let place = |endpoint: &str| {
        Place::Bucket(Bucket {
            endpoint: endpoint.to_owned(),
            region: "us-east-1".to_owned(),
            bucket: "mailbox".to_owned(),
            prefix: "attachments".to_owned(),
            key_id: "testing".to_owned(),
            secret: "testing".to_owned(),
            certificate: Vec::new(),
        })
    };
    let open = |org: &str, endpoint: &str| Attachments::open(&place(endpoint), &org.parse().unwrap()).unwrap();
    let (ours, theirs) = (open("se-sapo", &endpoint), open("dk-pet", &endpoint));
    let name = |first: u8, rest: u8| ObjectName(std::array::from_fn(|n| if n == 0 { first } else { rest }));
    assert!(ours.get(&name(1, 1)).unwrap_err().to_string().contains("another place"), "nothing was begun there");
    assert!(ours.put(&name(1, 1), vec![1]).is_err());
    ours.begin().unwrap();
    theirs.begin().unwrap();
    let piece = |n: u8| vec![n; (1 << 20) + 28];
    for n in 0..40 {
        ours.put(&name(n % 4, n), piece(n)).unwrap();
    }
    theirs.put(&name(0, 0), b"theirs".to_vec()).unwrap();
    for n in 0..40 {
        assert!(ours.get(&name(n % 4, n)).unwrap().unwrap() == piece(n));
    }
    let listed = ours.list(0).unwrap();
    assert_eq!(listed.len(), 10);
    assert!(listed.iter().all(|(_, age)| *age < Duration::from_secs(600)));
    assert_eq!(ours.get(&name(200, 1)).unwrap(), None);
    ours.remove(&name(0, 0)).unwrap();
    ours.remove(&name(0, 0)).unwrap();
    assert_eq!((ours.get(&name(0, 0)).unwrap(), theirs.get(&name(0, 0)).unwrap().unwrap().len()), (None, 6));
    // Nobody listens there.
    let away = open("se-sapo", "http://127.0.0.1:1");
    assert!(away.put(&name(1, 1), piece(1)).is_err());
}
