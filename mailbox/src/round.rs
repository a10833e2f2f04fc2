//! A visit: answers are taken in, then parcels, then what is to leave is put there.
//!
//! What was put there is listed before the answers are. Whoever takes a parcel out has put its answer there before, so a
//! parcel that is neither there nor answered was lost, and is put there again under its number.

use std::collections::BTreeMap;

use format::OrgId;
use format::seal::{self, MAX_ENVELOPE};
use futures_util::{StreamExt, TryStreamExt};
use node::exchange::{self, Acknowledgement, Answer, DispatchFault};
use node::rows::PeerRow;
use node::{Recipient, Refusal, Released};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt, PutPayload};

use crate::Door;
use crate::name::{self, Sort};
use crate::post::Carrier;

/// Objects that are looked at on one visit.
const MAX_LISTED: usize = 4096;
/// Parcels that are put there for one peer on one visit.
const MAX_PUT: usize = 64;

/// Why a visit came to an end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the place does not answer: {0}")]
    Place(#[from] object_store::Error),
    #[error("this node: {0}")]
    Own(#[from] Refusal),
    #[error("this node: {0}")]
    Seal(#[from] DispatchFault),
    #[error("something was released to another organisation")]
    Released,
}

/// What happened at a visit.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Visited {
    pub(crate) taken_in: u64,
    pub(crate) receipts: u64,
    pub(crate) put: u64,
}

impl Visited {
    pub(crate) const fn any(self) -> bool {
        self.taken_in + self.receipts + self.put > 0
    }
}

/// Objects by their number.
type Listed = BTreeMap<u64, ObjectMeta>;

impl<D: Door> Carrier<D> {
    pub(crate) async fn visit(&mut self) -> Result<Visited, Fault> {
        let mut visited = Visited::default();
        let peers: Vec<OrgId> = self.peers.iter().cloned().collect();
        let mut waiting = BTreeMap::new();
        for peer in &peers {
            if self.state(peer).await?.is_some_and(|state| state.sent > state.acknowledged) {
                waiting.insert(peer.clone(), self.put_there(peer).await?);
            }
        }
        let Some(inbox) = name::inbox(&self.door.directory(), self.door.identity().org()) else { return Ok(visited) };
        let here = self.list(&inbox).await?;
        for peer in &peers {
            let answers = self.those_of(peer, &here, Sort::Answer);
            self.take_answers(peer, &answers, &mut visited).await?;
            self.take_parcels(peer, &self.those_of(peer, &here, Sort::Parcel), &mut visited).await?;
            self.put(peer, waiting.get(peer), &answers, &mut visited).await?;
        }
        Ok(visited)
    }

    async fn state(&self, peer: &OrgId) -> Result<Option<PeerRow>, Fault> {
        Ok(self.door.peer(peer).await?)
    }

    async fn list(&self, folder: &Path) -> Result<Vec<ObjectMeta>, Fault> {
        Ok(self.store.list(Some(folder)).take(MAX_LISTED).try_collect().await?)
    }

    /// The parcels for a peer that lie there.
    async fn put_there(&self, peer: &OrgId) -> Result<Listed, Fault> {
        let Some(folder) = name::folder(&self.door.directory(), self.door.identity().org(), peer, Sort::Parcel) else { return Ok(Listed::new()) };
        Ok(numbered(&folder, &self.list(&folder).await?))
    }

    fn those_of(&self, peer: &OrgId, here: &[ObjectMeta], sort: Sort) -> Listed {
        let folder = name::folder(&self.door.directory(), peer, self.door.identity().org(), sort);
        let mut listed = folder.map(|folder| numbered(&folder, here)).unwrap_or_default();
        listed.retain(|_, object| !self.bad.contains(&key(object)));
        listed
    }

    /// Fetches an object as the envelope that it is; nothing, if it is none or has gone.
    async fn fetch(&mut self, object: &ObjectMeta) -> Result<Option<Vec<u8>>, Fault> {
        let sealed = match object.size {
            size if size > MAX_ENVELOPE as u64 => None,
            _ => match self.store.get(&object.location).await {
                Ok(found) if found.meta.size <= MAX_ENVELOPE as u64 => Some(found.bytes().await?),
                Ok(_) => None,
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                Err(fault) => return Err(fault.into()),
            },
        };
        let envelope = sealed.and_then(|bytes| seal::with_recipient(self.door.identity().org(), &bytes));
        if envelope.is_none() {
            self.refuse(object, "too-large or bad-encoding");
        }
        Ok(envelope)
    }

    fn refuse(&mut self, object: &ObjectMeta, why: &str) {
        tracing::warn!(object = %object.location, bytes = object.size, code = why, "an object in the mailbox is left where it is");
        self.remember_bad(key(object));
    }

    async fn take_answers(&mut self, peer: &OrgId, answers: &Listed, visited: &mut Visited) -> Result<(), Fault> {
        for (number, object) in answers {
            let acknowledged = self.state(peer).await?.map_or(0, |state| state.acknowledged);
            if *number > acknowledged {
                let Some(envelope) = self.fetch(object).await? else { continue };
                let (me, directory) = (self.door.identity(), self.door.directory());
                let opened = blocking(move || Acknowledgement::open(&me, &directory, &envelope)).await;
                let acknowledgement = match opened {
                    Ok(acknowledgement) if acknowledgement.from() == peer && acknowledgement.answers() == Some(*number) => acknowledgement,
                    Ok(_) => {
                        self.refuse(object, "wrong-sender");
                        continue;
                    }
                    Err(fault) => {
                        self.refuse(object, fault.code());
                        continue;
                    }
                };
                let receipt = acknowledgement.confirms().is_some();
                if receipt && *number > acknowledged + 1 {
                    // It counts in its turn.
                    return Ok(());
                }
                self.door.acknowledge(acknowledgement).await?;
                visited.receipts += u64::from(receipt);
            }
            self.remove(&object.location).await?;
        }
        Ok(())
    }

    async fn take_parcels(&mut self, peer: &OrgId, parcels: &Listed, visited: &mut Visited) -> Result<(), Fault> {
        for (number, object) in parcels {
            let state = self.state(peer).await?;
            let received = state.as_ref().map_or(0, |state| state.received);
            if let Some(why) = state.and_then(|state| state.suspicion) {
                // Nothing is taken in, and nothing taken out, before a person has looked; the sender is told once.
                if self.told.insert(peer.clone(), *number) != Some(*number) {
                    self.answer(peer, *number, &Answer::Stopped(why)).await?;
                }
                return Ok(());
            }
            self.told.remove(peer);
            if *number > received + 1 {
                // One before it is not there yet. Its sender sees that, and puts it there again.
                return Ok(());
            }
            let Some(envelope) = self.fetch(object).await? else { continue };
            let (me, directory) = (self.door.identity(), self.door.directory());
            let opened = blocking(move || exchange::open_carried(&me, &directory, &envelope)).await;
            let inbound = match opened {
                Ok(inbound) if inbound.from() == peer && inbound.sequence() == *number => inbound,
                Ok(_) => {
                    self.refuse(object, "wrong-sender");
                    continue;
                }
                Err(fault) => {
                    self.refuse(object, fault.code());
                    continue;
                }
            };
            let answer = self.door.receive(inbound).await?;
            self.answer(peer, *number, &answer).await?;
            if !matches!(answer, Answer::Receipt(_)) {
                return Ok(());
            }
            visited.taken_in += 1;
            self.remove(&object.location).await?;
        }
        Ok(())
    }

    /// Puts the answer to a peer's parcel there.
    async fn answer(&self, peer: &OrgId, number: u64, answer: &Answer) -> Result<(), Fault> {
        let (me, directory) = (self.door.identity(), self.door.directory());
        let Some(folder) = name::folder(&directory, me.org(), peer, Sort::Answer) else { return Ok(()) };
        let sealed = exchange::seal_answer(&me, &directory, peer, number, answer, self.door.now())?;
        self.write(&name::object(&folder, number), peer, sealed).await
    }

    /// Puts there what was lost on the way, and what is to leave.
    async fn put(&self, peer: &OrgId, there: Option<&Listed>, answers: &Listed, visited: &mut Visited) -> Result<(), Fault> {
        let (me, directory) = (self.door.identity(), self.door.directory());
        let Some(folder) = name::folder(&directory, me.org(), peer, Sort::Parcel) else { return Ok(()) };
        let (mut sent, acknowledged) = self.state(peer).await?.map_or((0, 0), |state| (state.sent, state.acknowledged));
        let mut left = MAX_PUT;
        let lost: Vec<u64> = (acknowledged + 1..=sent).filter(|n| there.is_none_or(|there| !there.contains_key(n)) && !answers.contains_key(n)).collect();
        for number in lost.into_iter().take(MAX_PUT) {
            left -= 1;
            visited.put += u64::from(self.put_next(peer, &folder, number - 1).await?.is_some());
        }
        while left > 0 {
            let Some(number) = self.put_next(peer, &folder, sent).await? else { break };
            (sent, left) = (number, left - 1);
            visited.put += 1;
        }
        Ok(())
    }

    async fn put_next(&self, peer: &OrgId, folder: &Path, after: u64) -> Result<Option<u64>, Fault> {
        let Some(dispatch) = self.door.dispatch(peer, after).await? else { return Ok(None) };
        let number = dispatch.sequence();
        let sealed = self.door.seal(if self.padded { dispatch.padded() } else { dispatch }).await?;
        self.write(&name::object(folder, number), peer, sealed).await?;
        Ok(Some(number))
    }

    async fn write(&self, object: &Path, peer: &OrgId, sealed: Released<Vec<u8>>) -> Result<(), Fault> {
        let envelope = sealed.hand_to(&Recipient::Organisation(peer.clone())).map_err(|_| Fault::Released)?;
        let unnamed = seal::without_recipient(&envelope).ok_or(Fault::Released)?;
        self.store.put(object, PutPayload::from(unnamed)).await?;
        Ok(())
    }

    async fn remove(&self, object: &Path) -> Result<(), Fault> {
        match self.store.delete(object).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }
}

fn numbered(folder: &Path, objects: &[ObjectMeta]) -> Listed {
    objects.iter().filter_map(|object| Some((name::number(folder, &object.location)?, object.clone()))).collect()
}

/// An object as it is: one that is written again is another.
fn key(object: &ObjectMeta) -> String {
    format!("{} {} {} {}", object.location, object.size, object.last_modified, object.e_tag.as_deref().unwrap_or_default())
}

/// Opens and verifies on a thread where it holds nobody up.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}
