//! Writing: each change of the port as the statements that carry it out.
//!
//! It makes statements and sends none. Every statement finds by itself the rows that it needs, so a batch goes to the
//! server in one go, and rows of one kind that come together are written by one statement. A change that names a row
//! which must be there fails if it is not. The invariant: a batch's entries go in at the end of the ledger without a
//! gap, and destroyed content is gone from every table.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use format::batch::Inclusion;
use format::{Digest, OrgId, RecordId, RecordNumber, Timestamp};
use node::ports::{StoreError, StoreResult};
use node::rows::{
    Batch, Change, ContentRow, CredentialRow, EntryRow, HoldingRow, MemberRow, Outgoing, ParcelRow, PeerRow, PieceRow, RecordRow, RecoveryRow, Signatures,
    Stage, StatementRow,
};

use super::row::Value;
use super::wire::Step;
use crate::stored::{self, Code, OutgoingColumns, integer};

/// The statements of a batch that was decided on the size that the ledger has. They leave a savepoint, to which to go
/// back if one of them did not do what it must; `saved` says that the batch before has left its own.
pub(super) fn steps(batch: &Batch, saved: bool) -> StoreResult<Vec<Step<'_>>> {
    let mut writing = Writing::default();
    if saved {
        writing.steps.push(Step::new("RELEASE act", []));
    }
    writing.steps.push(Step::new("SAVEPOINT act", []));
    batch.changes.iter().try_for_each(|change| writing.change(change))?;
    writing.settle()?;
    writing.entries(batch)?;
    Ok(writing.steps)
}

/// A batch while its statements are made.
#[derive(Default)]
struct Writing<'a> {
    steps: Vec<Step<'a>>,
    /// New records that came one after the other.
    records: Vec<(&'a RecordRow, Option<&'a ContentRow>)>,
    /// Records that were signed together.
    signed: Vec<(&'a RecordId, &'a Signatures)>,
    /// What follows is in tables that nothing else of a batch looks into, so it may wait for more of its kind.
    holdings: Vec<&'a HoldingRow>,
    queued: Vec<(&'a OrgId, OutgoingColumns)>,
    left: Vec<(&'a OrgId, i64)>,
}

impl<'a> Writing<'a> {
    fn change(&mut self, change: &'a Change) -> StoreResult<()> {
        match change {
            Change::NewRecord(row, content) => {
                self.settle_queues()?;
                self.records.push((row, content.as_ref()));
            }
            Change::Signatures(id, signatures) => {
                self.settle_records()?;
                self.settle_queues()?;
                self.signed.push((id, signatures));
            }
            Change::Holding(row) => {
                self.settle_records()?;
                // One statement writes a row once.
                if self.holdings.iter().any(|known| (known.record, &known.holder, &known.via) == (row.record, &row.holder, &row.via)) {
                    self.settle_queues()?;
                }
                self.holdings.push(row);
            }
            Change::Queue(peer, what) => self.queued.push((peer, OutgoingColumns::write(what)?)),
            Change::Requeue(peer, position, None) => self.left.push((peer, integer(*position)?)),
            other => {
                self.settle()?;
                let step = single(other)?;
                self.steps.push(step);
            }
        }
        Ok(())
    }

    /// Makes the statements of everything that waits.
    fn settle(&mut self) -> StoreResult<()> {
        self.settle_records()?;
        self.settle_queues()
    }

    fn settle_records(&mut self) -> StoreResult<()> {
        let records = std::mem::take(&mut self.records);
        if !records.is_empty() {
            self.steps.push(new_records(&records)?);
        }
        let signed = std::mem::take(&mut self.signed);
        if !signed.is_empty() {
            self.steps.push(sign(&signed));
        }
        Ok(())
    }

    fn settle_queues(&mut self) -> StoreResult<()> {
        let (holdings, queued, left) = (std::mem::take(&mut self.holdings), std::mem::take(&mut self.queued), std::mem::take(&mut self.left));
        if !holdings.is_empty() {
            self.steps.push(set_holdings(&holdings)?);
        }
        if !left.is_empty() {
            let values = [names(left.iter().map(|(peer, _)| *peer)), integers(left.iter().map(|(_, position)| *position))];
            let sql = "DELETE FROM outgoing USING unnest($1::text[], $2::bigint[]) AS gone (peer, position)
                       WHERE outgoing.peer = gone.peer AND outgoing.position = gone.position";
            self.steps.push(Step::new(sql, values).must(left.len(), || {
                let rows: Vec<String> = left.iter().take(3).map(|(peer, position)| format!("{position} in the queue for {peer}")).collect();
                format!("row {}", rows.join(", or "))
            }));
        }
        if !queued.is_empty() {
            self.steps.push(queue(&queued));
        }
        Ok(())
    }

    fn entries(&mut self, batch: &'a Batch) -> StoreResult<()> {
        let misplaced = (batch.expected..).zip(&batch.entries).find(|(place, entry)| entry.index != *place);
        if let Some((place, entry)) = misplaced {
            return Err(StoreError::Failed(format!("the entry with index {} was to be number {place}", entry.index)));
        }
        if !batch.entries.is_empty() {
            self.steps.push(add_entries(&batch.entries)?);
        }
        // Level 0 is in the entries, and what lies between the kept levels is computed from them.
        let kept: Vec<_> = batch.subtrees.iter().filter(|(level, ..)| *level > 0 && level.is_multiple_of(4)).collect();
        if !kept.is_empty() {
            let values = [
                integers(kept.iter().map(|(level, ..)| i64::from(*level))),
                Value::Integers(kept.iter().map(|(_, index, _)| integer(*index).map(Some)).collect::<StoreResult<_>>()?),
                blobs(kept.iter().map(|(.., hash)| Some(hash.as_slice()))),
            ];
            self.steps.push(Step::new("INSERT INTO subtree (level, place, hash) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])", values));
        }
        Ok(())
    }
}

/// The statement of a change that has one of its own.
fn single(change: &Change) -> StoreResult<Step<'_>> {
    Ok(match change {
        Change::Record(row) => record(row),
        Change::Content(id, content) => replace_content(id, content),
        Change::DiscardDraft(number, version) => discard_draft(number, *version),
        Change::DestroyContent(id) => destroy_content(id),
        Change::Piece(row) => piece(row)?,
        Change::Tombstone(id, by) => Step::new("INSERT INTO tombstone (id, org) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING", [id.into(), by.into()]),
        Change::Requeue(peer, position, Some(what)) => requeue(peer, *position, what)?,
        Change::Parcel(row) => parcel(row)?,
        Change::ParcelsDone(peer, sequence) => Step::new("DELETE FROM parcel WHERE peer = $1 AND sequence <= $2", [peer.into(), integer(*sequence)?.into()]),
        Change::Peer(row) => peer(row)?,
        Change::Statement(row) => statement(row),
        Change::Member(row) => member(row)?,
        Change::Credential(row) => credential(row),
        Change::RevokeCredential(hash) => Step::new("DELETE FROM credential WHERE hash = $1", [hash.into()]),
        Change::RevokeCredentials(member) => Step::new("DELETE FROM credential WHERE member = $1", [member.as_str().into()]),
        Change::Serial(year, last) => Step::new(
            "INSERT INTO serial (year, last) VALUES ($1, $2) ON CONFLICT (year) DO UPDATE SET last = excluded.last",
            [i64::from(*year).into(), integer(*last)?.into()],
        ),
        Change::Recovery(row) => recovery(row)?,
        Change::HouseRules(rules) => {
            Step::new("INSERT INTO house_rules (one, rules) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET rules = excluded.rules", [rules.as_str().into()])
        }
        Change::NewRecord(..) | Change::Signatures(..) | Change::Holding(_) | Change::Queue(..) | Change::Requeue(_, _, None) => {
            return Err(StoreError::Failed("a change that comes with others of its kind came alone".to_owned()));
        }
    })
}

fn new_records<'a>(records: &[(&'a RecordRow, Option<&'a ContentRow>)]) -> StoreResult<Step<'a>> {
    let sql = "WITH new AS MATERIALIZED (
                   SELECT nextval('record_seq') AS seq, * FROM unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::bigint[],
                       $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::text[], $14::boolean[], $15::text[], $16::bigint[],
                       $17::boolean[], $18::bytea[], $19::text[], $20::bytea[], $21::bytea[], $22::bytea[], $23::bytea[], $24::bytea[], $25::bytea[])
                   AS t (id, kind, originator, number, version, agreement, created, retain_until, stage, condition, drafted_by, submitted_by, approved_by,
                       sent_back, came_from, arrived, flagged, consent, targets, bytes, ed25519, ml_dsa_65, inclusion, wrapped, ciphertext)),
               records AS (
                   INSERT INTO record (seq, id, kind, originator, number, version, agreement, created, retain_until, stage, condition, drafted_by,
                       submitted_by, approved_by, sent_back, came_from, arrived, flagged, consent, content, targets)
                   SELECT seq, id, kind, originator, number, version, agreement, created, retain_until, stage, condition, drafted_by, submitted_by,
                       approved_by, sent_back, came_from, arrived, flagged, consent, wrapped IS NOT NULL, targets::bytea[] FROM new),
               keys AS (INSERT INTO content_key (record, wrapped) SELECT seq, wrapped FROM new WHERE wrapped IS NOT NULL)
               INSERT INTO header (record, bytes, ed25519, ml_dsa_65, inclusion, ciphertext) SELECT seq, bytes, ed25519, ml_dsa_65, inclusion, ciphertext FROM new";
    let rows = || records.iter().map(|(row, _)| *row);
    let contents = || records.iter().map(|(_, content)| *content);
    let signature = |n: usize| blobs(rows().map(move |row| columns(row.signatures.as_ref()).get(n).copied().flatten()));
    let values = [
        blobs(rows().map(|row| Some(id(&row.id)))),
        integers(rows().map(|row| row.kind.code())),
        names(rows().map(|row| &row.originator)),
        texts(rows().map(|row| Some(row.number.as_str()))),
        integers(rows().map(|row| row.version.into())),
        texts(rows().map(|row| Some(row.agreement.as_str()))),
        integers(rows().map(|row| row.created.as_ms())),
        integers(rows().map(|row| row.retain_until.as_ms())),
        integers(rows().map(|row| row.stage.code())),
        integers(rows().map(|row| row.condition.code())),
        texts(rows().map(|row| Some(row.drafted_by.as_str()))),
        texts(rows().map(|row| row.submitted_by.as_deref())),
        texts(rows().map(|row| row.approved_by.as_deref())),
        Value::Flags(rows().map(|row| row.sent_back).collect()),
        texts(rows().map(|row| row.from.as_ref().map(OrgId::as_str))),
        integers(rows().map(|row| row.arrived.as_ms())),
        Value::Flags(rows().map(|row| row.flagged).collect()),
        blobs(rows().map(|row| row.grant.as_ref().map(id))),
        Value::Texts(rows().map(|row| targets(&row.header).map(Into::into)).collect()),
        blobs(rows().map(|row| Some(row.header.as_slice()))),
        signature(0),
        signature(1),
        signature(2),
        blobs(contents().map(|content| content.map(|content| content.wrapped_key.as_slice()))),
        blobs(contents().map(|content| content.map(|content| content.ciphertext.as_slice()))),
    ];
    Ok(Step::new(sql, values))
}

/// Replaces a record's row. What is repeated from the header is taken up only with a new header, under a new id.
fn record(row: &RecordRow) -> Step<'_> {
    let sql = "WITH changed AS (
                   UPDATE record SET id = $4, stage = $5, condition = $6, drafted_by = $7, submitted_by = $8, approved_by = $9, sent_back = $10,
                       came_from = $11, arrived = $12, flagged = $13, consent = $14,
                       kind = CASE WHEN id = $4 THEN kind ELSE $15 END, agreement = CASE WHEN id = $4 THEN agreement ELSE $16 END,
                       created = CASE WHEN id = $4 THEN created ELSE $17 END, retain_until = CASE WHEN id = $4 THEN retain_until ELSE $18 END,
                       targets = CASE WHEN id = $4 THEN targets ELSE $19::text::bytea[] END
                   WHERE number = $1 AND version = $2 AND originator = $3 RETURNING seq),
               headers AS (
                   UPDATE header SET bytes = $20, ed25519 = $21, ml_dsa_65 = $22, inclusion = $23 FROM changed
                   WHERE record = seq AND (bytes, ed25519, ml_dsa_65, inclusion) IS DISTINCT FROM ($20, $21, $22, $23))
               SELECT seq FROM changed";
    let [ed25519, ml_dsa_65, inclusion] = columns(row.signatures.as_ref());
    let values = [
        row.number.as_str().into(),
        row.version.into(),
        (&row.originator).into(),
        (&row.id).into(),
        row.stage.code().into(),
        row.condition.code().into(),
        row.drafted_by.as_str().into(),
        row.submitted_by.as_deref().into(),
        row.approved_by.as_deref().into(),
        row.sent_back.into(),
        row.from.as_ref().map(OrgId::as_str).into(),
        row.arrived.as_ms().into(),
        row.flagged.into(),
        row.grant.as_ref().map(id).into(),
        row.kind.code().into(),
        row.agreement.as_str().into(),
        row.created.as_ms().into(),
        row.retain_until.as_ms().into(),
        Value::Text(targets(&row.header).map(Into::into)),
        row.header.as_slice().into(),
        ed25519.into(),
        ml_dsa_65.into(),
        inclusion.into(),
    ];
    Step::new(sql, values).must(1, || format!("record {} version {}", row.number, row.version))
}

fn sign<'a>(signed: &[(&'a RecordId, &'a Signatures)]) -> Step<'a> {
    let sql = "UPDATE header SET ed25519 = signed.ed25519, ml_dsa_65 = signed.ml_dsa_65, inclusion = signed.inclusion
               FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[]) AS signed (id, ed25519, ml_dsa_65, inclusion)
               JOIN record ON record.id = signed.id WHERE header.record = record.seq";
    let column = |n: usize| blobs(signed.iter().map(move |(_, signatures)| columns(Some(signatures)).get(n).copied().flatten()));
    let values = [blobs(signed.iter().map(|(record, _)| Some(id(record)))), column(0), column(1), column(2)];
    let first = signed.first().map(|(record, _)| **record);
    Step::new(sql, values).must(signed.len(), || first.map_or_else(String::new, |record| format!("record {record}, or one signed with it")))
}

fn replace_content<'a>(id: &'a RecordId, content: &'a ContentRow) -> Step<'a> {
    let sql = "WITH held AS (UPDATE record SET content = true WHERE id = $1 RETURNING seq),
               keys AS (
                   INSERT INTO content_key (record, wrapped) SELECT seq, $2::bytea FROM held ON CONFLICT (record) DO UPDATE SET wrapped = excluded.wrapped)
               UPDATE header SET ciphertext = $3 FROM held WHERE record = seq";
    Step::new(sql, [id.into(), content.wrapped_key.as_slice().into(), content.ciphertext.as_slice().into()]).must(1, || format!("record {id}"))
}

fn destroy_content(id: &RecordId) -> Step<'_> {
    let sql = "WITH held AS (SELECT seq FROM record WHERE id = $1),
               cleared AS (UPDATE record SET content = false FROM held WHERE record.seq = held.seq AND content),
               keys AS (DELETE FROM content_key USING held WHERE record = seq),
               contents AS (UPDATE header SET ciphertext = NULL FROM held WHERE record = seq AND ciphertext IS NOT NULL),
               pieces AS (DELETE FROM piece USING held WHERE record = seq)
               SELECT seq FROM held";
    Step::new(sql, [id.into()]).must(1, || format!("record {id}"))
}

/// Entries about a discarded draft are found by the id that they name from then on.
fn discard_draft(number: &RecordNumber, version: u32) -> Step<'_> {
    let sql = "WITH held AS (DELETE FROM record WHERE number = $1 AND version = $2 AND stage < $3 RETURNING seq),
               keys AS (DELETE FROM content_key USING held WHERE record = seq),
               headers AS (DELETE FROM header USING held WHERE record = seq),
               pieces AS (DELETE FROM piece USING held WHERE record = seq),
               holdings AS (DELETE FROM holding USING held WHERE record = seq),
               entries AS (UPDATE entry SET about = NULL FROM held WHERE about = seq)
               SELECT seq FROM held";
    Step::new(sql, [number.as_str().into(), version.into(), Stage::Released.code().into()]).must(1, || format!("draft {number} version {version}"))
}

/// A piece of a record whose content is gone would never be destroyed.
fn piece(row: &PieceRow) -> StoreResult<Step<'_>> {
    let (number, version) = &row.record;
    let sql = "INSERT INTO piece (record, attachment, place, leaf, ciphertext)
               SELECT seq, $3::bigint, $4::bigint, $5::bytea, $6::bytea FROM (SELECT seq, content FROM record WHERE number = $1 AND version = $2 ORDER BY seq LIMIT 1) AS held WHERE content
               ON CONFLICT (record, attachment, place) DO UPDATE SET leaf = excluded.leaf, ciphertext = excluded.ciphertext";
    let values = [
        number.as_str().into(),
        (*version).into(),
        row.attachment.into(),
        integer(row.index)?.into(),
        row.leaf.as_slice().into(),
        row.ciphertext.as_slice().into(),
    ];
    Ok(Step::new(sql, values).must(1, || format!("record {number} version {version} with content")))
}

fn set_holdings<'a>(rows: &[&'a HoldingRow]) -> StoreResult<Step<'a>> {
    let sql = "INSERT INTO holding (record, holder, via, state, sequence, evidence, reasons, since)
               SELECT seq, holder, via, state, sequence, evidence, reasons, since FROM (
                   SELECT (SELECT seq FROM record WHERE record.id = copy.id), copy.*
                   FROM unnest($1::bytea[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bytea[], $7::text[], $8::bigint[])
                       AS copy (id, holder, via, state, sequence, evidence, reasons, since)) AS found
               WHERE seq IS NOT NULL
               ON CONFLICT (record, holder, via) DO UPDATE SET state = excluded.state, sequence = excluded.sequence, evidence = excluded.evidence,
                   reasons = excluded.reasons, since = excluded.since";
    let values = [
        blobs(rows.iter().map(|row| Some(id(&row.record)))),
        names(rows.iter().map(|row| &row.holder)),
        names(rows.iter().map(|row| &row.via)),
        integers(rows.iter().map(|row| row.state.code())),
        Value::Integers(rows.iter().map(|row| row.sequence.map(integer).transpose()).collect::<StoreResult<_>>()?),
        blobs(rows.iter().map(|row| row.evidence.as_ref().map(digest))),
        Value::Texts(rows.iter().map(|row| stored::write_reasons(&row.reasons).map(|text| Some(text.into()))).collect::<StoreResult<_>>()?),
        integers(rows.iter().map(|row| row.since.as_ms())),
    ];
    Ok(Step::new(sql, values).must(rows.len(), || {
        let named: Vec<String> = rows.iter().take(3).map(|row| row.record.to_string()).collect();
        format!("record {}", named.join(", or "))
    }))
}

fn queue<'a>(rows: &[(&'a OrgId, OutgoingColumns)]) -> Step<'a> {
    let sql = "INSERT INTO outgoing (peer, what, subject, attachment, next, item)
               SELECT peer, what, subject::bytea, attachment, next, item
               FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[]) AS t (peer, what, subject, attachment, next, item)";
    let values = [
        names(rows.iter().map(|(peer, _)| *peer)),
        integers(rows.iter().map(|(_, columns)| columns.what)),
        Value::Texts(rows.iter().map(|(_, columns)| Some(hex(&columns.subject).into())).collect()),
        Value::Integers(rows.iter().map(|(_, columns)| columns.attachment).collect()),
        Value::Integers(rows.iter().map(|(_, columns)| columns.next).collect()),
        Value::Integers(rows.iter().map(|(_, columns)| columns.item).collect()),
    ];
    Step::new(sql, values)
}

fn requeue<'a>(peer: &'a OrgId, position: u64, what: &'a Outgoing) -> StoreResult<Step<'a>> {
    let columns = OutgoingColumns::write(what)?;
    let sql = "UPDATE outgoing SET what = $3, subject = $4::text::bytea, attachment = $5, next = $6, item = $7 WHERE position = $1 AND peer = $2";
    let values = [
        integer(position)?.into(),
        peer.into(),
        columns.what.into(),
        hex(&columns.subject).into(),
        columns.attachment.into(),
        columns.next.into(),
        columns.item.into(),
    ];
    Ok(Step::new(sql, values).must(1, || format!("row {position} in the queue for {peer}")))
}

fn parcel(row: &ParcelRow) -> StoreResult<Step<'_>> {
    let values =
        [(&row.peer).into(), integer(row.sequence)?.into(), row.header.as_slice().into(), (&row.digest).into(), stored::write_items(&row.items)?.into()];
    Ok(Step::new("INSERT INTO parcel (peer, sequence, header, digest, items) VALUES ($1, $2, $3, $4, $5)", values))
}

fn peer(row: &PeerRow) -> StoreResult<Step<'_>> {
    let sql = "INSERT INTO peer (org, sent, sent_digest, acknowledged, shown_size, receipted_size, received, received_digest, parcel_size, parcel_root,
                   parcel_note, receipt_size, receipt_root, receipt_note, suspicion, era)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
               ON CONFLICT (org) DO UPDATE SET sent = excluded.sent, sent_digest = excluded.sent_digest, acknowledged = excluded.acknowledged,
                   shown_size = excluded.shown_size, receipted_size = excluded.receipted_size, received = excluded.received,
                   received_digest = excluded.received_digest, parcel_size = excluded.parcel_size, parcel_root = excluded.parcel_root,
                   parcel_note = excluded.parcel_note, receipt_size = excluded.receipt_size, receipt_root = excluded.receipt_root,
                   receipt_note = excluded.receipt_note, suspicion = excluded.suspicion, era = excluded.era";
    let (parcel, receipt) = (row.checkpoint.as_ref(), row.receipt_checkpoint.as_ref());
    let values = [
        (&row.org).into(),
        integer(row.sent)?.into(),
        (&row.sent_digest).into(),
        integer(row.acknowledged)?.into(),
        integer(row.shown_size)?.into(),
        integer(row.receipted_size)?.into(),
        integer(row.received)?.into(),
        (&row.received_digest).into(),
        parcel.map(|seen| integer(seen.size)).transpose()?.into(),
        parcel.map(|seen| seen.root.as_slice()).into(),
        parcel.map(|seen| seen.note.as_str()).into(),
        receipt.map(|seen| integer(seen.size)).transpose()?.into(),
        receipt.map(|seen| seen.root.as_slice()).into(),
        receipt.map(|seen| seen.note.as_str()).into(),
        row.suspicion.map(Code::code).into(),
        row.era.map(Timestamp::as_ms).into(),
    ];
    Ok(Step::new(sql, values))
}

fn recovery(row: &RecoveryRow) -> StoreResult<Step<'_>> {
    let sql = "INSERT INTO recovery (one, era, size, root, approvals, declared) VALUES (1, $1, $2, $3, $4, $5)
               ON CONFLICT (one) DO UPDATE SET era = excluded.era, size = excluded.size, root = excluded.root, approvals = excluded.approvals,
                   declared = excluded.declared";
    let declared = row.declared.as_ref().map(|digest| digest.as_bytes().as_slice());
    let values =
        [row.era.as_ms().into(), integer(row.size)?.into(), row.root.as_slice().into(), stored::write_approvals(&row.approvals)?.into(), declared.into()];
    Ok(Step::new(sql, values))
}

fn statement(row: &StatementRow) -> Step<'_> {
    let values = [
        row.kind.code().into(),
        (&row.key).into(),
        (&row.org).into(),
        row.about.as_ref().map(digest).into(),
        row.bytes.as_slice().into(),
        row.at.as_ms().into(),
    ];
    Step::new("INSERT INTO statement (kind, key, org, about, bytes, at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (key, kind) DO NOTHING", values)
}

fn member(row: &MemberRow) -> StoreResult<Step<'_>> {
    let sql = "INSERT INTO member (id, name, roles, active, password) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (id) DO UPDATE SET name = excluded.name, roles = excluded.roles, active = excluded.active, password = excluded.password";
    let values = [row.id.as_str().into(), row.name.as_str().into(), stored::write_roles(&row.roles)?.into(), row.active.into(), row.password.as_str().into()];
    Ok(Step::new(sql, values))
}

fn credential(row: &CredentialRow) -> Step<'_> {
    let values =
        [(&row.hash).into(), row.member.as_str().into(), row.label.as_str().into(), row.token.into(), row.created.as_ms().into(), row.expires.as_ms().into()];
    Step::new("INSERT INTO credential (hash, member, label, token, created, expires) VALUES ($1, $2, $3, $4, $5, $6)", values)
}

fn add_entries(entries: &[EntryRow]) -> StoreResult<Step<'_>> {
    let sql = "INSERT INTO entry (place, leaf, salt, json, what, record, about, at)
               SELECT place, leaf, salt, json, what, record, (SELECT seq FROM record WHERE record.id = told.record), at
               FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::text[], $6::bytea[], $7::bigint[])
                   AS told (place, leaf, salt, json, what, record, at)";
    let values = [
        Value::Integers(entries.iter().map(|entry| integer(entry.index).map(Some)).collect::<StoreResult<_>>()?),
        blobs(entries.iter().map(|entry| Some(entry.leaf.as_slice()))),
        blobs(entries.iter().map(|entry| entry.salt.as_ref().map(<[u8; 32]>::as_slice))),
        blobs(entries.iter().map(|entry| entry.json.as_deref())),
        texts(entries.iter().map(|entry| Some(entry.what.as_str()))),
        blobs(entries.iter().map(|entry| entry.record.as_ref().map(id))),
        integers(entries.iter().map(|entry| entry.at.as_ms())),
    ];
    Ok(Step::new(sql, values))
}

fn id(id: &RecordId) -> &[u8] {
    digest(&id.0)
}

fn digest(digest: &Digest) -> &[u8] {
    digest.as_bytes()
}

/// Signatures as they are written: Ed25519, ML-DSA-65, and the place in the batch.
fn columns(signatures: Option<&Signatures>) -> [Option<&[u8]>; 3] {
    let inclusion = signatures.and_then(|signed| signed.inclusion.as_ref()).map(Inclusion::as_bytes);
    [signatures.map(|signed| signed.ed25519.as_slice()), signatures.map(|signed| signed.ml_dsa_65.as_slice()), inclusion]
}

/// Bytes as PostgreSQL reads them from text.
fn hex(digest: &Digest) -> String {
    digest.as_bytes().iter().fold(r"\x".to_owned(), |mut text, byte| {
        // Writing to a string can't fail.
        _ = write!(text, "{byte:02x}");
        text
    })
}

/// The records to which a header points, as the text of an array; nothing if there are none.
pub(super) fn targets(header: &[u8]) -> Option<String> {
    let targets: BTreeSet<RecordId> = stored::targets(header);
    let quoted: Vec<String> = targets.iter().map(|target| format!(r#""\{}""#, hex(&target.0))).collect();
    (!quoted.is_empty()).then(|| format!("{{{}}}", quoted.join(",")))
}

fn integers<'a>(values: impl Iterator<Item = i64>) -> Value<'a> {
    Value::Integers(values.map(Some).collect())
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Value<'a> {
    Value::Texts(values.map(|text| text.map(Into::into)).collect())
}

fn names<'a>(values: impl Iterator<Item = &'a OrgId>) -> Value<'a> {
    texts(values.map(|org| Some(org.as_str())))
}

fn blobs<'a>(values: impl Iterator<Item = Option<&'a [u8]>>) -> Value<'a> {
    Value::Blobs(values.collect())
}
