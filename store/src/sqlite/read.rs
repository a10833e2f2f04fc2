//! Reading: each question of the port as one query.
//!
//! It changes nothing and remembers nothing. Queries are fixed texts with bound values; which one lists records depends
//! only on which filters are set. The invariant: a row is given whole and checked, or not at all; a header that does
//! not hash to its id is reported as corrupt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use format::batch::Inclusion;
use format::merkle::Hash;
use format::record::Kind;
use format::{Digest, OrgId, RecordId, RecordNumber, Timestamp};
use node::ports::{Counts, MAX_PAGE, Opening, Reader, RecordQuery, StoreError, StoreResult};
use node::rows::{
    ContentRow, CredentialRow, EntryRow, HoldingRow, MemberRow, ObjectName, Outgoing, OutgoingRow, ParcelRow, PeerRow, PieceRow, RecordRow, RecoveryRow,
    SeenCheckpoint, Signatures, Stage, StatementKind, StatementRow,
};
use rusqlite::{Connection, named_params, params};

use super::Sqlite;
use super::row::{Columns, all, change, first};
use crate::stored::{self, Code, OutgoingColumns, corrupt, handle, integer};

impl<Access: Send> Reader for Sqlite<Access> {
    fn opening(&self) -> StoreResult<Opening> {
        // A savepoint, inside a transaction or not, makes the queries see one state.
        change(&self.connection, "SAVEPOINT opening", [])?;
        let opening = opening(&self.connection);
        change(&self.connection, "RELEASE opening", [])?;
        opening
    }

    fn directory(&self, after: u64, limit: usize) -> StoreResult<Vec<(u64, StatementRow)>> {
        let sql = "SELECT seq, kind, key, org, about, bytes, at FROM statement INDEXED BY statement_opening WHERE kind <= 3 AND seq > ?1 ORDER BY seq LIMIT ?2";
        all(&self.connection, sql, params![integer(after)?, capped(limit)], |columns| Ok((columns.number()?, statement(columns)?)))
    }

    fn record(&self, id: &RecordId) -> StoreResult<Option<RecordRow>> {
        first(&self.connection, "SELECT * FROM whole_record WHERE handle = ?1 AND id = ?2", params![handle(id), id.0.as_bytes()], record)
    }

    fn record_by_number(&self, number: &RecordNumber, version: Option<u32>) -> StoreResult<Option<RecordRow>> {
        match version {
            Some(version) => {
                let sql = "SELECT * FROM whole_record WHERE number = ?1 AND version = ?2 ORDER BY seq LIMIT 1";
                first(&self.connection, sql, params![number.as_str(), version], record)
            }
            None => {
                let sql = "SELECT * FROM whole_record WHERE number = ?1 ORDER BY version DESC, seq LIMIT 1";
                first(&self.connection, sql, [number.as_str()], record)
            }
        }
    }

    fn records(&self, query: &RecordQuery) -> StoreResult<Vec<(u64, RecordRow)>> {
        let values = named_params! {
            ":stage": query.stage.map(Code::code),
            ":kind": query.kind.map(Code::code),
            ":originator": query.originator.as_ref().map(OrgId::as_str),
            ":flagged": query.flagged,
            ":before": query.before.map_or(Ok(i64::MAX), integer)?,
            ":limit": capped(query.limit.min(MAX_PAGE)),
        };
        all(&self.connection, Path::of(query).sql(), values, |columns| {
            let place = columns.number()?;
            Ok((place, record_after_seq(columns)?))
        })
    }

    fn versions(&self, number: &RecordNumber) -> StoreResult<Vec<RecordRow>> {
        all(&self.connection, "SELECT * FROM whole_record WHERE number = ?1 ORDER BY version, seq", [number.as_str()], record)
    }

    fn linking_to(&self, id: &RecordId) -> StoreResult<Vec<RecordRow>> {
        let sql = "SELECT * FROM whole_record WHERE seq IN (SELECT record FROM link WHERE target = ?1) ORDER BY seq";
        all(&self.connection, sql, [id.0.as_bytes()], record)
    }

    fn tombstone(&self, id: &RecordId) -> StoreResult<Option<OrgId>> {
        first(&self.connection, "SELECT org FROM tombstone WHERE id = ?1", [id.0.as_bytes()], |columns| columns.parsed())
    }

    fn content(&self, id: &RecordId) -> StoreResult<Option<ContentRow>> {
        let sql = "SELECT wrapped, ciphertext FROM record JOIN content_key ON content_key.seq = content JOIN header ON header.record = record.seq
                   WHERE handle = ?1 AND id = ?2";
        first(&self.connection, sql, params![handle(id), id.0.as_bytes()], |columns| Ok(ContentRow { wrapped_key: columns.vec()?, ciphertext: columns.vec()? }))
    }

    fn piece(&self, record: &(RecordNumber, u32), attachment: u32, index: u64) -> StoreResult<Option<PieceRow>> {
        let Some(seq) = seq_of_number(&self.connection, record)? else { return Ok(None) };
        let sql = "SELECT leaf, object, ciphertext FROM piece WHERE record = ?1 AND attachment = ?2 AND place = ?3";
        first(&self.connection, sql, params![seq, attachment, integer(index)?], |columns| {
            let (leaf, object) = (columns.array()?, columns.optional(Columns::array)?.map(ObjectName));
            Ok(PieceRow { record: record.clone(), attachment, index, leaf, object, ciphertext: columns.vec()? })
        })
    }

    fn piece_leaves(&self, record: &(RecordNumber, u32), attachment: u32) -> StoreResult<BTreeMap<u64, Hash>> {
        let Some(seq) = seq_of_number(&self.connection, record)? else { return Ok(BTreeMap::new()) };
        let sql = "SELECT place, leaf FROM piece WHERE record = ?1 AND attachment = ?2";
        let leaves = all(&self.connection, sql, params![seq, attachment], |columns| Ok((columns.number()?, columns.array()?)))?;
        Ok(leaves.into_iter().collect())
    }

    fn objects_in_use(&self, names: &[ObjectName]) -> StoreResult<BTreeSet<ObjectName>> {
        let in_use = |name: &ObjectName| Ok(first(&self.connection, "SELECT 1 FROM piece WHERE object = ?1", [name.0], |_| Ok(()))?.map(|()| *name));
        names.iter().filter_map(|name| in_use(name).transpose()).collect()
    }

    fn holdings(&self, id: &RecordId) -> StoreResult<Vec<HoldingRow>> {
        let Some(seq) = seq_of_id(&self.connection, id)? else { return Ok(Vec::new()) };
        let sql = "SELECT holder, via, state, sequence, evidence, reasons, since FROM holding WHERE record = ?1 ORDER BY holder, via";
        all(&self.connection, sql, [seq], |columns| {
            Ok(HoldingRow {
                record: *id,
                holder: columns.parsed()?,
                via: columns.parsed()?,
                state: columns.code()?,
                sequence: columns.optional(Columns::number)?,
                evidence: columns.optional(Columns::digest)?,
                reasons: stored::read_reasons(columns.text()?)?,
                since: columns.time()?,
            })
        })
    }

    fn outgoing(&self, peer: &OrgId, limit: usize) -> StoreResult<Vec<OutgoingRow>> {
        let sql = "SELECT position, what, subject, attachment, next, item FROM outgoing WHERE peer = ?1 ORDER BY position LIMIT ?2";
        all(&self.connection, sql, params![peer.as_str(), capped(limit)], |columns| Ok(OutgoingRow { position: columns.number()?, what: outgoing(columns)? }))
    }

    fn outgoing_count(&self, peer: &OrgId) -> StoreResult<u64> {
        count(&self.connection, "SELECT count(*) FROM outgoing WHERE peer = ?1", [peer.as_str()])
    }

    fn peer(&self, org: &OrgId) -> StoreResult<Option<PeerRow>> {
        first(&self.connection, &format!("{PEER} WHERE org = ?1"), [org.as_str()], peer)
    }

    fn parcel(&self, peer: &OrgId, sequence: u64) -> StoreResult<Option<ParcelRow>> {
        let sql = "SELECT header, digest, items FROM parcel WHERE peer = ?1 AND sequence = ?2";
        first(&self.connection, sql, params![peer.as_str(), integer(sequence)?], |columns| {
            Ok(ParcelRow { peer: peer.clone(), sequence, header: columns.vec()?, digest: columns.digest()?, items: stored::read_items(columns.text()?)? })
        })
    }

    fn statement(&self, kind: StatementKind, key: &Digest) -> StoreResult<Option<StatementRow>> {
        let sql = "SELECT kind, key, org, about, bytes, at FROM statement WHERE key = ?1 AND kind = ?2";
        first(&self.connection, sql, params![key.as_bytes(), kind.code()], statement)
    }

    fn statements_about(&self, kind: StatementKind, about: &Digest) -> StoreResult<Vec<StatementRow>> {
        let sql = "SELECT kind, key, org, about, bytes, at FROM statement WHERE about = ?1 AND kind = ?2 ORDER BY seq";
        all(&self.connection, sql, params![about.as_bytes(), kind.code()], statement)
    }

    fn due(&self, now: Timestamp, limit: usize) -> StoreResult<Vec<RecordId>> {
        let sql = "SELECT id FROM record WHERE content IS NOT NULL AND retain_until <= ?1 ORDER BY retain_until, seq LIMIT ?2";
        all(&self.connection, sql, params![now.as_ms(), capped(limit)], |columns| columns.digest().map(RecordId))
    }

    fn entries(&self, from: u64, limit: usize) -> StoreResult<Vec<EntryRow>> {
        let sql = "SELECT place, leaf, salt, json, what, record, at FROM entry WHERE place >= ?1 ORDER BY place LIMIT ?2";
        all(&self.connection, sql, params![integer(from)?, capped(limit)], entry)
    }

    fn entries_about(&self, id: &RecordId) -> StoreResult<Vec<EntryRow>> {
        let sql = "SELECT place, leaf, salt, json, what, record, at FROM entry WHERE about = ?1
                   UNION ALL
                   SELECT place, leaf, salt, json, what, record, at FROM entry WHERE about IS NULL AND record = ?2
                   ORDER BY place LIMIT ?3";
        all(&self.connection, sql, params![seq_of_id(&self.connection, id)?, id.0.as_bytes(), capped(MAX_PAGE)], entry)
    }

    fn subtree(&self, level: u8, index: u64) -> StoreResult<Hash> {
        let place = integer(index)?;
        let hash = match level {
            0 => first(&self.connection, "SELECT leaf FROM entry WHERE place = ?1", [place], |columns| columns.array())?,
            _ if !level.is_multiple_of(4) => return Err(StoreError::Failed(format!("subtrees of level {level} are not kept"))),
            _ => first(&self.connection, "SELECT hash FROM subtree WHERE level = ?1 AND place = ?2", params![level, place], |columns| columns.array())?,
        };
        hash.ok_or_else(|| corrupt("ledger", format!("its subtree {index} of level {level} is not there")))
    }

    fn member(&self, id: &str) -> StoreResult<Option<MemberRow>> {
        first(&self.connection, "SELECT id, name, roles, active, password FROM member WHERE id = ?1", [id], member)
    }

    fn members(&self) -> StoreResult<Vec<MemberRow>> {
        all(&self.connection, "SELECT id, name, roles, active, password FROM member ORDER BY id", [], member)
    }

    fn credential(&self, hash: &Digest) -> StoreResult<Option<CredentialRow>> {
        first(&self.connection, "SELECT hash, member, label, token, created, expires FROM credential WHERE hash = ?1", [hash.as_bytes()], credential)
    }

    fn credentials(&self, member: &str) -> StoreResult<Vec<CredentialRow>> {
        let sql = "SELECT hash, member, label, token, created, expires FROM credential WHERE member = ?1 ORDER BY created DESC, seq DESC";
        all(&self.connection, sql, [member], credential)
    }

    fn counts(&self) -> StoreResult<Counts> {
        Ok(Counts {
            records: count(&self.connection, "SELECT count(*) FROM record", [])?,
            entries: count(&self.connection, "SELECT coalesce(max(place) + 1, 0) FROM entry", [])?,
            outgoing: count(&self.connection, "SELECT count(*) FROM outgoing", [])?,
            parcels: count(&self.connection, "SELECT count(*) FROM parcel", [])?,
        })
    }
}

/// By which order a list of records is found. The other filters are then tried row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    Flagged,
    Originator,
    Kind,
    Stage,
    Newest,
}

impl Path {
    /// The path that passes over most: few records are flagged, and one organisation's are fewer than those of a kind.
    fn of(query: &RecordQuery) -> Self {
        let own_desk = query.stage.is_some_and(|stage| stage < Stage::Released);
        match query {
            RecordQuery { flagged: true, .. } => Self::Flagged,
            RecordQuery { stage: Some(_), .. } if own_desk => Self::Stage,
            RecordQuery { originator: Some(_), .. } => Self::Originator,
            RecordQuery { kind: Some(kind), .. } if *kind != Kind::Report => Self::Kind,
            RecordQuery { stage: Some(_), .. } => Self::Stage,
            _ => Self::Newest,
        }
    }

    const fn sql(self) -> &'static str {
        match self {
            Self::Flagged => {
                "SELECT * FROM whole_record WHERE seq IN (
                     SELECT seq FROM record INDEXED BY record_flagged
                     WHERE flagged = 1 AND :flagged AND seq < :before AND (:stage IS NULL OR stage = :stage) AND (:kind IS NULL OR kind = :kind)
                         AND (:originator IS NULL OR originator = :originator)
                     ORDER BY seq DESC LIMIT :limit)
                 ORDER BY seq DESC"
            }
            Self::Originator => {
                "SELECT * FROM whole_record WHERE seq IN (
                     SELECT seq FROM record INDEXED BY record_originator
                     WHERE originator = :originator AND NOT :flagged AND seq < :before AND (:stage IS NULL OR stage = :stage)
                         AND (:kind IS NULL OR kind = :kind)
                     ORDER BY seq DESC LIMIT :limit)
                 ORDER BY seq DESC"
            }
            Self::Kind => {
                "SELECT * FROM whole_record WHERE seq IN (
                     SELECT seq FROM record INDEXED BY record_kind
                     WHERE kind = :kind AND kind <> 1 AND NOT :flagged AND seq < :before AND (:stage IS NULL OR stage = :stage)
                         AND (:originator IS NULL OR originator = :originator)
                     ORDER BY seq DESC LIMIT :limit)
                 ORDER BY seq DESC"
            }
            Self::Stage => {
                "SELECT * FROM whole_record WHERE seq IN (
                     SELECT seq FROM record INDEXED BY record_stage
                     WHERE stage = :stage AND NOT :flagged AND seq < :before AND (:kind IS NULL OR kind = :kind)
                         AND (:originator IS NULL OR originator = :originator)
                     ORDER BY seq DESC LIMIT :limit)
                 ORDER BY seq DESC"
            }
            Self::Newest => {
                "SELECT * FROM whole_record
                 WHERE seq < :before AND NOT :flagged AND (:stage IS NULL OR stage = :stage) AND (:kind IS NULL OR kind = :kind)
                     AND (:originator IS NULL OR originator = :originator)
                 ORDER BY seq DESC LIMIT :limit"
            }
        }
    }
}

/// The row of a record by id.
pub(super) fn seq_of_id(connection: &Connection, id: &RecordId) -> StoreResult<Option<i64>> {
    let sql = "SELECT seq FROM record WHERE handle = ?1 AND id = ?2";
    first(connection, sql, params![handle(id), id.0.as_bytes()], |columns| columns.integer())
}

/// The row of a record by number and version. Two originators may use one number; the record that came first counts.
pub(super) fn seq_of_number(connection: &Connection, (number, version): &(RecordNumber, u32)) -> StoreResult<Option<i64>> {
    let sql = "SELECT seq FROM record WHERE number = ?1 AND version = ?2 ORDER BY seq LIMIT 1";
    first(connection, sql, params![number.as_str(), version], |columns| columns.integer())
}

fn capped(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn count(connection: &Connection, sql: &str, values: impl rusqlite::Params) -> StoreResult<u64> {
    first(connection, sql, values, |columns| columns.number()).map(Option::unwrap_or_default)
}

const PEER: &str = "SELECT org, sent, sent_digest, acknowledged, shown_size, receipted_size, received, received_digest, parcel_size, parcel_root, parcel_note,
    receipt_size, receipt_root, receipt_note, suspicion, era FROM peer";

fn opening(connection: &Connection) -> StoreResult<Opening> {
    let last = first(connection, "SELECT place, at FROM entry ORDER BY place DESC LIMIT 1", [], |columns| Ok((columns.number::<u64>()?, columns.time()?)))?;
    let serials = all(connection, "SELECT year, last FROM serial", [], |columns| Ok((columns.number()?, columns.number()?)))?;
    Ok(Opening {
        peers: all(connection, &format!("{PEER} ORDER BY org"), [], peer)?,
        ledger_size: last.map_or(0, |(place, _)| place + 1),
        last_entry: last.map(|(_, at)| at),
        serials: serials.into_iter().collect(),
        house_rules: first(connection, "SELECT rules FROM house_rules", [], |columns| columns.string())?.unwrap_or_default(),
        recovery: first(connection, "SELECT era, size, root, approvals, declared FROM recovery", [], recovery)?,
        objects: first(connection, "SELECT 1 FROM piece WHERE object IS NOT NULL", [], |_| Ok(()))?.is_some(),
    })
}

fn record(columns: &mut Columns<'_>) -> StoreResult<RecordRow> {
    let _seq = columns.integer()?;
    record_after_seq(columns)
}

fn record_after_seq(columns: &mut Columns<'_>) -> StoreResult<RecordRow> {
    let _handle = columns.integer()?;
    let id = RecordId(columns.digest()?);
    let header = columns.vec()?;
    if Digest::of(&header) != id.0 {
        return Err(corrupt("record", format!("the header kept as {id} does not hash to it")));
    }
    Ok(RecordRow {
        id,
        header,
        signatures: signatures(columns)?,
        kind: columns.code()?,
        originator: columns.parsed()?,
        number: columns.parsed()?,
        version: columns.number()?,
        agreement: columns.parsed()?,
        created: columns.time()?,
        retain_until: columns.time()?,
        stage: columns.code()?,
        condition: columns.code()?,
        drafted_by: columns.string()?,
        submitted_by: columns.optional(Columns::string)?,
        approved_by: columns.optional(Columns::string)?,
        sent_back: columns.flag()?,
        from: columns.optional(Columns::parsed)?,
        arrived: columns.time()?,
        flagged: columns.flag()?,
        grant: columns.optional(Columns::digest)?.map(RecordId),
    })
}

fn signatures(columns: &mut Columns<'_>) -> StoreResult<Option<Signatures>> {
    let inclusion = |bytes: Vec<u8>| Inclusion::parse(&bytes).ok_or_else(|| corrupt("record", "its place in a batch does not read"));
    match (columns.optional(Columns::array)?, columns.optional(Columns::array)?, columns.optional(Columns::vec)?) {
        (Some(ed25519), Some(ml_dsa_65), place) => {
            Ok(Some(Signatures { ed25519, ml_dsa_65: Arc::new(ml_dsa_65), inclusion: place.map(inclusion).transpose()? }))
        }
        (None, None, None) => Ok(None),
        _ => Err(corrupt("record", "one of two signatures is missing")),
    }
}

fn outgoing(columns: &mut Columns<'_>) -> StoreResult<Outgoing> {
    OutgoingColumns {
        what: columns.integer()?,
        subject: columns.digest()?,
        attachment: columns.optional(Columns::integer)?,
        next: columns.optional(Columns::integer)?,
        item: columns.optional(Columns::integer)?,
    }
    .read()
}

fn peer(columns: &mut Columns<'_>) -> StoreResult<PeerRow> {
    Ok(PeerRow {
        org: columns.parsed()?,
        sent: columns.number()?,
        sent_digest: columns.digest()?,
        acknowledged: columns.number()?,
        shown_size: columns.number()?,
        receipted_size: columns.number()?,
        received: columns.number()?,
        received_digest: columns.digest()?,
        checkpoint: seen_checkpoint(columns)?,
        receipt_checkpoint: seen_checkpoint(columns)?,
        suspicion: columns.optional(Columns::code)?,
        era: columns.optional(Columns::time)?,
    })
}

fn recovery(columns: &mut Columns<'_>) -> StoreResult<RecoveryRow> {
    Ok(RecoveryRow {
        era: columns.time()?,
        size: columns.number()?,
        root: columns.array()?,
        approvals: stored::read_approvals(columns.text()?)?,
        declared: columns.optional(Columns::digest)?,
    })
}

fn seen_checkpoint(columns: &mut Columns<'_>) -> StoreResult<Option<SeenCheckpoint>> {
    match (columns.optional(Columns::number)?, columns.optional(Columns::array)?, columns.optional(Columns::string)?) {
        (Some(size), Some(root), Some(note)) => Ok(Some(SeenCheckpoint { size, root, note })),
        (None, None, None) => Ok(None),
        _ => Err(corrupt("peer", "part of its checkpoint is missing")),
    }
}

fn statement(columns: &mut Columns<'_>) -> StoreResult<StatementRow> {
    Ok(StatementRow {
        kind: columns.code()?,
        key: columns.digest()?,
        org: columns.parsed()?,
        about: columns.optional(Columns::digest)?,
        bytes: columns.vec()?,
        at: columns.time()?,
    })
}

fn entry(columns: &mut Columns<'_>) -> StoreResult<EntryRow> {
    Ok(EntryRow {
        index: columns.number()?,
        leaf: columns.array()?,
        salt: columns.optional(Columns::array)?,
        json: columns.optional(Columns::vec)?,
        what: columns.string()?,
        record: columns.optional(Columns::digest)?.map(RecordId),
        at: columns.time()?,
    })
}

fn member(columns: &mut Columns<'_>) -> StoreResult<MemberRow> {
    Ok(MemberRow {
        id: columns.string()?,
        name: columns.string()?,
        roles: stored::read_roles(columns.text()?)?,
        active: columns.flag()?,
        password: columns.string()?,
    })
}

fn credential(columns: &mut Columns<'_>) -> StoreResult<CredentialRow> {
    Ok(CredentialRow {
        hash: columns.digest()?,
        member: columns.string()?,
        label: columns.string()?,
        token: columns.flag()?,
        created: columns.time()?,
        expires: columns.time()?,
    })
}
