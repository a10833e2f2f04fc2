-- STORED: layout 1. Once released this file stays as it is; changes come as 0002.sql and so on.
--
-- Codes (kind, stage, condition, state, what, item, suspicion) are those of `stored.rs`. Times are milliseconds since
-- 1970. Ids, digests and hashes are blobs of 32 bytes. What grows with every act is only ever appended to, apart from
-- one index, that of record ids, whose order is random.

-- A record, without the bytes that are long. `content` is the row of its content's key; null when there is no content,
-- or no more. `handle` is the first eight bytes of the id as a number: to be found by, together with the id, through an
-- index less than half the size.
CREATE TABLE record (
    seq          INTEGER PRIMARY KEY,
    id           BLOB    NOT NULL,
    handle       INTEGER NOT NULL,
    kind         INTEGER NOT NULL,
    originator   TEXT    NOT NULL,
    number       TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    agreement    TEXT    NOT NULL,
    created      INTEGER NOT NULL,
    retain_until INTEGER NOT NULL,
    stage        INTEGER NOT NULL,
    condition    INTEGER NOT NULL,
    drafted_by   TEXT    NOT NULL,
    submitted_by TEXT,
    approved_by  TEXT,
    sent_back    INTEGER NOT NULL,
    came_from    TEXT,
    arrived      INTEGER NOT NULL,
    flagged      INTEGER NOT NULL,
    consent      BLOB,
    content      INTEGER REFERENCES content_key (seq)
) STRICT;
-- Reports (kind 1) are the bulk, and are found on the way from the newest record.
CREATE INDEX record_handle ON record (handle);
CREATE UNIQUE INDEX record_number ON record (number, version, originator);
CREATE INDEX record_stage ON record (stage);
CREATE INDEX record_kind ON record (kind) WHERE kind <> 1;
CREATE INDEX record_originator ON record (originator);
CREATE INDEX record_flagged ON record (flagged) WHERE flagged = 1;
CREATE INDEX record_due ON record (retain_until) WHERE content IS NOT NULL;

-- The exact signed bytes, the two signatures, the place in the batch that they are of, if any, and the content. SQLite keeps the first part of a row in the tree, and a
-- tree that is reordered can leave copies of that part behind; the rest lies in pages of its own, which are never copied
-- and are zeroed when they are given up. `shelter` is as many zeros as it takes for content to be in the rest.
CREATE TABLE header (
    record     INTEGER PRIMARY KEY REFERENCES record (seq),
    bytes      BLOB NOT NULL,
    ed25519    BLOB,
    ml_dsa_65  BLOB,
    inclusion  BLOB,
    shelter    BLOB NOT NULL,
    ciphertext BLOB
) STRICT;

-- A row of the port: record and header together. CROSS fixes the order of the two.
CREATE VIEW whole_record AS
SELECT seq, handle, id, bytes, ed25519, ml_dsa_65, inclusion, kind, originator, number, version, agreement, created, retain_until,
       stage, condition, drafted_by, submitted_by, approved_by, sent_back, came_from, arrived, flagged, consent
FROM record CROSS JOIN header ON header.record = record.seq;

-- Wrapped content keys. Rows are only ever appended, and to destroy a key is to write zeros over it where it lies: so
-- no copy of a key is ever made. New content of a draft has a new row here.
CREATE TABLE content_key (
    seq     INTEGER PRIMARY KEY,
    wrapped BLOB NOT NULL
) STRICT;

CREATE TABLE piece (
    seq        INTEGER PRIMARY KEY,
    record     INTEGER NOT NULL REFERENCES record (seq),
    attachment INTEGER NOT NULL,
    place      INTEGER NOT NULL,
    leaf       BLOB    NOT NULL,
    shelter    BLOB    NOT NULL,
    ciphertext BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX piece_place ON piece (record, attachment, place);

-- To which records a record's header points. The target need not be here.
CREATE TABLE link (
    target BLOB    NOT NULL,
    record INTEGER NOT NULL REFERENCES record (seq),
    PRIMARY KEY (target, record)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_record ON link (record);

CREATE TABLE tombstone (
    id  BLOB NOT NULL PRIMARY KEY,
    org TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE holding (
    record   INTEGER NOT NULL REFERENCES record (seq),
    holder   TEXT    NOT NULL,
    via      TEXT    NOT NULL,
    state    INTEGER NOT NULL,
    sequence INTEGER,
    evidence BLOB,
    reasons  TEXT    NOT NULL,
    since    INTEGER NOT NULL,
    PRIMARY KEY (record, holder, via)
) STRICT, WITHOUT ROWID;

-- What waits to leave, in the order of each peer's queue.
CREATE TABLE outgoing (
    peer       TEXT    NOT NULL,
    position   INTEGER NOT NULL,
    what       INTEGER NOT NULL,
    subject    BLOB    NOT NULL,
    attachment INTEGER,
    next       INTEGER,
    item       INTEGER,
    PRIMARY KEY (peer, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE parcel (
    peer     TEXT    NOT NULL,
    sequence INTEGER NOT NULL,
    header   BLOB    NOT NULL,
    digest   BLOB    NOT NULL,
    items    TEXT    NOT NULL,
    PRIMARY KEY (peer, sequence)
) STRICT;

-- The state of exchange. `parcel_…` and `receipt_…` are the peer's checkpoints in its last parcel and last receipt.
CREATE TABLE peer (
    org             TEXT    NOT NULL PRIMARY KEY,
    sent            INTEGER NOT NULL,
    sent_digest     BLOB    NOT NULL,
    acknowledged    INTEGER NOT NULL,
    shown_size      INTEGER NOT NULL,
    receipted_size  INTEGER NOT NULL,
    received        INTEGER NOT NULL,
    received_digest BLOB    NOT NULL,
    parcel_size     INTEGER,
    parcel_root     BLOB,
    parcel_note     TEXT,
    receipt_size    INTEGER,
    receipt_root    BLOB,
    receipt_note    TEXT,
    suspicion       INTEGER
) STRICT, WITHOUT ROWID;

-- Evidence. `seq` is the order in which it was kept. Cards, agreements and withdrawals (codes 1 to 3) are few, and all
-- of them are read at the start.
CREATE TABLE statement (
    seq   INTEGER PRIMARY KEY,
    kind  INTEGER NOT NULL,
    key   BLOB    NOT NULL,
    org   TEXT    NOT NULL,
    about BLOB,
    bytes BLOB    NOT NULL,
    at    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX statement_key ON statement (key, kind);
CREATE INDEX statement_about ON statement (about, kind) WHERE about IS NOT NULL;
CREATE INDEX statement_opening ON statement (kind) WHERE kind <= 3;

-- The ledger. `about` is the record where it is held here, so that entries follow a draft whose id changes; `record` is
-- the id that the entry itself names.
CREATE TABLE entry (
    place  INTEGER PRIMARY KEY,
    leaf   BLOB    NOT NULL,
    salt   BLOB,
    json   BLOB,
    what   TEXT    NOT NULL,
    record BLOB,
    about  INTEGER REFERENCES record (seq),
    at     INTEGER NOT NULL
) STRICT;
CREATE INDEX entry_about ON entry (about) WHERE about IS NOT NULL;
CREATE INDEX entry_record ON entry (record) WHERE about IS NULL AND record IS NOT NULL;

-- Complete subtrees of levels 4, 8, 12 and so on. Level 0 is `entry.leaf`.
CREATE TABLE subtree (
    level INTEGER NOT NULL,
    place INTEGER NOT NULL,
    hash  BLOB    NOT NULL,
    PRIMARY KEY (level, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE member (
    id       TEXT    NOT NULL PRIMARY KEY,
    name     TEXT    NOT NULL,
    roles    TEXT    NOT NULL,
    active   INTEGER NOT NULL,
    password TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE credential (
    seq     INTEGER PRIMARY KEY,
    hash    BLOB    NOT NULL UNIQUE,
    member  TEXT    NOT NULL,
    label   TEXT    NOT NULL,
    token   INTEGER NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT;
CREATE INDEX credential_member ON credential (member, created);

CREATE TABLE serial (
    year INTEGER PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT;

CREATE TABLE house_rules (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    rules TEXT NOT NULL
) STRICT;
