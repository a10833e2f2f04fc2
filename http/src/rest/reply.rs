//! Replies: what a handler gives back when it did what was asked.

use axum::Json;
use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::input::{COSE, Cose};
use super::sheet::Sheet;

/// Lines of JSON, one value each.
const JSON_LINES: &str = "application/jsonl";
const TEXT: &str = "text/plain; charset=utf-8";

/// Something a handler gives back.
pub(crate) trait Reply {
    /// The response.
    fn reply(self) -> Response;

    /// Says what it is.
    fn describe(sheet: &mut Sheet);
}

/// What was asked for.
pub(crate) struct View<T>(pub(crate) T);

impl<T: Serialize + ToSchema> Reply for View<T> {
    fn reply(self) -> Response {
        Json(self.0).into_response()
    }

    fn describe(sheet: &mut Sheet) {
        sheet.json::<T>(200);
    }
}

/// What was made.
pub(crate) struct Made<T>(pub(crate) T);

impl<T: Serialize + ToSchema> Reply for Made<T> {
    fn reply(self) -> Response {
        (StatusCode::CREATED, Json(self.0)).into_response()
    }

    fn describe(sheet: &mut Sheet) {
        sheet.json::<T>(201);
    }
}

/// Done, and nothing more to say.
pub(crate) struct Done;

impl Reply for Done {
    fn reply(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }

    fn describe(sheet: &mut Sheet) {
        sheet.empty(204);
    }
}

/// All is well, and nothing more to say.
pub(crate) struct Well;

impl Reply for Well {
    fn reply(self) -> Response {
        StatusCode::OK.into_response()
    }

    fn describe(sheet: &mut Sheet) {
        sheet.empty(200);
    }
}

impl Reply for Cose {
    fn reply(self) -> Response {
        ([(CONTENT_TYPE, COSE)], self.0).into_response()
    }

    fn describe(sheet: &mut Sheet) {
        sheet.bytes(200, COSE);
    }
}

/// Text.
pub(crate) struct Text(pub(crate) String);

impl Reply for Text {
    fn reply(self) -> Response {
        ([(CONTENT_TYPE, TEXT)], self.0).into_response()
    }

    fn describe(sheet: &mut Sheet) {
        sheet.bytes(200, "text/plain");
    }
}

/// The OpenAPI document.
pub(crate) struct Document(pub(crate) String);

impl Reply for Document {
    fn reply(self) -> Response {
        ([(CONTENT_TYPE, "application/json")], self.0).into_response()
    }

    fn describe(sheet: &mut Sheet) {
        sheet.bytes(200, "application/json");
    }
}

/// Lines of JSON, as many as there are.
pub(crate) struct Lines(pub(crate) Body);

impl Reply for Lines {
    fn reply(self) -> Response {
        ([(CONTENT_TYPE, JSON_LINES)], self.0).into_response()
    }

    fn describe(sheet: &mut Sheet) {
        sheet.bytes(200, JSON_LINES);
    }
}

/// A bundle of parcels or answers, as long as it is.
pub(crate) struct Bundle(pub(crate) Body);

impl Reply for Bundle {
    fn reply(self) -> Response {
        ([(CONTENT_TYPE, "application/octet-stream")], self.0).into_response()
    }

    fn describe(sheet: &mut Sheet) {
        sheet.bytes(200, "application/octet-stream");
    }
}

/// A file for saving, never for showing in place: its bytes are a stranger's.
pub(crate) struct File {
    /// Its name, a label.
    pub(crate) name: String,
    /// Its length.
    pub(crate) size: u64,
    /// Its bytes.
    pub(crate) body: Body,
}

impl Reply for File {
    fn reply(self) -> Response {
        let mut response = ([(CONTENT_TYPE, "application/octet-stream")], self.body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(self.size));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox; frame-ancestors 'none'"));
        let disposition = HeaderValue::from_str(&disposition(&self.name));
        headers.insert(CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment")));
        response
    }

    fn describe(sheet: &mut Sheet) {
        sheet.bytes(200, "application/octet-stream");
    }
}

/// A name as a label for saving (RFC 6266, RFC 8187): path separators go, and all but plain letters are encoded.
fn disposition(name: &str) -> String {
    let name: String = name.chars().map(|c| if c == '/' || c == '\\' || c.is_control() { '_' } else { c }).collect();
    let encoded: String = name
        .bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() || b".-_".contains(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || ".-_ ".contains(c) { c } else { '_' }).collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_a_label() {
        let name = "../../etc/pass\"wd\r\n på.txt";
        assert_eq!(disposition(name), "attachment; filename=\".._.._etc_pass_wd__ p_.txt\"; filename*=UTF-8''.._.._etc_pass%22wd__%20p%C3%A5.txt");
    }
}
