//! Telling: what became durable is noted, and answered to whom it concerns; not before.

use std::collections::BTreeSet;
use std::rc::Rc;

use format::{OrgId, RecordId, Timestamp};
use node::exchange::{Answer, Dispatch, WINDOW};
use node::ports::Reader;
use node::{Node, Outcome, Recipient};

use super::turn::{ActNote, Effect};
use super::{Flight, World};
use crate::chronicle::{Check, Promise, SeenItem, broken};
use crate::faulty::Faulty;
use crate::invariants;
use crate::network::{Cargo, Message, Place};
use crate::shelf;

pub(super) fn tale(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Released { record, number, recipients, refused } => {
            let refused: Vec<_> =
                refused.iter().map(|(org, reasons)| format!("{org}: {}", reasons.iter().map(|r| r.code()).collect::<Vec<_>>().join(" "))).collect();
            let recipients = recipients.iter().map(OrgId::as_str).collect::<Vec<_>>().join(" ");
            format!("-> {number} {} to [{recipients}] not to [{}]", record.0.short(), refused.join("; "))
        }
        Outcome::Record { record, number, version } => format!("-> {number} v{version} {}", record.0.short()),
        Outcome::Drafted { number, version } => format!("-> {number} v{version}"),
        _ => String::new(),
    }
}

impl World {
    /// Notes what became durable.
    pub(super) fn note(&mut self, at: Place, effect: &Effect, touched: &mut BTreeSet<RecordId>) -> Check {
        match effect {
            Effect::Acted { act, outcome } => self.acts_declared(at, act.word).and_then(|()| self.note_act(at, act, outcome)),
            Effect::Stepped(stepped) => self.note_step(at, stepped),
            Effect::Answered { answer: Answer::Receipt(bytes), now, message } => {
                let Some(acceptance) = self.chronicle.received(at, bytes)? else { return Ok(()) };
                invariants::checkpoint(self, at, &acceptance.receipt.checkpoint)?;
                // What a forger shows first cannot be held against anything.
                if self.plan.hostile != Some(acceptance.from) || acceptance.parcel.header.seen > 0 {
                    invariants::checkpoint(self, acceptance.from, &acceptance.parcel.header.checkpoint)?;
                }
                if let Some(envelope) = message.envelope().filter(|_| self.plan.replays) {
                    self.inbox.push((at, acceptance.from, envelope.to_vec()));
                }
                for (item, accepted) in acceptance.parcel.items.iter().zip(&acceptance.accepted) {
                    let Some(item) = item.as_ref().filter(|_| *accepted) else { continue };
                    invariants::may_enter(self, at, acceptance.from, item, *now)?;
                    if let SeenItem::Record { id, .. } = item {
                        self.chronicle.handed.insert((*id, at));
                        self.chronicle.at_mut(at).accepted_from.insert((*id, acceptance.from));
                    }
                    self.chronicle.learn(at, item);
                    if let SeenItem::Record { id, header, .. } = item {
                        touched.insert(*id);
                        touched.extend(header.linked(format::record::Relation::Concerns));
                        let same = |(_, known): &(&RecordId, &Rc<format::record::Header>)| known.number == header.number;
                        touched.extend(self.chronicle.headers.iter().filter(same).map(|(id, _)| *id));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn note_act(&mut self, at: Place, act: &ActNote, outcome: &Outcome) -> Check {
        let me = self.chronicle.org(at).clone();
        if let Some(proposal) = &act.proposal {
            self.chronicle.signed(at, &Rc::new(proposal.clone()), &me);
        }
        match &act.agreement {
            Some((id, Some(version))) => {
                let known = self.chronicle.at(at).knows.agreements.get(&(id.clone(), *version)).map(|known| Rc::clone(&known.agreement));
                if let Some(agreement) = known {
                    self.chronicle.signed(at, &agreement, &me);
                }
            }
            Some((id, None)) => self.chronicle.withdraws(at, id, act.now),
            None => {}
        }
        match (act.word, outcome, &act.row) {
            ("submit", Outcome::Record { record, .. }, _) => {
                let drafted = act.row.as_ref().map(|row| row.drafted_by.clone()).unwrap_or_default();
                self.chronicle.authors.insert(*record, (drafted, None));
            }
            ("approve", Outcome::Record { record, .. }, _) => {
                if let Some((_, approved)) = self.chronicle.authors.get_mut(record) {
                    *approved = Some(act.member.clone());
                }
            }
            ("release", Outcome::Released { record, .. }, Some(row)) => {
                let header = node::act::release::header_of(row).map(Rc::new);
                let Ok(header) = header else { return broken(3, "a released header does not read") };
                invariants::four_eyes(self, at, *record, &header)?;
                self.chronicle.released(at, *record, header);
            }
            ("ask-consent" | "answer-consent", Outcome::Record { record, .. }, _) => {
                let header = self.own_header(at, record);
                if let Some(header) = header {
                    self.chronicle.released(at, *record, header);
                }
            }
            ("recall", Outcome::Record { number, .. }, _) => self.chronicle.recalled(at, number),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn own_header(&self, at: Place, record: &RecordId) -> Option<Rc<format::record::Header>> {
        let row = self.site(at).store.peek(|store| store.record(record).ok().flatten())?;
        node::act::release::header_of(&row).ok().map(Rc::new)
    }

    /// Tells whoever waits what was decided.
    pub(super) fn tell(&mut self, at: Place, node: &Node<Faulty>, effect: Effect) -> Check {
        match effect {
            Effect::Nothing | Effect::Idle => Ok(()),
            Effect::Stepped(stepped) => {
                self.mark(at, "ceremony");
                self.say(|| format!("{}: {stepped}", self.site(at).org()));
                self.answers.push(stepped);
                Ok(())
            }
            Effect::Refused(why) => {
                self.mark(at, "refused");
                self.say(|| format!("{}: refused: {why}", self.site(at).org()));
                Ok(())
            }
            Effect::Expired(count) => {
                if count > 0 {
                    self.coverage.act("expire");
                    self.mark(at, "expire");
                    self.say(|| format!("{} destroys {count}", self.site(at).org()));
                }
                Ok(())
            }
            Effect::Acted { act, outcome } => self.tell_member(at, &act, outcome),
            Effect::Answered { message, answer, .. } => {
                self.coverage.act("receive");
                self.mark(at, "receive");
                self.say(|| format!("{} answers {}: {}", self.site(at).org(), self.chronicle.org(message.from), self.describe(&answer)));
                let cargo = Cargo::Answer(self.forged_answer(at, &answer).unwrap_or_else(|| answer.to_bytes()));
                self.carry(Message { from: at, to: message.from, due: 0, request: message.request, cargo, spoiled: false, order: 0 });
                Ok(())
            }
            Effect::Acknowledged { peer, request, confirmed } => {
                self.coverage.act("acknowledge");
                self.mark(at, "acknowledge");
                self.say(|| format!("{} takes in an answer of {}, a receipt: {confirmed}", self.site(at).org(), self.chronicle.org(peer)));
                let lane = self.lane(at, peer);
                if confirmed {
                    lane.flying.retain(|flight| flight.request != request);
                    lane.window = usize::try_from(WINDOW).unwrap_or(1);
                } else {
                    lane.give_up();
                }
                Ok(())
            }
            Effect::Dispatched { peer, dispatch, now } => self.send(at, node, peer, dispatch, now),
        }
    }

    pub(super) fn describe(&self, answer: &Answer) -> String {
        match answer {
            Answer::Receipt(bytes) => crate::chronicle::read_receipt(bytes).map_or_else(String::new, |(_, receipt)| {
                let outcomes = receipt.outcomes.iter().map(|o| format!("{:?} {:?}", o.result, o.reasons)).collect::<Vec<_>>();
                format!("receipt for {}: {}", receipt.sequence, outcomes.join(", "))
            }),
            Answer::Expected(sequence) => format!("expects {sequence}"),
            Answer::Stopped(why) => format!("stopped: {why:?}"),
        }
    }

    pub(super) fn tell_member(&mut self, at: Place, act: &ActNote, outcome: Outcome) -> Check {
        self.coverage.act(if act.large { "attach-large" } else { act.word });
        self.mark(at, act.word);
        self.say(|| {
            let row = act.row.as_ref().map(|row| format!("{} v{} {}", row.number, row.version, row.id.0.short())).unwrap_or_default();
            format!("{}: {} {} {row} {}", self.site(at).org(), act.member, act.word, tale(&outcome))
        });
        let member = Recipient::Member(act.member.clone());
        match outcome {
            Outcome::Released { record, recipients, .. } if act.word == "release" => {
                self.chronicle.at_mut(at).promises.push(Promise { record, recipients });
                invariants::promises(self, at, Some(record))
            }
            Outcome::Opened(view) => match view.hand_to(&member) {
                Ok(view) => invariants::opened(self, at, view.row.id, view.content.map(|content| content.bytes)),
                Err(_) => broken(1, "a reading was released to another member"),
            },
            Outcome::Listed(page) => match page.hand_to(&member) {
                Ok(page) => {
                    let listed = &mut self.chronicle.at_mut(at).listed;
                    *listed += 1;
                    for (_, view) in page {
                        invariants::content_is_lawful(self, at, view.row.id, &view.content.map(|content| content.bytes).unwrap_or_default())?;
                    }
                    invariants::listed(self, at)
                }
                Err(_) => broken(1, "a list was released to another member"),
            },
            _ => Ok(()),
        }
    }

    /// Has a parcel's bytes put together and hands them to the network.
    pub(super) fn send(&mut self, at: Place, node: &Node<Faulty>, peer: Place, dispatch: Dispatch, now: Timestamp) -> Check {
        let sequence = dispatch.sequence();
        let fetched = shelf::for_seal(node, &dispatch, &self.site(at).shelf).unwrap_or_default();
        let sealed = dispatch.seal(node.store(), &fetched, node.identity(), &node.state().directory);
        let Ok(sealed) = sealed else {
            self.lane(at, peer).give_up();
            return Ok(());
        };
        let to = Recipient::Organisation(self.chronicle.org(peer).clone());
        let Ok(envelope) = sealed.hand_to(&to) else { return broken(1, "a parcel was released to another peer") };
        self.sends_settled(at, peer)?;
        self.coverage.act("dispatch");
        self.mark(at, "dispatch");
        self.requests += 1;
        let (request, since) = (self.requests, self.now);
        let confirmed = node.state().peer(self.chronicle.org(peer)).acknowledged;
        let lane = self.lane(at, peer);
        lane.last = sequence;
        lane.flying.push_back(Flight { request, sequence, confirmed, since });
        let items = invariants::leaves(self, at, peer, &envelope, now)?;
        let envelope = self.forged_parcel(at, peer, &envelope, now)?.unwrap_or(envelope);
        self.say(|| format!("{} sends parcel {sequence} to {}: {items}", self.site(at).org(), self.chronicle.org(peer)));
        self.carry(Message { from: at, to: peer, due: 0, request, cargo: Cargo::Parcel(envelope), spoiled: false, order: 0 });
        Ok(())
    }
}
