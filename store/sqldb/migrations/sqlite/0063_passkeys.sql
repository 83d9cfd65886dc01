-- +goose Up
CREATE TABLE passkeys (
    id         TEXT PRIMARY KEY,
    person     TEXT NOT NULL,
    name       TEXT NOT NULL,
    credential BLOB NOT NULL UNIQUE, -- its identifier, made by the authenticator
    record     TEXT NOT NULL, -- document: the public key, the counter, the flags
    created    INTEGER NOT NULL,
    used       INTEGER NOT NULL,
    version    INTEGER NOT NULL
) STRICT;
CREATE INDEX passkeys_of ON passkeys (person, id);
