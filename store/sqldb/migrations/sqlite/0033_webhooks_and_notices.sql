-- +goose Up
CREATE TABLE webhook_endpoints (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL, -- '' for the platform
    url          TEXT NOT NULL,
    kinds        TEXT NOT NULL, -- document
    state        TEXT NOT NULL,
    reason       TEXT NOT NULL,
    created      INTEGER NOT NULL,
    by_person    TEXT NOT NULL,
    secret       TEXT NOT NULL, -- sealed
    old_secret   TEXT NOT NULL, -- sealed
    old_until    INTEGER NOT NULL,
    version      INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_endpoints_of ON webhook_endpoints (organization, id);

CREATE TABLE webhook_deliveries (
    id           INTEGER PRIMARY KEY,
    message      TEXT NOT NULL,
    endpoint     TEXT NOT NULL,
    organization TEXT NOT NULL,
    type         TEXT NOT NULL,
    body         BLOB NOT NULL,
    at           INTEGER NOT NULL,
    tries        INTEGER NOT NULL,
    next_try     INTEGER NOT NULL, -- also the end of a lease
    given_up     INTEGER NOT NULL,
    problem      TEXT NOT NULL
) STRICT;
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (next_try, id) WHERE given_up = 0;
CREATE INDEX webhook_deliveries_given_up ON webhook_deliveries (endpoint, id) WHERE given_up = 1;

-- How far people have been told of ends.
CREATE TABLE notice_marks (
    kind   TEXT NOT NULL,
    days   INTEGER NOT NULL,
    ends   INTEGER NOT NULL,
    object TEXT NOT NULL,
    PRIMARY KEY (kind, days)
) STRICT;
CREATE INDEX credentials_ending ON credentials (expires, id) WHERE state IN ('active', 'suspended');
