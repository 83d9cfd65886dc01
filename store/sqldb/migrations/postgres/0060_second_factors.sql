-- +goose Up
-- The defaults stand for sessions that were there before: the program always gives a value.
ALTER TABLE sessions ADD COLUMN how TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN proven BIGINT NOT NULL DEFAULT 0; -- when the second factor was shown; 0 for none
ALTER TABLE sessions ADD COLUMN confirmed BIGINT NOT NULL DEFAULT 0;

CREATE TABLE authenticators (
    person    TEXT COLLATE "C" PRIMARY KEY,
    secret    TEXT COLLATE "C" NOT NULL, -- sealed
    created   BIGINT NOT NULL,
    confirmed BIGINT NOT NULL, -- 0 while it is being set up
    step      BIGINT NOT NULL  -- of the newest code that was taken
);

CREATE TABLE recovery_codes (
    person TEXT COLLATE "C" NOT NULL,
    hash   BYTEA NOT NULL,
    PRIMARY KEY (person, hash)
);

-- What somebody has begun and not finished: each is taken once.
CREATE TABLE ceremonies (
    hash    BYTEA PRIMARY KEY,
    purpose TEXT COLLATE "C" NOT NULL,
    person  TEXT COLLATE "C" NOT NULL, -- '' for nobody that is known
    data    TEXT COLLATE "C" NOT NULL, -- document
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
