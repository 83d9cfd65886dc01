-- +goose Up
-- The default stands for rows that were there before: the program always gives a value.
ALTER TABLE credentials ADD COLUMN oauth TEXT COLLATE "C" NOT NULL DEFAULT 'null'; -- document

-- What issues access tokens. No key that signs is here.
CREATE TABLE issuers (
    environment TEXT COLLATE "C" PRIMARY KEY,
    url         TEXT COLLATE "C" NOT NULL,
    audience    TEXT COLLATE "C" NOT NULL,
    keys        TEXT COLLATE "C" NOT NULL, -- document
    version     BIGINT NOT NULL
);

-- Access tokens that are refused before their end.
CREATE TABLE denials (
    environment TEXT COLLATE "C" NOT NULL,
    mark        BYTEA NOT NULL,
    expires     BIGINT NOT NULL,
    PRIMARY KEY (environment, mark)
);
CREATE INDEX denials_over ON denials (expires);
