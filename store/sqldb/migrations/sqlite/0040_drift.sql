-- +goose Up
CREATE TABLE drift_runs (
    id      TEXT PRIMARY KEY,
    at      INTEGER NOT NULL,
    by_person TEXT NOT NULL, -- '' for Gatehouse itself
    verdict TEXT NOT NULL,
    open    INTEGER NOT NULL,
    worst   TEXT NOT NULL,
    fresh   INTEGER NOT NULL,
    result  TEXT NOT NULL -- document
) STRICT;
CREATE TABLE drift_waivers (
    id          TEXT PRIMARY KEY,
    rule        TEXT NOT NULL,
    finding     TEXT NOT NULL, -- '' for all of the rule
    environment TEXT NOT NULL, -- '' for all
    owner       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    by_person   TEXT NOT NULL,
    created     INTEGER NOT NULL,
    ends        INTEGER NOT NULL,
    ended       INTEGER NOT NULL,
    version     INTEGER NOT NULL
) STRICT;
