-- +goose Up

-- What is committed and has no number yet.
CREATE TABLE feed_changes (
    number      INTEGER PRIMARY KEY, -- the order of commits
    environment TEXT NOT NULL, -- '' for every one
    kind        TEXT NOT NULL,
    entity      TEXT NOT NULL,
    version     INTEGER NOT NULL,
    payload     TEXT NOT NULL, -- document
    committed   INTEGER NOT NULL
) STRICT;

-- The newest change of each entity that every environment knows: what an environment added later begins with.
CREATE TABLE feed_shared (
    kind      TEXT NOT NULL,
    entity    TEXT NOT NULL,
    version   INTEGER NOT NULL,
    payload   TEXT NOT NULL, -- document
    committed INTEGER NOT NULL,
    PRIMARY KEY (kind, entity)
) STRICT;

CREATE TABLE feed_entries (
    environment TEXT NOT NULL REFERENCES environments (name),
    seq         INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    previous    TEXT NOT NULL,
    kind        TEXT NOT NULL,
    entity      TEXT NOT NULL,
    version     INTEGER NOT NULL,
    payload     TEXT NOT NULL, -- document
    committed   INTEGER NOT NULL,
    digest      TEXT NOT NULL,
    signature   BLOB NOT NULL,
    PRIMARY KEY (environment, seq)
) STRICT;
CREATE INDEX feed_entries_of ON feed_entries (environment, kind, entity, seq);

CREATE TABLE receipts (
    environment TEXT NOT NULL,
    gateway     TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    digest      TEXT NOT NULL,
    revision    INTEGER NOT NULL,
    desired     INTEGER NOT NULL,
    trouble     TEXT NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (environment, gateway)
) STRICT;

CREATE TABLE audit_entries (
    number       INTEGER PRIMARY KEY, -- the order of commits
    id           TEXT NOT NULL UNIQUE,
    seq          INTEGER UNIQUE, -- its place in the log; NULL until it is sealed
    at           INTEGER NOT NULL,
    actor        TEXT NOT NULL,
    action       TEXT NOT NULL,
    object       TEXT NOT NULL,
    organization TEXT NOT NULL,
    application  TEXT NOT NULL,
    environment  TEXT NOT NULL,
    reason       TEXT NOT NULL,
    request_id   TEXT NOT NULL,
    before_state TEXT NOT NULL, -- document
    after_state  TEXT NOT NULL  -- document
) STRICT;
CREATE INDEX audit_unsealed ON audit_entries (number) WHERE seq IS NULL;
CREATE INDEX audit_of_object ON audit_entries (object, seq);
CREATE INDEX audit_of_application ON audit_entries (application, seq);
CREATE INDEX audit_of_organization ON audit_entries (organization, seq);

CREATE TABLE audit_personal (
    entry      TEXT NOT NULL REFERENCES audit_entries (id),
    place      INTEGER NOT NULL,
    name       TEXT NOT NULL,
    value      TEXT NOT NULL, -- '' once erased
    salt       BLOB NOT NULL, -- empty once erased
    commitment BLOB NOT NULL,
    PRIMARY KEY (entry, place)
) STRICT;

-- The tree's hashes, in the numbering of golang.org/x/mod/sumdb/tlog.
CREATE TABLE audit_hashes (
    place INTEGER PRIMARY KEY,
    hash  BLOB NOT NULL
) STRICT;

CREATE TABLE audit_checkpoints (
    size INTEGER PRIMARY KEY,
    note TEXT NOT NULL,
    at   INTEGER NOT NULL
) STRICT;
