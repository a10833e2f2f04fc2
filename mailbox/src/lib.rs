//! The mailbox: a place where parcels wait for a node that cannot be reached directly.
//!
//! It is a folder or an S3-compatible store that several share. What lies in it is sealed, and named so that neither
//! names nor sizes tell who writes to whom. Nothing is decided here: parcels come from the node and go to it through the
//! same doors as over a connection, which [`Door`] names. The invariant: nothing is taken out of a mailbox before what
//! follows from it is durable, here or where it goes.

mod name;
mod post;
mod round;

use std::future::Future;
use std::sync::Arc;

use format::{OrgId, Timestamp};
use node::exchange::{Acknowledgement, Answer, Dispatch, DispatchFault, Inbound};
use node::node::Identity;
use node::rows::PeerRow;
use node::state::Directory;
use node::{Refusal, Released};
use tokio::sync::watch;

pub use post::{Pace, Post, start};

/// What a mailbox asks of its node.
pub trait Door: Clone + Send + Sync + 'static {
    /// Who the node is.
    fn identity(&self) -> Arc<Identity>;
    /// The directory as it is now.
    fn directory(&self) -> Arc<Directory>;
    /// The time.
    fn now(&self) -> Timestamp;
    /// How exchange with a peer stands; nothing before the first parcel.
    fn peer(&self, peer: &OrgId) -> impl Future<Output = Result<Option<PeerRow>, Refusal>> + Send;
    /// Takes in an opened and verified parcel.
    fn receive(&self, inbound: Inbound) -> impl Future<Output = Result<Answer, Refusal>> + Send;
    /// Takes in a peer's answer.
    fn acknowledge(&self, acknowledgement: Acknowledgement) -> impl Future<Output = Result<(), Refusal>> + Send;
    /// Decides what leaves next for a peer, after its parcel `after`, where receipts take their time.
    fn dispatch(&self, peer: &OrgId, after: u64) -> impl Future<Output = Result<Option<Dispatch>, Refusal>> + Send;
    /// Has a parcel put together and sealed.
    fn seal(&self, dispatch: Dispatch) -> impl Future<Output = Result<Released<Vec<u8>>, DispatchFault>> + Send;
    /// Tells each time that something was queued, for whatever peer.
    fn queued(&self) -> watch::Receiver<u64>;
}
