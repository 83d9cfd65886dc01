-- +goose Up
-- The defaults stand for rows that were there before: the program always gives a value.
ALTER TABLE credentials ADD COLUMN sources TEXT NOT NULL DEFAULT '[]'; -- document
ALTER TABLE credentials ADD COLUMN replaces TEXT NOT NULL DEFAULT '';
ALTER TABLE credentials ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
ALTER TABLE credentials ADD COLUMN leaked INTEGER NOT NULL DEFAULT 0;

-- How credentials were used: telemetry, written in batches.
CREATE TABLE credential_uses (
    credential TEXT NOT NULL,
    grant_id   TEXT NOT NULL, -- '' where none was needed
    api        TEXT NOT NULL,
    operation  TEXT NOT NULL,
    calls      INTEGER NOT NULL,
    last       INTEGER NOT NULL,
    gateway    TEXT NOT NULL,
    address    TEXT NOT NULL,
    PRIMARY KEY (credential, grant_id, api, operation)
) STRICT;
CREATE INDEX credential_uses_of_grant ON credential_uses (grant_id);
