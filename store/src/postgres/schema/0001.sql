-- STORED: layout 1. Once released this file stays as it is; changes come as 0002.sql and so on.
--
-- Codes (kind, stage, condition, state, what, item, suspicion) are those of `stored.rs`. Times are milliseconds since
-- 1970. Ids, digests and hashes are 32 bytes. Text is compared byte by byte, whatever the database's language.
--
-- There are no references between tables: each would cost a look-up for every row, and every row that belongs to a
-- record is written by one statement that finds the record first.

-- A record, without the bytes that are long: what changes often is short. `content` says whether there is content, with
-- its key in `content_key`. `targets` are the records to which its header points, which need not be here; null when
-- there are none.
CREATE SEQUENCE record_seq;
CREATE TABLE record (
    seq          bigint  PRIMARY KEY,
    id           bytea   NOT NULL,
    kind         bigint  NOT NULL,
    originator   text    NOT NULL COLLATE "C",
    number       text    NOT NULL COLLATE "C",
    version      bigint  NOT NULL,
    agreement    text    NOT NULL COLLATE "C",
    created      bigint  NOT NULL,
    retain_until bigint  NOT NULL,
    stage        bigint  NOT NULL,
    condition    bigint  NOT NULL,
    drafted_by   text    NOT NULL COLLATE "C",
    submitted_by text    COLLATE "C",
    approved_by  text    COLLATE "C",
    sent_back    boolean NOT NULL,
    came_from    text    COLLATE "C",
    arrived      bigint  NOT NULL,
    flagged      boolean NOT NULL,
    consent      bytea,
    content      boolean NOT NULL,
    targets      bytea[]
) WITH (fillfactor = 80);
-- Reports (kind 1) are the bulk, and are found on the way from the newest record. Of the stages only those before
-- release (4) are few.
CREATE UNIQUE INDEX record_id ON record (id);
CREATE UNIQUE INDEX record_number ON record (number, version, originator);
CREATE INDEX record_desk ON record (stage, seq) WHERE stage < 4;
CREATE INDEX record_kind ON record (kind, seq) WHERE kind <> 1;
CREATE INDEX record_originator ON record (originator, seq);
CREATE INDEX record_flagged ON record (seq) WHERE flagged;
CREATE INDEX record_due ON record (retain_until, seq) WHERE content;
CREATE INDEX record_targets ON record USING gin (targets) WHERE targets IS NOT NULL;

-- The exact signed bytes, the two signatures, the place in the batch that they are of, if any, and the content. A row that fits a page lies in it whole; nothing here
-- can be compressed, so nothing is tried.
CREATE TABLE header (
    record     bigint PRIMARY KEY,
    bytes      bytea  NOT NULL,
    ed25519    bytea,
    ml_dsa_65  bytea,
    inclusion  bytea,
    ciphertext bytea
) WITH (toast_tuple_target = 8160);
ALTER TABLE header ALTER bytes SET STORAGE EXTERNAL, ALTER ml_dsa_65 SET STORAGE EXTERNAL, ALTER ciphertext SET STORAGE EXTERNAL;

-- A row of the port: record and header together.
CREATE VIEW whole_record AS
SELECT seq, id, bytes, ed25519, ml_dsa_65, inclusion, kind, originator, number, version, agreement, created, retain_until, stage,
       condition, drafted_by, submitted_by, approved_by, sent_back, came_from, arrived, flagged, consent
FROM record JOIN header ON header.record = record.seq;

-- Wrapped content keys. To destroy one is to delete its row and then to have the table written anew.
CREATE TABLE content_key (
    record  bigint PRIMARY KEY,
    wrapped bytea  NOT NULL
);

CREATE TABLE piece (
    record     bigint NOT NULL,
    attachment bigint NOT NULL,
    place      bigint NOT NULL,
    leaf       bytea  NOT NULL,
    ciphertext bytea  NOT NULL,
    PRIMARY KEY (record, attachment, place)
);
ALTER TABLE piece ALTER ciphertext SET STORAGE EXTERNAL;

CREATE TABLE tombstone (
    id  bytea PRIMARY KEY,
    org text  NOT NULL COLLATE "C"
);

CREATE TABLE holding (
    record   bigint NOT NULL,
    holder   text   NOT NULL COLLATE "C",
    via      text   NOT NULL COLLATE "C",
    state    bigint NOT NULL,
    sequence bigint,
    evidence bytea,
    reasons  text   NOT NULL COLLATE "C",
    since    bigint NOT NULL,
    PRIMARY KEY (record, holder, via)
) WITH (fillfactor = 70);

-- What waits to leave, in the order of each peer's queue.
CREATE TABLE outgoing (
    peer       text   NOT NULL COLLATE "C",
    position   bigint GENERATED ALWAYS AS IDENTITY,
    what       bigint NOT NULL,
    subject    bytea  NOT NULL,
    attachment bigint,
    next       bigint,
    item       bigint,
    PRIMARY KEY (peer, position)
);

CREATE TABLE parcel (
    peer     text   NOT NULL COLLATE "C",
    sequence bigint NOT NULL,
    header   bytea  NOT NULL,
    digest   bytea  NOT NULL,
    items    text   NOT NULL COLLATE "C",
    PRIMARY KEY (peer, sequence)
);

-- The state of exchange. `parcel_…` and `receipt_…` are the peer's checkpoints in its last parcel and last receipt.
CREATE TABLE peer (
    org             text   PRIMARY KEY COLLATE "C",
    sent            bigint NOT NULL,
    sent_digest     bytea  NOT NULL,
    acknowledged    bigint NOT NULL,
    shown_size      bigint NOT NULL,
    receipted_size  bigint NOT NULL,
    received        bigint NOT NULL,
    received_digest bytea  NOT NULL,
    parcel_size     bigint,
    parcel_root     bytea,
    parcel_note     text   COLLATE "C",
    receipt_size    bigint,
    receipt_root    bytea,
    receipt_note    text   COLLATE "C",
    suspicion       bigint,
    era             bigint
) WITH (fillfactor = 50);

-- Evidence. `seq` is the order in which it was kept. Cards, agreements and withdrawals (codes 1 to 3) are few, and all
-- of them are read at the start.
CREATE TABLE statement (
    seq   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind  bigint NOT NULL,
    key   bytea  NOT NULL,
    org   text   NOT NULL COLLATE "C",
    about bytea,
    bytes bytea  NOT NULL,
    at    bigint NOT NULL
) WITH (toast_tuple_target = 8160);
ALTER TABLE statement ALTER bytes SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX statement_key ON statement (key, kind);
CREATE INDEX statement_about ON statement (about, kind) WHERE about IS NOT NULL;
CREATE INDEX statement_opening ON statement (seq) WHERE kind <= 3;

-- The ledger. `about` is the record where it is held here, so that entries follow a draft whose id changes; `record` is
-- the id that the entry itself names.
CREATE TABLE entry (
    place  bigint PRIMARY KEY,
    leaf   bytea  NOT NULL,
    salt   bytea,
    json   bytea,
    what   text   NOT NULL COLLATE "C",
    record bytea,
    about  bigint,
    at     bigint NOT NULL
);
CREATE INDEX entry_about ON entry (about, place) WHERE about IS NOT NULL;
CREATE INDEX entry_record ON entry (record, place) WHERE about IS NULL AND record IS NOT NULL;

-- Complete subtrees of levels 4, 8, 12 and so on. Level 0 is `entry.leaf`.
CREATE TABLE subtree (
    level bigint NOT NULL,
    place bigint NOT NULL,
    hash  bytea  NOT NULL,
    PRIMARY KEY (level, place)
);

CREATE TABLE member (
    id       text    PRIMARY KEY COLLATE "C",
    name     text    NOT NULL COLLATE "C",
    roles    text    NOT NULL COLLATE "C",
    active   boolean NOT NULL,
    password text    NOT NULL COLLATE "C"
);

CREATE TABLE credential (
    seq     bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash    bytea   NOT NULL UNIQUE,
    member  text    NOT NULL COLLATE "C",
    label   text    NOT NULL COLLATE "C",
    token   boolean NOT NULL,
    created bigint  NOT NULL,
    expires bigint  NOT NULL
);
CREATE INDEX credential_member ON credential (member, created);

CREATE TABLE serial (
    year bigint PRIMARY KEY,
    last bigint NOT NULL
);

CREATE TABLE house_rules (
    one   bigint PRIMARY KEY CHECK (one = 1),
    rules text   NOT NULL COLLATE "C"
);

-- This node's own recovery: the last one. `approvals` is a JSON array of member and entry.
CREATE TABLE recovery (
    one       bigint PRIMARY KEY CHECK (one = 1),
    era       bigint NOT NULL,
    size      bigint NOT NULL,
    root      bytea  NOT NULL,
    approvals text   NOT NULL COLLATE "C",
    declared  bytea
);

-- Turns: each row is one commit, and what another process has to read again when it has its turn. `size` is the
-- ledger's. `rules` tells of house rules and of the node's own recovery. `queued` and `counts` belong together: by how much each peer's queue has grown or shrunk.
CREATE TABLE turn (
    number     bigint   PRIMARY KEY,
    size       bigint   NOT NULL,
    peers      text[]   NOT NULL,
    queued     text[]   NOT NULL,
    counts     bigint[] NOT NULL,
    statement  bigint   NOT NULL,
    serials    boolean  NOT NULL,
    rules      boolean  NOT NULL
);
INSERT INTO turn VALUES (0, 0, '{}', '{}', '{}', 0, false, false);

-- A row here says that the database holds half a store: a move into it was begun and not finished.
CREATE TABLE half (
    one  bigint PRIMARY KEY CHECK (one = 1),
    mark text   NOT NULL COLLATE "C"
);
