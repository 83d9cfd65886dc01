-- +goose Up
CREATE TABLE passkeys (
    id         TEXT COLLATE "C" PRIMARY KEY,
    person     TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    credential BYTEA NOT NULL UNIQUE, -- its identifier, made by the authenticator
    record     TEXT COLLATE "C" NOT NULL, -- document: the public key, the counter, the flags
    created    BIGINT NOT NULL,
    used       BIGINT NOT NULL,
    version    BIGINT NOT NULL
);
CREATE INDEX passkeys_of ON passkeys (person, id);
