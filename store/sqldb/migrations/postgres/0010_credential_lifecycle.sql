-- +goose Up
-- The defaults stand for rows that were there before: the program always gives a value.
ALTER TABLE credentials ADD COLUMN sources TEXT COLLATE "C" NOT NULL DEFAULT '[]'; -- document
ALTER TABLE credentials ADD COLUMN replaces TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE credentials ADD COLUMN held BIGINT NOT NULL DEFAULT 0;
ALTER TABLE credentials ADD COLUMN leaked BIGINT NOT NULL DEFAULT 0;

-- How credentials were used: telemetry, written in batches.
CREATE TABLE credential_uses (
    credential TEXT COLLATE "C" NOT NULL,
    grant_id   TEXT COLLATE "C" NOT NULL, -- '' where none was needed
    api        TEXT COLLATE "C" NOT NULL,
    operation  TEXT COLLATE "C" NOT NULL,
    calls      BIGINT NOT NULL,
    last       BIGINT NOT NULL,
    gateway    TEXT COLLATE "C" NOT NULL,
    address    TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (credential, grant_id, api, operation)
);
CREATE INDEX credential_uses_of_grant ON credential_uses (grant_id);
