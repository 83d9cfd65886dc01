-- +goose Up
-- Regions: where an environment is served, where an organization's grants and credentials may be, and where a gateway stands.
ALTER TABLE environments ADD COLUMN regions TEXT COLLATE "C" NOT NULL DEFAULT '[]'; -- document
ALTER TABLE organizations ADD COLUMN region TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE gateways ADD COLUMN region TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE gateway_enrolments ADD COLUMN region TEXT COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX organizations_pinned ON organizations (region) WHERE region <> '';

-- The entries of the feeds of regions: their names are no environments', and what the release before knows stays as it was.
CREATE TABLE feed_region_entries (
    environment TEXT COLLATE "C" NOT NULL, -- the feed's name
    seq         BIGINT NOT NULL,
    epoch       BIGINT NOT NULL,
    previous    TEXT COLLATE "C" NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    entity      TEXT COLLATE "C" NOT NULL,
    version     BIGINT NOT NULL,
    payload     TEXT COLLATE "C" NOT NULL, -- document
    committed   BIGINT NOT NULL,
    digest      TEXT COLLATE "C" NOT NULL,
    signature   BYTEA NOT NULL,
    PRIMARY KEY (environment, seq)
);
CREATE INDEX feed_region_entries_of ON feed_region_entries (environment, kind, entity, seq);
