-- +goose Up
-- Regions: where an environment is served, where an organization's grants and credentials may be, and where a gateway stands.
ALTER TABLE environments ADD COLUMN regions TEXT NOT NULL DEFAULT '[]'; -- document
ALTER TABLE organizations ADD COLUMN region TEXT NOT NULL DEFAULT '';
ALTER TABLE gateways ADD COLUMN region TEXT NOT NULL DEFAULT '';
ALTER TABLE gateway_enrolments ADD COLUMN region TEXT NOT NULL DEFAULT '';
CREATE INDEX organizations_pinned ON organizations (region) WHERE region <> '';

-- The entries of the feeds of regions: their names are no environments', and what the release before knows stays as it was.
CREATE TABLE feed_region_entries (
    environment TEXT NOT NULL, -- the feed's name
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
CREATE INDEX feed_region_entries_of ON feed_region_entries (environment, kind, entity, seq);
