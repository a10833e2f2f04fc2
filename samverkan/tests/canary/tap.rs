//! The tap: a line between two nodes that keeps every byte that goes over it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::pair::Outcome;

type Kept = Arc<Mutex<Vec<u8>>>;

/// Carries bytes from its own address to another.
pub(crate) struct Tap {
    pub(crate) address: SocketAddr,
    kept: Kept,
    carrying: JoinHandle<()>,
}

impl Tap {
    pub(crate) async fn lay(to: SocketAddr) -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, kept) = (listener.local_addr()?, Kept::default());
        let carrying = tokio::spawn(carry(listener, to, Arc::clone(&kept)));
        Ok(Self { address, kept, carrying })
    }

    /// Everything that went over it, in the order in which it was read.
    pub(crate) fn kept(&self) -> Vec<u8> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

async fn carry(listener: TcpListener, to: SocketAddr, kept: Kept) {
    while let Ok((near, _)) = listener.accept().await {
        let kept = Arc::clone(&kept);
        tokio::spawn(async move {
            // Whoever connects while the node is down finds nobody, as without the tap.
            let Ok(far) = TcpStream::connect(to).await else { return };
            let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
            tokio::select! {
                () = copy(near_read, far_write, &kept) => {}
                () = copy(far_read, near_write, &kept) => {}
            }
        });
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, kept: &Kept) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let some = bytes.get(..count).unwrap_or_default();
        kept.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(some);
        if to.write_all(some).await.is_err() {
            return;
        }
    }
}
