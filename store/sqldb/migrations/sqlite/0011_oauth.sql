-- +goose Up
-- The default stands for rows that were there before: the program always gives a value.
ALTER TABLE credentials ADD COLUMN oauth TEXT NOT NULL DEFAULT 'null'; -- document

-- What issues access tokens. No key that signs is here.
CREATE TABLE issuers (
    environment TEXT PRIMARY KEY,
    url         TEXT NOT NULL,
    audience    TEXT NOT NULL,
    keys        TEXT NOT NULL, -- document
    version     INTEGER NOT NULL
) STRICT;

-- Access tokens that are refused before their end.
CREATE TABLE denials (
    environment TEXT NOT NULL,
    mark        BLOB NOT NULL,
    expires     INTEGER NOT NULL,
    PRIMARY KEY (environment, mark)
) STRICT;
CREATE INDEX denials_over ON denials (expires);
