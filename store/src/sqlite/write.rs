//! Writing: each change of the port as the statements that carry it out.
//!
//! It runs inside a savepoint that its caller opened, and decides neither when to commit nor what to do after a failure.
//! A change that names a row which must be there fails if it is not. Rows to which no other refers are replaced whole.
//! The invariant: a batch's entries go in at the end of the ledger without a gap, and destroyed content is gone from
//! every table.

use std::collections::BTreeSet;

use format::batch::Inclusion;
use format::merkle::Hash;
use format::{Digest, OrgId, RecordId, RecordNumber, Timestamp};
use node::ports::{StoreError, StoreResult};
use node::rows::{
    Batch, Change, ContentRow, CredentialRow, EntryRow, HoldingRow, MemberRow, Outgoing, ParcelRow, PeerRow, PieceRow, RecordRow, RecoveryRow, Signatures,
    Stage, StatementRow,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::open::PAGE;
use super::read::{seq_of_id, seq_of_number};
use super::row::{Columns, change, fault, first, prepare};
use crate::stored::{self, Code, OutgoingColumns, handle, integer};

/// What came of a batch.
pub(super) struct Written {
    /// Number of ledger entries after it.
    pub(super) size: u64,
    /// Whether content was destroyed.
    pub(super) destroyed: bool,
}

/// Writes a batch that was decided on the size that the ledger has.
pub(super) fn batch(connection: &Connection, batch: &Batch) -> StoreResult<Written> {
    let mut writing = Writing { connection, last: None, destroyed: false };
    batch.changes.iter().try_for_each(|change| writing.change(change))?;
    let mut size = batch.expected;
    for entry in &batch.entries {
        if entry.index != size {
            return Err(StoreError::Failed(format!("the entry with index {} was to be number {size}", entry.index)));
        }
        writing.entry(entry)?;
        size += 1;
    }
    // Level 0 is in the entries, and what lies between the kept levels is computed from them.
    batch.subtrees.iter().filter(|(level, ..)| *level > 0 && level.is_multiple_of(4)).try_for_each(|subtree| writing.subtree(subtree))?;
    Ok(Written { size, destroyed: writing.destroyed })
}

/// A batch while it is being written.
struct Writing<'c> {
    connection: &'c Connection,
    /// The record that was named last, and its row: most changes of a batch are about one record.
    last: Option<(RecordId, i64)>,
    destroyed: bool,
}

impl Writing<'_> {
    fn change(&mut self, change: &Change) -> StoreResult<()> {
        match change {
            Change::NewRecord(row, content) => self.new_record(row, content.as_ref()),
            Change::Record(row) => self.record(row),
            Change::Signatures(id, signatures) => self.signatures(id, signatures),
            Change::Content(id, content) => self.content(id, content),
            Change::DiscardDraft(number, version) => self.discard_draft(number, *version),
            Change::DestroyContent(id) => self.destroy_content(id),
            Change::Piece(row) => self.piece(row),
            Change::Tombstone(id, by) => self.tombstone(id, by),
            Change::Holding(row) => self.holding(row),
            Change::Queue(peer, what) => self.queue(peer, what),
            Change::Requeue(peer, position, what) => self.requeue(peer, *position, what.as_ref()),
            Change::Parcel(row) => self.parcel(row),
            Change::ParcelsDone(peer, sequence) => {
                self.run("DELETE FROM parcel WHERE peer = ?1 AND sequence <= ?2", params![peer.as_str(), integer(*sequence)?])
            }
            Change::Peer(row) => self.peer(row),
            Change::Statement(row) => self.statement(row),
            Change::Member(row) => self.member(row),
            Change::Credential(row) => self.credential(row),
            Change::RevokeCredential(hash) => self.run("DELETE FROM credential WHERE hash = ?1", [hash.as_bytes()]),
            Change::RevokeCredentials(member) => self.run("DELETE FROM credential WHERE member = ?1", [member]),
            Change::Serial(year, last) => self.run("REPLACE INTO serial (year, last) VALUES (?1, ?2)", params![year, integer(*last)?]),
            Change::Recovery(row) => self.recovery(row),
            Change::HouseRules(rules) => self.run("REPLACE INTO house_rules (one, rules) VALUES (1, ?1)", [rules]),
        }
    }

    fn run(&self, sql: &str, values: impl rusqlite::Params) -> StoreResult<()> {
        change(self.connection, sql, values).map(|_| ())
    }

    /// Runs a statement and gives the row that it inserted.
    fn insert(&self, sql: &str, values: impl rusqlite::Params) -> StoreResult<i64> {
        prepare(self.connection, sql)?.insert(values).map_err(fault)
    }

    /// Runs a statement that must change exactly one row.
    fn one(&self, sql: &str, values: impl rusqlite::Params, what: &str) -> StoreResult<()> {
        match change(self.connection, sql, values)? {
            1 => Ok(()),
            _ => Err(absent(what)),
        }
    }

    fn seq(&mut self, id: &RecordId) -> StoreResult<Option<i64>> {
        if let Some((last, seq)) = self.last
            && last == *id
        {
            return Ok(Some(seq));
        }
        let found = seq_of_id(self.connection, id)?;
        self.last = found.map(|seq| (*id, seq)).or(self.last);
        Ok(found)
    }

    fn seq_held(&mut self, id: &RecordId) -> StoreResult<i64> {
        self.seq(id)?.ok_or_else(|| absent(&format!("record {id}")))
    }

    /// The index of handles lets two records have one, so that no two have one id is seen to here.
    fn check_new(&self, id: &RecordId) -> StoreResult<()> {
        match seq_of_id(self.connection, id)? {
            Some(_) => Err(StoreError::Failed(format!("record {id} is already there"))),
            None => Ok(()),
        }
    }

    fn new_record(&mut self, row: &RecordRow, content: Option<&ContentRow>) -> StoreResult<()> {
        self.check_new(&row.id)?;
        let key = content.map(|content| self.new_key(content)).transpose()?;
        let seq = self.insert(
            "INSERT INTO record (id, handle, kind, originator, number, version, agreement, created, retain_until, stage, condition, drafted_by,
                 submitted_by, approved_by, sent_back, came_from, arrived, flagged, consent, content)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)",
            params![
                row.id.0.as_bytes(),
                handle(&row.id),
                row.kind.code(),
                row.originator.as_str(),
                row.number.as_str(),
                row.version,
                row.agreement.as_str(),
                row.created.as_ms(),
                row.retain_until.as_ms(),
                row.stage.code(),
                row.condition.code(),
                row.drafted_by,
                row.submitted_by,
                row.approved_by,
                row.sent_back,
                row.from.as_ref().map(OrgId::as_str),
                row.arrived.as_ms(),
                row.flagged,
                row.grant.as_ref().map(|id| id.0.as_bytes()),
                key,
            ],
        )?;
        let signed = row.signatures.as_ref().map(SignatureColumns::of).unwrap_or_default();
        self.run(
            "INSERT INTO header (record, bytes, ed25519, ml_dsa_65, inclusion, shelter, ciphertext) VALUES (?1, ?2, ?3, ?4, ?5, zeroblob(?6), ?7)",
            params![
                seq,
                row.header,
                signed.ed25519,
                signed.ml_dsa_65,
                signed.inclusion,
                shelter(row.header.len() + signed.length())?,
                content.map(|content| &content.ciphertext)
            ],
        )?;
        self.last = Some((row.id, seq));
        self.link(seq, &stored::targets(&row.header))
    }

    fn link(&self, seq: i64, targets: &BTreeSet<RecordId>) -> StoreResult<()> {
        targets.iter().try_for_each(|target| self.run("INSERT INTO link (target, record) VALUES (?1, ?2)", params![target.0.as_bytes(), seq]))
    }

    /// Replaces a record's row. What is repeated from the header is written only with a new header, under a new id.
    fn record(&mut self, row: &RecordRow) -> StoreResult<()> {
        let found = first(
            self.connection,
            "SELECT seq, id FROM record WHERE number = ?1 AND version = ?2 AND originator = ?3",
            params![row.number.as_str(), row.version, row.originator.as_str()],
            |columns| Ok((columns.integer()?, RecordId(columns.digest()?))),
        )?;
        let Some((seq, id)) = found else { return Err(absent(&format!("record {} version {}", row.number, row.version))) };
        if id != row.id {
            self.new_id(seq, row)?;
        }
        let signed = row.signatures.as_ref().map(SignatureColumns::of).unwrap_or_default();
        self.run(
            "UPDATE header SET bytes = ?2, ed25519 = ?3, ml_dsa_65 = ?4, inclusion = ?5, shelter = zeroblob(?6)
             WHERE record = ?1 AND (bytes IS NOT ?2 OR ed25519 IS NOT ?3 OR ml_dsa_65 IS NOT ?4 OR inclusion IS NOT ?5)",
            params![seq, row.header, signed.ed25519, signed.ml_dsa_65, signed.inclusion, shelter(row.header.len() + signed.length())?],
        )?;
        self.run(
            "UPDATE record SET stage = ?2, condition = ?3, drafted_by = ?4, submitted_by = ?5, approved_by = ?6, sent_back = ?7, came_from = ?8,
                 arrived = ?9, flagged = ?10, consent = ?11
             WHERE seq = ?1",
            params![
                seq,
                row.stage.code(),
                row.condition.code(),
                row.drafted_by,
                row.submitted_by,
                row.approved_by,
                row.sent_back,
                row.from.as_ref().map(OrgId::as_str),
                row.arrived.as_ms(),
                row.flagged,
                row.grant.as_ref().map(|id| id.0.as_bytes()),
            ],
        )?;
        self.last = Some((row.id, seq));
        Ok(())
    }

    fn signatures(&mut self, id: &RecordId, signatures: &Signatures) -> StoreResult<()> {
        let seq = self.seq_held(id)?;
        let signed = SignatureColumns::of(signatures);
        let header = first(self.connection, "SELECT length(bytes) FROM header WHERE record = ?1", [seq], |columns| columns.number::<usize>())?;
        self.one(
            "UPDATE header SET ed25519 = ?2, ml_dsa_65 = ?3, inclusion = ?4, shelter = zeroblob(?5) WHERE record = ?1",
            params![seq, signed.ed25519, signed.ml_dsa_65, signed.inclusion, shelter(header.unwrap_or(0) + signed.length())?],
            &format!("header of record {id}"),
        )
    }

    fn new_id(&self, seq: i64, row: &RecordRow) -> StoreResult<()> {
        self.check_new(&row.id)?;
        self.run(
            "UPDATE record SET id = ?2, handle = ?3, kind = ?4, agreement = ?5, created = ?6, retain_until = ?7 WHERE seq = ?1",
            params![seq, row.id.0.as_bytes(), handle(&row.id), row.kind.code(), row.agreement.as_str(), row.created.as_ms(), row.retain_until.as_ms()],
        )?;
        self.run("DELETE FROM link WHERE record = ?1", [seq])?;
        self.link(seq, &stored::targets(&row.header))
    }

    fn new_key(&self, content: &ContentRow) -> StoreResult<i64> {
        self.insert("INSERT INTO content_key (wrapped) VALUES (?1)", [&content.wrapped_key])
    }

    fn content(&mut self, id: &RecordId, content: &ContentRow) -> StoreResult<()> {
        let seq = self.seq_held(id)?;
        self.drop_content(seq)?;
        let key = self.new_key(content)?;
        self.run("UPDATE record SET content = ?2 WHERE seq = ?1", params![seq, key])?;
        self.run("UPDATE header SET ciphertext = ?2 WHERE record = ?1", params![seq, content.ciphertext])
    }

    /// The row of the key of a record's content, if it has content.
    fn key(&self, seq: i64) -> StoreResult<Option<i64>> {
        let found = first(self.connection, "SELECT content FROM record WHERE seq = ?1", [seq], |columns| columns.optional(Columns::integer))?;
        Ok(found.flatten())
    }

    /// Destroys the content that a record has, but not its pieces.
    fn drop_content(&self, seq: i64) -> StoreResult<()> {
        let Some(key) = self.key(seq)? else { return Ok(()) };
        // As many zeros as there were bytes: SQLite then writes over the row where it lies.
        self.run("UPDATE content_key SET wrapped = zeroblob(length(wrapped)) WHERE seq = ?1", [key])?;
        self.run("UPDATE record SET content = NULL WHERE seq = ?1", [seq])?;
        self.run("UPDATE header SET ciphertext = NULL WHERE record = ?1", [seq])
    }

    fn destroy(&mut self, seq: i64) -> StoreResult<()> {
        self.destroyed = true;
        self.drop_content(seq)?;
        self.run("DELETE FROM piece WHERE record = ?1", [seq])
    }

    fn destroy_content(&mut self, id: &RecordId) -> StoreResult<()> {
        let seq = self.seq_held(id)?;
        self.destroy(seq)
    }

    fn discard_draft(&mut self, number: &RecordNumber, version: u32) -> StoreResult<()> {
        let seq = prepare(self.connection, "SELECT seq FROM record WHERE number = ?1 AND version = ?2 AND stage < ?3")?
            .query_row(params![number.as_str(), version, Stage::Released.code()], |row| row.get(0))
            .optional()
            .map_err(fault)?;
        let Some(seq) = seq else { return Err(absent(&format!("draft {number} version {version}"))) };
        self.destroy(seq)?;
        // Entries about it are found by the id that they name from now on.
        self.run("UPDATE entry SET about = NULL WHERE about = ?1", [seq])?;
        self.run("DELETE FROM holding WHERE record = ?1", [seq])?;
        self.run("DELETE FROM link WHERE record = ?1", [seq])?;
        self.run("DELETE FROM header WHERE record = ?1", [seq])?;
        self.last = None;
        self.run("DELETE FROM record WHERE seq = ?1", [seq])
    }

    fn piece(&self, row: &PieceRow) -> StoreResult<()> {
        let (number, version) = &row.record;
        let what = || absent(&format!("record {number} version {version} with content"));
        let seq = seq_of_number(self.connection, &row.record)?.ok_or_else(what)?;
        // A piece of a record whose content is gone would never be destroyed.
        self.key(seq)?.ok_or_else(what)?;
        self.run(
            "REPLACE INTO piece (record, attachment, place, leaf, shelter, ciphertext, object) VALUES (?1, ?2, ?3, ?4, zeroblob(?5), ?6, ?7)",
            params![seq, row.attachment, integer(row.index)?, row.leaf, shelter(row.leaf.len())?, row.ciphertext, row.object.map(|name| name.0)],
        )
    }

    fn tombstone(&self, id: &RecordId, by: &OrgId) -> StoreResult<()> {
        self.run("INSERT INTO tombstone (id, org) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING", params![id.0.as_bytes(), by.as_str()])
    }

    fn holding(&mut self, row: &HoldingRow) -> StoreResult<()> {
        let seq = self.seq_held(&row.record)?;
        self.run(
            "REPLACE INTO holding (record, holder, via, state, sequence, evidence, reasons, since) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                seq,
                row.holder.as_str(),
                row.via.as_str(),
                row.state.code(),
                row.sequence.map(integer).transpose()?,
                row.evidence.as_ref().map(Digest::as_bytes),
                stored::write_reasons(&row.reasons)?,
                row.since.as_ms(),
            ],
        )
    }

    fn queue(&self, peer: &OrgId, what: &Outgoing) -> StoreResult<()> {
        let columns = OutgoingColumns::write(what)?;
        self.run(
            "INSERT INTO outgoing (peer, position, what, subject, attachment, next, item)
             VALUES (?1, (SELECT coalesce(max(position), 0) + 1 FROM outgoing WHERE peer = ?1), ?2, ?3, ?4, ?5, ?6)",
            params![peer.as_str(), columns.what, columns.subject.as_bytes(), columns.attachment, columns.next, columns.item],
        )
    }

    fn requeue(&self, peer: &OrgId, position: u64, what: Option<&Outgoing>) -> StoreResult<()> {
        let place = integer(position)?;
        let named = format!("row {position} in the queue for {peer}");
        let Some(what) = what else {
            return self.one("DELETE FROM outgoing WHERE position = ?1 AND peer = ?2", params![place, peer.as_str()], &named);
        };
        let columns = OutgoingColumns::write(what)?;
        self.one(
            "UPDATE outgoing SET what = ?3, subject = ?4, attachment = ?5, next = ?6, item = ?7 WHERE position = ?1 AND peer = ?2",
            params![place, peer.as_str(), columns.what, columns.subject.as_bytes(), columns.attachment, columns.next, columns.item],
            &named,
        )
    }

    fn parcel(&self, row: &ParcelRow) -> StoreResult<()> {
        self.run(
            "INSERT INTO parcel (peer, sequence, header, digest, items) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![row.peer.as_str(), integer(row.sequence)?, row.header, row.digest.as_bytes(), stored::write_items(&row.items)?],
        )
    }

    fn peer(&self, row: &PeerRow) -> StoreResult<()> {
        let (parcel, receipt) = (row.checkpoint.as_ref(), row.receipt_checkpoint.as_ref());
        self.run(
            "REPLACE INTO peer (org, sent, sent_digest, acknowledged, shown_size, receipted_size, received, received_digest, parcel_size, parcel_root,
                 parcel_note, receipt_size, receipt_root, receipt_note, suspicion, era)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
            params![
                row.org.as_str(),
                integer(row.sent)?,
                row.sent_digest.as_bytes(),
                integer(row.acknowledged)?,
                integer(row.shown_size)?,
                integer(row.receipted_size)?,
                integer(row.received)?,
                row.received_digest.as_bytes(),
                parcel.map(|seen| integer(seen.size)).transpose()?,
                parcel.map(|seen| seen.root),
                parcel.map(|seen| &seen.note),
                receipt.map(|seen| integer(seen.size)).transpose()?,
                receipt.map(|seen| seen.root),
                receipt.map(|seen| &seen.note),
                row.suspicion.map(Code::code),
                row.era.map(Timestamp::as_ms),
            ],
        )
    }

    fn recovery(&self, row: &RecoveryRow) -> StoreResult<()> {
        self.run(
            "REPLACE INTO recovery (one, era, size, root, approvals, declared) VALUES (1, ?1, ?2, ?3, ?4, ?5)",
            params![row.era.as_ms(), integer(row.size)?, row.root, stored::write_approvals(&row.approvals)?, row.declared.as_ref().map(Digest::as_bytes)],
        )
    }

    fn statement(&self, row: &StatementRow) -> StoreResult<()> {
        self.run(
            "INSERT INTO statement (kind, key, org, about, bytes, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (key, kind) DO NOTHING",
            params![row.kind.code(), row.key.as_bytes(), row.org.as_str(), row.about.as_ref().map(Digest::as_bytes), row.bytes, row.at.as_ms()],
        )
    }

    fn member(&self, row: &MemberRow) -> StoreResult<()> {
        self.run(
            "REPLACE INTO member (id, name, roles, active, password) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![row.id, row.name, stored::write_roles(&row.roles)?, row.active, row.password],
        )
    }

    fn credential(&self, row: &CredentialRow) -> StoreResult<()> {
        self.run(
            "INSERT INTO credential (hash, member, label, token, created, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![row.hash.as_bytes(), row.member, row.label, row.token, row.created.as_ms(), row.expires.as_ms()],
        )
    }

    fn entry(&mut self, row: &EntryRow) -> StoreResult<()> {
        let about = match &row.record {
            Some(id) => self.seq(id)?,
            None => None,
        };
        self.run(
            "INSERT INTO entry (place, leaf, salt, json, what, record, about, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![integer(row.index)?, row.leaf, row.salt, row.json, row.what, row.record.as_ref().map(|id| id.0.as_bytes()), about, row.at.as_ms(),],
        )
    }

    fn subtree(&self, &(level, index, hash): &(u8, u64, Hash)) -> StoreResult<()> {
        self.run("INSERT INTO subtree (level, place, hash) VALUES (?1, ?2, ?3)", params![level, integer(index)?, hash])
    }
}

/// A batch that names what is not there was not decided on this store's state.
fn absent(what: &str) -> StoreError {
    StoreError::Failed(format!("there is no {what}"))
}

/// How many zeros go between `before` bytes of a row and its ciphertext, so that no ciphertext is in the tree.
///
/// Of a row with more bytes than a page has less 35, the tree holds at most that many, from its start (section 1.6 of
/// SQLite's file format).
fn shelter(before: usize) -> StoreResult<i64> {
    let in_tree = usize::try_from(PAGE - 35).unwrap_or(usize::MAX);
    i64::try_from(in_tree.saturating_sub(before)).map_err(|_| StoreError::Failed("a header is too long".to_owned()))
}

/// Signatures as they are written.
#[derive(Default)]
struct SignatureColumns<'r> {
    ed25519: Option<&'r [u8]>,
    ml_dsa_65: Option<&'r [u8]>,
    inclusion: Option<&'r [u8]>,
}

impl<'r> SignatureColumns<'r> {
    fn of(signatures: &'r Signatures) -> Self {
        Self {
            ed25519: Some(&signatures.ed25519),
            ml_dsa_65: Some(signatures.ml_dsa_65.as_slice()),
            inclusion: signatures.inclusion.as_ref().map(Inclusion::as_bytes),
        }
    }

    /// Bytes in all.
    fn length(&self) -> usize {
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        length(self.ed25519) + length(self.ml_dsa_65) + length(self.inclusion)
    }
}
