-- +goose Up
-- Whom OpenID providers know by what name.
CREATE TABLE subjects (
    issuer   TEXT COLLATE "C" NOT NULL,
    subject  TEXT COLLATE "C" NOT NULL,
    person   TEXT COLLATE "C" NOT NULL,
    provider TEXT COLLATE "C" NOT NULL,
    roles    TEXT COLLATE "C" NOT NULL, -- document: those that a mapping gave
    created  BIGINT NOT NULL,
    used     BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX subjects_of ON subjects (person);
