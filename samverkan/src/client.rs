//! Speaking REST to a node, on behalf of one member.
//!
//! A client knows one node, by its address and certificate, and one member, by a session or token. It follows no
//! redirect and uses no proxy. What the node refuses comes back as a [`Failure`] with the node's own sentences. Nothing
//! here decides what is shown.

mod pin;
mod session;

use std::path::Path;
use std::time::Duration;

use reqwest::header::{ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde_json::Value;

pub(crate) use session::Sessions;

use crate::config::Config;
use crate::failure::{Failure, Outcome};

/// File in the data folder in which a running node says where it listens for members.
pub(crate) const ADDRESS_FILE: &str = "web.address";
/// Header in which the purpose of reading is stated.
const PURPOSE: &str = "samverkan-purpose";
/// The largest answer that is not streamed.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Where a node is.
#[derive(Debug)]
pub(crate) struct Place {
    url: Url,
    /// The certificate that it must show, or that of the authority that issued it, in PEM.
    certificate: Vec<u8>,
    /// For messages: where the certificate was read.
    certificate_source: String,
    /// How to start it, where that is known.
    remedy: String,
}

impl Place {
    /// The node whose data folder this is.
    pub(crate) fn of_data(data: &Path) -> Outcome<Self> {
        let config = Config::load(data)?;
        let running = std::fs::read_to_string(data.join(ADDRESS_FILE)).ok().and_then(|text| text.trim().parse().ok());
        let mut address = running.unwrap_or(config.web.listen);
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        let remedy = format!("Start it with `samverkan serve --data {}`.", data.display());
        Self::new(&format!("https://{address}"), &config.web.certificate_file, remedy)
    }

    /// The node at `url`, which shows this certificate or one issued by it.
    pub(crate) fn at(url: &str, certificate: &Path) -> Outcome<Self> {
        Self::new(url, certificate, "Check the address, and whether the node runs.".to_owned())
    }

    fn new(url: &str, certificate: &Path, remedy: String) -> Outcome<Self> {
        let invalid = |why: &str| Failure::usage(format!("`{url}` is not the address of a node: {why}")).remedy("Write it as https://HOST:PORT.");
        let url = Url::parse(url).map_err(|error| invalid(&error.to_string()))?;
        if url.scheme() != "https" || url.host_str().is_none() {
            return Err(invalid("it must begin with https://"));
        }
        let source = certificate.display().to_string();
        let certificate = std::fs::read(certificate).map_err(|error| {
            Failure::usage(format!("the node's certificate `{source}` cannot be read: {error}"))
                .remedy("Ask the node's administrator for the file, and give it with --certificate.")
        })?;
        Ok(Self { url, certificate, certificate_source: source, remedy })
    }

    /// Names the node in a folder of sessions.
    pub(crate) fn key(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        format!("{host}_{}", self.url.port_or_known_default().unwrap_or_default())
    }
}

/// One node, and who asks.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    /// Waits for an answer as long as the connection stands: for what takes as long as it is long.
    patient: reqwest::Client,
    place: Place,
    language: &'static str,
    secret: Option<String>,
}

impl Client {
    /// A client of the node at `place`, which answers in `language`. Without a secret only log-in works.
    pub(crate) fn new(place: Place, language: &'static str, secret: Option<String>) -> Outcome<Self> {
        let tls = pin::config(&place.certificate)
            .map_err(|why| Failure::usage(format!("`{}` cannot be used as the node's certificate: {why}", place.certificate_source)))?;
        let builder = || {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .https_only(true)
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(Duration::from_secs(10))
                .tcp_keepalive(Duration::from_secs(30))
        };
        let unbuilt = |error: reqwest::Error| Failure::unreachable(format!("no connection can be made from here: {}", chain(&error)));
        let http = builder().read_timeout(Duration::from_secs(60)).build().map_err(unbuilt)?;
        let patient = builder().build().map_err(unbuilt)?;
        Ok(Self { http, patient, place, language, secret })
    }

    pub(crate) fn get(&self, path: &[&str]) -> Call<'_> {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &[&str]) -> Call<'_> {
        self.call(Method::POST, path)
    }

    pub(crate) fn put(&self, path: &[&str]) -> Call<'_> {
        self.call(Method::PUT, path)
    }

    pub(crate) fn patch(&self, path: &[&str]) -> Call<'_> {
        self.call(Method::PATCH, path)
    }

    pub(crate) fn delete(&self, path: &[&str]) -> Call<'_> {
        self.call(Method::DELETE, path)
    }

    fn call(&self, method: Method, path: &[&str]) -> Call<'_> {
        let mut url = self.place.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(["api", "v1"]).extend(path);
        }
        Call { client: self, method, url, patient: false, purpose: None, body: None }
    }

    fn unreached(&self, error: &reqwest::Error) -> Failure {
        let (url, cause) = (self.place.url.as_str().trim_end_matches('/'), chain(error));
        if cause.contains(pin::OTHER_CERTIFICATE) {
            return Failure::unreachable(format!("the node at {url} shows another certificate than `{}`", self.place.certificate_source))
                .remedy("Do not go on before its administrator has said why, and given you the new file.");
        }
        if error.is_connect() {
            return Failure::unreachable(format!("the node at {url} does not answer: {cause}")).remedy(self.place.remedy.clone());
        }
        Failure::unreachable(format!("the connection to the node at {url} broke: {cause}")).remedy("Try again; what was sent may have been carried out.")
    }
}

/// A request being put together.
#[derive(Debug)]
#[must_use = "a call is made when it is sent"]
pub(crate) struct Call<'a> {
    client: &'a Client,
    method: Method,
    url: Url,
    patient: bool,
    purpose: Option<String>,
    body: Option<(&'static str, reqwest::Body)>,
}

impl Call<'_> {
    /// Adds a query parameter.
    pub(crate) fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.url.query_pairs_mut().append_pair(name, &value.to_string());
        self
    }

    /// Adds a query parameter where there is a value.
    pub(crate) fn query_if(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Waits for the answer however long it takes.
    pub(crate) fn patiently(mut self) -> Self {
        self.patient = true;
        self
    }

    /// States for what is read.
    pub(crate) fn purpose(mut self, purpose: &str) -> Self {
        self.purpose = Some(purpose.to_owned());
        self
    }

    /// Sends JSON along.
    pub(crate) fn json(self, value: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(value).unwrap_or_default();
        self.body("application/json", bytes)
    }

    /// Sends a body along.
    pub(crate) fn body(mut self, media_type: &'static str, body: impl Into<reqwest::Body>) -> Self {
        self.body = Some((media_type, body.into()));
        self
    }

    /// Makes the call and gives the answer's JSON, null where there is none.
    pub(crate) async fn send(self) -> Outcome<Value> {
        let bytes = self.bytes().await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|error| unexpected(&error))
    }

    /// Makes the call and gives the answer's bytes.
    pub(crate) async fn bytes(self) -> Outcome<Vec<u8>> {
        let client = self.client;
        let mut response = self.response().await?;
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| client.unreached(&error))? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > MAX_ANSWER {
                return Err(unexpected(&"it is too large"));
            }
        }
        Ok(bytes)
    }

    /// Makes the call and gives the answer, to be read piece by piece.
    pub(crate) async fn response(self) -> Outcome<Response> {
        let client = self.client;
        let response = self.into_request().send().await.map_err(|error| client.unreached(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }

    fn into_request(self) -> RequestBuilder {
        let http = if self.patient { &self.client.patient } else { &self.client.http };
        let mut request = http.request(self.method, self.url).header(ACCEPT_LANGUAGE, self.client.language);
        if let Some(secret) = &self.client.secret {
            request = request.header(AUTHORIZATION, format!("Bearer {secret}"));
        }
        if let Some(purpose) = self.purpose {
            request = request.header(PURPOSE, purpose);
        }
        match self.body {
            Some((media_type, body)) => request.header(CONTENT_TYPE, media_type).body(body),
            None => request,
        }
    }
}

/// Writes the rest of an answer to `to`, calling `progress` with the bytes of each piece.
pub(crate) async fn stream(mut response: Response, mut to: impl std::io::Write, mut progress: impl FnMut(u64)) -> Outcome<u64> {
    let mut size = 0;
    while let Some(piece) = piece(&mut response, size).await? {
        to.write_all(&piece).map_err(|error| Failure::usage(format!("the file cannot be written: {error}")))?;
        size += piece.len() as u64;
        progress(piece.len() as u64);
    }
    Ok(size)
}

/// The next piece of an answer of which `so_far` bytes came; nothing at its end.
pub(crate) async fn piece(response: &mut Response, so_far: u64) -> Outcome<Option<Vec<u8>>> {
    let piece = response.chunk().await.map_err(|error| Failure::unreachable(format!("the answer broke off after {so_far} bytes: {}", chain(&error))))?;
    Ok(piece.map(Into::into))
}

/// What the node said when it did not do as asked.
async fn refusal(mut response: Response) -> Failure {
    let status = response.status();
    let mut bytes = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        bytes.extend_from_slice(&piece);
        if bytes.len() > 1024 * 1024 {
            break;
        }
    }
    let problem: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    told(status, problem)
}

fn told(status: StatusCode, problem: Value) -> Failure {
    let text = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (title, detail, code) = (text("title"), text("detail"), text("code"));
    let reasons: Vec<String> = problem.get("reasons").and_then(Value::as_array).into_iter().flatten().filter_map(sentence).collect();
    let what = match (title.is_empty(), detail.is_empty() || !reasons.is_empty()) {
        (true, _) => format!("the node answered {status}"),
        (false, true) => title,
        (false, false) => format!("{title}. {detail}"),
    };
    let failure = match status {
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNSUPPORTED_MEDIA_TYPE | StatusCode::UNPROCESSABLE_ENTITY => Failure::usage(what),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Failure::unreachable(what),
        status if status.is_server_error() => Failure::unreachable(what),
        _ => Failure::refused(what),
    };
    let failure = failure.details(reasons).problem(problem);
    match code.as_str() {
        "credentials-missing" | "credentials-invalid" => failure.remedy("Log in with `samverkan login --as MEMBER`."),
        "internal" => failure.remedy("Tell the node's administrator, with the time: the cause is in the node's log."),
        _ => failure,
    }
}

fn sentence(reason: &Value) -> Option<String> {
    reason.get("sentence").and_then(Value::as_str).map(ToOwned::to_owned)
}

fn unexpected(why: &dyn std::fmt::Display) -> Failure {
    Failure::unreachable(format!("the node's answer cannot be read: {why}")).remedy("Check that node and command line are of the same version.")
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut line = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let this = error.to_string();
        if !line.contains(&this) {
            line = if line.is_empty() { this } else { format!("{line}: {this}") };
        }
        next = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_node_says_is_passed_on() {
        let problem = serde_json::json!({
            "title": "It is not permitted", "detail": "The rules do not permit it.", "code": "forbidden",
            "reasons": [{ "code": "approval-own", "sentence": "anna drafted it." }],
        });
        assert_eq!(told(StatusCode::FORBIDDEN, problem.clone()).to_string(), "It is not permitted:\n  - anna drafted it.");
        assert_eq!(told(StatusCode::FORBIDDEN, problem.clone()).to_json(), problem);
        let invalid = serde_json::json!({ "title": "Something is not valid", "detail": "title: it is empty", "code": "invalid", "reasons": [] });
        assert_eq!(told(StatusCode::UNPROCESSABLE_ENTITY, invalid).to_string(), "Something is not valid. title: it is empty.");
        assert_eq!(told(StatusCode::BAD_GATEWAY, Value::Null).to_string(), "The node answered 502 Bad Gateway.");
    }
}
