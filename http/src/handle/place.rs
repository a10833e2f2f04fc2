//! Attachments outside the store, past the writer: placed before it is asked to keep them, fetched before a parcel and after an
//! answer that they are for.
//!
//! The writer never waits for the place. When that is out of reach it is a trouble, and goes on being one until something
//! has been put there or got from there again; everything for which the place is not needed goes on.

use std::sync::{Arc, Mutex, PoisonError};

use format::OrgId;
use node::exchange::{self, Answer, Dispatch, DispatchFault, Inbound};
use node::objects::{self, Fetched, ObjectFault, Placed};
use node::ports::{Entropy, NoPlace, Objects, StoreResult};
use node::rows::ObjectName;
use node::{Command, Outcome, Refusal, Released};
use policy::access::Pass;

use super::writer::Job;
use super::{Handle, Shared, Trouble};

/// How often a parcel is asked for, while others get ahead of it with attachments that were not fetched.
const TRIES: usize = 3;

/// Where this node keeps attachments outside the store.
pub(super) struct Place {
    objects: Arc<dyn Objects>,
    entropy: Mutex<Box<dyn Entropy>>,
}

/// Randomness that many draw from, each for a moment.
struct Shares<'a>(&'a Mutex<Box<dyn Entropy>>);

impl Entropy for Shares<'_> {
    fn fill(&mut self, bytes: &mut [u8; 32]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes);
    }
}

impl Shared {
    fn objects(&self) -> &dyn Objects {
        self.place.get().map_or(&NoPlace, |place| place.objects.as_ref())
    }

    fn note_place<T>(&self, used: &Result<T, ObjectFault>) {
        let away = used.as_ref().err().filter(|fault| matches!(fault, ObjectFault::Away(_))).map(ToString::to_string);
        let is_over = away.is_none() && self.troubles.has(Trouble::AttachmentsAway);
        if away.is_some() || is_over {
            self.troubles.note(Trouble::AttachmentsAway, away);
        }
        if is_over {
            self.ring_queued();
        }
    }
}

impl Handle {
    /// Has attachments kept outside the store from now on: in `objects`, under names and keys that are drawn from `entropy`.
    /// What is in the store stays there. Once is enough; another time changes nothing.
    pub fn keep_attachments_in(&self, objects: Arc<dyn Objects>, entropy: Box<dyn Entropy>) {
        self.0.shared.place.get_or_init(|| Place { objects, entropy: Mutex::new(entropy) });
    }

    /// Carries out a member's command.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn execute(&self, pass: Pass, command: Command) -> Result<Outcome, Refusal> {
        let command = match command {
            Command::AttachPiece { number, version, index, bytes, placed: None } => {
                let (bytes, placed) = self.place_piece(bytes).await?;
                Command::AttachPiece { number, version, index, bytes, placed }
            }
            Command::CarryOut { peer, after, .. } => {
                let to = peer.clone();
                let names = self.read(move |reader| exchange::objects_waiting(reader, &to)).await?;
                Command::CarryOut { peer, after, fetched: self.fetch(names).await }
            }
            other => other,
        };
        let outcome = self.ask(|reply| Job::Execute { pass, command: Box::new(command), reply }).await?;
        let Outcome::PieceAway(released) = outcome else { return Ok(outcome) };
        self.in_place(move |shared| released.fetch(shared.objects())).await.map(Outcome::Piece)
    }

    /// Takes in an opened and verified parcel.
    ///
    /// # Errors
    /// The node is busy, or its store or the place for its attachments failed.
    pub async fn receive(&self, inbound: Inbound) -> Result<Answer, Refusal> {
        let inbound = if self.0.shared.place.get().is_some() && inbound.has_pieces() { self.place_pieces(inbound).await? } else { inbound };
        self.take_in(inbound).await
    }

    /// Decides what leaves next, with the attachments that it takes.
    pub(super) async fn decide_dispatch(&self, window: u64, peer: OrgId, after: u64) -> Result<Option<Dispatch>, Refusal> {
        let mut fetched = Fetched::default();
        for _ in 0..TRIES {
            let job_peer = peer.clone();
            match self.ask(|reply| Job::Dispatch { window, peer: job_peer, after, fetched, reply }).await {
                Err(Refusal::NotFetched(names)) => fetched = self.fetch(names).await,
                decided => return decided,
            }
        }
        Err(Refusal::Busy("other attachments got ahead in the queue".to_owned()))
    }

    /// Has a parcel put together and sealed.
    ///
    /// # Errors
    /// See [`DispatchFault`].
    pub async fn seal(&self, dispatch: Dispatch) -> Result<Released<Vec<u8>>, DispatchFault> {
        let (dispatch, names) = self.read(move |reader| dispatch.objects(reader).map(|names| (dispatch, names))).await?;
        let fetched = self.fetch(names).await;
        let (me, directory) = (Arc::clone(self.identity()), self.directory());
        self.read(move |reader| dispatch.seal(reader, &fetched, &me, &directory)).await
    }

    /// Removes the objects that nothing needs any more, and gives how many there were; none where attachments are in the
    /// store.
    ///
    /// # Errors
    /// The place or the store cannot be used; what was removed is.
    pub async fn remove_old_objects(&self) -> Result<u64, Refusal> {
        let mut removed = 0;
        if self.0.shared.place.get().is_none() || !self.read(objects::may_remove).await? {
            return Ok(removed);
        }
        for first in 0..=u8::MAX {
            let old = self.in_place(move |shared| Ok(objects::old(shared.objects(), first)?)).await?;
            if old.is_empty() {
                continue;
            }
            let (old, in_use) = self.read(move |reader| reader.objects_in_use(&old).map(|in_use| (old, in_use))).await?;
            removed += self
                .in_place(move |shared| {
                    let unused = old.iter().filter(|name| !in_use.contains(name));
                    unused.map(|name| Ok(shared.objects().remove(name).map(|()| 1)?)).sum::<Result<u64, ObjectFault>>()
                })
                .await?;
        }
        Ok(removed)
    }

    /// Tries whether a place that was out of reach is back.
    pub(super) async fn try_place(&self) {
        // What comes of it is noted.
        _ = self.in_place(|shared| Ok(shared.objects().get(&ObjectName([0; 16]))?)).await;
    }

    async fn place_piece(&self, bytes: Vec<u8>) -> Result<(Vec<u8>, Option<Placed>), Refusal> {
        let now = self.now();
        self.in_place(move |shared| {
            let Some(place) = shared.place.get() else { return Ok((bytes, None)) };
            let placed = Placed::place(&bytes, place.objects.as_ref(), &mut Shares(&place.entropy), now)?;
            Ok((bytes, Some(placed)))
        })
        .await
    }

    async fn place_pieces(&self, inbound: Inbound) -> Result<Inbound, Refusal> {
        let (mut inbound, unknown) = self.find_pieces(inbound).await?;
        if unknown {
            // Their record may have come in a parcel before this one, and that is in line.
            self.catch_up().await?;
            (inbound, _) = self.find_pieces(inbound).await?;
        }
        let now = self.now();
        self.in_place(move |shared| {
            if let Some(place) = shared.place.get() {
                inbound.place_pieces(place.objects.as_ref(), &mut Shares(&place.entropy), now)?;
            }
            Ok(inbound)
        })
        .await
    }

    async fn find_pieces(&self, mut inbound: Inbound) -> StoreResult<(Inbound, bool)> {
        let me = Arc::clone(self.identity());
        self.read(move |reader| inbound.find_pieces(&me, reader).map(|unknown| (inbound, unknown))).await
    }

    /// Fetches objects for a parcel. When the place is out of reach, the parcel is decided without what is in it.
    async fn fetch(&self, names: Vec<ObjectName>) -> Fetched {
        let mut fetched = Fetched::default();
        if names.is_empty() {
            return fetched;
        }
        let shared = Arc::clone(&self.0.shared);
        let fetching = tokio::task::spawn_blocking(move || {
            let reached = fetched.fetch(&names, shared.objects()).map_err(ObjectFault::Away);
            shared.note_place(&reached);
            fetched
        });
        fetching.await.unwrap_or_default()
    }

    /// Does what may wait for the place, on a thread where that holds nobody up, and notes whether it was reached.
    async fn in_place<T: Send + 'static>(&self, work: impl FnOnce(&Shared) -> Result<T, ObjectFault> + Send + 'static) -> Result<T, Refusal> {
        let shared = Arc::clone(&self.0.shared);
        let working = tokio::task::spawn_blocking(move || {
            let done = work(&shared);
            shared.note_place(&done);
            done
        });
        Ok(working.await.map_err(|_| super::stopped())??)
    }
}
