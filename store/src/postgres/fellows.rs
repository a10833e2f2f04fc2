//! Fellows on PostgreSQL: words over a channel of the database, and leases that are locks of its own.
//!
//! A connection of its own listens, shows by one lock that this process is here, and holds a lock for each peer to which
//! it is courier. All of them are the server's, and gone as soon as the connection is: a process that dies gives up
//! everything at once. The invariant: of two connections at most one holds a peer's lease.

use std::collections::BTreeSet;
use std::time::Duration;

use format::OrgId;
use node::ports::{Fellows, StoreError, StoreResult, Word};

use super::Postgres;
use super::row::Value;
use super::wire::Wire;

/// Says that this process is here ("Samv" and two), and listens to the others.
const ARRIVE: &str = "LISTEN samverkan; SELECT pg_advisory_lock_shared(1398893944, 0)";

/// Processes that are here, this one among them.
const HERE: &str = "SELECT count(*) FROM pg_locks
     WHERE locktype = 'advisory' AND classid = 1398893944 AND granted
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// The other processes on the same database.
#[derive(Debug)]
pub struct PostgresFellows {
    wire: Wire,
    here: bool,
    held: BTreeSet<OrgId>,
    /// Given up: whoever was sent out is being called back, and the lease goes at the next sharing out.
    leaving: BTreeSet<OrgId>,
}

impl Postgres {
    /// Finds the other processes on the same database.
    ///
    /// # Errors
    /// The server cannot be reached or relied on any more.
    pub fn fellows(&self) -> StoreResult<PostgresFellows> {
        let wire = self.wire.another()?;
        Ok(PostgresFellows { wire, here: false, held: BTreeSet::new(), leaving: BTreeSet::new() })
    }
}

impl Fellows for PostgresFellows {
    fn listen(&mut self, patience: Duration) -> StoreResult<Word> {
        let heard = self.arrive().and_then(|()| self.wire.listen(patience));
        let mut word = Word::default();
        for said in self.or_gone(heard)? {
            let mut parts = said.split_whitespace();
            word.at_once |= parts.next() == Some("now");
            for peer in parts {
                match peer.parse() {
                    Ok(peer) => _ = word.queued.insert(peer),
                    Err(_) => word.for_all = true,
                }
            }
        }
        Ok(word)
    }

    fn share_out(&mut self, peers: &BTreeSet<OrgId>) -> StoreResult<BTreeSet<OrgId>> {
        let shared = self.arrive().and_then(|()| self.share(peers));
        self.or_gone(shared)?;
        Ok(self.held.clone())
    }
}

impl PostgresFellows {
    fn arrive(&mut self) -> StoreResult<()> {
        if !self.here {
            self.wire.reach()?;
            self.wire.run(ARRIVE)?;
            // From now on the connection is the leases: another would be without them.
            self.wire.hold(true);
            self.here = true;
        }
        Ok(())
    }

    fn or_gone<T>(&mut self, result: StoreResult<T>) -> StoreResult<T> {
        result.inspect_err(|_| {
            self.wire.cut("the connection was given up");
            self.wire.hold(false);
            self.here = false;
            self.held.clear();
            self.leaving.clear();
        })
    }

    /// Each process takes its share and no more; whoever arrives later finds what the others leave.
    fn share(&mut self, peers: &BTreeSet<OrgId>) -> StoreResult<()> {
        let left = std::mem::take(&mut self.leaving);
        let unlock = "SELECT pg_advisory_unlock(1398893943, hashtext(org)) FROM unnest($1::text[]) AS org";
        self.wire.all(unlock, &[names(&left)], |_| Ok(()))?;
        let here: usize = self.wire.first(HERE, &[], |columns| columns.number())?.unwrap_or(1);
        let share = peers.len().div_ceil(here.max(1));
        let mut kept: BTreeSet<OrgId> = self.held.intersection(peers).cloned().collect();
        while kept.len() > share {
            kept.pop_last();
        }
        self.leaving = self.held.difference(&kept).cloned().collect();
        let wanted: BTreeSet<OrgId> = peers.iter().filter(|peer| !self.held.contains(*peer)).cloned().collect();
        let room = i64::try_from(share - kept.len()).map_err(|_| StoreError::Failed("there are too many peers".to_owned()))?;
        self.held = kept;
        if room > 0 && !wanted.is_empty() {
            let sql = "SELECT org FROM unnest($1::text[]) AS org WHERE pg_try_advisory_lock(1398893943, hashtext(org)) LIMIT $2";
            self.held.extend(self.wire.all(sql, &[names(&wanted), room.into()], |columns| columns.parsed())?);
        }
        Ok(())
    }
}

fn names(orgs: &BTreeSet<OrgId>) -> Value<'_> {
    Value::Texts(orgs.iter().map(|org| Some(org.as_str().into())).collect())
}
