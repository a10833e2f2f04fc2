//! The node as a mailbox sees it: two edges that do not know each other meet here.

use std::sync::Arc;

use format::{OrgId, Timestamp};
use http::handle::Handle;
use mailbox::Door;
use node::exchange::{Acknowledgement, Answer, Dispatch, DispatchFault, Inbound};
use node::node::Identity;
use node::rows::PeerRow;
use node::state::Directory;
use node::{Refusal, Released};
use tokio::sync::watch;

/// The way from a mailbox to the running node.
#[derive(Debug, Clone)]
pub(crate) struct NodeDoor(pub(crate) Handle);

impl Door for NodeDoor {
    fn identity(&self) -> Arc<Identity> {
        Arc::clone(self.0.identity())
    }

    fn directory(&self) -> Arc<Directory> {
        self.0.directory()
    }

    fn now(&self) -> Timestamp {
        self.0.now()
    }

    async fn peer(&self, peer: &OrgId) -> Result<Option<PeerRow>, Refusal> {
        let peer = peer.clone();
        Ok(self.0.read(move |reader| reader.peer(&peer)).await?)
    }

    async fn receive(&self, inbound: Inbound) -> Result<Answer, Refusal> {
        self.0.receive(inbound).await
    }

    async fn acknowledge(&self, acknowledgement: Acknowledgement) -> Result<(), Refusal> {
        self.0.acknowledge(acknowledgement).await
    }

    async fn dispatch(&self, peer: &OrgId, after: u64) -> Result<Option<Dispatch>, Refusal> {
        self.0.dispatch_carried(peer.clone(), after).await
    }

    async fn seal(&self, dispatch: Dispatch) -> Result<Released<Vec<u8>>, DispatchFault> {
        self.0.seal(dispatch).await
    }

    fn queued(&self) -> watch::Receiver<u64> {
        self.0.queued()
    }
}
