//! Taking in what was carried here: bundles of any length, one part in memory at a time.
//!
//! Every parcel goes through the same door as one that came over a connection. What is found is told by sender, with what
//! is missing and where bytes were lost; nothing that cannot be taken in is in the way of the rest.

use std::collections::BTreeMap;

use format::OrgId;
use format::bundle::{BundleReader, Found, Kind};
use format::receipt::Why;
use format::seal;
use node::Command;
use node::exchange::Answer;
use node::rows::PeerRow;

use crate::access::Desk;
use crate::problem::Problem;
use crate::rest::input::Upload;
use crate::rest::reply::View;
use crate::view::carried::{CarriedIn, FromHolder, FromSender, Ranges, RefusedPart, others, stopped};

/// Organisations that are told apart among those for whom something was not.
const MAX_OTHERS: usize = 100;

pub(crate) async fn carry_in(mut desk: Desk, mut upload: Upload) -> Result<View<CarriedIn>, Problem> {
    desk.execute(Command::CarryIn).await?;
    let mut intake = Intake::default();
    let mut reader = BundleReader::default();
    let mut last = false;
    while !last {
        match upload.piece().await? {
            Some(piece) => reader.push(&piece),
            None => last = true,
        }
        while let Some(found) = reader.next(last) {
            intake.take(&desk, found).await?;
        }
    }
    intake.tell(&desk).await.map(View)
}

/// What was found so far.
#[derive(Default)]
struct Intake {
    told: CarriedIn,
    senders: BTreeMap<OrgId, Sender>,
    holders: BTreeMap<OrgId, Holder>,
    others: BTreeMap<OrgId, u64>,
}

#[derive(Default)]
struct Sender {
    taken_in: Ranges,
    seen_before: Ranges,
    early: Ranges,
    items: u64,
}

#[derive(Default)]
struct Holder {
    receipts: Ranges,
    why: Option<Why>,
}

impl Intake {
    async fn take(&mut self, desk: &Desk, found: Found) -> Result<(), Problem> {
        match found {
            Found::Part { kind, number, at, envelope } => return self.part(desk, (kind, number, at), envelope).await,
            Found::End { whole: true, .. } => self.told.whole += 1,
            Found::End { whole: false, .. } => self.told.incomplete += 1,
            Found::Damaged { from, to } => self.told.lose(from, to),
            Found::CutShort { .. } => self.told.cut_short = true,
            Found::GivenUp { at } => self.told.given_up = Some(at),
        }
        Ok(())
    }

    async fn part(&mut self, desk: &Desk, (kind, number, at): (Kind, u64, u64), envelope: Vec<u8>) -> Result<(), Problem> {
        if let Some(other) = seal::recipient(&envelope).filter(|to| to != desk.identity().org()) {
            if self.others.len() < MAX_OTHERS || self.others.contains_key(&other) {
                *self.others.entry(other).or_default() += 1;
            }
            return Ok(());
        }
        let fault = match kind {
            Kind::Parcel => self.parcel(desk, envelope).await?.map(|fault| (fault.code(), fault.to_string())),
            Kind::Answer => self.answer(desk, envelope).await?.map(|fault| (fault.code(), fault.to_string())),
        };
        if let Some((code, detail)) = fault {
            self.told.refuse(RefusedPart { at, kind: kind.as_str(), number, code, detail });
        }
        Ok(())
    }

    async fn parcel(&mut self, desk: &Desk, envelope: Vec<u8>) -> Result<Option<node::exchange::InboundFault>, Problem> {
        let arrived = match desk.receive_carried(envelope).await? {
            Ok(arrived) => arrived,
            Err(fault) => return Ok(Some(fault)),
        };
        let sender = self.senders.entry(arrived.from).or_default();
        match arrived.answer {
            Answer::Receipt(_) if arrived.seen_before => sender.seen_before.add(arrived.sequence),
            Answer::Receipt(_) => {
                sender.taken_in.add(arrived.sequence);
                sender.items += arrived.items as u64;
            }
            Answer::Expected(_) => sender.early.add(arrived.sequence),
            Answer::Stopped(_) => {}
        }
        Ok(None)
    }

    async fn answer(&mut self, desk: &Desk, envelope: Vec<u8>) -> Result<Option<node::exchange::AnswerFault>, Problem> {
        let carried = match desk.acknowledge_carried(envelope).await? {
            Ok(carried) => carried,
            Err(fault) => return Ok(Some(fault)),
        };
        let holder = self.holders.entry(carried.from).or_default();
        match carried.why {
            None => holder.receipts.add(carried.sequence),
            why => holder.why = why,
        }
        Ok(None)
    }

    /// Everything that was found, with how exchange stands after it.
    async fn tell(self, desk: &Desk) -> Result<CarriedIn, Problem> {
        let Self { mut told, senders, holders, others: counted } = self;
        for (org, sender) in senders {
            let state = state(desk, &org).await?;
            told.parcels.push(FromSender {
                org: org.to_string(),
                taken_in: sender.taken_in.told(),
                items: sender.items,
                seen_before: sender.seen_before.told(),
                early: sender.early.told(),
                awaits: state.as_ref().map_or(1, |state| state.received + 1),
                stopped: state.and_then(|state| state.suspicion).map(node::rows::Suspicion::as_str),
            });
        }
        for (org, holder) in holders {
            let state = state(desk, &org).await?;
            told.answers.push(FromHolder {
                org: org.to_string(),
                receipts: holder.receipts.told(),
                acknowledged: state.as_ref().map_or(0, |state| state.acknowledged),
                sent: state.map_or(0, |state| state.sent),
                awaits: holder.why.and_then(|why| if let Why::Awaits(number) = why { Some(number) } else { None }),
                stopped: holder.why.and_then(stopped),
            });
        }
        told.others = others(counted);
        Ok(told)
    }
}

async fn state(desk: &Desk, org: &OrgId) -> Result<Option<PeerRow>, Problem> {
    let org = org.clone();
    desk.read(move |reader| reader.peer(&org)).await
}
