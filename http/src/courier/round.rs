//! A round: as long as it goes well, parcels leave one after the other and their receipts come back in the same order.
//!
//! A few parcels are on their way at a time; the first after a failure goes alone, so that a peer which cannot take it
//! in is not sent a window of them at each try. A parcel that overtook the one before it and was turned back goes again
//! when that one is confirmed. A round ends only by a failure.

use std::collections::VecDeque;

use backon::ExponentialBackoff;
use node::Recipient;
use node::exchange::{Acknowledgement, Answer, Dispatch, WINDOW};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Courier, Fault};

/// A parcel on its way. It is given up when dropped.
struct OnItsWay {
    sequence: u64,
    items: usize,
    /// What the peer had confirmed when the parcel left.
    confirmed: u64,
    carrying: JoinHandle<Result<Delivered, Fault>>,
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

/// What came back for a parcel.
struct Delivered {
    bytes: usize,
    answer: Vec<u8>,
}

/// What was exchanged since the peer's queue was last empty, for one log line.
struct Session {
    begun: Instant,
    first: u64,
    parcels: u64,
    items: usize,
    bytes: usize,
}

impl Session {
    fn tell(&self, courier: &Courier, outcome: &'static str) {
        tracing::info!(
            peer.id = %courier.peer,
            parcel.sequence = self.first,
            parcels = self.parcels,
            items = self.items,
            bytes = self.bytes,
            outcome,
            duration_ms = crate::elapsed_ms(self.begun),
            "parcels out"
        );
    }
}

impl Courier {
    /// Exchanges until something fails.
    pub(super) async fn round(&mut self, tries: &mut ExponentialBackoff) -> Fault {
        let mut session = None;
        let fault = match self.exchange(tries, &mut session).await {
            Ok(never) => match never {},
            Err(fault) => fault,
        };
        if let Some(session) = session.filter(|session| session.parcels > 0) {
            session.tell(self, fault.word());
        }
        fault
    }

    async fn exchange(&mut self, tries: &mut ExponentialBackoff, session: &mut Option<Session>) -> Result<std::convert::Infallible, Fault> {
        let mut under_way: VecDeque<OnItsWay> = VecDeque::new();
        // The node begins after the last receipt it has taken in, and that is what the first parcel tells.
        let (mut last, mut confirmed) = (0, None);
        let mut window = 1;
        loop {
            while under_way.len() < window {
                let Some(dispatch) = self.handle.dispatch(self.peer.clone(), last).await.map_err(own)? else {
                    break;
                };
                last = dispatch.sequence();
                session.get_or_insert_with(|| Session { begun: Instant::now(), first: last, parcels: 0, items: 0, bytes: 0 });
                let confirmed = *confirmed.get_or_insert(last.saturating_sub(1));
                under_way.push_back(self.carry(dispatch, confirmed));
            }
            let in_flight = under_way.len();
            self.handle.note_health(&self.peer, |health| health.in_flight = in_flight);
            if under_way.is_empty() {
                if let Some(done) = session.take() {
                    done.tell(self, "done");
                }
                *tries = self.pace.tries();
                self.went_well();
            }
            tokio::select! {
                delivered = first(&mut under_way) => {
                    let Some(parcel) = under_way.pop_front() else { continue };
                    if let Some(sequence) = self.take_answer(&parcel, delivered?, session).await? {
                        confirmed = Some(sequence);
                        window = usize::try_from(WINDOW).unwrap_or(1);
                        *tries = self.pace.tries();
                        self.went_well();
                    } else if let Some(again) = self.carry_again(&parcel).await? {
                        under_way.push_front(again);
                    }
                }
                () = self.bell.queued.notified() => {}
                () = tokio::time::sleep(self.pace.heartbeat), if under_way.is_empty() => self.road.heartbeat().await?,
            }
        }
    }

    /// A parcel that overtook the one before it goes again, now that everything before it is confirmed; unless it was
    /// confirmed too, by another channel.
    async fn carry_again(&self, parcel: &OnItsWay) -> Result<Option<OnItsWay>, Fault> {
        let before = parcel.sequence.saturating_sub(1);
        let dispatch = self.handle.dispatch(self.peer.clone(), before).await.map_err(own)?;
        Ok(dispatch.filter(|dispatch| dispatch.sequence() == parcel.sequence).map(|dispatch| self.carry(dispatch, before)))
    }

    /// Has a parcel put together, sealed and handed over, beside whatever else is on its way.
    fn carry(&self, dispatch: Dispatch, confirmed: u64) -> OnItsWay {
        let (sequence, items) = (dispatch.sequence(), dispatch.items());
        let (handle, road, peer) = (self.handle.clone(), self.road.clone(), self.peer.clone());
        let carrying = tokio::spawn(async move {
            let sealed = handle.seal(dispatch).await.map_err(own)?;
            let envelope = sealed.hand_to(&Recipient::Organisation(peer)).map_err(|_| Fault::Own("a parcel was released to somebody else".to_owned()))?;
            let bytes = envelope.len();
            Ok(Delivered { bytes, answer: road.hand_over(envelope).await? })
        });
        OnItsWay { sequence, items, confirmed, carrying }
    }

    /// Takes in the answer to the first parcel on its way. Gives the sequence number that it confirms; nothing, if the
    /// parcel has to go again because it was there before its time.
    async fn take_answer(&self, parcel: &OnItsWay, delivered: Delivered, session: &mut Option<Session>) -> Result<Option<u64>, Fault> {
        let otherwise = match Answer::parse(&delivered.answer) {
            // WHY: not for the node to see. The peer said this before the parcel it awaited came and was confirmed, and
            // taken for what it says now it would mean that the peer has forgotten that parcel.
            Some(Answer::Expected(sequence)) if sequence > parcel.confirmed && parcel.confirmed.saturating_add(1) < parcel.sequence => return Ok(None),
            Some(Answer::Expected(sequence)) => Some(Fault::Awaits(sequence)),
            Some(Answer::Stopped(why)) => Some(Fault::Stopped(why)),
            Some(Answer::Receipt(_)) | None => None,
        };
        let (peer, directory) = (self.peer.clone(), self.handle.directory());
        let read = tokio::task::spawn_blocking(move || Acknowledgement::read(&peer, &delivered.answer, &directory));
        let acknowledgement = read.await.map_err(own)?.map_err(|reject| Fault::Answer(reject.to_string()))?;
        let confirms = acknowledgement.confirms();
        self.handle.acknowledge(acknowledgement).await.map_err(own)?;
        if let Some(fault) = otherwise {
            return Err(fault);
        }
        if confirms != Some(parcel.sequence) {
            return Err(Fault::Answer(format!("it is not the receipt for parcel {}", parcel.sequence)));
        }
        if let Some(session) = session {
            session.parcels += 1;
            session.items += parcel.items;
            session.bytes += delivered.bytes;
        }
        let now = self.handle.now();
        self.handle.note_health(&self.peer, |health| health.last_receipt = Some(now));
        Ok(confirms)
    }
}

/// What comes back for the first parcel on its way; never, if there is none.
async fn first(under_way: &mut VecDeque<OnItsWay>) -> Result<Delivered, Fault> {
    match under_way.front_mut() {
        Some(parcel) => (&mut parcel.carrying).await.map_err(own)?,
        None => std::future::pending().await,
    }
}

fn own(fault: impl std::error::Error) -> Fault {
    Fault::Own(fault.to_string())
}
