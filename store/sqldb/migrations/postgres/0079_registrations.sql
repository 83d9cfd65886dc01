-- +goose Up
-- By which programs register OAuth clients of an application.
CREATE TABLE initial_tokens (
    id           TEXT COLLATE "C" PRIMARY KEY,
    organization TEXT COLLATE "C" NOT NULL,
    application  TEXT COLLATE "C" NOT NULL,
    environment  TEXT COLLATE "C" NOT NULL,
    name         TEXT COLLATE "C" NOT NULL,
    hash         BYTEA NOT NULL UNIQUE,
    uses         BIGINT NOT NULL,
    most         BIGINT NOT NULL,
    created      BIGINT NOT NULL,
    created_by   TEXT COLLATE "C" NOT NULL,
    expires      BIGINT NOT NULL,
    ended        BIGINT NOT NULL,
    version      BIGINT NOT NULL
);
CREATE INDEX initial_tokens_of ON initial_tokens (organization, id);

-- By which token each client that was registered so is managed.
CREATE TABLE registrations (
    credential TEXT COLLATE "C" PRIMARY KEY,
    hash       BYTEA NOT NULL
);
