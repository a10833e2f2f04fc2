//! The invariants: what must be true after every turn, however things went.
//!
//! Each is one short function that bears the number it has in the design and is written against the chronicle, which
//! knows what truly happened; none asks a node's own rules. What a node claims (its rows, its who-has, its
//! checkpoints) is what is judged here. The page `docs/protocol/simulation.md` says each in a sentence.

#![expect(clippy::doc_lazy_continuation, reason = "each invariant begins with its number, which is no list")]

use std::collections::BTreeSet;

use format::checkpoint;
use format::merkle::{Frontier, leaf_hash};
use format::record::Header;
use format::verify::verify;
use format::{OrgId, RecordId, Signed, Timestamp};
use node::Refusal;
use node::act::who_has;
use node::node::ledger_name;
use node::objects::{ObjectFault, read_piece};
use node::ports::{MAX_PAGE, Reader, RecordQuery, StoreResult};
use node::rows::{Condition, HoldingRow, HoldingState, Outgoing, RecordRow, Stage, StatementKind};
use node::state::{LedgerTree, State};
use node::vault::Part;
use store::sqlite::Sqlite;

use crate::chronicle::{CANARY, Check, SeenItem, Violation, broken, canaries};
use crate::faulty::Fault;
use crate::network::Place;
use crate::rules::Passage;
use crate::world::World;

/// What was seen of a record at a site.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    outdated: bool,
    gone: bool,
    verified: bool,
}

fn unread(fault: &dyn std::fmt::Display) -> Violation {
    Violation { invariant: 10, what: format!("a store does not read: {fault}") }
}

fn look<T>(world: &World, at: Place, ask: impl FnOnce(&Sqlite) -> StoreResult<T>) -> Result<T, Violation> {
    world.site(at).store.peek(ask).map_err(|fault| unread(&fault))
}

/// 1, on the way out. A record leaves only for whom the rules allow, by what the sender knows at that moment; and 8: the
/// parcel's entry was durable before. The envelope shows nothing.
/// Gives the items in words.
pub fn leaves(world: &mut World, from: Place, to: Place, envelope: &[u8], now: Timestamp) -> Result<String, Violation> {
    nothing_shows(envelope, "an envelope")?;
    let identity = &world.site(to).organisation.identity;
    let Ok(plain) = identity.opening.open(identity.org(), envelope) else {
        return broken(1, "an envelope does not open for the one it is for");
    };
    let (digest, parcel) = world.chronicle.observe(from, to, &plain)?;
    if !world.chronicle.at(from).sent.contains(&digest) {
        return broken(8, format!("parcel {} of {} left without a durable entry", parcel.header.sequence, world.site(from).org()));
    }
    checkpoint(world, from, &parcel.header.checkpoint)?;
    for item in parcel.items.iter().flatten() {
        match item {
            SeenItem::Record { id, header, .. } => {
                may_leave(world, from, to, *id, header, now)?;
                world.chronicle.handed.insert((*id, to));
            }
            SeenItem::Returned { header, .. } if header.originator != *world.chronicle.org(to) => {
                return broken(1, format!("{} v{} is given back to somebody whose it is not", header.number, header.version));
            }
            SeenItem::Piece { record } => {
                if let Some(header) = world.chronicle.headers.get(record).cloned() {
                    may_leave(world, from, to, *record, &header, now)?;
                }
            }
            _ => {}
        }
    }
    Ok(parcel.items.iter().map(|item| item.as_ref().map_or_else(|| "withheld".to_owned(), SeenItem::to_string)).collect::<Vec<_>>().join(", "))
}

fn may_leave(world: &World, from: Place, to: Place, record: RecordId, header: &Header, now: Timestamp) -> Check {
    if header.originator == *world.chronicle.org(to) && world.restorings.touched(to) {
        // It goes home after a recovery.
        return Ok(());
    }
    let knows = &world.chronicle.at(from).knows;
    let (sender, recipient) = (world.chronicle.org(from), world.chronicle.org(to));
    let passage = Passage { chronicle: &world.chronicle, knows, from: sender, to: recipient, record, header, now, arriving: false, free_terms: false };
    passage.permitted().or_else(|why| broken(1, format!("{} v{} left {sender} for {recipient}: {why}", header.number, header.version)))
}

/// 1, on the way in. A record is taken in only where the receiver's own knowledge allows it.
pub fn may_enter(world: &World, at: Place, from: Place, item: &SeenItem, now: Timestamp) -> Check {
    let SeenItem::Record { id, header, free_terms, .. } = item else { return Ok(()) };
    let log = world.chronicle.at(at);
    if log.accepted.contains(id) {
        return Ok(());
    }
    let (sender, recipient) = (world.chronicle.org(from), world.chronicle.org(at));
    let passage = Passage {
        chronicle: &world.chronicle,
        knows: &log.knows,
        from: sender,
        to: recipient,
        record: *id,
        header,
        now,
        arriving: true,
        free_terms: *free_terms,
    };
    let invariant = if log.knows.recalled.contains(id) { 6 } else { 1 };
    passage.permitted().or_else(|why| broken(invariant, format!("{} v{} entered {recipient} from {sender}: {why}", header.number, header.version)))
}

/// 1, at rest. What a site can decrypt is its own, or was handed to it lawfully.
pub fn content_is_lawful(world: &World, at: Place, record: RecordId, content: &[u8]) -> Check {
    for canary in canaries(content) {
        let Some(owner) = world.chronicle.canaries.get(&canary) else {
            return broken(1, "a text that nobody wrote");
        };
        if *owner != at && !world.chronicle.handed.contains(&(record, at)) {
            return broken(1, format!("{} can read {} of {}", world.site(at).org(), record.0.short(), world.chronicle.org(*owner)));
        }
    }
    Ok(())
}

/// 1 and 8. A member reads what the node may hold, after an entry that says so.
pub fn opened(world: &mut World, at: Place, record: RecordId, content: Option<Vec<u8>>) -> Check {
    content_is_lawful(world, at, record, &content.unwrap_or_default())?;
    let log = world.chronicle.at_mut(at);
    let read = log.read.entry(record).or_default();
    *read += 1;
    if log.opened.get(&record).copied().unwrap_or(0) < *read {
        return broken(8, format!("{} was read without a durable entry", record.0.short()));
    }
    Ok(())
}

/// 8. A list is shown after an entry that says so.
pub fn listed(world: &World, at: Place) -> Check {
    let log = world.chronicle.at(at);
    if log.entries.get("listed").copied().unwrap_or(0) < log.listed {
        return broken(8, "a list was shown without a durable entry");
    }
    Ok(())
}

/// 1. Nothing that was written in confidence shows in these bytes, in any usual spelling.
pub fn nothing_shows(bytes: &[u8], what: &str) -> Check {
    let plain = CANARY.as_bytes();
    // Base64 of the word at each of the three places it can have, without the letters that neighbours share.
    let spellings: [&[u8]; 6] = [plain, b"S0FOQVJJR", b"tBTkFSSU", b"LQU5BUklF", b"4b414e41524945", &[75, 0, 65, 0, 78, 0, 65, 0, 82, 0, 73, 0, 69]];
    for spelling in spellings {
        if memchr::memmem::find(bytes, spelling).is_some() {
            return broken(1, format!("a confidential text shows in {what}"));
        }
    }
    Ok(())
}

/// 3. A release that a member was told of is there with its signature and its entry, and for each recipient there is
/// exactly one of a receipt, a place in the queue, or a reason why not.
pub fn promises(world: &World, at: Place, only: Option<RecordId>) -> Check {
    let log = world.chronicle.at(at);
    for promise in log.promises.iter().filter(|promise| only.is_none_or(|record| record == promise.record)) {
        let short = promise.record.0.short();
        let Some(row) = look(world, at, |store| store.record(&promise.record))? else {
            return broken(3, format!("released {short} is gone"));
        };
        if row.stage != Stage::Released || row.signatures.is_none() || !log.released.contains(&promise.record) {
            let entry = log.released.contains(&promise.record);
            return broken(3, format!("released {short} stands as {:?}, signed: {}, with an entry: {entry}", row.stage, row.signatures.is_some()));
        }
        let copies = look(world, at, |store| store.holdings(&promise.record))?;
        for recipient in &promise.recipients {
            let own: Vec<_> = copies.iter().filter(|copy| copy.holder == *recipient && copy.via == *world.site(at).org()).collect();
            let [copy] = own.as_slice() else {
                return broken(3, format!("{recipient} has {} rows for {short}", own.len()));
            };
            let stands = match copy.state {
                HoldingState::Queued => in_queue(world, at, recipient, promise.record)?,
                HoldingState::Sent => on_its_way(world, at, recipient, promise.record)?,
                HoldingState::Held | HoldingState::Refused | HoldingState::Removed => evidence(world, at, promise.record, copy.evidence)?,
                HoldingState::HeldBack => !copy.reasons.is_empty() || evidence(world, at, promise.record, copy.evidence)?,
            };
            if !stands {
                return broken(3, format!("{recipient} is {:?} for {short}, and nothing supports it", copy.state));
            }
        }
    }
    Ok(())
}

fn in_queue(world: &World, at: Place, peer: &OrgId, record: RecordId) -> Result<bool, Violation> {
    let rows = look(world, at, |store| store.outgoing(peer, 100_000))?;
    Ok(rows.iter().any(|row| row.what == Outgoing::Record(record)))
}

fn on_its_way(world: &World, at: Place, peer: &OrgId, record: RecordId) -> Result<bool, Violation> {
    look(world, at, |store| {
        let opening = store.opening()?;
        let Some(state) = opening.peers.iter().find(|state| state.org == *peer) else { return Ok(false) };
        for sequence in state.acknowledged + 1..=state.sent {
            if store.parcel(peer, sequence)?.is_some_and(|parcel| parcel.items.iter().any(|item| item.what == Outgoing::Record(record))) {
                return Ok(true);
            }
        }
        Ok(false)
    })
}

/// Whether a kept statement, by whoever it concerns, is what a copy's state rests on.
fn evidence(world: &World, at: Place, record: RecordId, digest: Option<format::Digest>) -> Result<bool, Violation> {
    let Some(digest) = digest else { return Ok(false) };
    look(world, at, |store| {
        let notice = store.statement(StatementKind::Notice, &digest)?.is_some_and(|row| row.about == Some(record.0));
        Ok(notice || !store.statements_about(StatementKind::ReceiptIn, &digest)?.is_empty())
    })
}

/// 5. Of a recalled record every holder is either confirmed or outstanding; nobody who can still read it is confirmed,
/// and whoever got it from the originator itself is one of them.
pub fn recalls(world: &World, at: Place) -> Check {
    for record in &world.chronicle.at(at).recalls {
        let Some(row) = look(world, at, |store| store.record(record))? else {
            // A recall may come back before what it recalls, or without it where nobody had that.
            if world.restorings.touched(at) && look(world, at, |store| store.tombstone(record))?.is_some() {
                continue;
            }
            return broken(5, format!("recalled {} is gone", record.0.short()));
        };
        let claim = look(world, at, |store| who_has::holders(store, &row))?;
        if let Some(both) = claim.outstanding.intersection(&claim.confirmed).next() {
            return broken(5, format!("{both} is both confirmed and outstanding for {}", row.number));
        }
        // What a restored site has back from its backup is for the end of the run.
        for place in (0..world.plan.sites).filter(|place| *place != at && !world.restorings.touched(*place) && !world.restorings.touched(at)) {
            let org = world.chronicle.org(place);
            let reads = look(world, place, |store| store.content(record))?.is_some();
            let direct = world.chronicle.at(place).accepted_from.contains(&(*record, at));
            if reads && claim.confirmed.contains(org) {
                return broken(5, format!("{org} can read {} v{} and counts as confirmed", row.number, row.version));
            }
            if direct && !claim.confirmed.contains(org) && !claim.outstanding.contains(org) {
                let copies: Vec<_> = claim.copies.iter().map(|copy| format!("{} via {} {:?}", copy.holder, copy.via, copy.state)).collect();
                let (number, version, condition) = (&row.number, row.version, row.condition);
                return broken(5, format!("{org} got {number} v{version}, {condition:?}, and is not among its holders: {}", copies.join(", ")));
            }
        }
    }
    Ok(())
}

/// 6. What was recalled, superseded or destroyed at a site stays so, and one number and version stays one record.
fn no_way_back(world: &mut World, at: Place, row: &RecordRow) -> Check {
    let content = look(world, at, |store| store.content(&row.id))?.is_some();
    let log = world.chronicle.at(at);
    let what = format!("{} v{} at {}", row.number, row.version, world.site(at).org());
    let own = row.originator == *world.site(at).org();
    if log.knows.recalled.contains(&row.id) && (row.condition != Condition::Recalled || (content && !own)) {
        return broken(6, format!("{what} is recalled and stands as {:?}, with content: {content}", row.condition));
    }
    let originator = world.chronicle.place(&row.originator);
    if row.condition == Condition::Recalled
        && originator.is_some_and(|place| !world.chronicle.at(place).recalls.contains(&row.id) && !world.restorings.touched(place))
    {
        return broken(6, format!("{what} was recalled by somebody else"));
    }
    let newest = log.knows.newest.get(&row.number).copied().unwrap_or(0);
    if row.kind.carries_information() && newest > row.version && row.condition == Condition::Current {
        return broken(6, format!("{what} is current beside version {newest}"));
    }
    let known = *world.site_mut(at).numbers.entry((row.number.clone(), row.version)).or_insert(row.id);
    if known != row.id {
        return broken(6, format!("{what} is two records"));
    }
    let seen = world.site_mut(at).seen.entry(row.id).or_default();
    if seen.outdated && row.condition == Condition::Current {
        return broken(6, format!("{what} is current again"));
    }
    if seen.gone && content {
        return broken(6, format!("{what} has content again"));
    }
    seen.outdated |= row.condition != Condition::Current;
    seen.gone |= !content;
    Ok(())
}

/// 7. What is kept verifies under its originator's keys.
fn authentic(world: &mut World, at: Place, row: &RecordRow) -> Check {
    if world.site(at).seen.get(&row.id).is_some_and(|seen| seen.verified) {
        return Ok(());
    }
    let what = format!("{} v{} at {}", row.number, row.version, world.site(at).org());
    let Some(signatures) = row.signatures.clone() else { return broken(7, format!("{what} has no signature")) };
    let identity = world.sites.iter().find(|site| *site.org() == row.originator).map(|site| &site.organisation.identity);
    let Some(identity) = identity else { return broken(7, format!("{what} is by nobody")) };
    if !row.number.as_str().starts_with(&format!("{}-", identity.short)) {
        return broken(7, format!("{what} has a number that is not its originator's"));
    }
    let keys = identity.keys.public();
    let signed = Signed::from_parts(row.originator.clone(), row.header.clone(), signatures);
    if verify::<Header>(&signed.to_bytes(), &(&row.originator, keys)).is_err() {
        return broken(7, format!("{what} does not verify"));
    }
    world.site_mut(at).seen.entry(row.id).or_default().verified = true;
    Ok(())
}

/// 9. A checkpoint that a node shows has the root of its durable ledger at that size, and is never smaller than the one
/// before it... so all of them are consistent.
pub fn checkpoint(world: &mut World, at: Place, note: &str) -> Check {
    let org = world.site(at).org().clone();
    let key = world.site(at).organisation.identity.keys.public().ed25519_raw();
    let name = ledger_name(&org);
    let Ok(shown) = checkpoint::parse_and_verify(note.as_bytes(), &name, key) else {
        return broken(9, format!("{org} showed a checkpoint that does not verify"));
    };
    let log = world.chronicle.at_mut(at);
    let at_size = |roots: &Vec<format::merkle::Hash>| usize::try_from(shown.size()).ok().and_then(|size| roots.get(size).copied());
    // What was on its way when a ledger was given up for an older one is still of that ledger.
    if at_size(&log.roots) != Some(shown.root()) && !log.past.iter().any(|roots| at_size(roots) == Some(shown.root())) {
        return broken(9, format!("{org} showed a root at size {} that its durable ledger does not have", shown.size()));
    }
    log.shown = log.shown.max(shown.size());
    Ok(())
}

/// 9. The store's ledger, leaf by leaf and by its kept subtrees, gives the root that the node's memory and the chronicle
/// have.
fn ledger_recomputes(world: &World, at: Place) -> Check {
    let log = world.chronicle.at(at);
    let org = world.site(at).org();
    let size = log.roots.len() as u64 - 1;
    let entries = look(world, at, |store| store.entries(0, 1_000_000))?;
    let mut frontier = Frontier::default();
    for entry in &entries {
        frontier.push(leaf_hash(&entry.leaf));
    }
    let kept = look(world, at, |store| Frontier::load(size, &LedgerTree(store)))?;
    let memory = world.site(at).node.as_ref().map(|node| node.state().frontier.clone());
    let root = log.roots.last().copied();
    if entries.len() as u64 != size || Some(frontier.root()) != root || Some(kept.root()) != root || memory.is_some_and(|memory| memory != frontier) {
        return broken(9, format!("the ledger of {org} does not recompute to its root"));
    }
    Ok(())
}

/// 9. Memory's edge of the ledger is that of the durable ledger.
fn edge_is_durable(world: &World, at: Place) -> Check {
    let log = world.chronicle.at(at);
    let Some(node) = &world.site(at).node else { return Ok(()) };
    let frontier = &node.state().frontier;
    if frontier.size() + 1 != log.roots.len() as u64 || Some(&frontier.root()) != log.roots.last() {
        return broken(9, format!("{} has {} entries in memory and {} in its ledger", world.site(at).org(), frontier.size(), log.roots.len() - 1));
    }
    Ok(())
}

/// 10. When a write failed, the commit does not succeed.
pub fn fail_closed(world: &World, at: Place, write_failed: bool, committed: &StoreResult<()>, struck: &[Fault]) -> Check {
    if committed.is_err() && struck.is_empty() {
        return broken(10, format!("{} asked its store for what it must refuse: {committed:?}", world.site(at).org()));
    }
    if write_failed && committed.is_ok() && !struck.contains(&Fault::DiesAfterCommit) {
        return broken(10, format!("{} went on after a write had failed", world.site(at).org()));
    }
    Ok(())
}

/// 10. After a lost commit a node remembers nothing that is not durable.
pub fn memory_is_durable(world: &World, at: Place) -> Check {
    let Some(node) = &world.site(at).node else { return Ok(()) };
    let durable = look(world, at, |store| State::load(store))?;
    let memory = node.state();
    let queued = |state: &State| -> Vec<(OrgId, u64)> { state.queued.iter().filter(|(_, waiting)| **waiting > 0).map(|(org, n)| (org.clone(), *n)).collect() };
    let differs = if durable.frontier != memory.frontier {
        "its ledger"
    } else if durable.peers != memory.peers {
        "its peers"
    } else if durable.serials != memory.serials {
        "its numbers"
    } else if queued(&durable) != queued(memory) {
        "its queues"
    } else {
        return Ok(());
    };
    broken(10, format!("{} remembers {differs} otherwise than its store", world.site(at).org()))
}

/// 12. Where the terms ask for two persons, two persons it was.
pub fn four_eyes(world: &World, at: Place, record: RecordId, header: &Header) -> Check {
    let known = world.chronicle.at(at).knows.agreements.get(&(header.agreement.id.clone(), header.agreement.version));
    let asked = known.is_some_and(|known| known.agreement.terms.four_eyes);
    let authors = world.chronicle.authors.get(&record);
    if asked && authors.is_some_and(|(drafted, approved)| approved.as_ref().is_none_or(|approved| approved == drafted)) {
        return broken(12, format!("{} was released by one person alone", header.number));
    }
    Ok(())
}

/// No node stops exchange with another that did nothing wrong: part of 9 and of 15.
fn no_false_suspicion(world: &World, at: Place) -> Check {
    let Some(node) = &world.site(at).node else { return Ok(()) };
    let honest = |org: &OrgId| world.plan.hostile.is_none_or(|hostile| hostile != at && world.chronicle.org(hostile) != org);
    let restored = |org: &OrgId| world.chronicle.place(org).is_some_and(|peer| world.restorings.unsettled(at, peer) || world.restorings.unsettled(peer, at));
    match node.state().peers.values().find(|state| state.suspicion.is_some() && honest(&state.org) && !restored(&state.org)) {
        Some(state) => broken(15, format!("{} suspects {} of {:?} without cause", world.site(at).org(), state.org, state.suspicion)),
        None => Ok(()),
    }
}

/// What is asked after every turn.
///
/// # Errors
/// An invariant does not hold.
pub fn after_turn(world: &mut World, at: Place, touched: &BTreeSet<RecordId>) -> Check {
    edge_is_durable(world, at)?;
    forgeries_are_not_believed(world, at)?;
    no_false_suspicion(world, at)?;
    world.accepted_by_persons(at)?;
    for record in touched {
        let Some(row) = look(world, at, |store| store.record(record))?.filter(|row| row.stage >= Stage::Released) else { continue };
        no_way_back(world, at, &row)?;
        authentic(world, at, &row)?;
        promises(world, at, Some(*record))?;
    }
    (0..world.plan.sites).try_for_each(|place| recalls(world, place))
}

/// What is asked when a node has started.
///
/// # Errors
/// An invariant does not hold.
pub fn after_start(world: &mut World, at: Place) -> Check {
    ledger_recomputes(world, at)?;
    memory_is_durable(world, at)?;
    promises(world, at, None)
}

/// Everything, of every site.
///
/// # Errors
/// An invariant does not hold.
pub fn all(world: &mut World) -> Check {
    for at in 0..world.plan.sites {
        nothing_shows_on_disk(world, at)?;
        ledger_recomputes(world, at)?;
        memory_is_durable(world, at)?;
        promises(world, at, None)?;
        recalls(world, at)?;
        for row in every_record(world, at)? {
            no_way_back(world, at, &row)?;
            authentic(world, at, &row)?;
            at_rest(world, at, &row)?;
            kept_no_longer(world, at, &row)?;
        }
    }
    Ok(())
}

fn every_record(world: &World, at: Place) -> Result<Vec<RecordRow>, Violation> {
    let mut rows: Vec<RecordRow> = Vec::new();
    let mut before = None;
    loop {
        let page = look(world, at, |store| store.records(&RecordQuery { before, limit: MAX_PAGE, ..RecordQuery::default() }))?;
        let Some((last, _)) = page.last() else { break };
        before = Some(*last);
        rows.extend(page.into_iter().map(|(_, row)| row).filter(|row| row.stage >= Stage::Released));
    }
    Ok(rows)
}

/// 1, at rest: everything that a site can decrypt of a record, its pieces too.
fn at_rest(world: &World, at: Place, row: &RecordRow) -> Check {
    let site = world.site(at);
    let vault = &site.organisation.identity.vault;
    let Some(sealed) = look(world, at, |store| store.content(&row.id))? else { return Ok(()) };
    let content = vault.open(Part::Content(&row.number, row.version), &sealed).map_err(|fault| unread(&fault))?;
    content_is_lawful(world, at, row.id, &content.bytes)?;
    let header = node::act::release::header_of(row).map_err(|fault| unread(&fault))?;
    for attachment in (0_u32..).take(header.attachments.len()) {
        for index in 0..2 {
            if let Some(piece) = look(world, at, |store| store.piece(&(row.number.clone(), row.version), attachment, index))? {
                match read_piece(&site.organisation.identity, &sealed, &piece, &site.shelf) {
                    Ok(bytes) => content_is_lawful(world, at, row.id, &bytes)?,
                    // An old copy of a store names objects of what was destroyed since.
                    Err(Refusal::Object(ObjectFault::Missing(_))) if world.restorings.lost.contains_key(&at) => {}
                    Err(fault) => return Err(unread(&fault)),
                }
            }
        }
    }
    Ok(())
}

/// 7. A receipt for something else, or with another ledger, is never kept as a receipt.
fn forgeries_are_not_believed(world: &World, at: Place) -> Check {
    for digest in &world.forged_receipts {
        if !look(world, at, |store| store.statements_about(StatementKind::ReceiptIn, digest))?.is_empty() {
            return broken(7, format!("{} took in a forged receipt", world.site(at).org()));
        }
    }
    Ok(())
}

/// 13. What should have been destroyed by now is.
fn kept_no_longer(world: &World, at: Place, row: &RecordRow) -> Check {
    if row.retain_until <= world.clock(at) && look(world, at, |store| store.content(&row.id))?.is_some() {
        return broken(13, format!("{} v{} is still at {} after its time", row.number, row.version, world.site(at).org()));
    }
    Ok(())
}

/// 1, raw. Where the store is a file, nothing shows in its bytes, in unused pages and in the log beside it.
pub fn nothing_shows_on_disk(world: &World, at: Place) -> Check {
    let Some(path) = world.site(at).store.path() else { return Ok(()) };
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        if let Ok(bytes) = std::fs::read(std::path::Path::new(&name)) {
            nothing_shows(&bytes, "a store's file")?;
        }
    }
    Ok(())
}

/// 15. After healing nobody holds as current what its originator has replaced, where whoever gave it to them has the
/// later version and could have handed it on; and nobody lacks a piece of what came from its originator.
///
/// # Errors
/// Somebody was left behind.
pub fn latest_everywhere(world: &World) -> Check {
    for at in 0..world.plan.sites {
        for row in every_record(world, at)?.iter().filter(|row| row.stage == Stage::Received && row.condition == Condition::Current) {
            let (Some(from), Some(origin)) = (row.from.as_ref().and_then(|org| world.chronicle.place(org)), world.chronicle.place(&row.originator)) else {
                continue;
            };
            left_behind(world, at, from, origin, row)?;
            if from == origin {
                whole(world, at, row)?;
            }
        }
    }
    Ok(())
}

fn left_behind(world: &World, at: Place, from: Place, origin: Place, row: &RecordRow) -> Check {
    let versions = world.chronicle.at(origin).own.get(&row.number).cloned().unwrap_or_default();
    let Some(last) = versions.last().filter(|last| **last != row.id) else { return Ok(()) };
    let later = look(world, from, |store| store.record(last))?.filter(|later| later.version > row.version && later.condition == Condition::Current);
    let Some(later) = later else { return Ok(()) };
    let tried = look(world, from, |store| store.holdings(last))?;
    if tried.iter().any(|copy| copy.holder == *world.site(at).org()) {
        return Ok(());
    }
    broken(
        15,
        format!("{} still takes {} v{} for current, and {} has v{}", world.site(at).org(), row.number, row.version, world.site(from).org(), later.version),
    )
}

fn whole(world: &World, at: Place, row: &RecordRow) -> Check {
    let header = node::act::release::header_of(row).map_err(|fault| unread(&fault))?;
    let stands = world.chronicle.place(&row.originator).map(|place| look(world, place, |store| store.record(&row.id))).transpose()?.flatten();
    if stands.is_none_or(|row| row.condition != Condition::Current) {
        return Ok(());
    }
    for (attachment, reference) in (0_u32..).zip(&header.attachments) {
        let leaves = look(world, at, |store| store.piece_leaves(&(row.number.clone(), row.version), attachment))?;
        if leaves.len() as u64 != reference.pieces() {
            return broken(15, format!("{} lacks pieces of {} v{}", world.site(at).org(), row.number, row.version));
        }
    }
    Ok(())
}

/// 15. After healing every queue is empty, every parcel has its receipt, and every recall is confirmed by everyone whom
/// it reaches.
///
/// # Errors
/// Something still waits.
pub fn drained(world: &World) -> Check {
    for at in 0..world.plan.sites {
        let org = world.site(at).org();
        let counts = look(world, at, Reader::counts)?;
        if counts.outgoing > 0 || counts.parcels > 0 {
            return broken(15, format!("{org} still has {} rows and {} parcels to send", counts.outgoing, counts.parcels));
        }
        for record in &world.chronicle.at(at).recalls {
            let Some(row) = look(world, at, |store| store.record(record))? else { continue };
            let claim = look(world, at, |store| who_has::holders(store, &row))?;
            if let Some(outstanding) = claim.outstanding.first() {
                let copies: Vec<_> = claim.copies.iter().map(|c| format!("{} via {} {:?}", c.holder, c.via, c.state)).collect();
                return broken(15, format!("{outstanding} never confirmed the recall of {} v{} by {org}: {}", row.number, row.version, copies.join(", ")));
            }
            for place in (0..world.plan.sites).filter(|place| *place != at) {
                let holder = world.chronicle.org(place);
                if look(world, place, |store| store.content(record))?.is_some() {
                    return broken(5, format!("{holder} still has {} v{} of {org} after everyone confirmed its recall", row.number, row.version));
                }
                let held = world.chronicle.at(place).accepted.contains(record);
                if held && !claim.confirmed.contains(holder) {
                    let copies: Vec<_> = claim.copies.iter().map(|c| format!("{} via {} {:?}", c.holder, c.via, c.state)).collect();
                    return broken(5, format!("{holder} had {} v{} and {org} does not know it: {}", row.number, row.version, copies.join(", ")));
                }
            }
        }
        for row in every_record(world, at)? {
            let copies = look(world, at, |store| store.holdings(&row.id))?;
            if let Some(copy) = copies.iter().find(|copy| copy.via == *org && matches!(copy.state, HoldingState::Queued | HoldingState::Sent)) {
                return broken(15, format!("{} v{} is still {:?} for {}", row.number, row.version, copy.state, copy.holder));
            }
            wanting(world, at, &row, &copies)?;
        }
    }
    Ok(())
}

/// 15. After healing no party has refused for good what it could not place for want of the agreement.
fn wanting(world: &World, at: Place, row: &RecordRow, copies: &[HoldingRow]) -> Check {
    let header = node::act::release::header_of(row).map_err(|fault| unread(&fault))?;
    let codes = ["agreement-unknown", "agreement-unsigned"];
    for copy in copies.iter().filter(|copy| copy.via == *world.site(at).org() && copy.state == HoldingState::Refused && row.condition == Condition::Current) {
        let (from, to, now) = (world.site(at).org(), &copy.holder, world.clock(at));
        let knows = &world.chronicle.at(at).knows;
        let passage = Passage { chronicle: &world.chronicle, knows, from, to, record: row.id, header: &header, now, arriving: false, free_terms: false };
        if passage.is_party(to) && codes.iter().any(|code| copy.reasons.contains(*code)) {
            return broken(15, format!("{} v{} was refused by {to} for want of the agreement, and not sent again with it", row.number, row.version));
        }
    }
    Ok(())
}
