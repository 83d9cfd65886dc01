-- +goose Up
CREATE TABLE invitations (
    id           TEXT COLLATE "C" PRIMARY KEY,
    organization TEXT COLLATE "C" NOT NULL, -- '' for staff
    email        TEXT COLLATE "C" NOT NULL,
    roles        TEXT COLLATE "C" NOT NULL, -- document
    by_person    TEXT COLLATE "C" NOT NULL,
    hash         BYTEA NOT NULL UNIQUE,
    created      BIGINT NOT NULL,
    expires      BIGINT NOT NULL,
    accepted     BIGINT NOT NULL,
    person       TEXT COLLATE "C" NOT NULL,
    withdrawn    BIGINT NOT NULL,
    version      BIGINT NOT NULL
);
CREATE INDEX invitations_of ON invitations (organization, id);
