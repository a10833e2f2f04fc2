//! Exchange: parcels in sequence between this node and each peer.
//!
//! Three movements: dispatch decides what leaves and writes it down, receive takes a parcel in and answers it, and
//! acknowledge takes the answer in. What costs time (opening, verifying, putting bytes together, sealing) is done by
//! functions that need no node, on whatever thread the caller likes; what decides is done by the node, in order.

mod acknowledge;
mod carried;
mod dispatch;
mod inbound;
mod notice;
mod pieces;
mod receive;

pub use acknowledge::Acknowledgement;
pub use carried::{AnswerFault, MAX_ANSWERS, answers, open_carried, seal_answer};
pub use dispatch::{Dispatch, DispatchFault};
pub use inbound::{Inbound, InboundFault, open, open_unless};
pub use pieces::objects_waiting;
pub(crate) use pieces::{Leaves, leaf_of};
pub use receive::Answer;
pub(crate) use receive::{given_key, receipt_key, refuse};

/// How many parcels may be on their way to one peer without a receipt, over a connection that brings it at once.
pub const WINDOW: u64 = 4;
/// How many, where receipts take their time: through a mailbox, or as files.
pub const CARRIED_WINDOW: u64 = 1024;
/// How many rows may wait to leave for one peer; beyond, release to it is refused for now.
pub const MAX_QUEUE: u64 = 200_000;
