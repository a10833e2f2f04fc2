//! The pool of readers: reading past the writer, on threads that may block.
//!
//! Each reader is a connection of its own to the store and serves one caller at a time. As many can read at once as
//! there are readers; others wait their turn.

use std::sync::{Arc, Mutex, PoisonError};

use node::ports::Reader;
use tokio::sync::Semaphore;

pub(super) struct Readers {
    free: Arc<Mutex<Vec<Box<dyn Reader>>>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(readers: Vec<Box<dyn Reader>>) -> Self {
        Self { turns: Arc::new(Semaphore::new(readers.len())), free: Arc::new(Mutex::new(readers)) }
    }

    pub(super) async fn read<T: Send + 'static>(&self, read: impl FnOnce(&dyn Reader) -> T + Send + 'static) -> T {
        // The semaphore is never closed; if it were, nobody could read again.
        let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else {
            return std::future::pending().await;
        };
        let free = Arc::clone(&self.free);
        let reading = tokio::task::spawn_blocking(move || {
            let borrowed = Borrowed { reader: free.lock().unwrap_or_else(PoisonError::into_inner).pop(), free: Arc::clone(&free) };
            let value = borrowed.reader.as_deref().map(read);
            drop(borrowed);
            drop(turn);
            value
        });
        match reading.await {
            Ok(Some(value)) => value,
            Err(fault) if fault.is_panic() => std::panic::resume_unwind(fault.into_panic()),
            // INVARIANT: there are as many readers as turns. What is left is a runtime that shuts down: nobody waits.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

/// A reader that goes back to the pool, also when reading panics.
struct Borrowed {
    reader: Option<Box<dyn Reader>>,
    free: Arc<Mutex<Vec<Box<dyn Reader>>>>,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            self.free.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        }
    }
}
