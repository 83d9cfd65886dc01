-- +goose Up
-- The defaults stand for sessions that were there before: the program always gives a value.
ALTER TABLE sessions ADD COLUMN how TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN proven INTEGER NOT NULL DEFAULT 0; -- when the second factor was shown; 0 for none
ALTER TABLE sessions ADD COLUMN confirmed INTEGER NOT NULL DEFAULT 0;

CREATE TABLE authenticators (
    person    TEXT PRIMARY KEY,
    secret    TEXT NOT NULL, -- sealed
    created   INTEGER NOT NULL,
    confirmed INTEGER NOT NULL, -- 0 while it is being set up
    step      INTEGER NOT NULL  -- of the newest code that was taken
) STRICT;

CREATE TABLE recovery_codes (
    person TEXT NOT NULL,
    hash   BLOB NOT NULL,
    PRIMARY KEY (person, hash)
) STRICT;

-- What somebody has begun and not finished: each is taken once.
CREATE TABLE ceremonies (
    hash    BLOB PRIMARY KEY,
    purpose TEXT NOT NULL,
    person  TEXT NOT NULL, -- '' for nobody that is known
    data    TEXT NOT NULL, -- document
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT;
