//! The documents that are made from the code: the route table and the OpenAPI description.

use std::fmt::Write as _;
use std::sync::Arc;

use samverkan_http::rest;

use crate::face::{Call, Face, reviewed};

#[tokio::test]
async fn the_route_table_is_as_reviewed() {
    let face = Face::new();
    let mut text = String::new();
    for line in rest::table(Arc::clone(&face.gate)) {
        let permission = line.permission.map_or("open", |permission| permission.as_str());
        writeln!(text, "{:<6}  {:<52}  {permission:<18}  {}", line.method, line.path, line.summary).unwrap();
    }
    reviewed("routes.txt", &text);
}

#[tokio::test]
async fn the_openapi_document_is_as_reviewed_and_open() {
    let face = Face::new();
    let came = face.call(Call::new("GET", "/openapi.json")).await.expect(200);
    let document = came.json();
    assert_eq!(document["openapi"], "3.1.0");
    reviewed("openapi.json", &format!("{}\n", String::from_utf8(came.body.to_vec()).unwrap()));
}

#[tokio::test]
async fn the_document_has_every_route_and_every_schema_that_it_speaks_of() {
    let face = Face::new();
    let came = face.call(Call::new("GET", "/openapi.json")).await;
    let (document, text) = (came.json(), String::from_utf8(came.body.to_vec()).unwrap());
    let mut ids = std::collections::BTreeSet::new();
    for line in rest::table(Arc::clone(&face.gate)) {
        let operation = &document["paths"][&line.path][line.method.to_ascii_lowercase()];
        assert_eq!(operation["summary"], line.summary, "{} {}", line.method, line.path);
        assert_eq!(operation["security"].as_array().is_some_and(|rules| rules.is_empty()), line.permission.is_none(), "{} {}", line.method, line.path);
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{} twice", operation["operationId"]);
    }
    for named in text.split("#/components/schemas/").skip(1) {
        let name = named.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "no schema {name}");
    }
}
