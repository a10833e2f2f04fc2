//! Statements: what each change of the port is to the server.
//!
//! It makes statements and sends none; in which order they go is `write.rs`'s affair. Every statement finds by itself the
//! rows that it needs, so many can be under way at a time, and rows of one kind that come together are written by one
//! statement. The invariant: a change that names a row which must be there fails if it is not, and destroyed content is
//! gone from every table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use format::batch::Inclusion;
use format::merkle::Hash;
use format::{Digest, OrgId, RecordId, RecordNumber, Timestamp};
use node::ports::{StoreError, StoreResult};
use node::rows::{
    Change, ContentRow, CredentialRow, EntryRow, HoldingRow, MemberRow, Outgoing, ParcelRow, PeerRow, PieceRow, RecordRow, RecoveryRow, Signatures, Stage,
    StatementRow,
};

use super::row::Value;
use super::wire::Step;
use crate::stored::{self, Code, OutgoingColumns, integer};

/// The statement of a change that has one of its own.
pub(super) fn single(change: &Change) -> StoreResult<Step<'_>> {
    Ok(match change {
        Change::Record(row) => draft(row),
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

pub(super) fn new_records<'a>(records: &[(&'a RecordRow, Option<&'a ContentRow>)]) -> StoreResult<Step<'a>> {
    let sql = "WITH new AS MATERIALIZED (
                   SELECT nextval('record_seq') AS seq, * FROM unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::bigint[],
                       $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::text[], $14::boolean[], $15::text[], $16::bigint[],
                       $17::boolean[], $18::bytea[], $19::text[], $20::bytea[], $21::bytea[], $22::bytea[], $23::bytea[], $24::bytea[])
                   AS t (id, kind, originator, number, version, agreement, created, retain_until, stage, condition, drafted_by, submitted_by, approved_by,
                       sent_back, came_from, arrived, flagged, consent, targets, signed, inclusion, bytes, wrapped, ciphertext)),
               records AS (
                   INSERT INTO record (seq, id, kind, originator, number, version, agreement, created, retain_until, stage, condition, drafted_by,
                       submitted_by, approved_by, sent_back, came_from, arrived, flagged, consent, content, targets, signed, inclusion)
                   SELECT seq, id, kind, originator, number, version, agreement, created, retain_until, stage, condition, drafted_by, submitted_by,
                       approved_by, sent_back, came_from, arrived, flagged, consent, wrapped IS NOT NULL, targets::bytea[], signed, inclusion FROM new),
               keys AS (INSERT INTO content_key (record, wrapped) SELECT seq, wrapped FROM new WHERE wrapped IS NOT NULL)
               INSERT INTO header (record, bytes, ciphertext) SELECT seq, bytes, ciphertext FROM new";
    let rows = || records.iter().map(|(row, _)| *row);
    let contents = || records.iter().map(|(_, content)| *content);
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
        signings(rows().map(|row| row.signatures.as_ref())),
        inclusions(rows().map(|row| row.signatures.as_ref())),
        blobs(rows().map(|row| Some(row.header.as_slice()))),
        blobs(contents().map(|content| content.map(|content| content.wrapped_key.as_slice()))),
        blobs(contents().map(|content| content.map(|content| content.ciphertext.as_slice()))),
    ];
    Ok(Step::new(sql, values))
}

/// Replaces the row of a draft. What is repeated from the header is taken up only with a new header, under a new id.
fn draft(row: &RecordRow) -> Step<'_> {
    let sql = "WITH changed AS (
                   UPDATE record SET id = $4, stage = $5, condition = $6, drafted_by = $7, submitted_by = $8, approved_by = $9, sent_back = $10,
                       came_from = $11, arrived = $12, flagged = $13, consent = $14,
                       kind = CASE WHEN id = $4 THEN kind ELSE $15 END, agreement = CASE WHEN id = $4 THEN agreement ELSE $16 END,
                       created = CASE WHEN id = $4 THEN created ELSE $17 END, retain_until = CASE WHEN id = $4 THEN retain_until ELSE $18 END,
                       targets = CASE WHEN id = $4 THEN targets ELSE $19::text::bytea[] END
                   WHERE number = $1 AND version = $2 AND originator = $3 RETURNING seq),
               headers AS (UPDATE header SET bytes = $20 FROM changed WHERE record = seq AND bytes <> $20)
               SELECT seq FROM changed";
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
    ];
    Step::new(sql, values).must(1, || format!("record {} version {}", row.number, row.version))
}

/// Replaces the rows of records that were released, each with its signatures: their ids stand, and so do their headers.
pub(super) fn change_records<'a>(rows: &[(&'a RecordRow, Option<&'a Signatures>)]) -> Step<'a> {
    let sql = "UPDATE record SET stage = now.stage, condition = now.condition, drafted_by = now.drafted_by, submitted_by = now.submitted_by,
                   approved_by = now.approved_by, sent_back = now.sent_back, came_from = now.came_from, arrived = now.arrived, flagged = now.flagged,
                   consent = now.consent, signed = now.signed, inclusion = now.inclusion
               FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::text[], $9::bigint[],
                   $10::boolean[], $11::bytea[], $12::bytea[], $13::bytea[], $14::text[], $15::bigint[], $16::text[])
                   AS now (id, stage, condition, drafted_by, submitted_by, approved_by, sent_back, came_from, arrived, flagged, consent, signed, inclusion,
                       number, version, originator)
               WHERE record.id = now.id AND record.number = now.number AND record.version = now.version AND record.originator = now.originator";
    let each = || rows.iter().map(|(row, _)| *row);
    let signatures = || rows.iter().map(|(_, signatures)| *signatures);
    let values = [
        blobs(each().map(|row| Some(id(&row.id)))),
        integers(each().map(|row| row.stage.code())),
        integers(each().map(|row| row.condition.code())),
        texts(each().map(|row| Some(row.drafted_by.as_str()))),
        texts(each().map(|row| row.submitted_by.as_deref())),
        texts(each().map(|row| row.approved_by.as_deref())),
        Value::Flags(each().map(|row| row.sent_back).collect()),
        texts(each().map(|row| row.from.as_ref().map(OrgId::as_str))),
        integers(each().map(|row| row.arrived.as_ms())),
        Value::Flags(each().map(|row| row.flagged).collect()),
        blobs(each().map(|row| row.grant.as_ref().map(id))),
        signings(signatures()),
        inclusions(signatures()),
        texts(each().map(|row| Some(row.number.as_str()))),
        integers(each().map(|row| row.version.into())),
        names(each().map(|row| &row.originator)),
    ];
    Step::new(sql, values).must(rows.len(), || some_of(each().map(|row| &row.id)))
}

/// Keeps pairs of signatures, each under its digest.
pub(super) fn keep_signatures<'a>(signatures: &BTreeMap<Digest, &'a Signatures>) -> Step<'a> {
    let sql = "INSERT INTO signature (digest, ed25519, ml_dsa_65) SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) ON CONFLICT (digest) DO NOTHING";
    let values = [
        Value::Blobs(signatures.keys().map(|digest| Some(digest.as_bytes().to_vec().into())).collect()),
        blobs(signatures.values().map(|pair| Some(pair.ed25519.as_slice()))),
        blobs(signatures.values().map(|pair| Some(pair.ml_dsa_65.as_slice()))),
    ];
    Step::new(sql, values)
}

pub(super) fn sign<'a>(signed: &BTreeMap<RecordId, &'a Signatures>) -> Step<'a> {
    let sql = "UPDATE record SET signed = now.signed, inclusion = now.inclusion
               FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) AS now (id, signed, inclusion) WHERE record.id = now.id";
    let signatures = || signed.values().map(|signatures| Some(*signatures));
    let values =
        [Value::Blobs(signed.keys().map(|record| Some(record.0.as_bytes().to_vec().into())).collect()), signings(signatures()), inclusions(signatures())];
    Step::new(sql, values).must(signed.len(), || some_of(signed.keys()))
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
    let sql = "INSERT INTO piece (record, attachment, place, leaf, ciphertext, object)
               SELECT seq, $3::bigint, $4::bigint, $5::bytea, $6::bytea, $7::bytea FROM (SELECT seq, content FROM record WHERE number = $1 AND version = $2 ORDER BY seq LIMIT 1) AS held WHERE content
               ON CONFLICT (record, attachment, place) DO UPDATE SET leaf = excluded.leaf, ciphertext = excluded.ciphertext, object = excluded.object";
    let values = [
        number.as_str().into(),
        (*version).into(),
        row.attachment.into(),
        integer(row.index)?.into(),
        row.leaf.as_slice().into(),
        row.ciphertext.as_slice().into(),
        row.object.as_ref().map(|name| name.0.as_slice()).into(),
    ];
    Ok(Step::new(sql, values).must(1, || format!("record {number} version {version} with content")))
}

pub(super) fn set_holdings<'a>(rows: &[&'a HoldingRow]) -> StoreResult<Step<'a>> {
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
    Ok(Step::new(sql, values).must(rows.len(), || some_of(rows.iter().map(|row| &row.record))))
}

pub(super) fn queue<'a>(rows: &[(&'a OrgId, OutgoingColumns)]) -> Step<'a> {
    let sql = "INSERT INTO outgoing (peer, what, subject, attachment, next, item)
               SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[])";
    let values = [
        names(rows.iter().map(|(peer, _)| *peer)),
        integers(rows.iter().map(|(_, columns)| columns.what)),
        Value::Blobs(rows.iter().map(|(_, columns)| Some(columns.subject.as_bytes().to_vec().into())).collect()),
        Value::Integers(rows.iter().map(|(_, columns)| columns.attachment).collect()),
        Value::Integers(rows.iter().map(|(_, columns)| columns.next).collect()),
        Value::Integers(rows.iter().map(|(_, columns)| columns.item).collect()),
    ];
    Step::new(sql, values)
}

pub(super) fn take_from_queues<'a>(left: &[(&'a OrgId, i64)]) -> Step<'a> {
    let sql = "DELETE FROM outgoing USING unnest($1::text[], $2::bigint[]) AS gone (peer, position)
               WHERE outgoing.peer = gone.peer AND outgoing.position = gone.position";
    let values = [names(left.iter().map(|(peer, _)| *peer)), integers(left.iter().map(|(_, position)| *position))];
    Step::new(sql, values).must(left.len(), || {
        let rows: Vec<String> = left.iter().take(3).map(|(peer, position)| format!("{position} in the queue for {peer}")).collect();
        format!("row {}", rows.join(", or "))
    })
}

fn requeue<'a>(peer: &'a OrgId, position: u64, what: &'a Outgoing) -> StoreResult<Step<'a>> {
    let columns = OutgoingColumns::write(what)?;
    let sql = "UPDATE outgoing SET what = $3, subject = $4, attachment = $5, next = $6, item = $7 WHERE position = $1 AND peer = $2";
    let values = [
        integer(position)?.into(),
        peer.into(),
        columns.what.into(),
        Value::Bytes(Some(columns.subject.as_bytes().to_vec().into())),
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

pub(super) fn add_entries<'a>(entries: &[&'a EntryRow]) -> StoreResult<Step<'a>> {
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

pub(super) fn add_subtrees<'a>(kept: &[&'a (u8, u64, Hash)]) -> StoreResult<Step<'a>> {
    let values = [
        integers(kept.iter().map(|(level, ..)| i64::from(*level))),
        Value::Integers(kept.iter().map(|(_, index, _)| integer(*index).map(Some)).collect::<StoreResult<_>>()?),
        blobs(kept.iter().map(|(.., hash)| Some(hash.as_slice()))),
    ];
    Ok(Step::new("INSERT INTO subtree (level, place, hash) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])", values))
}

/// A few of the records of which one is not there.
fn some_of<'a>(records: impl Iterator<Item = &'a RecordId>) -> String {
    let named: Vec<String> = records.take(3).map(ToString::to_string).collect();
    format!("record {}", named.join(", or "))
}

/// Under what a pair of signatures is kept.
pub(super) fn signing(signatures: &Signatures) -> Digest {
    Digest::of_parts(&[&signatures.ed25519, signatures.ml_dsa_65.as_slice()])
}

fn signings<'a>(signatures: impl Iterator<Item = Option<&'a Signatures>>) -> Value<'static> {
    Value::Blobs(signatures.map(|pair| pair.map(|pair| signing(pair).as_bytes().to_vec().into())).collect())
}

fn inclusions<'a>(signatures: impl Iterator<Item = Option<&'a Signatures>>) -> Value<'a> {
    blobs(signatures.map(|pair| pair.and_then(|pair| pair.inclusion.as_ref()).map(Inclusion::as_bytes)))
}

fn id(id: &RecordId) -> &[u8] {
    digest(&id.0)
}

fn digest(digest: &Digest) -> &[u8] {
    digest.as_bytes()
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
    Value::Blobs(values.map(|bytes| bytes.map(Into::into)).collect())
}
