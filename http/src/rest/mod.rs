//! REST: the face that programs use, the command line among them.
//!
//! [`router`] has the table of routes; everything else here serves it. Handlers turn a body into a command and an
//! outcome into a view, and decide nothing. Each gets a [`crate::access::Desk`], which only the permission of its line
//! yields. The OpenAPI document and the table are made from the same lines as the router.

mod agreements;
mod asked;
mod document;
mod drafts;
mod health;
mod house_rules;
mod input;
mod ledger;
mod limits;
mod members;
mod organisations;
mod parcels;
mod peers;
mod records;
mod recovery;
mod reply;
mod route;
mod router;
mod session;
mod sheet;
mod tokens;

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;

use crate::access::Gate;
use crate::listener::{Caller, TlsListener};

pub use route::{BASE, Line};

/// The REST face before this gate. It answers everything under `/api`, and nothing else.
///
/// It is served with [`Caller`] as connect info, as [`serve`] does, so that log-ins are throttled by address too.
pub fn router(gate: Arc<Gate>) -> Router {
    let routes = router::routes(gate);
    let document = document::of(&routes);
    routes.finish(document)
}

/// Serves members until `shutdown` is over; connections then end in good order.
///
/// # Errors
/// None in practice: a failing listener rests and goes on.
pub async fn serve(listener: TlsListener, gate: Arc<Gate>, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let service = router(gate).into_make_service_with_connect_info::<Caller>();
    axum::serve(listener, service).with_graceful_shutdown(shutdown).await
}

/// The table of routes, in the order in which they are declared.
#[must_use]
pub fn table(gate: Arc<Gate>) -> Vec<Line> {
    router::routes(gate).table
}
