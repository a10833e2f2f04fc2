-- STORED: layout 2: a node that was restored from a backup, and peers that were.

-- The peer's era that was accepted here.
ALTER TABLE peer ADD COLUMN era INTEGER;

-- This node's own recovery: the last one. `approvals` is a JSON array of member and entry.
CREATE TABLE recovery (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    era       INTEGER NOT NULL,
    size      INTEGER NOT NULL,
    root      BLOB    NOT NULL,
    approvals TEXT    NOT NULL,
    declared  BLOB
) STRICT;
