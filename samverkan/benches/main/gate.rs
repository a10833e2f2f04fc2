//! A gate before a node: while it is shut, nobody reaches the node; once it is open, bytes go through.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::pair::Outcome;

/// It listens in the place of a node.
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    open: Arc<AtomicBool>,
    keeping: JoinHandle<()>,
}

impl Gate {
    /// A gate that is shut.
    pub(crate) async fn before(node: SocketAddr) -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, open) = (listener.local_addr()?, Arc::new(AtomicBool::new(false)));
        let keeping = tokio::spawn(keep(listener, node, Arc::clone(&open)));
        Ok(Self { address, open, keeping })
    }

    pub(crate) fn open(&self) {
        self.open.store(true, SeqCst);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

async fn keep(listener: TcpListener, node: SocketAddr, open: Arc<AtomicBool>) {
    while let Ok((mut near, _)) = listener.accept().await {
        if open.load(SeqCst) {
            tokio::spawn(async move {
                if let Ok(mut far) = TcpStream::connect(node).await {
                    // Whichever end is closed first closes the other.
                    _ = copy_bidirectional(&mut near, &mut far).await;
                }
            });
        }
    }
}
