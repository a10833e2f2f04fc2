//! A turn: from the moment when this process alone decides, to the commit that tells the others what changed.
//!
//! Each commit adds a row to `turn` that names what a node holds in memory and another process has to read again. Rows
//! are kept for a while; a process that slept longer reads everything. The invariant: a process that has its turn and
//! was told of all changes since its last one knows what one that starts anew would read.

use std::collections::{BTreeMap, BTreeSet};

use format::OrgId;
use node::ports::{Changes, News, StoreResult};
use node::rows::{Batch, Change, StatementKind};

use super::row::Value;
use super::{Postgres, TAKE, Turn, read};
use crate::stored::integer;

/// Turns whose rows are kept; a process that missed more reads everything.
const KEPT: i64 = 256;

/// The longest word that the server carries on a channel.
const LONGEST_WORD: usize = 7_000;

/// A turn, as far as a process has taken note of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    number: i64,
    size: u64,
    /// The last card, agreement signature or withdrawal.
    statement: i64,
}

/// What a turn has written so far, of that which other processes hold in memory.
#[derive(Debug, Default)]
pub(super) struct Written {
    anything: bool,
    peers: BTreeSet<OrgId>,
    queued: BTreeMap<OrgId, i64>,
    directory: bool,
    serials: bool,
    rules: bool,
    pub(super) destroyed: bool,
    /// This process was not told what others had written before the turn.
    pub(super) unheard: bool,
}

impl Written {
    pub(super) fn note(&mut self, batch: &Batch) {
        self.anything |= !batch.changes.is_empty() || !batch.entries.is_empty();
        for change in &batch.changes {
            match change {
                Change::Peer(row) => _ = self.peers.insert(row.org.clone()),
                Change::Queue(peer, _) => *self.queued.entry(peer.clone()).or_default() += 1,
                Change::Requeue(peer, _, None) => *self.queued.entry(peer.clone()).or_default() -= 1,
                Change::Statement(row) => self.directory |= counts_at_once(row.kind),
                Change::Serial(..) => self.serials = true,
                Change::HouseRules(_) | Change::Recovery(_) => self.rules = true,
                Change::DestroyContent(_) | Change::DiscardDraft(..) => self.destroyed = true,
                _ => {}
            }
        }
    }

    /// What the other processes are told: whether to look at once, and for whom something waits; `*` for everybody.
    /// Nothing, if they may as well find out at their next turn.
    fn word(&self) -> String {
        let at_once = if self.directory || self.rules { "now" } else { "later" };
        let waiting: Vec<&str> = self.queued.iter().filter(|(_, count)| **count > 0).map(|(peer, _)| peer.as_str()).collect();
        if waiting.is_empty() && at_once == "later" {
            return String::new();
        }
        let word = format!("{at_once} {}", waiting.join(" "));
        if word.len() > LONGEST_WORD { format!("{at_once} *") } else { word }
    }
}

/// Whether a statement of this kind changes who is believed, and under what.
const fn counts_at_once(kind: StatementKind) -> bool {
    matches!(kind, StatementKind::Card | StatementKind::Agreement | StatementKind::Withdrawal | StatementKind::Revocation)
}

impl Postgres {
    /// Takes the turn and finds out what others have written since the last one.
    pub(super) fn begin(&mut self) -> StoreResult<News> {
        const LAST: &str = "SELECT number, size, statement FROM turn ORDER BY number DESC LIMIT 1";
        self.wire.reach()?;
        self.wire.hold(true);
        self.access.turn = Turn::Held;
        let taken = self
            .wire
            .between(TAKE, (LAST, &[]), "", |columns| Ok(Known { number: columns.integer()?, size: columns.number()?, statement: columns.integer()? }));
        let news = taken.and_then(|last| {
            let before = self.access.known.replace(last);
            self.access.size = last.size;
            match before {
                Some(before) if before.number == last.number => Ok(News::Nothing),
                Some(before) if last.number - before.number < KEPT => self.changes(before, last),
                _ => Ok(News::Everything),
            }
        });
        news.inspect_err(|_| self.forget())
    }

    fn changes(&self, before: Known, last: Known) -> StoreResult<News> {
        const TURNS: &str = "SELECT peers, queued, counts, serials, rules FROM turn WHERE number > $1 ORDER BY number";
        let mut changes = Changes::default();
        let (mut peers, mut serials, mut rules) = (BTreeSet::new(), false, false);
        let turns = self.wire.all(TURNS, &[before.number.into()], |columns| {
            let (peers, queued): (Vec<OrgId>, Vec<OrgId>) = (columns.several()?, columns.several()?);
            Ok((peers, queued.into_iter().zip(columns.integers()?).collect::<Vec<_>>(), columns.flag()?, columns.flag()?))
        })?;
        for (of_turn, queued, turn_serials, turn_rules) in turns {
            peers.extend(of_turn);
            queued.into_iter().for_each(|(peer, count)| *changes.queued.entry(peer).or_default() += count);
            serials |= turn_serials;
            rules |= turn_rules;
        }
        if !peers.is_empty() {
            changes.peers = read::peers(&self.wire, &peers)?;
        }
        if last.statement > before.statement {
            let added = read::directory_after(&self.wire, before.statement, usize::MAX)?;
            changes.statements = added.into_iter().map(|(_, row)| row).collect();
        }
        if last.size > before.size {
            let entries = "SELECT leaf, at FROM entry WHERE place >= $1 ORDER BY place";
            let told = self.wire.all(entries, &[integer(before.size)?.into()], |columns| Ok((columns.array()?, columns.time()?)))?;
            changes.last_entry = told.last().map(|(_, at)| *at);
            changes.leaves = told.into_iter().map(|(leaf, _)| leaf).collect();
        }
        if serials {
            changes.serials = read::serials(&self.wire)?;
        }
        if rules {
            changes.house_rules = Some(read::house_rules(&self.wire)?);
            changes.recovery = read::recovery(&self.wire)?;
        }
        Ok(News::Changes(Box::new(changes)))
    }

    /// Commits, and tells the others.
    pub(super) fn end_turn(&mut self) -> StoreResult<()> {
        const ADD: &str = "WITH told AS MATERIALIZED (SELECT CASE WHEN $8::text <> '' THEN pg_notify('samverkan', $8) END),
                  old AS (DELETE FROM turn WHERE number <= $1::bigint - 2 * $9::bigint AND $1 % 32 = 0)
             INSERT INTO turn (number, size, statement, peers, queued, counts, serials, rules)
             SELECT $1, $2::bigint, (SELECT coalesce(max(seq), 0) FROM statement WHERE kind <= 3), $3::text[], $4::text[], $5::bigint[], $6::boolean, $7::boolean FROM told
             RETURNING statement";
        let written = std::mem::take(&mut self.access.news);
        let Some(known) = self.access.known.filter(|_| written.anything) else { return self.wire.run("COMMIT") };
        let (number, size) = (known.number + 1, self.access.size);
        let names = |orgs: Vec<&'_ OrgId>| Value::Texts(orgs.into_iter().map(|org| Some(org.as_str().to_owned().into())).collect());
        let values = [
            number.into(),
            integer(size)?.into(),
            names(written.peers.iter().collect()),
            names(written.queued.keys().collect()),
            Value::Integers(written.queued.values().map(|count| Some(*count)).collect()),
            written.serials.into(),
            written.rules.into(),
            written.word().into(),
            KEPT.into(),
        ];
        let statement = self.wire.between("", (ADD, &values), "COMMIT", |columns| columns.integer())?;
        self.access.known = (!written.unheard).then_some(Known { number, size, statement });
        self.access.scrub.due |= written.destroyed;
        Ok(())
    }
}
