-- +goose Up
-- What was read of the newest bundle that was uploaded for an environment.
CREATE TABLE drift_bundles (
    environment TEXT PRIMARY KEY,
    at          INTEGER NOT NULL,
    by_person   TEXT NOT NULL, -- '' for this host
    bytes       INTEGER NOT NULL,
    digest      TEXT NOT NULL,
    seen        TEXT NOT NULL -- document
) STRICT;
