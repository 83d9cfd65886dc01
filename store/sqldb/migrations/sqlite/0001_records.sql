-- +goose Up
-- Times are microseconds since 1970 in UTC, 0 for none. Identifiers are compared byte by byte. Columns ending in _key hold
-- a text in the form in which it is compared. Documents (JSON) are never looked into by SQL.

CREATE TABLE organizations (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    name_key    TEXT NOT NULL,
    website     TEXT NOT NULL,
    country     TEXT NOT NULL,
    register    TEXT NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    created     INTEGER NOT NULL,
    verified    INTEGER NOT NULL,
    verified_by TEXT NOT NULL,
    version     INTEGER NOT NULL
) STRICT;

CREATE TABLE people (
    id           TEXT PRIMARY KEY,
    class        INTEGER NOT NULL,
    organization TEXT NOT NULL, -- '' for staff
    email        TEXT NOT NULL,
    email_key    TEXT NOT NULL CONSTRAINT people_email UNIQUE,
    name         TEXT NOT NULL,
    password     TEXT NOT NULL,
    roles        TEXT NOT NULL, -- document
    state        TEXT NOT NULL,
    created      INTEGER NOT NULL,
    version      INTEGER NOT NULL
) STRICT;
CREATE INDEX people_of ON people (organization, id);

CREATE TABLE links (
    hash    BLOB PRIMARY KEY,
    purpose TEXT NOT NULL,
    person  TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    used    INTEGER NOT NULL
) STRICT;

CREATE TABLE machines (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    hash         BLOB NOT NULL UNIQUE,
    person       TEXT NOT NULL,
    organization TEXT NOT NULL,
    class        INTEGER NOT NULL,
    roles        TEXT NOT NULL, -- document
    created      INTEGER NOT NULL,
    expires      INTEGER NOT NULL,
    revoked      INTEGER NOT NULL,
    version      INTEGER NOT NULL
) STRICT;
CREATE INDEX machines_of ON machines (person, id);

CREATE TABLE devices (
    hash      BLOB PRIMARY KEY,
    user_code TEXT NOT NULL,
    client    TEXT NOT NULL,
    created   INTEGER NOT NULL,
    expires   INTEGER NOT NULL,
    person    TEXT NOT NULL,
    denied    INTEGER NOT NULL,
    used      INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX devices_waiting ON devices (user_code) WHERE person = '' AND denied = 0;

CREATE TABLE sessions (
    id         TEXT PRIMARY KEY,
    hash       BLOB NOT NULL UNIQUE,
    person     TEXT NOT NULL,
    created    INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    address    TEXT NOT NULL,
    user_agent TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_of ON sessions (person, created);

CREATE TABLE once (
    person TEXT NOT NULL,
    form   TEXT NOT NULL,
    object TEXT NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (person, form)
) STRICT;

CREATE TABLE applications (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL,
    name         TEXT NOT NULL,
    name_key     TEXT NOT NULL,
    purpose      TEXT NOT NULL,
    owner        TEXT NOT NULL,
    state        TEXT NOT NULL,
    created      INTEGER NOT NULL,
    created_by   TEXT NOT NULL,
    closed       INTEGER NOT NULL,
    reason       TEXT NOT NULL,
    version      INTEGER NOT NULL
) STRICT;
CREATE INDEX applications_of ON applications (organization, id);
CREATE UNIQUE INDEX applications_name ON applications (organization, name_key) WHERE state = 'active';

CREATE TABLE credentials (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL,
    application  TEXT NOT NULL,
    environment  TEXT NOT NULL,
    kind         TEXT NOT NULL,
    name         TEXT NOT NULL,
    public_id    TEXT NOT NULL UNIQUE,
    hash         BLOB NOT NULL,
    grants       TEXT NOT NULL, -- document
    state        TEXT NOT NULL,
    created      INTEGER NOT NULL,
    created_by   TEXT NOT NULL,
    expires      INTEGER NOT NULL,
    retire_at    INTEGER NOT NULL,
    revoked      INTEGER NOT NULL,
    reason       TEXT NOT NULL,
    version      INTEGER NOT NULL
) STRICT;
CREATE INDEX credentials_of_application ON credentials (application, id);
CREATE INDEX credentials_of_organization ON credentials (organization, id);

CREATE TABLE requests (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL,
    application  TEXT NOT NULL,
    environment  TEXT NOT NULL,
    product      TEXT NOT NULL,
    plan         TEXT NOT NULL,
    scopes       TEXT NOT NULL, -- document
    purpose      TEXT NOT NULL,
    duration     INTEGER NOT NULL, -- microseconds
    by_person    TEXT NOT NULL,
    created      INTEGER NOT NULL,
    state        TEXT NOT NULL,
    stages       TEXT NOT NULL, -- document
    decisions    TEXT NOT NULL, -- document
    grant_id     TEXT NOT NULL,
    version      INTEGER NOT NULL
) STRICT;
CREATE INDEX requests_of_application ON requests (application, id);
CREATE INDEX requests_of_organization ON requests (organization, id);
CREATE INDEX requests_by_state ON requests (state, id);

CREATE TABLE grants (
    id           TEXT PRIMARY KEY,
    request      TEXT NOT NULL,
    organization TEXT NOT NULL,
    application  TEXT NOT NULL,
    environment  TEXT NOT NULL,
    product      TEXT NOT NULL,
    plan         TEXT NOT NULL,
    scopes       TEXT NOT NULL, -- document
    purpose      TEXT NOT NULL,
    approved_by  TEXT NOT NULL, -- document
    starts       INTEGER NOT NULL,
    ends         INTEGER NOT NULL,
    state        TEXT NOT NULL,
    reason       TEXT NOT NULL,
    ended        INTEGER NOT NULL,
    version      INTEGER NOT NULL
) STRICT;
CREATE INDEX grants_of_application ON grants (application, id);
CREATE INDEX grants_of_organization ON grants (organization, id);
CREATE INDEX grants_ending ON grants (ends, id) WHERE state = 'active';

CREATE TABLE environments (
    name     TEXT PRIMARY KEY,
    place    INTEGER NOT NULL UNIQUE,
    created  INTEGER NOT NULL,
    epoch    INTEGER NOT NULL,
    revision INTEGER NOT NULL
) STRICT;

CREATE TABLE revisions (
    environment TEXT NOT NULL REFERENCES environments (name),
    number      INTEGER NOT NULL,
    digest      TEXT NOT NULL,
    bundle      BLOB NOT NULL,
    by_person   TEXT NOT NULL,
    at          INTEGER NOT NULL,
    note        TEXT NOT NULL,
    PRIMARY KEY (environment, number)
) STRICT;

CREATE TABLE letters (
    id        INTEGER PRIMARY KEY,
    recipient TEXT NOT NULL,
    subject   TEXT NOT NULL,
    body      TEXT NOT NULL,
    at        INTEGER NOT NULL,
    tries     INTEGER NOT NULL,
    next_try  INTEGER NOT NULL, -- also the end of a lease
    given_up  INTEGER NOT NULL,
    problem   TEXT NOT NULL
) STRICT;
CREATE INDEX letters_waiting ON letters (next_try, id) WHERE given_up = 0;
