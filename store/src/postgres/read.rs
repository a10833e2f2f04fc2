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
use node::ports::{Counts, MAX_PAGE, Next, Opening, Reader, RecordQuery, StoreError, StoreResult};
use node::rows::{
    ContentRow, CredentialRow, EntryRow, HoldingRow, MemberRow, ObjectName, Outgoing, OutgoingRow, ParcelRow, PeerRow, PieceRow, RecordRow, RecoveryRow,
    SeenCheckpoint, Signatures, Stage, StatementKind, StatementRow,
};

use super::Postgres;
use super::row::{Columns, Value};
use super::wire::{Question, Wire};
use crate::stored::{self, Code, OutgoingColumns, corrupt, integer};

impl<Access: Send> Reader for Postgres<Access> {
    fn opening(&self) -> StoreResult<Opening> {
        let wire = self.wire()?;
        wire.in_one_state(|| opening(wire))
    }

    fn directory(&self, after: u64, limit: usize) -> StoreResult<Vec<(u64, StatementRow)>> {
        directory_after(self.wire()?, integer(after)?, limit)
    }

    fn look_ahead(&self, next: &Next<'_>) -> StoreResult<()> {
        if self.wire.is_held() { self.ahead.fetch(self.wire()?, next) } else { Ok(()) }
    }

    fn record(&self, id: &RecordId) -> StoreResult<Option<RecordRow>> {
        if let Some(known) = self.ahead.record(id) {
            return Ok(known);
        }
        self.wire()?.first("SELECT * FROM whole_record WHERE id = $1", &[id.into()], record)
    }

    fn record_by_number(&self, number: &RecordNumber, version: Option<u32>) -> StoreResult<Option<RecordRow>> {
        if let Some(known) = self.ahead.versions(number) {
            let newest = known.iter().map(|row| row.version).max();
            return Ok(known.into_iter().find(|row| Some(row.version) == version.or(newest)));
        }
        let by_number = number.as_str().into();
        match version {
            Some(version) => {
                self.wire()?.first("SELECT * FROM whole_record WHERE number = $1 AND version = $2 ORDER BY seq LIMIT 1", &[by_number, version.into()], record)
            }
            None => self.wire()?.first("SELECT * FROM whole_record WHERE number = $1 ORDER BY version DESC, seq LIMIT 1", &[by_number], record),
        }
    }

    fn records(&self, query: &RecordQuery) -> StoreResult<Vec<(u64, RecordRow)>> {
        let values = [
            query.before.map_or(Ok(i64::MAX), integer)?.into(),
            capped(query.limit.min(MAX_PAGE)),
            query.stage.map(Code::code).into(),
            query.kind.map(Code::code).into(),
            query.originator.as_ref().map(OrgId::as_str).into(),
            query.flagged.into(),
        ];
        self.wire()?.all(Path::of(query).sql(), &values, |columns| {
            let place = columns.number()?;
            Ok((place, record_after_seq(columns)?))
        })
    }

    fn versions(&self, number: &RecordNumber) -> StoreResult<Vec<RecordRow>> {
        if let Some(known) = self.ahead.versions(number) {
            return Ok(known);
        }
        self.wire()?.all("SELECT * FROM whole_record WHERE number = $1 ORDER BY version, seq", &[number.as_str().into()], record)
    }

    fn linking_to(&self, id: &RecordId) -> StoreResult<Vec<RecordRow>> {
        self.wire()?.all(
            "SELECT * FROM whole_record WHERE seq IN (SELECT seq FROM record WHERE targets @> ARRAY[$1::bytea]) ORDER BY seq",
            &[id.into()],
            record,
        )
    }

    fn tombstone(&self, id: &RecordId) -> StoreResult<Option<OrgId>> {
        if let Some(known) = self.ahead.tombstone(id) {
            return Ok(known);
        }
        self.wire()?.first("SELECT org FROM tombstone WHERE id = $1", &[id.into()], |columns| columns.parsed())
    }

    fn content(&self, id: &RecordId) -> StoreResult<Option<ContentRow>> {
        if let Some(known) = self.ahead.content(id) {
            return Ok(known);
        }
        let sql = "SELECT wrapped, ciphertext FROM record JOIN content_key ON content_key.record = seq JOIN header ON header.record = seq WHERE id = $1";
        self.wire()?.first(sql, &[id.into()], |columns| Ok(ContentRow { wrapped_key: columns.vec()?, ciphertext: columns.vec()? }))
    }

    fn piece(&self, record: &(RecordNumber, u32), attachment: u32, index: u64) -> StoreResult<Option<PieceRow>> {
        let sql = "SELECT leaf, object, ciphertext FROM piece
                   WHERE record = (SELECT seq FROM record WHERE number = $1 AND version = $2 ORDER BY seq LIMIT 1) AND attachment = $3 AND place = $4";
        self.wire()?.first(sql, &[record.0.as_str().into(), record.1.into(), attachment.into(), integer(index)?.into()], |columns| {
            let (leaf, object) = (columns.array()?, columns.optional(Columns::array)?.map(ObjectName));
            Ok(PieceRow { record: record.clone(), attachment, index, leaf, object, ciphertext: columns.vec()? })
        })
    }

    fn piece_leaves(&self, record: &(RecordNumber, u32), attachment: u32) -> StoreResult<BTreeMap<u64, Hash>> {
        let sql = "SELECT place, leaf FROM piece
                   WHERE record = (SELECT seq FROM record WHERE number = $1 AND version = $2 ORDER BY seq LIMIT 1) AND attachment = $3";
        let values = [record.0.as_str().into(), record.1.into(), attachment.into()];
        Ok(self.wire()?.all(sql, &values, |columns| Ok((columns.number()?, columns.array()?)))?.into_iter().collect())
    }

    fn objects_in_use(&self, names: &[ObjectName]) -> StoreResult<BTreeSet<ObjectName>> {
        let asked = Value::Blobs(names.iter().map(|name| Some(name.0.as_slice().into())).collect());
        let in_use = self.wire()?.all("SELECT object FROM piece WHERE object = ANY ($1)", &[asked], |columns| columns.array().map(ObjectName))?;
        Ok(in_use.into_iter().collect())
    }

    fn holdings(&self, id: &RecordId) -> StoreResult<Vec<HoldingRow>> {
        if let Some(known) = self.ahead.holdings(id) {
            return Ok(known);
        }
        let sql = "SELECT holder, via, state, sequence, evidence, reasons, since FROM holding
                   WHERE record = (SELECT seq FROM record WHERE id = $1) ORDER BY holder, via";
        self.wire()?.all(sql, &[id.into()], |columns| holding(*id, columns))
    }

    fn outgoing(&self, peer: &OrgId, limit: usize) -> StoreResult<Vec<OutgoingRow>> {
        let sql = "SELECT position, what, subject, attachment, next, item FROM outgoing WHERE peer = $1 ORDER BY position LIMIT $2";
        self.wire()?.all(sql, &[peer.into(), capped(limit)], |columns| Ok(OutgoingRow { position: columns.number()?, what: outgoing(columns)? }))
    }

    fn outgoing_count(&self, peer: &OrgId) -> StoreResult<u64> {
        count(self.wire()?, "SELECT count(*) FROM outgoing WHERE peer = $1", &[peer.into()])
    }

    fn peer(&self, peer: &OrgId) -> StoreResult<Option<PeerRow>> {
        Ok(peers(self.wire()?, &BTreeSet::from([peer.clone()]))?.pop())
    }

    fn parcel(&self, peer: &OrgId, sequence: u64) -> StoreResult<Option<ParcelRow>> {
        let sql = "SELECT header, digest, items FROM parcel WHERE peer = $1 AND sequence = $2";
        self.wire()?.first(sql, &[peer.into(), integer(sequence)?.into()], |columns| {
            Ok(ParcelRow { peer: peer.clone(), sequence, header: columns.vec()?, digest: columns.digest()?, items: stored::read_items(columns.text()?)? })
        })
    }

    fn statement(&self, kind: StatementKind, key: &Digest) -> StoreResult<Option<StatementRow>> {
        let sql = "SELECT kind, key, org, about, bytes, at FROM statement WHERE key = $1 AND kind = $2";
        self.wire()?.first(sql, &[key.into(), kind.code().into()], statement)
    }

    fn statements_about(&self, kind: StatementKind, about: &Digest) -> StoreResult<Vec<StatementRow>> {
        let sql = "SELECT kind, key, org, about, bytes, at FROM statement WHERE about = $1 AND kind = $2 ORDER BY seq";
        self.wire()?.all(sql, &[about.into(), kind.code().into()], statement)
    }

    fn due(&self, now: Timestamp, limit: usize) -> StoreResult<Vec<RecordId>> {
        let sql = "SELECT id FROM record WHERE content AND retain_until <= $1 ORDER BY retain_until, seq LIMIT $2";
        self.wire()?.all(sql, &[now.as_ms().into(), capped(limit)], |columns| columns.digest().map(RecordId))
    }

    fn entries(&self, from: u64, limit: usize) -> StoreResult<Vec<EntryRow>> {
        let sql = "SELECT place, leaf, salt, json, what, record, at FROM entry WHERE place >= $1 ORDER BY place LIMIT $2";
        self.wire()?.all(sql, &[integer(from)?.into(), capped(limit)], entry)
    }

    fn entries_about(&self, id: &RecordId) -> StoreResult<Vec<EntryRow>> {
        let sql = "(SELECT place, leaf, salt, json, what, record, at FROM entry WHERE about = (SELECT seq FROM record WHERE id = $1) ORDER BY place LIMIT $2)
                   UNION ALL
                   (SELECT place, leaf, salt, json, what, record, at FROM entry WHERE about IS NULL AND record = $1 ORDER BY place LIMIT $2)
                   ORDER BY place LIMIT $2";
        self.wire()?.all(sql, &[id.into(), capped(MAX_PAGE)], entry)
    }

    fn subtree(&self, level: u8, index: u64) -> StoreResult<Hash> {
        let place = integer(index)?.into();
        let hash = match level {
            0 => self.wire()?.first("SELECT leaf FROM entry WHERE place = $1", &[place], |columns| columns.array())?,
            _ if !level.is_multiple_of(4) => return Err(StoreError::Failed(format!("subtrees of level {level} are not kept"))),
            _ => {
                self.wire()?.first("SELECT hash FROM subtree WHERE level = $1 AND place = $2", &[u32::from(level).into(), place], |columns| columns.array())?
            }
        };
        hash.ok_or_else(|| corrupt("ledger", format!("its subtree {index} of level {level} is not there")))
    }

    fn member(&self, id: &str) -> StoreResult<Option<MemberRow>> {
        // Whoever logs in may type anything; PostgreSQL has no text with this in it.
        if id.contains('\0') {
            return Ok(None);
        }
        self.wire()?.first("SELECT id, name, roles, active, password FROM member WHERE id = $1", &[id.into()], member)
    }

    fn members(&self) -> StoreResult<Vec<MemberRow>> {
        self.wire()?.all("SELECT id, name, roles, active, password FROM member ORDER BY id", &[], member)
    }

    fn credential(&self, hash: &Digest) -> StoreResult<Option<CredentialRow>> {
        let sql = "SELECT hash, member, label, token, created, expires FROM credential WHERE hash = $1";
        self.wire()?.first(sql, &[hash.into()], credential)
    }

    fn whose(&self, hash: &Digest) -> StoreResult<Option<(CredentialRow, MemberRow)>> {
        let sql =
            "SELECT hash, member, label, token, created, expires, id, name, roles, active, password FROM credential JOIN member ON id = member WHERE hash = $1";
        self.wire()?.first(sql, &[hash.into()], |columns| Ok((credential(columns)?, member(columns)?)))
    }

    fn credentials(&self, member: &str) -> StoreResult<Vec<CredentialRow>> {
        let sql = "SELECT hash, member, label, token, created, expires FROM credential WHERE member = $1 ORDER BY created DESC, seq DESC";
        self.wire()?.all(sql, &[member.into()], credential)
    }

    fn counts(&self) -> StoreResult<Counts> {
        Ok(Counts {
            records: count(self.wire()?, "SELECT count(*) FROM record", &[])?,
            entries: count(self.wire()?, "SELECT coalesce(max(place) + 1, 0) FROM entry", &[])?,
            outgoing: count(self.wire()?, "SELECT count(*) FROM outgoing", &[])?,
            parcels: count(self.wire()?, "SELECT count(*) FROM parcel", &[])?,
        })
    }
}

/// By which order a list of records is found. The other filters are then tried row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    Flagged,
    Originator,
    Kind,
    Desk,
    Newest,
}

impl Path {
    /// The path that passes over most: few records are flagged, and one organisation's are fewer than those of a kind.
    fn of(query: &RecordQuery) -> Self {
        let own_desk = query.stage.is_some_and(|stage| stage < Stage::Released);
        match query {
            RecordQuery { flagged: true, .. } => Self::Flagged,
            _ if own_desk => Self::Desk,
            RecordQuery { originator: Some(_), .. } => Self::Originator,
            RecordQuery { kind: Some(kind), .. } if *kind != Kind::Report => Self::Kind,
            _ => Self::Newest,
        }
    }

    /// The query: the first condition is the index's own, the rest are the other filters.
    const fn sql(self) -> &'static str {
        match self {
            Self::Flagged => {
                "SELECT * FROM whole_record
                 WHERE flagged AND $6 AND seq < $1 AND ($3::bigint IS NULL OR stage = $3) AND ($4::bigint IS NULL OR kind = $4)
                     AND ($5::text IS NULL OR originator = $5)
                 ORDER BY seq DESC LIMIT $2"
            }
            Self::Desk => {
                "SELECT * FROM whole_record
                 WHERE stage = $3 AND stage < 4 AND NOT $6 AND seq < $1 AND ($4::bigint IS NULL OR kind = $4) AND ($5::text IS NULL OR originator = $5)
                 ORDER BY seq DESC LIMIT $2"
            }
            Self::Originator => {
                "SELECT * FROM whole_record
                 WHERE originator = $5 AND NOT $6 AND seq < $1 AND ($3::bigint IS NULL OR stage = $3) AND ($4::bigint IS NULL OR kind = $4)
                 ORDER BY seq DESC LIMIT $2"
            }
            Self::Kind => {
                "SELECT * FROM whole_record
                 WHERE kind = $4 AND kind <> 1 AND NOT $6 AND seq < $1 AND ($3::bigint IS NULL OR stage = $3) AND ($5::text IS NULL OR originator = $5)
                 ORDER BY seq DESC LIMIT $2"
            }
            Self::Newest => {
                "SELECT * FROM whole_record
                 WHERE NOT $6 AND seq < $1 AND ($3::bigint IS NULL OR stage = $3) AND ($4::bigint IS NULL OR kind = $4)
                     AND ($5::text IS NULL OR originator = $5)
                 ORDER BY seq DESC LIMIT $2"
            }
        }
    }
}

fn capped(limit: usize) -> Value<'static> {
    i64::try_from(limit).unwrap_or(i64::MAX).into()
}

fn count(wire: &Wire, sql: &'static str, values: &[Value<'_>]) -> StoreResult<u64> {
    wire.first(sql, values, |columns| columns.number()).map(Option::unwrap_or_default)
}

fn opening(wire: &Wire) -> StoreResult<Opening> {
    let last = wire.first("SELECT place, at FROM entry ORDER BY place DESC LIMIT 1", &[], |columns| Ok((columns.number::<u64>()?, columns.time()?)))?;
    let sql = "SELECT org, sent, sent_digest, acknowledged, shown_size, receipted_size, received, received_digest, parcel_size, parcel_root, parcel_note,
                   receipt_size, receipt_root, receipt_note, suspicion, era
               FROM peer ORDER BY org";
    Ok(Opening {
        peers: wire.all(sql, &[], peer)?,
        ledger_size: last.map_or(0, |(place, _)| place + 1),
        last_entry: last.map(|(_, at)| at),
        serials: serials(wire)?,
        house_rules: house_rules(wire)?,
        recovery: recovery(wire)?,
        objects: wire.first("SELECT 1 FROM piece WHERE object IS NOT NULL LIMIT 1", &[], |_| Ok(()))?.is_some(),
    })
}

/// Cards, agreement signatures and withdrawals after a place in the list of statements.
pub(super) fn directory_after(wire: &Wire, after: i64, limit: usize) -> StoreResult<Vec<(u64, StatementRow)>> {
    let sql = "SELECT seq, kind, key, org, about, bytes, at FROM statement WHERE kind <= 3 AND seq > $1 ORDER BY seq LIMIT $2";
    wire.all(sql, &[after.into(), capped(limit)], |columns| Ok((columns.number()?, statement(columns)?)))
}

/// Asks for records by their ids; read with [`record`].
pub(super) fn records_of<'a>(ids: impl Iterator<Item = &'a RecordId>) -> Question<'a> {
    Question { sql: "SELECT * FROM whole_record WHERE id = ANY ($1)", values: vec![ids_of(ids)] }
}

/// Asks for the contents of records; read with [`content`].
pub(super) fn contents_of<'a>(ids: impl Iterator<Item = &'a RecordId>) -> Question<'a> {
    let sql = "SELECT id, wrapped, ciphertext FROM record JOIN content_key ON content_key.record = seq JOIN header ON header.record = seq WHERE id = ANY ($1)";
    Question { sql, values: vec![ids_of(ids)] }
}

pub(super) fn content(columns: &mut Columns<'_>) -> StoreResult<(RecordId, ContentRow)> {
    Ok((RecordId(columns.digest()?), ContentRow { wrapped_key: columns.vec()?, ciphertext: columns.vec()? }))
}

/// Asks for the copies of records, ordered by holder; read with [`copy`].
pub(super) fn holdings_of<'a>(ids: impl Iterator<Item = &'a RecordId>) -> Question<'a> {
    let sql = "SELECT id, holder, via, state, sequence, evidence, reasons, since FROM record JOIN holding ON holding.record = seq WHERE id = ANY ($1)
               ORDER BY holder, via";
    Question { sql, values: vec![ids_of(ids)] }
}

pub(super) fn copy(columns: &mut Columns<'_>) -> StoreResult<HoldingRow> {
    let id = RecordId(columns.digest()?);
    holding(id, columns)
}

/// Asks who recalled which records before they came; read with [`tombstone`].
pub(super) fn tombstones_of<'a>(ids: impl Iterator<Item = &'a RecordId>) -> Question<'a> {
    Question { sql: "SELECT id, org FROM tombstone WHERE id = ANY ($1)", values: vec![ids_of(ids)] }
}

pub(super) fn tombstone(columns: &mut Columns<'_>) -> StoreResult<(RecordId, OrgId)> {
    Ok((RecordId(columns.digest()?), columns.parsed()?))
}

/// Asks for every version of some numbers, oldest first; read with [`record`].
pub(super) fn versions_of<'a>(numbers: impl Iterator<Item = &'a RecordNumber>) -> Question<'a> {
    let numbers = Value::Texts(numbers.map(|number| Some(number.as_str().into())).collect());
    Question { sql: "SELECT * FROM whole_record WHERE number = ANY ($1) ORDER BY version, seq", values: vec![numbers] }
}

fn ids_of<'a>(ids: impl Iterator<Item = &'a RecordId>) -> Value<'a> {
    Value::Blobs(ids.map(|id| Some(id.0.as_bytes().as_slice().into())).collect())
}

/// Statements of any kind after a place in the list of all, each with its place.
pub(super) fn statements_after(wire: &Wire, after: i64, limit: usize) -> StoreResult<Vec<(i64, StatementRow)>> {
    let sql = "SELECT seq, kind, key, org, about, bytes, at FROM statement WHERE seq > $1 ORDER BY seq LIMIT $2";
    wire.all(sql, &[after.into(), capped(limit)], |columns| Ok((columns.integer()?, statement(columns)?)))
}

/// The state of exchange with some peers.
pub(super) fn peers(wire: &Wire, orgs: &BTreeSet<OrgId>) -> StoreResult<Vec<PeerRow>> {
    let sql = "SELECT org, sent, sent_digest, acknowledged, shown_size, receipted_size, received, received_digest, parcel_size, parcel_root, parcel_note,
                   receipt_size, receipt_root, receipt_note, suspicion, era
               FROM peer WHERE org = ANY ($1)";
    wire.all(sql, &[Value::Texts(orgs.iter().map(|org| Some(org.as_str().into())).collect())], peer)
}

pub(super) fn serials(wire: &Wire) -> StoreResult<BTreeMap<i16, u64>> {
    let serials = wire.all("SELECT year, last FROM serial", &[], |columns| Ok((columns.number()?, columns.number()?)))?;
    Ok(serials.into_iter().collect())
}

pub(super) fn recovery(wire: &Wire) -> StoreResult<Option<RecoveryRow>> {
    wire.first("SELECT era, size, root, approvals, declared FROM recovery", &[], |columns| {
        Ok(RecoveryRow {
            era: columns.time()?,
            size: columns.number()?,
            root: columns.array()?,
            approvals: stored::read_approvals(&columns.string()?)?,
            declared: columns.optional(Columns::digest)?,
        })
    })
}

pub(super) fn house_rules(wire: &Wire) -> StoreResult<String> {
    wire.first("SELECT rules FROM house_rules", &[], |columns| columns.string()).map(Option::unwrap_or_default)
}

pub(super) fn record(columns: &mut Columns<'_>) -> StoreResult<RecordRow> {
    let _seq = columns.integer()?;
    record_after_seq(columns)
}

fn record_after_seq(columns: &mut Columns<'_>) -> StoreResult<RecordRow> {
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

fn holding(record: RecordId, columns: &mut Columns<'_>) -> StoreResult<HoldingRow> {
    Ok(HoldingRow {
        record,
        holder: columns.parsed()?,
        via: columns.parsed()?,
        state: columns.code()?,
        sequence: columns.optional(Columns::number)?,
        evidence: columns.optional(Columns::digest)?,
        reasons: stored::read_reasons(columns.text()?)?,
        since: columns.time()?,
    })
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
