-- +goose Up
-- Times are microseconds since 1970 in UTC, 0 for none. Identifiers are compared byte by byte. Columns ending in _key hold
-- a text in the form in which it is compared. Documents (JSON) are never looked into by SQL.

CREATE TABLE organizations (
    id          TEXT COLLATE "C" PRIMARY KEY,
    name        TEXT COLLATE "C" NOT NULL,
    name_key    TEXT COLLATE "C" NOT NULL,
    website     TEXT COLLATE "C" NOT NULL,
    country     TEXT COLLATE "C" NOT NULL,
    register    TEXT COLLATE "C" NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,
    reason      TEXT COLLATE "C" NOT NULL,
    created     BIGINT NOT NULL,
    verified    BIGINT NOT NULL,
    verified_by TEXT COLLATE "C" NOT NULL,
    version     BIGINT NOT NULL
);

CREATE TABLE people (
    id           TEXT COLLATE "C" PRIMARY KEY,
    class        BIGINT NOT NULL,
    organization TEXT COLLATE "C" NOT NULL, -- '' for staff
    email        TEXT COLLATE "C" NOT NULL,
    email_key    TEXT COLLATE "C" NOT NULL CONSTRAINT people_email UNIQUE,
    name         TEXT COLLATE "C" NOT NULL,
    password     TEXT COLLATE "C" NOT NULL,
    roles        TEXT COLLATE "C" NOT NULL, -- document
    state        TEXT COLLATE "C" NOT NULL,
    created      BIGINT NOT NULL,
    version      BIGINT NOT NULL
);
CREATE INDEX people_of ON people (organization, id);

CREATE TABLE links (
    hash    BYTEA PRIMARY KEY,
    purpose TEXT COLLATE "C" NOT NULL,
    person  TEXT COLLATE "C" NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    used    BIGINT NOT NULL
);

CREATE TABLE machines (
    id           TEXT COLLATE "C" PRIMARY KEY,
    name         TEXT COLLATE "C" NOT NULL,
    hash         BYTEA NOT NULL UNIQUE,
    person       TEXT COLLATE "C" NOT NULL,
    organization TEXT COLLATE "C" NOT NULL,
    class        BIGINT NOT NULL,
    roles        TEXT COLLATE "C" NOT NULL, -- document
    created      BIGINT NOT NULL,
    expires      BIGINT NOT NULL,
    revoked      BIGINT NOT NULL,
    version      BIGINT NOT NULL
);
CREATE INDEX machines_of ON machines (person, id);

CREATE TABLE devices (
    hash      BYTEA PRIMARY KEY,
    user_code TEXT COLLATE "C" NOT NULL,
    client    TEXT COLLATE "C" NOT NULL,
    created   BIGINT NOT NULL,
    expires   BIGINT NOT NULL,
    person    TEXT COLLATE "C" NOT NULL,
    denied    BIGINT NOT NULL,
    used      BIGINT NOT NULL
);
CREATE UNIQUE INDEX devices_waiting ON devices (user_code) WHERE person = '' AND denied = 0;

CREATE TABLE sessions (
    id         TEXT COLLATE "C" PRIMARY KEY,
    hash       BYTEA NOT NULL UNIQUE,
    person     TEXT COLLATE "C" NOT NULL,
    created    BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL,
    expires    BIGINT NOT NULL,
    address    TEXT COLLATE "C" NOT NULL,
    user_agent TEXT COLLATE "C" NOT NULL
);
CREATE INDEX sessions_of ON sessions (person, created);

CREATE TABLE once (
    person TEXT COLLATE "C" NOT NULL,
    form   TEXT COLLATE "C" NOT NULL,
    object TEXT COLLATE "C" NOT NULL,
    at     BIGINT NOT NULL,
    PRIMARY KEY (person, form)
);

CREATE TABLE applications (
    id           TEXT COLLATE "C" PRIMARY KEY,
    organization TEXT COLLATE "C" NOT NULL,
    name         TEXT COLLATE "C" NOT NULL,
    name_key     TEXT COLLATE "C" NOT NULL,
    purpose      TEXT COLLATE "C" NOT NULL,
    owner        TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    created      BIGINT NOT NULL,
    created_by   TEXT COLLATE "C" NOT NULL,
    closed       BIGINT NOT NULL,
    reason       TEXT COLLATE "C" NOT NULL,
    version      BIGINT NOT NULL
);
CREATE INDEX applications_of ON applications (organization, id);
CREATE UNIQUE INDEX applications_name ON applications (organization, name_key) WHERE state = 'active';

CREATE TABLE credentials (
    id           TEXT COLLATE "C" PRIMARY KEY,
    organization TEXT COLLATE "C" NOT NULL,
    application  TEXT COLLATE "C" NOT NULL,
    environment  TEXT COLLATE "C" NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL,
    name         TEXT COLLATE "C" NOT NULL,
    public_id    TEXT COLLATE "C" NOT NULL UNIQUE,
    hash         BYTEA NOT NULL,
    grants       TEXT COLLATE "C" NOT NULL, -- document
    state        TEXT COLLATE "C" NOT NULL,
    created      BIGINT NOT NULL,
    created_by   TEXT COLLATE "C" NOT NULL,
    expires      BIGINT NOT NULL,
    retire_at    BIGINT NOT NULL,
    revoked      BIGINT NOT NULL,
    reason       TEXT COLLATE "C" NOT NULL,
    version      BIGINT NOT NULL
);
CREATE INDEX credentials_of_application ON credentials (application, id);
CREATE INDEX credentials_of_organization ON credentials (organization, id);

CREATE TABLE requests (
    id           TEXT COLLATE "C" PRIMARY KEY,
    organization TEXT COLLATE "C" NOT NULL,
    application  TEXT COLLATE "C" NOT NULL,
    environment  TEXT COLLATE "C" NOT NULL,
    product      TEXT COLLATE "C" NOT NULL,
    plan         TEXT COLLATE "C" NOT NULL,
    scopes       TEXT COLLATE "C" NOT NULL, -- document
    purpose      TEXT COLLATE "C" NOT NULL,
    duration     BIGINT NOT NULL, -- microseconds
    by_person    TEXT COLLATE "C" NOT NULL,
    created      BIGINT NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    stages       TEXT COLLATE "C" NOT NULL, -- document
    decisions    TEXT COLLATE "C" NOT NULL, -- document
    grant_id     TEXT COLLATE "C" NOT NULL,
    version      BIGINT NOT NULL
);
CREATE INDEX requests_of_application ON requests (application, id);
CREATE INDEX requests_of_organization ON requests (organization, id);
CREATE INDEX requests_by_state ON requests (state, id);

CREATE TABLE grants (
    id           TEXT COLLATE "C" PRIMARY KEY,
    request      TEXT COLLATE "C" NOT NULL,
    organization TEXT COLLATE "C" NOT NULL,
    application  TEXT COLLATE "C" NOT NULL,
    environment  TEXT COLLATE "C" NOT NULL,
    product      TEXT COLLATE "C" NOT NULL,
    plan         TEXT COLLATE "C" NOT NULL,
    scopes       TEXT COLLATE "C" NOT NULL, -- document
    purpose      TEXT COLLATE "C" NOT NULL,
    approved_by  TEXT COLLATE "C" NOT NULL, -- document
    starts       BIGINT NOT NULL,
    ends         BIGINT NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    reason       TEXT COLLATE "C" NOT NULL,
    ended        BIGINT NOT NULL,
    version      BIGINT NOT NULL
);
CREATE INDEX grants_of_application ON grants (application, id);
CREATE INDEX grants_of_organization ON grants (organization, id);
CREATE INDEX grants_ending ON grants (ends, id) WHERE state = 'active';

CREATE TABLE environments (
    name     TEXT COLLATE "C" PRIMARY KEY,
    place    BIGINT NOT NULL UNIQUE,
    created  BIGINT NOT NULL,
    epoch    BIGINT NOT NULL,
    revision BIGINT NOT NULL
);

CREATE TABLE revisions (
    environment TEXT COLLATE "C" NOT NULL REFERENCES environments (name),
    number      BIGINT NOT NULL,
    digest      TEXT COLLATE "C" NOT NULL,
    bundle      BYTEA NOT NULL,
    by_person   TEXT COLLATE "C" NOT NULL,
    at          BIGINT NOT NULL,
    note        TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (environment, number)
);

CREATE TABLE letters (
    id        BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    recipient TEXT COLLATE "C" NOT NULL,
    subject   TEXT COLLATE "C" NOT NULL,
    body      TEXT COLLATE "C" NOT NULL,
    at        BIGINT NOT NULL,
    tries     BIGINT NOT NULL,
    next_try  BIGINT NOT NULL, -- also the end of a lease
    given_up  BIGINT NOT NULL,
    problem   TEXT COLLATE "C" NOT NULL
);
CREATE INDEX letters_waiting ON letters (next_try, id) WHERE given_up = 0;
