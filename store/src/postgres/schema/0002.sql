-- STORED: layout 2. Signatures are kept once.
--
-- Records that are released by one commit are signed together, so hundreds of them have the same two signatures and differ
-- in their place in the batch alone. To sign a record no longer writes its header and content anew: what changes is in
-- `record`, which is short.
CREATE TABLE signature (
    digest    bytea PRIMARY KEY,
    ed25519   bytea NOT NULL,
    ml_dsa_65 bytea NOT NULL
) WITH (toast_tuple_target = 8160);
ALTER TABLE signature ALTER ml_dsa_65 SET STORAGE EXTERNAL;

-- `signed` is the digest of the two signatures, one after the other; null until release.
ALTER TABLE record ADD COLUMN signed bytea, ADD COLUMN inclusion bytea;

INSERT INTO signature
SELECT DISTINCT ON (sha256(ed25519 || ml_dsa_65)) sha256(ed25519 || ml_dsa_65), ed25519, ml_dsa_65 FROM header WHERE ed25519 IS NOT NULL;
UPDATE record SET signed = sha256(header.ed25519 || header.ml_dsa_65), inclusion = header.inclusion
FROM header WHERE header.record = seq AND header.ed25519 IS NOT NULL;

DROP VIEW whole_record;
ALTER TABLE header DROP COLUMN ed25519, DROP COLUMN ml_dsa_65, DROP COLUMN inclusion;
CREATE VIEW whole_record AS
SELECT seq, id, bytes, ed25519, ml_dsa_65, inclusion, kind, originator, number, version, agreement, created, retain_until, stage,
       condition, drafted_by, submitted_by, approved_by, sent_back, came_from, arrived, flagged, consent
FROM record JOIN header ON header.record = record.seq LEFT JOIN signature ON signature.digest = record.signed;
