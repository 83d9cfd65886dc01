-- +goose Up
-- Whom OpenID providers know by what name.
CREATE TABLE subjects (
    issuer   TEXT NOT NULL,
    subject  TEXT NOT NULL,
    person   TEXT NOT NULL,
    provider TEXT NOT NULL,
    roles    TEXT NOT NULL, -- document: those that a mapping gave
    created  INTEGER NOT NULL,
    used     INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT;
CREATE INDEX subjects_of ON subjects (person);
