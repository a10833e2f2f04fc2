//! Inputs: what a handler takes from a request besides what its path names.
//!
//! Nothing is read before the asker is known and may act. Each input says its media type and its limit, and is refused
//! beyond either; JSON goes through the strict gate of [`format::json`]. A body that nobody asked for is refused too.

use std::future::Future;
use std::net::IpAddr;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use format::attachment::PIECE;
use format::json::{self, Budget, Object};
use format::signed::MAX_SIGNED;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};

use super::limits::{BODY_TIME, PART_TIME, SMALL_BODY};
use super::sheet::Sheet;
use crate::listener::Caller;
use crate::problem::Problem;

/// The media type of signed statements (RFC 9052).
pub(crate) const COSE: &str = "application/cose";
const BYTES: &str = "application/octet-stream";
const JSON: &str = "application/json";

/// Something a handler takes from a request.
pub(crate) trait Input: Sized + Send + 'static {
    /// Reads it; whoever reads the body takes it.
    fn read(parts: &Parts, body: &mut Body) -> impl Future<Output = Result<Self, Problem>> + Send;

    /// Says what it is.
    fn describe(sheet: &mut Sheet);
}

/// Whether a body was sent that no input took.
pub(crate) fn is_left(body: &Body) -> bool {
    !body.is_end_stream()
}

impl Input for () {
    async fn read(_: &Parts, _: &mut Body) -> Result<Self, Problem> {
        Ok(())
    }

    fn describe(_: &mut Sheet) {}
}

impl<A: Input, B: Input> Input for (A, B) {
    async fn read(parts: &Parts, body: &mut Body) -> Result<Self, Problem> {
        Ok((A::read(parts, body).await?, B::read(parts, body).await?))
    }

    fn describe(sheet: &mut Sheet) {
        A::describe(sheet);
        B::describe(sheet);
    }
}

/// Something that comes as JSON.
pub(crate) trait Told: DeserializeOwned + ToSchema + Send + 'static {
    /// What it may cost to read.
    const BUDGET: Budget = SMALL_BODY;
}

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Told> Input for Json<T> {
    async fn read(parts: &Parts, body: &mut Body) -> Result<Self, Problem> {
        let bytes = whole(parts, body, JSON, T::BUDGET.bytes).await?;
        let Object(value) = json::parse::<Object<T>>(&bytes, &T::BUDGET)?;
        Ok(Self(value))
    }

    fn describe(sheet: &mut Sheet) {
        sheet.json_body::<T>();
    }
}

/// The query's parameters.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned + IntoParams + Send + 'static> Input for Query<T> {
    async fn read(parts: &Parts, _: &mut Body) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|fault| Problem::query(fault.body_text()))
    }

    fn describe(sheet: &mut Sheet) {
        sheet.query::<T>();
    }
}

/// A signed message.
pub(crate) struct Cose(pub(crate) Vec<u8>);

impl Input for Cose {
    async fn read(parts: &Parts, body: &mut Body) -> Result<Self, Problem> {
        whole(parts, body, COSE, MAX_SIGNED).await.map(Self)
    }

    fn describe(sheet: &mut Sheet) {
        sheet.bytes_body(COSE);
    }
}

/// Where a request comes from, where that is known.
pub(crate) struct Source(pub(crate) Option<IpAddr>);

impl Input for Source {
    async fn read(parts: &Parts, _: &mut Body) -> Result<Self, Problem> {
        Ok(Self(parts.extensions.get::<ConnectInfo<Caller>>().map(|info| info.0.address.ip())))
    }

    fn describe(_: &mut Sheet) {}
}

/// A body of any length, taken piece by piece.
pub(crate) struct Upload {
    stream: BodyDataStream,
    left: Bytes,
}

impl Input for Upload {
    async fn read(parts: &Parts, body: &mut Body) -> Result<Self, Problem> {
        of_type(parts, BYTES)?;
        Ok(Self { stream: std::mem::take(body).into_data_stream(), left: Bytes::new() })
    }

    fn describe(sheet: &mut Sheet) {
        sheet.bytes_body(BYTES);
    }
}

impl Upload {
    /// The next piece, of [`PIECE`] bytes or, at the end, what is left; none after that.
    pub(crate) async fn piece(&mut self) -> Result<Option<Vec<u8>>, Problem> {
        let mut piece = Vec::with_capacity(PIECE);
        while piece.len() < PIECE {
            if self.left.is_empty() {
                match timeout(PART_TIME, self.stream.next()).await.map_err(|_| Problem::too_slow())? {
                    Some(part) => self.left = part.map_err(|_| Problem::body_broken())?,
                    None => break,
                }
            }
            let fits = self.left.len().min(PIECE - piece.len());
            piece.extend_from_slice(&self.left.split_to(fits));
        }
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }
}

/// The whole of a body of this type, up to a limit.
async fn whole(parts: &Parts, body: &mut Body, media_type: &'static str, limit: usize) -> Result<Vec<u8>, Problem> {
    of_type(parts, media_type)?;
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(Problem::too_large(limit as u64));
    }
    let body = std::mem::take(body);
    timeout(BODY_TIME, collect(body, limit)).await.map_err(|_| Problem::too_slow())?
}

async fn collect(body: Body, limit: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let mut stream = body.into_data_stream();
    while let Some(part) = stream.next().await {
        let part = part.map_err(|_| Problem::body_broken())?;
        if bytes.len() + part.len() > limit {
            return Err(Problem::too_large(limit as u64));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

/// Refuses a body of another type; a character set of UTF-8 may be named.
fn of_type(parts: &Parts, media_type: &'static str) -> Result<(), Problem> {
    let given = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (essence, parameters) = given.split_once(';').unwrap_or((given, ""));
    let parameters = parameters.trim();
    let plain = parameters.is_empty() || parameters.eq_ignore_ascii_case("charset=utf-8");
    if essence.trim().eq_ignore_ascii_case(media_type) && plain { Ok(()) } else { Err(Problem::media_type(media_type)) }
}
