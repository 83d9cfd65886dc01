-- +goose Up
CREATE TABLE gateways (
    id          TEXT PRIMARY KEY,
    environment TEXT NOT NULL REFERENCES environments (name),
    name        TEXT NOT NULL,
    state       TEXT NOT NULL,
    key_digest  TEXT NOT NULL,
    created     INTEGER NOT NULL,
    created_by  TEXT NOT NULL,
    expires     INTEGER NOT NULL,
    ended       INTEGER NOT NULL,
    reason      TEXT NOT NULL,
    version     INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX gateways_active ON gateways (environment, name) WHERE state = 'active';

-- The right to become one, once.
CREATE TABLE gateway_enrolments (
    id          TEXT PRIMARY KEY,
    environment TEXT NOT NULL REFERENCES environments (name),
    name        TEXT NOT NULL,
    hash        BLOB NOT NULL UNIQUE,
    created     INTEGER NOT NULL,
    created_by  TEXT NOT NULL,
    expires     INTEGER NOT NULL,
    used        INTEGER NOT NULL,
    gateway     TEXT NOT NULL,
    version     INTEGER NOT NULL
) STRICT;

-- Their keys are made again from their numbers.
CREATE TABLE gateway_anchors (
    number INTEGER PRIMARY KEY,
    made   INTEGER NOT NULL,
    signs  INTEGER NOT NULL,
    ends   INTEGER NOT NULL
) STRICT;

-- Telemetry: what is known of a gateway by its connection.
CREATE TABLE gateway_sightings (
    environment TEXT NOT NULL,
    gateway     TEXT NOT NULL,
    id          TEXT NOT NULL,
    version     TEXT NOT NULL,
    protocol    INTEGER NOT NULL,
    address     TEXT NOT NULL,
    skew        INTEGER NOT NULL, -- microseconds
    heard       INTEGER NOT NULL,
    connected   INTEGER NOT NULL,
    trouble     TEXT NOT NULL,
    PRIMARY KEY (environment, gateway)
) STRICT;
