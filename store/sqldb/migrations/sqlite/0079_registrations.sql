-- +goose Up
-- By which programs register OAuth clients of an application.
CREATE TABLE initial_tokens (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL,
    application  TEXT NOT NULL,
    environment  TEXT NOT NULL,
    name         TEXT NOT NULL,
    hash         BLOB NOT NULL UNIQUE,
    uses         INTEGER NOT NULL,
    most         INTEGER NOT NULL,
    created      INTEGER NOT NULL,
    created_by   TEXT NOT NULL,
    expires      INTEGER NOT NULL,
    ended        INTEGER NOT NULL,
    version      INTEGER NOT NULL
) STRICT;
CREATE INDEX initial_tokens_of ON initial_tokens (organization, id);

-- By which token each client that was registered so is managed.
CREATE TABLE registrations (
    credential TEXT PRIMARY KEY,
    hash       BLOB NOT NULL
) STRICT;
